"""``@op``: makes a function on arrays an op on arrays and Tensors, recorded where a gradient is wanted.

An op is a function on arrays that returns ``(y, backward)``; ``@op`` makes it take Tensors as well and, where a
gradient is wanted, keep ``backward`` in a Node of the tape.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from fastnn import writes
from fastnn.arrays import as_array
from fastnn.tape import Backward, Edge, Node
from fastnn.tape import mode as _mode
from fastnn.tensor import Tensor, computed

Answer = TypeVar("Answer")


def _placed(parameters: list[inspect.Parameter], args: Sequence[Any], options: dict[str, Any]) -> list[Any]:
    """Arguments given by name, moved from ``options`` to their places, with defaults in the gaps before them."""
    placed = list(args)
    last = max([i for i, p in enumerate(parameters) if p.name in options], default=-1)
    for p in parameters[len(args) : last + 1]:
        if p.name not in options and p.default is p.empty:
            break  # the call will say that it is missing
        placed.append(options.pop(p.name, p.default))
    return placed


_NO_MEMORY = frozenset((bool, float, int, list, str, tuple, type(None)))
_FLOAT32, _INT64 = np.dtype(np.float32), np.dtype(np.int64)


def _watched(places: list[int] | None, arrays: Sequence[Any], options: dict[str, Any]) -> writes.Watched | None:
    """The arguments at ``places``, which the user can reach and a gradient may need, and those given by name."""
    reached = [arrays[i] for i in places] if places else []
    for value in options.values():
        if isinstance(value, (np.ndarray, Tensor)):
            reached.append(value._array if isinstance(value, Tensor) else value)
    found = []
    for array in reached:
        dtype = array.dtype
        if (dtype is _FLOAT32 or dtype is _INT64 or dtype in (_FLOAT32, _INT64)) and array.size:
            found.append((array, writes.digest(array)))  # others are converted, so copied
    return found or None


def op(function: Callable[..., tuple[Any, Backward | None]], unread: Sequence[str] = ()) -> Callable[..., Any]:
    """Makes a function on arrays an op on arrays and Tensors.

    ``function(*arguments, need)`` returns ``(y, backward)``, y an array or a tuple of arrays; ``need[i]`` says whether
    the gradient of argument i is wanted (all False when nothing is recorded: then nothing has to be saved and
    ``backward`` may be None). ``backward(dy)`` (one dy per output, None where unused) returns one gradient per
    argument, None where not wanted. What it holds counts as saved: where that is written before ``backward`` is called,
    it is not called; so it holds no array that it does not read. ``unread`` names arguments that no gradient reads, so
    that arrays given for them need not be watched. With no Tensor among the arguments the op returns plain arrays.
    """
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    places, names, name = len(parameters), frozenset(p.name for p in parameters), function.__name__.lstrip("_")
    read = [p.name not in unread for p in parameters]

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        arrays = list(args) if not options or names.isdisjoint(options) else _placed(parameters, args, options)
        need = [False] * (places if places > len(arrays) else len(arrays))
        for value in arrays:
            if isinstance(value, Tensor):
                break
        else:
            return function(*arrays, need=need, **options)[0]
        recording = _mode.recording
        edges: list[Edge | None] | None = None
        reached: list[int] | None = None
        for i, value in enumerate(arrays):
            if isinstance(value, Tensor):
                arrays[i] = value._array
                if not recording:
                    continue
                if value.requires_grad:
                    need[i] = True
                    if edges is None:
                        edges = [None] * len(arrays)
                    edges[i] = value if value._node is None else (value._node, value._index)
                    if not value._exposed:
                        continue
            elif not isinstance(value, np.ndarray):
                if type(value) in _NO_MEMORY or not (hasattr(value, "__array__") or isinstance(value, memoryview)):
                    continue
                arrays[i] = as_array(value, name, parameters[i].name if i < places else f"argument {i}")
            if i < places and not read[i]:
                continue
            if reached is None:
                reached = [i]
            else:
                reached.append(i)
        y, backward = function(*arrays, need=need, **options) if options else function(*arrays, need=need)
        if edges is None or backward is None:
            return tuple([computed(part, None, 0) for part in y]) if type(y) is tuple else computed(y, None, 0)
        several = type(y) is tuple
        given = options and any(isinstance(value, (np.ndarray, Tensor)) for value in options.values())
        watched = _watched(reached, arrays, options) if reached or given else None
        node = Node(name, backward, edges, len(y) if several else 1, watched)
        outputs = [computed(part, node, i) for i, part in enumerate(y)] if several else [computed(y, node, 0)]
        if reached:
            _mark_shared(outputs, reached, arrays)
        return tuple(outputs) if several else outputs[0]

    call.raw = function  # type: ignore[attr-defined]
    return call


def op_not_reading(*names: str) -> Callable[[Callable[..., tuple[Any, Backward | None]]], Callable[..., Any]]:
    """``op`` for a function no gradient of which reads these arguments."""
    return functools.partial(op, unread=names)


def _mark_shared(outputs: list[Tensor], reached: list[int], arrays: Sequence[Any]) -> None:
    """Marks the outputs that show memory of an argument that the user can reach."""
    for output in outputs:
        array = output._array
        if array.base is not None or any(array is arrays[i] for i in reached):
            output._exposed = any(np.may_share_memory(array, arrays[i]) for i in reached)


def looks(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Makes a function on arrays, whose answer has no gradient in any case, take Tensors as well."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Answer:
        arrays = [value._array if isinstance(value, Tensor) else value for value in args]
        named = {name: value._array if isinstance(value, Tensor) else value for name, value in options.items()}
        return function(*arrays, **named)

    return call

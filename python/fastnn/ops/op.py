"""``Op``: a record of what is computed. ``@op`` makes one, and a call of it is eager, on the tape, or in a recorder.

An op is three functions. ``normalise`` is the user's: its signature and docstring are those of the op, it gives arrays
of the right dtype and attributes of plain data. ``shape`` says from the shapes of the arrays and the attributes which
shape the result has, or which shape is wrong. ``run`` computes, and keeps what the gradient needs.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec

import numpy as np
import numpy.typing as npt

from fastnn import _core, writes
from fastnn.arrays import as_array, as_float, is_array_like
from fastnn.ops.recording import recorded
from fastnn.tape import Backward, Node, mode
from fastnn.value import Tensor, computed

P = ParamSpec("P")
Shape = tuple[int, ...]
Arrays = Sequence[Any]  # arrays, NumPy scalars for numbers, None for what was not given
Attributes = dict[str, Any]  # JSON: numbers, strings, bools, None, and tuples of them
Normal = tuple[Arrays, Attributes]
Run = Callable[..., tuple[Any, Any]]  # (y, backward)

REFUSALS = (IndexError, OverflowError, TypeError, ValueError)
_FLOAT32 = np.dtype(np.float32)

OPS: dict[str, Op[Any]] = {}  # every op of the package, by name


class DependsOnValues(ValueError):  # noqa: N818  (says what is so, not what went wrong)
    """Raised by ``shape`` where only the values in an array tell the shape of the result."""


class Op(Generic[P]):
    """A function on arrays and Tensors. With no Tensor among its arguments it gives arrays; else Tensors, recorded on
    the tape where a gradient is wanted.

    Args:
        normalise: ``normalise(*arguments, **options)`` gives (arrays, attributes). Arguments that are arrays come first
            in its signature, and ``arrays[i]`` is argument i, None where it is None. It converts dtypes and checks
            arguments, but not shapes, and lays out no memory.
        shape: ``shape(*shapes, **attributes)``, a shape per array and None for None, gives that of the result, or a
            tuple of them (a list, where there may be none), or raises the error that explains. Allocates nothing.
        run: ``run(*arrays, need, **attributes)`` gives ``(y, backward)``, y an array or a tuple of arrays; ``need[i]``
            says whether the gradient of ``arrays[i]`` is wanted (nowhere when nothing is recorded: then nothing has to
            be saved and ``backward`` may be None). ``backward(dy)`` (one dy per output, None where unused) returns one
            gradient per array, None where not wanted. What it holds counts as saved: where that is written before
            ``backward`` is called, it is not called; so it holds no array that it does not read. ``run`` itself raises
            an error of REFUSALS wherever ``shape`` raises one, which is asked only then: to say it well.
        outputs: the dtype of the results, or a tuple of one dtype each, or a function of the arrays' dtypes (None for
            None) that gives it. Default "float32".
        unread: names of arguments that no gradient reads, so that arrays given for them need not be watched.
        floats: so many arguments are float32 where there is no Tensor: integers that stay so are those of Tensors.
    """

    def __init__(
        self,
        normalise: Callable[P, Normal],
        *,
        shape: Callable[..., Any],
        run: Run,
        outputs: str | tuple[str, ...] | Callable[..., Any] = "float32",
        unread: Sequence[str] = (),
        floats: int = 0,
    ) -> None:
        functools.update_wrapper(self, normalise)
        self.name = normalise.__name__.lstrip("_")
        self.normalise, self.shape, self.run = normalise, shape, run
        self._outputs, self._floats = outputs, floats
        every = list(inspect.signature(normalise).parameters.values())
        self._parameters = [p for p in every if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.arguments = [p.name for p in self._parameters]  # arrays first
        self._names = frozenset(self.arguments)
        rest = any(p.kind is p.VAR_POSITIONAL and p.name in unread for p in every)
        places = [i for i, name in enumerate(self.arguments) if name in unread]
        self._unread = range(len(self.arguments), sys.maxsize) if rest else frozenset(places)

    def __repr__(self) -> str:
        return f"<op {self.name}{inspect.signature(self.normalise)}>"

    def __reduce__(self) -> str:
        return self.normalise.__qualname__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method where it stands in a class, as functions are."""
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: P.args, **options: P.kwargs) -> Any:
        given: Any = args if not options or self._names.isdisjoint(options) else self._placed(args, options)
        if recorded and self._is_recorded(given):
            return self._handed_on(list(given), options)
        tensors = _core.opened(given, mode.recording)
        if tensors is None:
            return self._on_arrays(given, options)
        values, need, edges, reached, others = tensors
        if others:
            reached = (reached or []) + [i for i in others if self._as_array(values, i)]
        if reached and self._unread:
            reached = [i for i in reached if i not in self._unread]
        if edges is not None and reached:
            for i in reached:  # an object of our own, of which nobody changes shape, strides or dtype
                if type(values[i]) is np.ndarray and values[i] is given[i]:
                    values[i] = values[i].view()
        arrays, attributes = self.normalise(*values, **options)
        if len(need) != len(arrays):
            need = [*need[: len(arrays)], *[False] * (len(arrays) - len(need))]
        try:  # compute, without the call
            y, backward = self.run(*arrays, need=need, **attributes)
        except REFUSALS:
            self._explain(arrays, attributes)
            raise
        several = type(y) is tuple
        if edges is None or backward is None:
            if y is arrays[0]:
                y = y.view()  # a write through it is seen by whoever saved x
            return tuple([computed(part, None, 0, False) for part in y]) if several else computed(y, None, 0, False)
        watched = writes.watched([values[i] for i in reached]) if reached else None
        node = Node(self.name, backward, edges, len(y) if several else 1, watched)
        if not several:
            output = computed(y, node, 0, False)
            if reached:
                _mark_shared([output], reached, values)
            return output
        outputs = [computed(part, node, i, False) for i, part in enumerate(y)]
        if reached:
            _mark_shared(outputs, reached, values)
        return tuple(outputs)

    def _is_recorded(self, given: Sequence[Any]) -> bool:
        """Whether this thread has a recorder; another thread's may not miss a call."""
        if mode.recorder is None and any([getattr(value, "traced", False) for value in given]):
            raise RuntimeError(f"{self.name}: a Tensor of a trace in another thread: trace what runs in one thread")
        return mode.recorder is not None

    def _on_arrays(self, given: Sequence[Any], options: dict[str, Any]) -> Any:
        """The call, with no Tensor among its arguments."""
        try:
            arrays, attributes = self.normalise(*given, **options)
        except (OverflowError, TypeError):
            arrays, attributes = self._in_floats(given, options)
        if self._floats and arrays[0].dtype is not _FLOAT32:
            arrays, attributes = self._in_floats(given, options)
        try:
            return self.run(*arrays, need=[False] * len(arrays), **attributes)[0]
        except REFUSALS:
            self._explain(arrays, attributes)
            raise

    def _as_array(self, values: list[Any], i: int) -> bool:
        """Makes an array of argument i where it is like one, such as a torch tensor; whether it is."""
        if not is_array_like(values[i]):
            return False
        name = self.arguments[i] if i < len(self.arguments) else f"argument {i}"
        values[i] = as_array(values[i], self.name, name)
        return True

    def compute(self, arrays: Arrays, need: list[bool], attributes: Attributes) -> tuple[Any, Backward | None]:
        """``run``; what it refuses, ``shape`` explains."""
        try:
            return self.run(*arrays, need=need, **attributes)
        except REFUSALS:
            self._explain(arrays, attributes)
            raise

    def _explain(self, arrays: Arrays, attributes: Attributes) -> None:
        try:
            self.shape(*[None if a is None else a.shape for a in arrays], **attributes)
        except DependsOnValues:
            return
        except REFUSALS as error:
            raise error from None

    def apply(self, values: Arrays, attributes: Attributes) -> Any:
        """The call, on values as ``normalise`` gives them, Tensors of such among them, and its attributes."""
        return self._bare(*values, **attributes)

    @functools.cached_property
    def _bare(self) -> Op[...]:
        """The same op without its normalise."""
        bare = object.__new__(type(self))
        bare.__dict__.update(self.__dict__, normalise=lambda *arrays, **attributes: (arrays, attributes))
        bare._names, bare._floats = frozenset(), 0
        return bare

    def dtypes(self, arrays: Arrays, count: int) -> list[np.dtype[Any]]:
        """Of so many outputs."""
        outputs = self._outputs
        if isinstance(outputs, tuple):
            return [np.dtype(name) for name in outputs]
        if not isinstance(outputs, str):
            outputs = outputs(*[None if a is None else a.dtype for a in arrays])
        return [np.dtype(outputs)] * count

    def _placed(self, args: Sequence[Any], options: dict[str, Any]) -> list[Any]:
        """Arguments given by name, moved from ``options`` to their places, with defaults in the gaps before them."""
        placed = list(args)
        last = max([i for i, p in enumerate(self._parameters) if p.name in options], default=-1)
        for p in self._parameters[len(args) : last + 1]:
            if p.name not in options and p.default is p.empty:
                break  # the call will say that it is missing
            placed.append(options.pop(p.name, p.default))
        return placed

    def _in_floats(self, given: Sequence[Any], options: dict[str, Any]) -> Normal:
        """``normalise`` of a call without Tensors that it took for one of integers, or refused."""
        if not self._floats:
            raise  # what it raised
        return self.normalise(*self._as_floats(given), **options)

    def _as_floats(self, given: Sequence[Any]) -> list[Any]:
        """The arguments of a call without Tensors."""
        names = zip(given[: self._floats], self.arguments, strict=False)
        return [as_float(value, self.name, name) for value, name in names] + [*given[self._floats :]]

    def _handed_on(self, given: list[Any], options: dict[str, Any]) -> Any:
        """The call, handed to the recorder."""
        plain: Any = [value._array if isinstance(value, Tensor) else value for value in given]
        if self._floats and not any([isinstance(value, Tensor) for value in given]):
            plain = self._as_floats(plain)
        arrays, attributes = self.normalise(*plain, **options)
        if any([isinstance(value, Tensor) for value in given[len(arrays) :]]):
            mode.recorder.leave(f"{self.name}, which takes a number from a Tensor,")
        return mode.recorder.call(self, (given + [None] * len(arrays))[: len(arrays)], arrays, attributes)

    def shapes(self, shapes: Sequence[Shape | None], attributes: Attributes) -> tuple[Shape, ...]:
        """What ``shape`` says, of every output, also where there is one."""
        shape = self.shape(*shapes, **attributes)
        several = isinstance(shape, list) or (bool(shape) and isinstance(shape[0], tuple))
        return tuple(shape) if several else (shape,)

    def blank(self, arrays: Arrays, attributes: Attributes) -> list[npt.NDArray[Any]]:
        """Outputs that own no memory, of the right shapes and dtypes."""
        shapes = self.shapes([None if a is None else a.shape for a in arrays], attributes)
        return [blank(*each) for each in zip(shapes, self.dtypes(arrays, len(shapes)), strict=True)]


class Look(Op[P]):
    """An op whose answer is for the caller and not for other ops, such as a decoder's: arrays, for Tensors as well."""

    def __call__(self, *args: P.args, **options: P.kwargs) -> Any:
        given: Any = args if not options or self._names.isdisjoint(options) else self._placed(args, options)
        if recorded and self._is_recorded(given):
            return self._handed_on(list(given), options)
        for value in given:
            if isinstance(value, Tensor):
                given = [part._array if isinstance(part, Tensor) else part for part in given]
                break
        arrays, attributes = self.normalise(*given, **options)
        return self.compute(arrays, [False] * len(arrays), attributes)[0]


def blank(shape: Shape, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """An array of that shape that owns no memory: one element that all share, and that may not be written."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _mark_shared(outputs: list[Tensor], reached: list[int], given: Sequence[Any]) -> None:
    """Marks the outputs that show memory of an argument that the user can reach."""
    for output in outputs:
        array = output._array
        if array.base is not None or any(array is given[i] for i in reached):
            output._exposed = any(np.may_share_memory(array, given[i]) for i in reached)


def _registered(kind: type[Op[Any]], options: dict[str, Any]) -> Callable[[Callable[P, Normal]], Op[P]]:
    def make(normalise: Callable[P, Normal]) -> Op[P]:
        made = kind(normalise, **options)
        assert made.name not in OPS
        OPS[made.name] = made
        return made

    return make


def op(**options: Any) -> Callable[[Callable[P, Normal]], Op[P]]:
    """``@op(shape=_shape, run=_run)`` over a normalise makes an Op; see there for all options."""
    return _registered(Op, options)


def look(**options: Any) -> Callable[[Callable[P, Normal]], Look[P]]:
    """``@look(shape=_shape, run=_run)`` makes a Look."""
    return _registered(Look, options)  # type: ignore[return-value]

"""Graph: what a model computes, as data: calls of ops in order, on values that have a number, a shape and a dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_value
from fastnn.ops.op import DependsOnValues, Op, Shape
from fastnn.tape import mode
from fastnn.value import Tensor, wrapped

Array = npt.NDArray[Any]


class Value(NamedTuple):
    """What is known of a value before it is computed."""

    shape: Shape
    dtype: str


class Ref(NamedTuple):
    """A value, in what a function was called with or returned."""

    value: int


class Size(NamedTuple):
    """A number among the attributes that follows an input: ``times`` the size of that axis of that input."""

    times: int
    input: int
    axis: int


class Call(NamedTuple):
    """One call of an op. ``inputs`` are values, None where the op was given none; ``attributes`` are plain data."""

    op: Op[Any]
    inputs: tuple[int | None, ...]
    dtypes: tuple[str | None, ...]  # as which the op reads them
    attributes: dict[str, Any]
    outputs: tuple[int, ...]
    scope: str  # "features.0": the Module it was called in, "" for the outermost


class Visit(NamedTuple):
    """One call of a Module: its name and class, what it was given and returned, and which calls it made."""

    name: str
    layer: str
    given: Any
    returned: Any
    calls: range
    innermost: bool


def mapped(nest: Any, kind: Any, function: Callable[[Any], Any]) -> Any:
    """``nest`` of tuples, lists and dicts with ``function(leaf)`` for every leaf of that kind."""
    if isinstance(nest, kind):
        return function(nest)
    if isinstance(nest, Mapping):
        return {key: mapped(part, kind, function) for key, part in nest.items()}
    if isinstance(nest, (tuple, list)):
        parts = [mapped(part, kind, function) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
    return nest


def refs(nest: Any) -> Iterator[int]:
    """The values in ``nest``, in order."""
    found: list[int] = []
    mapped(nest, Ref, lambda ref: found.append(ref.value))
    return iter(found)


class Graph:
    """Calls of ops in order, on numbered values.

    Attributes: ``inputs`` (values), ``outputs`` (what the function returned, with a Ref for each Tensor), ``calls``,
    ``values`` (shape and dtype of each), ``held`` (parameters, buffers and constants by value), ``names`` (of
    parameters and buffers, by value), ``free`` (axes of inputs, (input, axis), that may have another size than in the
    trace), ``tied`` (those of them that must have one size), ``visits`` (calls of Modules, in the order in which they
    ended).

    ``print`` shows one line per call; ``graph(*arrays)`` runs it, on arrays or Tensors, with the values that
    parameters have now: to the bit what the model gives in the mode in which it was traced.
    """

    def __init__(
        self,
        inputs: list[int],
        outputs: Any,
        calls: list[Call],
        values: list[Value],
        held: dict[int, Tensor | Array],
        names: dict[int, str],
        visits: list[Visit],
        free: frozenset[tuple[int, int]] = frozenset(),
        tied: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self.inputs, self.outputs, self.calls, self.values = inputs, outputs, calls, values
        self.held, self.names, self.visits, self.free, self.tied = held, names, visits, free, tied
        self._dead = self._last_uses()

    def _last_uses(self) -> list[list[int]]:
        """For each call the values that nobody reads after it."""
        last: dict[int, int] = {}
        for i, call in enumerate(self.calls):
            last.update(dict.fromkeys(call.outputs, i))
            last.update({value: i for value in call.inputs if value is not None})
        kept = {*refs(self.outputs), *self.held}
        dead: list[list[int]] = [[] for _ in self.calls]
        for value, i in last.items():
            if value not in kept:
                dead[i].append(value)
        return dead

    def __call__(
        self,
        *arrays: Any,
        held: Mapping[int, Any] | None = None,
        watch: Callable[[Call, list[Any]], None] | None = None,
    ) -> Any:
        """What the function returns for these inputs: Tensors where an input or a parameter is one, else arrays.

        Args:
            arrays: one for each input.
            held: for some of what the graph holds, by value, what to read instead. Default None.
            watch: called with each call, and the values that it is given, before it is run. Default None.

        Raises ValueError for another number of inputs, and where a size differs from the traced one on an axis that is
        not in ``free``; TypeError for another kind of number than was traced: integers, floats or bool.
        """
        found = self._run(arrays, held or {}, watch)
        return mapped(self.outputs, Ref, lambda ref: found[ref.value])

    def _run(self, arrays: Any, held: Mapping[int, Any], watch: Callable[[Call, list[Any]], None] | None) -> Any:
        """All values by number that are alive after the last call."""
        found: dict[int, Any] = {**self.held, **held, **dict(zip(self.inputs, self._checked(arrays), strict=True))}
        if mode.recorder is not None:
            mode.recorder.replay(self, found)
            return found
        sizes = [np.shape(found[value]) for value in self.inputs]
        for call, dead in zip(self.calls, self._dead, strict=True):
            values = read(call, found)
            if watch is not None:
                watch(call, values)
            y = call.op.apply(values, attributes_for(call.attributes, sizes))
            found.update(zip(call.outputs, as_parts(y), strict=True))
            del values
            for value in dead:
                del found[value]
        return found

    def _checked(self, arrays: Any) -> list[Any]:
        if len(arrays) != len(self.inputs):
            raise ValueError(f"graph: {len(arrays)} inputs given, the graph has {len(self.inputs)}")
        given = [self._input(i, array) for i, array in enumerate(arrays)]
        if len({given[i].shape[axis] for i, axis in self.tied}) > 1:
            shapes = ", ".join([str(tuple(x.shape)) for x in given])
            raise ValueError(f"graph: inputs have shapes {shapes}, traced with one number of samples")
        return given

    def _input(self, i: int, array: Any) -> Any:
        value = self.values[self.inputs[i]]
        array = array if isinstance(array, Tensor) else as_value(array, "graph", f"input {i}")
        if np.dtype(value.dtype).kind != array.dtype.kind.replace("u", "i"):
            raise TypeError(f"graph: input {i} has dtype {array.dtype}, traced with {value.dtype}")
        shape = tuple(array.shape)
        fits = len(shape) == len(value.shape) and all(
            n == m or (i, axis) in self.free for axis, (n, m) in enumerate(zip(shape, value.shape, strict=True))
        )
        if not fits:
            raise ValueError(f"graph: input {i} has shape {shape}, traced with {self.shape_text(self.inputs[i])}")
        return array

    def shape_text(self, value: int) -> str:
        """The shape of a value, with a star at sizes of inputs that may differ."""
        sizes = [str(n) for n in self.values[value].shape]
        if value in self.inputs:
            place = self.inputs.index(value)
            sizes = [size + ("*" if (place, axis) in self.free else "") for axis, size in enumerate(sizes)]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def label(self, value: int | None) -> str:
        """How a value is called in the text."""
        if value is None:
            return "None"
        if value in self.inputs:
            return f"x{self.inputs.index(value)}"
        held = self.held.get(value)
        if value not in self.names and isinstance(held, (np.ndarray, np.generic)) and not held.ndim:
            return str(held)
        return self.names.get(value, f"%{value}")

    def __str__(self) -> str:
        given = ", ".join(f"x{i}: {self.values[v].dtype} {self.shape_text(v)}" for i, v in enumerate(self.inputs))
        lines = [f"graph({given}):"]
        for call in self.calls:
            inputs = [self.label(value) for value in call.inputs]
            while inputs and inputs[-1] == "None":
                inputs.pop()
            options = [f"{name}={_text(value)}" for name, value in call.attributes.items()]
            outputs = ", ".join(f"%{value}" for value in call.outputs)
            shapes = ", ".join(self.shape_text(value) for value in call.outputs)
            scope = f"  # {call.scope}" if call.scope else ""
            lines.append(f"  {outputs} = {call.op.name}({', '.join([*inputs, *options])}) -> {shapes}{scope}")
        lines.append(f"  return {_text(mapped(self.outputs, Ref, lambda ref: _Name(self.label(ref.value))))}")
        return "\n".join(lines)

    def verify(self) -> None:
        """Raises ValueError where the graph is not one: a value that is read before it is there or written twice, an
        output that nobody computes, shapes that the ops would not give, attributes that are not plain data."""
        known = {*self.inputs, *self.held}
        for i, call in enumerate(self.calls):
            where = f"graph: call {i}, {call.op.name} in {call.scope!r}"
            missing = [value for value in call.inputs if value is not None and value not in known]
            if missing:
                raise ValueError(f"{where}: reads {missing}, which nothing before it has made")
            if known.intersection(call.outputs):
                raise ValueError(f"{where}: writes {known.intersection(call.outputs)}, which exist already")
            if not _is_plain(call.attributes):
                raise ValueError(f"{where}: attributes {call.attributes} are not plain data")
            known.update(call.outputs)
            self._verify_shapes(where, call)
        missing = [value for value in refs(self.outputs) if value not in known]
        if missing:
            raise ValueError(f"graph: outputs {missing} are made by nothing")

    def _verify_shapes(self, where: str, call: Call) -> None:
        sizes = [self.values[value].shape for value in self.inputs]
        given = [None if value is None else self.values[value].shape for value in call.inputs]
        wanted = [self.values[value] for value in call.outputs]
        try:
            shapes = call.op.shapes(given, attributes_for(call.attributes, sizes))
        except DependsOnValues:
            return
        read = [None if n is None else np.empty(0, n) for n in call.dtypes]
        found = [Value(*each) for each in zip(shapes, map(str, call.op.dtypes(read, len(shapes))), strict=True)]
        if found != wanted:
            raise ValueError(f"{where}: gives {found}, but the graph says {wanted}")


def as_parts(y: Any) -> tuple[Any, ...]:
    """What an op gives, one by one."""
    return y if isinstance(y, tuple) else (y,)


def read(call: Call, found: Mapping[int, Any]) -> list[Any]:
    """The values that a call is given, of the dtypes that its op reads."""
    values = [None if value is None else found[value] for value in call.inputs]
    return [_as_read(value, dtype) for value, dtype in zip(values, call.dtypes, strict=True)]


def _as_read(value: Any, dtype: str | None) -> Any:
    """Integers C-contiguous, as arrays.as_indices gives them."""
    if value is None or dtype is None or (value.dtype == dtype and value.dtype.kind == "f"):
        return value
    tensor = isinstance(value, Tensor)
    array = np.require(value._array if tensor else value, np.dtype(dtype), [] if dtype == "float32" else ["C", "A"])
    return wrapped(array) if tensor else array


def attributes_for(attributes: dict[str, Any], sizes: list[Shape]) -> dict[str, Any]:
    """The attributes for inputs of these shapes."""
    if not any(_has_size(value) for value in attributes.values()):
        return attributes
    found: dict[str, Any] = mapped(attributes, Size, lambda size: size.times * sizes[size.input][size.axis])
    return found


def _has_size(value: Any) -> bool:
    return isinstance(value, Size) or (isinstance(value, (tuple, list)) and any(_has_size(part) for part in value))


def _is_plain(value: Any) -> bool:
    if isinstance(value, Size) or value is None or type(value) in (bool, float, int, str):
        return True
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(part) for key, part in value.items())
    return type(value) in (tuple, list) and all(_is_plain(part) for part in value)


class _Name(str):
    """Text that is shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _text(value: Any) -> str:
    return repr(mapped(value, Size, lambda size: _Name(f"{size.times} * x{size.input}.shape[{size.axis}]")))

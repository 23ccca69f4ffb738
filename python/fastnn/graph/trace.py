"""trace: runs a function once, on shapes alone or on data, and writes down the calls of ops that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.graph.graph import Call, Graph, Ref, Shape, Size, Value, Visit, mapped
from fastnn.graph.recording import own, refuse
from fastnn.ops.op import Op
from fastnn.tape import no_grad
from fastnn.tensor import Tensor, wrapped

Array = npt.NDArray[Any]


def without_memory(shape: Shape, dtype: str) -> Array:
    """An array of that shape whose elements are all one zero, which cannot be written."""
    return np.broadcast_to(np.zeros((), dtype), shape)


class Recorder:
    """Collects the calls of one thread while it is ``own.recorder``. ``on_shapes``: nothing is computed."""

    def __init__(self, on_shapes: bool, modules: dict[int, str], state: Iterable[tuple[str, Tensor | Array]]) -> None:
        self.on_shapes = on_shapes
        self._modules, self._scope = modules, [""]
        self._of: dict[int, int] = {}  # values by id of Tensor or array
        self._alive: list[Any] = []  # so that an id stays its owner's
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.held: dict[int, Tensor | Array] = {}
        self.names: dict[int, str] = {}
        self.visits: list[Visit] = []
        self._state: dict[int, tuple[str, Tensor | Array]] = {}
        for name, part in state:
            self._state.setdefault(id(part), (name, part))
            if isinstance(part, Tensor):
                self._state.setdefault(id(part._array), (name, part))

    def new(self, shown: Any) -> int:
        """Numbers a Tensor or array that was not there before."""
        self.values.append(Value(tuple(shown.shape), shown.dtype.name))
        self._alive.append(shown)
        self._of[id(shown)] = len(self.values) - 1
        return len(self.values) - 1

    def value_of(self, given: Any, array: Array) -> int:
        """The value that an op was given: known, a parameter or buffer, or a constant."""
        for key in (id(given), id(array)):
            if key in self._of:
                return self._of[key]
        for key in (id(given), id(array)):
            if key in self._state:
                name, part = self._state[key]
                known = self._of.get(id(part))
                value = self.new(part) if known is None else known
                self._of[key] = value
                self._alive.append(given)
                self.held[value], self.names[value] = part, name
                return value
        value = self.new(array)
        self.held[value] = array
        self._of[id(given)] = value
        self._alive.append(given)
        return value

    def record(
        self, op: Op[..., Any], given: list[Any], arrays: list[Any], attributes: dict[str, Any], outputs: list[Tensor]
    ) -> None:
        """An op was called with ``given``, which it read as ``arrays`` and ``attributes``, and gave ``outputs``."""
        inputs = tuple([None if a is None else self.value_of(g, a) for g, a in zip(given, arrays, strict=True)])
        self.calls.append(Call(op, inputs, attributes, tuple([self.new(y) for y in outputs]), self._scope[-1]))

    def same(self, new: Tensor, old: Tensor) -> None:
        """``new`` shows what ``old`` shows (detach)."""
        self._of[id(new)] = self.value_of(old, old._array)
        self._alive.append(new)

    def shown(self, nest: Any) -> Any:
        """What a function was given or returned, with Refs for Tensors and arrays."""
        return mapped(nest, (Tensor, np.ndarray), self._ref)  # type: ignore[arg-type]

    def _ref(self, part: Any) -> Ref:
        return Ref(self.value_of(part, part._array if isinstance(part, Tensor) else part))

    def visit(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Module.__call__ while this recorder is on."""
        name = self._modules.get(id(module), self._scope[-1])
        begin, inner = len(self.calls), len(self.visits)
        self._scope.append(name)
        try:
            output = module.forward(*args, **kwargs)
        finally:
            self._scope.pop()
        calls, innermost = range(begin, len(self.calls)), len(self.visits) == inner
        given = self.shown((*args, *kwargs.values()))
        self.visits.append(Visit(name, type(module).__name__, given, self.shown(output), calls, innermost))
        return output


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """The ops of this thread are handed to ``recorder``."""
    if own.recorder is not None:
        refuse("a trace inside a trace", "trace one function at a time")
    own.recorder = recorder
    try:
        with no_grad():
            yield
    finally:
        own.recorder = None


def _state_of(function: Any) -> tuple[dict[int, str], list[tuple[str, Tensor | Array]]]:
    """Names of the Modules inside, and parameters and buffers by name; nothing for a plain function."""
    if not hasattr(function, "named_modules"):
        return {}, []
    modules = {id(module): name for name, module in function.named_modules()}
    return modules, [*function.named_parameters(), *function.named_buffers()]


def _record(function: Callable[..., Any], inputs: list[Any], on_shapes: bool) -> Graph:
    modules, state = _state_of(function)
    recorder = Recorder(on_shapes, modules, state)
    with recording(recorder):
        places = [recorder.new(x) for x in inputs]
        outputs = recorder.shown(function(*inputs))
    return Graph(places, outputs, recorder.calls, recorder.values, recorder.held, recorder.names, recorder.visits)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(type(n) is int for n in value)


def _inputs(given: tuple[Any, ...]) -> tuple[list[Tensor], bool]:
    """Tensors for the inputs of a trace, and whether they are shapes alone."""
    on_shapes = any(_is_shape(x) or isinstance(x, Value) for x in given)
    tensors = []
    for i, x in enumerate(given):
        if isinstance(x, Value):
            array = without_memory(x.shape, x.dtype)
        elif _is_shape(x):
            if any(n < 0 for n in x):
                raise ValueError(f"trace: input {i} is {x!r}, expected sizes of at least 0")
            array = without_memory(tuple(x), "float32")
        else:
            array = np.asarray(x._array if isinstance(x, Tensor) else x)
            array = array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
            array = array.astype(np.int64, copy=False) if array.dtype.kind in "iu" else array
            if on_shapes:
                array = without_memory(array.shape, array.dtype.name)
        tensors.append(wrapped(array))
    return tensors, on_shapes


def trace(function: Callable[..., Any], *inputs: Any) -> Graph:
    """The graph of what ``function``, a Module or any function of Tensors, computes for such inputs.

    Args:
        function: called once, in the mode in which it is (``model.eval()`` first for one that serves), nothing is
            written to it.
        inputs: shapes, tuples of sizes, samples included: then nothing is computed or allocated, and parameters made
            under ``nn.init.blank()`` take no memory either; or arrays, on which the function is run. With a shape among
            them, arrays give their shapes and dtypes only; ``graph.Value(shape, "int64")`` is a shape of integers.

    Sizes that the graph does not depend on are found by further traces on shapes: the axis of samples, with which all
    inputs vary together, and every axis by itself; they are in ``free``.

    Raises RuntimeError, with the line, for what a graph cannot hold: a branch on values (``if x.sum() > 0``), NumPy on
    a Tensor's data, an assignment into a Tensor. What the ops raise for shapes that do not fit is raised here too.

    >>> import fastnn as fnn
    >>> from fastnn import nn
    >>> print(fnn.trace(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), (1, 3)))
    graph(x0: float32 (1*, 3)):
      %3 = linear(x0, 0.weight, 0.bias) -> (1, 8)  # 0
      %4 = relu(%3) -> (1, 8)  # 1
      return %4
    """
    tensors, on_shapes = _inputs(inputs)
    if not tensors:
        raise ValueError("trace: no inputs given, expected shapes or arrays")
    graph = _record(function, tensors, on_shapes)
    return _freed(graph, function, getattr(function, "batch_axis", 0))


def _freed(graph: Graph, function: Callable[..., Any], batch_axis: int) -> Graph:
    """The graph with the sizes of inputs that may differ marked, and attributes that follow them as Size."""
    shapes = [graph.values[value].shape for value in graph.inputs]
    together = [(i, min(batch_axis, len(shape) - 1)) for i, shape in enumerate(shapes) if shape]
    groups = [together, *([(i, axis)] for i, shape in enumerate(shapes) for axis in range(len(shape)))]
    for group in groups:
        if group and not graph.free.issuperset(group):
            graph = _with_free(graph, function, group) or graph
    return graph


def _with_free(graph: Graph, function: Callable[..., Any], group: list[tuple[int, int]]) -> Graph | None:
    """The graph where the sizes of ``group`` may all be another one; None where that would be another graph."""
    sizes = {graph.values[graph.inputs[i]].shape[axis] for i, axis in group}
    if len(sizes) != 1:
        return None
    size, calls = sizes.pop(), graph.calls
    for more in (1, 2):  # two others, so that what follows by chance is not taken for a rule
        inputs = []
        for i, value in enumerate(graph.inputs):
            shape = list(graph.values[value].shape)
            for j, axis in group:
                if i == j:
                    shape[axis] += more
            inputs.append(wrapped(without_memory(tuple(shape), graph.values[value].dtype)))
        try:
            other = _record(function, inputs, True)
        except Exception:  # whatever the function says to that size: it is not free
            return None
        variant = [tuple(x.shape) for x in inputs]
        found = _following(calls, other.calls, size, variant, group[0]) if _alike(graph, other) else None
        if found is None:
            return None
        calls = found
    return Graph(
        graph.inputs, graph.outputs, calls, graph.values, graph.held, graph.names, graph.visits,
        graph.free | frozenset(group),
    )  # fmt: skip


def _alike(one: Graph, other: Graph) -> bool:
    """Whether two graphs have the same values held and returned, under the same numbers."""
    if one.outputs != other.outputs or one.names != other.names or one.held.keys() != other.held.keys():
        return False
    return all(value in one.names or _same(one.held[value], other.held[value]) for value in one.held)


def _same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(np.asarray(a), np.asarray(b))


def _following(
    calls: list[Call], others: list[Call], size: int, shapes: list[Shape], place: tuple[int, int]
) -> list[Call] | None:
    """``calls`` whose attributes give those of ``others``, traced with inputs of ``shapes``, where the axis at
    ``place`` had ``size``; None if nothing does."""
    if len(calls) != len(others):
        return None
    found = []
    for a, b in zip(calls, others, strict=True):
        if (a.op, a.inputs, a.outputs, a.scope) != (b.op, b.inputs, b.outputs, b.scope):
            return None
        try:
            attributes = _rule(a.attributes, b.attributes, size, shapes, place)
        except ValueError:
            return None
        found.append(a._replace(attributes=attributes))
    return found


def _rule(a: Any, b: Any, size: int, shapes: list[Shape], place: tuple[int, int]) -> Any:
    """What gives ``a`` for one size and ``b`` for inputs of ``shapes``; ValueError if nothing does."""
    if isinstance(a, Size):
        if a.times * shapes[a.input][a.axis] == b:
            return a
    elif type(a) is int and type(b) is int and a != b:
        if size and a % size == 0 and a // size * shapes[place[0]][place[1]] == b:
            return Size(a // size, *place)
    elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return {key: _rule(a[key], b[key], size, shapes, place) for key in a}
    elif type(a) in (tuple, list) and type(a) is type(b) and len(a) == len(b):
        return type(a)([_rule(x, y, size, shapes, place) for x, y in zip(a, b, strict=True)])
    elif a == b and type(a) is type(b):
        return a
    raise ValueError("no rule")

"""Recorder: writes down the ops, and the Modules, that one thread calls."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.graph.graph import Call, Graph, Ref, Value, Visit, as_parts, attributes_for, mapped, read
from fastnn.graph.traced import NOT_THE_USERS, Look, TracedSize, traced
from fastnn.ops.convert import detach
from fastnn.ops.op import Op
from fastnn.ops.recording import recording
from fastnn.tape import mode
from fastnn.value import Parameter, Tensor, computed, wrapped

Array = npt.NDArray[Any]

_NOT_THE_USERS = (*NOT_THE_USERS, copy.__file__)


class TraceError(RuntimeError):
    """Something that a graph cannot hold."""


def place() -> str:
    """Where the user's code is: file and line of the innermost frame outside of the package, NumPy and copy."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}, in {frame.f_code.co_name}"


def _owner(array: Any) -> Any:
    """Whose memory an array shows."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


class Recorder:
    """Collects the calls of one thread. ``on_shapes``: nothing is computed. ``lenient``: values may leave the graph by
    other ways than ops, so that what it holds is what was called and not all that was computed."""

    def __init__(self, on_shapes: bool, lenient: bool = False) -> None:
        self._on_shapes, self._lenient = on_shapes, lenient
        self._modules: dict[int, str] = {}
        self._kinds: dict[str, int] = {}  # how many Modules that are in no other were called, by class
        self._scope = [""]
        self._of: dict[int, int] = {}  # values by id of a Tensor or an array
        self._alive: list[Any] = []  # so that an id stays its owner's
        self._owners: set[int] = set()  # ids of the memory of computed values
        self._state: dict[int, tuple[str, Tensor | Array]] = {}
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.shown: list[Any] = []  # the Tensor or array of each value
        self.held: dict[int, Tensor | Array] = {}
        self.names: dict[int, str] = {}
        self.visits: list[Visit] = []
        self.looks: list[Look] = []  # what the function asked of sizes
        self.outside: Any = None  # mode.before where the function is called: another one inside of no_grad
        self._refusal: TraceError | None = None

    # Values

    def new(self, shown: Any) -> int:
        """The number of a Tensor or array that was not there before."""
        number = len(self.values)
        self.values.append(Value(tuple(map(int, shown.shape)), shown.dtype.name))
        self.shown.append(shown)
        self._know(shown, number)
        return number

    def computed(self, tensor: Tensor) -> int:
        """The number of what an op gave."""
        self._owners.add(id(_owner(tensor._array)))
        return self.new(tensor)

    def _know(self, part: Any, number: int) -> None:
        self._alive.append(part)
        self._of[id(part)] = number
        if isinstance(part, Tensor):
            self._alive.append(part._array)
            self._of.setdefault(id(part._array), number)

    def _known(self, part: Any) -> int | None:
        """The number of what is there already, or belongs to the state of a Module."""
        if id(part) in self._of:
            return self._of[id(part)]
        found = self._state.get(id(part))
        if found is None and isinstance(part, np.ndarray) and part.base is not None:  # a whole view of a buffer
            found = self._state.get(id(part.base))
            if found is not None and not (part.shape == part.base.shape and part.strides == part.base.strides):
                found = None
        if found is None:
            return self._known(part._array) if isinstance(part, Tensor) else None
        name, state = found
        number = self._of.get(id(state))
        if number is None:
            number = self.new(state)
            self.held[number], self.names[number] = state, name
        return number

    def _value(self, given: Any, array: Any) -> int:
        """What an op was given, which it read as ``array``: known, or a constant."""
        for part in (given, array):
            if isinstance(part, (Tensor, np.ndarray)):
                number = self._known(part)
                if number is not None:
                    return number
        owner = _owner(array)
        if id(owner) in self._owners:
            self.leave("a view by NumPy of a computed array")
        if id(owner) in self._state:
            self.leave(f"a part of {self._state[id(owner)][0]} by NumPy (write fnn.ops.index(buffer, key))")
        number = self.new(_constant(given, array))
        self.held[number] = self.shown[number]
        return number

    def _is_traced(self, part: Any) -> bool:
        """Whether it may be another one next time: an input, state, what is trained, or computed of these."""
        if not isinstance(part, (Tensor, np.ndarray)):
            return False
        return self._known(part) is not None or (isinstance(part, Tensor) and part.requires_grad)

    # What ops.op.Recorder wants

    def call(self, op: Op[Any], given: Any, arrays: Any, attributes: dict[str, Any]) -> Any:
        """See ops.op.Recorder; gives Tensors, also of integers, unless all is constant."""
        attributes = mapped(attributes, TracedSize, int)
        with recording(None):
            if not any([self._is_traced(part) for part in given]) and not attributes.get("training"):
                found: Any = op.apply(arrays, attributes)  # of constants, also on shapes: somebody may keep it
                return mapped(found, np.ndarray, wrapped) if any([isinstance(x, Tensor) for x in given]) else found
            if self._on_shapes:
                found = tuple(op.blank(arrays, attributes))
                several = len(found) != 1 or isinstance(op.shape(*map(shape_of, arrays), **attributes), list)
                found = found if several else found[0]
            else:
                found = op.apply(arrays, attributes)
        parts = found if isinstance(found, tuple) else (found,)
        if not all([isinstance(part, np.ndarray) for part in parts]):
            return self._untraceable(op, found)
        inputs = tuple([None if a is None else self._value(g, a) for g, a in zip(given, arrays, strict=True)])
        dtypes = tuple([None if a is None else a.dtype.name for a in arrays])
        tensors = tuple([traced(computed(part, None, 0, False)) for part in parts])
        outputs = tuple([self.computed(tensor) for tensor in tensors])
        self.calls.append(Call(op, inputs, dtypes, attributes, outputs, self._scope[-1]))
        if mode.before is not self.outside and op is not detach:  # inside of the function's no_grad
            tensors = tuple([detach(tensor) for tensor in tensors])
        return tensors if isinstance(found, tuple) else tensors[0]

    def detached(self, tensor: Tensor) -> Any:
        """See ops.op.Recorder."""
        return detach(tensor)

    def check(self, outputs: Any) -> None:
        """Raises TraceError for what a graph cannot give back, and where the function went on after a refusal."""
        if self._refusal is not None:
            raise self._refusal
        if not self._lenient:
            _check_plain(outputs)

    def _untraceable(self, op: Op[Any], found: Any) -> Any:
        self.leave(f"{op.name}, whose answer is no array of a shape that can be told,")
        return found

    def visit(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See ops.op.Recorder."""
        if id(module) not in self._modules:
            self.enter(module, self._prefix(module))
        name = self._modules[id(module)]
        begin, inner = len(self.calls), len(self.visits)
        given = self.refs((*args, *kwargs.values()))
        self._scope.append(name)
        try:
            output = module.forward(*args, **kwargs)
        finally:
            self._scope.pop()
        calls, innermost = range(begin, len(self.calls)), len(self.visits) == inner
        self.visits.append(Visit(name, type(module).__name__, given, self.refs(output), calls, innermost))
        return output

    def replay(self, graph: Graph, found: dict[int, Any]) -> None:
        """See ops.op.Recorder."""
        begin, sizes = len(self.calls), [np.shape(found[value]) for value in graph.inputs]
        for call in graph.calls:
            given = [None if value is None else found[value] for value in call.inputs]
            arrays = [part._array if isinstance(part, Tensor) else part for part in read(call, found)]
            self._scope.append(".".join(filter(None, (self._scope[-1], call.scope))))
            try:
                y = self.call(call.op, given, arrays, attributes_for(call.attributes, sizes))
            finally:
                self._scope.pop()
            found.update(zip(call.outputs, as_parts(y), strict=True))
        if len(self.calls) - begin != len(graph.calls):
            return  # some are of constants alone here
        for visit in graph.visits:
            name = ".".join(filter(None, (self._scope[-1], visit.name)))
            given, returned = [mapped(n, Ref, lambda ref: self._ref(found[ref.value])) for n in visit[2:4]]
            calls = range(begin + visit.calls.start, begin + visit.calls.stop)
            if visit.name:  # not that of the whole, which is the visit of whoever replays it
                self.visits.append(Visit(name, visit.layer, given, returned, calls, visit.innermost))

    def leave(self, what: str) -> None:
        """Raises TraceError, unless lenient."""
        if not self._lenient:
            self._refusal = self._refusal or TraceError(
                f"trace: {what} at {place()}: the graph would not have it, because only calls of ops are recorded; "
                "write it with ops of fastnn.ops, or leave it to the caller"
            )
            raise self._refusal

    # Modules

    def _prefix(self, module: Any) -> str:
        """The name of a Module that is in no other: its class, and a number from the second on."""
        kind = type(module).__name__
        count = self._kinds[kind] = self._kinds.get(kind, 0) + 1
        return kind if count == 1 else f"{kind}_{count}"

    def enter(self, module: Any, prefix: str) -> None:
        """Names the Modules inside and their state."""
        self._alive.append(module)
        for below, inner in module.named_modules():
            self._modules.setdefault(id(inner), ".".join(filter(None, (prefix, below))))
        state: Iterable[tuple[str, Tensor | Array]] = (*module.named_parameters(), *module.named_buffers())
        for below, part in state:
            named = ".".join(filter(None, (prefix, below))), part
            self._state.setdefault(id(part), named)
            if isinstance(part, Tensor):
                self._state.setdefault(id(part._array), named)

    def refs(self, nest: Any) -> Any:
        """What a function was given or returned, with Refs for Tensors and arrays."""
        return mapped(nest, (Tensor, np.ndarray), self._ref)

    def _ref(self, part: Any) -> Ref:
        number = self._known(part)
        if number is None:
            number = self.new(part)
            self.held[number] = part
        return Ref(number)


def _constant(given: Any, array: Any) -> Any:
    """A constant as a graph holds it: a copy, because the user may write to it, unless it is to be trained."""
    if isinstance(given, Tensor) and (given.requires_grad or isinstance(given, Parameter)):
        return given
    whole = array.size < 2 or any(array.strides)
    copied = array.copy() if whole else np.broadcast_to(array.flat[0].copy(), array.shape)  # that takes no memory
    return wrapped(copied) if isinstance(given, Tensor) else copied


def shape_of(array: Any) -> Any:
    return None if array is None else array.shape


def input_tensor(array: Array) -> Tensor:
    """The Tensor that stands for an input: a view, so that it is not taken for the array where that is a constant."""
    return traced(wrapped(array[...]))


def _check_plain(part: Any) -> None:
    """Raises TraceError for what is neither a Tensor, a number or text, nor a tuple, list or dict of such."""
    if isinstance(part, (tuple, list)):
        for inner in part:
            _check_plain(inner)
    elif isinstance(part, Mapping):
        for inner in part.values():
            _check_plain(inner)
    elif not isinstance(part, (Ref, bool, int, float, str, type(None), np.generic)):
        raise TraceError(
            f"trace: the function returns a {type(part).__name__}, whose parts a graph does not know; return Tensors, "
            "numbers and text, or tuples, lists and dicts of them"
        )

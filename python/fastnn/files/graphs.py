"""Models of any class in files, as graphs: one in evaluation mode, one in training mode, and the state they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import random
from fastnn.arrays import columns_first
from fastnn.files.description import ties
from fastnn.graph.data import graph_data, graph_of, twins
from fastnn.graph.graph import Graph, Value
from fastnn.graph.recorder import TraceError
from fastnn.graph.trace import repeats, trace
from fastnn.nn.attributes import writable
from fastnn.nn.graph_module import GraphModule, Place
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.state import same_bits
from fastnn.nn.tree import joined, own_buffers, own_parameters, walk
from fastnn.ops.op import DependsOnValues
from fastnn.tape import no_grad
from fastnn.value import Parameter, Tensor, wrapped

Array = npt.NDArray[Any]
Description = dict[str, Any]

_ALIKE = "what it computes is another thing every time: it draws random numbers of its own, or keeps something"


# Models as graphs


def places(model: Module) -> list[Place]:
    """All of a model's state, and its buffers that are not saved, as they are named in the model."""
    found = []
    for prefix, module in walk(model):
        for name, held in own_parameters(module):
            found.append(Place(joined(prefix, name), held, columns_first=name in module.columns_first))
        for name, array in own_buffers(module):
            found.append(Place(joined(prefix, name), array, saved=name not in module._unsaved_buffers))
    return found


def traced(model: Module, example: Any) -> GraphModule:
    """A model as a GraphModule on the same Parameters and buffers. Raises what trace raises for ``example``."""
    if isinstance(model, GraphModule):
        return model
    own = set(model.state_dict()) if any([_adds(m) for m in model.modules()]) else set[str]()
    inputs = example if isinstance(example, tuple) and not _is_shape(example) else (example,)
    for _, module in walk(model):  # what training moves is what the graph holds
        for name, _ in own_buffers(module):
            writable(module, name)
    state = places(model)
    if added := sorted(own - {place.name for place in state}):
        raise TypeError(
            f"save: state_dict() of {type(model).__name__} adds {', '.join(added)}, which no graph holds: make it "
            "a buffer, or save it as metadata"
        )
    with evaluation(model), no_grad():
        graph = _named(trace(model, *inputs), state)
        with _kept(state):
            alike = repeats(model, inputs)
        if not alike or not twins(graph, _named(trace(model, *inputs), state)):
            raise TraceError(f"save: no graph can hold this {type(model).__name__}: {_ALIKE}")
        training, refusal = _in_training(model, inputs, graph, state)
    return GraphModule._made(graph, training, refusal, state, model.batch_axis)


def _adds(module: Module) -> bool:
    """Whether its class may put more into the state than Parameters and buffers."""
    return type(module).state_dict is not Module.state_dict


def _is_shape(value: Any) -> bool:
    return all([isinstance(n, (int, np.integer)) for n in value])


def _named(graph: Graph, state: Sequence[Place]) -> Graph:
    """The graph with the names of the state: a class may call its Parameters otherwise, or hide some."""
    names: dict[int, str] = {}
    for place in state:
        names.setdefault(id(place.held), place.name)
    graph.names = {value: names[id(held)] for value, held in graph.held.items() if id(held) in names}
    return graph


def _in_training(
    model: Module, inputs: Sequence[Any], graph: Graph, state: Sequence[Place]
) -> tuple[Graph | None, str]:
    """The graph in training mode, None where it is the same one; or why there is none."""
    shapes = []
    for i, number in enumerate(graph.inputs):
        shape, dtype = graph.values[number]
        axis = min(model.batch_axis, len(shape) - 1)
        few = axis >= 0 and (i, axis) in graph.free and shape[axis] == 1  # statistics of one sample may be none
        shapes.append(Value((*shape[:axis], 2, *shape[axis + 1 :]) if few else shape, dtype))
    try:
        model.train()
        try:
            found = [_named(trace(model, *shapes), state) for _ in range(2)]
            alike = repeats(model, shapes)
        except TraceError as error:
            if not isinstance(error.__cause__, DependsOnValues):
                raise
            with _kept(state):
                found = [_named(trace(model, *inputs), state) for _ in range(2)]
                alike = repeats(model, inputs)
    except Exception as error:  # whatever a forward says to training
        return None, f"{error}"
    finally:
        model.eval()
    if not alike or not twins(*found):
        return None, _ALIKE
    return (None if twins(graph, found[0]) else found[0]), ""


@contextmanager
def _kept(state: Sequence[Place]) -> Iterator[None]:
    """What a trace on data moves is put back: buffers, and the random generator."""
    before = [(place.held, place.held.copy()) for place in state if not isinstance(place.held, Parameter)]
    try:
        with random.using(np.random.default_rng(0)):
            yield
    finally:
        for array, kept in before:
            np.copyto(array, kept)


# To a record


class _Constants:
    """Arrays that graphs hold, each once, by names that the state does not have."""

    def __init__(self, taken: Mapping[str, Any]) -> None:
        self._taken, self.arrays, self._known = taken, dict[str, Array](), dict[tuple[Any, ...], str]()

    def name_of(self, array: Any) -> str:
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._known:
            number = len(self.arrays)
            while (name := f"constant~{number}") in self._taken:
                number += 1
            self.arrays[name], self._known[key] = array, name
        return self._known[key]


def describe_graph(model: GraphModule) -> tuple[Description, dict[str, Array]]:
    """The model as JSON, and all its arrays. Raises TypeError where it returns what a file cannot hold."""
    state = places(model)
    arrays = {place.name: np.asarray(getattr(place.held, "_array", place.held)) for place in state}
    constants = _Constants(arrays)
    held = [model._serving, model._trained]
    graphs = [None if h is None else graph_data(h.graph, _keeper(h.graph, constants)) for h in held]
    description = {
        "batch_axis": model.batch_axis,
        "refusal": model._refusal,
        "serving": graphs[0],
        "state": [[p.name, isinstance(p.held, Parameter), p.columns_first, p.saved] for p in state],
        "ties": ties(model),
        "training": graphs[1],
    }
    arrays |= constants.arrays
    build_graph(description, arrays)  # what cannot be read again is not written
    return description, arrays


def _keeper(graph: Graph, constants: _Constants) -> Any:
    def keep(number: int, held: Any) -> tuple[str, str]:
        if number in graph.names:
            return "state", graph.names[number]
        array = held._array if isinstance(held, Tensor) else np.asarray(held)
        return ("tensor" if isinstance(held, Tensor) else "array"), constants.name_of(array)

    return keep


# From a record


def state_of(description: Any, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Of the arrays of a file those that the model's state_dict has. Raises ValueError for no description."""
    saved = {name for name, _, _, saved in _state(description) if saved}
    return {name: array for name, array in arrays.items() if name in saved}


def _state(description: Any) -> list[list[Any]]:
    state = description.get("state") if isinstance(description, dict) else None
    if not isinstance(state, list):
        raise ValueError(f"no state: {state!r:.200}")
    for entry in state:
        if not isinstance(entry, list) or [type(part) for part in entry] != [str, bool, bool, bool]:
            raise ValueError(f"no entry of a state: {entry!r:.200}")
    return state


def _holders(description: Any, arrays: Mapping[str, Array]) -> list[Place]:
    """The state, with one Parameter or array for what is tied."""
    found: dict[str, Place] = {}
    for name, trained, columns, saved in _state(description):
        array = arrays.get(name)
        if array is None or name in found:
            raise ValueError(f"{name!r:.200} is no array of the file, or is there twice")
        if trained and array.dtype != np.float32:
            raise ValueError(f"{name} has dtype {array.dtype}, a parameter has float32")
        held: Any = array
        if trained:
            held = Parameter(np.empty(0, np.float32))
            held._hold(columns_first(array) if columns and array.ndim == 2 else array)
        found[name] = Place(name, held, columns, saved)
    groups = description.get("ties")
    for group in groups if isinstance(groups, list) else [None]:
        if not isinstance(group, list) or not all([isinstance(n, str) and n in found for n in group]) or not group:
            raise ValueError(f"no tie of names: {group!r:.200}")
        first, *others = [found[name] for name in group]
        for other in others:
            alike = isinstance(first.held, Parameter) == isinstance(other.held, Parameter)
            if not alike or not same_bits(arrays[first.name], arrays[other.name]):
                raise ValueError(f"{first.name} and {other.name} are one in the model, but differ")
            found[other.name] = other._replace(held=first.held)
    return list(found.values())


def build_graph(description: Any, arrays: Mapping[str, Array]) -> GraphModule:
    """The described model, holding the arrays themselves. Raises ValueError or TypeError for what is no description,
    or not of these arrays."""
    state = _holders(description, arrays)
    named, used = {place.name: place.held for place in state}, {place.name for place in state}

    def held(kind: Any, name: Any) -> Any:
        if not isinstance(name, str) or name not in arrays or (kind == "state") != (name in named):
            raise ValueError(f"no array {name!r:.200}")
        used.add(name)
        if kind == "state":
            return named[name]
        if kind not in ("array", "tensor"):
            raise ValueError(f"no kind of a constant: {kind!r:.200}")
        return wrapped(arrays[name]) if kind == "tensor" else arrays[name]

    graph = graph_of(description.get("serving"), held)
    training = description.get("training")
    training = None if training is None else graph_of(training, held)
    axis, refusal = description.get("batch_axis"), description.get("refusal")
    if type(axis) is not int or not 0 <= axis < 2**31 or not isinstance(refusal, str):
        raise ValueError(f"no axis or reason: {axis!r:.200}, {refusal!r:.200}")
    if left := sorted(arrays.keys() - used):
        raise ValueError(f"arrays left over: {left[:10]}")
    return GraphModule._made(graph, training, refusal, state, axis)

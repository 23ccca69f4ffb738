"""Graphs as plain data, for files, and back: of a file that may say anything, nothing is believed.

In a nest of values, null, true, false, strings, integers of 63 bits and finite floats are themselves; all else is an
object with one key: ``ref`` (a value of the graph), ``size`` (times, input, axis), ``float`` (inf, nan), ``tuple``,
``list`` or ``dict`` (pairs).
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnn.graph.algorithms import available
from fastnn.graph.graph import Array, Call, Graph, Ref, Size, Value, Visit
from fastnn.ops.op import OPS, Op, Shape
from fastnn.value import Tensor

Data = dict[str, Any]
Keep = Callable[[int, Any], tuple[str, str]]  # (kind, name) of what a graph holds under a number
Held = Callable[[Any, Any], Any]  # what is held: of that kind and name

_DEEP = 32  # levels of a nest
_LONG = 2**62  # sizes and numbers of a file stay below
_MOST_AXES = 32  # NumPy's
_DTYPES = frozenset(("bool", *[f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]))
_DTYPES |= {"float16", "float32", "float64"}


# To data


def nest_data(nest: Any, strict: bool = True) -> Any:
    """A nest as JSON; what is no plain data raises TypeError, or is None where not ``strict``."""
    if isinstance(nest, Ref):
        return {"ref": nest.value}
    if isinstance(nest, Size):
        return {"size": list(nest)}
    if nest is None or type(nest) in (bool, str) or (type(nest) is int and abs(nest) < _LONG):
        return nest
    if type(nest) is float:
        return nest if math.isfinite(nest) else {"float": repr(nest)}
    if isinstance(nest, Mapping) and all([type(key) in (int, str) for key in nest]):
        return {"dict": [[key, nest_data(part, strict)] for key, part in nest.items()]}
    if isinstance(nest, (tuple, list)):
        kind = "tuple" if isinstance(nest, tuple) else "list"
        return {kind: [nest_data(part, strict) for part in nest]}
    if strict:
        raise TypeError(f"a {type(nest).__name__} is neither an array nor plain data")
    return None


def _visit_data(visit: Visit) -> list[Any]:
    nests = [nest_data(nest, strict=False) for nest in (visit.given, visit.returned)]
    return [visit.name, visit.layer, *nests, visit.calls.start, visit.calls.stop, visit.innermost]


def graph_data(graph: Graph, keep: Keep) -> Data:
    """The graph as JSON, but for what it holds: ``keep(number, held)`` says under which kind and name that is found.

    Raises TypeError where the graph returns what is neither an array nor plain data.
    """
    return {
        "calls": [
            [c.op.name, list(c.inputs), list(c.dtypes), nest_data(c.attributes), list(c.outputs), c.scope]
            for c in graph.calls
        ],
        "free": sorted(map(list, graph.free)),
        "held": [[value, *keep(value, held)] for value, held in graph.held.items()],
        "inputs": graph.inputs,
        "outputs": nest_data(graph.outputs),
        "tied": sorted(map(list, graph.tied)),
        "values": [[list(value.shape), value.dtype] for value in graph.values],
        "visits": [_visit_data(visit) for visit in graph.visits],
    }


# From data


def _require(truth: bool, what: str, data: Any) -> None:
    if not truth:
        raise ValueError(f"graph: {what} {data!r:.200}")


def _is_number(value: Any, below: int = _LONG, least: int = 0) -> bool:
    return type(value) is int and least <= value < below


def _list(data: Any, what: str, length: int | None = None) -> list[Any]:
    _require(isinstance(data, list) and length in (None, len(data)), f"no {what}:", data)
    return data  # type: ignore[no-any-return]


def nest_of(data: Any, values: int, depth: int = _DEEP) -> Any:
    """What ``nest_data`` was given, in a graph of so many values."""
    if data is None or type(data) in (bool, str, float) or _is_number(data, least=1 - _LONG):
        return data
    _require(isinstance(data, dict) and len(data) == 1 and depth > 0, "no part of a nest:", data)
    ((kind, part),) = data.items()
    if kind == "ref" and _is_number(part, values):
        return Ref(part)
    if kind == "size":
        _require(all([_is_number(n, least=1 - _LONG) for n in _list(part, "size", 3)]), "no size:", part)
        return Size(*part)
    if kind == "float" and part in ("inf", "-inf", "nan"):
        return float(part)
    parts = _list(part, "nest")
    if kind in ("list", "tuple"):
        found = [nest_of(each, values, depth - 1) for each in parts]
        return found if kind == "list" else tuple(found)
    _require(kind == "dict" and all([isinstance(p, list) and len(p) == 2 for p in parts]), "no part of a nest:", data)
    _require(all([type(key) in (int, str) for key, _ in parts]), "no keys of a dict:", data)
    return {key: nest_of(each, values, depth - 1) for key, each in parts}


def _value(data: Any) -> Value:
    shape, dtype = _list(data, "value", 2)
    sizes = _list(shape, "shape")
    _require(len(sizes) <= _MOST_AXES and all(map(_is_number, sizes)), "no shape:", shape)
    _require(math.prod([max(n, 1) for n in sizes]) < _LONG, "no array can have the shape", shape)
    _require(isinstance(dtype, str) and dtype in _DTYPES, "no dtype:", dtype)
    return Value(tuple(sizes), dtype)


def _places(data: Any, inputs: list[Value]) -> frozenset[tuple[int, int]]:
    """Axes of inputs."""
    pairs = [_list(pair, "axis of an input", 2) for pair in _list(data, "axes")]
    for i, axis in pairs:
        _require(_is_number(i, len(inputs)) and _is_number(axis, len(inputs[i].shape)), "no axis of an input:", data)
    return frozenset([(i, axis) for i, axis in pairs])


def fits(value: Any, hint: Any) -> bool:
    """Whether plain data is of the type that an op's ``run`` says it reads."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return not isinstance(value, (dict, Ref))
    if origin in (typing.Union, types.UnionType):
        return any([fits(value, part) for part in parts])
    if origin is tuple and parts[-1] is not ...:
        return type(value) is tuple and len(value) == len(parts) and all(map(fits, value, parts))
    if origin in (tuple, collections.abc.Sequence):
        return type(value) is tuple and all([fits(part, parts[0]) for part in value])
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint or (hint is int and isinstance(value, Size))


@functools.cache
def _reads(op: Op[Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """What ``run`` of an op takes: its arguments, and their types. What it takes as ``**attributes`` are arguments of
    the user's function that are no arrays."""
    signature, hints = inspect.signature(op.run), typing.get_type_hints(op.run)
    fixed = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    if len(fixed) == len(signature.parameters):
        return signature, hints
    own, known = typing.get_type_hints(op.normalise), inspect.signature(op.normalise).parameters
    more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in known if own[name] is not Any]
    return inspect.Signature([*fixed, *more]), {**hints, **own}


def _check_attributes(call: Call, inputs: list[Value]) -> None:
    """Whether ``run`` of the op can be called so: with as many arrays, and attributes of the types that it says."""
    (signature, hints), sizes = _reads(call.op), list[Size]()
    try:
        signature.bind(*call.inputs, need=(), **call.attributes)
    except TypeError as error:
        raise ValueError(f"graph: a call of {call.op.name} does not fit: {error}") from None
    for name, value in call.attributes.items():
        _require(fits(value, hints[name]), f"{call.op.name} does not take {name} =", value)
        stack = [value]
        while stack:
            part = stack.pop()
            if isinstance(part, Size):
                sizes.append(part)
            elif isinstance(part, (tuple, list)):
                stack += part
    for size in sizes:
        known = _is_number(size.input, len(inputs)) and _is_number(size.axis, len(inputs[size.input].shape))
        _require(known, "no size of an input:", size)


def _most_outputs(call: Call, shape: Shape) -> int:
    """How many outputs an op that takes arrays apart gives: asked before it lists them."""
    dim: Any = call.attributes.get("dim")
    if call.op.name not in ("chunk", "split", "unbind") or not _is_number(dim, len(shape), -len(shape)):
        return 0
    cut = call.attributes.get("chunks", call.attributes.get("split_size", 1))
    if not isinstance(cut, int):
        return 0
    size: int = shape[dim]
    return min(size, cut) if call.op.name == "chunk" else size // max(cut, 1)


def _call(data: Any, values: list[Value], inputs: list[Value]) -> Call:
    name, given, dtypes, attributes, outputs, scope = _list(data, "call", 6)
    _require(isinstance(name, str) and name in OPS, "no op:", name)
    _require(isinstance(scope, str), "no scope:", scope)
    for number in _list(given, "inputs"):
        _require(number is None or _is_number(number, len(values)), "no input of a call:", number)
    for dtype, number in zip(_list(dtypes, "dtypes", len(given)), given, strict=True):
        known = dtype is None if number is None else isinstance(dtype, str) and dtype in _DTYPES
        _require(known, "no dtype of an input:", dtype)
    for number in _list(outputs, "outputs"):
        _require(_is_number(number, len(values)), "no output of a call:", number)
    _require(len({*outputs}) == len(outputs), "outputs that are one:", outputs)
    options = nest_of(attributes, len(values))
    _require(isinstance(options, dict) and all([type(key) is str for key in options]), "no attributes:", attributes)
    call = Call(OPS[name], tuple(given), tuple(dtypes), options, tuple(outputs), scope)
    _check_attributes(call, inputs)
    first = next((values[number].shape for number in given if number is not None), ())
    _require(_most_outputs(call, first) <= len(outputs), f"too few outputs of {name}:", outputs)
    return call


def _visit(data: Any, values: int, calls: int) -> Visit:
    name, layer, given, returned, start, stop, innermost = _list(data, "visit", 7)
    _require(isinstance(name, str) and isinstance(layer, str) and type(innermost) is bool, "no visit:", data)
    _require(_is_number(stop, calls + 1) and _is_number(start, stop + 1), "no calls of a visit:", [start, stop])
    return Visit(name, layer, nest_of(given, values), nest_of(returned, values), range(start, stop), innermost)


def graph_of(data: Any, held: Held) -> Graph:
    """The graph that ``graph_data`` was given; ``held(kind, name)`` gives what it holds, of the shapes and dtypes that
    the data say, or raises ValueError.

    Raises ValueError for data that are not those of a graph: unknown ops, calls that their ops do not take, numbers of
    values that there are not, shapes that do not follow from each other.
    """
    _require(isinstance(data, dict), "no object:", data)
    values = [_value(value) for value in _list(data.get("values"), "values")]
    numbers = _list(data.get("inputs"), "inputs")
    _require(all([_is_number(n, len(values)) for n in numbers]) and len({*numbers}) == len(numbers), "inputs", numbers)
    inputs = [values[number] for number in numbers]
    calls = [_call(call, values, inputs) for call in _list(data.get("calls"), "calls")]
    visits = [_visit(visit, len(values), len(calls)) for visit in _list(data.get("visits"), "visits")]
    parts, names = dict[int, Tensor | Array](), dict[int, str]()
    for entry in _list(data.get("held"), "held"):
        number, kind, name = _list(entry, "held value", 3)
        _require(_is_number(number, len(values)) and number not in parts, "no held value:", entry)
        _require(number not in numbers, "an input that is held:", entry)
        part = parts[number] = held(kind, name)
        _require(Value(tuple(part.shape), part.dtype.name) == values[number], f"{name} is not", values[number])
        if kind == "state":
            names[number] = name
    places = [_places(data.get(name), inputs) for name in ("free", "tied")]
    graph = Graph(numbers, nest_of(data.get("outputs"), len(values)), calls, values, parts, names, visits, *places)
    try:
        graph.verify()
    except Exception as error:  # whatever an op's shape says to arguments that nothing else would give it
        raise ValueError(f"{error}" if isinstance(error, ValueError) else f"graph: {error!r}") from error
    graph.calls = [available(graph, call) for call in calls]
    return graph


def twins(one: Graph, other: Graph) -> bool:
    """Whether two graphs compute the same, of the same: whether one is enough."""
    plain = [(g.calls, g.outputs, g.inputs, g.free, g.tied, g.names) for g in (one, other)]
    if plain[0] != plain[1] or one.held.keys() != other.held.keys():
        return False
    return all([_same(one.held[value], other.held[value]) for value in one.held])


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b) or (isinstance(a, Tensor) and (a.requires_grad or b.requires_grad)):
        return False
    x, y = [part._array if isinstance(part, Tensor) else np.asarray(part) for part in (a, b)]
    return bool(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes())

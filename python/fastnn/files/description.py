"""What a model is made of, as JSON: written into files, and made into a model again without running any code of theirs.

A layer is its class name and the arguments of its constructor, read back from the attributes of the same names; a
container is its class name and its children; a layer with arrays that is there already is ``{"same": name}``. The whole
has ``ties`` where one Parameter is held in several places: lists of their names. Only the classes in ``fastnn.nn`` take
part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from fastnn import nn
from fastnn.arrays import columns_first
from fastnn.nn import init
from fastnn.nn.arguments import kept, parameters, plain
from fastnn.nn.container import ModuleDict, ModuleList, Sequential
from fastnn.nn.graph_module import GraphModule
from fastnn.nn.module import Module
from fastnn.nn.state import same_bits
from fastnn.nn.tree import Entry, by_holder, entries, joined, layers
from fastnn.value import Parameter

Description = dict[str, Any]


def has_ties(description: Any) -> bool:
    """Whether a description has something in two places."""
    children = [child for _, child in description.get("children", [])]
    return "ties" in description or "same" in description or any([has_ties(child) for child in children])


class NotRebuildable(ValueError):  # noqa: N818  (reads as what is the case)
    """A model has a part that a file cannot describe."""


def layer_classes() -> dict[str, type[Module]]:
    """Every class that a file may name: the layers of fastnn.nn."""
    found = {name: getattr(nn, name) for name in nn.__all__}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, Module) and value not in (GraphModule, Module)
    }


def _keywords(kind: type[Module]) -> list[str]:
    """Those that can only be given by name, and are None by default."""
    return [name for name, p in parameters(kind).items() if p.kind is p.KEYWORD_ONLY and p.default is None]


def arguments(layer: Module) -> dict[str, Any]:
    """The constructor's arguments, as JSON has them; raises NotRebuildable for what it does not have."""
    kind = type(layer)
    found = kept(layer, kind)
    if missing := [name for name in parameters(kind) if name not in found]:
        raise NotRebuildable(f"{kind.__name__} does not keep its argument {missing[0]}")
    try:
        return {name: plain(value) for name, value in found.items()}
    except TypeError as error:
        raise NotRebuildable(str(error)) from error


def _describe(module: Module, name: str, seen: dict[int, str]) -> Description:
    """``module``, which the model has under ``name``; ``seen``: names of those with arrays that are described."""
    if id(module) in seen:
        return {"same": seen[id(module)]}
    kind = type(module)
    if layer_classes().get(kind.__name__) is not kind:
        raise NotRebuildable(f"{kind.__name__} is not one of fastnn's layers")
    description: Description = {"layer": kind.__name__}
    if issubclass(kind, (ModuleDict, ModuleList, Sequential)):
        description["children"] = [[key, _describe(layer, joined(name, key), seen)] for key, layer in layers(module)]
    else:
        description["arguments"] = arguments(module)
    if next(entries(module), None) is not None:
        seen[id(module)] = name
    return description


def ties(model: Module) -> list[list[str]]:
    """Names of what is held in several places, one name for each place."""
    ties = []
    for group in by_holder(entries(model)):
        places: dict[tuple[int, str], str] = {}
        for e in group:
            places.setdefault((id(e.module), e.attribute), e.name)
        if len(places) > 1:
            ties.append(list(places.values()))
    return ties


def describe(model: Module) -> Description:
    """The model as JSON. Raises NotRebuildable, saying why, when it cannot be built from that again."""
    description = _describe(model, "", {})
    if shared := ties(model):
        description["ties"] = shared
    changed = NotRebuildable(f"this {type(model).__name__} has parts added or changed after it was made")
    try:
        twin = _blank_model(description, len(list(entries(model))))
    except (TypeError, ValueError) as error:
        raise changed from error
    if repr(twin) != repr(model) or _arrays(twin) != _arrays(model):
        raise changed
    return description


def _arrays(model: Module) -> list[dict[str, tuple[tuple[int, ...], str]]]:
    """Names, shapes and dtypes of the arrays, those of one holder together."""
    return [{e.name: (e.array.shape, e.array.dtype.str) for e in group} for group in by_holder(entries(model))]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def _build_layer(kind: type[Module], values: Any, tensors: int) -> Module:
    """One layer. ``tensors``: how many arrays there are, which bounds how many parameters it can have."""
    if isinstance(values, dict):  # files from before there were these
        values = {**dict.fromkeys(_keywords(kind)), **values}
    if not isinstance(values, dict) or set(values) != set(parameters(kind)):
        raise ValueError(f"the arguments of {kind.__name__} do not fit: {values!r:.200}")
    layers = values.get("num_layers", 0)
    if isinstance(layers, int) and layers > tensors:
        raise ValueError(f"{kind.__name__} with num_layers={layers}, but there are {tensors} arrays")
    return kind(**{name: _tuples(value) for name, value in values.items()})


class _Builder:
    """Builds what a description says, as far as there can be that many arrays: a layer may be named many times."""

    def __init__(self, tensors: int) -> None:
        self.left = self.tensors = tensors
        self.made: dict[str, tuple[Module, int]] = {}  # by name: the finished layers and how many arrays they have

    def build(self, description: Any, name: str) -> Module:
        if isinstance(description, dict) and "same" in description:
            return self._again(description["same"])
        if not isinstance(description, dict) or not isinstance(description.get("layer"), str):
            raise ValueError(f"no layer in the description {description!r:.200}")
        kind = layer_classes().get(description["layer"])
        if kind is None:
            raise ValueError(f"unknown layer class {description['layer']!r:.100}")
        before = self.left
        if issubclass(kind, (ModuleDict, ModuleList, Sequential)):
            module = self._container(kind, description.get("children"), name)
        else:
            module = _build_layer(kind, description.get("arguments"), self.tensors)
            self.left -= len(list(entries(module)))
        self.made[name] = module, before - self.left
        return module

    def _again(self, name: Any) -> Module:
        module, arrays = self.made.get(name, (None, 0)) if isinstance(name, str) else (None, 0)
        if module is None or not arrays:
            raise ValueError(f"the same layer as {name!r:.100}, but no such one with arrays comes before it")
        self.left -= arrays
        if self.left < 0:
            raise ValueError(f"the layer {name!r:.100} comes again, but there are {self.tensors} arrays")
        return module

    def _container(self, kind: type[Module], children: Any, name: str) -> Module:
        if not isinstance(children, list):
            raise ValueError(f"{kind.__name__} without children")
        parts: dict[str, Module] = {}
        for entry in children:
            if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str) or entry[0] in parts:
                raise ValueError(f"{kind.__name__} with the child {entry!r:.200}")
            parts[entry[0]] = self.build(entry[1], joined(name, entry[0]))
        container = kind()
        for key, part in parts.items():
            setattr(container, key, part)
        return container


def _tie(model: Module, ties: Any) -> None:
    """Makes one of what is held in several places."""
    places = {e.name: e for e in entries(model)}
    tied: set[str] = set()
    for group in ties if isinstance(ties, list) else [None]:
        if not isinstance(group, list) or len(group) < 2 or not all([isinstance(name, str) for name in group]):
            raise ValueError(f"ties {ties!r:.200} are no lists of names")
        if len({*group}) < len(group) or tied & {*group} or not places.keys() >= {*group}:
            raise ValueError(f"the tie {group!r:.200} has names that are unknown or there twice")
        tied |= {*group}
        first, *others = [places[name] for name in group]
        for other in others:
            one, two = [(type(e.held).__name__, e.array.shape, e.array.dtype.name) for e in (first, other)]
            if one != two:
                raise ValueError(f"{first.name} and {other.name} cannot be one: {one}, {two}")
            setattr(other.module, other.attribute, first.held)


def _blank_model(description: Any, tensors: int) -> Module:
    with init.blank():
        model = _Builder(tensors).build(description, "")
    _tie(model, description.get("ties", []))
    return model


def build(description: Any, state: Mapping[str, npt.NDArray[Any]]) -> Module:
    """The described model holding the arrays of ``state`` themselves; copied where its layer lays one out otherwise.

    Nothing is allocated and no random number drawn before the shapes are known to be those of ``state``. Raises
    ValueError or TypeError for a description that is not one, and for arrays that are missing, left over, of another
    shape or dtype, or different where the model has one Parameter.
    """
    model = _blank_model(description, len(state))
    places = list(entries(model))
    expected = {e.name for e in places}
    missing, unexpected = sorted(expected - state.keys()), sorted(state.keys() - expected)
    if missing or unexpected:
        raise ValueError(f"arrays missing: {missing[:10]}, left over: {unexpected[:10]}")
    groups = by_holder(places)
    for group in groups:
        for name, _, _, blank in group:
            array = state[name]
            for what, have, want in (("shape", array.shape, blank.shape), ("dtype", array.dtype, blank.dtype)):
                if have != want:
                    raise ValueError(f"{name} has {what} {have}, the layer expects {want}")
            if name != group[0].name and not same_bits(array, state[group[0].name]):
                raise ValueError(f"{group[0].name} and {name} are one in the model, but differ")
    for group in groups:
        _fill(group, state[group[0].name])
    return model


def _fill(places: list[Entry], array: npt.NDArray[Any]) -> None:
    """Gives the one holder of these places its array."""
    held = places[0].held
    if isinstance(held, Parameter):
        wanted = all([e.attribute in e.module.columns_first for e in places])
        held._hold(columns_first(array) if wanted else array)
    else:
        for e in places:
            setattr(e.module, e.attribute, array)

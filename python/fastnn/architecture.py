"""What a model is made of, as JSON: written into files, and made into a model again without running any code of theirs.

A layer is its class name and the arguments of its constructor, read back from the attributes of the same names; a
container is its class name and its children. Only the classes in ``fastnn.nn`` take part.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import nn
from fastnn.arrays import columns_first
from fastnn.nn import init
from fastnn.nn.container import ModuleDict, ModuleList, Sequential
from fastnn.nn.module import Module
from fastnn.nn.tree import entries, layers
from fastnn.tensor import Parameter

Description = dict[str, Any]


class NotRebuildable(ValueError):  # noqa: N818  (reads as what is the case)
    """A model has a part that a file cannot describe."""


def layer_classes() -> dict[str, type[Module]]:
    """Every class that a file may name: the layers of fastnn.nn."""
    found = {name: getattr(nn, name) for name in nn.__all__}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, Module) and value is not Module
    }


def _parameters(kind: type[Module]) -> list[str]:
    """Names of the constructor's arguments, without *args and **kwargs."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in inspect.signature(kind).parameters.values() if p.kind in named]


def _plain(value: Any) -> Any:
    """A constructor argument as JSON; raises NotRebuildable for what JSON does not have."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    raise NotRebuildable(f"an argument of the type {type(value).__name__} cannot be written")


def arguments(layer: Module) -> dict[str, Any]:
    """The constructor's arguments, from the attributes of the same names; ``bias`` may be the parameter itself."""
    result = {}
    for name in _parameters(type(layer)):
        if not hasattr(layer, name):
            raise NotRebuildable(f"{type(layer).__name__} does not keep its argument {name}")
        value = getattr(layer, name)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        result[name] = _plain(value)
    return result


def _describe(module: Module, seen: set[int]) -> Description:
    kind = type(module)
    if layer_classes().get(kind.__name__) is not kind:
        raise NotRebuildable(f"{kind.__name__} is not one of fastnn's layers")
    if next(iter(module.parameters()), None) is not None:
        if id(module) in seen:
            raise NotRebuildable(f"one {kind.__name__} is used in two places")
        seen.add(id(module))
    if isinstance(module, (ModuleDict, ModuleList, Sequential)):
        return {"layer": kind.__name__, "children": [[name, _describe(layer, seen)] for name, layer in layers(module)]}
    return {"layer": kind.__name__, "arguments": arguments(module)}


def describe(model: Module) -> Description:
    """The model as JSON. Raises NotRebuildable, saying why, when it cannot be built from that again."""
    description = _describe(model, set())
    twin = _blank_model(description, len(list(entries(model))))
    if repr(twin) != repr(model) or _shapes(twin) != _shapes(model):
        raise NotRebuildable(f"this {type(model).__name__} has parts added or changed after it was made")
    return description


def _shapes(model: Module) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, _, _, array in entries(model)}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def _build_layer(kind: type[Module], values: Any, tensors: int) -> Module:
    """One layer. ``tensors``: how many arrays there are, which bounds how many parameters it can have."""
    if not isinstance(values, dict) or set(values) != set(_parameters(kind)):
        raise ValueError(f"the arguments of {kind.__name__} do not fit: {values!r:.200}")
    layers = values.get("num_layers", 0)
    if isinstance(layers, int) and layers > tensors:
        raise ValueError(f"{kind.__name__} with num_layers={layers}, but there are {tensors} arrays")
    return kind(**{name: _tuples(value) for name, value in values.items()})


def _build(description: Any, tensors: int) -> Module:
    if not isinstance(description, dict) or not isinstance(description.get("layer"), str):
        raise ValueError(f"no layer in the description {description!r:.200}")
    kind = layer_classes().get(description["layer"])
    if kind is None:
        raise ValueError(f"unknown layer class {description['layer']!r:.100}")
    if not issubclass(kind, (ModuleDict, ModuleList, Sequential)):
        return _build_layer(kind, description.get("arguments"), tensors)
    children = description.get("children")
    if not isinstance(children, list):
        raise ValueError(f"{kind.__name__} without children")
    parts: dict[str, Module] = {}
    for entry in children:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str) or entry[0] in parts:
            raise ValueError(f"{kind.__name__} with the child {entry!r:.200}")
        parts[entry[0]] = _build(entry[1], tensors)
    return ModuleList(parts.values()) if issubclass(kind, ModuleList) else kind(parts)


def _blank_model(description: Any, tensors: int) -> Module:
    with init.blank():
        return _build(description, tensors)


def build(description: Any, state: Mapping[str, npt.NDArray[Any]]) -> Module:
    """The described model holding the arrays of ``state`` themselves; copied where its layer lays one out otherwise.

    Nothing is allocated and no random number drawn before the shapes are known to be those of ``state``. Raises
    ValueError or TypeError for a description that is not one, and for arrays that are missing, left over or of
    another shape or dtype.
    """
    model = _blank_model(description, len(state))
    expected = _shapes(model)
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(f"arrays missing: {missing[:10]}, left over: {unexpected[:10]}")
    for name, module, attribute, blank in list(entries(model)):
        array = state[name]
        for what, have, want in (("shape", array.shape, blank.shape), ("dtype", array.dtype, blank.dtype)):
            if have != want:
                raise ValueError(f"{name} has {what} {have}, the layer expects {want}")
        if isinstance(getattr(module, attribute), Parameter):
            getattr(module, attribute).data = columns_first(array) if attribute in module.columns_first else array
        else:
            setattr(module, attribute, array)
    return model

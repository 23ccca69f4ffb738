"""load_state_dict: all checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn.arrays import as_float32, columns_first, copied
from fastnn.nn.attributes import writable
from fastnn.nn.tree import Array, Entry, by_holder, entries, walk
from fastnn.value import Parameter, Tensor
from fastnn.writes import note_write

if TYPE_CHECKING:
    from fastnn.nn.module import Module


class LoadResult(NamedTuple):
    """Names that load_state_dict(strict=False) skipped."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays are equal, nan to nan, bit for bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def load(model: Module, state_dict: Mapping[str, Any], strict: bool, base: Any) -> LoadResult:
    """See Module.load_state_dict, which is ``base``."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: state_dict is a {type(state_dict).__name__}, expected a mapping")
    asked, parts, state = _handed_on(model, dict(state_dict), base)
    places = [e for e in entries(model) if not any([e.name.startswith(f"{name}.") for name in asked])]
    wanted = {entry.name for entry in places}
    missing = [entry.name for entry in places if entry.name not in state]
    unexpected = [str(name) for name in state if name not in wanted]
    wrong = []
    if strict and missing:
        wrong.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        wrong.append(f"unexpected: {', '.join(unexpected)}")
    loaded: dict[str, Array] = {}
    for entry in [entry for entry in places if entry.name in state]:
        try:
            loaded[entry.name] = _as_array(state[entry.name], entry.array, entry.name)
        except (TypeError, ValueError) as error:
            wrong.append(str(error))
    for first, *others in by_holder(entry for entry in places if entry.name in loaded):
        for other in others:
            if not same_bits(loaded[first.name], loaded[other.name]):
                wrong.append(f"values: {first.name} and {other.name} differ in state_dict, are one in the model")
    if wrong:
        raise ValueError(f"load_state_dict: {type(model).__name__} and state_dict differ\n  " + "\n  ".join(wrong))
    for name, module in asked.items():
        result: Any = module.load_state_dict(parts[name], strict)
        if isinstance(result, tuple) and len(result) == 2:
            missing += [f"{name}.{key}" for key in result[0]]
            unexpected += [f"{name}.{key}" for key in result[1]]
    for entry in places:
        if entry.name in loaded:
            _write(entry, loaded[entry.name])
    return LoadResult(missing, unexpected)


def _handed_on(
    model: Module, state: dict[str, Any], base: Any
) -> tuple[dict[str, Module], dict[str, dict[str, Any]], dict[str, Any]]:
    """Modules inside whose class loads in a way of its own, by name, what is theirs of the state, and the rest."""
    asked: dict[str, Module] = {}
    for name, module in walk(model):
        inside = any([name.startswith(f"{outer}.") for outer in asked])
        if name and not inside and type(module).load_state_dict is not base:
            asked[name] = module
    parts = {
        name: {key[len(name) + 1 :]: value for key, value in state.items() if str(key).startswith(f"{name}.")}
        for name in asked
    }
    taken = {f"{name}.{key}" for name, part in parts.items() for key in part}
    return asked, parts, {key: value for key, value in state.items() if key not in taken}


def plain_array(value: Any) -> Any:
    """The array of a Tensor, of fastnn or of torch; anything else as it is."""
    if isinstance(value, Tensor):
        return value._array
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # torch's; bfloat16 has no NumPy type
        value = value.detach().cpu()
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return value


def _as_array(value: Any, like: Array, name: str) -> Array:
    """``value``, which may be a torch tensor, as an array of the shape and dtype of ``like``."""
    value = plain_array(value)
    if np.shape(value) != like.shape:
        raise ValueError(f"shape: {name} is {np.shape(value)} in state_dict, {like.shape} in the model")
    if like.dtype == np.float32:
        return as_float32(value, "dtype", name)
    array = np.asarray(value)
    if not np.can_cast(array.dtype, like.dtype, "same_kind"):
        raise TypeError(f"dtype: {name} is {array.dtype} in state_dict, {like.dtype} in the model")
    converted = array.astype(like.dtype)
    if like.dtype.kind in "iu" and not np.array_equal(converted, array):
        raise ValueError(f"values: {name} has {array.dtype} in state_dict that {like.dtype} of the model cannot hold")
    return converted


def _write(entry: Entry, value: Array) -> None:
    """Into the array where it can be written, so that an optimizer's view of it stays valid."""
    held = entry.held
    if isinstance(held, Parameter):
        if held._array.flags.writeable:
            np.copyto(held._array, value)
            note_write(held._array)
        else:
            held._hold(columns_first(value) if entry.attribute in entry.module.columns_first else copied(value))
    else:
        np.copyto(writable(entry.module, entry.attribute), value)

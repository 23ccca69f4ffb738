"""Whether a saved state is one of an optimizer: everything is checked before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn.arrays import FloatArray, as_float32

if TYPE_CHECKING:
    from fastnn.optim.optimizer import Optimizer

# Options of torch's optimizers that say how they compute and not what, and what its schedulers write.
_HOW = {"capturable", "differentiable", "foreach", "fused", "initial_lr", "param_names", "params"}
_NEUTRAL: dict[str, Any] = {"amsgrad": False, "maximize": False, "nesterov": False}


class Checked(NamedTuple):
    """Options of each group, and of each parameter that has been updated (index, number of steps, buffers)."""

    options: list[dict[str, Any]]
    parameters: list[tuple[int, int, dict[str, FloatArray]]]


def checked(optimizer: Optimizer, state_dict: Any) -> Checked:
    """A state as ``load_state_dict`` takes it over. Raises ValueError that lists all that does not fit."""
    name = type(optimizer).__name__
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
        raise TypeError(f"{name}: the state is {type(state_dict).__name__}, expected what state_dict() returns")
    groups, state = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, (list, tuple)) or not all(isinstance(g, Mapping) and "params" in g for g in groups):
        raise TypeError(f"{name}: param_groups of the state is {groups!r:.80}, expected a list of dicts with params")
    if not isinstance(state, Mapping) or not all(isinstance(saved, Mapping) for saved in state.values()):
        raise TypeError(f"{name}: state of the state is {state!r:.80}, expected a dict of dicts")
    ours, theirs = ([len(group["params"]) for group in g] for g in (optimizer.param_groups, groups))
    if ours != theirs:
        raise ValueError(f"{name}: the state is of groups of {theirs} parameters, here they have {ours}")
    wrong: list[str] = []
    options = [_options(optimizer, group, i, wrong) for i, group in enumerate(groups)]
    needed = [names for group in options for names in [optimizer._needed(group)] * len(group["params"])]
    places = {key: i for i, key in enumerate(key for group in groups for key in group["params"])}
    parameters = []
    for key, saved in state.items():
        place = places.get(key, places.get(int(key)) if isinstance(key, str) and key.isdecimal() else None)
        if place is None:
            wrong.append(f"parameter {key!r} is in no group")
        else:
            parameters.append(_parameter(optimizer, place, saved, needed[place], wrong))
    if wrong:
        raise ValueError(f"{name}: not a state of this optimizer; nothing was changed\n  " + "\n  ".join(wrong))
    for group in options:
        del group["params"]
    return Checked(options, parameters)


def _options(optimizer: Optimizer, group: Mapping[str, Any], i: int, wrong: list[str]) -> dict[str, Any]:
    """The options of group i."""
    found: dict[str, Any] = {}
    for key, default in optimizer.defaults.items():
        if key not in group and key not in _NEUTRAL:
            wrong.append(f"group {i} has no {key}")
        value = group.get(key, _NEUTRAL.get(key, default))
        found[key] = _number(value, default)
    for key, value in group.items():
        if key in _HOW or key in found:
            continue
        wanted = optimizer._kind.get(key, _NEUTRAL.get(key))
        if wanted is None or value != wanted:
            expected = "no such option" if wanted is None else f"{key}={wanted!r}"
            wrong.append(f"group {i} has {key}={value!r}, this optimizer has {expected}")
    if "amsgrad" in optimizer._kind and "amsgrad" not in group:  # RAdam's state has Adam's names but for this one
        wrong.append(f"group {i} has no amsgrad, as those of Adam have")
    found["params"] = group["params"]
    try:
        optimizer._check({**optimizer.defaults, **found})
    except (TypeError, ValueError) as error:
        wrong.append(f"group {i}: {error}")
    return found


def _number(value: Any, default: Any) -> Any:
    """An option as its default has it: no tensors, pairs as tuples."""
    if isinstance(default, tuple):
        return tuple(_number(item, 0.0) for item in value) if isinstance(value, (tuple, list)) else value
    try:
        return value.item() if hasattr(value, "item") else value
    except (RuntimeError, ValueError):  # several numbers: the check of the options will say what it is
        return value


def _parameter(
    optimizer: Optimizer, place: int, saved: Mapping[str, Any], needed: tuple[str, ...], wrong: list[str]
) -> tuple[int, int, dict[str, FloatArray]]:
    """(index, number of steps, buffers) of a parameter."""
    view = optimizer._data_views[place]
    present = {key: value for key, value in saved.items() if value is not None and key != "step"}
    count = saved.get("step", None if optimizer._counts_steps else int(bool(present)))
    buffers: dict[str, FloatArray] = {}
    for key, value in present.items():
        if key not in optimizer._state_names:
            wrong.append(f"parameter {place} has {key}, this optimizer has {', '.join(optimizer._state_names)}")
            continue
        try:
            array = as_float32(_plain(value), "state", key)
        except (TypeError, ValueError) as error:
            wrong.append(f"parameter {place}: {error}")
            continue
        if array.shape != view.shape:
            wrong.append(f"parameter {place} has shape {view.shape}, but {key} has {array.shape}")
        buffers[key] = array
    wrong.extend(f"parameter {place} has no {key}" for key in needed if key not in present)
    return place, _steps(count, place, wrong), buffers


def _steps(count: Any, place: int, wrong: list[str]) -> int:
    if count is None:
        wrong.append(f"parameter {place} has no step")
        return 0
    number = np.asarray(_plain(count))
    if number.size != 1 or number.dtype.kind not in "fiu" or not 0 <= number.item() < 2**53:
        wrong.append(f"parameter {place} has step {count!r}, expected a number of at least 0")
        return 0
    return int(number.item())


def _plain(value: Any) -> Any:
    """An array of what may be a torch tensor."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
        return value.numpy()
    return np.asarray(value)

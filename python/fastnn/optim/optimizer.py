"""Optimizer: what the optimizers of fastnn.optim share; each step is one call over flat memory.

All parameters of an optimizer are moved, once, into one buffer (``Parameter.data`` becomes a view into it, of the same
values), and their gradients are collected in a second one. The step then is a single pass over memory, however many
parameters there are. A parameter whose array somebody has asked for stays where it is, so that this array follows it:
its values are copied into the buffer and back in every step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.optim import state as optimizer_state
from fastnn.value import Tensor
from fastnn.writes import note_write, span

_ALIGN = 16  # floats in a cache line of 64 bytes

Range = tuple[int, int, tuple[Any, ...]]  # begin, end in the flat buffers, options as the rule takes them


def _zeros(size: int) -> FloatArray:
    buffer: FloatArray = _core.empty([size])
    buffer.fill(0)
    return buffer


def _shaped_like(x: FloatArray, flat: FloatArray) -> FloatArray:
    """``flat`` as an array of the shape of x, with its columns dense where those of x are."""
    return flat.reshape(x.shape[::-1]).T if x.flags.fnc else flat.reshape(x.shape)


class Optimizer:
    """What all optimizers share: groups of parameters with options, flat memory, state.

    Args:
        params: parameters (any iterable of Tensors), or a list of groups: dicts with "params" and options of their own,
            like ``[{"params": cnn.parameters(), "lr": 1e-4}, {"params": head.parameters()}]``.
        defaults: the options of groups that do not set them.

    ``param_groups`` is the list of groups with all their options; ``param_groups[0]["lr"]`` may be changed between
    steps, and so may ``lr``, which stands for all groups. Raises ValueError for no parameters, a parameter given twice
    and options out of range, TypeError for what is not a Tensor and for options that do not exist.
    """

    _rule: ClassVar[str]  # a row of cpp/kernels/optim/optimizer.cpp
    _state_names: tuple[str, ...] = ()  # of the rule, in its order
    _counts_steps = True  # whether torch's state of it has "step"
    _kind: ClassVar[dict[str, Any]] = {}  # what torch's states say beside the options, to tell optimizers apart

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups = _groups(params, defaults, type(self).__name__)
        for group in self.param_groups:
            self._check(group)
        self._flatten()

    def _flatten(self) -> None:
        self._params: list[Tensor] = [p for group in self.param_groups for p in group["params"]]
        self._starts: list[int] = []
        size = 0
        self._ends: list[int] = []
        for p in self._params:
            self._starts.append(size)
            size += -(-p._array.size // _ALIGN) * _ALIGN
            self._ends.append(size)
        self._data, self._grad = _zeros(size), _zeros(size)
        self._address = span(self._data)[0]
        self._state: dict[str, FloatArray] = {}
        self._counts = [0] * len(self._params)
        self._data_views = self._views(self._data)
        self._grad_views = self._views(self._grad)
        for i in range(len(self._params)):
            self._move_in(i)

    def _views(self, flat: FloatArray) -> list[FloatArray]:
        spans = zip(self._params, self._starts, strict=True)
        return [_shaped_like(p._array, flat[start : start + p.size]) for p, start in spans]

    def _move_in(self, i: int) -> bool:
        """Takes over the present values and gradient of parameter i. Whether its array is its own, not ours."""
        p, data, grad = self._params[i], self._data_views[i], self._grad_views[i]
        p._home = grad
        if p._grad is not None and p._grad is not grad:
            _require_shape(p._grad, data, "its gradient", i)
            np.copyto(grad, p._grad)
            if p._lent:  # by another optimizer of this parameter
                p._grad = grad
        if p._array is data:
            return False
        _require_shape(p._array, data, "its data", i)
        np.copyto(data, p._array)
        if p._exposed and p._array.flags.writeable:
            return True
        p._hold(data)
        return False

    def _check_apart(self, guests: list[int]) -> None:
        """Raises ValueError where two parameters have the same memory: each would undo the other's step."""
        spans = sorted((span(p._array), i) for i, p in enumerate(self._params) if i in guests or p._exposed)
        for (first, i), (second, j) in itertools.pairwise(spans):
            if second[0] < first[1]:
                raise ValueError(
                    f"{type(self).__name__}: parameters {i} and {j} share memory; to tie them, let both modules have "
                    "one Parameter: b.weight = a.weight"
                )

    def _move_out(self, guests: list[int]) -> None:
        """The updated values of parameters that keep their own arrays."""
        for i in guests:
            np.copyto(self._params[i]._array, self._data_views[i])
            note_write(self._params[i]._array)

    def _buffer(self, name: str) -> FloatArray:
        if name not in self._state:
            self._state[name] = _zeros(self._data.size)
        return self._state[name]

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets all groups."""
        return float(self.param_groups[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            self._check({**group, "lr": value})
        for group in self.param_groups:
            group["lr"] = value

    def step(self) -> None:
        """Updates every parameter that has a gradient. Ctrl-C leaves all of them updated or none."""
        counts = list(self._counts)
        ranges: list[Range] = []
        guests: list[int] = []
        i = 0
        for group in self.param_groups:
            before: tuple[int, int] | None = None  # end and count of the last range, where it may go on
            for p in group["params"]:
                if p._grad is None:
                    before = None
                else:
                    if (p._array is not self._data_views[i] or p._grad is not self._grad_views[i]) and self._move_in(i):
                        guests.append(i)
                    counts[i] += 1
                    begin, count = self._starts[i], counts[i]
                    end = self._ends[i]
                    if before == (begin, count):
                        ranges[-1] = (ranges[-1][0], end, ranges[-1][2])
                    else:
                        ranges.append((begin, end, self._options(group, count)))
                    before = (end, count)
                i += 1
        needed = self._needed(self.param_groups[0])
        for group in self.param_groups[1:]:
            needed += self._needed(group)
        states = [self._buffer(name) if name in needed else None for name in self._state_names]
        _core.optimizer_step(self._rule, self._data, self._grad, states, ranges)
        self._counts = counts
        for begin, end, *_ in ranges:
            note_write(self._data, (self._address + 4 * begin, self._address + 4 * end))
        if guests:
            self._check_apart(guests)
            try:
                self._move_out(guests)
            except BaseException:
                self._move_out(guests)
                raise

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients; with ``set_to_none=False`` fills those there are with zeros instead."""
        for p in self._params:
            if set_to_none or p._grad is None:
                p._grad = None
            else:
                p._grad.fill(0)

    @property
    def steps(self) -> int:
        """How many steps have been done: the largest number of updates of a parameter, which ``state_dict`` keeps."""
        return max(self._counts, default=0)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the running state, in torch's form: {"state": {index: ...}, "param_groups": [...]}."""
        for group in self.param_groups:
            for name in self._needed(group):
                self._buffer(name)  # as the next step would make it
        views = {name: self._views(flat) for name, flat in self._state.items()}
        state: dict[int, dict[str, Any]] = {}
        for i, count in enumerate(self._counts):
            if count:
                state[i] = {"step": count} | {name: view[i].copy() for name, view in views.items()}
        groups, start = [], 0
        for group in self.param_groups:
            stop = start + len(group["params"])
            groups.append({**group, **self._kind, "params": list(range(start, stop))})
            start = stop
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what ``state_dict()`` of such an optimizer returned, torch's included.

        Raises ValueError that lists all that differs, TypeError for what is no such state: groups, parameters, shapes,
        options that this optimizer does not have and that are in use, buffers of another one. Nothing is changed then.
        """
        state = optimizer_state.checked(self, state_dict)
        self._state = {}
        self._counts = [0] * len(self._params)
        for i, count, buffers in state.parameters:
            for key, array in buffers.items():
                np.copyto(self._views(self._buffer(key))[i], array)
            self._counts[i] = count
        for group, values in zip(self.param_groups, state.options, strict=True):
            group.update(values)

    def __getstate__(self) -> dict[str, Any]:  # views into flat memory do not survive a copy; they are made anew
        groups = {"param_groups": self.param_groups, "defaults": self.defaults}
        return groups | {"state": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.defaults, self.param_groups = state["defaults"], state["param_groups"]
        self._flatten()
        self.load_state_dict(state["state"])

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v}" for k, v in self.param_groups[0].items() if k != "params")
        return f"{type(self).__name__}({options})"

    def _needed(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the buffers without which a step with these options cannot go on."""
        return self._state_names

    def _check(self, group: dict[str, Any]) -> None:
        """Raises TypeError where an option of the group is no number, ValueError where it is out of range."""
        kind = type(self).__name__
        for name in ("lr", "weight_decay"):
            if isinstance(group[name], bool) or not isinstance(group[name], (int, float, np.number, np.ndarray)):
                raise TypeError(f"{kind}: {name} is {group[name]!r}, expected a number")
            if not group[name] >= 0:
                raise ValueError(f"{kind}: {name} is {group[name]}, expected at least 0")

    def _options(self, group: dict[str, Any], count: int) -> tuple[Any, ...]:
        """Numbers for the rule, in its order, for parameters whose step number ``count`` this is."""
        raise NotImplementedError


def _groups(params: Iterable[Any], defaults: dict[str, Any], name: str) -> list[dict[str, Any]]:
    if isinstance(params, Tensor):
        raise TypeError(f"{name}: params is a Tensor, expected a list of them")
    if hasattr(params, "parameters"):
        raise TypeError(
            f"{name}: params is a {type(params).__name__}, expected its parameters: write model.parameters()"
        )
    given = list(params)
    groups = given if given and isinstance(given[0], dict) else [{"params": given}]
    seen: set[int] = set()
    result = []
    for group in groups:
        unknown = group.keys() - defaults.keys() - {"params"}
        if unknown:
            raise TypeError(f"{name}: a group has {sorted(unknown)}, expected some of {sorted(defaults)}")
        members = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        for p in members:
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: params holds a {type(p).__name__}, expected Parameters")
            if p._node is not None:
                raise ValueError(f"{name}: a Tensor of shape {p.shape} was computed; only leaves can be trained")
            if id(p) in seen:
                raise ValueError(f"{name}: a parameter of shape {p.shape} was given twice")
            seen.add(id(p))
        result.append({**defaults, **group, "params": members})
    if not seen:
        raise ValueError(f"{name}: params is empty; does the model have parameters?")
    return result


def _require_shape(array: Any, view: FloatArray, what: str, i: int) -> None:
    if array.shape != view.shape:
        raise ValueError(f"optimizer: parameter {i} has shape {view.shape}, but {what} has {array.shape}")

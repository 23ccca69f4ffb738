"""What the user calls samples, cut together: a tuple is several arrays, a list is ragged sequences, anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_array, positive_int, refuse
from fastnn.value import Tensor

Array = npt.NDArray[Any]
Part = Array | list[Array]  # samples along an axis, or ragged sequences (T_n, ...)


def as_part(value: Any, op: str, name: str) -> Part:
    """An array; for a list of arrays, or of lists of different lengths, a list of arrays that agree in all axes but the
    first. Raises TypeError for what ``arrays.refuse`` refuses, ValueError for arrays that do not agree."""
    if isinstance(value, Tensor):
        if value.requires_grad and op.startswith("fit"):
            raise TypeError(
                f"{op}: {name} is a Tensor that requires a gradient, which fit would not give it; detach() it"
            )
        return value._array
    refuse(value, op, name)
    if not isinstance(value, list) or not value:
        array = as_array(value, op, name)
        if array.dtype == object and not array.ndim:
            raise TypeError(
                f"{op}: {name} is a {type(value).__name__}, expected an array, or a tuple or list of arrays; loaders "
                "and generators are not taken: give the arrays, or write the loop"
            )
        return array
    for i, item in enumerate(value):
        refuse(item, op, f"{name}[{i}]")
    if not any(isinstance(item, Tensor) or (hasattr(item, "__array__") and np.ndim(item)) for item in value):
        try:
            return np.asarray(value)
        except ValueError:  # lists of different lengths
            pass
    sequences = [item._array if isinstance(item, Tensor) else np.asarray(item) for item in value]
    first = sequences[0]
    for i, item in enumerate(sequences):
        if item.ndim == 0 or item.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"{op}: {name} is a list, which means ragged sequences (T_n, ...), but {name}[0] has shape "
                f"{first.shape} and {name}[{i}] has {item.shape}; several arrays go into a tuple"
            )
    return sequences


def as_parts(value: Any, op: str, name: str) -> tuple[list[Part], list[str]]:
    """The members of a tuple, or the value alone, and what to call them."""
    if not isinstance(value, tuple):
        return [as_part(value, op, name)], [name]
    names = [f"{name}[{i}]" for i in range(len(value))]
    return [as_part(item, op, called) for item, called in zip(value, names, strict=True)], names


def axis_of(part: Part, batch_axis: int) -> int:
    """Where the samples of a part lie: on ``batch_axis``, but on axis 0 of a list and of what has fewer axes."""
    return 0 if isinstance(part, list) or part.ndim <= batch_axis else batch_axis


def count_of(part: Part, axis: int) -> int:
    return len(part) if isinstance(part, list) else part.shape[axis]


def cut(part: Part, axis: int, start: int, stop: int) -> Part:
    """Samples start to stop; of arrays a view."""
    if isinstance(part, list) or axis == 0:
        return part[start:stop]
    return part[(slice(None),) * axis + (slice(start, stop),)]


def taken(part: Part, axis: int, index: npt.NDArray[np.int64]) -> Part:
    """The samples of these places, C-contiguous; only they are read."""
    if isinstance(part, list):
        return [part[i] for i in index]
    if part.flags.c_contiguous:
        return part.take(index, axis=axis)
    return np.ascontiguousarray(part[(slice(None),) * axis + (index,)])


def check_counts(parts: Sequence[Part], axes: Sequence[int], names: Sequence[str], op: str) -> int:
    """How many samples all of them have. Raises ValueError where they differ or there are none."""
    if not parts:
        raise ValueError(f"{op}: no arrays were given")
    for part, axis, name in zip(parts, axes, names, strict=True):
        if not isinstance(part, list) and part.ndim == 0:
            raise ValueError(f"{op}: {name} is a single value, expected samples on axis {axis}")
        first, count = count_of(parts[0], axes[0]), count_of(part, axis)
        if count != first:
            on = f" on axis {axes[0]}", f" on axis {axis}"
            hint = ""
            if any(axes):
                hint = "; pass batch_axis=(of inputs, of targets) where they differ"
            else:
                on = "", ""
                if not isinstance(parts[0], list) and parts[0].ndim > 1 and parts[0].shape[1] == count:
                    hint = f"; if axis 1 of {names[0]} is that of the samples, pass batch_axis=1"
            raise ValueError(f"{op}: {names[0]} has {first} samples{on[0]} but {name} has {count}{on[1]}{hint}")
    return count_of(parts[0], axes[0])


def check_axis(axis: Any, op: str) -> tuple[int, int]:
    """batch_axis as the user gives it, as (of inputs, of targets)."""
    pair = axis if isinstance(axis, tuple) else (axis, axis)
    if len(pair) != 2:
        raise ValueError(f"{op}: batch_axis is {axis!r}, expected an integer, or (of inputs, of targets)")
    return positive_int(pair[0], op, "batch_axis", 0), positive_int(pair[1], op, "batch_axis", 0)


class Samples:
    """Inputs of a model, and targets, with the axes on which their samples lie.

    Args:
        x: an array, a list of ragged sequences, or a tuple of these for a model of several inputs.
        y: the same for targets, or None.
        batch_axis: (of inputs, of targets).
        op: who asks, for the errors.
        name: what comes before x and y in errors.

    Raises ValueError for numbers of samples that differ or none, TypeError for what no array can be made of.
    """

    def __init__(self, x: Any, y: Any, batch_axis: tuple[int, int], op: str) -> None:
        self.inputs, names = as_parts(x, op, "x")
        if not self.inputs:
            raise ValueError(f"{op}: x is empty")
        several = isinstance(y, tuple) and bool(y) and not all(np.ndim(item) == 0 for item in y)
        self.several_targets = several
        self.targets: list[Part] = []
        if y is not None:
            self.targets, more = as_parts(y if several else list(y) if isinstance(y, tuple) else y, op, "y")
            names = names + more
            self.targets = [self._joined(part) for part in self.targets]
        self.axes = [axis_of(part, batch_axis[0]) for part in self.inputs]
        self.axes += [axis_of(part, 0 if self.ragged else batch_axis[1]) for part in self.targets]
        self.target_axis = self.axes[len(self.inputs)] if self.targets else batch_axis[1]
        self.names = names
        self.count = check_counts(self.parts, self.axes, names, op)
        if not self.count:
            shapes = [np.shape(part) for part in self.inputs if not isinstance(part, list)]
            raise ValueError(f"{op}: x of shape {shapes[0] if shapes else '()'} has no samples")

    @property
    def parts(self) -> list[Part]:
        return self.inputs + self.targets

    @property
    def ragged(self) -> bool:
        """Whether the model gets lists."""
        return any(isinstance(part, list) for part in self.inputs)

    def _joined(self, target: Part) -> Part:
        """A list of arrays of one shape, one per sample of arrays, is a single array."""
        if isinstance(target, list) and not self.ragged and len({item.shape for item in target}) == 1:
            return np.stack(target)
        return target

    def split(self, at: int) -> tuple[Samples, Samples]:
        """Those before and those from ``at`` on."""
        return self._with(0, at), self._with(at, self.count)

    def _with(self, start: int, stop: int) -> Samples:
        other = Samples.__new__(Samples)
        vars(other).update(vars(self))
        parts = [cut(part, axis, start, stop) for part, axis in zip(self.parts, self.axes, strict=True)]
        other.inputs, other.targets = parts[: len(self.inputs)], parts[len(self.inputs) :]
        other.count = stop - start
        return other

    def paired(self, parts: Sequence[Part]) -> tuple[tuple[Any, ...], Any]:
        """The arguments of the model, and the target: None, a part, or a tuple where several were given."""
        given, wanted = tuple(parts[: len(self.inputs)]), tuple(parts[len(self.inputs) :])
        return given, wanted if self.several_targets else wanted[0] if wanted else None

    def first(self, count: int) -> tuple[tuple[Any, ...], Any]:
        """The first samples, paired."""
        return self.paired(self._with(0, count).parts)

    def picked(self, index: Sequence[int]) -> tuple[Any, ...]:
        """The inputs of the samples at these places, from 0; those there are not come round again."""
        places = np.array(index, np.int64) % self.count
        return tuple(taken(part, axis, places) for part, axis in zip(self.inputs, self.axes, strict=False))

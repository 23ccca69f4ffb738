"""Outputs of batches put together along the axes on which their samples lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.training.nests import leaves

LIST = "list"  # in place of an axis: one element per sample


def following(two: Any, three: Any) -> Any:
    """From the outputs for two and for three samples: for each the axis on which they lie, as a nest like the output.

    -1 where none follows or several do, LIST for a list with one element per sample, None where the kind of output
    changes with the number of samples.

    >>> following((np.ones((2, 4)), np.ones((1, 2, 3))), (np.ones((3, 4)), np.ones((1, 3, 3))))
    (0, 1)
    """
    if isinstance(two, list) and isinstance(three, list) and (len(two), len(three)) == (2, 3):
        return LIST
    if isinstance(two, (tuple, list)):
        if not isinstance(three, (tuple, list)) or len(two) != len(three):
            return None
        return type(two)([following(a, b) for a, b in zip(two, three, strict=True)])
    if isinstance(two, Mapping):
        if not isinstance(three, Mapping) or two.keys() != three.keys():
            return None
        return {key: following(two[key], three[key]) for key in two}
    few, many = np.shape(two), np.shape(three)
    if len(few) != len(many):
        return -1
    changed = [axis for axis in range(len(few)) if few[axis] != many[axis]]
    return changed[0] if len(changed) == 1 and (few[changed[0]], many[changed[0]]) == (2, 3) else -1


def joinable(axes: Any) -> bool:
    """Whether every output has its samples along an axis."""
    return all(axis is not None and axis != -1 for axis in leaves(axes))


def room_for(output: Any, axes: Any, count: int) -> Any:
    """A nest like the output of a batch, with room for ``count`` samples."""
    if isinstance(axes, str):
        return [None] * count
    if isinstance(axes, (tuple, list)):
        return type(axes)([room_for(part, axis, count) for part, axis in zip(output, axes, strict=True)])
    if isinstance(axes, dict):
        return {key: room_for(output[key], axis, count) for key, axis in axes.items()}
    shape = list(output.shape)
    shape[axes] = count
    return np.empty(shape, output.dtype)


def put(room: Any, output: Any, axes: Any, start: int, stop: int) -> None:
    """Writes the output of samples start to stop to its place. Raises ValueError where it does not fit."""
    if isinstance(axes, str):
        if len(output) != stop - start:
            raise ValueError(f"a list has {len(output)} elements for {stop - start} samples")
        room[start:stop] = output
    elif isinstance(axes, (tuple, list)):
        for parts in zip(room, output, axes, strict=True):
            put(*parts, start, stop)
    elif isinstance(axes, dict):
        for key, axis in axes.items():
            put(room[key], output[key], axis, start, stop)
    else:
        place = room[(slice(None),) * axes + (slice(start, stop),)]
        if place.shape != output.shape:
            raise ValueError(f"one has shape {output.shape} where {place.shape} would fit")
        place[...] = output

"""Running a model over many samples in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.training.batch_axis import Measured, check_not_time, measure
from fastnn.training.joining import following, joinable, put, room_for
from fastnn.training.nests import leaves, plain
from fastnn.training.samples import Part, Samples, as_parts, axis_of, check_axis, cut

if TYPE_CHECKING:
    from fastnn.nn.module import Module

_BATCH = 256


def predict(model: Module, x: Any, batch_size: int | None, batch_axis: int | None) -> Any:
    """See Module.predict; the caller sets the mode."""
    pair = check_axis(model.batch_axis if batch_axis is None else batch_axis, "predict")
    parts, _ = as_parts(x, "predict", "x")
    if len(parts) == 1 and not np.size(parts[0][0] if isinstance(parts[0], list) else parts[0]):
        return _whole(model, parts)  # no samples
    if len(parts) == 1 and not isinstance(parts[0], list) and parts[0].ndim == 0:
        return _whole(model, parts)
    if len(parts) == 1 and len(parts[0]) == 1 and axis_of(parts[0], pair[0]) == 0:
        return _whole(model, parts)  # one sample: the shortest way
    samples = Samples(tuple(parts), None, pair, "predict")
    size = batch_size or _BATCH
    if samples.count <= size:
        return _whole(model, parts)
    axes = _axes(model, samples, batch_size, batch_axis is not None)
    if axes is None:
        return _whole(model, parts)
    try:
        return _joined(model, samples, axes, size)
    except _DifferentError as error:  # such as outputs as long as the longest sequence of a batch
        if batch_size is None:
            return _whole(model, parts)
        raise ValueError(f"predict: outputs of batches cannot be joined: {error}; leave batch_size out") from error


class _DifferentError(ValueError):
    """Outputs of batches that do not fit together."""


def _joined(model: Module, samples: Samples, axes: Any, size: int) -> Any:
    joined: Any = None
    for start in range(0, samples.count, size):
        stop = min(start + size, samples.count)
        parts = [cut(part, axis, start, stop) for part, axis in zip(samples.inputs, samples.axes, strict=True)]
        output = plain(model(*parts))
        try:
            joined = room_for(output, axes, samples.count) if start == 0 else joined
            put(joined, output, axes, start, stop)
        except ValueError as error:
            raise _DifferentError(str(error)) from error
    return joined


def _whole(model: Module, inputs: list[Part]) -> Any:
    try:
        return plain(model(*inputs))
    except (TypeError, ValueError) as error:
        if any(isinstance(part, list) for part in inputs):
            raise ValueError(f"predict: x is a list, which means ragged sequences; the model says: {error}") from error
        raise


def _axes(model: Module, samples: Samples, batch_size: int | None, told: bool) -> Any:
    """Along which axes outputs of batches are joined; None to run everything at once."""
    try:
        measured: Measured = measure(model, samples)
    except (IndexError, TypeError, ValueError) as error:
        if batch_size is None:
            return None
        raise ValueError(
            f"predict: tried on 2 samples, cut along axis {samples.axes[0]} of x, the model says: {error}"
        ) from error
    try:
        if not told:
            check_not_time(measured, samples, "predict")
    except ValueError:
        if batch_size is None:
            return None
        raise
    axes = following(*measured.outputs)
    if joinable(axes):
        return axes
    if batch_size is None:
        return None
    few, many = (", ".join([str(np.shape(leaf)) for leaf in leaves(output)]) for output in measured.outputs)
    raise ValueError(
        f"predict: for 2 samples the output has shape {few}, for 3 {many}; without one axis that follows their number "
        f"the outputs of batches cannot be joined, call with batch_size={samples.count} or None"
    )

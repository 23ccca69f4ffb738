from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last
from fastnn.op import op
from fastnn.tape import Backward


def _rows(x: FloatArray) -> FloatArray:
    """x as the kernel reads it: (N, C) contiguous, or (N, C, H, W) channels last in memory."""
    if x.ndim == 2:
        return np.ascontiguousarray(x)
    return channels_last(x[:, :, None, :] if x.ndim == 3 else x)


def _per_channel(a: Any, channels: int, name: str) -> FloatArray | None:
    if a is None:
        return None
    array = np.ascontiguousarray(as_float32(a, "batchnorm", name))
    if array.shape != (channels,):
        raise ValueError(
            f"batchnorm: {name} has shape {array.shape} but x with {channels} channels expects ({channels},)"
        )
    return array


def _require_writable(running: Any, name: str) -> None:
    if running is not None and not (isinstance(running, np.ndarray) and running.dtype.kind == "f"):
        what = f"dtype {running.dtype}" if isinstance(running, np.ndarray) else f"a {type(running).__name__}"
        raise TypeError(f"batchnorm: {name} is {what}, expected an array of floats, which training moves in place")
    if running is not None and not running.flags.writeable:
        raise ValueError(f"batchnorm: {name} is read-only, training moves it in place; give a copy")


def _update_running(mean: Any, var: Any, statistics: FloatArray, rows: int, momentum: float) -> None:
    """Moves the running mean and the running (unbiased) variance by ``momentum`` towards the batch's, in place."""
    for running, batch in ((mean, statistics[0]), (var, statistics[3] * np.float32(rows / (rows - 1)))):
        if running is not None:
            np.copyto(running, running * np.float32(1 - momentum) + batch * np.float32(momentum), casting="same_kind")


@op
def batchnorm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    relu: bool = False,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, per channel (Ioffe and Szegedy 2015, arXiv 1502.03167).

    Args:
        x: (N, C), (N, C, L) or (N, C, H, W); mean and variance are taken over all axes but C.
        running_mean, running_var: (C), or None. In training they are moved in place towards the mean and the unbiased
            variance of x; otherwise they are the mean and variance used.
        weight, bias: (C), or None (default) for 1 and 0.
        training: use the mean and the biased variance of x itself. Default False. Also done where no running
            statistics are given.
        momentum: share of the batch in the running statistics. Default 0.1.
        eps: added to the variance. Default 1e-5.
        relu: give max(y, 0), to the bit as ops.relu(y) would, without writing y. Default False.

    Returns the shape of x; images are channels last in memory. Statistics are exact to float32 also where the mean is
    1e4 standard deviations. Raises ValueError when a shape does not match C, or when there is one value per channel to
    take statistics of, or running statistics to move are read-only; TypeError where those are no array of floats.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.batchnorm(np.array([[1.0], [3.0]]), None, None, training=True).round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    """
    x = as_float32(x, "batchnorm", "x")
    if x.ndim not in (2, 3, 4):
        raise ValueError(f"batchnorm: x has shape {x.shape}, expected (N, C), (N, C, L) or (N, C, H, W)")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batchnorm: running_mean and running_var must be given together")
    channels = x.shape[1]
    fixed = not training and running_mean is not None
    mean, var = _per_channel(running_mean, channels, "running_mean"), _per_channel(running_var, channels, "running_var")
    gain, shift = _per_channel(weight, channels, "weight"), _per_channel(bias, channels, "bias")
    rows = x.size // channels if channels else 0
    if not fixed and rows == 1:
        raise ValueError(f"batchnorm: x {x.shape} has one value per channel, training needs more")
    if training and rows:
        _require_writable(running_mean, "running_mean")
        _require_writable(running_var, "running_var")
    seen = _rows(x)
    y, statistics = _core.batchnorm_forward(seen, gain, shift, *((mean, var) if fixed else (None, None)), eps, relu)
    if training and rows:
        _update_running(running_mean, running_var, statistics, rows, momentum)

    ndim, kept_shift = x.ndim, shift if relu else None

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx, dweight, dbias = _core.batchnorm_backward(
            _rows(dy), seen, gain, kept_shift, statistics, fixed, relu, need[0], need[3] or need[4]
        )
        return (
            dx[:, :, 0, :] if dx is not None and ndim == 3 else dx,
            None,
            None,
            dweight if need[3] else None,
            dbias if need[4] else None,
        )

    return y[:, :, 0, :] if x.ndim == 3 else y, backward

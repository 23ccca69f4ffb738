from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_array, as_float32, channels_last
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward


def _shape(
    x: Shape,
    running_mean: Shape | None,
    running_var: Shape | None,
    weight: Shape | None,
    bias: Shape | None,
    num_batches_tracked: Shape | None,
    *,
    training: bool,
    momentum: float | None,
    eps: float,
    relu: bool,
) -> Shape:
    if len(x) not in (2, 3, 4):
        raise ValueError(f"batchnorm: x has shape {x}, expected (N, C), (N, C, L) or (N, C, H, W)")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batchnorm: running_mean and running_var must be given together")
    channels = x[1]
    for name, shape in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if shape is not None and shape != (channels,):
            raise ValueError(
                f"batchnorm: {name} has shape {shape} but x with {channels} channels expects ({channels},)"
            )
    if (training or running_mean is None) and channels and math.prod(x) == channels:
        raise ValueError(f"batchnorm: x {x} has one value per channel, training needs more")
    return x


def _rows(x: FloatArray) -> FloatArray:
    """x as the kernel reads it: (N, C) contiguous, or (N, C, H, W) channels last in memory."""
    if x.ndim == 2:
        return np.ascontiguousarray(x)
    return channels_last(x[:, :, None, :] if x.ndim == 3 else x)


def _contiguous(a: Any, name: str) -> FloatArray | None:
    return None if a is None else np.ascontiguousarray(as_float32(a, "batchnorm", name))


def _require_writable(running: Any, name: str) -> None:
    if running is not None and not running.flags.writeable:
        raise ValueError(f"batchnorm: {name} is read-only, training moves it in place; give a copy")


def _update_running(mean: Any, var: Any, statistics: FloatArray, rows: int, momentum: float) -> None:
    """Moves the running mean and the running (unbiased) variance by ``momentum`` towards the batch's, in place."""
    for running, batch in ((mean, statistics[0]), (var, statistics[3] * np.float32(rows / (rows - 1)))):
        if running is not None:
            np.copyto(running, running * np.float32(1 - momentum) + batch * np.float32(momentum), casting="same_kind")


def _run(
    x: FloatArray,
    running_mean: Any,
    running_var: Any,
    weight: FloatArray | None,
    bias: FloatArray | None,
    num_batches_tracked: Any,
    *,
    need: Sequence[bool],
    training: bool,
    momentum: float | None,
    eps: float,
    relu: bool,
) -> tuple[FloatArray, Backward]:
    fixed = not training and running_mean is not None
    gain, shift = _contiguous(weight, "weight"), _contiguous(bias, "bias")
    if x.ndim not in (2, 3, 4) or (running_mean is None) != (running_var is None):
        raise ValueError("batchnorm: x or the running statistics do not fit")
    channels = x.shape[1]
    rows = x.size // channels if channels else 0
    if not fixed and (
        rows == 1 or (running_mean is not None and not running_mean.shape == running_var.shape == (channels,))
    ):
        raise ValueError("batchnorm: x or the running statistics do not fit")
    if training:
        _require_writable(num_batches_tracked, "num_batches_tracked")
    if training and rows:
        _require_writable(running_mean, "running_mean")
        _require_writable(running_var, "running_var")
    mean = _contiguous(running_mean, "running_mean") if fixed else None
    var = _contiguous(running_var, "running_var") if fixed else None
    seen = _rows(x)
    y, statistics = _core.batchnorm_forward(seen, gain, shift, mean, var, eps, relu)
    if training:
        count = num_batches_tracked
        if momentum is None:
            momentum = 0.0 if count is None else 1 / (int(count) + 1)
        if rows:
            _update_running(running_mean, running_var, statistics, rows, momentum)
        if count is not None:
            np.add(count, 1, out=count)

    ndim, kept_shift, (of_x, of_weight, of_bias) = x.ndim, shift if relu else None, (need[0], need[3], need[4])

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx, dweight, dbias = _core.batchnorm_backward(
            _rows(dy), seen, gain, kept_shift, statistics, fixed, relu, of_x, of_weight or of_bias
        )
        return (
            dx[:, :, 0, :] if dx is not None and ndim == 3 else dx,
            None,
            None,
            dweight if of_weight else None,
            dbias if of_bias else None,
        )

    return y[:, :, 0, :] if x.ndim == 3 else y, backward


def _running(a: Any, name: str, moved: bool) -> Any:
    """A running statistic: itself where it is moved, else as float32."""
    if a is None:
        return None
    if not moved:
        return as_float32(a, "batchnorm", name)
    if not (isinstance(a, np.ndarray) and a.dtype.kind == "f"):
        what = f"dtype {a.dtype}" if isinstance(a, np.ndarray) else f"a {type(a).__name__}"
        raise TypeError(f"batchnorm: {name} is {what}, expected an array of floats, which training moves in place")
    return a


@op(shape=_shape, run=_run)
def _batchnorm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    num_batches_tracked: Any,
    training: bool,
    momentum: float | None,
    eps: float,
    relu: bool,
) -> Any:
    """batchnorm, all arrays first."""
    x = as_float32(x, "batchnorm", "x")
    moved = training and x.size > 0
    arrays = (
        x,
        _running(running_mean, "running_mean", moved),
        _running(running_var, "running_var", moved),
        None if weight is None else as_float32(weight, "batchnorm", "weight"),
        None if bias is None else as_float32(bias, "batchnorm", "bias"),
        None if num_batches_tracked is None else as_array(num_batches_tracked, "batchnorm", "num_batches_tracked"),
    )
    return arrays, {
        "training": bool(training),
        "momentum": None if momentum is None else float(momentum),
        "eps": float(eps),
        "relu": bool(relu),
    }


def batchnorm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    *,
    num_batches_tracked: Any = None,
    relu: bool = False,
) -> Any:
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, per channel (Ioffe and Szegedy 2015, arXiv 1502.03167).

    Args:
        x: (N, C), (N, C, L) or (N, C, H, W); mean and variance are taken over all axes but C.
        running_mean, running_var: (C), or None. In training they are moved in place towards the mean and the unbiased
            variance of x; otherwise they are the mean and variance used.
        weight, bias: (C), or None (default) for 1 and 0.
        training: use the mean and the biased variance of x itself. Default False. Also done where no running
            statistics are given.
        momentum: share of the batch in the running statistics. Default 0.1; None: that which makes them the plain
            average of num_batches_tracked batches and this one, or 0 where these are not counted.
        eps: added to the variance. Default 1e-5.
        num_batches_tracked: an array of one integer, or None (default). In training it is counted up in place.
        relu: give max(y, 0), to the bit as ops.relu(y) would, without writing y. Default False.

    Returns the shape of x; images are channels last in memory. Statistics are exact to float32 also where the mean is
    1e4 standard deviations. Raises ValueError when a shape does not match C, or when there is one value per channel to
    take statistics of, or running statistics to move are read-only; TypeError where those are no array of floats.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.batchnorm(np.array([[1.0], [3.0]]), None, None, training=True).round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    """
    return _batchnorm(x, running_mean, running_var, weight, bias, num_batches_tracked, training, momentum, eps, relu)

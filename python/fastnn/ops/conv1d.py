from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn.arrays import FloatArray, as_float32, positive_int, single
from fastnn.ops.checks import named_padding, require_axes
from fastnn.ops.conv2d import Algorithm, check_channels, check_residual, conv2d, positions
from fastnn.ops.op import Normal, Shape, op
from fastnn.runtime.settings import pinned_algorithm
from fastnn.tape import Backward


def _shape(
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    residual: Shape | None = None,
    *,
    stride: int,
    padding: tuple[int, int],
    dilation: int,
    groups: int,
    algorithm: Algorithm = None,
    relu: bool = False,
) -> Shape:
    require_axes(x, 3, "(N, C, L)", "conv1d", "x")
    require_axes(weight, 3, "(out_channels, in_channels / groups, kernel length)", "conv1d", "weight")
    check_channels("conv1d", x, weight, bias, groups)
    y = x[0], weight[0], *positions("conv1d", x, weight, (stride,), padding, (dilation,))
    check_residual("conv1d", residual, y)
    return y


def _run(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    residual: FloatArray | None = None,
    *,
    need: Sequence[bool],
    stride: int,
    padding: tuple[int, int],
    dilation: int,
    groups: int,
    algorithm: Algorithm = None,
    relu: bool = False,
) -> tuple[FloatArray, Backward]:
    y, backward_2d = conv2d.run(
        x[:, :, None, :],
        weight[:, :, None, :],
        bias,
        None if residual is None else residual[:, :, None, :],
        need=need,
        stride=(1, stride),
        padding=(0, 0, *padding),
        dilation=(1, dilation),
        groups=groups,
        algorithm=algorithm,
        relu=relu,
    )

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx, dw, db, *more = backward_2d(dy[:, :, None, :])
        dx, dw, *more = [None if part is None else part[:, :, 0, :] for part in (dx, dw, *more)]
        return dx, dw, db, *more

    return y[:, :, 0, :], backward


@op(shape=_shape, run=_run)
def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Normal:
    """1-D cross-correlation of a sequence with a bank of filters: conv2d over images of height one.

    Args:
        x: (N, C, L).
        weight: (K, C / groups, kernel length).
        bias: (K) or None (default).
        stride, dilation: time steps, at least 1. Default 1.
        padding: time steps of zeros on each side, "valid" (0) or "same" (keeps L, stride 1 only). Default 0.
        groups: see conv2d. Default 1.

    Returns (N, K, OL), OL = (L + 2 padding - dilation (length - 1) - 1) // stride + 1. Raises as conv2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.conv1d(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)))
    array([[[1., 3., 5.]]], dtype=float32)
    """
    x, weight = as_float32(x, "conv1d", "x"), as_float32(weight, "conv1d", "weight")
    step, spread = single(stride, "conv1d", "stride"), single(dilation, "conv1d", "dilation")
    if isinstance(padding, str):
        kernel = weight.shape[2:] if weight.ndim == 3 else (1,)  # what has no kernel is refused by its shape
        sides = named_padding("conv1d", padding, kernel, (step,), (spread,))
    else:
        sides = (single(padding, "conv1d", "padding", minimum=0),) * 2
    return (x, weight, None if bias is None else as_float32(bias, "conv1d", "bias")), {
        "stride": step,
        "padding": sides,
        "dilation": spread,
        "groups": positive_int(groups, "conv1d", "groups"),
        **pinned_algorithm(),
    }

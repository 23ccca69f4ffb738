# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn.arrays import pair, positive_int, single
from fastnn.nn.init import fan_in_bound, uniform
from fastnn.nn.module import Module
from fastnn.ops.checks import padding_sides
from fastnn.ops.conv_transpose2d import check_output_padding
from fastnn.runtime.settings import check_algorithm, conv_algorithm
from fastnn.value import Parameter, Tensor


def _check_groups(op: str, in_channels: int, out_channels: int, groups: int) -> None:
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        positive_int(value, op, name)
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            raise ValueError(f"{op}: {name}={value} is not a multiple of groups={groups}")


class _Convolution(Module):
    """What convolutions share: parameters and how they are computed."""

    parameter_names = ("weight", "bias")
    _unnamed = 2
    in_channels: int
    out_channels: int
    weight: Parameter
    bias: Parameter | None

    def _take(self, algorithm: str | None) -> None:
        self.algorithm = None if algorithm is None else check_algorithm(algorithm, type(self).__name__)

    def _computed(self, op: Callable[..., Any], x: ArrayLike, *rest: Any) -> Any:
        if self.algorithm is None:
            return op(x, self.weight, self.bias, *rest)
        with conv_algorithm(self.algorithm):
            return op(x, self.weight, self.bias, *rest)


class Conv2d(_Convolution):
    """2-D convolution: x (N, in_channels, H, W) -> (N, out_channels, OH, OW), see ops.conv2d for OH and the formula.

    Args:
        in_channels, out_channels: at least 1, multiples of groups.
        kernel_size, stride, dilation: pixels, int or (vertical, horizontal). stride and dilation default to 1.
        padding: pixels of zeros, int, (vertical, horizontal), "same" or "valid". Default 0.
        groups: default 1; groups = in_channels is depthwise.
        bias: whether to add a learned bias. Default True.
        algorithm: "auto" or "direct", see fnn.conv_algorithm; None (default): what that says.

    Parameters: weight (out_channels, in_channels / groups, kh, kw) and bias (out_channels), uniform on
    ±1/sqrt(in_channels / groups * kh * kw) (He et al. 2015).

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.Conv2d(1, 6, 5, padding=2)(np.zeros((2, 1, 28, 28))).shape
    (2, 6, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        algorithm: str | None = None,
    ) -> None:
        _check_groups("Conv2d", in_channels, out_channels, groups)
        self._take(algorithm)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "Conv2d", "kernel_size")
        self.stride = pair(stride, "Conv2d", "stride")
        self.dilation = pair(dilation, "Conv2d", "dilation")
        self.padding = padding if isinstance(padding, str) else pair(padding, "Conv2d", "padding", minimum=0)
        padding_sides(self.padding, self.kernel_size, self.stride, self.dilation)  # raises where it must
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        bound = fan_in_bound(shape[1] * shape[2] * shape[3])
        self.weight = Parameter(uniform(shape, bound))
        self.bias = Parameter(uniform((out_channels,), bound)) if bias else None

    def forward(self, x: ArrayLike) -> Tensor:
        return self._computed(ops.conv2d, x, self.stride, self.padding, self.dilation, self.groups)


class Conv1d(_Convolution):
    """1-D convolution: x (N, in_channels, L) -> (N, out_channels, OL), see ops.conv1d. Arguments as Conv2d, in steps.

    Parameters: weight (out_channels, in_channels / groups, kernel_size) and bias (out_channels), drawn as Conv2d's.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.Conv1d(4, 8, 3, padding="same")(np.zeros((2, 4, 50))).shape
    (2, 8, 50)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        algorithm: str | None = None,
    ) -> None:
        _check_groups("Conv1d", in_channels, out_channels, groups)
        self._take(algorithm)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = single(kernel_size, "Conv1d", "kernel_size")
        self.stride = single(stride, "Conv1d", "stride")
        self.dilation = single(dilation, "Conv1d", "dilation")
        self.padding = padding if isinstance(padding, str) else single(padding, "Conv1d", "padding", minimum=0)
        shape = (out_channels, in_channels // groups, self.kernel_size)
        bound = fan_in_bound(shape[1] * shape[2])
        self.weight = Parameter(uniform(shape, bound))
        self.bias = Parameter(uniform((out_channels,), bound)) if bias else None

    def forward(self, x: ArrayLike) -> Tensor:
        return self._computed(ops.conv1d, x, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose2d(_Convolution):
    """2-D transposed convolution: x (N, in_channels, H, W) -> (N, out_channels, OH, OW), see ops.conv_transpose2d.

    Args:
        in_channels, out_channels: at least 1, multiples of groups.
        kernel_size, stride, dilation: pixels, int or (vertical, horizontal). stride and dilation default to 1.
        padding: pixels cut off each side of the output, int or (vertical, horizontal). Default 0.
        output_padding: more pixels at the bottom and right of the output, int or (vertical, horizontal), less than
            stride or dilation. Default 0.
        groups: default 1.
        bias: whether to add a learned bias. Default True.
        algorithm: "auto" or "direct", see fnn.conv_algorithm; None (default): what that says.

    Parameters: weight (in_channels, out_channels / groups, kh, kw) and bias (out_channels), uniform on
    ±1/sqrt(out_channels / groups * kh * kw), as torch draws them. Raises ValueError for arguments out of range.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)(np.zeros((2, 16, 7, 7))).shape
    (2, 8, 14, 14)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        algorithm: str | None = None,
    ) -> None:
        _check_groups("ConvTranspose2d", in_channels, out_channels, groups)
        self._take(algorithm)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "ConvTranspose2d", "kernel_size")
        self.stride = pair(stride, "ConvTranspose2d", "stride")
        self.padding = pair(padding, "ConvTranspose2d", "padding", minimum=0)
        self.output_padding = pair(output_padding, "ConvTranspose2d", "output_padding", minimum=0)
        self.dilation = pair(dilation, "ConvTranspose2d", "dilation")
        check_output_padding("ConvTranspose2d", self.stride, self.output_padding, self.dilation)
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        bound = fan_in_bound(shape[1] * shape[2] * shape[3])
        self.weight = Parameter(uniform(shape, bound))
        self.bias = Parameter(uniform((out_channels,), bound)) if bias else None

    def forward(self, x: ArrayLike) -> Tensor:
        return self._computed(
            ops.conv_transpose2d, x, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose1d(_Convolution):
    """1-D transposed convolution: x (N, in_channels, L) -> (N, out_channels, OL), see ops.conv_transpose1d.

    Arguments as ConvTranspose2d, in steps. Parameters: weight (in_channels, out_channels / groups, kernel_size) and
    bias (out_channels), drawn as ConvTranspose2d's. Raises ValueError for arguments out of range.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.ConvTranspose1d(4, 8, 4, stride=2, padding=1)(np.zeros((2, 4, 50))).shape
    (2, 8, 100)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        algorithm: str | None = None,
    ) -> None:
        _check_groups("ConvTranspose1d", in_channels, out_channels, groups)
        self._take(algorithm)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = single(kernel_size, "ConvTranspose1d", "kernel_size")
        self.stride = single(stride, "ConvTranspose1d", "stride")
        self.padding = single(padding, "ConvTranspose1d", "padding", minimum=0)
        self.output_padding = single(output_padding, "ConvTranspose1d", "output_padding", minimum=0)
        self.dilation = single(dilation, "ConvTranspose1d", "dilation")
        check_output_padding("ConvTranspose1d", (self.stride,), (self.output_padding,), (self.dilation,))
        shape = (in_channels, out_channels // groups, self.kernel_size)
        bound = fan_in_bound(shape[1] * shape[2])
        self.weight = Parameter(uniform(shape, bound))
        self.bias = Parameter(uniform((out_channels,), bound)) if bias else None

    def forward(self, x: ArrayLike) -> Tensor:
        return self._computed(
            ops.conv_transpose1d, x, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

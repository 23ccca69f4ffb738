from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.arrays import pair, positive_int, single
from fastnn.nn.op_layer import OpLayer
from fastnn.ops.adaptive_avgpool2d import output_sizes


def _check_padding(op: str, kernel_size: int | tuple[int, int], padding: int | tuple[int, int]) -> None:
    kernels = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,)
    paddings = padding if isinstance(padding, tuple) else (padding,)
    if any(2 * p > k for p, k in zip(paddings, kernels, strict=True)):
        raise ValueError(f"{op}: padding {padding} is more than half of kernel_size {kernel_size}")


class MaxPool2d(OpLayer):
    """The largest value of each window, per channel: (N, C, H, W) -> (N, C, OH, OW), see ops.maxpool2d.

    Args:
        kernel_size: pixels, int or (vertical, horizontal).
        stride: pixels, int or (vertical, horizontal). Default None: kernel_size.
        padding: pixels of -inf on each side, at most half of kernel_size. Default 0.
        dilation: pixels between taps. Default 1.
        ceil_mode: keep a last window that hangs over the far edge. Default False.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.MaxPool2d(2)(np.zeros((1, 6, 28, 28))).shape
    (1, 6, 14, 14)
    """

    op = ops.maxpool2d

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, ceil_mode: bool = False
    ) -> None:
        self.kernel_size = pair(kernel_size, "MaxPool2d", "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "MaxPool2d", "stride")
        self.padding = pair(padding, "MaxPool2d", "padding", minimum=0)
        self.dilation = pair(dilation, "MaxPool2d", "dilation")
        self.ceil_mode = ceil_mode
        _check_padding("MaxPool2d", self.kernel_size, self.padding)


class MaxPool1d(OpLayer):
    """The largest value of each window of time steps: (N, C, L) -> (N, C, OL); arguments as MaxPool2d, in steps.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.MaxPool1d(3, stride=2)(np.zeros((1, 6, 28))).shape
    (1, 6, 13)
    """

    op = ops.maxpool1d

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, ceil_mode: bool = False
    ) -> None:
        self.kernel_size = single(kernel_size, "MaxPool1d", "kernel_size")
        self.stride = self.kernel_size if stride is None else single(stride, "MaxPool1d", "stride")
        self.padding = single(padding, "MaxPool1d", "padding", minimum=0)
        self.dilation = single(dilation, "MaxPool1d", "dilation")
        self.ceil_mode = ceil_mode
        _check_padding("MaxPool1d", self.kernel_size, self.padding)


class AvgPool2d(OpLayer):
    """The mean of each window, per channel: (N, C, H, W) -> (N, C, OH, OW), see ops.avgpool2d.

    Args:
        kernel_size: pixels, int or (vertical, horizontal).
        stride: pixels, int or (vertical, horizontal). Default None: kernel_size.
        padding: pixels of zeros on each side, at most half of kernel_size. Default 0.
        ceil_mode: keep a last window that hangs over the far edge. Default False.
        count_include_pad: whether padding counts in the mean. Default True.
        divisor_override: divide every sum by this instead. Default None.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.AvgPool2d(2)(np.zeros((1, 6, 28, 28))).shape
    (1, 6, 14, 14)
    """

    op = ops.avgpool2d

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = pair(kernel_size, "AvgPool2d", "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "AvgPool2d", "stride")
        self.padding = pair(padding, "AvgPool2d", "padding", minimum=0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = (
            None if divisor_override is None else positive_int(divisor_override, "AvgPool2d", "divisor_override")
        )
        _check_padding("AvgPool2d", self.kernel_size, self.padding)


class AvgPool1d(OpLayer):
    """The mean of each window of time steps: (N, C, L) -> (N, C, OL); arguments as AvgPool2d, in steps.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.AvgPool1d(3, stride=2)(np.zeros((1, 6, 28))).shape
    (1, 6, 13)
    """

    op = ops.avgpool1d

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = single(kernel_size, "AvgPool1d", "kernel_size")
        self.stride = self.kernel_size if stride is None else single(stride, "AvgPool1d", "stride")
        self.padding = single(padding, "AvgPool1d", "padding", minimum=0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        _check_padding("AvgPool1d", self.kernel_size, self.padding)


class AdaptiveAvgPool2d(OpLayer):
    """Means over a grid of bins that covers the image: (N, C, H, W) -> (N, C, *output_size).

    Args:
        output_size: (OH, OW) or one int for both; None keeps H or W. 1 is the mean of each whole channel.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.AdaptiveAvgPool2d((3, None))(np.zeros((1, 6, 28, 28))).shape
    (1, 6, 3, 28)
    """

    op = ops.adaptive_avgpool2d

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_sizes(output_size, "AdaptiveAvgPool2d")


class AdaptiveAvgPool1d(OpLayer):
    """Means over bins that cover the sequence: (N, C, L) -> (N, C, output_size).

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.AdaptiveAvgPool1d(4)(np.zeros((1, 6, 30))).shape
    (1, 6, 4)
    """

    op = ops.adaptive_avgpool1d

    def __init__(self, output_size: Any) -> None:
        self.output_size = single(output_size, "AdaptiveAvgPool1d", "output_size", minimum=0)

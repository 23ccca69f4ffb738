"""Conv2d: dense, 1x1, strided, grouped and depthwise."""

import pytest
from kernels import cases, check
from reference.conv2d import conv2d


@pytest.mark.parametrize(("row", "mode"), cases("Conv2d"))
def test_conv2d(benchmark, row, mode):
    get = row.options.get
    stride, padding = get("stride", 1), get("padding", 0)
    options = {"stride": (stride, stride), "padding": (padding, padding), "groups": get("groups", 1)}
    check(benchmark, row, mode, lambda x, weight, bias: conv2d(x, weight, bias, **options))

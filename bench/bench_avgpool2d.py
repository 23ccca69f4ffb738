"""AvgPool2d, and the mean of a whole channel."""

import pytest
from kernels import cases, check
from reference.avgpool2d import avgpool2d


@pytest.mark.parametrize(("row", "mode"), cases("AvgPool2d"))
def test_avgpool2d(benchmark, row, mode):
    check(benchmark, row, mode, lambda x: avgpool2d(x, **row.options))


@pytest.mark.parametrize(("row", "mode"), cases("AdaptiveAvgPool2d"))
def test_global_avgpool(benchmark, row, mode):
    check(benchmark, row, mode, lambda x: x.mean((2, 3), keepdims=True))

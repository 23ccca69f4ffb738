"""BatchNorm2d with the statistics of the batch."""

import pytest
from kernels import cases, check
from reference.batchnorm import batchnorm


@pytest.mark.parametrize(("row", "mode"), cases("BatchNorm2d"))
def test_batchnorm(benchmark, row, mode):
    check(benchmark, row, mode, lambda x, weight, bias: batchnorm(x, None, None, weight, bias, training=True))

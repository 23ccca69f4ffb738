"""Conv1d over short and long sequences."""

import pytest
from kernels import cases, check
from reference.conv2d import conv1d


@pytest.mark.parametrize(("row", "mode"), cases("Conv1d"))
def test_conv1d(benchmark, row, mode):
    options = {"padding": row.options["padding"], "dilation": row.options["dilation"]}
    check(benchmark, row, mode, lambda x, weight, bias: conv1d(x, weight, bias, **options))

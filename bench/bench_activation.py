"""ReLU."""

import pytest
from kernels import cases, check
from reference.activation import relu


@pytest.mark.parametrize(("row", "mode"), cases("ReLU"))
def test_relu(benchmark, row, mode):
    check(benchmark, row, mode, relu)

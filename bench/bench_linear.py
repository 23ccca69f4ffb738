"""Linear, from one row to a thousand."""

import pytest
from kernels import cases, check
from reference.linear import linear


@pytest.mark.parametrize(("row", "mode"), cases("Linear"))
def test_linear(benchmark, row, mode):
    check(benchmark, row, mode, linear)

"""MaxPool2d, apart and overlapping windows."""

import pytest
from kernels import cases, check
from reference.maxpool2d import maxpool2d


@pytest.mark.parametrize(("row", "mode"), cases("MaxPool2d"))
def test_maxpool2d(benchmark, row, mode):
    check(benchmark, row, mode, lambda x: maxpool2d(x, **row.options))

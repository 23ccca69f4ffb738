"""Softmax and cross entropy, the loss and its gradient."""

import pytest
from kernels import cases, check
from reference.cross_entropy import cross_entropy


@pytest.mark.parametrize(("row", "mode"), cases("cross_entropy"))
def test_cross_entropy(benchmark, row, mode):
    labels = row.labels()
    check(benchmark, row, mode, lambda x: cross_entropy(x, labels))

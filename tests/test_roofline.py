import numpy as np
import pytest

from fastnn import _core
from fastnn.tools.bench import copy_bandwidth, fma_peak


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65535, 65536, 65537, 200_003])
def test_copy(isa, rng, size):
    x = rng.standard_normal(size + 2, dtype=np.float32)[1:-1]
    around = np.full(size + 2, np.float32(7))
    _core.roofline_copy(x, around[1:-1])
    np.testing.assert_array_equal(around[1:-1], x)
    assert around[0] == around[-1] == 7


def test_peak_counts_its_work(isa):
    assert _core.roofline_peak(2, 30) == 2 * _core.roofline_peak(1, 30) == 6 * _core.roofline_peak(2, 5)
    assert _core.roofline_peak(1, 1) > 0
    assert fma_peak(0.01) > 1e8
    assert copy_bandwidth(0.01, 1 << 16) > 1e7


def test_errors():
    for tasks, steps in ((0, 1), (1, 0), (2**62, 1), (1, 2**62), (-1, 5)):
        with pytest.raises(ValueError, match="roofline_peak: tasks must be"):
            _core.roofline_peak(tasks, steps)
    x = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="roofline_copy: y has shape"):
        _core.roofline_copy(x, np.zeros(5, np.float32))
    with pytest.raises(TypeError, match="y must be C-contiguous"):
        _core.roofline_copy(x, np.zeros(8, np.float32)[::2])
    with pytest.raises(TypeError):
        _core.roofline_copy(x, np.zeros(4))
    frozen = np.zeros(4, np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="not writeable"):
        _core.roofline_copy(x, frozen)

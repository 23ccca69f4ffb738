import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core
from fastnn.runtime import limits


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


def test_work_is_what_was_asked(isa):
    for threads in (1, 2):
        with fnn.threads(threads):
            step = _core.roofline_peak(4 * threads, 1)
            for flops in (1.0, 4.4 * step, 4.6 * step, 1000.0 * step):
                assert limits.multiply_adds(flops)() == step * max(1, round(flops / step))
    for values in (2, 1000, 1 << 17):
        assert limits.copies(values)() == 4 * values


class Clock:
    """Seconds that pass only when something is done."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize("seconds", [0.0, 7.0])
def test_a_rate_is_the_best_of_the_calls_that_fit(monkeypatch, seconds):
    clock, took = Clock(), [4.0, 2.0, 5.0, 1.0]
    monkeypatch.setattr(limits, "time", clock)

    def call():
        clock.now += took.pop(0)
        return 20.0

    assert limits.best_rate(call, seconds) == (5.0 if seconds == 0 else 10.0)
    assert len(took) == (3 if seconds == 0 else 1)


def test_limits_divide_the_work_by_its_time(monkeypatch):
    """Each call of the kernels takes a second of this clock."""
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    done = []

    def timed(kernel):
        def call(*arguments):
            clock.now += 1
            done.append(kernel(*arguments))
            return done[-1]

        return call

    monkeypatch.setattr(_core, "roofline_copy", timed(_core.roofline_copy))
    assert limits.copy_bandwidth(0.5, 1 << 16) == 4 << 16
    monkeypatch.setattr(_core, "roofline_peak", timed(_core.roofline_peak))
    assert limits.fma_peak(0.5) == done[-1] > 9e7 * fnn.get_num_threads()


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

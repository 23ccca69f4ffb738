"""What this machine can do at most: multiply-adds in registers, and bytes copied, with the threads set."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from fastnn import _core
from fastnn.runtime.threads import get_num_threads

_TASKS_PER_THREAD = 4
_FLOPS = 1e8  # of a call per thread: a millisecond at the peak of a core, long beside starting the threads


def multiply_adds(flops: float) -> Callable[[], float]:
    """A call that does about ``flops`` of multiply-adds in registers, at least one step, and returns how many."""
    tasks = _TASKS_PER_THREAD * get_num_threads()
    steps = max(1, round(flops / _core.roofline_peak(tasks, 1)))
    return lambda: _core.roofline_peak(tasks, steps)


def copies(values: int) -> Callable[[], int]:
    """A call that reads and writes ``values`` float32 in all, half of them each, and returns their bytes."""
    x, y = np.ones(values // 2, np.float32), np.zeros(values // 2, np.float32)

    def call() -> int:
        _core.roofline_copy(x, y)
        return x.nbytes + y.nbytes

    return call


def best_rate(call: Callable[[], float], seconds: float) -> float:
    """What ``call`` returns over the time it takes: the best of as many calls as fit into ``seconds``, at least one."""
    best, end = 0.0, time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        done = call()
        now = time.perf_counter()
        best = max(best, done / (now - start))
        if now >= end:
            return best


def fma_peak(seconds: float = 0.3) -> float:
    """FLOP/s of multiply-adds in registers with the threads set: the most that any kernel can reach."""
    return best_rate(multiply_adds(_FLOPS * get_num_threads()), seconds)


def copy_bandwidth(seconds: float = 0.3, values: int = 1 << 25) -> float:
    """Bytes read plus written per second when copying, by default 64 MiB to 64 MiB, with the threads set."""
    return best_rate(copies(values), seconds)

"""fork after and during parallel work: the child computes the same bits and never hangs.

libgomp's threads do not exist in a child, yet it would wait for them (GCC bug 60035), and a lock that another thread
held at the moment of the fork stays locked for ever.
"""

import multiprocessing
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core, ops

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

SECONDS = 5
X = np.random.default_rng(0).standard_normal((8, 3, 32, 32)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((16, 3, 3, 3)).astype(np.float32)


def _work():
    """Forward and backward of a convolution large enough for a team of threads."""
    w = fnn.Tensor(W, requires_grad=True)
    y = ops.conv2d(X, w, padding=1)
    y.backward(y.numpy())
    return y.numpy().tobytes() + w.grad.numpy().tobytes()


def _fork(check):
    """The child's exit status: 0 where check() is true there. A child that hangs is killed and reported."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 3)
        finally:
            os._exit(4)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fork_after_parallel_work(threads):
    fnn.set_num_threads(threads)
    expected = _work()
    for _ in range(20):
        assert _fork(lambda: _work() == expected) == 0
        assert _work() == expected


def test_fork_in_the_child():
    fnn.set_num_threads(2)
    expected = _work()
    assert _fork(lambda: _work() == expected and _fork(lambda: _work() == expected) == 0) == 0


def test_more_threads_in_the_child():
    fnn.set_num_threads(2)
    expected = _work()

    def check():
        fnn.set_num_threads(5)
        return _work() == expected

    assert _fork(check) == 0


def test_fork_while_other_threads_compute():
    """The other threads allocate and run kernels without the GIL while this one forks."""
    fnn.set_num_threads(2)
    expected, stop, wrong = _work(), threading.Event(), []

    def busy():
        while not stop.is_set():
            if _work() != expected:
                wrong.append(1)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        results = [_fork(lambda: _work() == expected) for _ in range(30)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert results == [0] * 30
    assert not wrong


def test_memory_in_the_child():
    """Blocks of arrays made before the fork return to the child's own cache."""
    y = ops.conv2d(X, W)
    before = _core.memory_stats()["in_use_bytes"]

    def check():
        nonlocal y
        del y
        return _core.memory_stats()["in_use_bytes"] < before

    assert _fork(check) == 0
    assert _core.memory_stats()["in_use_bytes"] == before


def _in_pool(i):
    fnn.set_num_threads(2)
    return i, _work()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method):
    fnn.set_num_threads(2)
    expected = _work()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map_async(_in_pool, range(4)).get(60) == [(i, expected) for i in range(4)]

"""Many Python threads share a model, models are trained side by side, and the default number of threads is polite."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from cases import CASES, run
from training import MODELS, train

import fastnn as fnn
from fastnn import nn
from fastnn.runtime.threads import default_num_threads


def _in_threads(count, work):
    """work(i) in `count` Python threads at once; their results."""
    results, start = [None] * count, threading.Barrier(count)

    def body(i):
        start.wait()
        results[i] = work(i)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_ops_in_eight_threads(name, threads):
    """Forward and backward of the same inputs, each op from eight Python threads at once: the bits of one thread."""
    fnn.set_num_threads(threads)
    case = CASES[name]
    arrays = case.arrays(np.random.default_rng(5))
    expected = [r.tobytes() for r in run(case, arrays)]
    for results in _in_threads(8, lambda _: [[r.tobytes() for r in run(case, arrays)] for _ in range(5)]):
        assert results == [expected] * 5


def test_predict_in_eight_threads(rng):
    fnn.set_num_threads(2)
    model = nn.Conv2d(3, 24, 3, padding=1)
    x = rng.standard_normal((4, 3, 20, 20)).astype(np.float32)
    with fnn.no_grad():
        expected = model(x).numpy().tobytes()

    def work(_):
        with fnn.no_grad():
            return all(model(x).numpy().tobytes() == expected for _ in range(40))

    assert all(_in_threads(8, work))


def test_models_trained_side_by_side():
    """Four models in four Python threads end with the bits of one trained alone."""
    fnn.set_num_threads(2)
    build, *task = MODELS["lstm"]
    models = []
    for _ in range(5):
        fnn.manual_seed(0)
        models.append(build())
    alone = train(models[0], *task)
    assert all(bits == alone for bits in _in_threads(4, lambda i: train(models[1 + i], *task)))


def test_no_grad_is_of_one_thread():
    seen = []
    with fnn.no_grad():
        thread = threading.Thread(target=lambda: seen.append(fnn.is_grad_enabled()))
        thread.start()
        thread.join()
        assert not fnn.is_grad_enabled()
    assert seen == [True]


# ---- the default number of threads ----


@pytest.fixture
def _clean(monkeypatch):
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


# files of a fixture root -> threads of 16 CPUs
CGROUPS = {
    "none": ({}, 16),
    "v2_max": ({"sys/fs/cgroup/cpu.max": "max 100000"}, 16),
    "v2_two": ({"sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
    "v2_half": ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
    "v2_rounds_up": ({"sys/fs/cgroup/cpu.max": "250000 100000"}, 3),
    "v2_more_than_cpus": ({"sys/fs/cgroup/cpu.max": "6400000 100000"}, 16),
    "v2_other_period": ({"sys/fs/cgroup/cpu.max": "40000 10000"}, 4),
    "v2_empty": ({"sys/fs/cgroup/cpu.max": ""}, 16),
    "v2_one_word": ({"sys/fs/cgroup/cpu.max": "200000"}, 16),
    "v2_words": ({"sys/fs/cgroup/cpu.max": "two cpus"}, 16),
    "v2_zero_period": ({"sys/fs/cgroup/cpu.max": "200000 0"}, 16),
    "v2_negative": ({"sys/fs/cgroup/cpu.max": "-1 100000"}, 16),
    "v2_nan": ({"sys/fs/cgroup/cpu.max": "nan 100000"}, 16),
    "v2_slice": ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "300000 100000"}, 3),
    "v2_slice_above": ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3),
    "v2_least_of_both": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "300000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "500000 100000",
        },
        3,
    ),
    "v2_other_slice": ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/b/cpu.max": "300000 100000"}, 16),
    "v1_none": ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 16),
    "v1_two": (
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
        2,
    ),
    "v1_no_period": ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000"}, 16),
    "v1_zero_period": ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "2", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "0"}, 16),
    "v1_slice": (
        {
            "proc/self/cgroup": "9:memory:/m\n4:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "500000",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
        },
        5,
    ),
    "v1_memory_slice": (
        {
            "proc/self/cgroup": "9:memory:/m\n",
            "sys/fs/cgroup/cpu/m/cpu.cfs_quota_us": "500000",
            "sys/fs/cgroup/cpu/m/cpu.cfs_period_us": "100000",
        },
        16,
    ),
    "garbage": ({"proc/self/cgroup": "::::\n\nx\n", "sys/fs/cgroup/cpu.max": "700000 100000"}, 7),
}


@pytest.mark.usefixtures("_clean")
@pytest.mark.parametrize(("files", "threads"), CGROUPS.values(), ids=CGROUPS)
def test_cgroup(tmp_path, files, threads):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert default_num_threads(tmp_path) == threads


@pytest.mark.usefixtures("_clean")
@pytest.mark.parametrize(
    ("fastnn_threads", "omp_threads", "expected"),
    [
        (None, "3", 3),
        ("5", "3", 5),
        ("5", None, 5),
        (None, "4,2,1", 4),
        (None, " 4 ", 4),
        ("", "", 16),
        ("0", "-1", 16),
        ("x", "1.5", 16),
        ("²", "٣", 16),
        ("9" * 5000, None, 16),
        ("5000", None, 1024),
    ],
)
def test_environment(monkeypatch, tmp_path, fastnn_threads, omp_threads, expected):
    for name, value in (("FASTNN_NUM_THREADS", fastnn_threads), ("OMP_NUM_THREADS", omp_threads)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert default_num_threads(tmp_path) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_affinity():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); before = os.sched_getaffinity(0)\n"
        "import fastnn; print(fastnn.get_num_threads(), os.sched_getaffinity(0) == before)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("FASTNN_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]


@pytest.mark.parametrize(
    ("n", "error"), [(0, ValueError), (-1, ValueError), (1025, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_set_num_threads(n, error):
    before = fnn.get_num_threads()
    with pytest.raises(error, match="set_num_threads: n is"):
        fnn.set_num_threads(n)
    with pytest.raises(error), fnn.threads(n):
        pass
    assert fnn.get_num_threads() == before


def test_threads_are_put_back():
    fnn.set_num_threads(2)
    with pytest.raises(KeyError), fnn.threads(3):
        raise KeyError
    assert fnn.get_num_threads() == 2


def test_gradients_of_one_model_from_several_threads():
    """Each thread goes back through its own graph; what they add to the shared parameters is all there."""
    model, x = fnn.nn.Linear(64, 128), np.ones((4, 64), np.float32)
    for _ in range(30):
        losses, together = [model(x).sum() for _ in range(4)], threading.Barrier(4)

        def back(loss, together=together):
            together.wait()
            loss.backward()

        workers = [threading.Thread(target=back, args=(loss,)) for loss in losses]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert np.all(model.weight.grad == 16)
        model.zero_grad()


def test_one_no_grad_object_in_two_threads():
    guard, entered, leave = fnn.no_grad(), threading.Event(), threading.Event()

    def other():
        with fnn.no_grad(), guard:
            entered.set()
            leave.wait()

    worker = threading.Thread(target=other)
    with guard:
        worker.start()
        entered.wait()
    assert fnn.is_grad_enabled()
    leave.set()
    worker.join()
    assert fnn.is_grad_enabled()


BORN_IN_A_RECURRENT_LAYER = """
import numpy as np, fastnn as fnn
layer, x = fnn.nn.LSTM(16, 64), np.ones((8, 32, 16), np.float32)
for n in (1, 4):  # once its weights are packed, it starts the threads while subnormal numbers count as zero
    fnn.set_num_threads(n)
    layer(x)
x = np.full((64, 4096), 1e-39, np.float32)
y = fnn.ops.silu(x)
assert y.min() == y.max() > 0, (y.min(), y.max())
"""


def test_threads_started_by_a_recurrent_layer_keep_subnormal_numbers():
    subprocess.run([sys.executable, "-c", BORN_IN_A_RECURRENT_LAYER], check=True)

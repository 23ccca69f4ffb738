"""Importing and using fastnn leaves the process as it was found: floating-point modes of every thread, signal handlers,
locale, working directory, environment, umask, affinity, random states, warning filters, error modes, open files."""

import json
import os
import subprocess
import sys

CODE = r"""
import ctypes, faulthandler, json, locale, os, random, resource, signal, sys, threading, warnings
import numpy as np

faulthandler.disable()
np.random.seed(1)
random.seed(1)
warnings.simplefilter("always")
np.seterr(all="warn")


def modes():
    "Whether subnormal numbers live in this thread (MXCSR without FTZ and DAZ), and how it rounds."
    tiny = np.full(64, 1e-40, np.float32)
    return [5e-324 * 1.0 > 0, bool((tiny * np.float32(0.5) > 0).all()), 0.1 + 0.2, float(np.float32(1) / np.float32(3))]


def c_environment():
    "Unlike os.environ, which is a copy made at start."
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    names = [b"PATH", b"OMP_NUM_THREADS", b"OMP_WAIT_POLICY", b"GOMP_SPINCOUNT", b"KMP_DUPLICATE_LIB_OK"]
    return [str(getenv(name)) for name in names]


def in_thread(work):
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def state():
    mask = os.umask(0)
    os.umask(mask)
    return {
        "modes": modes(),
        "modes of a thread": in_thread(modes),
        "signals": [str(signal.getsignal(s)) for s in sorted(signal.valid_signals())],
        "signal mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "locale": locale.setlocale(locale.LC_ALL),
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "environment of C": c_environment(),
        "umask": mask,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "limits": [resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")],
        "numpy random": [str(v) for v in np.random.get_state()],
        "random": random.getstate()[1][:3],
        "warnings": [str(f) for f in warnings.filters],
        "errors of numpy": np.geterr(),
        "print options": str(np.get_printoptions()),
        "hooks": [str(sys.excepthook), str(sys.unraisablehook), str(threading.excepthook), str(sys.displayhook)],
        "open files": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None,
        "recursion": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "faulthandler": faulthandler.is_enabled(),
        "subnormals of a kernel's thread": subnormals(),
    }


subnormals = lambda: True
before = state()

import fastnn as fnn
from cases import CASES, run

fnn.set_num_threads(2)
for case in CASES.values():
    run(case, case.arrays(np.random.default_rng(0)))
w = fnn.Tensor(np.random.default_rng(0).standard_normal((16, 3, 3, 3)), requires_grad=True)
fnn.ops.conv2d(np.ones((8, 3, 32, 32), np.float32), w).backward(np.ones((8, 16, 30, 30)))


def subnormals():
    "A product of 1 with a subnormal number, on two threads: flushed to zero where a worker has FTZ or DAZ set."
    x = np.full((64, 256), 1e-40, np.float32)
    return bool((fnn.ops.linear(x, np.eye(256, dtype=np.float32)) == x).all())


after = state()
print(json.dumps([before, after]))
"""


def test_import_and_use_leave_the_process_alone():
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    before, after = json.loads(done.stdout)
    assert before["modes"][:2] == [True, True]
    for name, value in before.items():
        assert after[name] == value, name


def test_import_is_quiet_and_lean():
    """Importing fastnn prints nothing, opens no socket and brings in nothing but NumPy (and safetensors)."""
    code = "import sys, fastnn; print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for absent in ("torch", "sklearn", "scipy", "pandas", "matplotlib", "tqdm", "pytest", "socket", "multiprocessing"):
        assert f"'{absent}'" not in done.stdout, absent

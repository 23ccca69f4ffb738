"""How many threads the kernels use. Results do not depend on it, bit for bit."""

from __future__ import annotations

import math
import os

from fastnn import _core


def get_num_threads() -> int:
    """Threads that a kernel may use."""
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Sets the number of threads, at least 1, for the whole process. Raises ValueError below 1.

    >>> import fastnn as fnn
    >>> fnn.set_num_threads(1)
    >>> fnn.get_num_threads()
    1
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads: n is {n!r}, expected an integer")
    if not 1 <= n <= 1024:
        raise ValueError(f"set_num_threads: n is {n}, expected 1 to 1024")
    _core.set_num_threads(n)


class threads:  # noqa: N801  (reads as a statement)
    """``with fnn.threads(n): ...`` uses n threads inside, and what was set before after it."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __enter__(self) -> None:
        self._before = get_num_threads()
        set_num_threads(self.n)

    def __exit__(self, *exc: object) -> None:
        set_num_threads(self._before)


def _text(*path: str) -> str:
    with open(os.path.join(*path), encoding="utf-8") as file:  # pathlib takes 4 ms to import
        return file.read()


def _folder_quota(folder: str) -> float:
    """CPUs that one cgroup folder allows (v2 cpu.max, v1 cfs quota and period); infinity without a limit."""
    try:
        if os.path.exists(os.path.join(folder, "cpu.max")):
            quota, period = _text(folder, "cpu.max").split()
        else:
            quota, period = _text(folder, "cpu.cfs_quota_us"), _text(folder, "cpu.cfs_period_us")
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _cgroup_quota(root: str) -> float:
    """CPUs the cgroup of this process may use: the least that its folder and those above it allow."""
    folders = [os.path.join(root, "sys/fs/cgroup"), os.path.join(root, "sys/fs/cgroup/cpu")]
    try:
        lines = _text(root, "proc/self/cgroup").splitlines()
    except OSError:
        lines = []
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = folders[1 if controllers else 0]
        for part in filter(None, path.split("/")):
            folder = os.path.join(folder, part)
            folders.append(folder)
    return min(_folder_quota(folder) for folder in folders)


def _environment(name: str) -> int | None:
    """A positive count in an environment variable; OMP_NUM_THREADS may be a list, of which the first counts."""
    text = os.environ.get(name, "").split(",")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0 else None


def default_num_threads(root: str | os.PathLike[str] = "/") -> int:
    """FASTNN_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use: affinity and cgroup quota."""
    for name in ("FASTNN_NUM_THREADS", "OMP_NUM_THREADS"):
        wanted = _environment(name)
        if wanted is not None:
            return min(wanted, 1024)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, math.ceil(min(_cgroup_quota(os.fspath(root)), 1024)), 1024))

"""What runs here: versions, instruction sets, threads. The first thing to put into a bug report."""

from __future__ import annotations

import os
import platform
import re

import numpy as np

from fastnn import _core
from fastnn.runtime.threads import get_num_threads

_OPENMP = re.compile(r"lib(gomp|i?omp5?)\b[^/]*\.so[^/]*$")


def openmp_runtimes(maps: str | os.PathLike[str] = "/proc/self/maps") -> list[str]:
    """Files of the OpenMP runtimes loaded into this process, by whichever package; empty where /proc is absent."""
    try:
        with open(maps, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    files = {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
    return sorted(file for file in files if _OPENMP.search(file))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return platform.processor() or "unknown"
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return name[1] if name else platform.processor() or "unknown"


def versions() -> dict[str, str]:
    """The lines of ``show_versions()`` as a dict."""
    return {
        "fastnn": _core.__version__,
        "ISA": f"{_core.isa()} (of {', '.join(_core.available_isas())}; FASTNN_ISA chooses)",
        "threads": f"{get_num_threads()} ({_core.thread_backend()})",
        "OpenMP runtime": ", ".join(openmp_runtimes()) or "none found",
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "processor": _processor(),
    }


def show_versions() -> None:
    """Prints the versions of fastnn, NumPy and Python, the ISA level, the threads and the OpenMP runtime in use."""
    for name, value in versions().items():
        print(f"{name:<15} {value}")

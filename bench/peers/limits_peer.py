"""The least time this machine needs for a row: as many multiply-adds in registers, or a copy of as many bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from shapes import Row

import fastnn as fnn
from fastnn import _core

TASKS_PER_THREAD = 4


def set_threads(n: int) -> None:
    fnn.set_num_threads(n)


def version() -> str:
    return f"limits of {_core.isa()}"


def peak(flops: float) -> Callable[[], Any]:
    tasks = TASKS_PER_THREAD * fnn.get_num_threads()
    steps = max(1, round(flops / _core.roofline_peak(tasks, 1)))
    return lambda: _core.roofline_peak(tasks, steps)


def copy(values: float) -> Callable[[], Any]:
    x, y = np.ones(int(values) // 2, np.float32), np.zeros(int(values) // 2, np.float32)
    return lambda: _core.roofline_copy(x, y)


def build(row: Row) -> dict[str, Callable[[], Any]]:
    calls = {}
    for mode in row.modes:
        if row.flops(mode):
            calls[mode] = peak(row.flops(mode))
        elif row.values(mode):
            calls[mode] = copy(row.values(mode))
    return calls

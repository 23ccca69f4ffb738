"""The least time this machine needs for a row: as many multiply-adds in registers, or a copy of as many bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastnn as fnn
from fastnn import _core
from fastnn.runtime.limits import copies, multiply_adds

from ..row import Row


def set_threads(n: int) -> None:
    fnn.set_num_threads(n)


def version() -> str:
    return f"limits of {_core.isa()}"


def build(row: Row) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {}
    for mode in row.modes:
        if row.flops(mode):
            calls[mode] = multiply_adds(row.flops(mode))
        elif row.values(mode):
            calls[mode] = copies(int(row.values(mode)))
    return calls

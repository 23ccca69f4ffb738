"""Initial weights, as torch.nn draws them."""

from __future__ import annotations

import math
import threading

import numpy as np

from fastnn.arrays import FloatArray, columns_first, copied
from fastnn.random import generator


class _Mode(threading.local):
    blank = False


_mode = _Mode()


class blank:  # noqa: N801  (reads as a statement)
    """``with blank(): ...``: parameters made inside have shapes but take no memory and no random numbers.

    For models that get their arrays from elsewhere, and whose sizes are not to be trusted.
    """

    def __enter__(self) -> None:
        self._before = _mode.blank
        _mode.blank = True

    def __exit__(self, *exc: object) -> None:
        _mode.blank = self._before


def _blank(shape: tuple[int, ...]) -> FloatArray:
    """One number that all elements share."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), shape, (0,) * len(shape))


def filled(shape: tuple[int, ...], value: float) -> FloatArray:
    """The same value everywhere."""
    return _blank(shape) if _mode.blank else np.full(shape, value, np.float32)


def uniform(shape: tuple[int, ...], bound: float) -> FloatArray:
    """Uniform on [-bound, bound)."""
    if _mode.blank:
        return _blank(shape)
    return copied(generator().uniform(-bound, bound, shape))


def uniform_columns(shape: tuple[int, int], bound: float) -> FloatArray:
    """The same matrix with its columns dense in memory."""
    if _mode.blank:
        return _blank(shape)
    return columns_first(generator().uniform(-bound, bound, shape))


def normal(shape: tuple[int, ...]) -> FloatArray:
    """Normal with mean 0 and standard deviation 1."""
    if _mode.blank:
        return _blank(shape)
    return generator().standard_normal(shape, np.float32)


def fan_in_bound(fan_in: int) -> float:
    """1 / sqrt(fan_in): He et al. 2015 (arXiv 1502.01852, eq. 10) with gain for a leaky slope of sqrt(5)."""
    return 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0

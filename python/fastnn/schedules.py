"""Schedules of the learning rate: functions from the epoch, counted from 0, to a factor; see callbacks.LearningRate."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["cosine", "step"]


def step(size: int, gamma: float = 0.1) -> Callable[[int], float]:
    """Multiplies the rate by ``gamma`` (default 0.1) every ``size`` epochs.

    >>> from fastnn import schedules
    >>> [schedules.step(2, 0.5)(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    if size < 1:
        raise ValueError(f"step: size is {size}, expected at least 1")
    return lambda epoch: float(gamma ** (epoch // size))


def cosine(epochs: int, minimum: float = 0.0) -> Callable[[float], float]:
    """Half a cosine from 1 at epoch 0 down to ``minimum`` (default 0) at epoch ``epochs`` (Loshchilov and Hutter 2017).

    >>> from fastnn import schedules
    >>> [round(schedules.cosine(4)(epoch), 2) for epoch in range(5)]
    [1.0, 0.85, 0.5, 0.15, 0.0]
    """
    if epochs < 1:
        raise ValueError(f"cosine: epochs is {epochs}, expected at least 1")
    return lambda epoch: minimum + (1 - minimum) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2

"""Losses by the names that ``fnn.fit(loss=...)`` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.ops.cross_entropy import cross_entropy
from fastnn.ops.ctc import ctc_loss
from fastnn.ops.mse_loss import mse_loss

__all__ = ["LOSSES", "cross_entropy", "ctc_loss", "get", "mse_loss"]

LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "mse": mse_loss,
    "mse_loss": mse_loss,
}


def get(loss: str | Callable[..., Any]) -> Callable[..., Any]:
    """The loss of that name; a function ``loss(output, target)`` is given back as it is.

    Raises ValueError for an unknown name.

    >>> from fastnn import losses
    >>> losses.get("mse")([1.0], [3.0])
    array(4., dtype=float32)
    """
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}, expected one of {', '.join(LOSSES)} or a function of output and target")
    return LOSSES[loss]

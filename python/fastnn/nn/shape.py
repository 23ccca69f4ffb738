"""Layers that move elements and compute nothing."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn.nn.module import Module
from fastnn.nn.op_layer import OpLayer


class Flatten(OpLayer):
    """Makes one axis of the axes start_dim to end_dim: (N, C, H, W) -> (N, C * H * W), in that order in any layout.

    Args:
        start_dim, end_dim: default 1 and -1, all but the batch.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.Flatten()(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    op = ops.flatten

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim


class Identity(Module):
    """Gives back its input; takes any arguments and ignores them, as a placeholder for another layer.

    >>> from fastnn import nn
    >>> nn.Identity()(7)
    7
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs

    def forward(self, x: ArrayLike) -> Any:
        return x

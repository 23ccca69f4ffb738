"""Helpers around parameters, torch.nn.utils' names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.value import Tensor


def clip_grad_norm_(parameters: Any, max_norm: float) -> float:
    """Scales all gradients in place, together, so that their common L2 norm is at most ``max_norm``.

    Args:
        parameters: Tensors with gradients, or one Tensor; those without a gradient are passed over.
        max_norm: the largest norm allowed, at least 0.

    Returns the norm before; where it is nan or infinite, the gradients are spoiled as in torch. Raises ValueError for a
    negative or nan max_norm. Source: Pascanu et al. 2013.

    >>> import numpy as np, fastnn as fnn
    >>> w = fnn.Parameter([0.0, 0.0])
    >>> w.grad = np.float32([3, 4])
    >>> fnn.nn.utils.clip_grad_norm_([w], 1.0)
    5.0
    >>> w.grad
    Tensor([0.6, 0.8])
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm is {max_norm}, expected at least 0")
    tensors: Iterable[Tensor] = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [p._grad for p in tensors if p._grad is not None]
    norm = math.sqrt(sum(_core.sum_squares(np.ascontiguousarray(g)) for g in grads))
    if not norm <= max_norm:
        for g in grads:
            np.multiply(g, np.float32(max_norm / norm), out=g)
    return norm

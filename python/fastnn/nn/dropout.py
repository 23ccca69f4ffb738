from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.nn.module import Module
from fastnn.ops.checks import check_probability


class Dropout(Module):
    """In training, sets each element to 0 with probability p and the others to x / (1 - p); else gives x.

    Args:
        p: default 0.5; ValueError outside [0, 1].
        inplace: taken for torch's sake; x is never overwritten. Default False.

    Srivastava et al. 2014 (JMLR 15). See ops.dropout for how the mask is drawn.

    >>> import fastnn as fnn
    >>> layer = fnn.nn.Dropout(0.5)
    >>> layer.training = False
    >>> layer(fnn.Tensor([1.0, 2.0]))
    Tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p = check_probability(p, "Dropout")
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self.training)

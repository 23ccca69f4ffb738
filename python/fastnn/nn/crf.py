from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import ops
from fastnn.arrays import as_array, as_float32, positive_int
from fastnn.nn.init import uniform
from fastnn.nn.module import Module
from fastnn.nn.recurrent_calls import note_layer
from fastnn.value import Parameter, Tensor


def _shape(given: Any, name: str) -> tuple[int, ...]:
    return given.shape if isinstance(given, Tensor) else as_array(given, "CRF", name).shape


def _lengths(lengths: Any, mask: Any, shape: tuple[int, ...], batch_first: bool) -> Any:
    """``lengths``, or how many steps of each sample are True in ``mask``, (T, N) or (N, T) as emissions are."""
    if mask is None:
        return lengths
    if lengths is not None:
        raise ValueError("CRF: give lengths or mask, not both")
    given = _shape(mask, "mask")
    if given != shape[:2]:
        raise ValueError(f"CRF: emissions has shape {shape} but mask has {given}, expected {shape[:2]}")
    return ops.crf_lengths(mask, batch_first)


class CRF(Module):
    """Linear-chain conditional random field (Lafferty et al. 2001): the end of a tagger, which scores whole chains.

    Args:
        num_tags: kinds of tags K, at least 1.
        batch_first: whether emissions are (N, T, K) and tags (N, T) rather than (T, N, K) and (T, N). Default False.

    Call with emissions, tags and lengths (N) or mask, of the shape of tags, which says which steps count: the first
    ones, and at least one. Default: all. Returns the loss, -log of the probability of the tags, as ops.crf_loss with
    ``reduction`` "mean" (default), "sum" or "none" does; ``decode`` returns the likeliest tags.

    Parameters, named as in pytorch-crf: start_transitions (num_tags), end_transitions (num_tags), transitions
    (num_tags, num_tags) from the first index to the second, uniform on ±0.1. Raises as ops.crf_loss.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> crf, emissions = nn.CRF(3), np.zeros((4, 2, 3))
    >>> crf(emissions, np.zeros((4, 2), int), lengths=[4, 2]).shape
    ()
    >>> [tags.shape for tags in crf.decode(emissions, lengths=[4, 2])]
    [(4,), (2,)]
    """

    _reads_time = True

    _unnamed, _shows_defaults = 1, False

    def __init__(self, num_tags: int, batch_first: bool = False) -> None:
        self.num_tags = positive_int(num_tags, "CRF", "num_tags")
        self.batch_first = bool(batch_first)
        self.start_transitions = Parameter(uniform((num_tags,), 0.1))
        self.end_transitions = Parameter(uniform((num_tags,), 0.1))
        self.transitions = Parameter(uniform((num_tags, num_tags), 0.1))

    def _emissions(self, emissions: Any) -> Any:
        x = emissions if isinstance(emissions, Tensor) else as_float32(emissions, "CRF", "emissions")
        note_layer(self, x, ())
        layout = "(N, T, num_tags)" if self.batch_first else "(T, N, num_tags)"
        if x.ndim != 3 or x.shape[2] != self.num_tags:
            raise ValueError(f"CRF: emissions has shape {x.shape}, expected {layout}, num_tags={self.num_tags}")
        return x

    def forward(self, emissions: Any, tags: Any, lengths: Any = None, mask: Any = None, reduction: str = "mean") -> Any:
        x, shape = self._emissions(emissions), _shape(tags, "tags")
        counts = _lengths(lengths, mask, x.shape, self.batch_first)
        if shape != x.shape[:2]:
            raise ValueError(f"CRF: emissions has shape {x.shape} but tags has {shape}, expected {x.shape[:2]}")
        if self.batch_first:
            x, tags = ops.transpose(x, 0, 1), ops.transpose(tags, 0, 1)
        return ops.crf_loss(x, tags, self.transitions, self.start_transitions, self.end_transitions, counts, reduction)

    def decode(self, emissions: Any, lengths: Any = None, mask: Any = None) -> list[npt.NDArray[np.int64]]:
        """The likeliest tags of each sample, as a list of N integer arrays; scores are in ops.crf_decode."""
        x = self._emissions(emissions)
        counts = _lengths(lengths, mask, x.shape, self.batch_first)
        x = ops.transpose(x, 0, 1) if self.batch_first else x
        return ops.crf_decode(x, self.transitions, self.start_transitions, self.end_transitions, counts)[0]

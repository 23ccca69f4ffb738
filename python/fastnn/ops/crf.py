from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_indices, require_ndim
from fastnn.op import looks, op
from fastnn.ops.mse_loss import check_reduction, scaled
from fastnn.tape import Backward

IntArray = npt.NDArray[np.int64]


class _Chains(NamedTuple):
    """Checked, C-contiguous."""

    emissions: FloatArray  # (T, N, K)
    transitions: FloatArray  # (K, K)
    start: FloatArray  # (K)
    end: FloatArray  # (K)
    lengths: IntArray  # (N)


def _array(x: Any, op: str, name: str) -> FloatArray:
    return np.ascontiguousarray(as_float32(x, op, name))


def _chains(emissions: Any, transitions: Any, start: Any, end: Any, lengths: Any, op: str) -> _Chains:
    x = _array(emissions, op, "emissions")
    require_ndim(x, 3, "(T, N, K)", op, "emissions")
    steps, samples, kinds = x.shape
    if steps == 0 or kinds == 0:
        raise ValueError(f"{op}: emissions has shape {x.shape}, expected at least one step and one tag")
    pairs, first, last = _array(transitions, op, "transitions"), _array(start, op, "start"), _array(end, op, "end")
    for name, array in (("transitions", pairs), ("start", first), ("end", last)):
        expected = (kinds, kinds) if name == "transitions" else (kinds,)
        if array.shape != expected:
            raise ValueError(f"{op}: emissions has shape {x.shape} but {name} has {array.shape}, expected {expected}")
    if lengths is None:
        return _Chains(x, pairs, first, last, np.full(samples, steps))
    counts = as_indices(lengths, op, "lengths")
    if counts.shape != (samples,):
        raise ValueError(f"{op}: emissions has shape {x.shape} but lengths has {counts.shape}, expected {(samples,)}")
    wrong = np.flatnonzero((counts < 1) | (counts > steps))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(f"{op}: lengths[{i}] is {counts[i]}, expected 1 to {steps}, the steps of emissions {x.shape}")
    return _Chains(x, pairs, first, last, counts)


@op
def crf_loss(
    emissions: Any,
    tags: Any,
    transitions: Any,
    start: Any,
    end: Any,
    lengths: Any = None,
    reduction: str = "mean",
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
    """-log of the probability of a chain of tags in a linear-chain conditional random field (Lafferty et al. 2001).

    A chain scores start of its first tag, end of its last, emissions of each tag and transitions of each pair; its
    probability is exp(score) over the sum of that over all chains.

    Args:
        emissions: (T, N, K), the scores of K tags at each of T steps.
        tags: (T, N), integers in [0, K); beyond lengths they are not read.
        transitions: (K, K), the score of going from the first index to the second. -inf forbids it.
        start, end: (K), the scores of beginning and ending with a tag.
        lengths: (N), how many of the T steps count, at least 1. Default None: all.
        reduction: "mean" (default, over the samples), "sum" or "none".

    Returns a 0-d array, or with "none" (N). Sums are float64 and never overflow; a sample's loss and gradient of
    emissions do not depend on the others. Raises ValueError when shapes do not match or a length is outside its range,
    IndexError for a tag that there is not, TypeError for tags or lengths that are not integers.

    >>> import numpy as np, fastnn as fnn
    >>> zeros = np.zeros((3, 1, 2)), np.zeros((2, 2)), np.zeros(2)
    >>> fnn.ops.crf_loss(zeros[0], [[0], [1], [1]], zeros[1], zeros[2], zeros[2])      # one of 2 * 2 * 2 chains
    array(2.0794415, dtype=float32)
    """
    check_reduction(reduction, "crf_loss")
    given = _chains(emissions, transitions, start, end, lengths, "crf_loss")
    labels = as_indices(tags, "crf_loss", "tags")
    if labels.shape != given.emissions.shape[:2]:
        shape = given.emissions.shape
        raise ValueError(f"crf_loss: emissions has shape {shape} but tags has {labels.shape}, expected {shape[:2]}")
    samples = len(given.lengths)
    share = 1 / samples if reduction == "mean" and samples else 1.0

    def run(weights: FloatArray, gradient: bool) -> tuple[FloatArray, FloatArray | None, FloatArray | None, Any]:
        x, transitions, start, end, counts = given
        return _core.crf_loss(x, labels, transitions, start, end, counts, weights, gradient, need[2])

    one_sweep = reduction != "none" and any(need)
    losses, *gradients = run(np.full(samples, share, np.float32), one_sweep)

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        if one_sweep:
            parts = [None if g is None else scaled(g, dy) for g in gradients]
        else:  # what samples share adds up under their own weights
            parts = list(run(np.ascontiguousarray(dy), True)[1:])
        bounds = parts[2]
        assert bounds is not None
        return parts[0], None, parts[1], bounds[0], bounds[1]

    if reduction == "none":
        return losses, backward
    if reduction == "mean" and not samples:
        return np.array(np.nan, np.float32), backward
    return np.array(np.sum(losses, dtype=np.float64) * share, np.float32), backward


@looks
def crf_decode(
    emissions: Any, transitions: Any, start: Any, end: Any, lengths: Any = None
) -> tuple[list[IntArray], FloatArray]:
    """The likeliest chain of tags of each sample (Viterbi 1967).

    Args: as crf_loss.

    Returns a list of N integer arrays and their scores (N), before any normalisation. Of equals the chain with the
    smallest last tag, then the smallest one before it, and so on. NaN is never chosen. Not differentiable. Raises as
    crf_loss.

    >>> import numpy as np, fastnn as fnn
    >>> emissions = [[[2.0, 0.0]], [[0.0, 1.0]], [[2.0, 0.0]]]
    >>> stay = np.array([[0.0, -9.0], [-9.0, 0.0]])
    >>> fnn.ops.crf_decode(emissions, stay, np.zeros(2), np.zeros(2))
    ([array([0, 0, 0])], array([4.], dtype=float32))
    """
    given = _chains(emissions, transitions, start, end, lengths, "crf_decode")
    tags, scores = _core.crf_decode(*given)
    return [row[:length].copy() for row, length in zip(tags, given.lengths, strict=True)], scores

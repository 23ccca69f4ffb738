from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_indices, positive_int
from fastnn.op import looks, op
from fastnn.ops.mse_loss import check_reduction, scaled
from fastnn.tape import Backward

IntArray = npt.NDArray[np.int64]


class _Input(NamedTuple):
    """Checked, C-contiguous."""

    x: FloatArray  # (T, N, C)
    frames: IntArray  # (N)
    blank: int
    batched: bool


def check_blank(blank: Any, op: str) -> int:
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)):
        raise TypeError(f"{op}: blank is {blank!r}, expected an integer")
    return int(blank)


def lengths_of(lengths: Any, samples: int, largest: int, of_what: str, op: str, name: str) -> IntArray:
    """One integer per sample, 0 to ``largest``; one sample may have a single number."""
    array = as_indices(lengths, op, name) if np.size(lengths) else np.zeros(np.shape(lengths), np.int64)
    if samples == 1 and array.ndim == 0:
        array = array[None]
    if array.shape != (samples,):
        raise ValueError(f"{op}: {name} has shape {array.shape}, expected {(samples,)}, one for each sample")
    wrong = np.flatnonzero((array < 0) | (array > largest))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(f"{op}: {name}[{i}] is {array[i]}, expected 0 to {largest}, {of_what}")
    return array


def _input(log_probs: Any, input_lengths: Any, blank: Any, op: str) -> _Input:
    x = as_float32(log_probs, op, "log_probs")
    if x.ndim not in (2, 3):
        raise ValueError(f"{op}: log_probs has shape {x.shape}, expected (T, N, C) or (T, C)")
    batched = x.ndim == 3
    x = np.ascontiguousarray(x if batched else x[:, None])
    blank = check_blank(blank, op)
    if not 0 <= blank < x.shape[2]:
        raise ValueError(f"{op}: blank is {blank} but log_probs {x.shape} has {x.shape[2]} classes")
    if input_lengths is None:
        return _Input(x, np.full(x.shape[1], len(x)), blank, batched)
    what = f"the frames of log_probs {x.shape}"
    return _Input(x, lengths_of(input_lengths, x.shape[1], len(x), what, op, "input_lengths"), blank, batched)


def _targets(targets: Any, target_lengths: Any, given: _Input) -> tuple[IntArray, IntArray, IntArray]:
    """All labels in one array, where those of each sample start, and how many they are."""
    samples = given.x.shape[1]
    labels = as_indices(targets, "ctc_loss", "targets") if np.size(targets) else np.zeros(np.shape(targets), np.int64)
    if labels.ndim == 2 and given.batched:
        if len(labels) != samples:
            raise ValueError(
                f"ctc_loss: targets has shape {labels.shape} but log_probs {given.x.shape} has {samples} samples"
            )
        columns = labels.shape[1]
        what = f"the columns of targets {labels.shape}"
        lengths = lengths_of(target_lengths, samples, columns, what, "ctc_loss", "target_lengths")
        return labels.reshape(-1), np.arange(samples) * columns, lengths
    if labels.ndim != 1:
        expected = "(N, S) or one sample's labels after another's" if given.batched else "(S)"
        raise ValueError(f"ctc_loss: targets has shape {labels.shape}, expected {expected}")
    what = f"the size of targets {labels.shape}"
    lengths = lengths_of(target_lengths, samples, labels.size, what, "ctc_loss", "target_lengths")
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if samples else 0
    if total != labels.size:
        raise ValueError(f"ctc_loss: targets has shape {labels.shape} but target_lengths add up to {total}")
    return labels, ends - lengths, lengths


@op
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
    """-log of the probability of a sequence of labels that nobody has aligned with the input: connectionist temporal
    classification (Graves et al. 2006).

    Args:
        log_probs: (T, N, C) or (T, C), logarithms of probabilities, as log_softmax gives them.
        targets: (N, S), of which the first target_lengths count, or one sample's labels after another's, none left
            over; so they are for (T, C). Integers in [0, C), none is the blank.
        input_lengths: (N), how many of the T frames count. 0 to T.
        target_lengths: (N), how many labels a sample has; may be 0.
        blank: the class that stands for no label. Default 0.
        reduction: "mean" (default: each loss is divided by its target_lengths, or 1 where that is 0, then averaged over
            the samples), "sum" or "none".
        zero_infinity: whether losses of infinity (more labels, or more repeated ones, than frames) and their gradients
            are zero. Default False: the gradient of such a loss is NaN.

    Returns a 0-d array, or with "none" (N), for (T, C) (). Time and memory grow with T S, sums are float64 and never
    underflow, and a sample's result does not depend on the others.

    The gradient is that of log_probs as they are: minus the probability that an alignment is in that class at that
    frame. torch returns exp(log_probs) minus that, which already holds part of the gradient of log_softmax; behind a
    log_softmax both give the same. Raises ValueError when shapes or lengths do not match or a target is the blank,
    IndexError for a target that is not a class, TypeError for targets and lengths that are not integers.

    >>> import numpy as np, fastnn as fnn
    >>> log_probs = np.log([[0.5, 0.5], [0.75, 0.25]])
    >>> fnn.ops.ctc_loss(log_probs, [1], 2, 1)           # -log(0.5 * 0.75 + 0.5 * 0.25 + 0.5 * 0.25)
    array(0.47000363, dtype=float32)
    """
    check_reduction(reduction, "ctc_loss")
    given = _input(log_probs, input_lengths, blank, "ctc_loss")
    labels, starts, lengths = _targets(targets, target_lengths, given)
    samples = given.x.shape[1]
    weights = np.ones(samples, np.float32)
    if reduction == "mean" and samples:
        weights = (1 / (np.maximum(lengths, 1) * np.float64(samples))).astype(np.float32)
    losses, gradient = _core.ctc_loss(
        given.x, labels, starts, given.frames, lengths, weights, given.blank, bool(zero_infinity), need[0]
    )

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        assert gradient is not None
        dx = scaled(gradient, dy if dy.ndim == 0 else dy[:, None])
        return (dx if given.batched else dx[:, 0],)

    if reduction == "none":
        return losses if given.batched else losses.reshape(()), backward
    total = np.sum(losses * weights.astype(np.float64)) if samples or reduction == "sum" else np.nan
    return np.array(total, np.float32), backward


@looks
def ctc_greedy_decode(log_probs: Any, input_lengths: Any = None, blank: int = 0) -> tuple[list[IntArray], FloatArray]:
    """The labels of the likeliest alignment: the best class of each frame, repeats merged, blanks dropped.

    Args:
        log_probs: (T, N, C) or (T, C), as for ctc_loss; anything that grows with the probability will do.
        input_lengths: (N), how many of the T frames count. Default None: all.
        blank: the class that stands for no label. Default 0.

    Returns a list of N integer arrays, and scores (N), the sums of the log_probs taken. Of equals the first class
    counts. Not differentiable. Raises ValueError and TypeError as ctc_loss.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.ctc_greedy_decode(np.log([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.6, 0.3]]))[0]
    [array([1, 1])]
    """
    given = _input(log_probs, input_lengths, blank, "ctc_greedy_decode")
    labels, counts, scores = _core.ctc_greedy(given.x, given.frames, given.blank)
    return [row[:count].copy() for row, count in zip(labels, counts, strict=True)], scores


@looks
def ctc_beam_decode(
    log_probs: Any, input_lengths: Any = None, beam_width: int = 10, blank: int = 0, top: int | None = None
) -> tuple[list[Any], FloatArray]:
    """The likeliest labels, over all their alignments, by prefix beam search (Hannun et al. 2014, without a language
    model): the best ``beam_width`` prefixes are kept from frame to frame. Exact where the beam holds all prefixes.

    Args:
        log_probs: (T, N, C) or (T, C), logarithms of probabilities.
        input_lengths: (N), how many of the T frames count. Default None: all.
        beam_width: prefixes kept, at least 1. Default 10.
        blank: the class that stands for no label. Default 0.
        top: how many of the best to return for each sample, at most beam_width. Default None: one, without the list
            around it.

    Returns a list of N integer arrays and scores (N), the logarithms of their probabilities; with ``top`` a list of N
    lists of at most ``top`` arrays, best first, and scores (N, top), -inf where there are fewer. Not differentiable.
    Raises ValueError and TypeError as ctc_loss.

    The likeliest alignment need not belong to the likeliest labels:

    >>> import numpy as np, fastnn as fnn
    >>> log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])    # nothing: 0.36; label 1: 0.64, in three ways
    >>> fnn.ops.ctc_greedy_decode(log_probs)[0], fnn.ops.ctc_beam_decode(log_probs)[0]
    ([array([], dtype=int64)], [array([1])])
    """
    name = "ctc_beam_decode"
    given = _input(log_probs, input_lengths, blank, name)
    width = positive_int(beam_width, name, "beam_width")
    count = 1 if top is None else positive_int(top, name, "top")
    if count > width:
        raise ValueError(f"{name}: top is {top} but beam_width is {width}")
    beams = [beam[:count] for beam in _core.ctc_beam(given.x, given.frames, width, given.blank)]
    scores = np.full((len(beams), count), -np.inf, np.float32)
    for row, beam in zip(scores, beams, strict=True):
        row[: len(beam)] = [score for _, score in beam]
    if top is not None:
        return [[labels for labels, _ in beam] for beam in beams], scores
    return [beam[0][0] if beam else np.zeros(0, np.int64) for beam in beams], scores[:, 0]

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, positive_int
from fastnn.ops.ctc import IntArray, check_blank, check_input, input_of, integers
from fastnn.ops.op import Shape, look


def _probabilities(log_probs: Any, input_lengths: Any, op: str) -> tuple[Any, Any]:
    lengths = None if input_lengths is None else integers(input_lengths, op, "input_lengths")
    return as_float32(log_probs, op, "log_probs"), lengths


def _greedy_shape(log_probs: Shape, input_lengths: Shape | None, *, blank: int) -> tuple[Shape, Shape, Shape]:
    samples = check_input(log_probs, input_lengths, blank, "ctc_greedy_decode")
    return (samples, log_probs[0]), (samples,), (samples,)


def _greedy_run(
    log_probs: FloatArray, input_lengths: IntArray | None, *, need: Sequence[bool], blank: int
) -> tuple[tuple[Any, ...], None]:
    given = input_of(log_probs, input_lengths, "ctc_greedy_decode")
    return _core.ctc_greedy(given.x, given.frames, blank), None


@look(shape=_greedy_shape, run=_greedy_run, outputs=("int64", "int64", "float32"))
def _ctc_greedy_decode(log_probs: Any, input_lengths: Any = None, blank: int = 0) -> Any:
    """(labels (N, T), of which the first counts (N) count, scores (N)) of ctc_greedy_decode."""
    name = "ctc_greedy_decode"
    return _probabilities(log_probs, input_lengths, name), {"blank": check_blank(blank, name)}


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
    labels, counts, scores = _ctc_greedy_decode(log_probs, input_lengths, blank)
    return [row[:count].copy() for row, count in zip(labels, counts, strict=True)], scores


def _beam_shape(
    log_probs: Shape, input_lengths: Shape | None, *, beam_width: int, blank: int, top: int
) -> tuple[Shape, Shape, Shape]:
    samples = check_input(log_probs, input_lengths, blank, "ctc_beam_decode")
    return (samples, top, log_probs[0]), (samples, top), (samples, top)


def _beam_run(
    log_probs: FloatArray,
    input_lengths: IntArray | None,
    *,
    need: Sequence[bool],
    beam_width: int,
    blank: int,
    top: int,
) -> tuple[tuple[Any, ...], None]:
    given = input_of(log_probs, input_lengths, "ctc_beam_decode")
    return _core.ctc_beam(given.x, given.frames, beam_width, blank, top), None


@look(shape=_beam_shape, run=_beam_run, outputs=("int64", "int64", "float32"))
def _ctc_beam_decode(
    log_probs: Any, input_lengths: Any = None, beam_width: int = 10, blank: int = 0, top: int = 1
) -> Any:
    """(labels (N, top, T), of which the first counts (N, top) count, -1 where there are fewer, scores (N, top)) of
    ctc_beam_decode."""
    name = "ctc_beam_decode"
    attributes = {"beam_width": beam_width, "blank": check_blank(blank, name), "top": top}
    return _probabilities(log_probs, input_lengths, name), attributes


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
    width = positive_int(beam_width, name, "beam_width")
    count = 1 if top is None else positive_int(top, name, "top")
    if count > width:
        raise ValueError(f"{name}: top is {top} but beam_width is {width}")
    labels, counts, scores = _ctc_beam_decode(log_probs, input_lengths, width, blank, count)
    beams = [
        [row[:length].copy() for row, length in zip(rows, lengths, strict=True) if length >= 0]
        for rows, lengths in zip(labels, counts, strict=True)
    ]
    if top is not None:
        return beams, scores
    return [beam[0] if beam else np.zeros(0, np.int64) for beam in beams], scores[:, 0]

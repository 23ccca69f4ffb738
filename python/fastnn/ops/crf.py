from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_array, as_float32, as_indices
from fastnn.ops.checks import check_reduction, scaled
from fastnn.ops.op import Shape, look, op
from fastnn.tape import Backward

IntArray = npt.NDArray[np.int64]


class _Chains(NamedTuple):
    """C-contiguous."""

    emissions: FloatArray  # (T, N, K)
    transitions: FloatArray  # (K, K)
    start: FloatArray  # (K)
    end: FloatArray  # (K)
    lengths: IntArray  # (N)


def _floats(emissions: Any, transitions: Any, start: Any, end: Any, op: str) -> tuple[FloatArray, ...]:
    return (
        as_float32(emissions, op, "emissions"),
        as_float32(transitions, op, "transitions"),
        as_float32(start, op, "start"),
        as_float32(end, op, "end"),
    )


def _check_chains(x: Shape, transitions: Shape, start: Shape, end: Shape, lengths: Shape | None, op: str) -> None:
    if len(x) != 3:
        raise ValueError(f"{op}: emissions has shape {x}, expected 3 dimensions (T, N, K)")
    if x[0] == 0 or x[2] == 0:
        raise ValueError(f"{op}: emissions has shape {x}, expected at least one step and one tag")
    samples, kinds = x[1:]
    for name, shape, expected in (
        ("transitions", transitions, (kinds, kinds)),
        ("start", start, (kinds,)),
        ("end", end, (kinds,)),
        ("lengths", lengths, (samples,)),
    ):
        if shape is not None and shape != expected:
            raise ValueError(f"{op}: emissions has shape {x} but {name} has {shape}, expected {expected}")


def _chains(x: Any, transitions: Any, start: Any, end: Any, lengths: IntArray | None, op: str) -> _Chains:
    steps, samples = x.shape[:2]
    if lengths is None:
        counts = np.full(samples, steps)
    else:
        counts = np.ascontiguousarray(lengths)
        wrong = np.flatnonzero((counts < 1) | (counts > steps))
        if wrong.size:
            i, what = int(wrong[0]), f"the steps of emissions {x.shape}"
            raise ValueError(f"{op}: lengths[{i}] is {counts[i]}, expected 1 to {steps}, {what}")
    dense = np.ascontiguousarray
    return _Chains(dense(x), dense(transitions), dense(start), dense(end), counts)


def _shape(
    emissions: Shape,
    tags: Shape,
    transitions: Shape,
    start: Shape,
    end: Shape,
    lengths: Shape | None,
    *,
    reduction: str,
) -> Shape:
    _check_chains(emissions, transitions, start, end, lengths, "crf_loss")
    if tags != emissions[:2]:
        raise ValueError(f"crf_loss: emissions has shape {emissions} but tags has {tags}, expected {emissions[:2]}")
    return emissions[1:2] if reduction == "none" else ()


def _run(
    emissions: FloatArray,
    tags: IntArray,
    transitions: FloatArray,
    start: FloatArray,
    end: FloatArray,
    lengths: IntArray | None,
    *,
    need: Sequence[bool],
    reduction: str,
) -> tuple[FloatArray, Backward]:
    given, labels = _chains(emissions, transitions, start, end, lengths, "crf_loss"), np.ascontiguousarray(tags)
    samples, of_transitions = len(given.lengths), need[2]
    share = 1 / samples if reduction == "mean" and samples else 1.0

    def run(weights: FloatArray, gradient: bool) -> tuple[FloatArray, FloatArray | None, FloatArray | None, Any]:
        x, transitions, start, end, counts = given
        return _core.crf_loss(x, labels, transitions, start, end, counts, weights, gradient, of_transitions)

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


@op(shape=_shape, run=_run)
def crf_loss(
    emissions: Any,
    tags: Any,
    transitions: Any,
    start: Any,
    end: Any,
    lengths: Any = None,
    reduction: str = "mean",
) -> Any:
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
    name = "crf_loss"
    x, *shared = _floats(emissions, transitions, start, end, name)
    counts = None if lengths is None else as_indices(lengths, name, "lengths")
    return (x, as_indices(tags, name, "tags"), *shared, counts), {"reduction": check_reduction(reduction, name)}


def _decode_shape(
    emissions: Shape, transitions: Shape, start: Shape, end: Shape, lengths: Shape | None
) -> tuple[Shape, Shape, Shape]:
    _check_chains(emissions, transitions, start, end, lengths, "crf_decode")
    steps, samples = emissions[:2]
    return (samples, steps), (samples,), (samples,)


def _decode_run(
    emissions: FloatArray,
    transitions: FloatArray,
    start: FloatArray,
    end: FloatArray,
    lengths: IntArray | None,
    *,
    need: Sequence[bool],
) -> tuple[tuple[Any, ...], None]:
    given = _chains(emissions, transitions, start, end, lengths, "crf_decode")
    tags, scores = _core.crf_decode(*given)
    return (tags, given.lengths.copy(), scores), None


@look(shape=_decode_shape, run=_decode_run, outputs=("int64", "int64", "float32"))
def _crf_decode(emissions: Any, transitions: Any, start: Any, end: Any, lengths: Any = None) -> Any:
    """(tags (N, T), of which the first lengths (N) count, these, scores (N)) of crf_decode."""
    counts = None if lengths is None else as_indices(lengths, "crf_decode", "lengths")
    return (*_floats(emissions, transitions, start, end, "crf_decode"), counts), {}


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
    tags, counts, scores = _crf_decode(emissions, transitions, start, end, lengths)
    return [row[:length].copy() for row, length in zip(tags, counts, strict=True)], scores


def _mask_shape(mask: Shape, *, batch_first: bool) -> Shape:
    if len(mask) != 2:
        raise ValueError(f"crf_lengths: mask has shape {mask}, expected 2 dimensions")
    return mask[:1] if batch_first else mask[1:]


def _mask_run(mask: npt.NDArray[Any], *, need: Sequence[bool], batch_first: bool) -> tuple[IntArray, None]:
    if mask.ndim != 2:
        raise ValueError("crf_lengths: mask is no matrix")
    steps = (mask.T if batch_first else mask) != 0
    if np.any(steps[1:] & ~steps[:-1]):
        raise ValueError("CRF: mask has a step that counts after one that does not")
    return steps.sum(axis=0), None


@look(shape=_mask_shape, run=_mask_run, outputs="int64")
def crf_lengths(mask: Any, batch_first: bool = False) -> Any:
    """How many steps of each sample count, for crf_loss and crf_decode.

    Args:
        mask: (T, N), bool or integers: which steps count, the first ones of each sample.
        batch_first: whether mask is (N, T). Default False.

    Returns (N). Raises ValueError where a step counts after one that does not, TypeError for a mask of floats.

    >>> import fastnn as fnn
    >>> fnn.ops.crf_lengths([[1, 1], [1, 0], [1, 0]])
    array([3, 1])
    """
    steps = as_array(mask, "CRF", "mask")
    if steps.dtype.kind not in "biu":
        raise TypeError(f"CRF: mask has dtype {steps.dtype}, expected bool or integers")
    return (steps,), {"batch_first": bool(batch_first)}

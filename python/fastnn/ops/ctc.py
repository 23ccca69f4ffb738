from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_indices
from fastnn.ops.checks import check_reduction, scaled
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward

IntArray = npt.NDArray[np.int64]


def check_blank(blank: Any, op: str) -> int:
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)):
        raise TypeError(f"{op}: blank is {blank!r}, expected an integer")
    return int(blank)


def integers(values: Any, op: str, name: str) -> IntArray:
    """Integers; of none, the dtype does not matter."""
    return as_indices(values, op, name) if np.size(values) else np.zeros(np.shape(values), np.int64)


def check_input(x: Shape, lengths: Shape | None, blank: int, op: str) -> int:
    """The number of samples."""
    if len(x) not in (2, 3):
        raise ValueError(f"{op}: log_probs has shape {x}, expected (T, N, C) or (T, C)")
    if not 0 <= blank < x[-1]:
        what = (x[0], 1, x[1]) if len(x) == 2 else x
        raise ValueError(f"{op}: blank is {blank} but log_probs {what} has {x[-1]} classes")
    samples = x[1] if len(x) == 3 else 1
    _check_lengths(lengths, samples, op, "input_lengths")
    return samples


def _check_lengths(lengths: Shape | None, samples: int, op: str, name: str) -> None:
    """One number per sample; one sample may have a single one."""
    if lengths is not None and lengths != (samples,) and not (samples == 1 and not lengths):
        raise ValueError(f"{op}: {name} has shape {lengths}, expected {(samples,)}, one for each sample")


def _counted(lengths: IntArray, largest: int, of_what: str, op: str, name: str) -> IntArray:
    """(N) lengths, each 0 to ``largest``."""
    lengths = np.ascontiguousarray(lengths) if lengths.ndim else lengths.reshape(1)
    wrong = np.flatnonzero((lengths < 0) | (lengths > largest))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(f"{op}: {name}[{i}] is {lengths[i]}, expected 0 to {largest}, {of_what}")
    return lengths


class _Input(NamedTuple):
    """C-contiguous."""

    x: FloatArray  # (T, N, C)
    frames: IntArray  # (N)


def input_of(log_probs: FloatArray, lengths: IntArray | None, op: str) -> _Input:
    x = np.ascontiguousarray(log_probs if log_probs.ndim == 3 else log_probs[:, None])
    if lengths is None:
        return _Input(x, np.full(x.shape[1], len(x)))
    return _Input(x, _counted(lengths, len(x), f"the frames of log_probs {x.shape}", op, "input_lengths"))


def _targets(targets: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """All labels in one array, where those of each sample start, and how many they are."""
    targets = np.ascontiguousarray(targets)
    if targets.ndim == 2:
        columns = targets.shape[1]
        lengths = _counted(lengths, columns, f"the columns of targets {targets.shape}", "ctc_loss", "target_lengths")
        return targets.reshape(-1), np.arange(len(targets)) * columns, lengths
    what = f"the size of targets {targets.shape}"
    lengths = _counted(lengths, targets.size, what, "ctc_loss", "target_lengths")
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    if total != targets.size:
        raise ValueError(f"ctc_loss: targets has shape {targets.shape} but target_lengths add up to {total}")
    return targets, ends - lengths, lengths


def _shape(
    log_probs: Shape,
    targets: Shape,
    input_lengths: Shape | None,
    target_lengths: Shape,
    *,
    blank: int,
    reduction: str,
    zero_infinity: bool,
) -> Shape:
    samples, batched = check_input(log_probs, input_lengths, blank, "ctc_loss"), len(log_probs) == 3
    if len(targets) == 2 and batched:
        if targets[0] != samples:
            raise ValueError(f"ctc_loss: targets has shape {targets} but log_probs {log_probs} has {samples} samples")
    elif len(targets) != 1:
        expected = "(N, S) or one sample's labels after another's" if batched else "(S)"
        raise ValueError(f"ctc_loss: targets has shape {targets}, expected {expected}")
    _check_lengths(target_lengths, samples, "ctc_loss", "target_lengths")
    return (samples,) if reduction == "none" and batched else ()


def _run(
    log_probs: FloatArray,
    targets: IntArray,
    input_lengths: IntArray | None,
    target_lengths: IntArray,
    *,
    need: Sequence[bool],
    blank: int,
    reduction: str,
    zero_infinity: bool,
) -> tuple[FloatArray, Backward]:
    given, batched = input_of(log_probs, input_lengths, "ctc_loss"), log_probs.ndim == 3
    if targets.ndim != 1 and not (targets.ndim == 2 and batched):
        raise ValueError("ctc_loss: targets do not fit log_probs")
    labels, starts, lengths = _targets(targets, target_lengths)
    samples = given.x.shape[1]
    weights = np.ones(samples, np.float32)
    if reduction == "mean" and samples:
        weights = (1 / (np.maximum(lengths, 1) * np.float64(samples))).astype(np.float32)
    losses, gradient = _core.ctc_loss(
        given.x, labels, starts, given.frames, lengths, weights, blank, zero_infinity, need[0]
    )

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        assert gradient is not None
        dx = scaled(gradient, dy if dy.ndim == 0 else dy[:, None])
        return (dx if batched else dx[:, 0],)

    if reduction == "none":
        return losses if batched else losses.reshape(()), backward
    total = np.sum(losses * weights.astype(np.float64)) if samples or reduction == "sum" else np.nan
    return np.array(total, np.float32), backward


@op(shape=_shape, run=_run)
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
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
    name = "ctc_loss"
    arrays = (
        as_float32(log_probs, name, "log_probs"),
        integers(targets, name, "targets"),
        None if input_lengths is None else integers(input_lengths, name, "input_lengths"),
        integers(target_lengths, name, "target_lengths"),
    )
    return arrays, {
        "blank": check_blank(blank, name),
        "reduction": check_reduction(reduction, name),
        "zero_infinity": bool(zero_infinity),
    }

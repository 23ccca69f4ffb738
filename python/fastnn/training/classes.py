"""Where the classes are in an output: one rule for losses and metrics, from shapes that leave no doubt."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Rule(NamedTuple):
    """What ``fit`` and ``evaluate`` know about outputs and targets: the axis of the samples, that of the classes where
    it was given, the target that counts for nothing, and the score above which one per target means class 1."""

    batch_axis: int = 0
    class_axis: int | None = None
    ignore_index: int = -100
    threshold: float = 0.5


class Reading(NamedTuple):
    """How a target goes with an output: classes on ``axis``, or None for one score per target, of two classes; and
    whether the target holds a share of each class, such as one-hot labels, rather than indices."""

    axis: int | None
    shares: bool


def _fits(output: Shape, target: Shape, axis: int) -> bool:
    return target == output[:axis] + output[axis + 1 :]


@functools.lru_cache(64)  # the shapes of a training hardly change
def reading(output: Shape, target: Shape, rule: Rule, op: str) -> Reading:
    """Reads a pair of shapes.

    ``rule.class_axis`` None: classes are on axis 1, as torch has them, (N, C), (N, C, L), (N, C, H, W), or on the last,
    (N, T, C), whichever fits the target; never on the axis of the samples. Sizes of single batches decide nothing.
    An axis of one class is one score per target. Raises ValueError where none fits, and where both do.
    """
    n = rule.batch_axis
    if len(output) <= n or len(target) <= n or output[n] != target[n]:
        raise _unfit(output, target, op, f"samples on axis {n}" if n else "")
    if rule.class_axis is not None:
        axis = _checked(rule.class_axis, output, n, op)
        if not _fits(output, target, axis) and output != target:
            raise _unfit(output, target, op, f"class_axis={rule.class_axis}")
        return Reading(None if output[axis] == 1 else axis, output == target)
    candidates = sorted({axis for axis in (1, len(output) - 1) if axis < len(output) and axis != n})
    if output == target:
        if not candidates or any(output[axis] == 1 for axis in candidates):
            return Reading(None, False)
        if len(candidates) == 1:
            return Reading(candidates[0], True)
    else:
        fitting = [axis for axis in candidates if _fits(output, target, axis)]
        if (*output, 1) == target or (fitting and all(output[axis] == 1 for axis in fitting)):
            return Reading(None, False)
        if len(fitting) == 1:
            return Reading(fitting[0], False)
        if not fitting:
            raise _unfit(output, target, op, "")
    raise ValueError(
        f"{op}: output has shape {output} and target {target}: classes may be on axis 1 or on the last; "
        "pass class_axis=1 or class_axis=-1"
    )


def _checked(given: int, output: Shape, n: int, op: str) -> int:
    axis = given + len(output) if given < 0 else given
    if not 0 <= axis < len(output) or axis == n:
        raise ValueError(
            f"{op}: class_axis is {given}, but output has shape {output}, samples on axis {n}; pass another class_axis"
        )
    return axis


def _unfit(output: Shape, target: Shape, op: str, given: str) -> ValueError:
    hint = f" with {given}" if given else ""
    if target[-1:] == (1,):
        hint += ", in a column: write target.reshape(-1) for (N)"
    return ValueError(
        f"{op}: output has shape {output} but target has {target}{hint}; expected class indices (N) for (N, C), "
        "(N, L) for (N, C, L) or (N, L, C), or shares of the output's shape; class_axis says where the classes are"
    )


def class_axis_of(axis: Any, op: str) -> int | None:
    """class_axis as the user gives it."""
    if axis is not None and (isinstance(axis, bool) or not isinstance(axis, (int, np.integer))):
        raise TypeError(f"{op}: class_axis is {axis!r}, expected an integer or None")
    return None if axis is None else int(axis)


def labels(output: Array, target: Array, rule: Rule, threshold: float, op: str) -> tuple[Array, Array]:
    """(targets, predictions) as class indices (K) of the K targets that count.

    Of several scores the largest wins; a single score is class 1 above ``threshold``. Raises ValueError for targets
    that are no classes.
    """
    found = reading(output.shape, target.shape, rule, op)
    if found.axis is None:
        predicted = (output.reshape(-1) > threshold).astype(np.int64)
        wanted, classes = target.reshape(-1), 2
    else:
        predicted = output.argmax(found.axis).reshape(-1)
        classes = output.shape[found.axis]
        wanted = _winners(target, found.axis, op) if found.shares else target
        wanted = wanted.reshape(-1)
    counted = wanted != rule.ignore_index
    wanted, predicted = wanted[counted], predicted[counted]
    wrong = wanted[(wanted != np.floor(wanted)) | (wanted < 0) | (wanted >= classes)]
    if wrong.size:
        kinds = "0 and 1, for one score per target," if found.axis is None else f"0 to {classes - 1}"
        raise ValueError(
            f"{op}: target holds {wrong[0]}, expected {kinds} or ignore_index {rule.ignore_index}; output has shape "
            f"{output.shape}, target {target.shape}"
        )
    return wanted.astype(np.int64), predicted


def _winners(target: Array, axis: int, op: str) -> Any:
    """The class with the largest share. Raises ValueError where shares do not add up to 1: several labels of their own
    are not the classes of one."""
    sums = target.sum(axis, dtype=np.float64)
    if target.size and not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            f"{op}: target of shape {target.shape} has the output's shape, so it holds a share of each class, but its "
            f"sums over axis {axis} are not 1, such as {sums.reshape(-1)[np.abs(sums - 1).argmax()]:g}"
        )
    return target.argmax(axis)

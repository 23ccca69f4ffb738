from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_array, as_float32, as_indices
from fastnn.ops.checks import check_reduction, scaled
from fastnn.ops.op import Shape, op
from fastnn.ops.softmax import log_softmax, rows_along
from fastnn.tape import Backward


def check_smoothing(label_smoothing: float) -> float:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    return float(label_smoothing)


def _class_axis(x: Shape) -> int:
    return min(1, len(x) - 1)


def _as_input(rows: FloatArray, dy: FloatArray, shape: Shape) -> FloatArray:
    """The gradient with respect to an input of that shape: rows of classes, each times its element of dy."""
    if len(shape) == 2 and dy.ndim == 0:
        return scaled(rows, dy)
    axis = _class_axis(shape)
    rows = rows.reshape(*shape[:axis], *shape[axis + 1 :], shape[axis])
    return np.moveaxis(scaled(rows, dy if dy.ndim == 0 else dy[..., None]), -1, axis)


def _shape(
    input: Shape,
    target: Shape,
    weight: Shape | None,
    *,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    probabilities: bool,
) -> Shape:
    if not input:
        raise ValueError("cross_entropy: input has shape (), expected (C), (N, C) or (N, C, d1, ...)")
    axis = _class_axis(input)
    if input[axis] == 0:
        raise ValueError(f"cross_entropy: input of shape {input} has no classes")
    if input[axis] == 1:
        raise ValueError(
            f"cross_entropy: input of shape {input} has one class on axis {axis}, whose softmax is always 1; give "
            "each class a score, (N, 2) for two classes"
        )
    outer = input[:axis] + input[axis + 1 :]
    expected = input if probabilities else outer
    if target != expected:
        kind = "probabilities" if probabilities else "class indices"
        raise ValueError(
            f"cross_entropy: input has shape {input} but target, {kind}, has {target}, expected {expected}"
        )
    if weight is not None and weight != (input[axis],):
        raise ValueError(f"cross_entropy: input has shape {input} but weight has {weight}, expected one per class")
    if probabilities and ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index is {ignore_index} but target holds probabilities")
    return outer if reduction == "none" else ()


def _run(
    input: FloatArray,
    target: Any,
    weight: FloatArray | None,
    *,
    need: Sequence[bool],
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    probabilities: bool,
) -> tuple[FloatArray, Backward]:
    if need[2]:
        raise ValueError("cross_entropy: weight cannot require a gradient")
    shape = input.shape
    axis = 1 if len(shape) > 1 else 0
    outer = shape[:axis] + shape[axis + 1 :]
    if target.shape != (shape if probabilities else outer) or shape[axis] < 2 or (probabilities and ignore_index >= 0):
        raise ValueError("cross_entropy: input and target do not match")
    rows = rows_along(input, axis)
    if weight is not None:
        weight = np.ascontiguousarray(weight)
    if probabilities:
        shares = rows_along(target, axis)
        loss, gradient = _core.cross_entropy_probabilities(rows, shares, weight, label_smoothing, reduction, need[0])
    else:
        classes = np.ascontiguousarray(target)
        if classes.ndim != 1:
            classes = classes.reshape(-1)
        loss, gradient = _core.cross_entropy(rows, classes, weight, ignore_index, label_smoothing, reduction, need[0])
    logits = rows if need[1] else None

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx = None if gradient is None else _as_input(gradient, dy, shape)
        dt = None
        if logits is not None:
            share = np.float32(-(1 - label_smoothing) / (len(logits) if reduction == "mean" else 1))
            dt = log_softmax(logits, 1) * share
            dt = _as_input(dt if weight is None else dt * weight, dy, shape)
        return dx, dt

    return loss.reshape(outer) if reduction == "none" else loss, backward


@op(shape=_shape, run=_run, unread=("target", "weight"))
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log(softmax(input)) of the target class: the usual loss of a classifier, loss and gradient in one sweep.

    Args:
        input: logits (C), (N, C) or (N, C, d1, ...), of at least 2 classes.
        target: class indices, integers of the shape of input without C; or probabilities of input's shape, floats.
        weight: (C), the weight of each class, or None (default).
        ignore_index: targets of this value count for nothing. Default -100. Not for probabilities.
        reduction: "mean" (default), "sum" or "none". The mean of class indices is over the weights of the targets
            that count (NaN where none does), that of probabilities over N d1 ...
        label_smoothing: s in [0, 1]; the target is (1 - s) target + s / C (Szegedy et al. 2016). Default 0.

    Returns a 0-d array, or with "none" the shape of input without C. Sums are float64. Raises ValueError when the
    shapes do not match, for one-hot integers and for a single class, IndexError when a target is not a class, TypeError
    for complex, object and string input.

    >>> import fastnn as fnn
    >>> fnn.ops.cross_entropy([[0.0, 0.0], [9.0, 9.0]], [0, 1])
    array(0.6931472, dtype=float32)
    """
    x = as_float32(input, "cross_entropy", "input")
    if type(target) is not np.ndarray:
        target = as_array(target, "cross_entropy", "target")
    if target.shape == x.shape and target.dtype.kind in "biu" and x.ndim:
        raise ValueError(
            f"cross_entropy: target has the shape of input, {x.shape}, but dtype {target.dtype}: one-hot labels? Write "
            "target.argmax(1) for class indices, or target.astype(np.float32) for probabilities"
        )
    probabilities = target.dtype.kind == "f" and target.ndim == x.ndim
    target = (as_float32 if probabilities else as_indices)(target, "cross_entropy", "target")
    weight = None if weight is None else as_float32(weight, "cross_entropy", "weight")
    return (x, target, weight), {
        "ignore_index": int(ignore_index),
        "reduction": check_reduction(reduction, "cross_entropy"),
        "label_smoothing": check_smoothing(label_smoothing),
        "probabilities": probabilities,
    }

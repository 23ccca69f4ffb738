"""The losses that are a function of one output and its target, averaged, added up or as they are: a row each, with a
functor of that name in cpp/kernels/loss/functions.h."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.checks import broadcast, check_reduction, scaled
from fastnn.ops.elementwise import values_by_name
from fastnn.ops.op import Normal, Op, Run, Shape, op

__all__ = [
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "l1_loss",
    "mse_loss",
]

P = ParamSpec("P")
_ARRAYS = ("input", "target", "weight", "pos_weight")  # none is read again: gradients are computed with the loss

POINTWISE_LOSSES: dict[str, Op[Any]] = {}  # by their own names and the short ones, for fit and the tables of graph/


def _pointwise_loss(*short: str) -> Callable[[Callable[P, Normal]], Op[P]]:
    """``@_pointwise_loss("name", ...)`` over a normalise makes an Op that the kernel of its name computes, a row of
    cpp/kernels/loss/pointwise_loss.cpp, which is given the attributes but for ``reduction`` in their order."""

    def make(normalise: Callable[P, Normal]) -> Op[P]:
        name = normalise.__name__
        options = [p for p in inspect.signature(normalise).parameters if p not in (*_ARRAYS, "reduction")]
        made = op(shape=_shape_of(name), run=_run_of(name, options), unread=_ARRAYS)(normalise)
        POINTWISE_LOSSES.update(dict.fromkeys((*short, name), made))
        return made

    return make


def _shape_of(name: str) -> Callable[..., Shape]:
    def shape(input: Shape, target: Shape, *weights: Shape | None, reduction: str, **options: Any) -> Shape:
        if input != target:
            raise ValueError(f"{name}: input has shape {input} but target has {target}")
        for weight in weights:
            if weight is not None and broadcast(name, input, weight) != input:
                raise ValueError(f"{name}: a weight of shape {weight} does not fit input of shape {input}")
        return input if reduction == "none" else ()

    return shape


def _spread(weight: FloatArray | None, shape: Shape) -> FloatArray | None:
    return None if weight is None else np.require(np.broadcast_to(weight, shape), requirements="C")


def _run_of(name: str, options: list[str]) -> Run:
    values_of = values_by_name(options)

    def run(
        input: FloatArray, target: FloatArray, *weights: FloatArray | None, need: Sequence[bool], **attributes: Any
    ) -> tuple[FloatArray, Any]:
        x = input if input.flags.c_contiguous else np.ascontiguousarray(input)
        t = target if target.flags.c_contiguous else np.ascontiguousarray(target)
        weight, _, pos_weight = [_spread(w, x.shape) for w in weights] if weights else (None,) * 3
        reduction, values = attributes["reduction"], values_of(attributes)
        scale = 1.0 if reduction != "mean" else 1 / x.size if x.size else np.nan
        loss, dx, dt = _core.pointwise_loss(
            name, x, t, weight, pos_weight, values, scale, reduction == "none", need[0], need[1]
        )

        def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
            gradients = (None if dx is None else scaled(dx, dy)), (None if dt is None else scaled(dt, dy))
            return (*gradients, *[None] * len(weights))

        return loss, backward

    return run


def _given(name: str, input: Any, target: Any) -> tuple[FloatArray, FloatArray]:
    return as_float32(input, name, "input"), as_float32(target, name, "target")


@_pointwise_loss("bce_with_logits")
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Normal:
    """-target log(sigmoid(input)) - (1 - target) log(1 - sigmoid(input)), for scores of any size.

    Args:
        input, target: any one shape; targets from 0 to 1, such as labels of two classes, or several at a time.
        weight: what the losses are multiplied by: any shape that broadcasts to that of input. Default None: ones.
        reduction: "mean" (default, over all elements, whatever their weights), "sum" or "none".
        pos_weight: as ``weight``, but of the part with ``target``, such as (C) for input (N, C): how much more a label
            that is there counts than one that is not. Default None: ones.

    No gradients of the weights. Raises ValueError when shapes do not fit, and as mse_loss.

    >>> import fastnn as fnn
    >>> fnn.ops.binary_cross_entropy_with_logits([0.0, -100.0], [1.0, 1.0], reduction="none")
    array([  0.6931472, 100.       ], dtype=float32)
    """
    name = "binary_cross_entropy_with_logits"
    first = None if weight is None else as_float32(weight, name, "weight")
    second = None if pos_weight is None else as_float32(pos_weight, name, "pos_weight")
    arrays = (*_given(name, input, target), first, None, second)  # in the place of each argument; reduction is none
    return arrays, {"reduction": check_reduction(reduction, name)}


def check_delta(delta: float, op: str) -> float:
    if not delta > 0:
        raise ValueError(f"{op}: delta is {delta}, expected a number above 0")
    return float(delta)


@_pointwise_loss("huber")
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Normal:
    """(input - target)² / 2 where |input - target| <= delta, else delta (|input - target| - delta / 2) (Huber 1964).

    delta: above 0, default 1.0. Shapes, reduction and errors as mse_loss; ValueError for another ``delta``.

    >>> import fastnn as fnn
    >>> fnn.ops.huber_loss([1.5, 2.0], [1.0, 5.0], reduction="none")
    array([0.125, 2.5  ], dtype=float32)
    """
    options = {"reduction": check_reduction(reduction, "huber_loss"), "delta": check_delta(delta, "huber_loss")}
    return _given("huber_loss", input, target), options


@_pointwise_loss("l1", "mae")
def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Normal:
    """|input - target|, averaged, added up, or as it is. The gradient where they are equal is 0.

    Shapes, reduction and errors as mse_loss.

    >>> import fastnn as fnn
    >>> fnn.ops.l1_loss([1.0, 2.0], [1.0, 4.0])
    array(1., dtype=float32)
    """
    return _given("l1_loss", input, target), {"reduction": check_reduction(reduction, "l1_loss")}


@_pointwise_loss("mse")
def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Normal:
    """(input - target)², averaged, added up, or as it is.

    Args:
        input, target: any one shape; nothing is broadcast.
        reduction: "mean" (default, over all elements), "sum" or "none".

    Returns a 0-d array, or with "none" the shape of input. Squares and sums are float64. Raises ValueError when the
    shapes differ or the reduction is unknown, TypeError for complex, object and string input.

    >>> import fastnn as fnn
    >>> fnn.ops.mse_loss([1.0, 2.0], [1.0, 4.0])
    array(2., dtype=float32)
    """
    return _given("mse_loss", input, target), {"reduction": check_reduction(reduction, "mse_loss")}

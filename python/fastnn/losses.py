"""Losses by the names that ``fnn.fit(loss=...)`` takes, and how those of batches make one of all samples.

A loss is a function of the output and the target. So that a mean over batches is the mean over all, whatever their
sizes, it may say how much counted in a batch: by a method or attribute ``counted(output, target)`` that returns the
number its value is a mean over (samples, elements, or class weights added up; 0: nothing, the batch is left out), or
None where its value is a sum. Of a loss that has none, batches are weighted by their samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn import ops
from fastnn.nn.loss import POINTWISE, CrossEntropyLoss, CTCLoss, PointwiseLoss
from fastnn.ops import pointwise_loss
from fastnn.ops.cross_entropy import cross_entropy
from fastnn.ops.ctc import ctc_loss
from fastnn.ops.pointwise_loss import *
from fastnn.ops.pointwise_loss import POINTWISE_LOSSES
from fastnn.training.classes import Rule, reading
from fastnn.training.nests import described
from fastnn.training.spelling import meant
from fastnn.value import Tensor

__all__ = ["LOSSES", "cross_entropy", "ctc_loss", "get"]
__all__ += pointwise_loss.__all__

LOSSES: dict[str, Callable[..., Any]] = {"cross_entropy": cross_entropy, **POINTWISE_LOSSES}

_LAYERS: dict[Any, Callable[[], Any]] = {cross_entropy: CrossEntropyLoss, **{kind.op: kind for kind in POINTWISE}}


def get(loss: str | Callable[..., Any]) -> Callable[..., Any]:
    """The loss of that name; a function ``loss(output, target)`` is given back as it is.

    Raises ValueError for an unknown name, TypeError for what is no loss.

    >>> from fastnn import losses
    >>> losses.get("mse")([1.0], [3.0])
    array(4., dtype=float32)
    """
    if isinstance(loss, type):
        raise TypeError(f"loss is the class {loss.__name__}, expected an object: write {loss.__name__}()")
    if callable(loss):
        return loss
    if not isinstance(loss, str):
        raise TypeError(f"loss is {loss!r}, expected one of {', '.join(LOSSES)} or a function of output and target")
    if loss not in LOSSES:
        known = ", ".join(LOSSES)
        raise ValueError(
            f"loss is {loss!r}, expected one of {known} or a function of output and target{meant(loss, LOSSES)}"
        )
    return LOSSES[loss]


class Loss(NamedTuple):
    """A loss as ``fit`` uses it: (its value, how much counted or None for a sum) of an output and a target."""

    name: str
    of_batch: Callable[[Any, Any, int], tuple[Any, float | None]]
    ignore_index: int | None = None  # where it ignores targets
    foreign: bool = False  # a function of the user's
    threshold: float | None = None  # where it says which scores mean class 1

    def told(self, rule: Rule) -> Rule:
        """``rule`` with what the loss says of targets and scores."""
        rule = rule if self.ignore_index is None else rule._replace(ignore_index=self.ignore_index)
        return rule if self.threshold is None else rule._replace(threshold=self.threshold)


def resolve(loss: str | Callable[..., Any], rule: Rule, op: str) -> Loss:
    """The loss of that name, object or function, with outputs read by ``rule`` where it is one of the package's."""
    function = get(loss)
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    layer = _LAYERS[function]() if function in _LAYERS else function
    if isinstance(layer, CrossEntropyLoss) and type(layer).forward is CrossEntropyLoss.forward:
        own = rule._replace(ignore_index=layer.ignore_index)
        return Loss(name, lambda o, t, n: class_loss(layer, *aligned(o, t, op, name), own, op), own.ignore_index)
    if isinstance(layer, PointwiseLoss) and type(layer).forward is PointwiseLoss.forward:
        return Loss(name, lambda o, t, n: _pointwise(layer, *aligned(o, t, op, name)), threshold=layer.threshold)
    if isinstance(layer, CTCLoss):
        return Loss(name, lambda o, t, n: (_ctc(layer, o, t, op), None if layer.reduction == "sum" else n))
    counted = getattr(function, "counted", None)
    ignored = getattr(function, "ignore_index", None)
    return Loss(name, lambda o, t, n: (function(o, t), n if counted is None else counted(o, t)), ignored, True)


def aligned(output: Any, target: Any, op: str, name: str) -> tuple[Any, Any]:
    """One output and its target; ragged ones end to end, over all steps. Raises ValueError for anything else."""
    if isinstance(output, list) and all(not isinstance(part, (tuple, list)) for part in output) and output:
        if target is None or isinstance(target, tuple) or len(target) != len(output):
            raise ValueError(f"{op}: {name!r} of {len(output)} ragged outputs needs as many targets, one for each")
        wanted = [np.asarray(part) for part in target]
        for i, (part, own) in enumerate(zip(output, wanted, strict=True)):
            if part.shape[:1] != own.shape[:1]:
                raise ValueError(f"{op}: output {i} has shape {tuple(part.shape)} but target {i} has {own.shape}")
        return ops.concatenate(output), np.concatenate(wanted)
    if not hasattr(output, "shape"):
        raise ValueError(
            f"{op}: {name!r} takes one output, but the model returns {described(output)}; the target has "
            f"{described(target)}; pass loss=a function of both, or return only what the loss needs"
        )
    if isinstance(target, list) and len({part.shape for part in target}) == 1:
        target = np.stack(target)
    if isinstance(target, (tuple, list)) or target is None:
        raise ValueError(
            f"{op}: {name!r} takes one target, but y is {described(target)}; the output has shape {output.shape}"
        )
    return output, target


def class_loss(layer: Any, output: Any, target: Any, rule: Rule, op: str) -> tuple[Any, float | None]:
    """An nn.CrossEntropyLoss with the classes where ``rule`` reads them, and what its mean is over; None for a sum."""
    shape = tuple(output.shape)
    found = reading(shape, target.shape, rule, f"{op}: cross_entropy")
    if found.axis is None:
        raise ValueError(
            f"{op}: cross_entropy: output has shape {shape}: one score per target, whose softmax is always 1; give "
            "each class a score, 2 for two classes, or take loss='bce_with_logits' or 'mse'"
        )
    if found.axis != 1:
        output, target = _last(output, found.axis), _last(target, found.axis) if found.shares else target.reshape(-1)
    value = layer(output, target)
    if found.shares:
        return value, None if layer.reduction == "sum" else target.size / shape[found.axis]
    kept = target != layer.ignore_index
    counted = float(np.count_nonzero(kept))
    if layer.reduction == "sum":
        return value, None if counted else 0.0
    if layer.weight is None:
        return value, counted
    return value, float(np.asarray(layer.weight, np.float32)[target[kept]].sum(dtype=np.float64))


def _last(x: Any, axis: int) -> Any:
    """(K, C), with the classes of ``axis``."""
    order = [*(i for i in range(x.ndim) if i != axis), axis]
    moved = x if axis == x.ndim - 1 else ops.permute(x, order) if isinstance(x, Tensor) else x.transpose(order)
    return moved.reshape(-1, x.shape[axis])


def _ctc(layer: CTCLoss, output: Any, target: Any, op: str) -> Any:
    if not isinstance(target, tuple) or len(target) != 3:
        raise ValueError(
            f"{op}: CTCLoss takes y=(targets, input_lengths, target_lengths), a tuple of three, but y is "
            f"{described(target)}"
        )
    return layer(output, *target)


def fitted(target: Any, shape: Sequence[int]) -> Any:
    """A target (N) for an output (N, 1), or the other way round, rather than the (N, N) of broadcasting."""
    if tuple(shape) in ((*target.shape, 1), target.shape[:-1]) and target.size == np.prod(shape, dtype=int):
        return target.reshape(shape)
    return target


def _pointwise(layer: PointwiseLoss, output: Any, target: Any) -> tuple[Any, float | None]:
    value = layer(output, fitted(target, output.shape))
    return value, None if layer.reduction == "sum" else output.size

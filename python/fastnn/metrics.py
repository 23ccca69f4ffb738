"""What ``fit`` and ``evaluate`` measure: losses and metrics by name, fitted to the shapes of outputs and targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import losses
from fastnn.tensor import Tensor

Array = npt.NDArray[Any]


class Metric(NamedTuple):
    """A name, the mean over one batch, and what is made of the mean over all."""

    name: str
    of_batch: Callable[[Array, Array], float]
    of_mean: Callable[[float], float] = float
    on_all: bool = False  # may be no mean over samples: evaluate() calls it once, on everything


def class_axis(output: tuple[int, ...], target: tuple[int, ...]) -> int | None:
    """The axis of ``output`` that ``target``, class indices, lacks; None where the shapes do not fit.

    (N, C) has classes on axis 1. In (N, T, C) they are looked for last, and then on axis 1: (N, C, L). In images
    (N, C, H, W) the other way round, as torch has them.
    """
    if len(target) != len(output) - 1 or len(output) < 1:
        return None
    last, second = target == output[:-1], len(output) > 2 and target == output[:1] + output[2:]
    if second and (len(output) > 3 or not last):
        return 1
    return len(output) - 1 if last else None


def cross_entropy(output: Any, target: Array) -> Any:
    """losses.cross_entropy, with the classes of (N, T, C) on the last axis."""
    if target.dtype.kind in "iu" and len(output.shape) > 2:
        axis = class_axis(output.shape, target.shape)
        if axis == len(output.shape) - 1:
            return losses.cross_entropy(output.reshape(-1, output.shape[-1]), target.reshape(-1))
    return losses.cross_entropy(output, target)


def _squeezed(shape: tuple[int, ...], target: Array) -> Array:
    """A target (N) for an output (N, 1), rather than the (N, N) of broadcasting."""
    return target.reshape(shape) if shape == (*target.shape, 1) else target


def mse(output: Any, target: Array) -> Any:
    """losses.mse_loss; a target (N) goes with an output (N, 1)."""
    return losses.mse_loss(output, _squeezed(output.shape, target))


def loss_function(loss: str | Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The loss of that name as fit uses it, or the function itself."""
    function = losses.get(loss)
    if loss == "cross_entropy":
        return cross_entropy
    return mse if function is losses.mse_loss else function


def _difference(output: Array, target: Array, name: str) -> npt.NDArray[np.float64]:
    target = _squeezed(output.shape, target)
    if output.shape != target.shape:
        raise ValueError(f"{name}: output has shape {output.shape} but target has {target.shape}")
    return np.subtract(output, target, dtype=np.float64)


def _mse(output: Array, target: Array) -> float:
    return float(np.mean(np.square(_difference(output, target, "mse"))))


def _mae(output: Array, target: Array) -> float:
    return float(np.mean(np.abs(_difference(output, target, "mae"))))


def _accuracy(output: Array, target: Array) -> float:
    axis = class_axis(output.shape, target.shape)
    if axis is None and output.shape == target.shape and output.ndim > 1:  # probabilities or one-hot
        axis, target = 1, target.argmax(1)
    if axis is None:
        raise ValueError(f"accuracy: output has shape {output.shape} but target has {target.shape}")
    counted = target >= 0  # cross_entropy's ignore_index is negative
    return float(np.mean((output.argmax(axis) == target)[counted])) if counted.any() else math.nan


def _cross_entropy(output: Array, target: Array) -> float:
    return float(cross_entropy(output, target))


def _perplexity(mean: float) -> float:
    return math.exp(min(mean, 700.0))


METRICS = {
    "accuracy": Metric("accuracy", _accuracy),
    "mae": Metric("mae", _mae),
    "mse": Metric("mse", _mse),
    "perplexity": Metric("perplexity", _cross_entropy, _perplexity),
}


def get(metrics: Iterable[str | Callable[[Array, Array], Any]]) -> list[Metric]:
    """Names and functions ``metric(output, target)`` of arrays as Metrics. Raises ValueError for unknown names."""
    if isinstance(metrics, str) or callable(metrics):
        raise TypeError(f"metrics is {metrics!r}, expected a list of names or functions")
    found = []
    for metric in metrics:
        if callable(metric):
            found.append(Metric(getattr(metric, "__name__", type(metric).__name__), metric, on_all=True))
        elif metric in METRICS:
            found.append(METRICS[metric])
        else:
            raise ValueError(f"metric {metric!r} is not known, expected one of {', '.join(METRICS)} or a function")
    names = [metric.name for metric in found]
    if len(set(names)) < len(names) or "loss" in names:
        raise ValueError(f"metrics are named {', '.join(names)}: each needs a name of its own, other than loss")
    return found


class Means:
    """Loss and metrics averaged over batches, each batch with the weight of its samples."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.sums = [0.0] * (len(metrics) + 1)
        self.samples = 0

    def add(self, loss: float, output: Any, target: Array, samples: int) -> None:
        self.samples += samples
        self.sums[0] += loss * samples
        for i, metric in enumerate(self.metrics, 1):
            self.sums[i] += float(metric.of_batch(plain(output), target)) * samples

    def result(self) -> dict[str, float]:
        loss, *means = [total / self.samples for total in self.sums]
        return {"loss": loss} | {m.name: m.of_mean(mean) for m, mean in zip(self.metrics, means, strict=True)}


def plain(output: Any) -> Any:
    """A Tensor's array; a tuple of them for a model with several outputs."""
    if isinstance(output, (tuple, list)):
        return tuple(plain(part) for part in output)
    return output.data if isinstance(output, Tensor) else output

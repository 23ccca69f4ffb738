"""Metrics of ``fit`` and ``evaluate``: by name, and functions as scikit-learn and Keras have them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.losses import aligned, class_loss, fitted
from fastnn.nn.loss import CrossEntropyLoss
from fastnn.training.classes import Rule, labels
from fastnn.training.nests import described
from fastnn.training.spelling import meant

Array = npt.NDArray[Any]

__all__ = ["METRICS", "Metric", "get", "of_labels"]


class Metric(NamedTuple):
    """A name and a way to measure: of each batch, a sum and how much counted; or of everything at once.

    The first have ``of_batch`` (output, target, rule) and what is made of the mean over all that counted, the others
    ``of_all`` (target, prediction, rule).
    """

    name: str
    of_batch: Callable[[Array, Array, Rule], tuple[float, float]] | None = None
    of_mean: Callable[[float], float] = float
    of_all: Callable[[Any, Any, Rule], Any] | None = None


def _difference(output: Array, target: Array, name: str) -> npt.NDArray[np.float64]:
    target = fitted(target, output.shape)
    if output.shape != target.shape:
        raise ValueError(f"{name}: output has shape {output.shape} but target has {target.shape}")
    return np.subtract(output, target, dtype=np.float64)


def _mse(output: Array, target: Array, rule: Rule) -> tuple[float, float]:
    return float(np.sum(np.square(_difference(output, target, "mse")))), output.size


def _mae(output: Array, target: Array, rule: Rule) -> tuple[float, float]:
    return float(np.sum(np.abs(_difference(output, target, "mae")))), output.size


def _accuracy(output: Array, target: Array, rule: Rule) -> tuple[float, float]:
    wanted, predicted = labels(output, target, rule, rule.threshold, "accuracy")
    return float(np.count_nonzero(wanted == predicted)), wanted.size


def _perplexity(output: Array, target: Array, rule: Rule) -> tuple[float, float]:
    mean, counted = class_loss(CrossEntropyLoss(ignore_index=rule.ignore_index), output, target, rule, "perplexity")
    return (float(mean) * counted if counted else 0.0), counted or 0.0


def _exp(mean: float) -> float:
    return math.exp(mean) if mean < 709 else math.inf


METRICS = {
    "accuracy": Metric("accuracy", _accuracy),
    "mae": Metric("mae", _mae),
    "mse": Metric("mse", _mse),
    "perplexity": Metric("perplexity", _perplexity, _exp),
}


class _OfLabels:
    """What ``of_labels`` returns."""

    def __init__(self, function: Callable[..., Any], threshold: float, options: dict[str, Any]) -> None:
        self.function, self.threshold, self.options = function, threshold, options
        self.__name__ = _name(function)

    def of(self, target: Any, prediction: Any, rule: Rule) -> Any:
        wanted, predicted = labels(np.asarray(prediction), np.asarray(target), rule, self.threshold, self.__name__)
        return self.function(wanted, predicted, **self.options)

    def __call__(self, target: Any, prediction: Any) -> Any:
        return self.of(target, prediction, Rule())


def of_labels(function: Callable[..., Any], threshold: float = 0.5, **options: Any) -> Callable[[Any, Any], Any]:
    """A metric of labels, such as scikit-learn's, as a metric for ``fit`` and ``evaluate``.

    Args:
        function: of (labels, predicted labels), both (K) integers: those of all targets that count.
        threshold: where an output is one score per target, scores above it are class 1. Default 0.5; for scores whose
            sign decides, 0.
        options: for ``function``, by name.

    The predicted label is that of the largest score. Targets of ignore_index (of the loss, else -100) do not count.

    >>> import numpy as np, fastnn as fnn
    >>> def hits(target, prediction):
    ...     return int((target == prediction).sum())
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> fnn.evaluate(fnn.nn.Identity(), scores, [0, 1, 1], metrics=[fnn.metrics.of_labels(hits)])["hits"]
    2.0
    """
    if not callable(function):
        raise TypeError(f"of_labels: function is {function!r}, expected a function of labels and predicted labels")
    return _OfLabels(function, threshold, options)


def _name(function: Any) -> str:
    inner = getattr(function, "func", function)  # functools.partial
    return str(getattr(inner, "__name__", type(function).__name__))


def _of_function(function: Callable[..., Any]) -> Metric:
    if isinstance(function, _OfLabels):
        return Metric(function.__name__, of_all=function.of)
    return Metric(_name(function), of_all=lambda target, prediction, rule: function(target, prediction))


def get(metrics: Any) -> list[Metric]:
    """Names and functions ``metric(target, prediction)`` of arrays as Metrics.

    Raises ValueError for unknown names and names that occur twice, TypeError for what is no list of them.
    """
    if isinstance(metrics, (str, bytes)) or callable(metrics) or not isinstance(metrics, Iterable):
        shown = repr(metrics) if isinstance(metrics, str) else _name(metrics)
        raise TypeError(f"metrics is {metrics!r}, expected a list of names or functions: write metrics=[{shown}]")
    found: list[Metric] = []
    for metric in metrics:
        if isinstance(metric, type):
            raise TypeError(f"metrics holds the class {metric.__name__}, expected names or functions")
        if isinstance(metric, Metric):
            found.append(metric)
        elif callable(metric):
            found.append(_of_function(metric))
        elif isinstance(metric, str) and metric in METRICS:
            found.append(METRICS[metric])
        elif isinstance(metric, str):
            known = ", ".join(METRICS)
            raise ValueError(
                f"metric {metric!r} is not known, expected one of {known} or a function{meant(metric, METRICS)}"
            )
        else:
            raise TypeError(f"metrics holds {metric!r}, expected one of {', '.join(METRICS)} or a function")
    names = [metric.name for metric in found]
    if len(set(names)) < len(names) or "loss" in names:
        raise ValueError(f"metrics are named {', '.join(names)}: each needs a name of its own, other than loss")
    return found


def of_all(metric: Metric, target: Any, prediction: Any, rule: Rule, op: str) -> float:
    """A metric of everything at once. Raises ValueError that names it where it fails."""
    assert metric.of_all is not None
    if isinstance(prediction, list) or (isinstance(target, list) and isinstance(prediction, np.ndarray)):
        prediction, target = aligned(prediction, target, op, metric.name)
    if isinstance(target, np.ndarray) and isinstance(prediction, np.ndarray):
        prediction = fitted(prediction, target.shape)
    try:
        value = np.asarray(metric.of_all(target, prediction, rule))
    except Exception as error:
        raise ValueError(
            f"{op}: metric {metric.name}(target, prediction), target of {described(target)}, prediction of "
            f"{described(prediction)}, says: {error}; a metric of labels, such as F1, is written "
            f"fnn.metrics.of_labels({metric.name}), one of probabilities needs a function of your own around it"
        ) from error
    if value.size != 1 or value.dtype.kind not in "fiub":
        raise ValueError(f"{op}: metric {metric.name} returned {described(value)}, expected a number")
    return float(value.item())

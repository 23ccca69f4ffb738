"""Loss and metrics of all samples from those of batches: means over what counted, never over batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn.losses import Loss, aligned
from fastnn.metrics import Metric, of_all
from fastnn.training.classes import Rule
from fastnn.training.nests import mapped, plain
from fastnn.training.samples import axis_of


class Kept(NamedTuple):
    """What a batch leaves for metrics of everything at once."""

    output: Any
    target: Any
    samples: int


class Means:
    """Adds up loss and metrics of batches.

    Metrics of everything at once keep the outputs and targets until ``result``.
    """

    def __init__(self, loss: Loss, metrics: Sequence[Metric], rule: Rule, op: str) -> None:
        self.loss, self.metrics, self.rule, self.op = loss, metrics, rule, op
        self.total, self.counted, self.is_sum = 0.0, 0.0, False
        self.sums = {metric.name: [0.0, 0.0] for metric in metrics if metric.of_batch is not None}
        self.kept: list[Kept] = []

    def add(self, value: float, counted: float | None, output: Any, target: Any, samples: int) -> None:
        """A batch: the value of its loss, and how much that is the mean over; None where it is a sum."""
        if counted is None:
            self.total, self.is_sum = self.total + value, True
        elif counted:
            self.total += value * counted
            self.counted += counted
        if not self.metrics:
            return
        arrays = plain(output)
        if len(self.sums) < len(self.metrics):
            self.kept.append(Kept(mapped(arrays, np.copy), target, samples))  # a model may use its memory again
        for metric in self.metrics:
            if metric.of_batch is not None:
                part = metric.of_batch(*aligned(arrays, target, self.op, metric.name), self.rule)
                self.sums[metric.name] = [a + b for a, b in zip(self.sums[metric.name], part, strict=True)]

    def result(self) -> dict[str, float]:
        """Raises ValueError where nothing counted."""
        if not self.counted and not self.is_sum:
            raise nothing_counts(self.op, f"loss {self.loss.name!r}", self.rule)
        result = {"loss": self.total if self.is_sum else self.total / self.counted}
        target, prediction = joined(self.kept, self.rule.batch_axis, self.op) if self.kept else (None, None)
        for metric in self.metrics:
            if metric.of_batch is None:
                result[metric.name] = of_all(metric, target, prediction, self.rule, self.op)
                continue
            total, counted = self.sums[metric.name]
            if not counted:
                raise nothing_counts(self.op, f"metric {metric.name!r}", self.rule)
            result[metric.name] = metric.of_mean(total / counted)
        return result


def nothing_counts(op: str, what: str, rule: Rule) -> ValueError:
    return ValueError(
        f"{op}: nothing counts for {what}: every target is ignore_index={rule.ignore_index}, or of a class of weight 0"
    )


def joined(kept: Sequence[Kept], axis: int, op: str) -> tuple[Any, Any]:
    """(targets, outputs) of batches as those of all samples, which lie on ``axis``."""
    counts = [batch.samples for batch in kept]
    targets = _targets([batch.target for batch in kept], axis)
    return targets, _outputs([batch.output for batch in kept], counts, axis, op)


def _targets(parts: Sequence[Any], axis: int) -> Any:
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, list):
        return [item for part in parts for item in part]
    if isinstance(first, tuple):
        return tuple(_targets([part[i] for part in parts], axis) for i in range(len(first)))
    return np.concatenate(parts, axis_of(first, axis))


def _outputs(parts: Sequence[Any], counts: Sequence[int], axis: int | None, op: str) -> Any:
    """``axis`` None: that on which every batch has its number of samples, if it is the only one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, list) and [len(part) for part in parts] == list(counts):
        return [item for part in parts for item in part]
    if isinstance(first, (tuple, list)):
        return tuple(_outputs([part[i] for part in parts], counts, None, op) for i in range(len(first)))
    if isinstance(first, dict):
        return {key: _outputs([part[key] for part in parts], counts, None, op) for key in first}
    if first.ndim == 0:
        return np.stack(parts)
    found = [i for i in range(first.ndim) if axis in (None, i) and [part.shape[i] for part in parts] == list(counts)]
    others = {tuple(np.delete(part.shape, found[0])) for part in parts} if len(found) == 1 else set()
    if len(others) != 1:
        shapes = ", ".join(sorted({str(part.shape) for part in parts}))
        raise ValueError(f"{op}: outputs of batches have shapes {shapes}: they cannot be joined for a metric of all")
    return np.concatenate(parts, found[0])

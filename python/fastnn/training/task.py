"""What fit and evaluate share: the samples of a task, and what is measured of them."""

from __future__ import annotations

from typing import Any

from fastnn import losses
from fastnn import metrics as metric
from fastnn.data import Batches
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.tape import no_grad
from fastnn.training import batch_axis as axes_of
from fastnn.training.checks import check_counts, check_model, training_samples
from fastnn.training.classes import Rule, class_axis_of
from fastnn.training.means import Means
from fastnn.training.samples import Samples, check_axis, count_of
from fastnn.training.trial import call, number, training_batch, validation_batch


class Task:
    """Samples, loss and metrics of a call of ``fit`` or ``evaluate``, see there; ``op`` says of which."""

    def __init__(
        self,
        model: Module,
        x: Any,
        y: Any,
        loss: Any,
        metrics: Any,
        batch_axis: Any,
        class_axis: Any,
        op: str,
        validation_data: Any = None,
        validation_split: Any = 0.0,
    ) -> None:
        check_model(model, op)
        self.model, self.op, self.told = model, op, batch_axis is not None
        axes = check_axis(batch_axis if self.told else model.batch_axis, op)
        self.validation: Samples | None = None
        if op == "fit":
            self.samples, self.validation = training_samples(x, y, axes, validation_data, validation_split)
        else:
            self.samples = Samples(x, y, axes, op)
        rule = Rule(self.samples.target_axis, class_axis_of(class_axis, op))
        self.loss = losses.resolve(loss, rule, op)
        self.rule = self.loss.told(rule)
        self.metrics = metric.get(metrics)
        check_counts(self.loss, self.rule, self.samples, op)
        if self.validation is not None:
            check_counts(self.loss, self.rule, self.validation, op)
        if op == "evaluate" and not self.told:
            axes_of.check(model, self.samples, op)

    def means(self) -> Means:
        """For a new epoch, or an evaluation."""
        return Means(self.loss, self.metrics, self.rule, self.op)

    def try_out(self, batch_size: int, drop_last: bool) -> None:
        """Raises what training would raise in the course of an epoch."""
        if drop_last and self.samples.count < batch_size:
            raise ValueError(
                f"fit: drop_last=True leaves nothing of {self.samples.count} samples in batches of {batch_size}"
            )
        if not self.told:
            axes_of.check(self.model, self.samples, "fit")
        training_batch(self.model, self.samples, batch_size, self.loss, self.means(), drop_last)
        if self.validation is not None:
            validation_batch(self.model, self.validation, batch_size, self.loss, self.means())

    def evaluated(self, samples: Samples, batch_size: int) -> dict[str, float]:
        """Loss and metrics in eval mode."""
        means = self.means()
        batches = Batches(samples.parts, samples.axes, samples.count, batch_size, None, False, False, True)
        with evaluation(self.model), no_grad():
            for batch in batches:
                inputs, wanted = samples.paired(batch)
                count = count_of(batch[0], samples.axes[0])
                output = call(self.model, samples, inputs, self.op)
                value, counted = self.loss.of_batch(output, wanted, count)
                means.add(number(value, self.op), counted, output, wanted, count)
        return means.result()

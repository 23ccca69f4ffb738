"""Training and evaluation: one readable loop each, to use or to copy and change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import batch_axis as axes_of
from fastnn import losses, metrics as metric
from fastnn import random
from fastnn.arrays import positive_int
from fastnn.callbacks import Run, as_callbacks, notify
from fastnn.classes import Rule, class_axis_of
from fastnn.data import Batches
from fastnn.fit_checks import (
    check_counts,
    check_model,
    checked_optimizer,
    history_names,
    training_samples,
    warn_untrained,
)
from fastnn.means import Means
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.utils import clip_grad_norm_
from fastnn.optim import Optimizer
from fastnn.progress import progress_callback
from fastnn.samples import Samples, check_axis, count_of
from fastnn.tensor import no_grad
from fastnn.trial import call, number, training_batch, untouched, validation_batch

__all__ = ["evaluate", "fit"]

Array = npt.NDArray[Any]
Loss = str | Callable[[Any, Any], Any]
MetricLike = str | Callable[[Array, Array], Any]


def fit(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    loss: Loss = "cross_entropy",
    optimizer: Optimizer | None = None,
    epochs: int = 1,
    batch_size: int = 32,
    validation_data: tuple[Any, Any] | None = None,
    validation_split: float = 0.0,
    metrics: Iterable[MetricLike] = (),
    callbacks: Sequence[Any] | Any = (),
    shuffle: bool = True,
    progress: bool | Callable[[str], Any] = False,
    seed: int | None = None,
    clip_grad_norm: float | None = None,
    batch_axis: int | tuple[int, int] | None = None,
    class_axis: int | None = None,
    drop_last: bool = False,
) -> list[dict[str, Any]]:
    """Trains a model and returns what happened, one row (a dict) per epoch.

    Args:
        model: any Module. It is trained in train mode and gets its mode back.
        x: array of samples on axis 0, or a tuple or list of such arrays, for ``model(*x)``.
        y: targets: class indices (N) or per step (N, T), or floats. Default None, for a loss that needs none.
        loss: "cross_entropy" (default), "mse", or a function of the model's output and the target that returns a
            Tensor of one element. Class scores may be (N, C), (N, C, ...) or, for sequences, (N, T, C).
        optimizer: default None: Adam(model.parameters(), lr=1e-3).
        epochs: how often to go over the data, at least 0. Default 1.
        batch_size: samples per step, at least 1. Default 32.
        validation_data: (x, y) to evaluate after every epoch. Default None.
        validation_split: what part of the samples, the last ones before shuffling, to keep for validation. Default 0.
        metrics: "accuracy", "mse", "mae", "perplexity", or functions of two arrays, output and target.
            Training metrics are means over the batches as they are trained on, in train mode.
        callbacks: objects with some of the methods of fastnn.callbacks.Callback.
        shuffle: whether every epoch has its own random order. Default True.
        progress: True shows a bar (tqdm where installed, else a line per epoch on stderr); a function, such as print,
            gets a line per epoch. Default False.
        seed: for the order and, through ``fnn.manual_seed``, for dropout: the same seed gives the same bits, with any
            number of threads. Default None.
        clip_grad_norm: the largest L2 norm of all gradients together. Default None: not clipped.

    A row has epoch (from 1), loss, the metrics, with validation the same names after "val_", seconds, and
    samples_per_second of the training part.

    Ctrl-C raises KeyboardInterrupt as usual. The model then has the weights of the last completed step, callbacks had
    their on_train_end, and the exception, like any other raised here, has the rows so far as ``error.history``.

    Raises FloatingPointError when a loss is nan or infinite (the weights are those before that batch), ValueError for
    no samples, lengths that differ and values out of range.

    >>> import numpy as np, fastnn as fnn
    >>> from fastnn import nn
    >>> _ = fnn.manual_seed(0)
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> history = fnn.fit(model, x, 3 * x + 1, loss="mse", epochs=30, batch_size=8, seed=0,
    ...                   optimizer=fnn.optim.SGD(model.parameters(), lr=0.1))
    >>> len(history), history[-1]["loss"] < 1e-3 < history[0]["loss"]
    (30, True)
    """
    task = _Task(model, x, y, loss, metrics, batch_axis, class_axis, "fit", validation_data, validation_split)
    epochs = positive_int(epochs, "fit", "epochs", minimum=0)
    batch_size = positive_int(batch_size, "fit", "batch_size")
    samples, validation = task.samples, task.validation
    names = history_names([m.name for m in task.metrics], validation is not None)
    callbacks = [*as_callbacks(callbacks, names), *([progress_callback(progress)] if progress else [])]
    optimizer = checked_optimizer(optimizer, model)
    task.try_out(batch_size, bool(drop_last))
    batches = Batches(samples.parts, samples.axes, samples.count, batch_size, None, bool(shuffle), bool(drop_last), True)
    run = Run(model, optimizer, epochs, batches=len(batches))
    modes = [(module, module.training) for module in model.modules()]
    stepped = False
    try:
        notify(callbacks, "on_train_begin", run)
        for run.epoch in range(1, epochs + 1):
            with random.using(None if seed is None else random.epoch_generator(seed, optimizer.steps)):
                began, means, seen = time.perf_counter(), task.means(), 0
                model.train()
                notify(callbacks, "on_epoch_begin", run)
                for run.batch, batch in enumerate(batches, 1):
                    notify(callbacks, "on_batch_begin", run)
                    inputs, wanted = samples.paired(batch)
                    count = count_of(batch[0], samples.axes[0])
                    output = call(model, samples, inputs, "fit")
                    value, counted = task.loss.of_batch(output, wanted, count)
                    run.loss = _finite(value, counted, run)
                    means.add(run.loss, counted, output, wanted, count)
                    seen += count
                    if counted != 0:  # else there is nothing to learn from
                        optimizer.zero_grad()
                        value.backward()
                        stepped = stepped or warn_untrained(model, optimizer)
                        notify(callbacks, "on_grad_computed", run)
                        if clip_grad_norm is not None:
                            clip_grad_norm_(model.parameters(), clip_grad_norm)
                        optimizer.step()
                    notify(callbacks, "on_batch_end", run)
                row = {"epoch": run.epoch, **means.result()}
                trained = time.perf_counter() - began
                if validation is not None:
                    result = task.evaluated(validation, batch_size)
                    row |= {f"val_{name}": number for name, number in result.items()}
                row |= {"seconds": time.perf_counter() - began, "samples_per_second": seen / trained}
                run.history.append(row)
                notify(callbacks, "on_epoch_end", run)
            if run.stop:
                break
    except BaseException as error:
        error.history = run.history  # type: ignore[attr-defined]
        raise
    finally:
        for module, training in modes:
            module.training = training
        notify(callbacks, "on_train_end", run)
    return run.history


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    loss: Loss = "cross_entropy",
    metrics: Iterable[MetricLike] = (),
    batch_size: int = 256,
    batch_axis: int | tuple[int, int] | None = None,
    class_axis: int | None = None,
) -> dict[str, float]:
    """Loss and metrics of a model, in eval mode; the model gets its mode back.

    Args:
        model, x, y, loss, metrics, batch_axis, class_axis: as in fit.
        batch_size: samples at a time, at least 1. Default 256. It does not change the result, but for the rounding of
            sums.

    Returns {"loss": ..., and each metric by its name}: means over what counted in all samples; the loss is added up
    where its reduction is "sum". Raises ValueError for no samples, lengths that differ, and targets of which none
    counts.

    >>> import numpy as np, fastnn as fnn
    >>> model = fnn.nn.Linear(2, 3)
    >>> sorted(fnn.evaluate(model, np.zeros((5, 2)), np.zeros(5, int), metrics=["accuracy"]))
    ['accuracy', 'loss']
    """
    task = _Task(model, x, y, loss, metrics, batch_axis, class_axis, "evaluate")
    return task.evaluated(task.samples, positive_int(batch_size, "evaluate", "batch_size"))


class _Task:
    """What fit and evaluate share: samples, and what is measured of them."""

    def __init__(
        self,
        model: Module,
        x: Any,
        y: Any,
        loss: Loss,
        metrics: Iterable[MetricLike],
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
        self.rule = rule if self.loss.ignore_index is None else rule._replace(ignore_index=self.loss.ignore_index)
        self.metrics = metric.get(metrics)
        for samples in (self.samples, self.validation):
            if samples is not None:
                check_counts(self.loss, self.rule, samples, op)
        if op == "evaluate" and not self.told:
            axes_of.check(model, self.samples, op)

    def means(self) -> Means:
        return Means(self.loss, self.metrics, self.rule, self.op)

    def try_out(self, batch_size: int, drop_last: bool) -> None:
        """Raises what training would raise in the course of an epoch."""
        if drop_last and self.samples.count < batch_size:
            raise ValueError(
                f"fit: drop_last=True leaves nothing of {self.samples.count} samples in batches of {batch_size}"
            )
        if not self.told:
            with untouched(self.model):
                axes_of.check(self.model, self.samples, "fit")
        training_batch(self.model, self.samples, batch_size, self.loss, self.means(), drop_last)
        if self.validation is not None:
            validation_batch(self.model, self.validation, batch_size, self.loss, self.means())

    def evaluated(self, samples: Samples, batch_size: int) -> dict[str, float]:
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


def _finite(loss: Any, counted: float | None, run: Run) -> float:
    value = number(loss, "fit")
    if counted == 0:
        return math.nan
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: the loss is {value} in epoch {run.epoch}, batch {run.batch}; the weights are those before it "
            "(is an input nan? a smaller learning rate or clip_grad_norm may help)"
        )
    return value

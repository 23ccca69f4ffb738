"""Training and evaluation: one readable loop each, to use or to copy and change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy.typing as npt

from fastnn import random
from fastnn.arrays import positive_int
from fastnn.callbacks import Run
from fastnn.nn.module import Module
from fastnn.nn.utils import clip_grad_norm_
from fastnn.optim import Optimizer
from fastnn.training.checks import Settings, steps_of, warn_untrained
from fastnn.training.hooks import notify
from fastnn.training.samples import count_of
from fastnn.training.task import Task
from fastnn.training.trial import call, number

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
        x: array of samples; a list of ragged sequences (T_n, ...), which the model gets as lists; or a tuple of these,
            for ``model(*x)``.
        y: targets: class indices (N), per step (N, T), or per step of ragged sequences a list of (T_n); or floats.
            A tuple of several goes to the loss as a tuple. Default None, for a loss that needs none.
        loss: "cross_entropy" (default), "bce_with_logits", "huber", "l1" or "mae", "mse", a loss of fastnn.nn, or a
            function of the model's output and the target that returns a Tensor of one element; fastnn.losses says how
            one tells how much counted in a batch. Of ragged sequences all but the last are over all steps.
        optimizer: default None: Adam(model.parameters(), lr=1e-3).
        epochs: how often to go over the data, at least 0. Default 1.
        batch_size: samples per step, at least 1. Default 32.
        validation_data: (x, y) to evaluate after every epoch. Default None.
        validation_split: what part of the samples, the last ones before shuffling, to keep for validation. Default 0.
        metrics: "accuracy", "mse", "mae", "perplexity", or functions ``metric(target, prediction)`` of all targets and
            outputs, such as those of scikit-learn; for those of labels, see fastnn.metrics.of_labels. Accuracy takes
            the class with the largest score; of one score per target, (N, 1) or (N), class 1 above 0.5
            (of "bce_with_logits": above 0). Training metrics are of the outputs as they were trained on, in train mode.
        callbacks: objects with some of the methods of fastnn.callbacks.Callback, or one.
        shuffle: whether every epoch has its own random order. Default True.
        progress: True shows a bar (tqdm where installed, else a line per epoch on stderr); a function, such as print,
            gets a line per epoch. Default False.
        seed: for order, dropout and whatever else is random in this thread meanwhile: the same seed gives the same
            bits, with any number of threads. The generator that ``fnn.manual_seed`` seeds is as before after it,
            whatever callbacks draw or seed. An epoch's numbers depend on the seed and ``optimizer.steps`` alone: when
            model and optimizer state are loaded, 2 epochs and 2 more are 4 epochs, to the bit. Default None: the
            numbers go on from ``fnn.get_rng_state()``.
        clip_grad_norm: the largest L2 norm of all gradients together. Default None: not clipped.
        batch_axis: the axis of x and y on which samples lie; what has fewer axes has them on axis 0. Or a pair (of x,
            of y). Default None: ``model.batch_axis``, 1 for recurrent layers without ``batch_first``, else 0; a model
            with recurrent layers is then tried on 2 and 3 samples, whether it reads them as time.
        class_axis: where the classes are in the output. Default None: on axis 1, (N, C), (N, C, L), (N, C, H, W), or on
            the last, (N, T, C), whichever fits the target.
        drop_last: whether a smaller last batch is left out. Default False.

    A row has epoch (from 1), loss, the metrics, with validation the same names after "val_", seconds, and
    samples_per_second of the training part. Loss and metrics are means over what counted in the epoch: targets that are
    not ignored by the loss, by their class weights, elements, or samples; a loss whose reduction is "sum" is added up.
    A batch in which nothing counts makes no step.

    Before the first step a batch of training and of validation data is tried, of which nothing remains. After the first
    backward pass a UserWarning names parameters without a gradient and those that the optimizer does not have.

    Ctrl-C raises KeyboardInterrupt as usual. The model then has the weights of the last completed step, callbacks had
    their on_train_end, and the exception, like any other raised in training, has the rows so far as ``error.history``.

    Raises FloatingPointError when a loss is nan or infinite (the weights are those before that batch); before training
    ValueError for no samples, lengths that differ, values out of range and outputs that do not fit loss, metrics or
    targets, TypeError for arguments of another kind, and for sparse and masked arrays.

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
    settings = Settings(epochs, batch_size, shuffle, drop_last, seed, clip_grad_norm, progress)
    task = Task(model, x, y, loss, metrics, batch_axis, class_axis, "fit", validation_data, validation_split)
    samples = task.samples
    optimizer, hooks = settings.prepared(optimizer, callbacks, task)
    task.try_out(settings.batch_size, settings.drop_last)
    batches = settings.batches(samples)
    run = Run(model, optimizer, settings.epochs, batches=len(batches))
    modes = [(module, module.training) for module in model.modules()]
    own = None if seed is None else random.edge_generator(seed)
    checked = False
    try:
        with random.using(own):
            notify(hooks, "on_train_begin", run)
        for run.epoch in range(1, settings.epochs + 1):
            with random.using(None if seed is None else random.epoch_generator(seed, steps_of(optimizer, run))):
                began, means, seen = time.perf_counter(), task.means(), 0
                model.train()
                notify(hooks, "on_epoch_begin", run)
                for run.batch, batch in enumerate(batches, 1):
                    notify(hooks, "on_batch_begin", run)
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
                        checked = checked or warn_untrained(model, optimizer)
                        notify(hooks, "on_grad_computed", run)
                        if clip_grad_norm is not None:
                            clip_grad_norm_(model.parameters(), clip_grad_norm)
                        optimizer.step()
                    notify(hooks, "on_batch_end", run)
                row = {"epoch": run.epoch, **means.result()}
                trained = time.perf_counter() - began
                if task.validation is not None:
                    result = task.evaluated(task.validation, settings.batch_size)
                    row |= {f"val_{name}": mean for name, mean in result.items()}
                row |= {"seconds": time.perf_counter() - began, "samples_per_second": seen / trained}
                run.history.append(row)
                notify(hooks, "on_epoch_end", run)
            if run.stop:
                break
    except BaseException as error:
        error.history = run.history  # type: ignore[attr-defined]
        raise
    finally:
        for module, training in modes:
            module.training = training
        with random.using(own):
            notify(hooks, "on_train_end", run)
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
    task = Task(model, x, y, loss, metrics, batch_axis, class_axis, "evaluate")
    return task.evaluated(task.samples, positive_int(batch_size, "evaluate", "batch_size"))


def _finite(loss: Any, counted: float | None, run: Run) -> float:
    value = number(loss, "fit", tensor=True)
    if counted == 0:
        return math.nan
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: the loss is {value} in epoch {run.epoch}, batch {run.batch}; the weights are those before it "
            "(is an input nan? a smaller learning rate or clip_grad_norm may help)"
        )
    return value

"""Training and evaluation: one readable loop each, to use or to copy and change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import metrics as metric
from fastnn import random
from fastnn.arrays import positive_int
from fastnn.callbacks import Run, notify, progress_callback
from fastnn.data import batches
from fastnn.metrics import Means, Metric, loss_function, plain
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.utils import clip_grad_norm_
from fastnn.optim import Adam, Optimizer
from fastnn.tensor import Tensor, no_grad

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
    callbacks: Sequence[Any] = (),
    shuffle: bool = True,
    progress: bool | Callable[[str], Any] = False,
    seed: int | None = None,
    clip_grad_norm: float | None = None,
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
    >>> fnn.manual_seed(0)
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> history = fnn.fit(model, x, 3 * x + 1, loss="mse", epochs=30, batch_size=8, seed=0,
    ...                   optimizer=fnn.optim.SGD(model.parameters(), lr=0.1))
    >>> len(history), history[-1]["loss"] < 1e-3 < history[0]["loss"]
    (30, True)
    """
    inputs, target, samples = _samples(x, y, "fit")
    epochs = positive_int(epochs, "fit", "epochs", minimum=0)
    batch_size = positive_int(batch_size, "fit", "batch_size")
    validation = _validation(inputs, target, samples, validation_data, validation_split)
    if validation is not None and validation_data is None:
        samples -= len(validation[0][0])
        inputs, target = tuple(a[:samples] for a in inputs), None if target is None else target[:samples]
    measured, loss_of = metric.get(metrics), loss_function(loss)
    if seed is not None:
        random.manual_seed(seed)
    order = random.generator() if seed is None else np.random.default_rng(seed)
    optimizer = Adam(model.parameters()) if optimizer is None else optimizer
    callbacks = [*callbacks, *([progress_callback(progress)] if progress else [])]
    run = Run(model, optimizer, epochs, batches=-(-samples // batch_size))
    arrays = inputs if target is None else (*inputs, target)
    modes = [(module, module.training) for module in model.modules()]
    try:
        notify(callbacks, "on_train_begin", run)
        for run.epoch in range(1, epochs + 1):
            began, means = time.perf_counter(), Means(measured)
            model.train()
            notify(callbacks, "on_epoch_begin", run)
            for run.batch, batch in enumerate(batches(arrays, batch_size, order, shuffle), 1):
                notify(callbacks, "on_batch_begin", run)
                wanted: Any = None if target is None else batch[-1]
                output = model(*batch[: len(inputs)])
                value = loss_of(output, wanted)
                run.loss = _finite(value, run)
                optimizer.zero_grad()
                value.backward()
                notify(callbacks, "on_grad_computed", run)
                if clip_grad_norm is not None:
                    clip_grad_norm_(model.parameters(), clip_grad_norm)
                optimizer.step()
                means.add(run.loss, output, wanted, len(batch[0]))
                notify(callbacks, "on_batch_end", run)
            row = {"epoch": run.epoch, **means.result()}
            trained = time.perf_counter() - began
            if validation is not None:
                result = _evaluate(model, *validation, loss_of, measured, batch_size)
                row |= {f"val_{name}": number for name, number in result.items()}
            row |= {"seconds": time.perf_counter() - began, "samples_per_second": samples / trained}
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
) -> dict[str, float]:
    """Loss and metrics of a model, in eval mode; the model gets its mode back.

    Args:
        model, x, y, loss: as in fit.
        metrics: as in fit; functions are called once, with the outputs and targets of all samples.
        batch_size: samples at a time, at least 1. Default 256.

    Returns {"loss": ..., and each metric by its name}. Raises ValueError for no samples and lengths that differ.

    >>> import numpy as np, fastnn as fnn
    >>> model = fnn.nn.Linear(2, 3)
    >>> sorted(fnn.evaluate(model, np.zeros((5, 2)), np.zeros(5, int), metrics=["accuracy"]))
    ['accuracy', 'loss']
    """
    inputs, target, _ = _samples(x, y, "evaluate")
    size = positive_int(batch_size, "evaluate", "batch_size")
    return _evaluate(model, inputs, target, loss_function(loss), metric.get(metrics), size)


def _evaluate(
    model: Module,
    inputs: tuple[Array, ...],
    target: Array | None,
    loss_of: Callable[[Any, Any], Any],
    measured: list[Metric],
    batch_size: int,
) -> dict[str, float]:
    whole = [m for m in measured if m.on_all]
    means = Means([m for m in measured if not m.on_all])
    outputs = []
    with evaluation(model), no_grad():
        arrays = inputs if target is None else (*inputs, target)
        for batch in batches(arrays, batch_size, shuffle=False):
            wanted: Any = None if target is None else batch[-1]
            output = model(*batch[: len(inputs)])
            means.add(_number(loss_of(output, wanted)), output, wanted, len(batch[0]))
            if whole:
                outputs.append(plain(output))
    result = means.result()
    if whole:
        everything = np.concatenate(outputs)
        result |= {m.name: float(m.of_batch(everything, target)) for m in whole}  # type: ignore[arg-type]
    return {name: result[name] for name in ("loss", *(m.name for m in measured))}


def _number(loss: Any) -> float:
    return loss.item() if isinstance(loss, Tensor) else float(loss)


def _finite(loss: Any, run: Run) -> float:
    if not isinstance(loss, Tensor) or loss.size != 1:
        raise TypeError(f"fit: the loss is {loss!r}, expected a Tensor of one element")
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: the loss is {value} in epoch {run.epoch}, batch {run.batch}; the weights are those before it "
            "(is an input nan? a smaller learning rate or clip_grad_norm may help)"
        )
    return value


def _samples(x: Any, y: Any, name: str) -> tuple[tuple[Array, ...], Array | None, int]:
    """x as a tuple of arrays, y as an array, and how many samples they have."""
    listed = isinstance(x, list) and x and all(isinstance(a, (np.ndarray, Tensor)) for a in x)
    several = isinstance(x, tuple) or listed
    inputs = tuple(np.asarray(a) for a in (x if several else (x,)))
    target = None if y is None else np.asarray(y)
    if not inputs:
        raise ValueError(f"{name}: x is empty")
    names = [f"x[{i}]" if several else "x" for i in range(len(inputs))]
    arrays = inputs if target is None else (*inputs, target)
    for what, a in zip([*names, "y"], arrays, strict=False):
        if a.ndim == 0:
            raise ValueError(f"{name}: {what} is a single value, expected samples on axis 0")
        if len(a) != len(inputs[0]):
            raise ValueError(f"{name}: {names[0]} has {len(inputs[0])} samples but {what} has {len(a)}")
    if not len(inputs[0]):
        raise ValueError(f"{name}: x of shape {inputs[0].shape} has no samples")
    return inputs, target, len(inputs[0])


def _validation(
    inputs: tuple[Array, ...], target: Array | None, samples: int, data: Any, part: float
) -> tuple[tuple[Array, ...], Array | None] | None:
    if data is not None:
        if part:
            raise ValueError("fit: give validation_data or validation_split, not both")
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError("fit: validation_data must be a pair (x, y)")
        return _samples(data[0], data[1], "fit: validation_data")[:2]
    if not part:
        return None
    if not 0 < part < 1:
        raise ValueError(f"fit: validation_split is {part}, expected at least 0 and below 1")
    first = math.floor(samples * (1 - part))
    if not 0 < first < samples:
        raise ValueError(f"fit: validation_split {part} of {samples} samples leaves a part without any")
    return tuple(a[first:] for a in inputs), None if target is None else target[first:]

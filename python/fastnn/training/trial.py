"""One batch tried before training, so that what would fail at the end of an epoch fails before a weight has changed."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from fastnn import random
from fastnn.losses import Loss
from fastnn.metrics import of_all
from fastnn.nn.module import Module
from fastnn.nn.normalization import _BatchNorm
from fastnn.training.batch_axis import quietly, stand_in
from fastnn.training.means import Means, joined
from fastnn.training.nests import described
from fastnn.training.samples import Samples, taken
from fastnn.value import Tensor


def number(loss: Any, op: str, tensor: bool = False) -> float:
    """The value of a loss. Raises TypeError for what is not a single number, and, if it has to be, no Tensor."""
    if isinstance(loss, Tensor) and loss.size == 1:
        return loss.item()
    value = loss._array if isinstance(loss, Tensor) else loss
    single = np.size(value) == 1 and np.asarray(value).dtype.kind in "fiub"
    if not single or (tensor and not isinstance(loss, Tensor)):
        what = f"{type(loss).__name__} of shape {np.shape(value)}" if np.size(value) > 1 else repr(loss)
        wanted = "a Tensor of one element" if tensor else "a single number"
        raise TypeError(f"{op}: the loss is {what}, expected {wanted}; its reduction must be 'mean' or 'sum'")
    return float(np.asarray(value).item())


def call(model: Module, samples: Samples, inputs: tuple[Any, ...], op: str) -> Any:
    """The output of the model. Raises ValueError where it is None, and where it takes no ragged sequences."""
    try:
        output = model(*inputs)
    except (TypeError, ValueError) as error:
        if samples.ragged:
            kind = type(model).__name__
            raise ValueError(
                f"{op}: x is a list, which means ragged sequences, and {kind} says: {error}; several inputs go into a "
                "tuple, samples of one shape into an array"
            ) from error
        raise
    if output is None:
        raise ValueError(f"{op}: the model returned None; does forward of {type(model).__name__} end with return?")
    return output


def training_batch(model: Module, samples: Samples, size: int, loss: Loss, means: Means, drop_last: bool) -> None:
    """Runs one batch as training would, of the smallest size there will be, on a copy of the model.

    A model that cannot be copied is not tried.
    """
    last = samples.count % size
    count = last if last and not drop_last else min(size, samples.count)
    try:
        model = copy.deepcopy(model)
    except Exception:
        return
    state = np.random.get_state()  # noqa: NPY002  (of a forward that uses it)
    try:
        with random.using(np.random.default_rng(0)):
            _train_once(model, samples, count, size, loss, means)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _train_once(model: Module, samples: Samples, count: int, size: int, loss: Loss, means: Means) -> None:
    model.train()
    inputs, target = samples.first(count)
    try:
        output = call(model, samples, inputs, "fit")
    except ValueError as error:
        if count == 1 and any(isinstance(module, _BatchNorm) for module in model.modules()):
            raise ValueError(
                f"fit: one sample, the last batch of {samples.count} in batches of {size}, cannot be normalised: "
                f"{error}; pass drop_last=True or another batch_size"
            ) from error
        raise
    value, counted = loss.of_batch(output, target, count)
    number(value, "fit", tensor=True)
    _check_broadcast(loss, output, target, count, value.item())
    if not value.requires_grad:
        raise ValueError("fit: the loss depends on nothing that requires a gradient; are all parameters frozen?")
    _measure(samples, output, target, count, counted, means)


def _check_broadcast(loss: Loss, output: Any, target: Any, count: int, value: float) -> None:
    """Raises ValueError where a loss of the user's makes (N, N) of an output (N, 1) and a target (N)."""
    if not loss.foreign or not isinstance(output, Tensor) or not isinstance(target, np.ndarray) or count < 2:
        return
    if output.shape != (*target.shape, 1):
        return
    try:
        other = number(loss.of_batch(output, target[..., None], count)[0], "fit")
    except Exception:
        return  # it wants the target as it is
    if not np.isclose(value, other, rtol=1e-4, equal_nan=True):
        raise ValueError(
            f"fit: the loss {loss.name} of output {output.shape} and target {target.shape} broadcasts the one over the "
            f"other: it is {value:g}, but {other:g} for a target of the output's shape; give y as y[..., None]"
        )


def validation_batch(model: Module, samples: Samples, size: int, loss: Loss, means: Means) -> None:
    """Runs one batch as validation would. Raises ValueError where that fails."""
    count = min(size, samples.count)
    model = stand_in(model)
    with quietly(model):
        inputs, target = samples.first(count)
        shapes = ", ".join([described(part) for part in samples.inputs])
        try:
            output = call(model, samples, inputs, "fit")
            value, counted = loss.of_batch(output, target, count)
            number(value, "fit")
            _measure(samples, output, target, count, counted, means)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(f"fit: validation data, x of {shapes}, cannot be evaluated: {error}") from error


def _measure(samples: Samples, output: Any, target: Any, count: int, counted: float | None, means: Means) -> None:
    """Metrics of the batch; those of everything at once with its output for all targets, over and over."""
    means.add(1.0, counted, output, target, count)
    if not means.kept:
        return
    axis = means.rule.batch_axis
    _, prediction = joined(means.kept * -(-samples.count // count), axis, "fit")
    if isinstance(prediction, list):
        prediction = prediction[: samples.count]
        if samples.targets and isinstance(samples.targets[0], list):
            lengths = [len(own) for own in samples.targets[0]]
            prediction = [np.resize(part, (n, *part.shape[1:])) for part, n in zip(prediction, lengths, strict=True)]
    elif isinstance(prediction, np.ndarray) and prediction.ndim > axis:
        prediction = taken(prediction, axis, np.arange(samples.count))
    else:
        return
    wanted: Any = samples.paired(samples.parts)[1]
    with warnings.catch_warnings():  # of a prediction that is made up
        warnings.simplefilter("ignore")
        for metric in means.metrics:
            if metric.of_all is not None:
                of_all(metric, wanted, prediction, means.rule, "fit")

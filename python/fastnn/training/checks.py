"""What ``fit`` asks of its arguments before anything is trained, and of the first backward pass."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import random
from fastnn.arrays import positive_int
from fastnn.callbacks import Run
from fastnn.data import Batches
from fastnn.losses import Loss
from fastnn.nn.module import Module
from fastnn.optim import Adam, Optimizer
from fastnn.training.classes import Rule
from fastnn.training.hooks import as_callbacks
from fastnn.training.means import nothing_counts
from fastnn.training.progress import progress_callback
from fastnn.training.samples import Samples

if TYPE_CHECKING:
    from fastnn.training.task import Task


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, int, np.bool_)):
        raise TypeError(f"fit: {name} is {value!r}, expected True or False")
    return bool(value)


class Settings:
    """Arguments of ``fit`` that are numbers and flags. Raises TypeError for other kinds, ValueError out of range."""

    def __init__(
        self, epochs: Any, batch_size: Any, shuffle: Any, drop_last: Any, seed: Any, clip_grad_norm: Any, progress: Any
    ) -> None:
        self.epochs = positive_int(epochs, "fit", "epochs", minimum=0)
        self.batch_size = positive_int(batch_size, "fit", "batch_size")
        self.shuffle, self.drop_last = _flag(shuffle, "shuffle"), _flag(drop_last, "drop_last")
        if seed is not None:
            random.as_seed(seed, "fit")
        if clip_grad_norm is not None:
            if isinstance(clip_grad_norm, bool) or not isinstance(clip_grad_norm, (int, float, np.number)):
                raise TypeError(f"fit: clip_grad_norm is {clip_grad_norm!r}, expected a number or None")
            if not clip_grad_norm >= 0:
                raise ValueError(f"fit: clip_grad_norm: max_norm is {clip_grad_norm}, expected at least 0")
        if not callable(progress):
            _flag(progress, "progress")
        self.progress = progress

    def prepared(self, optimizer: Any, callbacks: Any, task: Task) -> tuple[Any, list[Any]]:
        """The optimizer, and all callbacks."""
        names = ["loss", *(metric.name for metric in task.metrics)]
        names = ["epoch", *names, *(f"val_{name}" for name in names if task.validation is not None)]
        hooks = as_callbacks(callbacks, [*names, "seconds", "samples_per_second"])
        hooks += [progress_callback(self.progress)] if self.progress else []
        return checked_optimizer(optimizer, task.model), hooks

    def batches(self, samples: Samples) -> Batches:
        """Of an epoch, in an order from the generator in use."""
        options = self.batch_size, None, self.shuffle, self.drop_last
        return Batches(samples.parts, samples.axes, samples.count, *options, several=True)


def steps_of(optimizer: Any, run: Run) -> int:
    """Steps done so far: those of its state, or of this run where an optimizer of the user does not tell."""
    return int(getattr(optimizer, "steps", (run.epoch - 1) * run.batches))


def check_model(model: Any, op: str) -> None:
    if isinstance(model, type) and issubclass(model, Module):
        raise TypeError(f"{op}: model is the class {model.__name__}, expected an object: write {model.__name__}(...)")
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}, expected an nn.Module")


def checked_optimizer(optimizer: Any, model: Module) -> Any:
    """The optimizer, by default Adam. Raises TypeError for what is none, ValueError where it trains another model."""
    if optimizer is None:
        return Adam(model.parameters())
    if isinstance(optimizer, type):
        name = optimizer.__name__
        raise TypeError(
            f"fit: optimizer is the class {name}, expected an object: write {name}(model.parameters(), lr=...)"
        )
    if not all(hasattr(optimizer, name) for name in ("step", "zero_grad", "param_groups")):
        raise TypeError(
            f"fit: optimizer is {optimizer!r}, expected one such as fnn.optim.Adam(model.parameters(), lr=1e-3)"
        )
    held = _held(optimizer)
    if not any(id(parameter) in held for parameter in model.parameters()):
        raise ValueError(
            f"fit: {type(optimizer).__name__} holds none of the model's parameters; was it made for another model? "
            "Write fnn.optim.Adam(model.parameters())"
        )
    return optimizer


def _held(optimizer: Optimizer) -> set[int]:
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}


def warn_untrained(model: Module, optimizer: Optimizer) -> bool:
    """After a backward pass: a UserWarning that names parameters without a gradient, or that nobody updates. True."""
    held, listed = _held(optimizer), {id(p) for p in model.parameters()}  # a class may have its say in them
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad and id(p) in listed]
    without = [name for name, p in trained if p._grad is None]
    alone = [name for name, p in trained if id(p) not in held]
    said = []
    if without:
        said.append(f"{_some(without)} got no gradient: the loss does not depend on them, or not through Tensors")
    if alone:
        said.append(
            f"{_some(alone)} are not the optimizer's: it was made before they were, or without them; make it anew, or "
            "freeze them with requires_grad_(False)"
        )
    if said:
        warnings.warn("fit: after the first batch, " + "; ".join(said), UserWarning, stacklevel=3)
    return True


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def check_counts(loss: Loss, rule: Rule, samples: Samples, op: str) -> None:
    """Raises ValueError where every target is the one that the loss ignores."""
    if loss.ignore_index is None or len(samples.targets) != 1:
        return
    target = samples.targets[0]
    arrays = target if isinstance(target, list) else [target]
    if all(array.dtype.kind in "iu" and not np.any(array != loss.ignore_index) for array in arrays):
        raise nothing_counts(op, f"loss {loss.name!r}", rule)


def training_samples(x: Any, y: Any, axes: tuple[int, int], data: Any, part: Any) -> tuple[Samples, Samples | None]:
    """Samples to train with, and to validate with."""
    samples = Samples(x, y, axes, "fit")
    if data is not None:
        if part:
            raise ValueError("fit: give validation_data or validation_split, not both")
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError("fit: validation_data must be a pair (x, y)")
        return samples, _same_kind(samples, Samples(data[0], data[1], axes, "fit: validation_data"))
    if isinstance(part, bool) or not isinstance(part, (int, float, np.number)):
        raise TypeError(f"fit: validation_split is {part!r}, expected a number of at least 0 and below 1")
    if not part:
        return samples, None
    if not 0 < part < 1:
        raise ValueError(f"fit: validation_split is {part}, expected at least 0 and below 1")
    first = math.floor(samples.count * (1 - part))
    if not 0 < first < samples.count:
        raise ValueError(f"fit: validation_split {part} of {samples.count} samples leaves a part without any")
    return samples.split(first)


def _same_kind(samples: Samples, other: Samples) -> Samples:
    """``other``, if it has as many inputs and targets, of as many axes."""
    if len(samples.inputs) != len(other.inputs) or len(samples.targets) != len(other.targets):
        raise ValueError(
            f"fit: validation_data has {len(other.inputs)} inputs and {len(other.targets)} targets, training has "
            f"{len(samples.inputs)} and {len(samples.targets)}"
        )
    for name, a, b in zip(samples.names, samples.parts, other.parts, strict=True):
        if isinstance(a, list) or isinstance(b, list):
            continue
        if a.ndim != b.ndim:
            raise ValueError(f"fit: {name} has shape {a.shape}, but in validation_data it has {b.shape}")
    return other

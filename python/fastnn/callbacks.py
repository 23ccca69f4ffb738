"""Callbacks of ``fit``: objects with any of seven methods, called with the Run at their moments."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn.nn.module import Module
from fastnn.optim import Optimizer
from fastnn.training.spelling import meant

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "LearningRate", "Run"]


@dataclass
class Run:
    """What callbacks see of a training run. Setting ``stop`` ends it after the epoch."""

    model: Module
    optimizer: Optimizer
    epochs: int
    batches: int  # in an epoch
    epoch: int = 0  # from 1
    batch: int = 0  # from 1, in this epoch
    loss: float = 0.0  # of the last batch; nan where nothing in it counted
    history: list[dict[str, Any]] = field(default_factory=list)  # finished epochs; the last one at on_epoch_end
    stop: bool = False


class Callback:
    """Base class with all seven hooks doing nothing; a callback need not derive from it.

    >>> from fastnn.callbacks import Callback
    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, run):
    ...         print(run.epoch, run.history[-1]["loss"])
    """

    def on_train_begin(self, run: Run) -> None:
        """Before anything else."""

    def on_train_end(self, run: Run) -> None:
        """After everything, also when training was interrupted or failed."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before the first batch."""

    def on_epoch_end(self, run: Run) -> None:
        """After validation; ``run.history[-1]`` is the row of this epoch, and may be added to."""

    def on_batch_begin(self, run: Run) -> None:
        """Before the forward pass."""

    def on_grad_computed(self, run: Run) -> None:
        """Between the backward pass and clipping and the step."""

    def on_batch_end(self, run: Run) -> None:
        """After the step."""


_LOWER = {"deviance", "entropy", "error", "loss", "mae", "mape", "mse", "perplexity", "rmse"}
_HIGHER = {"accuracy", "acc", "auc", "f1", "iou", "kappa", "precision", "r2", "recall", "score"}


def higher_is_better(monitor: str) -> bool | None:
    """What "auto" knows: by the last word of a name, as scikit-learn has them; None where it is in no table.

    >>> [higher_is_better(name) for name in ("val_loss", "roc_auc_score", "val_f1", "lr", "neg_log_loss")]
    [False, True, True, None, None]
    """
    words = monitor.removeprefix("val_").lower().split("_")
    if words[0] == "neg":  # scikit-learn's losses turned round, and names like them
        return None
    return True if words[-1] in _HIGHER else False if words[-1] in _LOWER else None


class Monitor(Callback):
    """Tells whether a number in the history has improved."""

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        name = type(self).__name__
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{name}: mode is {mode!r}, expected 'auto', 'min' or 'max'")
        if not isinstance(monitor, str):  # mypy does not see callers without types
            raise TypeError(f"{name}: monitor is {monitor!r}, expected a name in the history, such as 'val_loss'")
        known = higher_is_better(monitor)
        if mode == "auto" and monitor and known is None:
            raise ValueError(f"{name}: is a higher {monitor!r} better, or a lower one? Pass mode='max' or mode='min'")
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.higher = mode == "max" or (mode == "auto" and bool(known))
        self.best: float | None = None

    def check_names(self, names: Collection[str]) -> None:
        """Raises ValueError where the history will not have the number."""
        if self.monitor and self.monitor not in names:
            lacks = self.monitor.startswith("val_") and not any(name.startswith("val_") for name in names)
            hint = "; give fit validation_data or validation_split" if lacks else meant(self.monitor, names)
            raise ValueError(
                f"{type(self).__name__}: {self.monitor!r} is not in the history, which has {', '.join(names)}{hint}"
            )

    def improved(self, run: Run) -> bool:
        row = run.history[-1]
        self.check_names(list(row))
        value = row[self.monitor]
        if self.best is None:
            better = value == value
        elif self.higher:
            better = value > self.best + self.min_delta
        else:
            better = value < self.best - self.min_delta
        if better:
            self.best = value
        return bool(better)


class EarlyStopping(Monitor):
    """Ends training when a number has not improved for some epochs.

    Args:
        monitor: the number, by its name in the history. Default "val_loss".
        patience: how many epochs in a row without improvement end it, at least 1. Default 5.
        min_delta: what counts as an improvement at least. Default 0: any.
        restore_best: whether the model gets the weights of its best epoch back when training ends, for whatever
            reason. Default False.
        mode: "min", "max", or "auto" (default), which knows names that end in accuracy, auc, f1, iou, kappa, precision,
            r2, recall or score (higher is better), deviance, entropy, error, loss, mae, mape, mse, perplexity or rmse.

    ``best`` and ``best_epoch`` tell what was found in the last call of ``fit``; each begins anew. Raises ValueError for
    a name that "auto" does not know, and when the history has no such number.

    >>> from fastnn.callbacks import EarlyStopping
    >>> stop = EarlyStopping("val_accuracy", patience=3, restore_best=True)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = False,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        if isinstance(patience, bool) or not isinstance(patience, int):
            raise TypeError(f"EarlyStopping: patience is {patience!r}, expected an integer")
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience is {patience}, expected at least 1")
        self.patience = patience
        self.restore_best = restore_best
        self.best_epoch = 0
        self._state: dict[str, Any] | None = None

    def on_train_begin(self, run: Run) -> None:
        self.best, self.best_epoch, self._state = None, 0, None

    def on_epoch_end(self, run: Run) -> None:
        if self.improved(run):
            self.best_epoch = run.epoch
            self._state = run.model.state_dict() if self.restore_best else None
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop = True

    def on_train_end(self, run: Run) -> None:
        if self._state is not None:
            run.model.load_state_dict(self._state)
            self._state = None


class Checkpoint(Monitor):
    """Saves the model whenever a number has improved, by ``fastnn.save``: the file is the old or the new one, whole.

    Args:
        path: the file, replaced each time.
        monitor: the number, by its name in the history, or None: save after every epoch. Default "val_loss".
        mode: "min", "max", or "auto" (default), see EarlyStopping.

    ``best`` is the best number of all calls of ``fit`` with this object: training that goes on replaces no better file.
    A new Checkpoint knows of none and replaces a file that is there; set its ``best`` to go on from one. The file is
    the model's; training needs more to go on: ``fnn.save({"model": model.state_dict(), "optimizer":
    optimizer.state_dict(), "rng": fnn.get_rng_state()}, path)``. Raises ValueError as EarlyStopping.

    >>> from fastnn.callbacks import Checkpoint
    >>> save = Checkpoint("best.safetensors", monitor="val_accuracy")
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str | None = "val_loss", mode: str = "auto") -> None:
        super().__init__(monitor or "", 0.0, mode)
        self.path = path

    def on_epoch_end(self, run: Run) -> None:
        if not self.monitor or self.improved(run):
            from fastnn.files.checkpoint import save  # only what saves needs it

            save(run.model, self.path)


class LearningRate(Callback):
    """Multiplies the learning rate of every group by ``schedule(epoch)``, epoch counted from 0.

    Args:
        schedule: function from the epoch to a factor, such as those of fastnn.schedules.

    The history gets the rate of the first group as "lr". Training over, the rates are what they were before. Raises
    TypeError for a schedule that is no function, ValueError for a factor that is negative or no number.

    >>> from fastnn.callbacks import LearningRate
    >>> halve_each_epoch = LearningRate(lambda epoch: 0.5**epoch)
    """

    def __init__(self, schedule: Callable[[int], float]) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRate: schedule is {schedule!r}, expected a function from the epoch to a factor")
        self.schedule = schedule
        self._start: list[float] = []

    def on_train_begin(self, run: Run) -> None:
        self._start = [group["lr"] for group in run.optimizer.param_groups]

    def on_epoch_begin(self, run: Run) -> None:
        factor: Any = self.schedule(run.epoch - 1)
        if not isinstance(factor, (int, float, np.number)) or not 0 <= factor < math.inf:
            raise ValueError(
                f"LearningRate: schedule({run.epoch - 1}) is {factor!r}, expected a finite number of at least 0"
            )
        for group, lr in zip(run.optimizer.param_groups, self._start, strict=True):
            group["lr"] = lr * factor

    def on_epoch_end(self, run: Run) -> None:
        run.history[-1]["lr"] = run.optimizer.lr

    def on_train_end(self, run: Run) -> None:
        for group, lr in zip(run.optimizer.param_groups, self._start, strict=False):  # empty if never begun
            group["lr"] = lr

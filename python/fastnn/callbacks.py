"""Callbacks of ``fit``: objects with any of seven methods, called with the Run at their moments."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastnn.nn.module import Module
from fastnn.optim import Optimizer

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
    loss: float = 0.0  # of the last batch
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


def notify(callbacks: Sequence[Any], hook: str, run: Run) -> None:
    for callback in callbacks:
        method = getattr(callback, hook, None)
        if method is not None:
            method(run)


class _Monitor(Callback):
    """Tells whether a number in the history has improved."""

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode is {mode!r}, expected 'auto', 'min' or 'max'")
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.higher = mode == "max" or (mode == "auto" and monitor.endswith("accuracy"))
        self.best: float | None = None

    def on_train_begin(self, run: Run) -> None:
        self.best = None

    def improved(self, run: Run) -> bool:
        row = run.history[-1]
        if self.monitor not in row:
            hint = "; give fit validation_data or validation_split" if self.monitor.startswith("val_") else ""
            raise ValueError(
                f"{type(self).__name__}: {self.monitor!r} is not in the history, which has {', '.join(row)}{hint}"
            )
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


class EarlyStopping(_Monitor):
    """Ends training when a number has not improved for some epochs.

    Args:
        monitor: the number, by its name in the history. Default "val_loss".
        patience: how many epochs in a row without improvement end it, at least 1. Default 5.
        min_delta: what counts as an improvement at least. Default 0: any.
        restore_best: whether the model gets the weights of its best epoch back when training ends, for whatever
            reason. Default False.
        mode: "min", "max", or "auto" (default): higher is better for names that end in "accuracy".

    ``best`` and ``best_epoch`` tell what was found. Raises ValueError when the history has no such number.

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
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience is {patience}, expected at least 1")
        self.patience = patience
        self.restore_best = restore_best
        self.best_epoch = 0
        self._state: dict[str, Any] | None = None

    def on_train_begin(self, run: Run) -> None:
        super().on_train_begin(run)
        self.best_epoch, self._state = 0, None

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


class Checkpoint(_Monitor):
    """Saves the model whenever a number has improved, by ``fastnn.save``: the file is the old or the new one, whole.

    Args:
        path: the file, replaced each time.
        monitor: the number, by its name in the history, or None: save after every epoch. Default "val_loss".
        mode: "min", "max", or "auto" (default): higher is better for names that end in "accuracy".

    Raises ValueError when the history has no such number.

    >>> from fastnn.callbacks import Checkpoint
    >>> save = Checkpoint("best.safetensors", monitor="val_accuracy")
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str | None = "val_loss", mode: str = "auto") -> None:
        super().__init__(monitor or "", 0.0, mode)
        self.path = path

    def on_epoch_end(self, run: Run) -> None:
        if not self.monitor or self.improved(run):
            from fastnn import checkpoint  # only what saves needs it

            checkpoint.save(run.model, self.path)


class LearningRate(Callback):
    """Multiplies the learning rate of every group by ``schedule(epoch)``, epoch counted from 0.

    Args:
        schedule: function from the epoch to a factor, such as those of fastnn.schedules.

    The history gets the rate of the first group as "lr". Training over, the rates are what they were before.

    >>> from fastnn.callbacks import LearningRate
    >>> halve_each_epoch = LearningRate(lambda epoch: 0.5**epoch)
    """

    def __init__(self, schedule: Callable[[int], float]) -> None:
        self.schedule = schedule
        self._start: list[float] = []

    def on_train_begin(self, run: Run) -> None:
        self._start = [group["lr"] for group in run.optimizer.param_groups]

    def on_epoch_begin(self, run: Run) -> None:
        factor = self.schedule(run.epoch - 1)
        for group, lr in zip(run.optimizer.param_groups, self._start, strict=True):
            group["lr"] = lr * factor

    def on_epoch_end(self, run: Run) -> None:
        run.history[-1]["lr"] = run.optimizer.lr

    def on_train_end(self, run: Run) -> None:
        for group, lr in zip(run.optimizer.param_groups, self._start, strict=False):  # empty if never begun
            group["lr"] = lr


def _numbers(row: dict[str, Any]) -> dict[str, str]:
    hidden = ("epoch", "seconds", "samples_per_second")
    return {name: f"{value:.4g}" for name, value in row.items() if name not in hidden}


class Lines(Callback):
    """One line of text per epoch."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self.write = write

    def on_epoch_end(self, run: Run) -> None:
        row = run.history[-1]
        numbers = "  ".join(f"{name} {text}" for name, text in _numbers(row).items())
        speed = f"{row['seconds']:.1f} s  {row['samples_per_second']:,.0f} samples/s"
        self.write(f"epoch {run.epoch}/{run.epochs}  {numbers}  {speed}")


class Bars(Callback):
    """A tqdm bar per epoch."""

    def __init__(self, tqdm: Any) -> None:
        self.tqdm = tqdm
        self.bar: Any = None

    def on_epoch_begin(self, run: Run) -> None:
        self.bar = self.tqdm(total=run.batches, desc=f"epoch {run.epoch}/{run.epochs}", unit="batch")

    def on_batch_end(self, run: Run) -> None:
        self.bar.set_postfix(loss=f"{run.loss:.4g}", refresh=False)
        self.bar.update()

    def on_epoch_end(self, run: Run) -> None:
        self.bar.set_postfix(_numbers(run.history[-1]))
        self.on_train_end(run)

    def on_train_end(self, run: Run) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def progress_callback(progress: bool | Callable[[str], Any]) -> Callback:
    """Bars where tqdm is installed, else a line per epoch to stderr; or a line to the function given."""
    if callable(progress):
        return Lines(progress)
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Lines(lambda line: sys.stderr.write(line + "\n"))
    return Bars(tqdm)

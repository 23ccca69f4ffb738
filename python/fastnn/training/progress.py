"""How fit shows its progress: bars, or lines of text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from fastnn.callbacks import Callback, Run


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

"""Optimizers: torch.optim's names, arguments and formulas."""

import typing as _typing

from fastnn.optim.algorithms import SGD, Adam, AdamW, RMSprop
from fastnn.optim.optimizer import Optimizer
from fastnn.torch_names import missing as _missing

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]


if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise _missing(__name__, name, __all__)

"""Optimizers: torch.optim's names, arguments and formulas."""

from fastnn.optim.algorithms import SGD, Adam, AdamW, RMSprop
from fastnn.optim.optimizer import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]

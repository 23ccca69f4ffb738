"""Running a model without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from fastnn import random

if TYPE_CHECKING:
    from fastnn.nn.module import Module


@contextmanager
def untouched(model: Module) -> Iterator[None]:
    """Puts back what running the model changes: attributes of its modules, buffers, and the random numbers."""
    attributes = [(module, dict(vars(module))) for module in model.modules()]
    buffers = [(array, array.copy()) for _, array in model.named_buffers()]
    try:
        with random.using(np.random.default_rng(0)):
            yield
    finally:
        for module, before in attributes:
            now = vars(module)
            for name in [name for name in now if name not in before]:
                del now[name]
            for name, value in before.items():
                if now.get(name) is not value or name not in now:
                    now[name] = value
        for array, copy in buffers:
            if array.flags.writeable and not np.array_equal(array, copy):
                np.copyto(array, copy)

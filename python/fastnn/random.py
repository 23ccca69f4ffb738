"""The random numbers of initialisers and dropout: one seeded NumPy generator per process."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Makes what follows repeatable: initial weights, dropout, and shuffling where no other seed is given.

    >>> import fastnn as fnn
    >>> fnn.manual_seed(0)
    """
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator in use."""
    return _generator

"""The random numbers of initialisers, dropout and orders: one seeded NumPy generator per process, or one of a thread's
own while it trains with a seed."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

_process: dict[str, np.random.Generator] = {}  # "generator", once it is asked for: numpy.random takes time to import


class _Thread(threading.local):
    own: np.random.Generator | None = None


_thread = _Thread()


def generator() -> np.random.Generator:
    """The generator in use in this thread."""
    if _thread.own is not None:
        return _thread.own
    found = _process.get("generator")
    # Of threads that ask at the same time all get the first one, and none replaces that of manual_seed.
    return _process.setdefault("generator", np.random.default_rng()) if found is None else found


def _use(new: np.random.Generator) -> None:
    """Replaces the one in use: inside ``using`` that of this thread, else that of the process."""
    if _thread.own is None:
        _process["generator"] = new
    else:
        _thread.own = new


@contextmanager
def using(own: np.random.Generator | None) -> Iterator[None]:
    """Lets this thread draw from ``own`` while the context lasts; others draw as before. None changes nothing."""
    before = _thread.own
    _thread.own = before if own is None else own
    try:
        yield
    finally:
        _thread.own = before


def manual_seed(seed: int) -> np.random.Generator:
    """Makes what follows repeatable: initial weights, dropout, and shuffling where no other seed is given.

    Args:
        seed: an integer; negative ones count from 2**64 downwards, as in torch.

    Returns the generator. It is shared by all threads of the process, which take turns; for numbers that do not depend
    on other threads give ``fit`` a seed. Raises TypeError for what is no integer.

    >>> import fastnn as fnn
    >>> _ = fnn.manual_seed(0)
    """
    new = np.random.default_rng(as_seed(seed, "manual_seed"))
    _use(new)
    return new


def as_seed(seed: Any, op: str) -> int:
    """An integer of at least 0."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(f"{op}: seed is {seed!r}, expected an integer") from None
    return number if number >= 0 else number % 2**64


def epoch_generator(seed: int, steps: int) -> np.random.Generator:
    """The generator of an epoch that begins after ``steps`` steps of the optimizer: the same one when training was
    interrupted there and goes on."""
    return np.random.default_rng([as_seed(seed, "fit"), steps])


def edge_generator(seed: int) -> np.random.Generator:
    """That of callbacks before the first epoch and after the last one, which takes nothing from those of epochs."""
    return np.random.default_rng([as_seed(seed, "fit"), 0, 1])


def get_rng_state() -> dict[str, Any]:
    """The state of the generator in use, as plain numbers that JSON can hold; see ``set_rng_state``.

    >>> import fastnn as fnn
    >>> state = fnn.get_rng_state()
    >>> first = fnn.nn.Linear(3, 2).weight.data
    >>> fnn.set_rng_state(state)
    >>> bool((fnn.nn.Linear(3, 2).weight.data == first).all())
    True
    """
    return dict(generator().bit_generator.state)


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Goes on from what ``get_rng_state`` returned. Raises TypeError for no mapping, ValueError for another state."""
    if not isinstance(state, Mapping):
        raise TypeError(f"set_rng_state: state is a {type(state).__name__}, expected what get_rng_state returns")
    new = np.random.default_rng()
    try:
        new.bit_generator.state = dict(state)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"set_rng_state: not a state of {type(new.bit_generator).__name__}: {error}") from error
    _use(new)

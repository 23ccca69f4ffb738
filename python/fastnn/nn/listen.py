"""What recurrent layers were called with, noted for whoever listens in this thread; see fastnn.training.batch_axis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastnn.nn.module import Module


class Heard(NamedTuple):
    """A call of a recurrent layer or cell."""

    layer: Module
    steps: int | None  # None: sequences of lengths of their own
    alone: bool  # whether it got one sequence without a batch axis
    goes_on: bool  # whether it got a state


class _Thread(threading.local):
    notes: list[Heard] | None = None


_thread = _Thread()


def note_layer(layer: Any, x: Any, states: tuple[Any, ...]) -> None:
    """A layer with ``batch_first`` is called with x and its states."""
    if _thread.notes is None:
        return
    goes_on = any(state is not None for state in states)
    if isinstance(x, (list, tuple)):
        _thread.notes.append(Heard(layer, None, False, goes_on))
    else:
        shape = np.shape(x)
        axis = 1 if layer.batch_first and len(shape) == 3 else 0
        _thread.notes.append(Heard(layer, shape[axis] if shape else 0, len(shape) == 2, goes_on))


def note_cell(cell: Any, hx: Any) -> None:
    """A cell takes one step from the state hx."""
    if _thread.notes is not None:
        _thread.notes.append(Heard(cell, 1, False, hx is not None))


@contextmanager
def listening() -> Iterator[list[Heard]]:
    """Collects the calls of recurrent layers in this thread, in order."""
    before, _thread.notes = _thread.notes, []
    try:
        yield _thread.notes
    finally:
        _thread.notes = before

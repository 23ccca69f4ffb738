"""What recurrent layers were called with, noted for whoever listens in this thread; see fastnn.training.batch_axis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastnn.graph.graph import Call
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


# Ops that read (T, N, features), or packed rows, and those that take one step of it.
_LAYERS = frozenset(("crf_decode", "crf_loss", "gru", "gru_variant", "lstm", "lstm_variant", "rnn"))
RECURRENT = _LAYERS | {"gru_cell", "lstm_cell", "rnn_cell"}


def is_listening() -> bool:
    return _thread.notes is not None


def note_call(model: Module) -> Callable[[Call, list[Any]], None]:
    """What watches the calls of a graph that ``model`` runs: those of recurrent ops are noted."""
    parts = dict(model.named_modules())

    def watch(call: Call, values: list[Any]) -> None:
        if _thread.notes is not None and call.op.name in RECURRENT:
            steps = 1 if call.op.name not in _LAYERS else len(values[0]) if values[0].ndim == 3 else None
            goes_on = values[1] is not None and not call.op.name.startswith("crf")
            _thread.notes.append(Heard(parts.get(call.scope, model), steps, False, goes_on))

    return watch


@contextmanager
def listening() -> Iterator[list[Heard]]:
    """Collects the calls of recurrent layers in this thread, in order."""
    before, _thread.notes = _thread.notes, []
    try:
        yield _thread.notes
    finally:
        _thread.notes = before

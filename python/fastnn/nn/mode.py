"""Which mode a Module is in, and a mode for one thread alone: running a model must not write to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.nn.module import Module


class _Own(threading.local):
    modes: dict[int, tuple[Module, bool]] | None = None  # by id of the Module, which is kept so that its id is its own


_own = _Own()


def get(module: Module) -> bool:
    """Whether the Module trains, as this thread sees it."""
    modes = _own.modes
    stored: bool = vars(module).get("training", True)
    return stored if modes is None else modes.get(id(module), (module, stored))[1]


def put(module: Module, training: bool) -> None:
    """Sets the mode: for everybody, or inside ``evaluation`` for this thread."""
    if _own.modes is None:
        vars(module)["training"] = training
    else:
        _own.modes[id(module)] = (module, training)


@contextmanager
def evaluation(model: Module) -> Iterator[None]:
    """``model.eval()`` for this thread while the context lasts; other threads see the model as it was.

    A ``train`` or ``eval`` that a class has overridden is asked as usual. May be nested.
    """
    before = _own.modes
    _own.modes = {} if before is None else dict(before)
    try:
        model.eval()
        yield
    finally:
        _own.modes = before

"""Whether the ops of this thread are being recorded, and by whom. Knows nothing; ops, Tensors and Modules ask here."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from fastnn.graph.trace import Recorder

_PACKAGE = str(Path(__file__).parent.parent)


class _Own(threading.local):
    recorder: Recorder | None = None


own = _Own()


def place() -> str:
    """Where the user's code is: file and line of the innermost frame outside of the package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno} in {frame.f_code.co_name}"


def refuse(what: str, instead: str) -> NoReturn:
    """Raises the error for something that a graph cannot hold."""
    raise RuntimeError(f"trace: {what} at {place()}; {instead}")

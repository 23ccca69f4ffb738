"""Whom the calls of ops of a thread are handed to: see op.py."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fastnn.tape import mode

if TYPE_CHECKING:
    from fastnn.value import Tensor


class Recorder(Protocol):
    """Whom ``recording`` hands every call of an op and of a Module to."""

    def call(self, op: Any, given: Sequence[Any], arrays: Sequence[Any], attributes: dict[str, Any]) -> Any:
        """A call: its array arguments as they were given (Tensors, arrays, lists, numbers, None), the same as
        normalised, and its attributes. What it returns the caller gets."""

    def visit(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a Module; returns what its forward returns."""

    def replay(self, graph: Any, found: dict[int, Any]) -> None:
        """A graph is called; ``found`` has its inputs and what it holds, by number, and gets all else."""

    def detached(self, tensor: Tensor) -> Tensor:
        """``tensor.detach()``."""

    def leave(self, what: str) -> None:
        """Values of a Tensor are about to be seen, or written, other than by an op: by ``what``."""


recorded: set[int] = set()  # threads with a recorder; while there are none, a call looks no further


class recording:  # noqa: N801  (reads as a statement)
    """``with recording(recorder): ...``: this thread's calls of ops are handed to ``recorder``; None for nobody."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        self._before = mode.recorder
        self._set(self._recorder)

    def __exit__(self, *exc: object) -> None:
        self._set(self._before)

    def _set(self, recorder: Recorder | None) -> None:
        mode.recorder = recorder
        (recorded.discard if recorder is None else recorded.add)(threading.get_ident())

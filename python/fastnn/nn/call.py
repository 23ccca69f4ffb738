"""For type checkers: a call of a Module gives what its ``forward`` says that it returns.

Of any arguments: where ``forward(self, x: Tensor)`` is written, the caller may give an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Returned = TypeVar("Returned", covariant=True)


class HasForward(Protocol[Returned]):
    def forward(self, *args: Any, **kwargs: Any) -> Returned: ...


class Call:
    """The type of ``Module.__call__``."""

    def __get__(self, instance: HasForward[Returned], owner: Any) -> Callable[..., Returned]:
        raise NotImplementedError

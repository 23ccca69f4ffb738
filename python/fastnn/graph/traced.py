"""Tensors as a function sees them in a trace: their sizes are ints that say so where the function looks at them.

A branch on a size is not in the graph. So what the user's code compares is noted, and sizes.py takes no size for free
on which a comparison hangs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn.numpy_protocol import Size as Count
from fastnn.tape import mode
from fastnn.value import Tensor

NOT_THE_USERS = (os.path.dirname(os.path.dirname(__file__)) + os.sep, os.path.dirname(np.__file__) + os.sep)


class Look(NamedTuple):
    """A size, or a number made of sizes, was compared with another, or turned into what cannot be followed."""

    method: str
    size: int
    other: Any = None


def _note(method: str, size: int, other: Any = None) -> None:
    if mode.recorder is None or sys._getframe(2).f_code.co_filename.startswith(NOT_THE_USERS):
        return
    if isinstance(other, int):
        other = int.__int__(other)
    mode.recorder.looks.append(Look(method, int.__int__(size), other if isinstance(other, (int, float)) else None))


def _followed(method: str) -> Callable[..., Any]:
    """Arithmetic whose result is a size too."""
    plain = getattr(int, method)

    def call(self: TracedSize, *others: Any) -> Any:
        result = plain(self, *others)
        return TracedSize(result) if type(result) is int else result

    return call


def _noted(method: str) -> Callable[..., Any]:
    plain = getattr(int, method)

    def call(self: TracedSize, *others: Any) -> Any:
        _note(method, self, *others)
        return plain(self, *others)

    return call


_ARITHMETIC = ("add", "and", "floordiv", "lshift", "mod", "mul", "or", "pow", "rshift", "sub", "xor")
_FOLLOWED = (*_ARITHMETIC, *[f"r{name}" for name in _ARITHMETIC], "abs", "neg", "pos")
_COMPARISONS = ("eq", "ge", "gt", "le", "lt", "ne")
_NOTED = (*_COMPARISONS, "bool", "divmod", "float", "hash", "int", "rdivmod", "rtruediv", "truediv")


class TracedSize(int):
    """The size of an axis in a trace."""

    __slots__ = ()


for _name in _FOLLOWED:
    setattr(TracedSize, f"__{_name}__", _followed(f"__{_name}__"))
for _name in _NOTED:
    setattr(TracedSize, f"__{_name}__", _noted(f"__{_name}__"))


class _TracedCount(Count, TracedSize):
    """``Tensor.size``."""


class Traced(Tensor):
    """A Tensor in a trace."""

    __slots__ = ()
    traced = True

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple([TracedSize(n) for n in self._array.shape])

    @property
    def size(self) -> Count:
        count = _TracedCount(self._array.size)
        count.shape = self.shape
        return count

    def numel(self) -> int:
        return TracedSize(self._array.size)

    def __len__(self) -> int:
        length = len(self._array)
        _note("len", length)  # what len() gives is an int and no more
        return length


Traced.__name__ = Traced.__qualname__ = Tensor.__name__


def traced(tensor: Tensor) -> Tensor:
    """The Tensor itself, as the function is to see it."""
    tensor.__class__ = Traced
    return tensor

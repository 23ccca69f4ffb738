"""Whether memory that an op saved for its gradient was written before the gradient was asked for.

Two ways lead to a write. The package's own (an optimizer's step, load_state_dict, ``x -= y``) notes it here: a clock
that every Node of the tape remembers, and the span of memory. The user's own (``p.data[...] = 0``, a buffer that is
filled again) cannot be seen, so memory that the user can reach is compared by a digest of its bits: arrays that were
given to an op, and Tensors whose ``data`` was asked for. What an op saved is what its ``backward`` holds, so no op has
to say it; it is looked up only where something was written at all.
"""

from __future__ import annotations

import functools
import os
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _core

Array = npt.NDArray[Any]
Span = tuple[int, int]  # addresses: begin and end

_MANY = 256  # spans of one block of memory; more become one, from the first to the last of them


class _Shown(NamedTuple):
    """Memory that the user could reach from a moment on, and its bits then."""

    when: int
    array: weakref.ref[Array]
    digest: bytes


class _Block(NamedTuple):
    """What is known of the memory of one array that owns it."""

    alive: weakref.ref[Array]  # forgets the block with the array
    written: dict[Span, int]
    shown: dict[Span, _Shown]


clock = 0  # goes up with everything that is noted
_blocks: dict[int, _Block] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    """Another thread may have held the lock, which it never gives back in the child."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _owner(array: Array) -> Array:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def span(array: Array) -> Span:
    """The first byte of the array and the one after its last."""
    begin = end = array.__array_interface__["data"][0]
    if array.size:
        for length, stride in zip(array.shape, array.strides, strict=True):
            if stride < 0:
                begin += (length - 1) * stride
            else:
                end += (length - 1) * stride
        end += array.itemsize
    return begin, end


def _forget(key: int, _: Any) -> None:
    _blocks.pop(key, None)


def _block(array: Array) -> _Block:
    owner = _owner(array)
    block = _blocks.get(id(owner))
    if block is None:
        block = _Block(weakref.ref(owner, functools.partial(_forget, id(owner))), {}, {})
        _blocks[id(owner)] = block
    return block


def note_write(array: Array, place: Span | None = None) -> None:
    """The memory of ``array`` has been written, or that part of it."""
    global clock
    place = place or span(array)
    with _lock:
        clock += 1
        spans = _block(array).written
        if len(spans) >= _MANY:
            whole = min(begin for begin, _ in spans), max(end for _, end in spans)
            spans.clear()
            spans[whole] = clock
        spans[place] = clock


def note_shown(array: Array) -> None:
    """The user gets ``array``, and may write to it from now on."""
    global clock
    bits = digest(array)
    with _lock:
        clock += 1
        _block(array).shown[span(array)] = _Shown(clock, weakref.ref(array), bits)


def digest(array: Array) -> bytes:
    """A fingerprint of the bits."""
    try:
        return _core.digest(array)
    except (TypeError, ValueError):  # gaps between its elements, or elements of other sizes
        dtype = array.dtype if array.dtype.itemsize in (4, 8) else np.int64
        return _core.digest(np.array(array, dtype, order="C", subok=False))


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _arrays_in(value: Any, seen: set[int]) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays_in(part, seen)
    elif isinstance(value, dict):
        yield from _arrays_in(list(value.values()), seen)
    elif isinstance(value, functools.partial):
        yield from _arrays_in([value.func, value.args, value.keywords], seen)
    elif isinstance(value, types.FunctionType) and id(value) not in seen:
        seen.add(id(value))
        for cell in value.__closure__ or ():
            yield from _arrays_in(cell.cell_contents, seen)


def saved(backward: Callable[..., Any]) -> list[Array]:
    """The arrays that ``backward`` reads: those that it holds, or those in its attribute ``reads`` where it has one."""
    return list(_arrays_in(getattr(backward, "reads", backward), set()))


def _written_since(when: int, place: Span) -> bool:
    for block in list(_blocks.values()):
        for where, moment in list(block.written.items()):
            if moment > when and _overlap(where, place):
                return True
        for where, shown in list(block.shown.items()):
            if shown.when > when and _overlap(where, place):
                array = shown.array()
                if array is not None and digest(array) != shown.digest:
                    return True
    return False


Watched = list[tuple[Array, bytes]]  # arrays that the user can reach, and their bits at forward


def changed(backward: Callable[..., Any], when: int, watched: Watched) -> bool:
    """Whether an array that ``backward`` reads was written since the clock showed ``when``.

    ``watched``: arrays that the user could reach then.
    """
    others = [span(array) for array, bits in watched if digest(array) != bits]
    if when == clock and not others:
        return False
    places = [span(array) for array in saved(backward) if array.size]
    if any(_overlap(place, other) for place in places for other in others):
        return True
    return when != clock and any(_written_since(when, place) for place in places)

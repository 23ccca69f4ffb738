"""Whether memory that an op saved for its gradient was written before the gradient was asked for.

Two ways lead to a write. The package's own (an optimizer's step, load_state_dict, ``x -= y``) notes it here: a clock
that every Node of the tape remembers, and the span of memory. The user's own (``p.data[...] = 0``, a buffer that is
filled again) cannot be seen, so memory that the user can reach is compared by a digest of its bits: arrays that were
given to an op, and Tensors whose ``data`` was asked for. What an op saved is what its ``backward`` holds, so no op has
to say it; it is looked up only where something was written at all.
"""

from __future__ import annotations

import bisect
import ctypes
import functools
import itertools
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
    dense: bool

    def now(self, place: Span) -> bytes | None:
        """Its bits now, also where only a view of it is left; None where they cannot be told."""
        array = self.array()
        if array is not None:
            return digest(array)
        if not self.dense:
            return None
        size = (place[1] - place[0]) // 4  # the block is known, so its memory is there
        return digest(np.ctypeslib.as_array((ctypes.c_float * size).from_address(place[0])))


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
    bits, place = digest(array), span(array)
    with _lock:
        clock += 1
        block = _block(array)
        before = block.shown.get(place)
        if before is not None and before.digest != bits:
            block.written[place] = clock
        block.shown[place] = _Shown(
            clock, weakref.ref(array), bits, place[1] - place[0] == array.nbytes and array.itemsize == 4
        )


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


class Recent:
    """The memory that was written since the clock showed ``when``: looked up once for a whole way back."""

    def __init__(self, when: int) -> None:
        places = []
        for block in list(_blocks.values()):
            places += [(*where, moment) for where, moment in list(block.written.items()) if moment > when]
            for where, shown in list(block.shown.items()):
                if shown.when > when and shown.now(where) not in (shown.digest, None):
                    places.append((*where, shown.when))
        places.sort()
        self._places = places
        self._begins = [begin for begin, _, _ in places]
        self._ends = list(itertools.accumulate([end for _, end, _ in places], max))

    def overlaps(self, place: Span, when: int) -> bool:
        """Whether some of ``place`` was written since the clock showed ``when``."""
        i = bisect.bisect_left(self._begins, place[1])
        while i and self._ends[i - 1] > place[0]:  # the furthest end so far
            i -= 1
            _, end, moment = self._places[i]
            if end > place[0] and moment > when:
                return True
        return False


Watched = list[tuple[Array, bytes]]  # arrays that the user can reach, and their bits at forward
_FLOAT32, _INT64 = np.dtype(np.float32), np.dtype(np.int64)


def watched(arrays: list[Array]) -> Watched | None:
    """Arrays that the user can reach and a gradient may need, with their bits as they are now."""
    found = []
    for array in arrays:
        dtype = array.dtype
        if (dtype is _FLOAT32 or dtype is _INT64 or dtype in (_FLOAT32, _INT64)) and array.size:
            found.append((array, digest(array)))  # others are converted, so copied
    return found or None


def changed(backward: Callable[..., Any], when: int, watched: Watched, recent: Recent) -> bool:
    """Whether an array that ``backward`` reads was written since the clock showed ``when``.

    ``watched``: arrays that the user could reach then. ``recent``: what was written since then, or longer.
    """
    others = [span(array) for array, bits in watched if digest(array) != bits]
    if when == clock and not others:
        return False
    places = [span(array) for array in saved(backward) if array.size]
    if any(_overlap(place, other) for place in places for other in others):
        return True
    return when != clock and any(recent.overlaps(place, when) for place in places)

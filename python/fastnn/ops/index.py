"""x[key], with NumPy's keys, as a record: what a key says without arrays is plain data."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_array, as_numbers
from fastnn.ops.checks import broadcast, kept
from fastnn.ops.op import DependsOnValues, Normal, Shape, op
from fastnn.tape import Backward
from fastnn.value import Tensor

Array = npt.NDArray[Any]
# A part of a key, as plain data: an int, a bool, None, "...", (start, stop, step) of a slice, or "array" or, of bool,
# "mask" for the next of the arrays.
Part = Any


def _is_basic(part: Any) -> bool:
    """Whether a part of a key is none of those that make NumPy pick elements one by one."""
    return part is None or part is Ellipsis or isinstance(part, (int, slice, np.bool_, np.integer))


def _axes_of(part: Any) -> int:
    """How many axes of the array a part of a key speaks of."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    array = None if _is_basic(part) else np.asarray(part)
    return array.ndim if array is not None and array.dtype == np.bool_ else 1


def _picked_rows(shape: tuple[int, ...], parts: tuple[Any, ...]) -> tuple[npt.NDArray[np.int64], int, int]:
    """The rows that a key picks, in order, of an array seen as (rows, width): width are the last axes, left whole."""
    named = sum(_axes_of(part) for part in parts)
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts = (*parts[:at], *(slice(None),) * (len(shape) - named), *parts[at + 1 :])
    lead = len(shape)
    while parts and isinstance(parts[-1], slice) and parts[-1] == slice(None):
        parts, lead = parts[:-1], lead - 1
    rows = np.zeros((), np.int64)
    for axis in range(lead):  # the number of every row in turn, without an array of them all
        numbers = np.arange(shape[axis]).reshape(-1, *(1,) * (lead - 1 - axis))
        rows = rows * shape[axis] + np.broadcast_to(numbers, shape[:lead])[parts]
    return np.ascontiguousarray(rows).reshape(-1), math.prod(shape[:lead]), math.prod(shape[lead:])


def _key(parts: Sequence[Part], arrays: Sequence[Array]) -> tuple[Any, ...]:
    """NumPy's key."""
    left = iter(arrays)
    key: list[Any] = []
    for part in parts:
        if type(part) is tuple:
            part = slice(*part)
        elif type(part) is str:
            part = Ellipsis if part == "..." else next(left)
        key.append(part)
    return tuple(key)


def _misfit(x: Shape, why: str) -> IndexError:
    return IndexError(f"index: x has shape {x}, and the key does not fit it: {why}")


def _whole(x: Shape, key: Sequence[Part], masked: int) -> list[Part]:
    """The parts of a key, with slices after "..." for axes left out; ``masked`` axes are those of masks."""
    named = masked + sum([part not in (None, "...", "mask") and not isinstance(part, bool) for part in key])
    if named > len(x):
        raise _misfit(x, f"too many indices: {named} for {len(x)} dimensions")
    if key.count("...") > 1:
        raise _misfit(x, "more than one ellipsis")
    at = key.index("...") if "..." in key else len(key)
    return [*key[:at], "...", *[(None, None, None)] * (len(x) - named), *key[at + 1 :]]


class _Picked:
    """What a key picks one by one; it lies side by side in the result."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.place = 0  # in the result
        self._last = False

    def note(self, part: Part, place: int) -> None:
        """The next part of the key; those that lie apart put what they pick in front."""
        now = part in ("array", "mask") or isinstance(part, int)
        if now and not self._last:
            self.place = 0 if self.shapes else place
        self._last = now


def _shape(x: Shape, *arrays: Shape, key: Sequence[Part]) -> Shape:
    names = [part for part in key if part in ("array", "mask")]
    masked = sum([len(shape) for name, shape in zip(names, arrays, strict=True) if name == "mask"])
    one_by_one = bool(arrays) or any([isinstance(part, bool) for part in key])
    left, axis, result, picked = iter(arrays), 0, list[int](), _Picked()
    for part in _whole(x, key, masked):
        if one_by_one:
            picked.note(part, len(result))
        if part is None:
            result.append(1)
            continue
        if part == "...":  # parts on its two sides lie apart, even where it stands for no axis
            continue
        if isinstance(part, bool):
            picked.shapes.append((int(part),))
            continue
        if part == "mask":
            mask = next(left)
            if mask != x[axis : axis + len(mask)]:
                raise _misfit(x, f"its mask of shape {mask} does not match the axes from {axis} on")
            axis += len(mask)
            picked.shapes.append(())
            continue
        if isinstance(part, tuple):
            result.append(len(range(*slice(*part).indices(x[axis]))))
        elif part == "array":
            picked.shapes.append(next(left))
        elif not -x[axis] <= part < x[axis]:
            raise _misfit(x, f"index {part} is out of bounds for axis {axis} with size {x[axis]}")
        elif one_by_one:
            picked.shapes.append(())
        axis += 1
    if "mask" in key:
        raise DependsOnValues("index: how much an array of bool picks depends on its values")
    try:
        together = broadcast("index", *picked.shapes) if picked.shapes else ()
    except ValueError:
        raise _misfit(x, f"its arrays, of shapes {arrays}, do not broadcast together") from None
    return (*result[: picked.place], *together, *result[picked.place :])


def _run(x: FloatArray, *arrays: Array, need: Sequence[bool], key: Sequence[Part]) -> tuple[FloatArray, Backward]:
    if need[0] and arrays:  # the gradient needs them as they are now
        arrays = tuple([np.array(array) for array in arrays])
    parts = _key(key, arrays)
    try:
        x_shape, y = x.shape, np.asarray(x[parts])
    except IndexError as error:
        raise _misfit(x.shape, str(error)) from None
    if "array" not in key:  # nothing is picked twice

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            dx = np.zeros(x_shape, np.float32)
            dx[parts] = dy
            return (dx,)

        return y, backward

    def backward_picked(dy: FloatArray) -> tuple[FloatArray]:
        numbers, rows, width = _picked_rows(x_shape, parts)
        if width != 1:
            dy = np.ascontiguousarray(dy, np.float32).reshape(numbers.size, width)
            return (_core.embedding_backward(numbers, dy, rows, -1).reshape(x_shape),)
        dx = np.zeros(rows, np.float32)
        np.add.at(dx, numbers, dy.reshape(-1))  # fast in one dimension only
        return (dx.reshape(x_shape),)

    return y, backward_picked


def _places(x: Any, array: Any) -> Array:
    """An array of a key: integers or bool."""
    if type(array) is np.ndarray and array.dtype.kind in "iub":
        return array
    places = np.array(array) if type(array) is list else as_array(array, "index", "key")
    if places.dtype.kind not in "iub":
        if places.size or isinstance(array, np.ndarray):
            raise _misfit(np.shape(x), f"an array has dtype {places.dtype}, expected integers or bool")
        places = places.astype(np.int64)  # NumPy takes [] for float64
    return places


@op(shape=_shape, run=_run, outputs=kept, unread=("arrays",))
def _index(x: Any, *arrays: Any, key: tuple[Part, ...]) -> Normal:
    """index, the arrays of the key apart from what is plain in it."""
    return (as_numbers(x, "index", "x"), *[_places(x, array) for array in arrays]), {"key": key}


_BOUNDS = (int, type(None))


def _slice(part: slice) -> tuple[Any, ...]:
    bounds = part.start, part.stop, part.step
    if type(bounds[0]) in _BOUNDS and type(bounds[1]) in _BOUNDS and type(bounds[2]) in _BOUNDS:
        return bounds
    return tuple([None if bound is None else operator.index(bound) for bound in bounds])


def _parts(x: Any, key: tuple[Any, ...]) -> tuple[list[Part], list[Any]]:
    """What is plain in a key, and its arrays."""
    plain: list[Part] = []
    arrays = []
    for part in key:
        if type(part) is int or part is None:
            plain.append(part)
        elif isinstance(part, slice):
            plain.append(_slice(part))
        elif part is Ellipsis:
            plain.append("...")
        elif isinstance(part, (bool, np.bool_)):
            plain.append(bool(part))
        elif isinstance(part, (int, np.integer)):
            plain.append(int(part))
        else:
            array = part if isinstance(part, (np.ndarray, Tensor)) else _places(x, part)
            plain.append("mask" if array.dtype == np.bool_ else "array")
            arrays.append(array)
    return plain, arrays


def index(x: Any, key: Any) -> Any:
    """x[key], with anything NumPy accepts as a key: integers, slices, None, ..., arrays of integers or bool.

    A view where NumPy gives one. An element picked several times gets the sum of the gradients, added in float32 in the
    order of the picks, on any number of threads. Raises IndexError.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.index(np.arange(4.0), [0, 0, 3])
    array([0., 0., 3.], dtype=float32)
    """
    if type(key) is int:
        return _index(x, key=(key,))
    plain, arrays = _parts(x, key if isinstance(key, tuple) else (key,))
    return _index(x, *arrays, key=tuple(plain))

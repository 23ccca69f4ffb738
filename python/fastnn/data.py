"""Data on its way to a model: batches over arrays, a split, windows of sequences, and characters as indices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import random
from fastnn.arrays import as_indices, positive_int
from fastnn.training.samples import Part, as_part, axis_of, check_counts, cut, taken
from fastnn.training.vocabulary import Vocabulary

Indices = npt.NDArray[np.int64]

__all__ = ["Vocabulary", "batches", "sequence_batches", "split", "windows"]


def _generator(rng: Any) -> np.random.Generator:
    """A Generator as it is, a seed as one, and None as the package's own."""
    return random.generator() if rng is None else np.random.default_rng(rng)


def _parts(arrays: Any, batch_axis: Any, op: str) -> tuple[list[Part], list[int], int]:
    """The arrays, the axes of their samples, and how many samples there are."""
    names = [f"array {i}" for i in range(len(arrays) if isinstance(arrays, tuple) else 1)]
    given = arrays if isinstance(arrays, tuple) else (arrays,)
    parts = [as_part(value, op, name) for value, name in zip(given, names, strict=True)]
    several = isinstance(batch_axis, tuple)
    if several and len(batch_axis) != len(parts):
        raise ValueError(f"{op}: batch_axis is {batch_axis!r}, expected one for each of {len(parts)} arrays")
    wanted = batch_axis if several else [batch_axis] * len(parts)
    axes = [axis_of(part, positive_int(axis, op, "batch_axis", 0)) for part, axis in zip(parts, wanted, strict=True)]
    return parts, axes, check_counts(parts, axes, names, op)


class Batches:
    """What ``batches`` returns: goes over the samples anew whenever it is iterated. ``len()`` is that of batches."""

    def __init__(
        self,
        parts: list[Part],
        axes: list[int],
        count: int,
        size: int,
        rng: np.random.Generator | None,
        shuffle: bool,
        drop_last: bool,
        several: bool,
    ) -> None:
        self._parts, self._axes, self._size, self._rng = parts, axes, size, rng
        self._count, self._shuffle, self._several = count, shuffle, several
        self._stop = count - count % size if drop_last else count

    def __len__(self) -> int:
        return -(-self._stop // self._size)

    def __iter__(self) -> Iterator[Any]:
        return self._from(_generator(self._rng).permutation(self._count) if self._shuffle else None)

    def _from(self, order: Indices | None) -> Iterator[Any]:
        for start in range(0, self._stop, self._size):
            end = min(start + self._size, self._stop)
            batch = tuple(
                _contiguous(cut(part, axis, start, end)) if order is None else taken(part, axis, order[start:end])
                for part, axis in zip(self._parts, self._axes, strict=True)
            )
            yield batch if self._several else batch[0]


def _contiguous(part: Part) -> Part:
    return part if isinstance(part, list) else np.ascontiguousarray(part)


def batches(
    arrays: Any,
    batch_size: int,
    rng: Any = None,
    shuffle: bool = True,
    drop_last: bool = False,
    batch_axis: int | tuple[int, ...] = 0,
) -> Batches:
    """Goes over arrays, ``batch_size`` samples at a time; again, in another order, whenever it is iterated.

    Args:
        arrays: one array, or a tuple of arrays; a list is ragged sequences (T_n, ...), of which batches are lists too.
        batch_size: samples in a batch, at least 1; the last batch may be smaller.
        rng: numpy Generator or seed for the orders. Default None: the generator of ``fnn.manual_seed``.
        shuffle: whether the samples come in random order. Default True.
        drop_last: whether a smaller last batch is left out. Default False.
        batch_axis: on which axis the samples lie; arrays with fewer axes have them on axis 0. Or one for each array.
            Default 0.

    Returns an object to iterate over, with ``len()``: an array for one array, a tuple for a tuple; C-contiguous. Only
    the samples of a batch are read. Raises ValueError when lengths differ or batch_size is below 1, TypeError for
    sparse and masked arrays.

    >>> import numpy as np
    >>> from fastnn import data
    >>> for x, y in data.batches((np.arange(6).reshape(3, 2), np.arange(3)), 2, shuffle=False):
    ...     print(x.tolist(), y.tolist())
    [[0, 1], [2, 3]] [0, 1]
    [[4, 5]] [2]
    """
    parts, axes, count = _parts(arrays, batch_axis, "batches")
    size = positive_int(batch_size, "batches", "batch_size")
    generator = None if rng is None else np.random.default_rng(rng)
    return Batches(parts, axes, count, size, generator, bool(shuffle), bool(drop_last), isinstance(arrays, tuple))


def split(arrays: Any, fraction: float, seed: Any = None) -> tuple[Any, Any]:
    """Parts arrays into two at random: (1 - fraction) of the samples and ``fraction`` of them, rows kept together.

    Args:
        arrays: one array or a tuple of arrays; axis 0 of each is the samples. A list is ragged sequences.
        fraction: what part goes to the second result, above 0 and below 1; both get at least one sample.
        seed: numpy Generator or seed. Default None: the generator of ``fnn.manual_seed``.

    Returns (first, second), each an array for one array and a tuple for a tuple. Raises ValueError when lengths
    differ, fraction is out of range, or there are fewer than 2 samples.

    >>> import numpy as np
    >>> from fastnn import data
    >>> (x, y), (x_test, y_test) = data.split((np.zeros((10, 3)), np.arange(10)), 0.2, seed=0)
    >>> len(y), len(y_test)
    (8, 2)
    """
    given, axes, samples = _parts(arrays, 0, "split")
    if not 0 < fraction < 1:
        raise ValueError(f"split: fraction is {fraction}, expected above 0 and below 1")
    if samples < 2:
        raise ValueError(f"split: {samples} samples cannot be split")
    order = _generator(seed).permutation(samples)
    first = min(max(samples - round(samples * fraction), 1), samples - 1)
    parts = [
        tuple(taken(part, axis, index) for part, axis in zip(given, axes, strict=True))
        for index in (order[:first], order[first:])
    ]
    return (parts[0], parts[1]) if isinstance(arrays, tuple) else (parts[0][0], parts[1][0])


def _sequence(ids: Any, steps: int, name: str) -> Indices:
    sequence = as_indices(ids, name, "ids")
    if sequence.ndim != 1:
        raise ValueError(f"{name}: ids has shape {sequence.shape}, expected one dimension")
    if len(sequence) <= positive_int(steps, name, "steps"):
        raise ValueError(f"{name}: {len(sequence)} ids are too few for {steps} steps and the one that follows")
    return sequence


def windows(ids: Any, steps: int, stride: int | None = None) -> tuple[Indices, Indices]:
    """Cuts a sequence into windows for next-step prediction: what ``fit`` takes with ``batch_first`` models.

    Args:
        ids: (length), integers.
        steps: the length T of a window.
        stride: from one start to the next, default ``steps``: every id is a target once. What is left over at the end
            is not used.

    Returns (x, y), both (N, T), where y[n, t] follows x[n, t] in the sequence. Raises ValueError when ids is too short.

    >>> import numpy as np
    >>> from fastnn import data
    >>> data.windows(np.arange(6), 2)
    (array([[0, 1],
           [2, 3]]), array([[1, 2],
           [3, 4]]))
    """
    sequence = _sequence(ids, steps, "windows")
    step = positive_int(steps if stride is None else stride, "windows", "stride")
    views = np.lib.stride_tricks.sliding_window_view(sequence, steps + 1)[::step]
    return np.ascontiguousarray(views[:, :-1]), np.ascontiguousarray(views[:, 1:])


class SequenceBatches:
    """What ``sequence_batches`` returns: goes over the sequence anew whenever it is iterated."""

    def __init__(
        self, sequence: Indices, steps: int, size: int, shuffle: bool, rng: np.random.Generator | None
    ) -> None:
        self._sequence, self._steps, self._size, self._shuffle, self._rng = sequence, steps, size, shuffle, rng
        self._length = (len(sequence) - 1) // size  # of a stream
        if len(self) == 0:
            raise ValueError(f"sequence_batches: {len(sequence)} ids are too few for {size} streams of {steps} steps")

    def __len__(self) -> int:
        return self._length // self._steps

    def __iter__(self) -> Iterator[tuple[Indices, Indices]]:
        count, size, steps = len(self), self._size, self._steps
        starts = np.arange(size) * self._length + np.arange(count)[:, None] * steps  # (batch, n)
        if self._shuffle:
            generator = _generator(self._rng)
            spare = len(self._sequence) - 1 - count * size * steps
            first = generator.integers(min(spare, steps - 1) + 1)
            starts = first + generator.permutation(count * size).reshape(count, size) * steps
        return self._from(starts)

    def _from(self, starts: Indices) -> Iterator[tuple[Indices, Indices]]:
        offsets = np.arange(self._steps)[:, None]
        for start in starts:
            index = start + offsets  # (T, N)
            yield self._sequence[index], self._sequence[index + 1]


def sequence_batches(ids: Any, steps: int, batch_size: int, shuffle: bool = False, rng: Any = None) -> SequenceBatches:
    """Goes over a sequence for next-step prediction, time first; again whenever it is iterated.

    Args:
        ids: (length), integers.
        steps: the number T of steps in a batch, at least 1.
        batch_size: N. In order, the sequence is cut into N streams side by side, and sample n of a batch goes on where
            sample n of the batch before ended: keep the state of the network between batches (truncated
            backpropagation through time). With shuffle, samples are windows from all over the sequence.
        shuffle: see batch_size. Default False.
        rng: numpy Generator or seed, used to shuffle. Default None: the generator of ``fnn.manual_seed``.

    Returns an object to iterate over, with ``len()``: (x, y), both (T, N) int64 and C-contiguous; y[t, n] follows
    x[t, n] in the sequence. What does not fill a batch is left out; shuffled, the windows start at a random place among
    the first T, so it is not always the same. Raises ValueError when ids is too short for one batch.

    >>> from fastnn import data
    >>> for x, y in data.sequence_batches([0, 1, 2, 3, 4, 5, 6, 7, 8], 2, 2):
    ...     print(x.T.tolist(), y.T.tolist())
    [[0, 1], [4, 5]] [[1, 2], [5, 6]]
    [[2, 3], [6, 7]] [[3, 4], [7, 8]]
    """
    sequence = _sequence(ids, steps, "sequence_batches")
    size = positive_int(batch_size, "sequence_batches", "batch_size")
    generator = None if rng is None else np.random.default_rng(rng)
    return SequenceBatches(sequence, steps, size, bool(shuffle), generator)

"""Data on its way to a model: batches over arrays, a split, and text as sequences of character indices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import random
from fastnn.arrays import as_indices, positive_int

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]

__all__ = ["Vocabulary", "batches", "sequence_batches", "split", "windows"]


def _generator(rng: Any) -> np.random.Generator:
    """A Generator as it is, a seed as one, and None as the package's own."""
    return random.generator() if rng is None else np.random.default_rng(rng)


def _same_length(arrays: Any, name: str) -> tuple[tuple[Array, ...], int]:
    given = tuple(np.asarray(a) for a in arrays) if isinstance(arrays, tuple) else (np.asarray(arrays),)
    for i, a in enumerate(given):
        if a.ndim == 0:
            raise ValueError(f"{name}: array {i} is a single number, expected axis 0 to be the samples")
        if len(a) != len(given[0]):
            raise ValueError(f"{name}: array 0 has {len(given[0])} samples but array {i} has {len(a)}")
    if not given:
        raise ValueError(f"{name}: no arrays were given")
    return given, len(given[0])


def _rows(a: Array, index: Indices) -> Array:
    """a[index], C-contiguous; only those rows are read."""
    return a.take(index, axis=0) if a.flags.c_contiguous else np.ascontiguousarray(a[index])


def batches(
    arrays: Any, batch_size: int, rng: Any = None, shuffle: bool = True, drop_last: bool = False
) -> Iterator[Any]:
    """Goes once over arrays, ``batch_size`` samples at a time.

    Args:
        arrays: one array or a tuple of arrays; axis 0 of each is the samples. Only the rows of a batch are read.
        batch_size: samples in a batch, at least 1; the last batch may be smaller.
        rng: numpy Generator or seed for the order. Default None: the generator of ``fnn.manual_seed``.
        shuffle: whether the samples come in random order. Default True.
        drop_last: whether a smaller last batch is left out. Default False.

    Yields an array for one array, a tuple for a tuple; C-contiguous. Raises ValueError when lengths differ or
    batch_size is below 1.

    >>> import numpy as np
    >>> from fastnn import data
    >>> for x, y in data.batches((np.arange(6).reshape(3, 2), np.arange(3)), 2, shuffle=False):
    ...     print(x.tolist(), y.tolist())
    [[0, 1], [2, 3]] [0, 1]
    [[4, 5]] [2]
    """
    given, samples = _same_length(arrays, "batches")
    size = positive_int(batch_size, "batches", "batch_size")
    order = _generator(rng).permutation(samples) if shuffle else None
    stop = samples - samples % size if drop_last else samples

    def generate() -> Iterator[Any]:
        for start in range(0, stop, size):
            end = min(start + size, stop)
            if order is None:
                batch = tuple(np.ascontiguousarray(a[start:end]) for a in given)
            else:
                batch = tuple(_rows(a, order[start:end]) for a in given)
            yield batch if isinstance(arrays, tuple) else batch[0]

    return generate()


def split(arrays: Any, fraction: float, seed: Any = None) -> tuple[Any, Any]:
    """Parts arrays into two at random: (1 - fraction) of the samples and ``fraction`` of them, rows kept together.

    Args:
        arrays: one array or a tuple of arrays; axis 0 of each is the samples.
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
    given, samples = _same_length(arrays, "split")
    if not 0 < fraction < 1:
        raise ValueError(f"split: fraction is {fraction}, expected above 0 and below 1")
    if samples < 2:
        raise ValueError(f"split: {samples} samples cannot be split")
    order = _generator(seed).permutation(samples)
    first = min(max(samples - round(samples * fraction), 1), samples - 1)
    parts = [tuple(_rows(a, index) for a in given) for index in (order[:first], order[first:])]
    return (parts[0], parts[1]) if isinstance(arrays, tuple) else (parts[0][0], parts[1][0])


class Vocabulary:
    """The characters of a text, sorted, each with its index.

    Args:
        text: any text that has them all.

    ``alphabet`` is the string of the characters; ``len()`` says how many. Raises ValueError for an empty text.

    >>> from fastnn import data
    >>> vocabulary = data.Vocabulary("hello")
    >>> vocabulary.alphabet, vocabulary.encode("hole"), vocabulary.decode([1, 0])
    ('ehlo', array([1, 3, 2, 0]), 'he')
    """

    def __init__(self, text: str) -> None:
        self._codes = np.unique(_codes(text))
        if not len(self._codes):
            raise ValueError("Vocabulary: the text is empty")
        self.alphabet = _text(self._codes)

    def __len__(self) -> int:
        return len(self._codes)

    def __repr__(self) -> str:
        return f"Vocabulary({self.alphabet!r})"

    def encode(self, text: str) -> Indices:
        """The index of each character, int64. Raises ValueError for a character that is not in the alphabet."""
        codes = _codes(text)
        ids = np.minimum(np.searchsorted(self._codes, codes), len(self) - 1)
        unknown = np.flatnonzero(self._codes[ids] != codes)
        if len(unknown):
            at = int(unknown[0])
            raise ValueError(
                f"Vocabulary: {text[at]!r} at position {at} is not one of the {len(self)} characters known"
            )
        return ids.astype(np.int64)

    def decode(self, ids: Any) -> str:
        """The text of an array or list of indices, read in order. Raises ValueError for an index out of range."""
        index = as_indices(ids if len(ids) else np.zeros(0, np.int64), "Vocabulary", "ids").reshape(-1)
        wrong = index[(index < 0) | (index >= len(self))]
        if len(wrong):
            raise ValueError(f"Vocabulary: index {wrong[0]} is out of range for {len(self)} characters")
        return _text(self._codes[index])


def _codes(text: str) -> npt.NDArray[np.uint32]:
    if not isinstance(text, str):
        raise TypeError(f"Vocabulary: text is a {type(text).__name__}, expected a string")
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(codes: npt.NDArray[np.uint32]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


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


def sequence_batches(
    ids: Any, steps: int, batch_size: int, shuffle: bool = False, rng: Any = None
) -> Iterator[tuple[Indices, Indices]]:
    """Goes once over a sequence for next-step prediction, time first.

    Args:
        ids: (length), integers.
        steps: the number T of steps in a batch, at least 1.
        batch_size: N. In order, the sequence is cut into N streams side by side, and sample n of a batch goes on where
            sample n of the batch before ended: keep the state of the network between batches (truncated
            backpropagation through time). With shuffle, samples are windows from all over the sequence.
        shuffle: see batch_size. Default False.
        rng: numpy Generator or seed, used to shuffle. Default None: the generator of ``fnn.manual_seed``.

    Yields (x, y), both (T, N) int64 and C-contiguous; y[t, n] follows x[t, n] in the sequence. What does not fill a
    batch is left out; shuffled, the windows start at a random place among the first T, so it is not always the same.
    Raises ValueError when ids is too short for one batch.

    >>> from fastnn import data
    >>> for x, y in data.sequence_batches([0, 1, 2, 3, 4, 5, 6, 7, 8], 2, 2):
    ...     print(x.T.tolist(), y.T.tolist())
    [[0, 1], [4, 5]] [[1, 2], [5, 6]]
    [[2, 3], [6, 7]] [[3, 4], [7, 8]]
    """
    sequence = _sequence(ids, steps, "sequence_batches")
    size = positive_int(batch_size, "sequence_batches", "batch_size")
    generator = _generator(rng) if shuffle else None
    length = (len(sequence) - 1) // size  # of a stream
    count = length // steps
    if count == 0:
        raise ValueError(f"sequence_batches: {len(sequence)} ids are too few for {size} streams of {steps} steps")
    starts = np.arange(size) * length + np.arange(count)[:, None] * steps  # (batch, n)
    if generator is not None:
        spare = len(sequence) - 1 - count * size * steps
        first = generator.integers(min(spare, steps - 1) + 1)
        starts = first + generator.permutation(count * size).reshape(count, size) * steps

    def generate() -> Iterator[tuple[Indices, Indices]]:
        offsets = np.arange(steps)[:, None]
        for start in starts:
            index = start + offsets  # (T, N)
            yield sequence[index], sequence[index + 1]

    return generate()

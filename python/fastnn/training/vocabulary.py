"""Text as sequences of character indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_indices

Indices = npt.NDArray[np.int64]


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

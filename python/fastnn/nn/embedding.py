from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn.arrays import positive_int
from fastnn.nn.init import normal
from fastnn.nn.module import Module
from fastnn.ops.embedding import row_number
from fastnn.value import Parameter, Tensor


def _is_sequence(part: Any) -> bool:
    return isinstance(part, (np.ndarray, Tensor)) and part.ndim > 0


class Embedding(Module):
    """A learned vector per symbol: integers of any shape -> (*shape, embedding_dim); a list of arrays -> a list.

    Args:
        num_embeddings: rows of the table; inputs are in [0, num_embeddings).
        embedding_dim: width of a row.
        padding_idx: a row that starts at zero and gets no gradient; negative counts from the end. Default None.

    Parameter: weight (num_embeddings, embedding_dim), normal with mean 0 and standard deviation 1. Raises IndexError
    for an input outside the table.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.Embedding(65, 8)(np.array([[3, 64], [0, 1]])).shape
    (2, 2, 8)
    """

    _unnamed, _shows_defaults = 2, False

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        self.num_embeddings = positive_int(num_embeddings, "Embedding", "num_embeddings")
        self.embedding_dim = positive_int(embedding_dim, "Embedding", "embedding_dim")
        row = row_number(padding_idx, num_embeddings, "Embedding")
        self.padding_idx = None if padding_idx is None else row
        table = normal((num_embeddings, embedding_dim))
        if padding_idx is not None:
            table[row] = 0
        self.weight = Parameter(table)

    def forward(self, indices: ArrayLike) -> Any:
        if isinstance(indices, list) and indices and all([_is_sequence(part) for part in indices]):
            return self._of_list(indices)
        return ops.embedding(indices, self.weight, padding_idx=self.padding_idx)

    def _of_list(self, parts: list[Any]) -> list[Any]:
        """Sequences of any lengths, as recurrent layers take them, looked up at once."""
        flat = ops.concatenate([ops.reshape(part, (-1,)) for part in parts])
        rows = ops.split(ops.embedding(flat, self.weight, self.padding_idx), [math.prod(part.shape) for part in parts])
        return [ops.reshape(y, (*part.shape, self.embedding_dim)) for part, y in zip(parts, rows, strict=True)]

"""Layers for what a recurrent layer returns, so that it can stand in a Sequential."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.arrays import as_indices
from fastnn.nn.module import Module
from fastnn.value import Tensor


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, Tensor))


def _output(x: Any) -> Any:
    """The output of (output, state); anything else as it is."""
    is_pair = isinstance(x, tuple) and len(x) == 2
    return x[0] if is_pair and (_is_array(x[0]) or isinstance(x[0], list)) else x


class Output(Module):
    """Of (output, state), as a recurrent layer returns it, the output: an array, or a list of them for a list.

    Raises ValueError for anything else.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> model = nn.Sequential(nn.GRU(3, 8), nn.Output(), nn.Linear(8, 2))
    >>> model(np.zeros((5, 4, 3))).shape
    (5, 4, 2)
    """

    def forward(self, x: Any) -> Any:
        output = _output(x)
        if output is x:
            what = f"of shape {tuple(x.shape)}" if _is_array(x) else f"a {type(x).__name__}"
            raise ValueError(f"Output: x is {what}, expected (output, state), as a recurrent layer returns it")
        return output


class LastStep(Module):
    """The last time step of each sequence: (N, T, F) or (T, N, F) -> (N, F), a list of (T_n, F) -> (N, F).

    Args:
        batch_first: whether x is (N, T, F) rather than (T, N, F). Default None: as in the recurrent layer before it, in
            a Sequential; that is known across layers that leave the axes as they are, such as Linear and Dropout.

    Call with the output of a recurrent layer, or with all that it returns, (output, state); with lengths (N), integers
    from 1 to T, where sequences end before T, as recurrent layers take them. One sequence (T, F) gives (F). In the
    reverse direction of a bidirectional layer the last step of a sequence is the first one that was computed.

    Raises ValueError for other shapes, and where nothing says which axis is time.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> model = nn.Sequential(nn.Embedding(7, 4), nn.LSTM(4, 8, batch_first=True), nn.LastStep(), nn.Linear(8, 2))
    >>> model(np.zeros((5, 9), int)).shape
    (5, 2)
    >>> model([np.array([1, 2, 3]), np.array([4])]).shape
    (2, 2)
    """

    def __init__(self, batch_first: bool | None = None) -> None:
        self.batch_first = None if batch_first is None else bool(batch_first)

    def forward(self, x: Any, lengths: Any = None, batch_first: bool | None = None) -> Any:
        x = _output(x)
        if isinstance(x, (list, tuple)):
            return self._of_list(x, lengths)
        if self.batch_first is not None:
            batch_first = self.batch_first
        if batch_first is None:
            raise ValueError(
                "LastStep: nothing says whether x is (N, T, F) or (T, N, F): no recurrent layer is before it, or one "
                "between them may move axes; write LastStep(batch_first=True) or LastStep(batch_first=False)"
            )
        shape = np.shape(x)
        time = 1 if batch_first and len(shape) == 3 else 0
        if not 2 <= len(shape) <= 3 or not shape[time]:
            layout = "(N, T, F)" if batch_first else "(T, N, F)"
            raise ValueError(f"LastStep: x has shape {shape}, expected {layout} or (T, F), at least one time step")
        if lengths is None:
            return ops.index(x, (slice(None), -1) if time else -1)
        steps = as_indices(lengths, "LastStep", "lengths")
        samples = shape[1 - time] if len(shape) == 3 else 0
        if steps.shape != (samples,) or not samples or steps.min() < 1 or steps.max() > shape[time]:
            raise ValueError(f"LastStep: lengths {steps} do not fit x {shape}: expected {samples} numbers from 1 to T")
        places = steps - 1, np.arange(samples)
        return ops.index(x, places[::-1] if time else places)

    def _of_list(self, parts: Any, lengths: Any) -> Any:
        shapes = [np.shape(part) if _is_array(part) else None for part in parts]
        if not parts or any([shape is None or len(shape) != 2 or not shape[0] for shape in shapes]):
            raise ValueError(
                f"LastStep: x is a {type(parts).__name__} of shapes {shapes}, expected arrays (T, F), at least one time"
                " step each"
            )
        if lengths is not None:
            raise ValueError("LastStep: x is a list of sequences, which have their lengths, but lengths are given")
        return ops.stack([ops.index(part, -1) for part in parts])

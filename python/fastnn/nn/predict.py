"""Running a model over many samples in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.tensor import Tensor

if TYPE_CHECKING:
    from fastnn.nn.module import Module

_BATCH = 256


def _map(outputs: Any, function: Callable[[Any], Any]) -> Any:
    """``function`` of each array in nested tuples or lists."""
    if isinstance(outputs, (tuple, list)):
        return tuple([_map(part, function) for part in outputs])
    return function(outputs)


def _leaves(outputs: Any) -> Iterator[Any]:
    if isinstance(outputs, tuple):
        for part in outputs:
            yield from _leaves(part)
    else:
        yield outputs


def _plain(output: Any) -> Any:
    return output.data if isinstance(output, Tensor) else np.asarray(output)


def predict(model: Module, x: Any, batch_size: int | None) -> Any:
    """See Module.predict; the caller sets the mode."""
    if isinstance(x, Tensor):
        x = x.data
    elif not isinstance(x, np.ndarray) and not (isinstance(x, list) and x and isinstance(x[0], (np.ndarray, Tensor))):
        x = np.asarray(x)  # a list of arrays may be ragged, and goes to the model as it is
    time_first = any(getattr(module, "batch_first", True) is False for module in model.modules())
    count = len(x) if isinstance(x, np.ndarray) and x.ndim else 0
    size = batch_size or (count if time_first else _BATCH)
    if count <= size:
        return _map(model(x), _plain)
    first = _map(model(x[:size]), _plain)
    for output in _leaves(first):
        if not output.ndim or len(output) != size:
            if batch_size is None:
                return _map(model(x), _plain)
            raise ValueError(
                f"predict: an output for {size} samples has shape {output.shape}; without the batch on axis 0 they "
                f"cannot be joined, call with batch_size={count} or None"
            )
    joined = _map(first, lambda output: np.empty((count, *output.shape[1:]), output.dtype))
    for start in range(0, count, size):
        part = first if start == 0 else _map(model(x[start : start + size]), _plain)
        for whole, output in zip(_leaves(joined), _leaves(part), strict=True):
            whole[start : start + size] = output
    return joined

"""Outputs of models: arrays in tuples, lists and dicts, however deep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fastnn.value import Tensor


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """The same nest with ``function`` of each leaf. Named tuples become plain ones."""
    if isinstance(value, tuple):
        return tuple([mapped(part, function) for part in value])
    if isinstance(value, list):
        return [mapped(part, function) for part in value]
    if isinstance(value, Mapping):
        return {key: mapped(part, function) for key, part in value.items()}
    return function(value)


def leaves(value: Any) -> Iterator[Any]:
    """The leaves in order."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, Mapping):
        yield from leaves(list(value.values()))
    else:
        yield value


def plain(value: Any) -> Any:
    """The nest with arrays in place of Tensors."""
    return mapped(value, lambda leaf: leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf))


def described(value: Any) -> str:
    """What an output is, for errors: "a tuple of shapes (4, 5, 2), (1, 4, 2)"."""
    if value is None:
        return "None"
    if isinstance(value, (tuple, list, Mapping)):
        shapes = ", ".join([str(np.shape(leaf)) for leaf in leaves(value)])
        return f"a {type(value).__name__} of shapes {shapes}"
    return f"shape {np.shape(value)}"

"""Inputs of given shapes, for one run that shows what a model does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.graph.graph import Graph
from fastnn.graph.trace import record, tensors_of
from fastnn.value import Tensor

if TYPE_CHECKING:
    from fastnn.nn.module import Module

Shape = tuple[int, ...]


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        [isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in value]
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor))


def as_shapes(input_shape: Any, op: str, what: str) -> list[Any]:
    """A shape, or a tuple or list of them, as a list of shapes; ``what`` says in the error which sizes are meant.
    Arrays among them, or one alone, stay."""
    shapes = [input_shape] if _is_shape(input_shape) or _is_array(input_shape) else input_shape
    if not isinstance(shapes, (tuple, list)) or not all([_is_shape(each) or _is_array(each) for each in shapes]):
        raise ValueError(
            f"{op}: input_shape is {input_shape!r}, expected sizes of at least 1, {what}, or such shapes; or arrays, "
            "where values matter"
        )
    return [each if _is_array(each) else tuple([int(n) for n in each]) for each in shapes]


def run(
    model: Module,
    shapes: Sequence[Any],
    floats: Callable[[Shape], Any],
    integers: Callable[[int, Shape], Any],
    lenient: bool = True,
) -> tuple[Graph, list[Any]]:
    """The graph of ``model`` on arrays, and on inputs of shapes, made by ``floats(shape)``, and the Tensor or array of
    each of its values; see graph.recorder for ``lenient``.

    Where the model has tables to look up (``num_embeddings``) and takes no floats, the inputs that must be are
    ``integers(below, shape)``. The caller sets the mode.
    """
    rows = [getattr(module, "num_embeddings", None) for module in model.modules()]
    tables = [n for n in rows if isinstance(n, int)]
    kinds = itertools.product((False, True), repeat=len(shapes)) if tables else [(False,) * len(shapes)]
    refused: TypeError | None = None
    for kind in kinds:
        inputs = [
            shape if _is_array(shape) else integers(min(tables), shape) if whole else floats(shape)
            for whole, shape in zip(kind, shapes, strict=True)
        ]
        try:
            return record(model, *tensors_of(inputs), lenient)
        except TypeError as error:  # what an Embedding says to floats
            refused = error
    assert refused is not None
    raise refused

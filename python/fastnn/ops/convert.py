"""The same values in other memory: copied, or of another dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_numbers
from fastnn.ops.checks import kept, same
from fastnn.ops.op import Normal, op
from fastnn.tape import Backward

Array = npt.NDArray[Any]


def _clone_run(x: Array, *, need: Sequence[bool]) -> tuple[Array, Backward]:
    return x.copy(order="K"), lambda dy: (dy,)


@op(shape=same, run=_clone_run, outputs=kept, unread=("x",))
def clone(x: Any) -> Normal:
    """A copy, with the gradient of x.

    >>> import fastnn as fnn
    >>> fnn.ops.clone([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    return (as_numbers(x, "clone", "x"),), {}


def _detach_run(x: Array, *, need: Sequence[bool]) -> tuple[Array, None]:
    return x, None


@op(shape=same, run=_detach_run, outputs=kept, unread=("x",))
def detach(x: Any) -> Normal:
    """x itself, from which no gradient goes on. ``x.detach()`` of a Tensor.

    >>> import fastnn as fnn
    >>> fnn.ops.detach(fnn.Tensor([1.0, 2.0], requires_grad=True)).requires_grad
    False
    """
    return (as_numbers(x, "detach", "x"),), {}


def _run_to(dtype: type[np.generic]) -> Callable[..., tuple[Array, Backward | None]]:
    @np.errstate(invalid="ignore")
    def run(x: Array, *, need: Sequence[bool]) -> tuple[Array, Backward | None]:
        return x.astype(dtype), (lambda dy: (dy,)) if need[0] and dtype is np.float32 else None

    return run


@op(shape=same, run=_run_to(np.bool_), outputs="bool")
def to_bool(x: Any) -> Normal:
    """Whether each element is not 0; nan is true. No gradient. ``x.bool()`` of a Tensor.

    >>> import fastnn as fnn
    >>> fnn.ops.to_bool([0.0, 0.5])
    array([False,  True])
    """
    return (as_numbers(x, "to_bool", "x"),), {}


@op(shape=same, run=_run_to(np.float32), unread=("x",))
def to_float32(x: Any) -> Normal:
    """The same numbers, rounded to float32. ``x.float()`` of a Tensor.

    >>> import fastnn as fnn
    >>> fnn.ops.to_float32([True, False])
    array([1., 0.], dtype=float32)
    """
    return (as_numbers(x, "to_float32", "x"),), {}


@op(shape=same, run=_run_to(np.int64), outputs="int64")
def to_int64(x: Any) -> Normal:
    """Integers, without what is behind the point; nan and what int64 cannot hold become some number. No gradient.
    ``x.long()`` of a Tensor.

    >>> import fastnn as fnn
    >>> fnn.ops.to_int64([2.7, -2.7])
    array([ 2, -2])
    """
    return (as_numbers(x, "to_int64", "x"),), {}

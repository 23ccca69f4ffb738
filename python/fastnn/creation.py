"""``tensor``: a new Tensor of what is given, of the dtype that torch would give it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import as_array, as_flag, as_float32, as_value
from fastnn.dtypes import as_dtype, float32
from fastnn.tape import values_seen
from fastnn.value import Tensor, computed


def tensor(data: Any, dtype: Any = None, requires_grad: Any = False) -> Tensor:
    """A Tensor with a copy of ``data``, as torch.tensor.

    Args:
        data: number, nested lists, array or Tensor of real numbers.
        dtype: float32, int64 or bool, as in ``fastnn.int64``. Default None: floats of any width are float32, integers
            int64, bools bool; no elements at all are float32.
        requires_grad: whether ``backward()`` should leave a gradient in ``grad``; float32 only. Default False.

    Raises TypeError for complex, object and string data, other dtypes, a gradient of integers or bool, and a
    requires_grad that is not a bool.

    >>> import fastnn as fnn
    >>> fnn.tensor([1, 2]) + 1
    Tensor([2, 3])
    >>> fnn.tensor([1, 2], dtype=fnn.float32, requires_grad=True)
    Tensor([1., 2.], requires_grad=True)
    """
    requires_grad = as_flag(requires_grad, "tensor", "requires_grad")
    if isinstance(data, Tensor):
        values_seen("fastnn.tensor(x)")
    given = data._array if isinstance(data, Tensor) else as_array(data, "tensor", "data")
    if dtype is None:
        array = as_value(given, "tensor", "data")
    else:
        wanted = as_dtype(dtype, "tensor")
        if wanted == float32:
            array = as_float32(given, "tensor", "data")
        else:
            as_value(given, "tensor", "data")  # raises for what is no number
            with np.errstate(invalid="ignore"):
                array = given.astype(wanted)
    made = computed(np.array(array), None, 0, False)
    made.requires_grad = requires_grad
    return made

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn.arrays import positive_int
from fastnn.nn.init import fan_in_bound, uniform, uniform_columns
from fastnn.nn.module import Module
from fastnn.value import Parameter, Tensor


class Linear(Module):
    """Fully connected layer: x (..., in_features) -> x weightᵀ + bias (..., out_features).

    Args:
        in_features, out_features: sizes of the last axis of input and output, at least 1.
        bias: whether to add a learned bias. Default True.

    Parameters: weight (out_features, in_features), whose columns are dense in memory, and bias (out_features), uniform
    on ±1/sqrt(in_features) (He et al. 2015). Raises ValueError when x does not end in in_features.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.Linear(3, 2)(np.zeros((4, 3))).shape
    (4, 2)
    """

    # One row of x then reads the weight in the order in which it lies, once, and needs no packed copy of it.
    columns_first = ("weight",)
    parameter_names = ("weight", "bias")

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features = positive_int(in_features, "Linear", "in_features")
        self.out_features = positive_int(out_features, "Linear", "out_features")
        bound = fan_in_bound(in_features)
        self.weight = Parameter(uniform_columns((self.out_features, self.in_features), bound))
        self.bias = Parameter(uniform((out_features,), bound)) if bias else None

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.linear(x, self.weight, self.bias)

"""The functions of each element that a kernel computes: a row each, with a functor of that name in
cpp/kernels/elementwise/functions.h."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32, as_value
from fastnn.dtypes import float32
from fastnn.ops.broadcast import no_bool
from fastnn.ops.checks import kept
from fastnn.ops.elementwise import by_kernel, elementwise
from fastnn.ops.op import Normal

__all__ = [
    "elu",
    "gelu",
    "hardswish",
    "leaky_relu",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]


@elementwise()
def elu(x: Any, alpha: float = 1.0) -> Normal:
    """x where x > 0, else alpha (exp(x) - 1), elementwise (Clevert et al. 2015, arXiv 1511.07289).

    alpha: default 1.0. The gradient at 0 is alpha. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.elu([-1.0, 2.0]).round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """
    return (as_float32(x, "elu", "x"),), {"alpha": float(alpha)}


_GELU = {"none": by_kernel("gelu", []), "tanh": by_kernel("gelu_tanh", [])}


def _gelu_run(x: FloatArray, *, need: Any, approximate: str) -> Any:
    return _GELU[approximate](x, need=need)


def check_gelu(approximate: str) -> str:
    if approximate not in _GELU:
        raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return approximate


@elementwise(run=_gelu_run)
def gelu(x: Any, approximate: str = "none") -> Normal:
    """x Φ(x) elementwise, Φ the normal distribution function (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    approximate: "none" (default), or "tanh" for x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2. Shapes, layout and
    errors as relu; ValueError for another ``approximate``.

    >>> import fastnn as fnn
    >>> fnn.ops.gelu([-1.0, 0.0, 1.0]).round(4)
    array([-0.1587,  0.    ,  0.8413], dtype=float32)
    """
    return (as_float32(x, "gelu", "x"),), {"approximate": check_gelu(approximate)}


@elementwise()
def hardswish(x: Any) -> Normal:
    """x min(max(x + 3, 0), 6) / 6, elementwise (Howard et al. 2019, arXiv 1905.02244).

    The gradient at -3 is 0, at 3 it is 1. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.hardswish([-4.0, 1.5, 4.0])
    array([-0.   ,  1.125,  4.   ], dtype=float32)
    """
    return (as_float32(x, "hardswish", "x"),), {}


@elementwise()
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Normal:
    """x where x >= 0, else negative_slope * x, elementwise (Maas et al. 2013). The gradient at 0 is negative_slope.

    negative_slope: default 0.01. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.leaky_relu([-1.0, 2.0], 0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return (as_float32(x, "leaky_relu", "x"),), {"negative_slope": float(negative_slope)}


@elementwise(run=by_kernel("relu", [], lambda x: np.asarray(np.maximum(x, 0))), outputs=kept, floats=1)
def relu(x: Any) -> Normal:
    """max(x, 0), elementwise; NaN stays NaN. The gradient at 0 is 0.

    x and the result have any shape; the result lies in memory as x does. Of Tensors of integers int64. Raises
    TypeError for complex, object and string input and for Tensors of bool.

    >>> import fastnn as fnn
    >>> fnn.ops.relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    x = as_value(x, "relu", "x")
    if x.dtype is not float32:
        no_bool("relu", "mask.long()", x)
    return (x,), {}


@elementwise()
def sigmoid(x: Any) -> Normal:
    """1 / (1 + exp(-x)), elementwise, within 2.5 ULP for every x. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.sigmoid([-100.0, 0.0, 100.0])
    array([3.8e-44, 5.0e-01, 1.0e+00], dtype=float32)
    """
    return (as_float32(x, "sigmoid", "x"),), {}


@elementwise()
def silu(x: Any) -> Normal:
    """x sigmoid(x), elementwise (Elfwing et al. 2017, arXiv 1702.03118). Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.silu([-1.0, 0.0, 1.0]).round(4)
    array([-0.2689,  0.    ,  0.7311], dtype=float32)
    """
    return (as_float32(x, "silu", "x"),), {}


@elementwise()
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Normal:
    """log(1 + exp(beta x)) / beta, elementwise, a smooth relu; never overflows (Dugas et al. 2000).

    beta: default 1.0. threshold: where beta x is above it, the result is x; default 20.0. Shapes, layout and errors as
    relu.

    >>> import fastnn as fnn
    >>> fnn.ops.softplus([-100.0, 0.0, 100.0])
    array([3.783506e-44, 6.931472e-01, 1.000000e+02], dtype=float32)
    """
    return (as_float32(x, "softplus", "x"),), {"beta": float(beta), "threshold": float(threshold)}


@elementwise()
def tanh(x: Any) -> Normal:
    """Hyperbolic tangent, elementwise, within 2.7 ULP for every x. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.tanh([-20.0, 0.0, 20.0])
    array([-1.,  0.,  1.], dtype=float32)
    """
    return (as_float32(x, "tanh", "x"),), {}

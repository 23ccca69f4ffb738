from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, dense, laid_out, layout_of
from fastnn.ops.checks import same
from fastnn.ops.op import Normal, op
from fastnn.tape import Backward

Result = tuple[FloatArray, Backward]


def _by_kernel(function: str, x: FloatArray, keep_output: bool, slope: float = 0.0) -> Result:
    """f(x) by the kernel of that name; its derivative is computed from the output or from x."""
    x = dense(x)
    y = _core.activation_forward(function, x, slope)
    saved = y if keep_output else x

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.activation_backward(function, saved, laid_out(dy, layout_of(saved)), slope),)

    return y, backward


def _run(function: str, keep_output: bool) -> Callable[..., Result]:
    def run(x: FloatArray, *, need: Sequence[bool]) -> Result:
        return _by_kernel(function, x, keep_output)

    return run


def _leaky_relu_run(x: FloatArray, *, need: Sequence[bool], negative_slope: float) -> Result:
    return _by_kernel("leaky_relu", x, False, negative_slope)


def _gelu_run(x: FloatArray, *, need: Sequence[bool], approximate: str) -> Result:
    return _by_kernel("gelu" if approximate == "none" else "gelu_tanh", x, False)


def check_gelu(approximate: str) -> str:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return approximate


@op(shape=same, run=_run("relu", keep_output=True))
def relu(x: Any) -> Normal:
    """max(x, 0), elementwise; NaN stays NaN. The gradient at 0 is 0.

    x and the result have any shape; the result lies in memory as x does. Raises TypeError for complex, object and
    string input.

    >>> import fastnn as fnn
    >>> fnn.ops.relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    return (as_float32(x, "relu", "x"),), {}


@op(shape=same, run=_leaky_relu_run)
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Normal:
    """x where x >= 0, else negative_slope * x, elementwise (Maas et al. 2013). The gradient at 0 is negative_slope.

    negative_slope: default 0.01. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.leaky_relu([-1.0, 2.0], 0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return (as_float32(x, "leaky_relu", "x"),), {"negative_slope": float(negative_slope)}


@op(shape=same, run=_gelu_run)
def gelu(x: Any, approximate: str = "none") -> Normal:
    """x Φ(x) elementwise, Φ the normal distribution function (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    approximate: "none" (default), or "tanh" for x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2. Shapes, layout and
    errors as relu; ValueError for another ``approximate``.

    >>> import fastnn as fnn
    >>> fnn.ops.gelu([-1.0, 0.0, 1.0]).round(4)
    array([-0.1587,  0.    ,  0.8413], dtype=float32)
    """
    return (as_float32(x, "gelu", "x"),), {"approximate": check_gelu(approximate)}


@op(shape=same, run=_run("silu", keep_output=False))
def silu(x: Any) -> Normal:
    """x sigmoid(x), elementwise (Elfwing et al. 2017, arXiv 1702.03118). Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.silu([-1.0, 0.0, 1.0]).round(4)
    array([-0.2689,  0.    ,  0.7311], dtype=float32)
    """
    return (as_float32(x, "silu", "x"),), {}


@op(shape=same, run=_run("sigmoid", keep_output=True))
def sigmoid(x: Any) -> Normal:
    """1 / (1 + exp(-x)), elementwise, within 2.5 ULP for every x. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.sigmoid([-100.0, 0.0, 100.0])
    array([3.8e-44, 5.0e-01, 1.0e+00], dtype=float32)
    """
    return (as_float32(x, "sigmoid", "x"),), {}


@op(shape=same, run=_run("tanh", keep_output=True))
def tanh(x: Any) -> Normal:
    """Hyperbolic tangent, elementwise, within 2.7 ULP for every x. Shapes, layout and errors as relu.

    >>> import fastnn as fnn
    >>> fnn.ops.tanh([-20.0, 0.0, 20.0])
    array([-1.,  0.,  1.], dtype=float32)
    """
    return (as_float32(x, "tanh", "x"),), {}

"""NumPy's functions on Tensors: the package's own ops where there is one, else arrays, else an error.

``np.exp(t)`` and ``np.concatenate([t, t])`` ask the Tensor (NEP 13 and NEP 18). Where a gradient would be lost, because
NumPy's function has no op here, a TypeError says so: a constant instead of a Tensor is never given without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn.tape import mode


def _transpose(a: Any, axes: Any = None) -> Any:
    return fastnn.ops.permute(a, range(a.ndim - 1, -1, -1) if axes is None else axes)


def _expand_dims(a: Any, axis: int) -> Any:
    return fastnn.ops.unsqueeze(a, axis)


def _reduction(name: str) -> Callable[..., Any]:
    def call(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        return getattr(fastnn.ops, name)(a, axis=axis, keepdims=keepdims)

    return call


def _spread(name: str) -> Callable[..., Any]:
    def call(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
        return getattr(fastnn.ops, name)(a, axis=axis, correction=ddof, keepdims=keepdims)

    return call


def _squeeze(a: Any, axis: int | None = None) -> Any:
    if axis is not None and a.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} of the Tensor of shape {a.shape} is not of size 1")
    return fastnn.ops.squeeze(a, axis)


def _where(condition: Any, *choices: Any) -> Any:
    return fastnn.ops.where(condition, *choices) if choices else np.nonzero(_arrays(condition, look=True))


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return fastnn.ops.clamp(a, a_min if min is None else min, a_max if max is None else max)


def _reshape(a: Any, shape: Any) -> Any:
    return fastnn.ops.reshape(a, shape)


def _moved(name: str) -> Callable[..., Any]:
    def call(arrays: Any, axis: int = 0) -> Any:
        return getattr(fastnn.ops, name)(arrays, axis)

    return call


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """The operator of the Tensor, which is one of the two."""

    def call(x: Any, y: Any) -> Any:
        return getattr(x, f"__{name}__")(y) if isinstance(x, NumpyProtocol) else getattr(y, f"__r{name}__")(x)

    return call


UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.absolute: lambda x: fastnn.ops.abs(x),
    np.add: _operator("add"),
    np.divide: lambda x, y: fastnn.ops.div(x, y),
    np.exp: lambda x: fastnn.ops.exp(x),
    np.fabs: lambda x: fastnn.ops.abs(x),
    np.log: lambda x: fastnn.ops.log(x),
    np.matmul: lambda x, y: fastnn.ops.matmul(x, y),
    np.maximum: lambda x, y: fastnn.ops.maximum(x, y),
    np.minimum: lambda x, y: fastnn.ops.minimum(x, y),
    np.multiply: _operator("mul"),
    np.negative: lambda x: fastnn.ops.neg(x),
    np.positive: lambda x: x,
    np.power: lambda x, y: fastnn.ops.pow(x, y),
    np.reciprocal: lambda x: fastnn.ops.div(1, x),
    np.sqrt: lambda x: fastnn.ops.sqrt(x),
    np.square: lambda x: fastnn.ops.mul(x, x),
    np.subtract: _operator("sub"),
    np.tanh: lambda x: fastnn.ops.tanh(x),
}

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.amax: _reduction("max"),
    np.amin: _reduction("min"),
    np.broadcast_to: lambda array, shape: fastnn.ops.broadcast_to(array, shape),
    np.clip: _clip,
    np.concatenate: _moved("concatenate"),
    np.expand_dims: _expand_dims,
    np.flip: lambda m, axis=None: fastnn.ops.flip(m, tuple(range(m.ndim)) if axis is None else axis),
    np.max: _reduction("max"),
    np.mean: _reduction("mean"),
    np.min: _reduction("min"),
    np.ravel: lambda a: fastnn.ops.reshape(a, (-1,)),
    np.reshape: _reshape,
    np.squeeze: _squeeze,
    np.stack: _moved("stack"),
    np.std: _spread("std"),
    np.sum: _reduction("sum"),
    np.swapaxes: lambda a, axis1, axis2: fastnn.ops.transpose(a, axis1, axis2),
    np.transpose: _transpose,
    np.var: _spread("var"),
    np.where: _where,
}

# What only looks at values or shapes: the answer has no gradient in any library.
LOOKING_UFUNCS = frozenset(
    {
        np.equal,
        np.greater,
        np.greater_equal,
        np.isfinite,
        np.isinf,
        np.isnan,
        np.less,
        np.less_equal,
        np.logical_and,
        np.logical_not,
        np.logical_or,
        np.logical_xor,
        np.not_equal,
        np.signbit,
    }
)
LOOKS = frozenset(
    {
        np.all,
        np.allclose,
        np.any,
        np.argmax,
        np.argmin,
        np.argsort,
        np.argwhere,
        np.array2string,
        np.array_equal,
        np.array_repr,
        np.array_str,
        np.count_nonzero,
        np.empty_like,
        np.flatnonzero,
        np.isclose,
        np.may_share_memory,
        np.ndim,
        np.nonzero,
        np.ones_like,
        np.result_type,
        np.shape,
        np.shares_memory,
        np.size,
        np.zeros_like,
    }
)


def _arrays(value: Any, look: bool = False) -> Any:
    """``value`` with the arrays of Tensors in their place; NumPy may write to them and give views, unless it looks."""
    if isinstance(value, NumpyProtocol):
        return value._array if look else value.data
    if isinstance(value, (tuple, list)):
        return type(value)([_arrays(part, look) for part in value])
    if isinstance(value, dict):
        return {name: _arrays(part, look) for name, part in value.items()}
    return value


def _graph_lost(name: str) -> TypeError:
    return TypeError(
        f"np.{name} of a Tensor that requires a gradient has no op in fastnn, and an array would lose the gradient; "
        "use fastnn.ops, or t.detach() for a constant, or with fastnn.no_grad()"
    )


def _recorded(value: Any) -> bool:
    """Whether a Tensor that requires a gradient is in ``value``."""
    if isinstance(value, NumpyProtocol):
        return value.requires_grad
    if isinstance(value, dict):
        value = tuple(value.values())
    return isinstance(value, (tuple, list)) and any(_recorded(part) for part in value)


def _by_op(function: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """The package's op; arguments that it does not have are for arrays only."""
    try:
        return FUNCTIONS[function](*args, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        if mode.recording and _recorded((args, kwargs)):
            unknown = str(error).rpartition(" ")[2]
            raise TypeError(f"np.{name} of a Tensor has no argument {unknown}; use fastnn.ops, or t.detach()") from None
        return function(*_arrays(args), **_arrays(kwargs))


class NumpyProtocol:
    """What NumPy asks of a Tensor."""

    __slots__ = ()
    _array: npt.NDArray[Any]
    data: Any
    requires_grad: bool

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if self.requires_grad and mode.recording:
            raise TypeError(
                "a Tensor that requires a gradient does not become an array by itself, because the gradient would be "
                "lost: join Tensors by fastnn.ops.stack or cat, fill buffers with t.detach(), ask for t.numpy()"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get("out")
        if method == "__call__" and ufunc in UFUNCS and not kwargs:
            return UFUNCS[ufunc](*inputs)
        look = ufunc in LOOKING_UFUNCS and method == "__call__"
        if mode.recording and not look and _recorded((inputs, kwargs)):
            raise _graph_lost(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
        if out is not None and any(isinstance(part, NumpyProtocol) for part in out):
            raise TypeError(f"np.{ufunc.__name__}: out is a Tensor, expected an array; write x += y, or t.data")
        return getattr(ufunc, method)(*_arrays(inputs, look), **_arrays(kwargs, look))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        if function in FUNCTIONS and kwargs.get("out") is None:
            return _by_op(function, name, args, kwargs)
        look = function in LOOKS
        if mode.recording and not look and _recorded((args, kwargs)):
            raise _graph_lost(name)
        return function(*_arrays(args, look), **_arrays(kwargs, look))

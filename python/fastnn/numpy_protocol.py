"""NumPy's functions on Tensors: the package's own ops where there is one, else arrays, else an error.

``np.exp(t)`` and ``np.concatenate([t, t])`` ask the Tensor (NEP 13 and NEP 18). Where a gradient would be lost, because
NumPy's function has no op here, a TypeError says so: a constant instead of a Tensor is never given without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.tape import mode, values_seen

UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}  # those that are ops; filled when the ops are imported
FUNCTIONS: dict[Any, Callable[..., Any]] = {}

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

# What looks at shapes and dtypes alone.
SHAPES = frozenset({np.empty_like, np.ndim, np.ones_like, np.result_type, np.shape, np.size, np.zeros_like})


def _arrays(value: Any, look: bool = False) -> Any:
    """``value`` with the arrays of Tensors in their place; NumPy may write to them and give views, unless it looks."""
    if isinstance(value, NumpyProtocol):
        return value._array if look else value.numpy()
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
        return value._requires_grad
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
        values_seen(f"np.{name}")
        if mode.recording and _recorded((args, kwargs)):
            unknown = str(error).rpartition(" ")[2]
            raise TypeError(f"np.{name} of a Tensor has no argument {unknown}; use fastnn.ops, or t.detach()") from None
        return function(*_arrays(args), **_arrays(kwargs))


class Size(int):
    """What ``Tensor.size`` is: a number to NumPy's users, a method to torch's."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


class NumpyProtocol:
    """What NumPy asks of a Tensor."""

    __slots__ = ()
    _array: npt.NDArray[Any]
    numpy: Any
    _requires_grad: bool

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if self._requires_grad and mode.recording:
            raise TypeError(
                "a Tensor that requires a gradient does not become an array by itself, because the gradient would be "
                "lost: join Tensors by fastnn.ops.stack or cat, fill buffers with t.detach(), ask for t.numpy()"
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get("out")
        if method == "__call__" and ufunc in UFUNCS and not kwargs:
            return UFUNCS[ufunc](*inputs)
        values_seen(f"np.{ufunc.__name__}")
        look = ufunc in LOOKING_UFUNCS and method == "__call__"
        if mode.recording and not look and _recorded((inputs, kwargs)):
            raise _graph_lost(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
        if out is not None and any(isinstance(part, NumpyProtocol) for part in out):
            raise TypeError(f"np.{ufunc.__name__}: out is a Tensor, expected an array; write x += y, or t.numpy()")
        return getattr(ufunc, method)(*_arrays(inputs, look), **_arrays(kwargs, look))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        if function in FUNCTIONS and kwargs.get("out") is None:
            return _by_op(function, name, args, kwargs)
        if function not in SHAPES:
            values_seen(f"np.{name}")
        look = function in LOOKS
        if mode.recording and not look and _recorded((args, kwargs)):
            raise _graph_lost(name)
        return function(*_arrays(args, look), **_arrays(kwargs, look))

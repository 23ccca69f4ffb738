from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.nn.module import Module
from fastnn.ops.activation import check_gelu


class ReLU(Module):
    """max(x, 0), see ops.relu.

    inplace: taken for torch's sake; x is never overwritten. Default False.

    >>> import fastnn as fnn
    >>> fnn.nn.ReLU()(fnn.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class LeakyReLU(Module):
    """x where x >= 0, else negative_slope * x (Maas et al. 2013), see ops.leaky_relu.

    negative_slope: default 0.01. inplace: as ReLU.

    >>> import fastnn as fnn
    >>> fnn.nn.LeakyReLU(0.5)(fnn.Tensor([-1.0, 2.0]))
    Tensor([-0.5,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = float(negative_slope)
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class GELU(Module):
    """x Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016), see ops.gelu.

    approximate: "none" (default) or "tanh". Raises ValueError for another.

    >>> import fastnn as fnn
    >>> fnn.nn.GELU()(fnn.Tensor([0.0]))
    Tensor([0.])
    """

    def __init__(self, approximate: str = "none") -> None:
        check_gelu(approximate)
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x sigmoid(x) (Elfwing et al. 2017), see ops.silu. inplace: as ReLU.

    >>> import fastnn as fnn
    >>> fnn.nn.SiLU()(fnn.Tensor([0.0]))
    Tensor([0.])
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        return ops.silu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), see ops.sigmoid.

    >>> import fastnn as fnn
    >>> fnn.nn.Sigmoid()(fnn.Tensor([0.0]))
    Tensor([0.5])
    """

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent, see ops.tanh.

    >>> import fastnn as fnn
    >>> fnn.nn.Tanh()(fnn.Tensor([0.0]))
    Tensor([0.])
    """

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class Softmax(Module):
    """exp(x) / sum of exp(x) along ``dim``, see ops.softmax.

    >>> import fastnn as fnn
    >>> fnn.nn.Softmax(dim=0)(fnn.Tensor([0.0, 0.0]))
    Tensor([0.5, 0.5])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """x - log(sum of exp(x)) along ``dim``, see ops.log_softmax.

    >>> import fastnn as fnn
    >>> fnn.nn.LogSoftmax(dim=0)(fnn.Tensor([0.0, 0.0]))
    Tensor([-0.6931472, -0.6931472])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

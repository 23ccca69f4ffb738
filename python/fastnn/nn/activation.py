from __future__ import annotations

from fastnn import ops
from fastnn.nn.op_layer import OpLayer
from fastnn.ops.activation import check_gelu

__all__ = [
    "ELU",
    "GELU",
    "Hardswish",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class ELU(OpLayer):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015), see ops.elu.

    alpha: default 1.0. inplace: as ReLU.

    >>> import fastnn as fnn
    >>> fnn.nn.ELU(0.5)(fnn.Tensor([-100.0, 2.0]))
    Tensor([-0.5,  2. ])
    """

    op = ops.elu

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = float(alpha)
        self.inplace = inplace


class GELU(OpLayer):
    """x Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016), see ops.gelu.

    approximate: "none" (default) or "tanh". Raises ValueError for another.

    >>> import fastnn as fnn
    >>> fnn.nn.GELU()(fnn.Tensor([0.0]))
    Tensor([0.])
    """

    op = ops.gelu

    def __init__(self, approximate: str = "none") -> None:
        check_gelu(approximate)
        self.approximate = approximate


class Hardswish(OpLayer):
    """x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019), see ops.hardswish. inplace: as ReLU.

    >>> import fastnn as fnn
    >>> fnn.nn.Hardswish()(fnn.Tensor([1.5, 4.0]))
    Tensor([1.125, 4.   ])
    """

    op = ops.hardswish

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class LeakyReLU(OpLayer):
    """x where x >= 0, else negative_slope * x (Maas et al. 2013), see ops.leaky_relu.

    negative_slope: default 0.01. inplace: as ReLU.

    >>> import fastnn as fnn
    >>> fnn.nn.LeakyReLU(0.5)(fnn.Tensor([-1.0, 2.0]))
    Tensor([-0.5,  2. ])
    """

    op = ops.leaky_relu

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = float(negative_slope)
        self.inplace = inplace


class LogSoftmax(OpLayer):
    """x - log(sum of exp(x)) along ``dim``, see ops.log_softmax.

    >>> import fastnn as fnn
    >>> fnn.nn.LogSoftmax(dim=0)(fnn.Tensor([0.0, 0.0]))
    Tensor([-0.6931472, -0.6931472])
    """

    op = ops.log_softmax

    def __init__(self, dim: int) -> None:
        self.dim = dim


class ReLU(OpLayer):
    """max(x, 0), see ops.relu.

    inplace: taken for torch's sake; x is never overwritten. Default False.

    >>> import fastnn as fnn
    >>> fnn.nn.ReLU()(fnn.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    op = ops.relu

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class SiLU(OpLayer):
    """x sigmoid(x) (Elfwing et al. 2017), see ops.silu. inplace: as ReLU.

    >>> import fastnn as fnn
    >>> fnn.nn.SiLU()(fnn.Tensor([0.0]))
    Tensor([0.])
    """

    op = ops.silu

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class Sigmoid(OpLayer):
    """1 / (1 + exp(-x)), see ops.sigmoid.

    >>> import fastnn as fnn
    >>> fnn.nn.Sigmoid()(fnn.Tensor([0.0]))
    Tensor([0.5])
    """

    op = ops.sigmoid


class Softmax(OpLayer):
    """exp(x) / sum of exp(x) along ``dim``, see ops.softmax.

    >>> import fastnn as fnn
    >>> fnn.nn.Softmax(dim=0)(fnn.Tensor([0.0, 0.0]))
    Tensor([0.5, 0.5])
    """

    op = ops.softmax

    def __init__(self, dim: int) -> None:
        self.dim = dim


class Softplus(OpLayer):
    """log(1 + exp(beta x)) / beta, and x where beta x is above threshold, see ops.softplus.

    beta: default 1.0. threshold: default 20.0.

    >>> import fastnn as fnn
    >>> fnn.nn.Softplus()(fnn.Tensor([0.0, 100.0]))
    Tensor([  0.6931472, 100.       ])
    """

    op = ops.softplus

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = float(beta)
        self.threshold = float(threshold)


class Tanh(OpLayer):
    """Hyperbolic tangent, see ops.tanh.

    >>> import fastnn as fnn
    >>> fnn.nn.Tanh()(fnn.Tensor([0.0]))
    Tensor([0.])
    """

    op = ops.tanh

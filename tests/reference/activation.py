"""The elementwise functions: formulas, and for each the row of what tests want to know of it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

INF, NAN = np.inf, np.nan
erf = np.vectorize(math.erf, otypes=[np.float64])


def elu(x, *, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x, *, approximate="none"):
    if approximate == "tanh":
        return x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def hardswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def leaky_relu(x, *, negative_slope=0.01):
    return np.where(x < 0, negative_slope * x, x)


def relu(x):
    return np.where(x < 0, 0, x)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def silu(x):
    return x * sigmoid(x)


def softplus(x, *, beta=1.0, threshold=20.0):
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def tanh(x):
    return np.tanh(x)


@dataclass(frozen=True)
class Function:
    """The reference of the op of the same name with some options. values and slopes: f and f' at nan, inf, -inf, -0 and
    0; kinks: x to (f, f') where f' is a convention. What torch says, except where it makes nan of gelu(inf)."""

    reference: Any
    layer: str
    values: tuple[float, ...]
    slopes: tuple[float, ...]
    options: dict[str, Any] = field(default_factory=dict)
    kinks: dict[float, tuple[float, float]] = field(default_factory=dict)
    saves: str = "x"  # what the gradient is computed from: y or x
    ulps: float | None = None  # bound of the error over all floats, where it is a relative one

    @property
    def name(self) -> str:
        return self.reference.__name__


_ZEROS = (NAN, INF, NAN, 0, 0)

FUNCTIONS = {
    "elu": Function(elu, "ELU", (NAN, INF, -0.5, 0, 0), (NAN, 1, 0, 0.5, 0.5), {"alpha": 0.5}, ulps=1),
    "gelu": Function(gelu, "GELU", _ZEROS, (NAN, NAN, NAN, 0.5, 0.5)),
    "gelu_tanh": Function(gelu, "GELU", _ZEROS, (NAN, 1, 0, 0.5, 0.5), {"approximate": "tanh"}),
    "hardswish": Function(hardswish, "Hardswish", _ZEROS, (NAN, 1, 0, 0.5, 0.5), kinks={-3: (0, 0), 3: (3, 1)}),
    "leaky_relu": Function(
        leaky_relu, "LeakyReLU", (NAN, INF, -INF, 0, 0), (0.2, 1, 0.2, 0.2, 0.2), {"negative_slope": 0.2}
    ),
    "leaky_relu_negative": Function(
        leaky_relu, "LeakyReLU", (NAN, INF, INF, 0, 0), (-0.5, 1, -0.5, -0.5, -0.5), {"negative_slope": -0.5}
    ),
    "relu": Function(relu, "ReLU", (NAN, INF, 0, 0, 0), (1, 1, 0, 0, 0), saves="y"),
    "sigmoid": Function(sigmoid, "Sigmoid", (NAN, 1, 0, 0.5, 0.5), (NAN, 0, 0, 0.25, 0.25), saves="y", ulps=2.5),
    "silu": Function(silu, "SiLU", _ZEROS, (NAN, NAN, NAN, 0.5, 0.5)),
    "softplus": Function(
        softplus,
        "Softplus",
        (NAN, INF, 0, np.log(2) / 2, np.log(2) / 2),
        (NAN, 1, 0, 0.5, 0.5),
        {"beta": 2.0, "threshold": 1.0},
        ulps=2.1,
    ),
    "tanh": Function(tanh, "Tanh", (NAN, 1, -1, 0, 0), (NAN, 0, 0, 1, 1), saves="y", ulps=2.7),
}

"""The pointwise losses: formulas of one element, and for each the row of what tests want to know of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

INF, NAN = np.inf, np.nan


def binary_cross_entropy_with_logits(x, target, weight=1.0, pos_weight=1.0):
    return weight * ((1 - target) * np.logaddexp(0, x) + pos_weight * target * np.logaddexp(0, -x))


def huber_loss(x, target, delta=1.0):
    d = np.abs(x - target)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))


def l1_loss(x, target):
    return np.abs(x - target)


def mse_loss(x, target):
    return (x - target) ** 2


def reduced(function, options):
    """function(x, target, reduction=...) in float64."""

    def loss(x, target, *, reduction="mean"):
        each = function(x, target, **options)
        return {"mean": each.mean, "sum": each.sum, "none": lambda: each}[reduction]()

    return loss


@dataclass(frozen=True)
class Loss:
    """The formula of the op of the same name with some options. values, slopes: the loss and its derivative by x where
    the target is 1 and x nan, inf, -inf, 1 and 0: what torch says."""

    formula: Any
    layer: str
    short: tuple[str, ...]  # names that fit takes besides the op's own
    values: tuple[float, ...]
    slopes: tuple[float, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.formula.__name__

    @property
    def reference(self) -> Any:
        return reduced(self.formula, self.options)


LOSSES = {
    "binary_cross_entropy_with_logits": Loss(
        binary_cross_entropy_with_logits,
        "BCEWithLogitsLoss",
        ("bce_with_logits",),
        (NAN, NAN, INF, 1.5 * np.log1p(np.exp(-1)), 1.5 * np.log(2)),  # torch makes nan of inf
        (NAN, 0, -1.5, -1.5 / (1 + np.e), -0.75),
        {"weight": 0.5, "pos_weight": 3.0},
    ),
    "huber_loss": Loss(
        huber_loss, "HuberLoss", ("huber",), (NAN, INF, INF, 0, 0.375), (NAN, 0.5, -0.5, 0, -0.5), {"delta": 0.5}
    ),
    "l1_loss": Loss(l1_loss, "L1Loss", ("l1", "mae"), (NAN, INF, INF, 0, 1), (0, 1, -1, 0, -1)),
    "mse_loss": Loss(mse_loss, "MSELoss", ("mse",), (NAN, INF, INF, 0, 1), (NAN, INF, -INF, 0, -2)),
}

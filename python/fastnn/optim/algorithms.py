"""The optimizers: their options and formulas; the sweep over memory is the kernel's, with a rule each in
cpp/kernels/optim/rules.h."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from fastnn.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: w -= lr d, where d is the gradient plus weight_decay w, or its running sum.

    Args:
        params: parameters or groups of them.
        lr: learning rate, default 1e-3.
        momentum: b = momentum b + (1 - dampening) d, and b replaces d; b starts as the first d. Default 0: none.
        dampening: default 0.
        weight_decay: L2 penalty added to the gradient, default 0.
        nesterov: use d + momentum b (Sutskever et al. 2013) instead of b. Needs momentum and no dampening.
        maximize: go up instead of down.

    Raises ValueError for options out of range. Formulas of torch.optim.SGD.

    >>> import fastnn as fnn
    >>> w = fnn.Parameter([1.0, 2.0])
    >>> opt = fnn.optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data
    Tensor([0., 0.])
    """

    _rule = "sgd"
    _state_names = ("momentum_buffer",)
    _counts_steps = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "nesterov": nesterov, "maximize": maximize})

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if not group["momentum"] >= 0:
            raise ValueError(f"SGD: momentum is {group['momentum']}, expected at least 0")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0")

    def _needed(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self._state_names if group["momentum"] else ()

    def _options(self, group: dict[str, Any], count: int) -> tuple[Any, ...]:
        lr, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        return lr, momentum, 1 - group["dampening"], decay, group["nesterov"], group["maximize"], count == 1


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1): w -= lr m' / (sqrt(v') + eps), m' and v' the unbiased means of g and g².

    Args:
        params: parameters or groups of them.
        lr: learning rate, default 1e-3.
        betas: weights of the past in the running means of g and g², default (0.9, 0.999).
        eps: added to the denominator, default 1e-8.
        weight_decay: L2 penalty added to the gradient, default 0.
        maximize: go up instead of down.

    Raises ValueError for options out of range. Formulas of torch.optim.Adam.

    >>> import fastnn as fnn
    >>> w = fnn.Parameter([1.0, -2.0])
    >>> opt = fnn.optim.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data
    Tensor([ 0.5, -1.5])
    """

    _rule = "adam"
    _state_names = ("exp_avg", "exp_avg_sq")
    _decoupled = False
    _kind: ClassVar[dict[str, Any]] = {"amsgrad": False, "decoupled_weight_decay": False}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if not group["eps"] >= 0:
            raise ValueError(f"{type(self).__name__}: eps is {group['eps']}, expected at least 0")
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas is {group['betas']}, expected two numbers in [0, 1)")

    def _options(self, group: dict[str, Any], count: int) -> tuple[Any, ...]:
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        lr_m = lr / (1 - beta1**count)
        scale_v = 1 / math.sqrt(1 - beta2**count)
        decay = lr * decay if self._decoupled else decay
        eps, sign = group["eps"], group["maximize"]
        return beta1, 1 - beta1, beta2, 1 - beta2, lr_m, scale_v, eps, decay, self._decoupled, sign


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): w -= lr weight_decay w besides Adam's step.

    Args: those of Adam; weight_decay defaults to 1e-2.

    >>> import fastnn as fnn
    >>> w = fnn.Parameter([1.0, -2.0])
    >>> opt = fnn.optim.AdamW([w], lr=0.5, weight_decay=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data
    Tensor([ 0.45, -1.4 ])
    """

    _decoupled = True
    _kind: ClassVar[dict[str, Any]] = {"amsgrad": False, "decoupled_weight_decay": True}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): w -= lr g / (sqrt(v) + eps), v the running mean of g².

    Args:
        params: parameters or groups of them.
        lr: learning rate, default 1e-2.
        alpha: weight of the past in the running means, default 0.99.
        eps: added to the denominator, default 1e-8.
        weight_decay: L2 penalty added to the gradient, default 0.
        momentum: b = momentum b + g / (sqrt(v) + eps), and w -= lr b. Default 0: none.
        centered: take the square of the running mean of g off v, which leaves its variance (Graves 2013).
        maximize: go up instead of down.

    Raises ValueError for options out of range. Formulas of torch.optim.RMSprop.

    >>> import fastnn as fnn
    >>> w = fnn.Parameter([1.0, -2.0])
    >>> opt = fnn.optim.RMSprop([w], lr=0.25, alpha=0.75)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data
    Tensor([ 0.5, -1.5])
    """

    _rule = "rmsprop"
    _state_names = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**defaults, "centered": centered, "maximize": maximize})

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        for name in ("eps", "momentum"):
            if not group[name] >= 0:
                raise ValueError(f"RMSprop: {name} is {group[name]}, expected at least 0")
        if not 0 <= group["alpha"] <= 1:
            raise ValueError(f"RMSprop: alpha is {group['alpha']}, expected a number from 0 to 1")

    def _needed(self, group: dict[str, Any]) -> tuple[str, ...]:
        used = (True, group["momentum"] > 0, group["centered"])
        return tuple([name for name, needed in zip(self._state_names, used, strict=True) if needed])

    def _options(self, group: dict[str, Any], count: int) -> tuple[Any, ...]:
        alpha, rest = group["alpha"], ("eps", "weight_decay", "momentum", "centered", "maximize")
        return group["lr"], alpha, 1 - alpha, *[group[name] for name in rest]

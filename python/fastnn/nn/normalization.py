from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn.arrays import positive_int
from fastnn.nn.activation import ReLU
from fastnn.nn.attributes import writable
from fastnn.nn.init import filled
from fastnn.nn.module import Module
from fastnn.tape import mode
from fastnn.value import Parameter


class _BatchNorm(Module):
    buffer_names: tuple[str, ...] = ("running_mean", "running_var", "num_batches_tracked")
    parameter_names: tuple[str, ...] = ("weight", "bias")
    _unnamed = 1
    _layouts: ClassVar[dict[int, str]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        self.num_features = positive_int(num_features, type(self).__name__, "num_features")
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(filled((num_features,), 1)) if affine else None
        self.bias = Parameter(filled((num_features,), 0)) if affine else None
        self.running_mean = filled((num_features,), 0) if track_running_stats else None
        self.running_var = filled((num_features,), 1) if track_running_stats else None
        self.num_batches_tracked = np.zeros((), np.int64) if track_running_stats else None

    def forward(self, x: ArrayLike) -> Any:
        return self._normalized(x, relu=False)

    def _normalized(self, x: Any, relu: bool) -> Any:
        shape = np.shape(x)
        if len(shape) not in self._layouts or shape[1] != self.num_features:
            expected = " or ".join(self._layouts.values())
            raise ValueError(
                f"{type(self).__name__}: x has shape {shape}, expected {expected} with C = {self.num_features}"
            )
        training = self.training
        mean, var, count = [
            writable(self, name) if training else getattr(self, name) for name in _BatchNorm.buffer_names
        ]
        return ops.batchnorm(
            x,
            mean,
            var,
            self.weight,
            self.bias,
            training=training,
            momentum=self.momentum,
            eps=self.eps,
            num_batches_tracked=count,
            relu=relu,
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of vectors or sequences: (N, num_features) or (N, num_features, L), see ops.batchnorm.

    Args:
        num_features: C.
        eps: added to the variance. Default 1e-5.
        momentum: share of each batch in the running statistics; None: their plain average. Default 0.1.
        affine: whether to learn weight and bias (C), which start at 1 and 0. Default True.
        track_running_stats: whether to keep running_mean, running_var (C, start at 0 and 1) and num_batches_tracked,
            used in evaluation; without them every batch is normalized by its own statistics. Default True.

    Raises ValueError for another shape, and in training when there is one value per channel.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.BatchNorm1d(3)(np.zeros((4, 3))).shape
    (4, 3)
    """

    _layouts: ClassVar[dict[int, str]] = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Batch normalization of images: (N, num_features, H, W), statistics per channel; arguments as BatchNorm1d.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.BatchNorm2d(3)(np.zeros((2, 3, 5, 5))).shape
    (2, 3, 5, 5)
    """

    _layouts: ClassVar[dict[int, str]] = {4: "(N, C, H, W)"}


def with_relu(norm: Module, following: Module) -> Callable[[Any], Any] | None:
    """What gives to the bit what a ReLU makes of the output of a normalisation, without writing that. Sequential asks.

    None for other Modules, while calls are recorded, and where one of them has a forward of its own.
    """
    if type(norm) not in (BatchNorm1d, BatchNorm2d) or type(following) is not ReLU or mode.recorder is not None:
        return None
    if "forward" in vars(norm) or "forward" in vars(following):
        return None
    return functools.partial(cast("_BatchNorm", norm)._normalized, relu=True)

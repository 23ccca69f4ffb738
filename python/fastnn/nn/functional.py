"""The ops under torch.nn.functional's names: ``import fastnn.nn.functional as F``. See fastnn.ops for each."""

import typing as _typing

from fastnn.ops import (
    activation,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    cross_entropy,
    ctc_loss,
    dropout,
    embedding,
    linear,
    log_softmax,
    pad,
    pointwise_loss,
    softmax,
)
from fastnn.ops import (
    adaptive_avgpool1d as adaptive_avg_pool1d,
)
from fastnn.ops import (
    adaptive_avgpool2d as adaptive_avg_pool2d,
)
from fastnn.ops import (
    avgpool1d as avg_pool1d,
)
from fastnn.ops import (
    avgpool2d as avg_pool2d,
)
from fastnn.ops import (
    batchnorm as batch_norm,
)
from fastnn.ops import (
    maxpool1d as max_pool1d,
)
from fastnn.ops import (
    maxpool2d as max_pool2d,
)
from fastnn.ops.activation import *
from fastnn.ops.pointwise_loss import *
from fastnn.torch_names import missing as _missing

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "embedding",
    "linear",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
    "pad",
    "softmax",
]
__all__ += activation.__all__
__all__ += pointwise_loss.__all__


if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise _missing(__name__, name, __all__)

"""Layers: parameters and one call to fastnn.ops; the arithmetic is there."""

import typing as _typing

from fastnn.nn import activation as _activation
from fastnn.nn import functional, utils
from fastnn.nn import loss as _loss
from fastnn.nn.activation import *
from fastnn.nn.container import ModuleDict, ModuleList, Sequential
from fastnn.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from fastnn.nn.crf import CRF
from fastnn.nn.dropout import Dropout
from fastnn.nn.embedding import Embedding
from fastnn.nn.graph_module import GraphModule
from fastnn.nn.linear import Linear
from fastnn.nn.loss import *
from fastnn.nn.module import Module
from fastnn.nn.normalization import BatchNorm1d, BatchNorm2d
from fastnn.nn.pooling import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from fastnn.nn.recurrent import GRU, LSTM, RNN, GRUCell, LastStep, LSTMCell, Output, RNNCell
from fastnn.nn.shape import Flatten, Identity
from fastnn.torch_names import missing as _missing
from fastnn.value import Parameter

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GraphModule",
    "Identity",
    "LSTMCell",
    "LastStep",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Output",
    "Parameter",
    "RNNCell",
    "Sequential",
    "functional",
    "utils",
]
__all__ += _activation.__all__
__all__ += _loss.__all__


if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise _missing(__name__, name, __all__)

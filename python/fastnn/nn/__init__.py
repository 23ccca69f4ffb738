"""Layers: parameters and one call to fastnn.ops; the arithmetic is there."""

import typing as _typing

from fastnn.nn import functional, utils
from fastnn.nn.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Tanh
from fastnn.nn.container import ModuleDict, ModuleList, Sequential
from fastnn.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from fastnn.nn.crf import CRF
from fastnn.nn.dropout import Dropout
from fastnn.nn.embedding import Embedding
from fastnn.nn.linear import Linear
from fastnn.nn.loss import CrossEntropyLoss, CTCLoss, MSELoss
from fastnn.nn.module import Module
from fastnn.nn.normalization import BatchNorm1d, BatchNorm2d
from fastnn.nn.pooling import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from fastnn.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from fastnn.nn.shape import Flatten, Identity
from fastnn.torch_names import missing as _missing
from fastnn.value import Parameter

__all__ = [
    "CRF",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "CTCLoss",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "Identity",
    "LSTMCell",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "functional",
    "utils",
]


if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise _missing(__name__, name, __all__)

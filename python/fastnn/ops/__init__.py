"""Functional ops on arrays and Tensors, one file per op: each checks its input, calls the kernel, defines backward."""

from fastnn.ops import activation as _activation
from fastnn.ops import numpy_functions as _numpy
from fastnn.ops import pointwise_loss as _pointwise_loss
from fastnn.ops.activation import *
from fastnn.ops.adaptive_avgpool2d import adaptive_avgpool1d, adaptive_avgpool2d
from fastnn.ops.arithmetic import add, div, maximum, minimum, mul, pow, sub, where
from fastnn.ops.arrange import flip, pad, repeat
from fastnn.ops.avgpool2d import avgpool1d, avgpool2d
from fastnn.ops.batchnorm import batchnorm
from fastnn.ops.compare import eq, ge, gt, le, lt, ne
from fastnn.ops.conv1d import conv1d
from fastnn.ops.conv2d import conv2d
from fastnn.ops.conv_transpose1d import conv_transpose1d
from fastnn.ops.conv_transpose2d import conv_transpose2d
from fastnn.ops.convert import clone, detach, to_bool, to_float32, to_int64
from fastnn.ops.crf import crf_decode, crf_lengths, crf_loss
from fastnn.ops.cross_entropy import cross_entropy
from fastnn.ops.ctc import ctc_loss
from fastnn.ops.ctc_decode import ctc_beam_decode, ctc_greedy_decode
from fastnn.ops.division import floor_divide, remainder
from fastnn.ops.dropout import dropout
from fastnn.ops.embedding import embedding
from fastnn.ops.extreme import argmax, argmin, max, min
from fastnn.ops.gru import gru, gru_cell
from fastnn.ops.gru_variant import gru_variant
from fastnn.ops.index import index
from fastnn.ops.inplace import InPlace as _InPlace
from fastnn.ops.join import cat, chunk, concatenate, split, stack, unbind
from fastnn.ops.linear import linear
from fastnn.ops.logic import (
    all,
    any,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
)
from fastnn.ops.lstm import lstm, lstm_cell
from fastnn.ops.lstm_variant import lstm_variant
from fastnn.ops.matmul import matmul
from fastnn.ops.maxpool2d import maxpool1d, maxpool2d
from fastnn.ops.methods import Conversions as _Conversions
from fastnn.ops.methods import Methods as _Methods
from fastnn.ops.operators import Operators as _Operators
from fastnn.ops.packing import packing
from fastnn.ops.pointwise import abs, clamp, exp, log, neg, sqrt
from fastnn.ops.pointwise_loss import *
from fastnn.ops.reduction import mean, std, sum, var
from fastnn.ops.rnn import rnn, rnn_cell
from fastnn.ops.rows import put_rows, take_rows
from fastnn.ops.shape import broadcast_to, flatten, permute, reshape, squeeze, transpose, unsqueeze
from fastnn.ops.softmax import log_softmax, softmax
from fastnn.value import give as _give

__all__ = [
    "abs",
    "adaptive_avgpool1d",
    "adaptive_avgpool2d",
    "add",
    "all",
    "any",
    "argmax",
    "argmin",
    "avgpool1d",
    "avgpool2d",
    "batchnorm",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "cat",
    "chunk",
    "clamp",
    "clone",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "crf_decode",
    "crf_lengths",
    "crf_loss",
    "cross_entropy",
    "ctc_beam_decode",
    "ctc_greedy_decode",
    "ctc_loss",
    "detach",
    "div",
    "dropout",
    "embedding",
    "eq",
    "exp",
    "flatten",
    "flip",
    "floor_divide",
    "ge",
    "gru",
    "gru_cell",
    "gru_variant",
    "gt",
    "index",
    "le",
    "linear",
    "log",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lstm",
    "lstm_cell",
    "lstm_variant",
    "lt",
    "matmul",
    "max",
    "maximum",
    "maxpool1d",
    "maxpool2d",
    "mean",
    "min",
    "minimum",
    "mul",
    "ne",
    "neg",
    "packing",
    "pad",
    "permute",
    "pow",
    "put_rows",
    "remainder",
    "repeat",
    "reshape",
    "rnn",
    "rnn_cell",
    "softmax",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "take_rows",
    "to_bool",
    "to_float32",
    "to_int64",
    "transpose",
    "unbind",
    "unsqueeze",
    "var",
    "where",
]
__all__ += _activation.__all__
__all__ += _pointwise_loss.__all__

_give([_InPlace, _Operators, _Conversions, _Methods], _numpy.UFUNCS, _numpy.FUNCTIONS)

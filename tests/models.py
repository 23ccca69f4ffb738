"""Models and layers that several tests share."""

from __future__ import annotations

import functools

import numpy as np
from reference.activation import FUNCTIONS
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import nn


def small_model():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def assert_same_state(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        assert a[name].tobytes() == b[name].tobytes()


class First(nn.Module):
    """The first output of a layer that gives several."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


def floats(*shape):
    return lambda rng: (rng.standard_normal(shape).astype(np.float32),)


def _ids(rng):
    return (rng.integers(0, 7, (2, 5)),)


def _pairs(rng):
    return (*floats(4, 3)(rng), *floats(4, 3)(rng))


# A small one of every class in nn.__all__, and its inputs.
LAYERS = {
    **{
        row.layer: (functools.partial(getattr(nn, row.layer), **row.options), floats(2, 3))
        for row in FUNCTIONS.values()
    },
    **{row.layer: (functools.partial(getattr(nn, row.layer), **row.options), _pairs) for row in LOSSES.values()},
    "CRF": (lambda: nn.CRF(3), lambda rng: (*floats(4, 2, 3)(rng), rng.integers(0, 3, (4, 2)))),
    "GRU": (lambda: nn.GRU(3, 4, 2, bidirectional=True), floats(5, 2, 3)),
    "LSTM": (lambda: nn.LSTM(3, 4, proj_size=2, peephole=True, layer_norm=True), floats(5, 2, 3)),
    "RNN": (lambda: nn.RNN(3, 4, batch_first=True), floats(2, 5, 3)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(2), floats(2, 3, 5)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), floats(2, 3, 5, 4)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), floats(2, 3, 5)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), floats(2, 3, 5, 4)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), floats(6, 3)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3, momentum=None), floats(2, 3, 4, 4)),
    "CTCLoss": (nn.CTCLoss, lambda rng: (*floats(4, 1, 3)(rng), np.array([[1, 2]]), [4], [2])),
    "Conv1d": (lambda: nn.Conv1d(3, 4, 3), floats(2, 3, 6)),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3, bias=False), floats(2, 3, 6, 5)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(3, 4, 3), floats(2, 3, 6)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3), floats(2, 3, 6, 5)),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, lambda rng: (*floats(4, 3)(rng), rng.integers(0, 3, 4))),
    "Dropout": (nn.Dropout, floats(4, 5)),
    "Embedding": (lambda: nn.Embedding(7, 3, padding_idx=1), _ids),
    "Flatten": (nn.Flatten, floats(2, 3, 4)),
    "GRUCell": (lambda: nn.GRUCell(3, 4), floats(2, 3)),
    "GraphModule": (lambda: nn.GraphModule(fnn.trace(nn.Linear(3, 4), (1, 3))), floats(2, 3)),
    "Identity": (nn.Identity, floats(2, 3)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), floats(2, 3)),
    "LastStep": (lambda: nn.LastStep(batch_first=True), floats(2, 5, 3)),
    "Linear": (lambda: nn.Linear(3, 4), floats(2, 3)),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), floats(2, 3)),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), floats(2, 3, 5)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), floats(2, 3, 5, 4)),
    "ModuleDict": (lambda: nn.ModuleDict({"a": nn.Linear(3, 4)}), None),
    "ModuleList": (lambda: nn.ModuleList([nn.Linear(3, 4)]), None),
    "Output": (lambda: nn.Sequential(nn.GRU(3, 4), nn.Output()), floats(5, 2, 3)),
    "RNNCell": (lambda: nn.RNNCell(3, 4), floats(2, 3)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()), floats(5, 3)),
    "Softmax": (lambda: nn.Softmax(-1), floats(2, 3)),
}


def plain(output):
    """The output of a model as a flat list of arrays."""
    if isinstance(output, (tuple, list)):
        return [array for part in output for array in plain(part)]
    return [np.array(output.data if isinstance(output, fnn.Tensor) else output)]


def assert_same_output(a, b):
    for one, two in zip(plain(a), plain(b), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)

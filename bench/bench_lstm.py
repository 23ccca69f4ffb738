"""LSTM with numbers as they are and with subnormal ones, of input and state: the second may take half as long again."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn


@pytest.mark.parametrize("scale", [1.0, 1e-40], ids=["normal", "subnormal"])
@pytest.mark.parametrize("samples", [1, 32])
def test_lstm(benchmark, samples, scale):
    rng = np.random.default_rng(0)
    layer = nn.LSTM(128, 128)
    x = (scale * rng.standard_normal((64, samples, 128))).astype(np.float32)
    states = [(scale * rng.standard_normal((1, samples, 128))).astype(np.float32) for _ in "hc"]
    dy = (scale * rng.standard_normal((64, samples, 128))).astype(np.float32)
    leaf = fnn.Tensor(x, requires_grad=True)

    def train():
        leaf.grad = None
        layer.zero_grad()
        y, _ = layer(leaf, states)
        y.backward(dy)
        return y

    y = benchmark(train)
    if scale < 1:
        expected, _ = layer(np.zeros_like(x))
        assert np.array_equal(y.numpy(), expected.numpy())
        assert not leaf.grad.any()

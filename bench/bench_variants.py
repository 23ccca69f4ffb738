"""Variants of LSTM and GRU beside the plain cells: 64 steps of 32 samples, 128 to 128 features, one thread.

pytest bench/bench_variants.py --benchmark-sort=name --benchmark-columns=min,median
"""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn

STEPS, SAMPLES, SIZE = 64, 32, 128
OPTIONS = {
    "plain": {},
    "cell_clip": {"cell_clip": 1.0},
    "coupled": {"coupled": True},
    "layer_norm": {"layer_norm": True},
    "peephole": {"peephole": True},
    "proj_size": {"proj_size": SIZE // 2},
    "recurrent_dropout": {"recurrent_dropout": 0.1},
    "zoneout": {"zoneout": 0.1},
}
CASES = [pytest.param(nn.LSTM, options, id=f"LSTM {name}") for name, options in OPTIONS.items()] + [
    pytest.param(nn.GRU, {}, id="GRU plain"),
    pytest.param(nn.GRU, {"reset_after": False}, id="GRU reset_after=False"),
    pytest.param(nn.GRU, {"zoneout": 0.1}, id="GRU zoneout"),
]


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_variant(benchmark, kind, options, mode):
    rng = np.random.default_rng(0)
    layer = kind(SIZE, SIZE, **options)
    x = rng.standard_normal((STEPS, SAMPLES, SIZE)).astype(np.float32)
    leaf = fnn.Tensor(x, requires_grad=True)
    dy = np.ones(layer(x)[0].shape, np.float32)

    def forward():
        with fnn.no_grad():
            return layer(x)[0]

    def train():
        leaf.grad = None
        layer.zero_grad()
        y, _ = layer(leaf)
        y.backward(dy)
        return y

    with fnn.threads(1):
        y = benchmark(forward if mode == "forward" else train)
    assert np.isfinite(y.numpy()).all()
    layer.eval()
    assert np.array_equal(layer(x[:, :5])[0].numpy(), layer(x)[0].numpy()[:, :5])

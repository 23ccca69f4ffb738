"""What the tests of streams share."""

from __future__ import annotations

import numpy as np

from fastnn import nn

KINDS = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn_relu": lambda *args, **options: nn.RNN(*args, nonlinearity="relu", **options),
    "rnn_tanh": nn.RNN,
}
TEAM = 400  # hidden units of a layer that is stepped by a team of threads, without the GIL


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def parts(state):
    """h, or h and c, as a list of arrays."""
    return [np.asarray(s) for s in (state if isinstance(state, tuple) else (state,))]


def steps(stream, x):
    return np.stack([stream.step(x_t).copy() for x_t in x])


def assert_follows(stream, layer, x, hx=None):
    """The steps of x, in the state hx, and where they end are bit for bit those of the layer."""
    y, last = layer(x, hx)
    assert np.array_equal(steps(stream, x), y)
    for ours, theirs in zip(parts(stream.state), parts(last), strict=True):
        assert np.array_equal(ours, theirs)

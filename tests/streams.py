"""What the tests of streams share."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from fastnn import nn
from fastnn.nn.mode import evaluation
from fastnn.nn.recurrent import Cell, Recurrent

PLAIN = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn_relu": lambda *args, **options: nn.RNN(*args, nonlinearity="relu", **options),
    "rnn_tanh": nn.RNN,
}
KINDS = PLAIN | {
    "gru_options": functools.partial(nn.GRU, reset_after=False, zoneout=0.2),
    "lstm_options": functools.partial(nn.LSTM, peephole=True, layer_norm=True, cell_clip=0.7, zoneout=(0.2, 0.1)),
}
TEAM = 400  # hidden units of a layer that is stepped by a team of threads, without the GIL

LAYERS = [kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, Recurrent)]
CELLS = [kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, Cell)]
# Values of every option of every layer, other than its default.
OPTIONS = {
    nn.GRU: {"recurrent_dropout": [0.5], "reset_after": [False], "zoneout": [0.3]},
    nn.LSTM: {
        "cell_clip": [0.3],
        "coupled": [True],
        "layer_norm": [True],
        "peephole": [True],
        "proj_size": [3],
        "recurrent_dropout": [0.5],
        "zoneout": [0.25, (0.2, 0.1)],
    },
    nn.RNN: {"nonlinearity": ["relu"]},
}


def single_options():
    """(layer, {option: value}) for no option, and for every value of each option alone."""
    for kind in LAYERS:
        yield kind, {}
        for name, values in OPTIONS[kind].items():
            yield from ((kind, {name: value}) for value in values)


def all_options(kind):
    """Every combination of options, each at its default or at one of its values."""
    table = OPTIONS[kind]
    for chosen in itertools.product(*([None, *values] for values in table.values())):
        yield {name: value for name, value in zip(table, chosen, strict=True) if value is not None}


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def parts(state):
    """h, or h and c, as a list of arrays."""
    return [getattr(s, "numpy", lambda s=s: s)() for s in (state if isinstance(state, tuple) else (state,))]


def steps(stream, x):
    return np.stack([stream.step(x_t) for x_t in x])


def whole(layer, x, hx=None):
    """y and the last states of the layer in eval mode, as arrays."""
    with evaluation(layer):
        y, last = layer(x, hx)
    return y.numpy(), parts(last)


def assert_follows(stream, layer, x, hx=None):
    """The steps of x, in the state hx, and where they end are bit for bit those of the layer in eval mode."""
    y, last = whole(layer, x, hx)
    assert np.array_equal(steps(stream, x), y)
    for ours, theirs in zip(parts(stream.state), last, strict=True):
        assert np.array_equal(ours, theirs)

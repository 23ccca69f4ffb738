"""Streams of layers with options: those of the layer in eval mode, bit for bit, for every option there is."""

import itertools

import numpy as np
import pytest
from streams import LAYERS, OPTIONS, all_options, assert_follows, draw, parts, single_options, steps, whole

from fastnn import nn

SINGLE = [pytest.param(kind, options, id=f"{kind.__name__}-{options}") for kind, options in single_options()]


@pytest.mark.parametrize("kind", LAYERS)
def test_every_option_has_values_here(kind):
    """A new option of a layer is new to streams as well: give it values in streams.py."""
    assert set(getattr(kind, "_options", {})) <= set(OPTIONS[kind])
    for name, values in OPTIONS[kind].items():
        default = getattr(kind(3, 4), name)
        assert values
        assert all(value != default for value in values)


@pytest.mark.parametrize(("kind", "options"), SINGLE)
def test_same_bits_as_the_whole_sequence(isa, rng, kind, options):
    for inputs, hidden, layers, bias in itertools.product(
        (1, 3, 64, 130), (4, 5, 16, 33, 64, 100), (1, 2), (True, False)
    ):
        layer = kind(inputs, hidden, layers, bias=bias, **options)
        assert_follows(layer.stream(), layer, draw(rng, 12, inputs))


@pytest.mark.parametrize("kind", LAYERS)
def test_same_bits_with_all_options_together(isa, rng, kind):
    for options in all_options(kind):
        layer, x = kind(3, 5, 3, **options), draw(rng, 10, 3)
        stream = layer.stream()
        assert_follows(stream, layer, x)
        state = [draw(rng, *part.shape) for part in parts(stream.state)]
        stream.state = hx = tuple(state) if len(state) == 2 else state[0]
        assert_follows(stream, layer, x, hx)


@pytest.mark.parametrize(("kind", "options"), SINGLE)
def test_an_option_changes_what_a_stream_gives_as_it_changes_the_layer(rng, kind, options):
    layer, plain, x = kind(3, 6, **options), kind(3, 6), draw(rng, 9, 3)
    weights = plain.state_dict()
    if {name: value.shape for name, value in layer.state_dict().items()} != {k: v.shape for k, v in weights.items()}:
        return  # other parameters: nothing to compare
    layer.load_state_dict(weights)
    same = np.allclose(whole(layer, x)[0], whole(plain, x)[0])
    assert np.allclose(steps(layer.stream(), x), steps(plain.stream(), x)) == same
    assert same == (not options or set(options) == {"recurrent_dropout"})  # which acts in training only


def test_options_are_those_of_the_moment(rng):
    layer, x = nn.GRU(3, 6, zoneout=0.3), draw(rng, 9, 3)
    expected, stream = whole(layer, x)[0], layer.stream()
    layer.zoneout, layer.reset_after = 0.6, False
    assert np.array_equal(steps(stream, x), expected)
    assert_follows(layer.stream(), layer, x)
    assert layer.training


def test_a_projection_has_two_sizes_of_state(rng):
    layer, x = nn.LSTM(3, 8, 2, proj_size=5), draw(rng, 4, 3)
    stream, out = layer.stream(), np.empty(5, np.float32)
    assert [part.shape for part in parts(stream.state)] == [(2, 5), (2, 8)]
    assert stream.step(x[0], out) is out
    with pytest.raises(ValueError, match=r"Stream\.step: out has shape \(8,\), expected \(5,\)"):
        stream.step(x[1], np.empty(8, np.float32))
    with pytest.raises(ValueError, match=r"Stream\.state: c has shape \(2, 5\), expected \(2, 8\)"):
        stream.state = np.zeros((2, 5)), np.zeros((2, 5))
    stream.reset()
    assert_follows(stream, layer, x)

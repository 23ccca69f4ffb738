"""Streams: the bits of the layer over the whole sequence, one time step at a time."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from streams import KINDS, TEAM, assert_follows, draw, parts, steps, whole

import fastnn as fnn
from fastnn import _core, nn


@pytest.mark.parametrize("hidden", [1, 5, 16, 17, 33, 64, 100, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_as_the_whole_sequence(isa, rng, kind, hidden):
    for layers, bias in itertools.product((1, 2, 3), (True, False)):
        layer = KINDS[kind](3 * layers + 1, hidden, layers, bias=bias)
        x, stream = draw(rng, 50, 3 * layers + 1), layer.stream()
        assert_follows(stream, layer, x)
        state = [draw(rng, layers, hidden) for _ in parts(stream.state)]
        stream.state = hx = tuple(state) if len(state) == 2 else state[0]
        assert_follows(stream, layer, x, hx)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_same_bits_for_any_number_of_threads(isa, rng, kind, threads):
    fnn.set_num_threads(threads)
    layer = KINDS[kind](TEAM, 500)
    assert_follows(layer.stream(), layer, draw(rng, 6, TEAM))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_multiplied_with_the_state_before_the_first_step(rng, kind):
    """Infinite weights times zeros would be NaN."""
    layer = KINDS[kind](3, 5)
    layer.weight_hh_l0.data[2] = np.inf
    stream, x = layer.stream(), draw(rng, 3, 3)
    first = stream.step(x[0])
    assert np.isfinite(first).all()
    assert np.array_equal(first, whole(layer, x[:1])[0][0])
    assert np.array_equal(steps(stream, x[1:]), whole(layer, x)[0][1:], equal_nan=True)
    stream.reset()
    assert np.array_equal(stream.step(x[0]), first)


def test_subnormal_numbers_count_as_zero(isa):
    """As for the whole sequence; the mode of the process is left alone."""
    layer, x = nn.RNN(1, 20, 2, nonlinearity="relu", bias=False), np.zeros((300, 1), np.float32)
    for p in layer.parameters():
        p.data[:] = 0.5 * np.eye(*p.shape, dtype=np.float32)
    x[0] = 1
    stream = layer.stream()
    assert_follows(stream, layer, x)
    assert not stream.state.any()
    assert np.float32(1e-40) * np.float32(0.5) > 0


def test_dropout_is_off(rng):
    layer, x = nn.GRU(3, 8, 2, dropout=0.5), draw(rng, 4, 3)
    assert_follows(layer.stream(), layer, x)
    assert layer.training


@pytest.mark.parametrize("kind", KINDS)
def test_state_round_trip(rng, kind):
    layer, x = KINDS[kind](3, 20, 2), draw(rng, 10, 3)
    stream = layer.stream()
    assert not any(s.any() for s in parts(stream.state))
    steps(stream, x[:5])
    state, other = stream.state, layer.stream()
    other.state = state
    for s in parts(state):  # copies: neither stream sees this
        s[:] = 7
    expected = whole(layer, x)[0][5:]
    assert np.array_equal(steps(stream, x[5:]), expected)
    assert np.array_equal(steps(other, x[5:]), expected)
    _, other.state = layer.eval()(x[:5])  # as the layer returns it
    assert np.array_equal(steps(other, x[5:]), expected)
    other.reset()
    assert_follows(other, layer, x)


@pytest.mark.parametrize("copied", [lambda stream: stream.copy(), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", KINDS)
def test_copies_go_their_own_way(rng, kind, copied):
    layer, x = KINDS[kind](3, 9, 2), draw(rng, 6, 3)
    stream = layer.stream()
    steps(stream, x[:3])
    other = copied(stream)
    expected = steps(stream, x[3:])
    stream.reset()
    assert np.array_equal(steps(other, x[3:]), expected)
    assert_follows(copied(layer.stream()), layer, x)
    with pytest.raises(TypeError, match="Stream: cannot be pickled"):
        pickle.dumps(stream)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_those_of_the_moment(rng, kind):
    layer, x = KINDS[kind](3, 9), draw(rng, 6, 3)
    stream, expected = layer.stream(), whole(layer, x)[0]
    for p in layer.parameters():
        p.data *= 2
    assert np.array_equal(steps(stream, x), expected)
    assert_follows(layer.stream(), layer, x)
    stream.reset()
    del layer
    assert np.array_equal(steps(stream, x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_counts(rng, kind):
    """A pack made before is not taken for that of other weights."""
    layer, x = KINDS[kind](3, 9), draw(rng, 6, 3)
    for name, parameter in layer.named_parameters():
        before = layer.stream()
        parameter.data += np.linspace(1, 0, parameter.size, dtype=np.float32).reshape(parameter.shape)
        stream = layer.stream()
        assert_follows(stream, layer, x)
        assert not np.array_equal(steps(before, x), whole(layer, x)[0]), name


def test_a_stream_keeps_its_isa_level(rng):
    layer, x, levels = nn.LSTM(3, 33), draw(rng, 6, 3), _core.available_isas()
    best = _core.isa()
    expected = whole(layer, x)[0]
    stream = layer.stream()
    try:
        _core.set_isa(levels[0])
        other = layer.stream()
        assert np.array_equal(steps(stream, x), expected)
    finally:
        _core.set_isa(best)
    np.testing.assert_allclose(steps(other, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_converted_at_the_door(rng, kind):
    layer = KINDS[kind](4, 6)
    x = rng.integers(-3, 4, (2, 4)).astype(np.float32)
    expected = steps(layer.stream(), x)
    shifted = np.zeros(4 * 4 + 1, np.uint8)[1:].view(np.float32)
    frozen = x[1].copy()
    frozen.flags.writeable = False

    def misaligned(a):
        shifted[:] = a
        return shifted

    for convert in (
        lambda a: a.astype(np.float64),
        lambda a: a.astype(np.int8),
        lambda a: a.astype(">f4"),
        lambda a: a.tolist(),
        lambda a: np.stack([a, a], 1)[:, 0],
        lambda a: a[::-1].copy()[::-1],
        lambda a: fnn.Tensor(a),
        misaligned,
        lambda a: frozen if (a == frozen).all() else a,
    ):
        assert np.array_equal(steps(layer.stream(), [convert(a) for a in x[:1]]), expected[:1])
        assert np.array_equal(steps(layer.stream(), map(convert, x)), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_steps_is_the_sequence(rng, kind):
    """Each step gives an array of its own, which later steps and whoever writes to others leave alone."""
    layer, x = KINDS[kind](3, 6, 2), draw(rng, 8, 3)
    expected, stream = whole(layer, x)[0], layer.stream()
    answers = [stream.step(x_t) for x_t in x]
    assert np.array_equal(answers, expected)
    for answer in answers[::2]:
        answer[:] = 7
    stream.reset()
    assert np.array_equal([stream.step(x_t) for x_t in x], expected)
    del stream
    _core.clear_cache()
    assert np.array_equal(answers[1::2], expected[1::2])  # they outlive their stream


@pytest.mark.parametrize("kind", KINDS)
def test_outputs(rng, kind):
    layer, x = KINDS[kind](6, 6, 2), draw(rng, 8, 6)
    expected, stream = whole(layer, x)[0], layer.stream()
    out = np.empty(6, np.float32)
    assert stream.step(x[0], out) is out
    assert np.array_equal(out, expected[0])
    filled = np.empty((8, 6), np.float32)
    stream.reset()
    for x_t, y_t in zip(x, filled, strict=True):
        stream.step(x_t, out=y_t)
    assert np.array_equal(filled, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_input_and_output_may_be_the_same_memory(rng, kind):
    for layer in (KINDS[kind](20, 20), KINDS[kind](20, 20, 3)):
        plain, fed, x = layer.stream(), layer.stream(), draw(rng, 20)
        y, inside = x.copy(), x.copy()
        last = fed.step(x)
        for _ in range(5):
            y = plain.step(y)
            assert np.array_equal(last, y)
            last = fed.step(last)
        fed.reset()
        for _ in range(6):
            fed.step(inside, inside)
        assert np.array_equal(inside, plain.step(y))

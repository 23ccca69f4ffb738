"""predict: several inputs, ragged sequences, and outputs whose samples are on any axis: the bits of one run of all."""

import numpy as np
import pytest
from toys import one_thread  # noqa: F401

import fastnn as fnn
from fastnn import nn

RECURRENT = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


def leaves(value):
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in leaves(part)]
    return [np.asarray(value.data if isinstance(value, fnn.Tensor) else value)]


def assert_same(got, want):
    got, want = leaves(got), leaves(want)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert np.array_equal(a, b)


class Pair(nn.Module):
    def __init__(self):
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, u, v):
        return self.a(u) + self.b(v)


class Padded(nn.Module):
    def __init__(self, batch_first):
        self.gru, self.head = nn.GRU(3, 4, batch_first=batch_first), nn.Linear(4, 2)
        self.batch_axis = 0 if batch_first else 1

    def forward(self, x, lengths):
        y, h = self.gru(x, lengths=lengths)
        return y, self.head(h[0])


@pytest.mark.parametrize("batch_size", [None, 1, 3, 7])
def test_a_tuple_is_several_inputs(rng, batch_size):
    u, v = rng.standard_normal((10, 3)), rng.standard_normal((10, 3))
    model = Pair()
    assert_same(model.predict((u, v), batch_size), model(u, v))
    lengths = rng.integers(1, 6, 10)
    for batch_first in (True, False):
        model = Padded(batch_first)
        x = rng.standard_normal((10, 5, 3) if batch_first else (5, 10, 3))
        assert_same(model.predict((x, lengths), batch_size), model(x, lengths))
    with pytest.raises(ValueError, match=r"predict: x\[0\] has 10 samples but x\[1\] has 9"):
        Pair().predict((u, v[:9]))


@pytest.mark.parametrize("batch_size", [None, 1, 2, 4, 8, 9])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("name", RECURRENT)
def test_states_and_outputs_are_joined_where_the_samples_are(rng, name, batch_first, batch_size):
    """9 samples of 9 steps: no size tells the axes apart."""
    layer = RECURRENT[name](3, 9, num_layers=2, batch_first=batch_first)
    x = rng.standard_normal((9, 9, 3))
    for model in (layer, nn.Sequential(nn.Linear(3, 3), layer)):
        told = None if model is layer or batch_first else 1
        assert_same(model.predict(x, batch_size, told), model(x))


@pytest.mark.parametrize("batch_size", [None, 1, 2, 5])
def test_a_list_is_ragged_sequences(rng, batch_size):
    x = [rng.standard_normal((t, 3)) for t in (4, 2, 6, 1, 3)]
    for batch_first in (True, False):
        layer = nn.GRU(3, 5, batch_first=batch_first)
        y, h = layer.predict(x, batch_size)
        assert isinstance(y, list)
        assert_same((y, h), layer(x))


def test_more_sequences_than_a_batch_holds(rng):
    x = [rng.standard_normal((1 + i % 3, 3)) for i in range(600)]
    layer = nn.LSTM(3, 2)
    assert_same(layer.predict(x), layer(x))


def test_a_single_sequence_is_never_cut(rng):
    for layer in (nn.GRU(3, 4), nn.GRU(3, 4, batch_first=True)):
        x = rng.standard_normal((700, 3))
        assert_same(layer.predict(x), layer(x))
        assert_same(nn.Sequential(layer).predict(x), layer(x))
    with pytest.raises(ValueError, match=r"predict: GRU gets one sequence without a batch axis"):
        nn.GRU(3, 4, batch_first=True).predict(x, 10)
    with pytest.raises(ValueError, match=r"predict: .*GRU: x has shape \(700, 2\)"):
        nn.GRU(3, 4).predict(x, 2)


def test_samples_that_a_layer_reads_as_time(rng):
    """What works on all at once works; in batches it would begin anew with every batch."""

    class Tagger(nn.Module):
        def __init__(self):
            self.lstm, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    model, x = Tagger(), rng.standard_normal((300, 2, 3))
    assert_same(model.predict(x), model(x))
    with pytest.raises(ValueError, match=r"predict: .*LSTM 'lstm' reads samples as time.*batch_first=True.*batch_axis"):
        model.predict(x, 100)
    assert_same(model.predict(x, 1, batch_axis=1), model(x))


def test_outputs_as_long_as_the_longest_sequence_of_a_batch(rng):
    class Trimmed(nn.Module):
        def __init__(self):
            self.gru = nn.GRU(3, 4, batch_first=True)

        def forward(self, x, lengths):
            return self.gru(x[:, : int(np.asarray(lengths).max())], lengths=lengths)[0]

    model, x, lengths = Trimmed(), rng.standard_normal((600, 6, 3)), np.arange(600) // 120 + 1
    assert_same(model.predict((x, lengths)), model(x, lengths))
    with pytest.raises(ValueError, match="predict: outputs of batches cannot be joined"):
        model.predict((x, lengths), 100)


def test_trying_a_model_moves_no_random_numbers(rng):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + fnn.random.generator().standard_normal(x.shape)

    state = fnn.get_rng_state()
    Noisy().predict(rng.standard_normal((300, 2)))
    expected = np.random.default_rng()
    expected.bit_generator.state = state
    expected.standard_normal((300, 2))
    assert fnn.get_rng_state() == expected.bit_generator.state


def test_refused_input():
    with pytest.raises(TypeError, match="predict: x is a masked array"):
        nn.Identity().predict(np.ma.array([1.0], mask=[1]))
    with pytest.raises(ValueError, match="predict: x is a list, which means ragged sequences; the model says"):
        nn.Linear(2, 1).predict([[1.0, 2.0], [3.0]])
    with pytest.raises(TypeError, match="batch_axis is '1'"):
        nn.Identity().predict(np.zeros((3, 2)), batch_axis="1")

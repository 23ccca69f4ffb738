"""predict of models of all kinds: in batches, with their modes."""

import numpy as np
import pytest
from test_module import Net

import fastnn as fnn
from fastnn import nn


@pytest.mark.parametrize("batch_size", [None, 1, 2, 7, 300, 1000])
def test_predict_in_batches(rng, batch_size):
    model, x = Net(), rng.standard_normal((20 if batch_size in (1, 2, 7) else 300, 1, 4, 4)).astype(np.float32)
    model.blocks[0].eval()
    want = model(x)
    got = model.predict(x, batch_size)
    assert type(got) is tuple
    for a, b in zip(got, want, strict=True):
        assert type(a) is np.ndarray
        assert np.array_equal(a, b.numpy())
    assert [m.training for m in model.children()] == [True, True, True]
    assert not model.blocks[0].training
    assert np.array_equal(model.predict(fnn.Tensor(x), batch_size)[0], got[0])


class Probe(nn.Module):
    def __init__(self, function):
        self.function, self.seen = function, []

    def forward(self, x):
        self.seen.append(len(x))
        assert not self.training
        assert not fnn.is_grad_enabled()
        return self.function(x)


def test_predict_of_other_models():
    x = np.arange(1200.0).reshape(600, 2)
    model = Probe(lambda x: (x, [x * 2, (x[:, 0],)]))
    y, (double, (first,)) = model.predict(x)
    assert model.seen == [
        256,
        256,
        88,
    ]  # the trial runs are of a copy  # the first two say where the samples lie in the outputs
    assert np.array_equal(y, x)
    assert np.array_equal(double, 2 * x)
    assert np.array_equal(first, x[:, 0])
    for function in (lambda x: x.sum(0), lambda x: x.sum()):  # no batch in the output: all at once
        assert np.array_equal(Probe(function).predict(x), function(x))
        with pytest.raises(ValueError, match=r"predict: for 2 samples the output has shape .* batch_size=600 or None"):
            Probe(function).predict(x, 100)
    assert model.predict(x[:0])[0].shape == (0, 2)
    ragged = [np.zeros(3), np.zeros(2)]
    assert Probe(len).predict(ragged) == 2
    assert np.array_equal(nn.Identity().predict([[1, 2]]), [[1, 2]])
    with pytest.raises(ValueError, match="batch_size is 0"):
        model.predict(x, 0)


def test_predict_puts_the_mode_back_after_an_error():
    model = Probe(lambda x: x / None)
    with pytest.raises(TypeError):
        model.predict(np.ones(3))
    assert model.training
    assert fnn.is_grad_enabled()

"""Graphs in files whose training is another graph, or none."""

import numpy as np
import pytest
from models import assert_same_output
from test_graph_files import GENERATOR, reloaded

import fastnn as fnn
from fastnn import nn
from fastnn.files.checkpoint import CheckpointError


class Deep(nn.Module):
    """Another function in each mode."""

    def __init__(self, also):
        self.first, self.second, self.also = nn.Linear(3, 4), nn.Linear(4, 2), also

    def forward(self, x):
        y = self.first(x)
        return (self.second(y), self.also(self, y)) if self.training else self.second(y)


def test_training_may_be_another_graph(rng, path):
    x = rng.standard_normal((5, 3)).astype(np.float32)
    model = Deep(lambda net, y: y.sum(1))
    again = reloaded(model, path, x)
    assert_same_output(again(x), model.eval()(x))
    assert_same_output(again.train()(x), model.train()(x))


@pytest.mark.parametrize(
    ("also", "reason"),
    [
        (lambda net, y: y * float(GENERATOR.random()), "random numbers of its own"),
        (lambda net, y: y if y.sum() > 0 else -y, r"bool\(x\), .* at .*test_graph_files_training\.py, line"),
        (lambda net, y: y.reshape(7), "reshape"),
    ],
)
def test_training_that_is_no_graph_is_refused_with_the_reason(rng, path, also, reason):
    x = rng.standard_normal((5, 3)).astype(np.float32)
    model = Deep(also)
    again = reloaded(model, path, x)
    assert_same_output(again(x), model.eval()(x))
    with pytest.raises(ValueError, match=f"GraphModule: it cannot be trained: .*{reason}"):
        again.train()
    with pytest.raises(ValueError, match="it cannot be trained"):
        fnn.fit(again, x, rng.integers(0, 2, 5), loss="cross_entropy", progress=False)
    fnn.save(again, path)
    assert not fnn.load(path).training


class Sampling(nn.Module):
    def forward(self, x):
        return x + GENERATOR.standard_normal(3).astype(np.float32)


def test_what_no_graph_holds_is_not_written(rng, path):
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    for model, reason in ((Sampling(), "random numbers of its own"), (Branching(), r"bool\(x\), such as `if x:`")):
        with pytest.raises(fnn.TraceError, match=reason):
            fnn.save(model, path, example=np.ones((2, 3), np.float32))
    with pytest.raises(fnn.TraceError, match="returns a object, whose parts a graph does not know"):
        fnn.save(nn.GraphModule(fnn.trace(lambda x: (x, object()), (2,))), path)
    assert not path.exists()


def test_without_an_example_the_error_says_what_helps(path):
    fnn.save(Deep(None), path)
    with pytest.raises(CheckpointError, match=r"Deep is not one of fastnn's layers: .*save\(model, path, example=x\)"):
        fnn.load(path)


def test_layers_of_the_package_come_back_as_such(path):
    for example in (None, (1, 3)):
        fnn.save(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), path, example=example)
        assert type(fnn.load(path)) is nn.Sequential

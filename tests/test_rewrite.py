"""fnn.rewrite: the same numbers from fewer calls."""

import numpy as np
import pytest
from test_trace import MODELS, flat, made, same

import fastnn as fnn
from fastnn import nn


def ops_of(graph):
    return [call.op.name for call in graph.calls]


def normed(model, rng):
    """The model in eval mode, with running statistics and weights of norms that are not trivial."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean[:] = rng.standard_normal(module.num_features)
            module.running_var[:] = rng.uniform(0.5, 2, module.num_features)
            if module.affine:
                module.weight.data = rng.standard_normal(module.num_features)
                module.bias.data = rng.standard_normal(module.num_features)
    return model.eval()


def close(graph, model, x):
    np.testing.assert_allclose(np.asarray(graph(x)), model(x).detach(), rtol=1e-4, atol=1e-5)


FOLDED = {
    "conv2d": (nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6), (2, 3, 5, 4)),
    "conv2d without bias": (nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), (2, 3, 5, 4)),
    "conv1d": (nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6, affine=False), (2, 3, 5)),
    "linear": (nn.Linear(3, 6), nn.BatchNorm1d(6, eps=0.5), (4, 3)),
    "conv_transpose2d": (nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), (2, 4, 5, 4)),
    "conv_transpose1d": (nn.ConvTranspose1d(4, 6, 3), nn.BatchNorm1d(6), (2, 4, 5)),
}


@pytest.mark.parametrize("name", FOLDED)
def test_norms_are_folded(rng, name):
    first, norm, shape = FOLDED[name]
    model = normed(nn.Sequential(first, norm, nn.ReLU(), nn.Dropout(0.5)), rng)
    graph = fnn.rewrite(fnn.trace(model, shape))
    graph.verify()
    assert ops_of(graph) == [name.split()[0], "relu"]
    close(graph, model, rng.standard_normal(shape).astype(np.float32))
    assert graph.free == fnn.trace(model, shape).free


def test_a_chain_of_norms_is_folded(rng):
    model = normed(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)), rng)
    graph = fnn.rewrite(fnn.trace(model, (1, 1, 5, 5)))
    assert ops_of(graph) == ["conv2d"]
    close(graph, model, rng.standard_normal((1, 1, 5, 5)).astype(np.float32))


def test_a_norm_that_has_a_relu_already(rng):
    model = normed(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), rng)
    norm = model[1]

    def function(x):
        return fnn.ops.batchnorm(model[0](x), norm.running_mean, norm.running_var, norm.weight, norm.bias, relu=True)

    x = rng.standard_normal((5, 3)).astype(np.float32)
    graph = fnn.rewrite(fnn.trace(function, x.shape))
    assert ops_of(graph) == ["linear", "relu"]
    np.testing.assert_allclose(np.asarray(graph(x)), function(x).detach(), rtol=1e-4, atol=1e-5)


def test_norm_and_relu_are_joined_to_the_bit(rng):
    model = normed(nn.Sequential(nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten()), rng)
    x = rng.standard_normal((2, 3, 6, 6)).astype(np.float32)
    graph = fnn.rewrite(fnn.trace(model, x.shape))
    graph.verify()
    assert ops_of(graph) == ["maxpool2d", "batchnorm", "flatten"]
    assert graph.calls[1].attributes["relu"]
    same(graph(x), model(x))


def test_in_training_norms_and_dropout_stay(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    graph = fnn.rewrite(fnn.trace(model, (5, 3)))
    assert ops_of(graph) == ["linear", "batchnorm", "dropout"]


def test_what_others_read_stays(rng):
    conv, norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
    normed(nn.Sequential(conv, norm), rng)

    def added(x):
        y = conv(x)
        return norm(y) + y

    def returned(x):
        z = norm(fnn.ops.tanh(x))
        return fnn.ops.relu(z), z

    x = rng.standard_normal((2, 1, 5, 5)).astype(np.float32)
    graph = fnn.rewrite(fnn.trace(added, x.shape))
    assert ops_of(graph) == ["conv2d", "batchnorm", "add"]
    same(graph(x), added(x))
    x = rng.standard_normal((2, 3, 5, 5)).astype(np.float32)
    graph = fnn.rewrite(fnn.trace(returned, x.shape))
    assert ops_of(graph) == ["tanh", "batchnorm", "relu"]
    same(graph(x), returned(x))


def test_a_norm_over_another_axis_than_the_features(rng):
    model = normed(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(5)), rng)
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    graph = fnn.rewrite(fnn.trace(model, x.shape))
    assert ops_of(graph) == ["linear", "batchnorm"]
    same(graph(x), model(x))


def test_the_input_of_dropout_is_returned(rng):
    graph = fnn.rewrite(fnn.trace(nn.Dropout(0.5).eval(), (2, 3)))
    assert not graph.calls
    x = rng.standard_normal((2, 3)).astype(np.float32)
    np.testing.assert_array_equal(graph(x), x)


def test_the_graph_itself_is_left_as_it_was(rng):
    model = normed(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()), rng)
    graph = fnn.trace(model, (5, 3))
    text = str(graph)
    fnn.rewrite(graph)
    assert str(graph) == text
    graph.verify()


@pytest.mark.parametrize("name", MODELS)
def test_models_rewritten(rng, name):
    model, inputs = made(name, rng)
    graph = fnn.trace(model, *inputs)
    rewritten = fnn.rewrite(graph)
    rewritten.verify()
    tensors = [fnn.Tensor(x) if x.dtype.kind == "f" else x for x in inputs]
    for a, b in zip(flat(rewritten(*tensors)), flat(model(*tensors)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)

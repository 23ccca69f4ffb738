"""fnn.rewrite: the same numbers from fewer calls."""

import numpy as np
import pytest
from traced import MODELS, flat, made, same

import fastnn as fnn
from fastnn import nn
from fastnn.files.graphs import build_graph, describe_graph
from fastnn.graph.algorithms import algorithms


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
    op = name.split()[0]
    assert ops_of(graph) == ([op, "relu"] if op.startswith("conv_transpose") else [op])
    assert graph.calls[0].attributes.get("relu", False) != op.startswith("conv_transpose")
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
    assert ops_of(graph) == ["linear"]
    assert graph.calls[0].attributes["relu"]
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


class Block(nn.Module):
    """As in a ResNet."""

    def __init__(self, c, k, stride=1):
        self.one, self.first = nn.Conv2d(c, k, 3, stride, 1, bias=False), nn.BatchNorm2d(k)
        self.two, self.second = nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k)
        self.down = nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k)) if stride > 1 else None

    def forward(self, x):
        y = self.second(self.two(self.first(self.one(x)).relu()))
        return (y + (x if self.down is None else self.down(x))).relu()


def test_a_residual_network_is_convolutions_alone(rng):
    model = normed(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), Block(16, 16), Block(16, 20, 2)), rng)
    graph = fnn.trace(model, (1, 3, 12, 13))
    rewritten = fnn.rewrite(graph)
    rewritten.verify()
    assert ops_of(rewritten) == ["conv2d"] * 6
    assert [(len(call.inputs), call.attributes.get("relu", False)) for call in rewritten.calls] == [
        (3, False),
        (3, True),
        (4, True),
        (3, True),
        (3, False),
        (4, True),
    ]
    for shape in ((1, 3, 12, 13), (2, 3, 21, 17)):
        x = rng.standard_normal(shape).astype(np.float32)
        np.testing.assert_allclose(rewritten(x).numpy(), model(x).detach(), rtol=1e-3, atol=1e-4)


def test_joined_without_norms_the_bits_stay(rng):
    class Plain(nn.Module):
        def __init__(self):
            self.one, self.two = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
            self.head = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))

        def forward(self, x):
            y = (x + self.two(self.one(x).relu())).relu()
            return self.head(y.mean(axis=(2, 3)))

    model = Plain().eval()
    graph = fnn.rewrite(fnn.trace(model, (1, 4, 7, 8)))
    assert ops_of(graph) == ["conv2d", "conv2d", "mean", "linear", "linear"]
    for shape in ((1, 4, 7, 8), (3, 4, 7, 8)):
        x = rng.standard_normal(shape).astype(np.float32)
        same(graph(x), model(x))


def test_what_is_broadcast_is_no_residual(rng):
    """Of the output's shape for one sample, but not for two."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    place = fnn.Tensor(rng.standard_normal((1, 4, 5, 5)).astype(np.float32))
    x = rng.standard_normal((1, 3, 5, 5)).astype(np.float32)
    for function in (lambda x: conv(x) + place, lambda x: conv(x) + conv(x).mean(0, keepdim=True)):
        graph = fnn.rewrite(fnn.trace(function, x.shape))
        assert "add" in ops_of(graph)
        two = np.concatenate([x, x + 1])
        same(graph(two), function(two))


def test_what_is_read_elsewhere_is_not_joined(rng):
    conv = nn.Conv2d(3, 4, 3, padding=1)

    def twice(x):
        y = conv(x)
        return y + y

    def returned(x):
        y = conv(x)
        return y.relu(), y

    def own(x):
        y = conv(x)
        return y + y.tanh()

    x = rng.standard_normal((2, 3, 5, 5)).astype(np.float32)
    for function, ops in ((twice, ["add"]), (returned, ["relu"]), (own, ["tanh", "add"])):
        graph = fnn.rewrite(fnn.trace(function, x))
        assert ops_of(graph) == ["conv2d", *ops]
        for a, b in zip(flat(graph(x)), flat(function(x)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_nobody_reads_is_left_out(rng):
    model = nn.GRU(3, 4, 2)
    graph = fnn.rewrite(fnn.trace(lambda x: model(x)[0], (5, 2, 3)))
    assert ops_of(graph) == ["gru", "gru"]

    def drops(x):
        fnn.ops.dropout(x, training=True)  # draws from the generator
        fnn.ops.exp(x)
        return x * 2

    assert ops_of(fnn.rewrite(fnn.trace(drops, (2, 3)))) == ["dropout", "mul"]


def test_algorithms_are_pinned(rng):
    """At the traced shape to the bit what is chosen there; elsewhere the same algorithms."""
    model = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ConvTranspose2d(16, 3, 4, 2), nn.Conv2d(3, 8, 5))
    small, large = (1, 16, 8, 8), (2, 16, 29, 31)
    graph = fnn.trace(model, small)
    rewritten = fnn.rewrite(graph)
    chosen = [algorithms(graph, call) for call in graph.calls]
    assert [call.attributes["algorithm"] for call in rewritten.calls] == chosen
    assert "Winograd" in chosen[0][0]
    x = rng.standard_normal(small).astype(np.float32)
    gradients = []
    for compute in (model, rewritten):
        tensor = fnn.Tensor(x, requires_grad=True)
        model.zero_grad()
        y = compute(tensor)
        y.sum().backward()
        gradients.append([fnn.Tensor(a) for a in (y.numpy(), tensor.grad, *[p.grad for p in model.parameters()])])
    same(*gradients)
    again = fnn.rewrite(fnn.trace(rewritten, small))
    assert [call.attributes["algorithm"] for call in again.calls] == chosen
    x = rng.standard_normal(large).astype(np.float32)
    np.testing.assert_allclose(rewritten(x).numpy(), model(x).detach(), rtol=1e-4, atol=1e-5)
    assert [algorithms(rewritten, call) for call in rewritten.calls] == chosen


def test_a_part_gives_the_bits_of_the_whole(rng):
    """Whatever part is traced."""
    model = nn.Sequential(nn.Conv1d(4, 20, 3), nn.ReLU(), nn.Conv1d(20, 6, 2)).eval()
    whole = rng.standard_normal((1, 4, 40)).astype(np.float32)
    for length in (5, 9, 40):
        graph = fnn.rewrite(fnn.trace(model, (1, 4, length)))
        want = graph(whole).numpy()
        for size in (5, 7, 23):
            for start in (0, 3, 11):
                part = graph(whole[:, :, start : start + size]).numpy()
                np.testing.assert_array_equal(part, want[:, :, start : start + size - 3])


def test_algorithms_of_another_machine_are_let_go(rng):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    graph = fnn.rewrite(fnn.trace(model, (1, 3, 5, 5)))
    call = graph.calls[0]
    for ways in (("fast", None, None), (None, "fast", None), "fast"):
        graph.calls[0] = call._replace(attributes={**call.attributes, "algorithm": ways})
        data, arrays = describe_graph(nn.GraphModule(graph))
        again = build_graph(data, arrays)
        assert "algorithm" not in again.graph_of(training=False).calls[0].attributes
        x = rng.standard_normal((1, 3, 5, 5)).astype(np.float32)
        same(again(x), model(x))

"""Models of a class of the user's in files: saved with an example, they come back as graphs, without their code."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from cases import CASES
from models import LAYERS, First, assert_same_output, assert_same_state
from traced import MODELS, made, same

import fastnn as fnn
from fastnn import nn
from fastnn.files.checkpoint import CheckpointError
from fastnn.nn import functional as F

GENERATOR = np.random.default_rng(0)


def reloaded(model, path, *inputs):
    fnn.save(model, path, example=tuple(inputs))
    return fnn.load(path)


class Wrapped(nn.Module):
    def __init__(self, inner):
        self.inner = inner
        self.batch_axis = inner.batch_axis

    def forward(self, *inputs):
        return self.inner(*inputs)


class Network(nn.Module):
    """Normalisation, dropout by a layer, by a function and between layers, a table, a constant, what is not read."""

    def __init__(self):
        self.conv, self.norm, self.dropout = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.4)
        self.table, self.rnn = nn.Embedding(7, 4), nn.LSTM(4, 5, 2, batch_first=True, dropout=0.3)
        self.spare, self.head = nn.Linear(2, 2), nn.Linear(5, 7, bias=False)
        self.scale = nn.Parameter(np.full(1, 0.5, np.float32))
        self.register_buffer("places", np.arange(4, dtype=np.float32), persistent=False)
        self.register_buffer("steps", np.array(3))

    def forward(self, x, ids):
        y = self.dropout(F.relu(self.norm(self.conv(x)))).mean(axis=(2, 3)) * self.scale + self.places
        steps, _ = self.rnn(self.table(ids) + y.unsqueeze(1) * np.linspace(0, 1, 4, dtype=np.float32))
        return self.head(F.dropout(steps[:, -1], 0.2, training=self.training))


class Tied(nn.Module):
    def __init__(self):
        self.table, self.head, self.again = nn.Embedding(7, 3), nn.Linear(3, 7), nn.BatchNorm1d(3)
        self.head.weight = self.table.weight
        self.norm = self.again

    def forward(self, ids):
        return self.head(self.norm(self.again(self.table(ids))))


def network(rng, samples=4):
    fnn.manual_seed(3)
    inputs = rng.standard_normal((samples, 1, 5, 6)).astype(np.float32), rng.integers(0, 7, (samples, 3))
    return Network(), inputs


FRESH = """
import sys, json, numpy as np, fastnn as fnn
folder, names = sys.argv[1], json.loads(sys.argv[2])
def flat(y):
    if isinstance(y, dict): y = list(y.values())
    if isinstance(y, (tuple, list)): return [a for part in y for a in flat(part)]
    return [np.asarray(y.numpy() if isinstance(y, fnn.Tensor) else y)]
for number in names:
    model = fnn.load(f"{folder}/{number}.safetensors")
    assert type(model) is fnn.nn.GraphModule
    assert "models" not in sys.modules
    for case in ("example", "other"):
        arrays = dict(np.load(f"{folder}/{number}.{case}.npz"))
        given = [arrays[f"x{i}"] for i in range(sum(name[0] == "x" for name in arrays))]
        got = flat(model(*given))
        want = [arrays[f"y{i}"] for i in range(len(arrays) - len(given))]
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (names[number], case)
"""


def test_every_layer_in_a_class_that_the_reader_does_not_know(tmp_path):
    """Also on other values, and on three times as many samples where the trace is free in these."""
    names, rng = {}, np.random.default_rng(4)
    layers = [(name, *LAYERS[name]) for name in LAYERS if LAYERS[name][1] is not None]
    layers += [("network", Network, lambda rng: network(rng)[1]), ("tied", Tied, lambda rng: [rng.integers(0, 7, 5)])]
    for number, (name, make, inputs) in enumerate(layers):
        fnn.manual_seed(1)
        model, given = Wrapped(make()).eval(), [np.asarray(x) for x in inputs(rng)]
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean[:], module.running_var[:] = rng.standard_normal(module.num_features), 2
        fnn.save(model, tmp_path / f"{number}.safetensors", example=tuple(given))
        other = [np.asarray(x) for x in inputs(rng)]
        graph = fnn.trace(model, *given)
        if all((i, min(model.batch_axis, x.ndim - 1)) in graph.free for i, x in enumerate(given)):
            other = [np.concatenate([x] * 3, min(model.batch_axis, x.ndim - 1)) for x in other]
        for case, arrays in (("example", given), ("other", other)):
            outputs = [np.asarray(y.numpy() if isinstance(y, fnn.Tensor) else y) for y in flat(model(*arrays))]
            named = {f"x{i}": x for i, x in enumerate(arrays)} | {f"y{i}": y for i, y in enumerate(outputs)}
            np.savez(tmp_path / f"{number}.{case}.npz", **named)
        names[number] = name
    assert len(names) == len(layers) >= len(LAYERS)
    subprocess.run([sys.executable, "-c", FRESH, str(tmp_path), json.dumps(names)], check=True)


def flat(output):
    if isinstance(output, dict):
        output = list(output.values())
    return [leaf for part in output for leaf in flat(part)] if isinstance(output, (tuple, list)) else [output]


@pytest.mark.parametrize("name", MODELS)
def test_models_of_other_tests(rng, name, path):
    model, inputs = made(name, rng)
    if not isinstance(model, nn.Module):
        return
    again = reloaded(Wrapped(model).eval(), path, *inputs)
    same(again(*inputs), model(*inputs))
    assert_same_state(again.state_dict(), Wrapped(model).state_dict())


@pytest.mark.parametrize("name", CASES)
def test_every_op(name, path):
    case = CASES[name]
    arrays = case.arrays(np.random.default_rng(2))
    model = nn.GraphModule(fnn.trace(lambda *xs: case.op(*xs, **case.options), *arrays))
    fnn.save(model, path)
    again = fnn.load(path)
    assert str(again) == str(model)
    fresh = case.arrays(np.random.default_rng(7))
    assert_same_output(again(*fresh), case.op(*case.arrays(np.random.default_rng(7)), **case.options))


def test_a_loaded_graph_goes_on_training_like_the_model(rng, path):
    """Losses, gradients, running statistics and dropout of both, step by step, are the same bits."""
    model, inputs = network(rng)
    again = reloaded(model, path, *[x[:1] for x in inputs])
    labels = rng.integers(0, 7, len(inputs[0]))
    assert not again.training
    results = []
    for trained in (model, again):
        fnn.manual_seed(9)
        optimizer = fnn.optim.Adam(trained.train().parameters(), lr=0.01)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = fnn.ops.cross_entropy(trained(*inputs), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results.append(losses)
    assert results[0] == results[1]
    assert len({*results[0]}) == 4
    assert_same_state(model.state_dict(), again.state_dict())
    assert again.norm.num_batches_tracked == 4
    assert_same_output(model.eval()(*inputs), again.eval()(*inputs))
    fnn.save(again, path)
    assert_same_output(fnn.load(path)(*inputs), model(*inputs))


def test_fit_and_predict(rng, path):
    model, inputs = network(rng, 12)
    again = reloaded(model, path, *inputs)
    labels = rng.integers(0, 7, 12)
    for trained in (model, again):
        fnn.manual_seed(5)
        trained.spare.requires_grad_(False)
        fnn.fit(trained, inputs, labels, loss="cross_entropy", epochs=2, batch_size=5, progress=False)
    assert_same_state(model.state_dict(), again.state_dict())
    np.testing.assert_array_equal(again.predict(inputs, batch_size=5), model.predict(inputs))


def test_what_it_is(rng, path):
    model, inputs = network(rng)
    again = reloaded(model, path, *inputs)
    assert list(again.state_dict()) == list(model.state_dict())
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert [name for name, _ in again.named_buffers()] == [name for name, _ in model.named_buffers()]
    shapes = (1, 5, 6), (3,)
    ours, theirs = again.summary(shapes), model.summary(shapes)
    assert [row for row in ours.rows if row.name != "spare"] == [row for row in theirs.rows if row.name != "spare"]
    assert ours.parameters == theirs.parameters
    costs = fnn.explain(again, tuple(x.shape for x in inputs))
    assert [cost.name for cost in costs] == [cost.name for cost in fnn.explain(model, tuple(x.shape for x in inputs))]
    assert str(fnn.trace(again, *inputs)) == str(fnn.trace(model.eval(), *inputs))
    assert "lstm(" in repr(again)


def test_the_file(rng, path, tmp_path):
    model, inputs = network(rng)
    again = reloaded(model, path, *inputs)
    assert_same_state(fnn.load_state(path), dict(sorted(model.state_dict().items())))
    model.load_state_dict(fnn.load_state(path))
    other = tmp_path / "other.safetensors"
    for writer in (again, copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        fnn.save(writer, other)
        assert other.read_bytes() == path.read_bytes()
    arrays = safetensors.numpy.load_file(path)
    constants = [name for name in arrays if name not in model.state_dict()]
    assert sorted(constants) == ["constant~0", "places"]  # each once, though two graphs hold them


def test_shared_parameters_stay_shared(rng, path):
    model, ids = Tied(), rng.integers(0, 7, (5,))
    again = reloaded(model, path, ids)
    assert again.table.weight is again.head.weight
    assert again.norm.weight is again.again.weight
    assert len(list(again.parameters())) == len(list(model.parameters())) == 4
    assert_same_state(again.state_dict(), model.state_dict())
    for trained in (model, again):
        trained.train()(ids).sum().backward()
    assert_same_output(again.table.weight.grad, model.table.weight.grad)
    assert_same_state(again.state_dict(), model.state_dict())  # the statistics, moved twice


def test_parameters_may_be_replaced_and_modules_not(rng, path):
    model, inputs = network(rng)
    again = reloaded(model, path, *inputs)
    weight = rng.standard_normal((7, 5)).astype(np.float32)
    again.head.weight, model.head.weight = nn.Parameter(weight), nn.Parameter(weight)
    again.norm.running_var = model.norm.running_var = np.full(4, 3, np.float32)
    assert_same_output(again(*inputs), model.eval()(*inputs))
    for wrong in (
        lambda: setattr(again, "head", nn.Linear(5, 7)),
        lambda: delattr(again, "head"),
    ):
        with pytest.raises(TypeError, match="GraphModule: "):
            wrong()
    twin = copy.copy(again)
    twin.scale = nn.Parameter(np.zeros(1, np.float32))
    assert not np.array_equal(twin(*inputs).numpy(), again(*inputs).numpy())
    other = Network()
    again.load_state_dict(other.state_dict())
    assert_same_output(again(*inputs), other.eval()(*inputs))


@pytest.mark.parametrize("example", [(2, 3), ((2, 3),), [2, 3], np.ones((2, 3)), (np.ones((2, 3)),)])
def test_examples(path, example):
    fnn.save(Wrapped(nn.Linear(3, 4)), path, example=example)
    assert fnn.load(path)(np.ones((9, 3))).shape == (9, 4)


def test_samples_that_are_read_as_time_are_not_cut(rng, path):
    """First has batch_axis 0, its LSTM has samples on axis 1: predict runs all at once, as with the class itself."""
    model = First(nn.LSTM(3, 4))
    x = rng.standard_normal((600, 2, 3)).astype(np.float32)
    again = reloaded(model, path, x[:5])
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    for one in (model, again):
        with pytest.raises(ValueError, match="reads samples as time"):
            one.predict(x, batch_size=100)


def test_inside_of_other_models(rng, path):
    model, inputs = network(rng)
    trunk = reloaded(model, path, *inputs)

    class Outer(nn.Module):
        def __init__(self):
            self.trunk, self.head = trunk, nn.Linear(7, 2)

        def forward(self, x, ids):
            return self.head(self.trunk(x, ids))

    outer = Outer().eval()
    want = outer.head(model.eval()(*inputs))
    assert_same_output(outer(*inputs), want)
    graph = fnn.trace(outer, *inputs)
    assert "trunk.rnn.weight_hh_l1" in graph.names.values()
    assert {call.scope for call in graph.calls} >= {"trunk.rnn", "head"}
    assert_same_output(reloaded(outer, path, *inputs)(*inputs), want)
    fnn.save(nn.Sequential(trunk), path)
    with pytest.raises(CheckpointError, match="example"):
        fnn.load(path)


def test_rewritten_graphs_are_models_too(rng, path):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)).eval()
    x = rng.standard_normal((2, 1, 6, 5)).astype(np.float32)
    fnn.save(nn.GraphModule(fnn.rewrite(fnn.trace(model, x))), path)
    np.testing.assert_allclose(fnn.load(path).predict(x), model.predict(x), rtol=1e-5, atol=1e-6)

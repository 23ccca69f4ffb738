"""Models of a class of the user's in files: saved with an example, they come back as graphs, without their code."""

import copy
import json
import pickle
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from cases import CASES
from models import LAYERS, First, assert_same_output, assert_same_state
from test_trace import MODELS, made, same

import fastnn as fnn
from fastnn import nn
from fastnn.files import checkpoint
from fastnn.files.checkpoint import CheckpointError
from fastnn.files.graphs import build_graph, describe_graph
from fastnn.nn import functional as F

GENERATOR = np.random.default_rng(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


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
        (lambda net, y: y if y.sum() > 0 else -y, r"the comparison .* at .*test_graph_files\.py, line"),
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

    for model, reason in ((Sampling(), "random numbers of its own"), (Branching(), "the comparison")):
        with pytest.raises(fnn.TraceError, match=reason):
            fnn.save(model, path, example=np.ones((2, 3), np.float32))
    with pytest.raises(TypeError, match="save: a object is neither an array nor plain data"):
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


# Files that lie


def parts_of(data, path=()):
    yield path
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from parts_of(data[key], (*path, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


_ODD = [-(2**63), -7, -1, 0, 1, 2, 3, 100, 2**31, 2**62, 2**70, 1.5, float("nan"), True, False, None, "", "x", "sum"]
_ODD += ["int64", [], {}, [1], {"ref": 0}, {"ref": 10**6}, {"size": [1, 5, 0]}, {"size": [2**61, 0, 0]}, {"list": [1]}]
_ODD += [{"tuple": []}, {"tuple": [1, 2]}, {"float": "inf"}, {"dict": [[1]]}]


def changed(data, draw):
    """The data with one to three parts replaced, added, left out, or put in the place of others."""
    data = copy.deepcopy(data)
    for _ in range(draw.choice([1, 1, 2, 3])):
        paths = [path for path in parts_of(data) if path]
        *outer, key = draw.choice(paths)
        where, what = at(data, outer), draw.randrange(4)
        if what == 0 or isinstance(where, dict):
            where[key] = copy.deepcopy(draw.choice(_ODD))
        elif what == 1:
            where.insert(key, copy.deepcopy(draw.choice(_ODD)))
        elif what == 2:
            del where[key]
        else:
            where[key] = copy.deepcopy(at(data, draw.choice(paths)))
    return data


def test_random_changes_are_refused_or_give_a_graph(rng):
    """Whatever the JSON says: refused when it is read, or a model, whose calls work or raise an error."""
    draw = random.Random(int(rng.integers(2**31)))
    model, inputs = network(rng)
    models = [(model, inputs)]
    for case in CASES.values():
        arrays = case.arrays(np.random.default_rng(2))
        graph = fnn.trace(lambda *xs, case=case: case.op(*xs, **case.options), *arrays)
        models.append((nn.GraphModule(graph), arrays))
    refused, worked = 0, 0
    for model, inputs in models:
        data, arrays = describe_graph(checkpoint.traced(model, tuple(inputs)))
        data = json.loads(json.dumps(data))
        for _ in range(20 if len(inputs) < 2 else 40):
            try:
                again = build_graph(changed(data, draw), arrays)
            except (ValueError, TypeError):
                refused += 1
                continue
            try:
                again(*inputs)
            except (ValueError, TypeError, IndexError, MemoryError, OverflowError):
                continue
            worked += 1
    assert refused > 1000
    assert worked > 10


def forged(path, change):
    """Changes the record of a file and puts the right checksum in."""
    arrays = safetensors.numpy.load_file(path)
    record = json.loads(checkpoint._header(path.read_bytes())[checkpoint._KEY])
    change(record["graph"])
    record["sha256"] = checkpoint._digest(record, arrays)
    path.write_bytes(safetensors.numpy.save(arrays, {checkpoint._KEY: json.dumps(record)}))


def deep(levels):
    nest = None
    for _ in range(levels):
        nest = {"tuple": [nest]}
    return nest


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        (("serving", "calls", 0, 0), "eval", "no op: 'eval'"),
        (("serving", "calls", 0, 0), "conv_transpose2d", "conv_transpose2d"),
        (("serving", "calls", 0, 1, 0), 99, "no input of a call: 99"),
        (("serving", "calls", 0, 1, 0), -1, "no input of a call: -1"),
        (("serving", "calls", 0, 2, 0), "object", "no dtype of an input: 'object'"),
        (("serving", "calls", 0, 3), {"dict": []}, "a call of conv2d does not fit"),
        (("serving", "calls", 0, 3, "dict", 0, 1), {"tuple": [1, "x"]}, "conv2d does not take stride"),
        (("serving", "calls", 0, 3, "dict", 0, 1), {"tuple": [0, 0]}, "division"),
        (("serving", "calls", 0, 3, "dict", 3, 1), 2**63, "no part of a nest"),
        (("serving", "calls", 0, 4, 0), 0, "which exist already"),
        (("serving", "outputs"), {"ref": 10**9}, "no nest: 1000000000"),
        (("serving", "outputs"), deep(40), "no part of a nest"),
        (("serving", "values", 0, 0), [2, 1, 2**40, 2**40], "no array can have the shape"),
        (("serving", "values", 0, 0), [2, 3, 5, 6], "conv2d: x"),
        (("serving", "free"), [[0, 4]], "no axis of an input"),
        (("serving", "held", 0, 2), "head.bias", "no array 'head.bias'"),
        (("serving", "held", 0, 1), "array", "no array"),
        (("serving", "visits", 0, 5), 10**6, "no calls of a visit"),
        (("state", 0, 0), "a." * 200 + "weight", "is no array of the file"),
        (("state", 0, 1), 1, "no entry of a state"),
        (("ties",), [["scale", "head.weight"]], "are one in the model, but differ"),
        (("batch_axis",), -1, "no axis or reason"),
        (("training",), {}, "no values"),
        (("training",), "x", "no object: 'x'"),
    ],
)
def test_forged_files(rng, path, where, value, reason):
    model, inputs = network(rng)
    fnn.save(model, path, example=inputs)

    def change(data):
        at(data, where[:-1])[where[-1]] = value

    forged(path, change)
    with pytest.raises(CheckpointError, match=re.escape(reason)) as caught:
        fnn.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["training", "forward", "eval", "_serving", "num_embeddings", "a.state_dict", "a..b", ""]
)
def test_names_that_would_hide_something(path, name):
    model = nn.GraphModule(fnn.trace(nn.Linear(3, 4, bias=False), (1, 3)))
    data, arrays = describe_graph(model)
    text = json.dumps(data).replace('"weight"', json.dumps(name))
    with pytest.raises(ValueError, match="GraphModule: the name"):
        build_graph(json.loads(text), {name: arrays["weight"]})


def test_parts_of_lists_are_counted_before_they_are_made(path):
    """A graph whose input is said to be long must not make as many shapes."""
    for function in (lambda x: x.unbind(0), lambda x: x.split(1), lambda x: x.chunk(2)):
        data, arrays = describe_graph(nn.GraphModule(fnn.trace(function, (2, 3))))
        data["serving"]["values"][0][0] = [10**12, 3]
        with pytest.raises(ValueError, match=r"too few outputs|but the graph says"):
            build_graph(json.loads(json.dumps(data).replace('["chunks", 2]', f'["chunks", {10**12}]')), arrays)

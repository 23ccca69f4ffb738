"""fnn.trace: graphs that give to the bit what the model does, from shapes alone or from data, or an error."""

import copy
import inspect
import tracemalloc

import numpy as np
import pytest
from cases import CASES
from models import LAYERS, First, plain, small_model
from streams import single_options
from toys import Characters, tiny_cnn

import fastnn as fnn
from fastnn import nn
from fastnn.graph import Value
from fastnn.nn import functional as F

NONE = ("ModuleDict", "ModuleList")  # have no forward


class Residual(nn.Module):
    def __init__(self, width):
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.norm, self.scale = nn.BatchNorm2d(width), nn.Parameter(np.full((width, 1, 1), 0.5, np.float32))

    def forward(self, x):
        return F.relu(self.norm(self.second(F.relu(self.first(x)))) * self.scale + x)


class Tagger(nn.Module):
    """Two inputs, a state handed on, and a dict of outputs."""

    def __init__(self):
        self.embedding, self.rnn = nn.Embedding(7, 5), nn.LSTM(5, 4, bidirectional=True, batch_first=True)
        self.head, self.register = nn.Linear(8, 3), nn.GRUCell(2, 3)

    def forward(self, ids, features):
        y, (h, _) = self.rnn(self.embedding(ids))
        first, second = h
        state = self.register(features, first[:, :3])
        return {"tags": self.head(y).log_softmax(-1), "state": (state, second.detach() * 2), "best": y.max(1)}


class Attention(nn.Module):
    def __init__(self):
        self.q, self.k, self.v = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = np.exp(q @ k.transpose(1, 2) / np.sqrt(4))
        mixed = (scores / scores.sum(-1, keepdim=True)) @ v
        return np.concatenate([mixed, mixed.mean(1, keepdim=True)], axis=1).view(x.shape[0], -1)


def draw(*shapes):
    return lambda rng: [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def ids(*shape):
    return lambda rng: [rng.integers(0, 7, shape)]


MODELS = {
    "attention": (Attention, draw((2, 5, 6))),
    "characters": (lambda: Characters(7), ids(2, 5)),
    "cnn": (tiny_cnn, draw((2, 1, 8, 8))),
    "first": (lambda: nn.Sequential(nn.Embedding(7, 3), First(nn.GRU(3, 4, 2)), nn.Linear(4, 2)), ids(5, 2)),
    "residual": (lambda: nn.Sequential(nn.Conv2d(1, 4, 1), Residual(4), Residual(4)), draw((2, 1, 5, 5))),
    "small": (small_model, draw((2, 1, 4, 4))),
    "tagger": (Tagger, lambda rng: [*ids(2, 5)(rng), *draw((2, 2))(rng)]),
    **{name: layer for name, layer in LAYERS.items() if layer[1] is not None},
    **{
        f"{kind.__name__}{options}": (lambda kind=kind, options=options: kind(3, 4, **options), draw((5, 2, 3)))
        for kind, options in single_options()
    },
    "bidirectional": (lambda: nn.LSTM(3, 4, 2, bidirectional=True), draw((5, 2, 3))),
    "with state": (
        lambda: (lambda gru: lambda x, h: gru(x, h))(nn.GRU(3, 4, batch_first=True)),
        draw((2, 5, 3), (1, 2, 4)),
    ),
    "one sequence": (lambda: nn.RNN(3, 4), draw((5, 3))),
    "function": (lambda: lambda x, y: (F.relu(x @ y), F.softmax(x - 1, dim=0), 2 / (abs(y) + 1)), draw((3, 4), (4, 2))),
    "transposed ids": (lambda: (lambda table: lambda n: table(n.T))(nn.Embedding(7, 3)), ids(2, 5)),
    "returns its input": (lambda: lambda x: (x, x.view(6)), draw((2, 3))),
}


def made(name, rng):
    make, inputs = MODELS[name]
    fnn.manual_seed(5)
    model = make()
    if isinstance(model, nn.Module):
        model.eval()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean[:], module.running_var[:] = rng.standard_normal(module.num_features), 2
    return model, [np.asarray(x) for x in inputs(rng)]


def shapes_of(arrays):
    return [Value(x.shape, "float32" if x.dtype.kind == "f" else "int64") for x in arrays]


def flat(output):
    return [part for value in output.values() for part in flat(value)] if isinstance(output, dict) else plain(output)


def same(got, want):
    for a, b in zip(flat(got), flat(want), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("way", ["data", "shapes"])
@pytest.mark.parametrize("name", MODELS)
def test_a_graph_gives_what_the_model_gives(rng, name, way):
    model, inputs = made(name, rng)
    graph = fnn.trace(model, *(inputs if way == "data" else shapes_of(inputs)))
    graph.verify()
    other = [x if x.dtype.kind in "iu" else rng.standard_normal(x.shape).astype(np.float32) for x in inputs]
    for given in (inputs, other):
        tensors = [fnn.Tensor(x) if x.dtype.kind == "f" else x for x in given]
        want = model(*tensors)
        assert type(graph(*tensors)) is type(want)
        same(graph(*tensors), want)
        same(graph(*given), want)
    assert all(f" = {call.op.name}(" in str(graph) for call in graph.calls)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LAYERS])
def test_sizes_that_are_free(rng, name):
    """What is said to be free is; what is not is refused."""
    model, inputs = made(name, rng)
    graph = fnn.trace(model, *inputs)
    groups = {x.shape[getattr(model, "batch_axis", 0)] for x in inputs}
    places = [(i, axis) for i, x in enumerate(inputs) for axis in range(x.ndim)]
    for more in (1, 5):
        given = [np.concatenate([x] * (1 + more), getattr(model, "batch_axis", 0)) for x in inputs]
        if len(groups) == 1 and all((i, getattr(model, "batch_axis", 0)) in graph.free for i in range(len(inputs))):
            same(graph(*given), model(*given))
    for i, axis in places:
        given = list(inputs)
        given[i] = np.concatenate([inputs[i]] * 2, axis)
        if (i, axis) not in graph.free:
            with pytest.raises(ValueError, match=rf"graph: input {i} has shape .* traced with"):
                graph(*given)


@pytest.mark.parametrize("name", ["attention", "characters", "cnn", "residual", "tagger", "bidirectional", "Linear"])
def test_traced_at_one_sample_runs_at_seven(rng, name):
    model, inputs = made(name, rng)
    axis = getattr(model, "batch_axis", 0)
    graph = fnn.trace(model, *[np.take(x, [0], axis) for x in inputs])
    seven = [np.concatenate([x] * 4, axis).take(range(7), axis) for x in inputs]
    seven = [x if x.dtype.kind in "iu" else x * rng.standard_normal(x.shape).astype(np.float32) for x in seven]
    same(graph(*seven), model(*seven))


@pytest.mark.parametrize("name", CASES)
def test_every_op_in_a_function(rng, name):
    case = CASES[name]
    arrays = case.arrays(np.random.default_rng(2))
    graph = fnn.trace(lambda *xs: case.op(*xs, **case.options), *arrays)
    graph.verify()
    again = case.arrays(np.random.default_rng(2))
    same(graph(*arrays), case.op(*again, **case.options))


def test_nothing_is_allocated():
    with nn.init.blank():
        layer = nn.Linear(10**6, 10**6)
    weight, bias = layer.weight, layer.bias
    tracemalloc.start()
    try:
        counted = fnn.trace(layer, (64, 10**6))
        function = fnn.trace(F.linear, (10**5, 10**6), (10**6, 10**6), (10**6,))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert weight.size + bias.size == sum(counted.held[v].size for v in counted.names) == 10**12 + 10**6
    for graph, rows in ((counted, 64), (function, 10**5)):
        assert graph.values[graph.calls[0].outputs[0]] == ((rows, 10**6), "float32")
        graph.verify()


def test_parameters_are_those_of_the_model(rng):
    model, (x,) = made("residual", rng)
    graph = fnn.trace(model, x.shape)
    assert set(graph.names.values()) == {n for n in model.state_dict() if "num_batches" not in n} | {
        n for n in model.state_dict() if "num_batches" in n
    }
    before = graph(x).numpy()
    other, _ = made("residual", rng)
    model.load_state_dict({n: v * 2 for n, v in other.state_dict().items()})
    assert not np.array_equal(graph(x).numpy(), before)
    same(graph(x), model(x))
    graph(x).sum().backward()
    grads = [p.grad for p in model.parameters()]
    model.zero_grad()
    model(x).sum().backward()
    same([fnn.Tensor(g) for g in grads], [fnn.Tensor(p.grad) for p in model.parameters()])


def test_what_is_constant_is_kept(rng):
    buffer = np.ones(3, np.float32)

    def function(x):
        x = x + buffer
        buffer[:] = 5
        return x * buffer

    x = rng.standard_normal((2, 3)).astype(np.float32)
    graph = fnn.trace(function, x.shape)
    np.testing.assert_array_equal(graph(x), (x + 1) * 5)
    buffer[:] = 9
    np.testing.assert_array_equal(graph(x), (x + 1) * 5)
    np.testing.assert_array_equal(fnn.trace(lambda t: t + x, x)(x * 2), x * 3)  # x is a constant there, too


def test_constants_that_are_tensors(rng):
    shift, trained = fnn.Tensor([1.0, 2.0, 3.0]), fnn.Tensor([1.0, 1.0, 1.0], requires_grad=True)
    x = rng.standard_normal((2, 3)).astype(np.float32)
    graph = fnn.trace(lambda t: (t + shift) * trained + fnn.Tensor([0.5, 0.5, 0.5]), x.shape)
    assert graph.free == {(0, 0)}
    before = graph(x).numpy()
    shift.data[:] = 9
    np.testing.assert_array_equal(graph(x).numpy(), before)
    trained.data[:] = 0
    np.testing.assert_array_equal(graph(x).numpy(), np.full((2, 3), 0.5))
    count = np.array(2.0, np.float32)

    def function(t):
        t = t * count
        count[...] = 5
        return t * count

    graph = fnn.trace(function, x)
    count[...] = 7
    np.testing.assert_array_equal(graph(x), x * np.float32(2) * np.float32(5))


def test_what_a_model_keeps_between_calls_is_left(rng):
    class Stateful(nn.Module):
        def __init__(self):
            self.cell, self.state, self.calls = nn.GRUCell(3, 4), None, 0

        def forward(self, x):
            self.state, self.calls = self.cell(x, self.state), self.calls + 1
            return self.state

    model = Stateful()
    x = rng.standard_normal((2, 3)).astype(np.float32)
    first = model(x)
    graph = fnn.trace(model, x)
    assert model.state is first
    assert model.calls == 1
    same(graph(x), model(x))
    same(graph(x), graph(x))


def test_ops_on_constants_are_computed():
    """Also where nothing else is: NumPy may go on with what they give."""
    graph = fnn.trace(lambda x: x * float(np.sum(fnn.ops.exp([0.0, 0.0]))), (2,))
    assert [call.op.name for call in graph.calls] == ["mul"]
    np.testing.assert_array_equal(graph(np.ones(2)), [2, 2])


def test_text(rng):
    model, inputs = made("first", rng)
    assert (
        str(fnn.trace(model, *inputs)).splitlines()
        == """\
graph(x0: int64 (5*, 2*)):
  %2 = embedding(x0, 0.weight, padding_idx=None) -> (5, 2, 3)  # 0
  %7, %8 = gru(%2, None, 1.layer.weight_ih_l0, 1.layer.weight_hh_l0, 1.layer.bias_ih_l0, 1.layer.bias_hh_l0) -> \
(5, 2, 4), (1, 2, 4)  # 1.layer
  %13, %14 = gru(%7, None, 1.layer.weight_ih_l1, 1.layer.weight_hh_l1, 1.layer.bias_ih_l1, 1.layer.bias_hh_l1) -> \
(5, 2, 4), (1, 2, 4)  # 1.layer
  %15 = concatenate(%8, %14, dim=0) -> (2, 2, 4)  # 1.layer
  %18 = linear(%13, 2.weight, 2.bias) -> (5, 2, 2)  # 2
  return %18""".splitlines()
    )


def line_of(function):
    source, first = inspect.getsourcelines(function)
    return first + next(i for i, text in enumerate(source) if "# here" in text)


class Leaving:
    """Functions whose values leave the graph, each in the line that says so."""

    def branch(self, x):
        if x.sum() > 0:  # here
            return x
        return -x

    def truth(self, x):
        return x if x.sum() else -x  # here

    def number(self, x):
        return x * float(x.sum())  # here

    def integer(self, x):
        return x[int(x.sum()) :]  # here

    def item(self, x):
        return x * x.max().item()  # here

    def listed(self, x):
        return x + x.tolist()  # here

    def data(self, x):
        return x * x.data.max()  # here

    def numpy(self, x):
        return x.numpy() * 2  # here

    def as_array(self, x):
        return fnn.ops.relu(np.asarray(x))  # here

    def tensor_of(self, x):
        return fnn.Tensor(x) * 2  # here

    def copy_of(self, x):
        return fnn.tensor(x) * 2  # here

    def zeroed(self, x):
        y = x * 1
        return y.zero_()  # here

    def as_index(self, x):
        return x[[1, 0, 2][x.argmax(0)]]  # here

    def ufunc(self, x):
        return np.sin(x)  # here

    def array_function(self, x):
        return np.cumsum(x, 0)  # here

    def mask(self, x):
        return x * np.isnan(x)  # here

    def assignment(self, x):
        y = x + 1
        y[0] = 0  # here
        return y

    def added_in_place(self, x):
        y = x * 1
        y += x  # here
        return y

    def data_set(self, x):
        y = x * 1
        y.data = np.zeros(3)  # here
        return y

    def copied(self, x):
        return copy.deepcopy(x)  # here

    def backwards(self, x):
        x.sum().backward()  # here
        return x

    def number_of_an_op(self, x):
        return fnn.ops.leaky_relu(x, x[0])  # here

    def formatted(self, x):
        return x * float(f"{x.sum():.3f}")  # here


@pytest.mark.parametrize("way", ["data", "shapes"])
@pytest.mark.parametrize("name", [name for name in vars(Leaving) if not name.startswith("_")])
def test_what_cannot_be_traced_names_the_line(name, way):
    function = getattr(Leaving(), name)
    line = line_of(function)

    class Inside(nn.Module):
        def forward(self, x):
            return function(x)

    for traced in (function, nn.Sequential(nn.ReLU(), Inside())):
        with pytest.raises(fnn.TraceError, match=rf"trace: .* at .*test_trace\.py, line {line}, in {name}"):
            fnn.trace(traced, np.ones(3) if way == "data" else (3,))
    assert fnn.ops.relu(np.ones(2)).tolist() == [1, 1]  # nobody records any more


def test_a_parameters_data_leaves_too():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.ones(1))

        def forward(self, x):
            return x * self.scale.item()

    with pytest.raises(fnn.TraceError, match=r"x\.item\(\) at"):
        fnn.trace(Scaled(), (2,))


def test_views_behind_the_recorders_back():
    with pytest.raises(fnn.TraceError, match="a view by NumPy"):
        fnn.trace(lambda x: fnn.ops.relu(x * 2)._array[:1] + x, np.ones(3))


def test_ragged_lists(rng):
    parts = [rng.standard_normal((n, 3)).astype(np.float32) for n in (2, 5, 1)]
    model = nn.LSTM(3, 4, 2, bidirectional=True)
    with pytest.raises(ValueError, match=r"trace: input 0 is a list of arrays, .* ragged sequences"):
        fnn.trace(model, parts)
    graph = fnn.trace(lambda *xs: model(list(xs)), *[x.shape for x in parts])
    same(graph(*parts), model(parts))
    assert graph.names[graph.calls[2].inputs[3]] == "LSTM.weight_ih_l0"


def test_lengths_of_padded_sequences(rng):
    model = nn.GRU(3, 4, 2, bidirectional=True)
    x = rng.standard_normal((5, 4, 3)).astype(np.float32)
    graph = fnn.trace(lambda x, n: model(x, lengths=n), x, np.array([5, 2, 3, 1]))
    graph.verify()
    for lengths in ([5, 2, 3, 1], [1, 1, 4, 2], [2, 2, 2, 2]):
        same(graph(x, np.array(lengths)), model(x, lengths=lengths))
    with pytest.raises(fnn.TraceError, match="the sum of the values in lengths"):
        fnn.trace(lambda x, n: model(x, lengths=n), (5, 4, 3), Value((4,), "int64"))


def test_a_branch_on_a_size_is_not_free():
    def function(x):
        return x * 2 if len(x) < 500 else x

    graph = fnn.trace(function, (1, 3))
    assert graph.free == {(0, 1)}
    with pytest.raises(ValueError, match=r"input 0 has shape \(7, 3\), traced with \(1, 3\*\)"):
        graph(np.ones((7, 3)))


def test_sizes_that_may_differ_but_not_at_once():
    def function(x):
        return x * 2 if x.shape[0] > 3 and x.shape[1] > 3 else x * 3

    graph = fnn.trace(function, (2, 3))
    assert graph.free == {(0, 0)}
    np.testing.assert_array_equal(graph(np.ones((5, 3))), np.full((5, 3), 3))


def test_integers_where_an_op_wants_floats(rng):
    def function(n, x):
        return n.transpose(0, 1) * 0.5 * x + np.exp(n.transpose(0, 1))

    n, x = rng.integers(0, 3, (3, 2)), rng.standard_normal((2, 3)).astype(np.float32)
    graph = fnn.trace(function, n, x)
    graph.verify()
    same(graph(n, x), function(fnn.tensor(n), fnn.Tensor(x)))


def test_inputs_that_do_not_fit(rng):
    model, (x,) = made("cnn", rng)
    graph = fnn.trace(model, x)
    with pytest.raises(ValueError, match="graph: 2 inputs given, the graph has 1"):
        graph(x, x)
    with pytest.raises(TypeError, match="graph: input 0 has dtype int64, traced with float32"):
        graph(x.astype(int))
    with pytest.raises(ValueError, match=r"graph: input 0 has shape \(1, 8, 8\), traced with \(2\*, 1, "):
        graph(x[0])
    same(graph(x.astype(np.float64)), model(x))
    for wrong in ((), ((-1, 2),)):
        with pytest.raises(ValueError, match="trace: "):
            fnn.trace(model, *wrong)
    with pytest.raises(ValueError, match="conv2d"):
        fnn.trace(model, (2, 3, 8, 8))
    with pytest.raises(fnn.TraceError, match="a trace inside of a trace"):
        fnn.trace(lambda x: fnn.trace(nn.ReLU(), (2,)), (2,))


def test_the_model_is_left_as_it_was(rng):
    model, (x,) = made("residual", rng)
    model.train()
    state = model.state_dict()
    fnn.trace(model, x.shape)
    assert all(np.array_equal(state[name], value) for name, value in model.state_dict().items())
    assert model.training

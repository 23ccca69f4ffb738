"""fnn.trace: graphs that give to the bit what the model does, from shapes alone or from data, or an error."""

import tracemalloc

import numpy as np
import pytest
from cases import CASES
from models import LAYERS
from traced import MODELS, made, same, shapes_of

import fastnn as fnn
from fastnn import nn
from fastnn.graph import Value
from fastnn.nn import functional as F


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
    assert graph.free == {(0, 1)}  # two rows are never more than three
    np.testing.assert_array_equal(graph(np.ones((2, 5))), np.full((2, 5), 3))


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

"""Running a model does not write to it: not its modes, statistics or attributes, from however many threads."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
from models import LAYERS, First, assert_same_output, assert_same_state, plain

import fastnn as fnn
from fastnn import nn
from fastnn.graph.trace import record, tensors_of
from fastnn.nn.inputs import run
from fastnn.nn.mode import evaluation
from fastnn.tape import mode


def model():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4), nn.ReLU()),
    )


def attributes(module):
    return [{name: id(value) for name, value in vars(inner).items()} for inner in module.modules()]


def in_threads(count, work):
    """Runs work(i) in threads that start together; raises what they raised."""
    start, errors = threading.Barrier(count), []

    def one(i):
        try:
            start.wait()
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_eight_threads_on_one_model_in_training_mode(rng):
    net, x = model(), rng.standard_normal((20, 1, 6, 6)).astype(np.float32)
    net(x)
    net[1].eval()  # one of them not as the others
    want = copy.deepcopy(net).eval()(x)
    scores = fnn.evaluate(net, x, np.arange(20) % 4)
    table, state, before = net.summary((1, 6, 6)), net.state_dict(), attributes(net)

    def work(i):
        for _ in range(5):
            assert_same_output(net.predict(x, batch_size=3 + i), want)
            assert fnn.evaluate(net, x, np.arange(20) % 4) == scores
            assert net.summary((1, 6, 6)) == table
            with evaluation(net):
                graph, shown = record(net, *tensors_of([x[:2]]), lenient=True)
            visits = [visit for visit in graph.visits if visit.innermost]
            assert [visit.name for visit in visits] == ["0", "1", "2", "3", "4.0", "4.1", "4.2", "4.3"]
            assert_same_output(shown[visits[-1].returned.value], net.predict(x[:2]))
            assert [m.training for m in (net, net[0], net[1], net[3])] == [True, True, False, True]

    in_threads(8, work)
    assert attributes(net) == before
    assert_same_state(net.state_dict(), state)


def test_explain_and_feature_maps_beside_predict(rng):
    pytest.importorskip("matplotlib")
    net, x = model(), rng.standard_normal((2, 1, 6, 6)).astype(np.float32)
    want, before, state = net.predict(x), attributes(net), net.state_dict()

    def work(i):
        if i == 0:
            assert [cost.name for cost in fnn.explain(net, (1, 1, 6, 6))][:3] == ["0", "1", "2"]
        elif i == 1:
            for _ in range(3):
                assert len(fnn.viz.feature_maps(net, x[0], net[2]).axes) == 3
        else:
            for _ in range(30):
                assert_same_output(net.predict(x), want)

    import fastnn.viz  # noqa: F401

    in_threads(4, work)
    assert attributes(net) == before
    assert_same_state(net.state_dict(), state)


def test_training_passes_from_several_threads_do_not_crash(rng):
    layer, x = nn.BatchNorm1d(3), rng.standard_normal((50, 3)).astype(np.float32)
    for name, array in list(layer.named_buffers()):
        array.flags.writeable = False
        assert not getattr(layer, name).flags.writeable
    want = plain(copy.deepcopy(layer)(x))[0]

    def work(_):
        for _ in range(50):
            np.testing.assert_array_equal(plain(layer(x))[0], want)

    in_threads(4, work)
    assert np.isfinite(layer.running_mean).all()


@pytest.mark.parametrize("name", [name for name, (_, inputs) in LAYERS.items() if inputs is not None])
def test_no_layer_is_written_to_in_evaluation(name, rng):
    make, inputs = LAYERS[name]
    layer, arrays = make(), inputs(rng)
    before, state = attributes(layer), layer.state_dict()
    with evaluation(layer), fnn.no_grad():
        once = layer(*arrays)
        assert_same_output(layer(*arrays), once)
        assert not layer.training
    assert layer.training
    assert attributes(layer) == before
    assert_same_state(layer.state_dict(), state)


def test_a_watched_model_shows_every_layer_and_gives_the_same_bits(rng):
    net, x = model().eval(), rng.standard_normal((4, 1, 6, 6)).astype(np.float32)
    want = net(x)
    graph, shown = record(net, *tensors_of([x]))
    assert_same_output(shown[graph.outputs.value], want)
    assert [visit.layer for visit in graph.visits[:3]] == ["Conv2d", "BatchNorm2d", "ReLU"]
    (norm,) = [visit for visit in graph.visits if visit.name == "1"]
    assert_same_output(shown[norm.returned.value], net[1](net[0](x)))
    assert mode.recorder is None
    with pytest.raises(ValueError, match="conv2d"):
        record(net, *tensors_of([x[0]]))
    assert mode.recorder is None


def test_a_layer_that_is_made_while_a_model_runs_has_a_mode_of_its_own():
    """Not that of one that is gone and had its place in memory."""

    class Making(nn.Module):
        def __init__(self):
            self.part = nn.Dropout(0.5)

        def forward(self, x):
            modes = []
            for _ in range(50):
                self.part = nn.Dropout(0.5)
                modes.append(self.part.training)
            return np.array(modes)

    assert Making().predict([1.0]).all()


# Inputs


class Two(nn.Module):
    def __init__(self):
        self.embedding, self.dense, self.last = nn.Embedding(5, 4), nn.Linear(3, 4), nn.Linear(4, 2)
        self.small = nn.Embedding(2, 4)

    def forward(self, x, ids):
        return self.last(self.dense(x) + self.embedding(ids) + self.small(ids))


def test_summary_and_explain_of_two_inputs():
    net = Two()
    rows = [line.split() for line in net.summary(((3,), ())).splitlines()]
    assert rows[0][:3] == ["layer", "output", "parameters"]
    assert ["embedding", "(Embedding)", "(1,", "4)", "20"] in [row[:5] for row in rows]
    assert rows[-1][:4] == ["total", "(1,", "2)", str(net.num_parameters())]
    costs = fnn.explain(net, ((6, 3), (6,)))
    assert {cost.name: cost.output for cost in costs}["last"] == (6, 2)
    assert [cost.name for cost in costs] == ["dense", "embedding", "small", "last"]


def test_token_ids_wherever_they_are_wanted():
    tagger = nn.Sequential(nn.Embedding(11, 6), First(nn.LSTM(6, 4, batch_first=True)), nn.Linear(4, 3))
    table = tagger.summary((7,))
    assert table.splitlines()[1].split()[:6] == ["0", "(Embedding)", "(1,", "7,", "6)", "66"]
    assert table.splitlines()[-1].split()[1:4] == ["(1,", "7,", "3)"]
    assert [cost.layer for cost in fnn.explain(tagger, (2, 7))] == ["Embedding", "LSTM", "Linear"]
    assert [cost.layer for cost in fnn.explain(nn.Embedding(3, 2), (2, 7))] == ["Embedding"]


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (nn.Linear(3, 2), (3,), "(1, 2)"),
        (nn.ReLU(), (), "(1,)"),
        (nn.Embedding(4, 2), (5,), "(1, 5, 2)"),
        (nn.LSTM(3, 4, batch_first=True), (5, 3), "(1, 5, 4), (1, 1, 4), (1, 1, 4)"),
        (nn.GRU(3, 4), (5, 3), "(1, 5, 4), (1, 5, 4)"),
        (nn.GRUCell(3, 4), (3,), "(1, 4)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_the_summary_of_a_layer_alone_has_its_row(layer, shape, output):
    table = layer.summary(shape)
    _, row, total = table.splitlines()
    assert row.startswith(f"({type(layer).__name__})")
    assert output in row
    assert output in total
    assert table.rows[0].parameters == table.parameters == layer.num_parameters()
    assert all(f" {layer.num_parameters()} " in line for line in (row, total))


def test_layers_that_are_given_their_input_by_name():
    class Named(nn.Module):
        def __init__(self):
            self.cell, self.start = nn.GRUCell(3, 4), nn.ModuleDict()

        def forward(self, x):
            return {"h": self.cell(x=x, hx=None)}

    (cost,) = fnn.explain(Named(), (2, 3))
    assert (cost.input, cost.output, cost.layer) == ((2, 3), (2, 4), "GRUCell")
    assert "h: (1, 4)" in Named().summary((3,))


@pytest.mark.parametrize("shape", [3, "12", (2.5,), (0,), (True,), ((3,), 2), None, [(3,), "a"]])
def test_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match=r"summary: input_shape is .* expected sizes of at least 1, of one sample"):
        nn.Linear(3, 2).summary(shape)
    with pytest.raises(ValueError, match=r"explain: input_shape is .* expected sizes of at least 1, samples included"):
        fnn.explain(nn.Linear(3, 2), shape)


def test_errors_of_the_model_come_through():
    class Broken(nn.Module):
        def __init__(self):
            self.embedding = nn.Embedding(3, 2)

        def forward(self, ids):
            return self.embedding(ids) + None

    for broken in (lambda: Broken().summary((2,)), lambda: Two().summary((3,))):
        with pytest.raises(TypeError):
            broken()
    with pytest.raises(ValueError, match="linear"):
        nn.Sequential(nn.Embedding(3, 2), nn.Linear(3, 2)).summary((4,))


def test_a_trial_is_one_run_where_no_ids_are_wanted():
    seen = []

    class Counted(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    run(Counted(), [(2, 3)], np.zeros, lambda below, shape: np.zeros(shape, int))
    assert len(seen) == 1

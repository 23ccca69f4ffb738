"""Graph: what it says of itself, what it refuses, and what stands on it."""

import gc
import weakref

import numpy as np
import pytest
from models import First, small_model
from test_running import in_threads

import fastnn as fnn
from fastnn import nn
from fastnn.graph import Graph, Ref, Size, Value
from fastnn.graph.trace import record, tensors_of
from fastnn.nn import functional as F
from fastnn.ops.op import OPS, Op


class Residual(nn.Module):
    def __init__(self, width):
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.scale = nn.Parameter(np.full((width, 1, 1), 0.5, np.float32))

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)) * self.scale + x)


def tampered(graph, **changes):
    parts = {name: getattr(graph, name) for name in ("inputs", "outputs", "calls", "values", "held", "names", "visits")}
    return Graph(**{**parts, **changes})


def test_verify_finds_what_is_wrong():
    graph = fnn.trace(small_model(), (2, 1, 4, 4))
    graph.verify()
    first, *rest = graph.calls
    wrong = {
        "nothing before it has made": {"calls": rest},
        "which exist already": {"calls": [first, *graph.calls]},
        "are not plain data": {"calls": [first._replace(attributes={**first.attributes, "groups": np.ones(1)}), *rest]},
        r"but the graph says \[Value\(shape=\(2, 4\)": {"values": [*graph.values[:-1], Value((2, 4), "float32")]},
        r"dtype='float32'\)\], but the graph says \[Value\(shape=\(2, 3\), dtype='int64": {
            "values": [*graph.values[:-1], Value((2, 3), "int64")]
        },
        r"outputs \[99\] are made by nothing": {"outputs": Ref(99)},
        "conv2d: x": {"calls": [first._replace(inputs=(first.inputs[2], *first.inputs[1:])), *rest]},
    }
    for message, changes in wrong.items():
        with pytest.raises(ValueError, match=message):
            tampered(graph, **changes).verify()


def test_values_that_nobody_reads_any_more_are_let_go(monkeypatch):
    alive = []

    class Watching(nn.Module):
        def forward(self, x):
            for _ in range(6):
                x = fnn.ops.exp(x * 0)
            return x

    graph = fnn.trace(Watching(), (1000,))
    original, peak = Op.apply, 0

    def apply(self, values, attributes):
        nonlocal peak
        y = original(self, values, attributes)
        alive.append(weakref.ref(y))
        peak = max(peak, sum(ref() is not None for ref in alive))
        return y

    monkeypatch.setattr(Op, "apply", apply)
    with fnn.no_grad():
        graph(fnn.Tensor(np.zeros(1000)))
    assert len(alive) == 12
    assert peak <= 2


def test_a_graph_keeps_no_module_alive():
    model = small_model()
    graph = fnn.trace(model, (1, 1, 4, 4))
    watched = weakref.ref(model)
    del model
    gc.collect()
    assert watched() is None
    graph(np.zeros((1, 1, 4, 4)))


def test_attributes_follow_sizes():
    graph = fnn.trace(lambda x: x.reshape(x.shape[0] * 3, -1)[:, : x.shape[1]], (2, 3, 4))
    assert graph.calls[0].attributes == {"shape": (Size(3, 0, 0), -1)}
    assert graph.free == {(0, 0), (0, 2)}
    assert "shape=(3 * x0.shape[0], -1)" in str(graph)
    assert graph(np.ones((5, 3, 7))).shape == (15, 3)


def test_inputs_with_one_number_of_samples():
    graph = fnn.trace(lambda x, y: (x.reshape(x.shape[0], 6) @ np.ones((6, 4), np.float32)) * y, (2, 2, 3), (2, 4))
    assert graph.tied == {(0, 0), (1, 0)}
    assert graph(np.ones((5, 2, 3)), np.ones((5, 4))).shape == (5, 4)
    with pytest.raises(ValueError, match="traced with one number of samples"):
        graph(np.ones((5, 2, 3)), np.ones((1, 4)))


def test_scopes_and_visits(rng):
    model = nn.Sequential(nn.Conv2d(1, 4, 1), Residual(4), nn.Flatten()).eval()
    graph = fnn.trace(model, (2, 1, 5, 5))
    assert [(call.op.name, call.scope) for call in graph.calls] == [
        ("conv2d", "0"),
        ("conv2d", "1.conv"),
        ("batchnorm", "1.norm"),
        ("mul", "1"),
        ("add", "1"),
        ("relu", "1"),
        ("flatten", "2"),
    ]
    assert [(v.name, v.layer, list(v.calls), v.innermost) for v in graph.visits] == [
        ("0", "Conv2d", [0], True),
        ("1.conv", "Conv2d", [1], True),
        ("1.norm", "BatchNorm2d", [2], True),
        ("1", "Residual", [1, 2, 3, 4, 5], False),
        ("2", "Flatten", [6], True),
        ("", "Sequential", [0, 1, 2, 3, 4, 5, 6], False),
    ]
    x = rng.standard_normal((2, 1, 5, 5)).astype(np.float32)
    recorded, shown = record(model, *tensors_of([x]))
    for visit, module in zip(recorded.visits, (model[0], model[1].conv, model[1].norm, model[1]), strict=False):
        given = shown[visit.given[0].value]
        np.testing.assert_array_equal(shown[visit.returned.value]._array, module(given).numpy())


def test_batchnorm_and_relu_are_recorded_apart():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()).eval()
    assert [call.op.name for call in fnn.trace(model, (2, 3)).calls] == ["batchnorm", "relu"]


def test_lenient_records_what_is_called():
    class Looking(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            y = np.sin(self.a(x).numpy())
            return self.b(y if y.sum() > -1e9 else -y)

    table = Looking().eval().summary((3,))
    assert [row.name for row in table.rows] == ["a", "b"]
    assert table.parameters == 26
    assert [cost.name for cost in fnn.explain(Looking(), (2, 3))] == ["a", "b"]


def test_summary(rng):
    block = Residual(4)
    spare = nn.Linear(7, 7)

    class Net(nn.Module):
        def __init__(self):
            self.stem, self.block, self.spare, self.head = nn.Conv2d(1, 4, 3, stride=2), block, spare, nn.Linear(64, 3)

        def forward(self, x):
            return self.head(self.block(self.block(self.stem(x))).flatten(1))

    table = Net().summary((1, 9, 9))
    rows = [(r.name, r.layer, r.parameters, r.shared, r.multiply_adds, r.receptive_field, r.memory) for r in table.rows]
    size = 4 * 4 * 4 * 4  # bytes of an image
    assert rows == [
        ("stem", "Conv2d", 40, 0, 16 * 4 * 9, "3x3:2", size),
        ("block.conv", "Conv2d", 148, 0, 16 * 4 * 36, "7x7:2", size),
        ("block.norm", "BatchNorm2d", 8, 0, 0, "7x7:2", size),
        ("block", "mul", 4, 0, 0, "7x7:2", size),
        ("block", "add", 0, 0, 0, "7x7:2", size),
        ("block", "relu", 0, 0, 0, "7x7:2", size),
        ("block.conv", "Conv2d", 148, 148, 16 * 4 * 36, "11x11:2", size),
        ("block.norm", "BatchNorm2d", 8, 8, 0, "11x11:2", size),
        ("block", "mul", 4, 4, 0, "11x11:2", size),
        ("block", "add", 0, 0, 0, "11x11:2", size),
        ("block", "relu", 0, 0, 0, "11x11:2", size),
        ("", "flatten", 0, 0, 0, "", 0),
        ("head", "Linear", 195, 0, 192, "", 12),
        ("spare", "Linear", 56, 0, 0, "", 0),
    ]
    assert table.parameters == Net().num_parameters() == 40 + 160 + 195 + 56
    assert table.multiply_adds == 576 + 2 * 2304 + 192
    assert table.memory == 11 * size + 12
    lines = table.splitlines()
    assert lines[7].split()[:8] == ["block.conv", "(Conv2d)", "(1,", "4,", "4,", "4)", "148", "shared"]
    assert lines[-2].split() == ["spare", "(Linear)", "-", "56"]
    assert len({len(line) for line in lines}) == 1
    shown = table._repr_html_()
    assert shown.count("<tr>") == len(lines)
    assert "<td>block.conv (Conv2d)</td><td>(1, 4, 4, 4)</td><td>148</td><td>2304</td><td>7x7:2</td>" in shown


def test_tied_weights_are_counted_once():
    class Tied(nn.Module):
        def __init__(self):
            self.embedding, self.head = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, ids):
            return self.head(self.embedding(ids))

    table = Tied().summary((5,))
    assert [(row.parameters, row.shared) for row in table.rows] == [(21, 0), (21, 21)]
    assert table.parameters == 21


def test_summary_of_what_fits_no_memory():
    with nn.init.blank():
        model = nn.Sequential(nn.Linear(10**6, 10**6), nn.ReLU(), nn.Linear(10**6, 10))
    table = model.summary((10**6,))
    assert table.parameters == 10**12 + 10**6 + 10**7 + 10
    assert table.multiply_adds == 10**12 + 10**7


def test_explain_of_every_op_and_direction():
    model = nn.Sequential(nn.Embedding(11, 8), First(nn.LSTM(8, 8, 2)), nn.Linear(8, 8), Sum(), nn.BatchNorm1d(8))
    costs = fnn.explain(model, (5, 3))
    assert [cost.layer for cost in costs] == ["Embedding", "LSTM", "Linear", "Sum", "BatchNorm1d"]
    ops = ["embedding", "lstm", "lstm", "concatenate", "concatenate", "linear", "sum", "batchnorm"]
    assert [cost.op for cost in costs.ops] == ops
    by_op = {cost.op: cost for cost in costs.ops}
    assert by_op["embedding"].input_gradient is None
    assert by_op["embedding"].weight_gradient.flops == 0
    assert by_op["sum"].weight_gradient is None
    assert by_op["linear"].input == (5, 3, 8)
    for cost in costs.ops:
        for way in (cost.forward, cost.input_gradient, cost.weight_gradient):
            if way is not None:
                assert way.measured > 0
                assert way.predicted > 0
                assert way.flops == cost.forward.flops
    assert by_op["linear"].forward.flops == costs[2].flops == 2 * 15 * 64
    assert costs[2].measured == by_op["linear"].forward.measured
    assert costs[1].flops == sum(cost.forward.flops for cost in costs.ops if cost.op == "lstm")
    lines = costs.table().splitlines()
    assert len(lines) == 9
    assert lines[6].split()[:2] == ["2", "(linear)"]


class Sum(nn.Module):
    def forward(self, x):
        return x.sum(0)


def test_graphs_in_threads_do_not_meet(rng):
    def work(i):
        for _ in range(5):
            graph = fnn.trace(nn.Sequential(*[nn.Linear(3, 3) for _ in range(1 + i)]), (2, 3))
            assert len(graph.calls) == 1 + i
            assert fnn.ops.relu(np.ones(2)).tolist() == [1, 1]

    in_threads(4, work)


def test_ops_say_the_names_of_their_arrays():
    assert OPS["conv2d"].arguments[:3] == ["x", "weight", "bias"]

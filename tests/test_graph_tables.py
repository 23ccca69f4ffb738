"""The tables of graph/: every op is in each or refused with a reason, and rules against references of other kinds."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from cases import CASES

import fastnn as fnn
from fastnn import nn
from fastnn.graph import algorithms, costs, receptive, summary
from fastnn.graph.trace import record, tensors_of
from fastnn.nn import functional as F
from fastnn.ops.op import OPS

rewrite = importlib.import_module("fastnn.graph.rewrite")  # the name in fastnn.graph is the function's
TABLES = {
    "algorithms": (algorithms.RULES, algorithms.NONE),
    "costs": (costs.MULTIPLY_ADDS, costs.NONE),
    "receptive": (receptive.RULES, receptive.NONE),
    "rewrite": (rewrite.RULES, rewrite.NONE),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_op_is_in_the_table_or_refused_with_a_reason(name):
    rules, refusals = TABLES[name]
    assert not set(rules) & set(refusals)
    assert set(rules) | set(refusals) == set(OPS)
    assert all(len(reason.split()) > 2 for reason in refusals.values())


def test_views_are_ops():
    assert set(OPS) >= summary.VIEWS


@pytest.mark.parametrize(
    "name", ["algorithms", "costs", "explain", "graph", "receptive", "recorder", "rewrite", "sizes", "summary"]
)
def test_consumers_know_no_layers(name):
    source = Path(importlib.import_module(f"fastnn.graph.{name}").__file__).read_text()
    imports = [line for line in source.splitlines() if line.startswith(("from ", "import "))]
    assert not any("nn" in line.replace("fastnn", "").split() or "fastnn.nn" in line for line in imports)


def ones(op, *shapes, **options):
    """A call on ones, in which every product gives one: their number is the sum of what it gives."""
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    return fnn.trace(lambda *xs: op(*xs, **options), *arrays), float(np.sum(op(*arrays, **options), dtype=np.float64))


@pytest.mark.parametrize(
    ("op", "shapes", "options"),
    [
        (F.linear, ((5, 2, 7), (3, 7)), {}),
        (fnn.ops.matmul, ((2, 1, 4, 5), (3, 5, 6)), {}),
        (fnn.ops.matmul, ((4,), (2, 4, 3)), {}),
        (F.conv2d, ((2, 6, 9, 8), (4, 3, 3, 2)), {"groups": 2, "stride": (2, 1), "dilation": (1, 2)}),
        (F.conv1d, ((2, 6, 9), (4, 6, 3)), {"stride": 2}),
        (fnn.ops.conv_transpose2d, ((2, 4, 5, 3), (4, 2, 3, 2)), {"groups": 2, "stride": 2}),
        (fnn.ops.conv_transpose1d, ((2, 4, 5), (4, 3, 3)), {"dilation": 2}),
    ],
)
def test_multiply_adds_are_those_that_add_up(op, shapes, options):
    graph, total = ones(op, *shapes, **options)
    assert costs.multiply_adds(graph, graph.calls[0]) == total


def test_multiply_adds_of_recurrent_layers():
    for layer, gates in ((nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)):
        graph = fnn.trace(layer(3, 5, 2, bidirectional=True), (7, 2, 3))
        rows = 7 * 2
        expected = rows * gates * 5 * 2 * ((3 + 5) + (10 + 5))
        assert sum(costs.multiply_adds(graph, call) for call in graph.calls) == expected
    graph = fnn.trace(nn.LSTMCell(3, 5), (2, 3))
    assert costs.multiply_adds(graph, graph.calls[0]) == 2 * 20 * (3 + 5)
    graph = fnn.trace(nn.LSTM(3, 5, proj_size=2, peephole=True), (7, 2, 3))
    assert costs.multiply_adds(graph, graph.calls[0]) == 14 * (20 * 3 + 20 * 2 + 2 * 5 + 3 * 5)


class Wide(nn.Module):
    """A branch with a wider window, and a sum."""

    def __init__(self):
        self.a, self.b = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 5, padding=2)

    def forward(self, x):
        return F.relu(fnn.ops.cat([self.a(x), self.b(x)], 1) + fnn.ops.cat([x, x], 1))


FIELDS = {
    "convolutions": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 1, (3, 5), stride=2)), (31, 31)),
    "pools": (
        nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.AvgPool2d(2), nn.Conv2d(2, 2, 3), nn.AvgPool2d(3, 1)),
        (41, 41),
    ),
    "dilated": (nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2), nn.Conv2d(2, 2, 3, dilation=(4, 1))), (31, 31)),
    "branches": (nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), Wide(), nn.Conv2d(4, 2, 3)), (41, 41)),
    "normalised": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Softmax(1), nn.Conv2d(2, 1, 2)), (21, 21)),
    "sequence": (nn.Sequential(nn.Conv1d(1, 2, 5), nn.MaxPool1d(2), nn.Conv1d(2, 2, 3, stride=3)), (61,)),
    "adaptive": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(4)), (22, 18)),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(1, 2, 4, stride=2), nn.Conv2d(2, 1, 3)), (21, 21)),
    "up and down": (nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ConvTranspose2d(2, 2, 3, stride=2)), (41, 41)),
}


def seen(model, size, place):
    """Along each axis the range of the input that an output's gradient reaches."""
    x = fnn.Tensor(np.random.default_rng(1).uniform(1, 2, (1, 1, *size)), requires_grad=True)
    y = model(x)
    weight = np.zeros(y.shape, np.float32)
    weight[(0, slice(None), *place)] = np.random.default_rng(2).uniform(1, 2, y.shape[1])
    y.backward(weight)
    return [
        np.nonzero(x.grad[0, 0].any(axis=tuple(a for a in range(len(size)) if a != axis)))[0]
        for axis in range(len(size))
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_receptive_fields_are_those_of_the_gradient(name):
    """The widest and the distance of neighbours, over some outputs in the middle."""
    model, size = FIELDS[name]
    fnn.manual_seed(1)
    model.eval()
    for p in model.parameters():
        p.data = np.abs(p.data) + 0.1
    graph = fnn.trace(model, (1, 1, *size))
    fields = receptive.fields_of(graph)[graph.outputs.value]
    shape = graph.values[graph.outputs.value].shape[2:]
    middle = tuple(n // 2 for n in shape)
    for axis, field in enumerate(fields):
        places = [tuple(m + (step if a == axis else 0) for a, m in enumerate(middle)) for step in range(-2, 2)]
        ranges = [seen(model, size, place)[axis] for place in places]
        wide = [r[-1] - r[0] + 1 for r in ranges]
        if name == "sequence":  # of a maximum the gradient reaches but one
            assert max(wide) <= field.size <= max(wide) + 1
        else:
            assert max(wide) == field.size
        assert (ranges[2][0] - ranges[0][0]) / 2 == pytest.approx(float(field.stride), abs=0.5)


def test_values_that_see_everything_have_no_field():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    graph = fnn.trace(model, (1, 1, 4, 4))
    found = receptive.fields_of(graph)
    assert [found[call.outputs[0]] is None for call in graph.calls] == [False, True, True]


@pytest.mark.parametrize("name", CASES)
def test_memory_is_that_of_the_arrays(name):
    """What an op gives takes memory of its own unless the table of views says otherwise."""
    case = CASES[name]
    arrays = case.arrays(np.random.default_rng(2))
    graph, shown = record(lambda *xs: case.op(*xs, **case.options), *tensors_of(arrays))
    expected = 0
    for call in graph.calls:
        for value in call.outputs:
            array = shown[value]._array
            if not any(np.may_share_memory(array, shown[v]._array) for v in graph.inputs):
                expected += array.nbytes
    assert summary.summary(graph).memory == expected


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"])
def test_algorithms_are_names(name):
    case = CASES[name]
    graph = fnn.trace(lambda *xs: case.op(*xs, **case.options), *case.arrays(np.random.default_rng(2)))
    assert all(way for way in algorithms.algorithms(graph, graph.calls[0]))
    assert math.prod(graph.values[graph.calls[0].outputs[0]].shape)

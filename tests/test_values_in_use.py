"""Tensors of integers and bool in graphs, as keys and as targets."""

import inspect

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops
from fastnn.nn import functional as F


class Masked(nn.Module):
    def forward(self, x):
        best = x.argmax(1)
        inside = (x > 0) & ~(x >= 2) | (x == -1)
        rows = (best + 1) % 3
        scaled = x * inside.float() + rows.float().unsqueeze(1) / (inside.sum(1, keepdim=True) + 1)
        return scaled, rows, inside.any(1), -best // 2


def test_comparisons_and_integers_are_traced(rng):
    x = rng.integers(-3, 4, (5, 3)).astype(np.float32)
    model = Masked()
    for given in ((5, 3), x):
        graph = fnn.trace(model, given)
        graph.verify()
        assert (0, 0) in graph.free
        for part, want in zip(graph(x), model(x), strict=True):
            assert type(part) is np.ndarray
            assert part.dtype == want.dtype
            assert np.array_equal(part, want)
        for part, want in zip(graph(fnn.Tensor(x[:2])), model(x[:2]), strict=True):
            assert type(part) is fnn.Tensor
            assert part.dtype == want.dtype
            assert np.array_equal(part, want)
    assert [str(graph.values[ref.value].dtype) for ref in graph.outputs] == ["float32", "int64", "bool", "int64"]
    assert "gt" in str(graph)


def test_arrays_in_a_trace_are_floats_as_elsewhere():
    def function(i):
        return i * ops.mul(np.array([2, 3]), np.array([3, 1])), i * np.array([2, 3])

    graph = fnn.trace(function, np.array([1, 2]))
    for part, want, dtype in zip(graph(np.array([1, 2])), ([6, 6], [2, 6]), ("float32", "int64"), strict=True):
        assert part.dtype == dtype
        assert part.tolist() == want
        assert [str(part.dtype) for part in function(fnn.tensor([1, 2]))] == ["float32", "int64"]


class Branching(nn.Module):
    def forward(self, x):
        if (x > 0).all():  # here
            return x * 2
        return x


def test_a_branch_on_values():
    assert Branching()(np.ones(3)).tolist() == [2, 2, 2]
    assert Branching()(-np.ones(3)).tolist() == [-1, -1, -1]
    source, first = inspect.getsourcelines(Branching)
    line = first + next(i for i, text in enumerate(source) if "# here" in text)
    for given in ((3,), np.ones(3)):
        with pytest.raises(fnn.TraceError, match=rf"bool\(x\).*test_values_in_use\.py, line {line}, in forward"):
            fnn.trace(Branching(), given)


# Keys, targets


def test_tensors_as_keys(rng):
    a = rng.standard_normal((4, 3)).astype(np.float32)
    x = fnn.Parameter(a)
    mask, rows = x > 0, fnn.tensor([2, 0, 2])
    x[mask].sum().backward()
    assert np.array_equal(x.grad, a > 0)
    x.grad = None
    (x[rows] * 2).sum().backward()
    want = np.zeros((4, 3))
    np.add.at(want, [2, 0, 2], 2)
    assert np.array_equal(x.grad, want)
    assert np.array_equal(x[rows, fnn.tensor([0, 1, 2])], a[[2, 0, 2], [0, 1, 2]])
    assert np.array_equal(x[fnn.tensor(1)], a[1])
    y = fnn.Tensor(a.copy())
    y[y < 0] = 0
    assert np.array_equal(y, np.maximum(a, 0))
    y[fnn.tensor([0, 1])] = fnn.Tensor([1.0, 2.0, 3.0])
    assert np.array_equal(y[:2], [[1, 2, 3]] * 2)
    y[rows, fnn.tensor(0)] = 7
    assert np.array_equal(y[[0, 2], 0], [7, 7])
    z = fnn.tensor([1, 2])
    with pytest.raises(TypeError, match="cannot hold"):
        z[0] = 2.5
    with pytest.raises(TypeError, match="cannot hold"):
        z += 1.0
    with pytest.raises(TypeError, match="cannot hold"):
        (z > 0).__iadd__(1)


def test_losses_and_tables_take_tensors_of_integers(rng):
    scores, labels = rng.standard_normal((5, 4)).astype(np.float32), rng.integers(0, 4, 5)
    assert F.cross_entropy(fnn.Tensor(scores), fnn.tensor(labels)).item() == ops.cross_entropy(scores, labels)
    table = rng.standard_normal((4, 3)).astype(np.float32)
    assert np.array_equal(F.embedding(fnn.tensor(labels), fnn.Tensor(table)), table[labels])
    assert nn.Embedding(4, 3)(fnn.tensor(labels)).shape == (5, 3)
    predicted = fnn.Parameter(scores).argmax(1)
    assert (predicted == fnn.tensor(labels)).float().mean().item() == (scores.argmax(1) == labels).mean(
        dtype=np.float32
    )


def test_fit_and_evaluate_take_tensors(rng):
    x, y = rng.standard_normal((20, 3)).astype(np.float32), rng.integers(0, 2, 20)
    results = []
    for given in ((x, y), (fnn.tensor(x), fnn.tensor(y))):
        fnn.manual_seed(1)
        model = nn.Linear(3, 2)
        history = fnn.fit(model, *given, epochs=2, metrics=["accuracy"], validation_data=given, seed=3)
        history = [{k: v for k, v in row.items() if "seconds" not in k and "per" not in k} for row in history]
        results.append((history, fnn.evaluate(model, *given, metrics=["accuracy"]), model.predict(given[0]).tobytes()))
        assert type(model.predict(given[0])) is np.ndarray
    assert results[0] == results[1]
    assert [part.shape for part in next(iter(fnn.data.batches((fnn.tensor(x), fnn.tensor(y)), 8)))] == [(8, 3), (8,)]


def test_state_and_files_stay_arrays():
    layer = nn.BatchNorm1d(3)
    assert all(type(part) is np.ndarray for part in layer.state_dict().values())
    assert all(type(part) is np.ndarray for _, part in layer.named_buffers())
    layer.load_state_dict({name: fnn.tensor(part) for name, part in layer.state_dict().items()})

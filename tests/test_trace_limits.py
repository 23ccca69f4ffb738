"""What a graph cannot hold is refused, or in it: found by trying to break it."""

import functools
import threading

import numpy as np
import pytest
from traced import same

import fastnn as fnn
from fastnn import nn, ops

# Sizes that the function looks at


@pytest.mark.parametrize(
    ("function", "shape", "free"),
    [
        (lambda x: x * 0 if x.shape[2] != x.shape[3] else x, (1, 1, 6, 8), {0, 1}),
        (lambda x: x * 0 if x.shape[0] == x.shape[1] else x, (2, 3, 4), {2}),
        (lambda x: x * 2 if x.shape[0] > 5000 else x, (2, 3), {1}),
        (lambda x: x * 2 if x.size(0) in (64, 128) else x, (2, 3), {1}),
        (lambda x: x * 2 if x.shape[0] % 77 == 5 else x, (2, 3), {1}),
        (lambda x: x * 2 if (x.shape[0] + 1) // 2 > 400 else x, (2, 3), {1}),
        (lambda x: x[-min(x.shape[0], 2000) :], (2, 3), {1}),
        (lambda x: x * {2: 3}.get(x.shape[0], 4), (2, 3), {1}),
        (lambda x: x * 2 if int(x.shape[0]) == 7777 else x, (2, 3), {1}),
        (lambda x: x * 2 if x.shape[0] / 2 > 4000 else x, (2, 3), {1}),
        (lambda x: x * 2 if len(x) > 7000 else x, (2, 3), {1}),
        (lambda x: x * 2 if x.size > 70000 else x, (2, 3), set()),
        (lambda x: x * 2 if x.numel() > 70000 else x, (2, 3), set()),
        (lambda x: x * 2 if x.detach().shape[0] > 7000 else x, (2, 3), {1}),
        (lambda x: x * 2 if (x * 3).shape[0] > 7000 else x, (2, 3), {1}),
        (lambda x: x if not x.shape[0] else x * 2, (2, 3), {1}),
        (lambda x: x.reshape(x.shape[0], -1) * 2, (2, 3, 4), {0, 1, 2}),
        (lambda x: x * 2 if x.ndim == 2 and x.shape[1] == 3 else x, (2, 3), {0}),
    ],
)
def test_sizes_that_are_looked_at_are_not_free(function, shape, free):
    assert {axis for _, axis in fnn.trace(function, shape).free} == free


def test_sizes_that_vary_together_may_be_compared():
    def function(x, y):
        assert x.shape[0] == y.shape[0]
        return x + y

    assert fnn.trace(function, (2, 3), (2, 3)).free >= {(0, 0), (1, 0)}


class Tagger(nn.Module):
    def __init__(self):
        self.table, self.lstm = nn.Embedding(9, 4), nn.LSTM(4, 5, batch_first=True, bidirectional=True)
        self.out = nn.Linear(10, 3)

    def forward(self, ids, lengths):
        return self.out(self.lstm(self.table(ids), lengths=lengths)[0])


def test_padded_sequences_of_any_number_and_length(tmp_path):
    model, rng = Tagger(), np.random.default_rng(0)
    fnn.save(model, tmp_path / "m", example=(rng.integers(0, 9, (2, 6)), np.array([6, 4])))
    again = fnn.load(tmp_path / "m")
    for n, t in ((1, 6), (5, 6), (3, 11), (2, 2)):
        ids, lengths = rng.integers(0, 9, (n, t)), rng.integers(1, t + 1, n)
        same(again(ids, lengths), model(ids, lengths))


def test_a_model_with_lengths_is_counted_and_explained(rng):
    model, lengths = Tagger(), np.array([8])
    assert model.summary(((8,), lengths)).parameters == model.num_parameters()
    assert "lstm" in [cost.op for cost in fnn.explain(model, (rng.integers(0, 9, (1, 8)), lengths)).ops]


# What is in the graph


def test_gradients_stop_where_the_function_says_so(rng, tmp_path):
    class Halves(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            h = self.a(x)
            with fnn.no_grad():
                frozen = self.b(x)
            return h * h.detach() + frozen

    model, x = Halves(), rng.standard_normal((2, 3)).astype(np.float32)
    fnn.save(model, tmp_path / "m", example=x)
    again = fnn.load(tmp_path / "m")
    for part in (model, again):
        part(x).sum().backward()
    for name, p in model.named_parameters():
        other = dict(again.named_parameters())[name].grad
        assert (p.grad is None) == (other is None) == name.startswith("b.")
        if p.grad is not None:
            np.testing.assert_array_equal(p.grad.numpy(), other.numpy())


def test_what_a_function_remembers_is_right_after_a_trace(rng):
    class Positions(nn.Module):
        def __init__(self):
            self.tables = {}

        def forward(self, x):
            size = x.shape[1]
            if size not in self.tables:
                self.tables[size] = ops.tanh(fnn.tensor(np.arange(size, dtype=np.float32))[:, None] * np.ones(4, "f4"))
            return x + self.tables[size]

    @functools.lru_cache
    def table(size):
        return ops.exp(fnn.tensor(np.arange(size, dtype=np.float32)))

    model, x = Positions(), rng.standard_normal((1, 8, 4)).astype(np.float32)
    expected = x + np.tanh(np.arange(8, dtype=np.float32))[:, None]
    model.summary((8, 4))
    fnn.trace(model, x)
    np.testing.assert_allclose(model(x).numpy(), expected, atol=1e-6)
    fnn.trace(lambda x: x * table(x.shape[1]), (1, 5))
    np.testing.assert_allclose(table(5).numpy(), np.exp(np.arange(5)), rtol=1e-6)


# What is refused


def test_state_that_moves_is_not_saved(rng, tmp_path):
    class Counter(nn.Module):
        def __init__(self):
            self.layer, self.n = nn.Linear(3, 3), 0.0

        def forward(self, x):
            self.n += 1.0
            return self.layer(x) * self.n

    class Stateful(nn.Module):
        def __init__(self):
            self.cell, self.h = nn.GRUCell(3, 4), None

        def forward(self, x):
            y = self.cell(x, self.h)
            self.h = y.detach()
            return y

    class InPlace(nn.Module):
        shape = (1,)

        def __init__(self):
            self.layer = nn.Linear(3, 3)
            self.register_buffer("n", np.zeros(self.shape, np.float32))

        def forward(self, x):
            self.n[...] += 1
            return self.layer(x) * self.n.item()

    class OfNoAxes(InPlace):
        shape = ()

    x = rng.standard_normal((2, 3)).astype(np.float32)
    for kind in (Counter, Stateful, InPlace, OfNoAxes):
        model = kind()
        with pytest.raises(fnn.TraceError, match=r"keeps something"):
            fnn.save(model, tmp_path / "m", example=x)
        assert not getattr(model, "n", 0)


def test_state_that_no_graph_holds_is_not_lost(tmp_path):
    class Counting(nn.Linear):
        def state_dict(self):
            return {**super().state_dict(), "epoch": np.array(3)}

    class Model(nn.Module):
        def __init__(self):
            self.layer = Counting(3, 2)

        def forward(self, x):
            return self.layer(x)

    with pytest.raises(TypeError, match=r"state_dict\(\) of Model adds layer\.epoch, which no graph holds"):
        fnn.save(Model(), tmp_path / "m", example=(1, 3))


def test_a_part_of_a_buffer(rng, tmp_path):
    class Positions(nn.Module):
        def __init__(self, op):
            self.op, self.layer = op, nn.Linear(4, 4)
            self.register_buffer("table", rng.standard_normal((9, 4)).astype(np.float32))

        def forward(self, x):
            n = x.shape[1]
            return self.layer(x) + (ops.index(self.table, slice(None, n)) if self.op else self.table[:n])

    with pytest.raises(fnn.TraceError, match=r"a part of table by NumPy \(write fnn\.ops\.index"):
        fnn.save(Positions(False), tmp_path / "m", example=(1, 5, 4))
    model = Positions(True)
    fnn.save(model, tmp_path / "m", example=(1, 5, 4))
    again = fnn.load(tmp_path / "m")
    state = {name: 2 * array for name, array in model.state_dict().items()}
    for part in (model, again):
        part.load_state_dict(state)
    x = rng.standard_normal((2, 5, 4)).astype(np.float32)
    same(again(x), model(x))


def test_a_refusal_that_is_caught_is_one_still():
    def function(x):
        try:
            factor = float(x.sum())
        except RuntimeError:
            factor = 0.0
        return x * factor

    with pytest.raises(fnn.TraceError, match="float"):
        fnn.trace(function, np.ones(3, np.float32))


def test_what_is_returned_in_objects():
    class Out:
        def __init__(self, y):
            self.y = y

    for function in (lambda x: Out(x * 2), lambda x: {x * 2}, lambda x: (y for y in [x]), lambda x: [Out(x)]):
        with pytest.raises(fnn.TraceError, match="whose parts a graph does not know"):
            fnn.trace(function, (2,))


def test_ops_in_another_thread():
    def function(x):
        found = []

        def work():
            try:
                found.append(x * 2)
            except RuntimeError as error:
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    with pytest.raises(RuntimeError, match="mul: a Tensor of a trace in another thread"):
        fnn.trace(function, (2,))


def test_inputs_of_another_kind():
    graph = fnn.trace(lambda x: ~x, fnn.tensor([1, 2]))
    np.testing.assert_array_equal(graph(np.array([3, 4], np.int32)), [-4, -5])
    for given, kind in (([True, False], "bool"), ([1.0, 2.0], "float32")):
        with pytest.raises(TypeError, match=f"graph: input 0 has dtype {kind}, traced with int64"):
            graph(np.array(given))


def test_constants_of_one_number(rng):
    one = np.array(2, np.float32)
    graph = fnn.trace(lambda x: x + np.broadcast_to(one, (3,)), (3,))
    one[...] = 7
    np.testing.assert_array_equal(graph(np.zeros(3)), [2, 2, 2])

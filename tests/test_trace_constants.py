"""What a graph holds beside its inputs: parameters and constants."""

import numpy as np
from traced import made, same

import fastnn as fnn
from fastnn import nn


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

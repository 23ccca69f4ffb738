import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops

SHAPES = {
    "one": (1, 1, 1),
    "tails": (15, 33, 17),
    "one_row": (1, 40, 50),
    "tall": (70, 5, 3),
    "classifier": (64, 84, 10),
}


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_linear(isa, rng, rows, inputs, outputs, bias):
    x, w = rng.standard_normal((rows, inputs)), rng.standard_normal((outputs, inputs))
    check_op(ops.linear, reference.linear, x, w, rng.standard_normal(outputs) if bias else None)


def test_sequences(isa, rng):
    check_op(ops.linear, reference.linear, rng.standard_normal((3, 4, 5)), rng.standard_normal((6, 5)))


def test_integer_exact(isa, rng):
    """Small integers: every order of addition gives the same sum, so any wrong index shows at tolerance zero."""
    for m in [*range(1, 17), 29, 57]:
        for n, k in ((1, 3), (7, 8), (16, 5), (17, 16), (33, 31)):
            x, w = rng.integers(-8, 9, (m, k)), rng.integers(-8, 9, (n, k))
            tx, tw = fnn.Tensor(x, requires_grad=True), fnn.Tensor(w, requires_grad=True)
            y = ops.linear(tx, tw)
            dy = rng.integers(-8, 9, y.shape)
            y.backward(dy)
            assert np.array_equal(y.numpy(), x @ w.T)
            assert np.array_equal(tx.grad, dy @ w)
            assert np.array_equal(tw.grad, dy.T @ x)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("inputs", [1, 7, 8, 9, 33])
def test_weights_with_dense_columns(isa, rng, rows, inputs):
    """Few rows read such a weight as it lies, and give the bits that a weight with dense rows gives."""
    for outputs in (1, 4, 15, 16, 17, 33, 49, 64, 65, 130):
        x, w = (rng.integers(-8, 9, s).astype(np.float32) for s in ((rows, inputs), (outputs, inputs)))
        bias, dy = (rng.integers(-8, 9, s).astype(np.float32) for s in ((outputs,), (rows, outputs)))
        leaves = [fnn.Tensor(a, requires_grad=True) for a in (x, np.asfortranarray(w), bias)]
        y = ops.linear(*leaves)
        y.backward(dy)
        assert np.array_equal(y.numpy(), x @ w.T + bias)
        for leaf, gradient in zip(leaves, (dy @ w, dy.T @ x, dy.sum(0)), strict=True):
            assert np.array_equal(leaf.grad, gradient)
        real = rng.standard_normal((outputs, inputs)).astype(np.float32)
        x = rng.standard_normal((rows, inputs)).astype(np.float32)
        assert np.array_equal(ops.linear(x, np.asfortranarray(real), bias), ops.linear(x, real, bias))


def test_rows_do_not_depend_on_the_batch(isa, rng):
    layer, x = nn.Linear(300, 45), rng.standard_normal((33, 300)).astype(np.float32)
    whole = layer(x).numpy()
    for n in (1, 2, 5, 13, 32):
        assert np.array_equal(layer(x[:n]).numpy(), whole[:n])


def test_errors():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"linear: x of shape \(2, 3\).*weight \(4, 5\)"):
        ops.linear(x, np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"linear: bias has shape \(3,\).*\(4,\)"):
        ops.linear(x, np.zeros((4, 3)), np.zeros(3))
    with pytest.raises(TypeError, match="linear: x has dtype complex128"):
        ops.linear(x.astype(complex), np.zeros((4, 3)))
    with pytest.raises(TypeError, match="linear: weight has dtype <U1"):
        ops.linear(x, np.array([["a"]]))
    with pytest.raises(ValueError, match="in_features is 0"):
        nn.Linear(0, 3)
    with pytest.raises(TypeError, match=r"out_features is 2\.5"):
        nn.Linear(1, 2.5)

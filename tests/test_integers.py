"""Tensors of integers: exact where torch is, and no op rounds them to float32 without a word that torch would not."""

import numpy as np
import pytest

import fastnn as fnn
import fastnn.nn.functional as F
from fastnn import ops

BIG = 2**24 + 1  # float32 has no such number


def same(y, want):
    assert isinstance(y, fnn.Tensor)
    assert y.dtype == want.dtype
    assert np.array_equal(y.numpy(), want)


SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((5, 2, 3), (3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_a_product_of_integers_is_exact(rng, a, b):
    x, y = rng.integers(-(2**40), 2**40, a), rng.integers(-9, 9, b)
    tx, ty = fnn.tensor(x), fnn.tensor(y)
    for z in (tx @ ty, tx @ y, x @ ty, ops.matmul(tx, ty), np.matmul(tx, ty), tx @ y.astype(np.int8)):
        same(z, x @ y)


def test_views_of_integers():
    x = np.arange(BIG, BIG + 12).reshape(3, 4)
    same(fnn.tensor(x)[::2, ::-1] @ fnn.tensor(x).T[:, ::-1], x[::2, ::-1] @ x.T[:, ::-1])
    same(fnn.tensor(x).T.relu(), x.T)


def test_a_product_with_floats_is_float32_and_has_its_gradient():
    x, y = fnn.tensor([[1, 2]]), fnn.Parameter([[1.0], [2.0]])
    z = x @ y
    assert z.dtype == np.float32
    z.sum().backward()
    assert y.grad.tolist() == [[1], [2]]
    assert not (x @ x.T).requires_grad
    assert ops.matmul([[1]], [[2]]).dtype == np.float32  # arrays alone are float32


def test_a_product_of_bool_is_refused():
    x, mask = fnn.tensor([[1, 2]]), fnn.tensor([[True], [False]])
    for call in (lambda: x @ mask, lambda: mask @ mask.T, lambda: mask.numpy().T @ mask):
        with pytest.raises(TypeError, match=r"matmul: not supported for bool; write mask.long\(\)"):
            call()
    same(fnn.tensor([[1.0, 2.0]]) @ mask, np.float32([[1]]))


def test_shapes_of_integers_that_do_not_match_are_named():
    x = fnn.tensor([[1, 2]])
    with pytest.raises(ValueError, match=r"matmul: a \(1, 2\) and b \(1, 2\) do not match"):
        x @ x
    with pytest.raises(ValueError, match="at least 1 dimension"):
        x @ fnn.tensor(3)


def test_traces_keep_integers():
    x = np.array([[BIG, -1], [2, 3]])
    graph = fnn.trace(lambda a: (a @ a, a.relu()), fnn.tensor(x))
    product, positive = graph(fnn.tensor(x))
    same(product, x @ x)
    same(positive, np.maximum(x, 0))


def test_relu():
    for x in (np.array([BIG, -BIG, 0]), np.array(-3), np.zeros((0, 2), np.int64), np.array([[BIG, 1], [-1, 2]]).T):
        same(fnn.tensor(x).relu(), np.maximum(x, 0))
        same(F.relu(fnn.tensor(x)), np.maximum(x, 0))
    with pytest.raises(TypeError, match=r"relu: not supported for bool; write mask.long\(\)"):
        fnn.tensor([True]).relu()
    assert F.relu(np.array([1, -1])).dtype == np.float32


@pytest.mark.parametrize("dtype", [fnn.int64, fnn.bool])
def test_maxpool_refuses_integers(dtype):
    for pool, shape in ((F.max_pool1d, (1, 1, 4)), (F.max_pool2d, (1, 1, 4, 4))):
        x = np.ones(shape)
        with pytest.raises(TypeError, match=rf"x has dtype {dtype}, expected float32; write x.float\(\)"):
            pool(fnn.tensor(x, dtype=dtype), 2)
        assert pool(x.astype(dtype), 2).dtype == np.float32
        assert pool(fnn.tensor(x, dtype=dtype).float(), 2).dtype == np.float32


@pytest.mark.parametrize("name", ["mean", "std", "var"])
def test_moments_refuse_integers(name):
    for x in (fnn.tensor([1, 2]), fnn.tensor([True, False])):
        text = rf"{name}: x has dtype {x.dtype}, in which a {name} has no place; write x.float\(\).{name}\(\)"
        for call in (getattr(x, name), lambda x=x: getattr(ops, name)(x, axis=0), lambda x=x: getattr(np, name)(x)):
            with pytest.raises(TypeError, match=text):
                call()
        getattr(x.float(), name)()
    assert getattr(ops, name)([1, 2]).dtype == np.float32


def test_linear_of_integers_is_exact():
    x, w, b = np.array([[BIG, 1], [2, -BIG]]), np.array([[1, 2], [BIG, 3], [0, 1]]), np.array([BIG, 0, -1])
    tx, tw, tb = fnn.tensor(x), fnn.tensor(w), fnn.tensor(b)
    same(F.linear(tx, tw), x @ w.T)
    for arguments in ((tx, tw, tb), (x, tw, b), (tx, w, b), (x, w, tb)):
        same(F.linear(*arguments), x @ w.T + b)
    assert F.linear(x, w, b).dtype == np.float32  # arrays alone
    assert F.linear(tx, w.astype(np.float32)).dtype == np.float32
    assert F.linear(tx, tw, tb.float()).dtype == np.float32
    assert F.linear(tx.float(), tw, tb).dtype == np.float32
    p = fnn.Parameter(w)
    F.linear(tx, p, tb).sum().backward()
    assert p.grad.shape == w.shape
    with pytest.raises(TypeError, match=r"linear: not supported for bool; write x.long\(\)"):
        F.linear(tx > 0, tw)
    with pytest.raises(ValueError, match=r"linear: bias has shape \(1,\)"):
        F.linear(tx, tw, tb[:1])
    with pytest.raises(ValueError, match="linear: weight has shape"):
        F.linear(tx, tw[0])
    graph = fnn.trace(lambda a: F.linear(a, tw, tb).relu(), tx)
    for each in (graph, fnn.rewrite(graph)):
        same(each(tx), np.maximum(x @ w.T + b, 0))

import numpy as np
import pytest
from check import check_op

import fastnn as fnn
from fastnn import ops

AXES = [None, 0, 1, -1, (0, 2), (2, 0), (1, 2), [0, 1, 2], ()]
REDUCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(rng, name, axis, keepdims):
    def reference(x, axis, keepdims):
        return np.asarray(REDUCTIONS[name](x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims))

    x = rng.permutation(60).reshape(3, 4, 5) / 10 - 2
    check_op(getattr(ops, name), reference, x, differentiable=[0], threads=(1, 2), axis=axis, keepdims=keepdims)
    y = getattr(fnn.Tensor(x), name)(axis=axis, keepdims=keepdims)
    assert np.array_equal(y.numpy(), getattr(ops, name)(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)], ids=str)
def test_var(rng, axis, correction):
    def reference(x, axis, correction):
        return np.asarray(x.var(axis=axis, ddof=correction))

    x = rng.standard_normal((3, 4, 5)) + 10
    check_op(ops.var, reference, x, differentiable=[0], threads=(1, 2), rtol=2e-5, axis=axis, correction=correction)
    assert np.array_equal(fnn.Tensor(x).var(axis, keepdims=True).numpy(), ops.var(x, dim=axis, keepdim=True))


def test_large_sums_are_added_in_float64(rng):
    x = rng.standard_normal((3, 700_000)).astype(np.float32) + 1000
    exact = x.astype(np.float64)
    assert np.array_equal(ops.sum(x, 1), exact.sum(1).astype(np.float32))
    assert np.allclose(ops.mean(x.T, 0), exact.mean(1), rtol=6e-8)
    assert np.allclose(ops.var(x, 1), exact.var(1, ddof=1), rtol=1e-6)
    assert np.allclose(ops.sum(x), exact.sum(), rtol=6e-8)


def test_bits_do_not_depend_on_layout_or_batch(rng):
    x = rng.standard_normal((33, 5, 40, 50)).astype(np.float32)
    for op in (ops.sum, ops.mean, ops.var):
        whole = op(x, (2, 3))
        assert np.array_equal(op(channels_last(x), (2, 3)), whole)
        for n in (1, 2, 7):
            assert np.array_equal(op(x[:n], (2, 3)), whole[:n])
        assert np.array_equal(op(channels_last(x)), op(x))
    time = rng.standard_normal((100, 7, 1)).astype(np.float32)
    for n in (1, 3):
        assert np.array_equal(ops.mean(time[:, :n], 0), ops.mean(time, 0)[:n])


def test_gradients_in_any_layout(rng):
    x = rng.integers(-4, 5, (2, 3, 4, 5)).astype(np.float32)
    dy = rng.integers(-4, 5, (2, 3)).astype(np.float32)
    for name in ("sum", "max", "min"):
        grads = []
        for layout in (np.ascontiguousarray, channels_last, np.asfortranarray):
            t = fnn.Tensor(layout(x), requires_grad=True)
            getattr(t, name)(axis=(2, 3)).backward(dy)
            grads.append(t.grad)
        assert np.array_equal(grads[1], grads[0])
        assert np.array_equal(grads[2], grads[0])
        assert np.allclose(grads[0].sum((2, 3)), dy * (20 if name == "sum" else 1))


def test_equal_elements():
    """With indices the first largest gets the gradient, as it is the one that is named; without, they share it."""
    x = fnn.Tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)
    x.max(1).values.sum().backward()
    assert np.array_equal(x.grad, [[0, 1, 0], [1, 0, 0]])
    for reduce, want in (
        (lambda: x.min(), [[1, 0, 0], [0, 0, 0]]),
        (lambda: x.max(), [[0, 0.5, 0.5], [0, 0, 0]]),
        (lambda: x.max(axis=1).sum(), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]),
    ):
        x.grad = None
        reduce().backward()
        assert np.allclose(x.grad, want)
    assert np.isnan(ops.max([1, np.nan, 2]))
    assert np.isnan(ops.min([[1, np.nan, 2]], axis=1)).all()


def test_the_spread_of_equal_elements_has_no_gradient():
    x = fnn.Tensor(np.ones((4, 3)), requires_grad=True)
    x.std(0).sum().backward()
    assert np.array_equal(x.grad, np.zeros((4, 3)))


def test_argmax(rng):
    x = rng.integers(0, 5, (4, 6, 3))
    for axis in (None, 0, 1, -1):
        got = fnn.Tensor(x, requires_grad=True).argmax(axis)
        assert type(got) is fnn.Tensor
        assert got.dtype == np.int64
        assert not got.requires_grad
        assert np.array_equal(got, x.argmax(axis))
    assert ops.argmax(x, 1, keepdims=True).shape == (4, 1, 3)
    assert fnn.Tensor(x).argmax(dim=2, keepdim=True).shape == (4, 6, 1)


def test_nan_and_inf_pass_without_warnings():
    for x in ([np.inf, -np.inf], [np.nan, 1], [3e38, 3e38]):
        for op in (ops.sum, ops.mean, ops.var):
            with np.errstate(all="ignore"):
                want = getattr(np, op.__name__)(np.array(x)).astype(np.float32) * (2 if op is ops.var else 1)
            assert np.array_equal(op(x), want, equal_nan=True)


def test_no_elements():
    x = fnn.Tensor(np.zeros((0, 3)), requires_grad=True)
    assert np.array_equal(x.sum(0).numpy(), [0, 0, 0])
    assert x.sum(1).shape == (0,)
    assert np.isnan(x.mean(0).numpy()).all()
    assert np.isnan(x.var().numpy())
    assert np.isnan(ops.var([1.0]))
    x.mean(0).sum().backward()
    assert x.grad.shape == (0, 3)
    assert x.max(1).values.shape == x.max(1).indices.shape == (0,)
    with pytest.raises(ValueError, match=r"max: x has shape \(0, 3\), nothing to choose"):
        x.max()
    with pytest.raises(ValueError, match=r"argmax: .* nothing to choose"):
        x.argmax(0)


def test_errors():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match="sum: dim, or axis, is 2, but x has 2 dimensions"):
        ops.sum(x, 2)
    with pytest.raises(ValueError, match=r"mean: .* twice"):
        ops.mean(x, (0, -2))
    with pytest.raises(TypeError, match=r"max: dim is 1\.5"):
        ops.max(x, 1.5)
    with pytest.raises(TypeError, match="var: x has dtype <U1"):
        ops.var("a")

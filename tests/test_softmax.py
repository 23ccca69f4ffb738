import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import _core, nn, ops

EPS = 2.0**-23
OPS = {"softmax": (ops.softmax, reference.softmax), "log_softmax": (ops.log_softmax, reference.log_softmax)}
SHAPES = {
    "one": ((1, 1), 1),
    "classes": ((40, 10), 1),
    "first_axis": ((7, 5), 0),
    "middle": ((2, 19, 3), -2),
    "image": ((2, 17, 3, 4), 1),
    "vector": ((33,), 0),
    "long": ((3, 2500), -1),
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize(("shape", "dim"), SHAPES.values(), ids=SHAPES)
def test_softmax(isa, rng, name, shape, dim):
    if shape == (1, 1):
        assert OPS[name][0](np.float32([[3]]), dim) == (name == "softmax")
        return
    check_op(*OPS[name], rng.standard_normal(shape) * 3, dim=dim)


@pytest.mark.parametrize("name", OPS)
def test_several_tasks(isa, rng, name):
    check_op(*OPS[name], rng.standard_normal((1100, 33)) * 3, dim=1, probes=4)


@pytest.mark.parametrize("columns", [*range(1, 70), 1000, 50_000])
def test_rows_add_up_to_one(isa, rng, columns):
    y = ops.softmax(rng.standard_normal((3, columns)).astype(np.float32) * 4, 1)
    assert np.abs(y.sum(1, dtype=np.float64) - 1).max() <= 4 * EPS


@pytest.mark.parametrize("columns", [3, 16, 40])
def test_no_false_overflow(isa, columns):
    for a, b in ((1e4, -1e4), (1e30, -1e30), (3.4e38, -3.4e38), (1e-40, -1e-40), (-1e30, -3.4e38)):
        x = np.full((2, columns), b, np.float32)
        x[:, 1] = a
        y = ops.softmax(x, 1)
        assert np.isfinite(y).all()
        assert np.allclose(y, reference.softmax(x.astype(np.float64), dim=1), atol=1e-7)
        with np.errstate(over="ignore"):
            want = reference.log_softmax(x.astype(np.float64), dim=1).astype(np.float32)
        assert np.allclose(ops.log_softmax(x, 1), want, rtol=1e-6)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("columns", [3, 16, 40])
def test_non_finite(isa, name, columns):
    """As torch: -inf counts for nothing; NaN, +inf, or -inf throughout makes its own row NaN and no other."""
    x = np.zeros((6, columns), np.float32)
    x[0, 1], x[1, 2], x[2, 0], x[3] = -np.inf, np.nan, np.inf, -np.inf
    x[4, columns - 1] = np.nan
    y = OPS[name][0](x, 1)
    assert np.isnan(y[1:5]).all()
    one = 1 / (columns - 1) if name == "softmax" else -np.log(columns - 1)
    assert np.allclose(np.delete(y[0], 1), one, rtol=1e-6)
    assert y[0, 1] == (0 if name == "softmax" else -np.inf)
    assert np.isfinite(y[5]).all()


@pytest.mark.parametrize("name", OPS)
def test_rows_do_not_depend_on_the_batch(isa, rng, name):
    for columns in (10, 65):
        x = rng.standard_normal((37, columns)).astype(np.float32)
        whole = OPS[name][0](x, 1)
        for n in (1, 2, 16, 36):
            assert np.array_equal(OPS[name][0](x[:n], 1), whole[:n])


def test_layout_and_empty(isa, rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert np.array_equal(ops.softmax(x, 1), ops.softmax(last, 1))
    assert ops.softmax(last, 1).strides == last.strides
    for shape in ((0, 3), (3, 0), (2, 0, 4)):
        for dim in range(len(shape)):
            tensor = fnn.Tensor(np.zeros(shape), requires_grad=True)
            ops.log_softmax(tensor, dim).backward(np.zeros(shape))
            assert tensor.grad.shape == shape


def test_layers(rng):
    x = fnn.Tensor(rng.standard_normal((4, 5)))
    assert np.array_equal(nn.Softmax(dim=0)(x), ops.softmax(x, 0))
    assert np.array_equal(nn.LogSoftmax(-1)(x), ops.log_softmax(x, 1))


def test_errors():
    with pytest.raises(ValueError, match=r"softmax: dim is 2, x of shape \(3, 4\)"):
        ops.softmax(np.zeros((3, 4)), 2)
    with pytest.raises(ValueError, match=r"log_softmax: dim is 0, x of shape \(\)"):
        ops.log_softmax(1.0, 0)
    with pytest.raises(TypeError, match=r"softmax: dim is 1\.0"):
        ops.softmax(np.zeros((3, 4)), 1.0)
    with pytest.raises(TypeError, match="softmax: x has dtype object"):
        ops.softmax(np.array([None]), 0)
    with pytest.raises(ValueError, match=r"dy has shape \(3, 3\)"):
        _core.softmax_backward(np.zeros((3, 4), np.float32), np.zeros((3, 3), np.float32), False)

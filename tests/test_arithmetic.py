import numpy as np
import pytest
from check import check_op

import fastnn as fnn
from fastnn import ops

SHAPES = {
    "same": ((3, 4), (3, 4)),
    "row": ((3, 4), (4,)),
    "column": ((3, 4), (3, 1)),
    "both": ((3, 1), (1, 4)),
    "scalar": ((4, 5), ()),
    "no_dimensions": ((), ()),
    "channels": ((2, 3, 4, 5), (3, 1, 1)),
    "middle": ((2, 3, 4), (2, 1, 4)),
    "new_axes": ((3,), (2, 2, 1)),
}
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
# Not the larger of two single numbers: the other would get no gradient.
PAIRS = [(n, s) for n in BINARY for s in SHAPES if n not in ("maximum", "minimum") or s != "no_dimensions"]


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def numbers(rng, shape):
    """No zeros nearby, where quotients would lose all digits, and both signs."""
    return rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape)


@pytest.mark.parametrize(("name", "shapes"), PAIRS)
def test_two_operands(rng, name, shapes):
    x, y = SHAPES[shapes]
    x, y = numbers(rng, x), numbers(rng, y) if y else np.array(0.1)
    check_op(getattr(ops, name), BINARY[name], x, y, threads=(1, 2))
    check_op(getattr(ops, name), BINARY[name], y, x, threads=(1, 2))


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), ()), ((), (3,)), ((2, 3), (3,))], ids=str)
def test_pow(rng, shapes):
    x, p = rng.uniform(0.3, 2, shapes[0]), rng.uniform(-2, 3, shapes[1])
    check_op(ops.pow, np.power, x, p)


@pytest.mark.parametrize("p", [2, 3, -1, 0.5, 1])
def test_pow_of_a_number(rng, p):
    x = rng.uniform(0.3, 2, (3, 4))
    check_op(lambda x: x**p, lambda x: x**p, x)


def test_pow_at_zero():
    x, p = fnn.Tensor([0.0, 0.0, 0.0, 2.0], requires_grad=True), fnn.Tensor([0.0, 1.0, 2.0, 0.0], requires_grad=True)
    (x**p).sum().backward()
    assert np.array_equal(x.grad, [0, 1, 0, 0])
    assert np.allclose(p.grad, [0, 0, 0, np.log(2)])
    y = fnn.Tensor([-2.0, 0.0], requires_grad=True)
    (y**2).sum().backward()
    assert np.array_equal(y.grad, [-4, 0])


def test_equal_operands_share_the_gradient():
    x, y = fnn.Tensor([1.0, 2.0, 3.0], requires_grad=True), fnn.Tensor([1.0, 5.0, 0.0], requires_grad=True)
    ops.maximum(x, y).sum().backward()
    assert np.array_equal(x.grad, [0.5, 0, 1])
    assert np.array_equal(y.grad, [0.5, 1, 0])
    assert np.isnan(ops.maximum([np.nan, 1], [1, np.nan])).all()
    assert np.isnan(ops.minimum([np.nan, 1], [1, np.nan])).all()


def test_where(rng):
    condition = rng.random((3, 4)) < 0.5
    x, y = numbers(rng, (3, 4)), numbers(rng, (4,))
    check_op(ops.where, np.where, condition, x, y)
    check_op(lambda x: ops.where(x > 0, x, 3), lambda x: np.where(x > 0, x, 3), x)
    with pytest.raises(TypeError, match="where: condition has dtype int64"):
        ops.where([1, 0], 1, 2)
    with pytest.raises(ValueError, match=r"where: shapes .* do not broadcast"):
        ops.where([True, False], [1, 2, 3], 2)


def test_operators_on_both_sides(rng):
    a = numbers(rng, (2, 3)).astype(np.float32)
    x = fnn.Tensor(a, requires_grad=True)
    for other in (
        2,
        2.5,
        np.float64(2.5),
        np.float32(2),
        np.ones((2, 3)),
        np.ones(3, np.int64),
        fnn.Tensor([1.0, 2.0, 3.0]),
    ):
        b = np.asarray(other, np.float32)
        for y, want in (
            (x + other, a + b),
            (other + x, b + a),
            (x - other, a - b),
            (other - x, b - a),
            (x * other, a * b),
            (other * x, b * a),
            (x / other, a / b),
            (other / x, b / a),
        ):
            assert type(y) is fnn.Tensor
            assert y.requires_grad
            assert y.data.dtype == np.float32
            assert np.array_equal(y.numpy(), want)
        for answer, want in ((x < other, a < b), (x <= other, a <= b), (x > other, a > b), (x >= other, a >= b)):
            assert answer.dtype == bool
            assert np.array_equal(answer, want)
        assert np.array_equal(other < x, b < a)
        assert np.array_equal(x == other, a == b)
        assert np.array_equal(x != other, a != b)
    assert np.allclose((2**x).numpy(), 2**a)
    assert np.array_equal((-x).numpy(), -a)
    assert np.array_equal(abs(x).numpy(), np.abs(a))
    assert +x is x
    assert len({x, x, -x}) == 2


@pytest.mark.parametrize(("other", "want"), [(1e39, np.inf), (-1e39, -np.inf), (2**100, 2**100), (np.inf, np.inf)])
def test_numbers_do_not_make_float64(other, want):
    y = fnn.Tensor([1.0, 2.0]) * other
    assert y.data.dtype == np.float32
    assert np.array_equal(y.numpy(), [want, 2 * want])


def test_layouts(rng):
    """The bits do not depend on the layout, and channels last stays channels last, small and large."""
    for shape in ((2, 3, 4, 5), (4, 20, 30, 40)):
        a, b, bias = (rng.standard_normal(s).astype(np.float32) for s in (shape, shape, (shape[1], 1, 1)))
        for other in (b, bias, np.float32(3)):
            results = []
            for layout in (np.ascontiguousarray, channels_last, np.asfortranarray):
                x = fnn.Tensor(layout(a), requires_grad=True)
                o = fnn.Tensor(layout(other) if np.ndim(other) == 4 else other, requires_grad=True)
                y = x * o
                assert y.numpy().strides == x.numpy().strides
                y.backward(channels_last(b))
                results.append((y.numpy(), x.grad, o.grad))
            for result in results[1:]:
                assert np.array_equal(result[0], results[0][0])
                assert np.array_equal(result[1], results[0][1])
                assert np.allclose(result[2], results[0][2], rtol=1e-4)
    for other in (bias, np.float32(3)):  # integers: every order of addition gives the same gradient
        o, dy = fnn.Tensor(other, requires_grad=True), np.rint(b)
        (fnn.Tensor(np.rint(a)) * o).backward(channels_last(dy))
        assert np.array_equal(
            o.grad, (np.rint(a) * dy).sum(axis=(0, 2, 3), keepdims=True)[0] if o.ndim else (np.rint(a) * dy).sum()
        )
    view = fnn.Tensor(a[::2, ::-1])
    assert np.array_equal((view + view).numpy(), 2 * a[::2, ::-1])


def test_no_elements():
    x, y = fnn.Tensor(np.zeros((0, 3)), requires_grad=True), fnn.Tensor(np.ones(3), requires_grad=True)
    (x * y + y / 2 - x**2).sum().backward()
    assert x.grad.shape == (0, 3)
    assert np.array_equal(y.grad, [0, 0, 0])


def test_errors():
    x = fnn.Tensor(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(4,\) do not broadcast together"):
        x + np.zeros(4)
    with pytest.raises(ValueError, match=r"mul: shapes \(300, 300\) and \(4,\) do not broadcast together"):
        ops.mul(np.zeros((300, 300)), np.zeros(4))
    with pytest.raises(TypeError, match="sub: x has dtype complex128"):
        1j - x
    with pytest.raises(TypeError, match="div: y has dtype object"):
        x / None
    with pytest.raises(TypeError, match="add: y has dtype <U1"):
        x + "a"

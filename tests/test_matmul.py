import numpy as np
import pytest
from check import check_op

import fastnn as fnn
from fastnn import ops

SHAPES = {
    "dot": ((5,), (5,)),
    "row": ((5,), (5, 3)),
    "column": ((4, 5), (5,)),
    "matrices": ((17, 33), (33, 15)),
    "batch": ((3, 4, 5), (3, 5, 6)),
    "one_right": ((2, 3, 4, 5), (5, 6)),
    "one_left": ((4, 5), (3, 5, 6)),
    "broadcast": ((2, 1, 4, 5), (3, 5, 6)),
    "batch_of_one": ((3, 4, 5), (1, 5, 6)),
    "row_and_batch": ((5,), (3, 5, 6)),
    "batch_and_column": ((3, 4, 5), (5,)),
}


@pytest.mark.parametrize(("a", "b"), SHAPES.values(), ids=SHAPES)
def test_matmul(isa, rng, a, b):
    check_op(ops.matmul, np.matmul, rng.standard_normal(a), rng.standard_normal(b))


def test_integer_exact(isa, rng):
    for a, b in SHAPES.values():
        x, y = rng.integers(-8, 9, a), rng.integers(-8, 9, b)
        tx, ty = fnn.Tensor(x, requires_grad=True), fnn.Tensor(y, requires_grad=True)
        z = tx @ ty
        assert z.shape == (x @ y).shape
        assert np.array_equal(z.numpy(), x @ y)
        assert np.array_equal((x @ ty).numpy(), x @ y)
        # <dz, x @ y> is linear in x and in y: the gradients are exact integers too.
        dz, px, py = rng.integers(-8, 9, z.shape), rng.integers(-8, 9, a), rng.integers(-8, 9, b)
        z.backward(dz)
        assert (tx.grad * px).sum() == (dz * (px @ y)).sum()
        assert (ty.grad * py).sum() == (dz * (x @ py)).sum()


def test_views(rng):
    a, b = rng.integers(-8, 9, (6, 8, 10)), rng.integers(-8, 9, (10, 12))
    for x, y in (
        (a[::2, ::-1, ::3], b[::3, ::2]),
        (a.transpose(1, 0, 2), b),
        (a[:, :, :1], b[:1]),
        (a.T[:, :, 0].T, b),
    ):
        assert np.array_equal(ops.matmul(x.astype(np.float32), y.astype(np.float32)), x @ y)


# m, k, n beyond a block: of rows, of k (in a copy of rows, of columns), of the columns for which it pays to copy.
@pytest.mark.parametrize(
    ("m", "k", "n"), [(512, 1037, 259), (1024, 515, 130), (129, 1024, 65), (61, 3072, 17), (1030, 3, 131)]
)
def test_layouts_do_not_change_a_bit(isa, rng, m, k, n):
    a, b = rng.integers(-8, 9, (m, k)).astype(np.float32), rng.integers(-8, 9, (k, n)).astype(np.float32)
    assert np.array_equal(ops.matmul(a, b), a.astype(np.int64) @ b.astype(np.int64))
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    whole = ops.matmul(a, b)
    spaced = np.zeros((k, n, 2), np.float32)
    spaced[..., 0] = b
    for x in (a, a.T.copy().T, np.pad(a, ((0, 0), (0, 3)))[:, :k], np.pad(a, ((0, 3), (0, 0))).T.copy().T[:m]):
        for y in (b, b.T.copy().T, spaced[..., 0]):
            assert np.array_equal(ops.matmul(x, y), whole)
    for first in (1, 57):
        assert np.array_equal(ops.matmul(a[first : first + 40], b), whole[first : first + 40])


def test_rows_do_not_depend_on_the_batch(isa, rng):
    a, b = rng.standard_normal((9, 7, 65)), rng.standard_normal((9, 65, 33))
    whole, shared = ops.matmul(a, b), ops.matmul(a, b[0])
    for n in (1, 2, 5):
        assert np.array_equal(ops.matmul(a[:n], b[:n]), whole[:n])
        assert np.array_equal(ops.matmul(a[:n], b[0]), shared[:n])


@pytest.mark.parametrize(
    ("a", "b"), [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((2, 2, 3), (2, 3, 0))], ids=str
)
def test_no_elements(a, b):
    x, y = fnn.Tensor(np.ones(a), requires_grad=True), fnn.Tensor(np.ones(b), requires_grad=True)
    z = x @ y
    assert np.array_equal(z.numpy(), np.ones(a) @ np.ones(b))
    z.backward(np.ones(z.shape))
    assert np.array_equal(x.grad, np.ones(z.shape) @ np.ones(b).swapaxes(-1, -2))
    assert y.grad.shape == b


def test_errors():
    with pytest.raises(ValueError, match=r"matmul: a \(2, 3\) and b \(2, 3\) do not match: 3 and 2"):
        ops.matmul(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"matmul: leading axes of a .* do not broadcast"):
        ops.matmul(np.zeros((2, 3, 3)), np.zeros((4, 3, 3)))
    with pytest.raises(ValueError, match=r"matmul: a has shape \(\)"):
        fnn.Tensor(1.0) @ np.zeros(3)
    with pytest.raises(TypeError, match="matmul: b has dtype complex128"):
        ops.matmul(np.zeros((2, 3)), np.zeros((3, 2), complex))

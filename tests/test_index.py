"""x[key] and its gradient: for every kind of key what NumPy picks, and the sum of what came from each element."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import ops

SHAPE = (5, 4, 3)
MASK = np.array([[True, False, True, True], [False] * 4, [True] * 4, [False, True, False, False], [True] * 4])
KEYS = {
    "array": np.array([1, 4, 1, 0]),
    "array_2d": np.array([[1, 4], [1, 0]]),
    "array_empty": np.zeros((0, 2), np.int64),
    "array_int8": np.array([-5, 4, -1], np.int8),
    "array_of_none": np.array(3),
    "array_on_axis_1": (slice(None), np.array([3, 3, -1, 0])),
    "array_on_axis_2": (Ellipsis, np.array([2, 2, -3, 0])),
    "array_read_only": np.broadcast_to(np.array([2]), (6,)),
    "array_then_integer": (np.array([1, 1]), 2),
    "array_then_new_axis": (np.array([1, 1]), None, 2),
    "array_then_slice": (np.array([1, 1]), slice(3, 0, -2)),
    "arrays": (np.array([1, 1, -5]), np.array([2, 2, -4])),
    "arrays_apart": (np.array([0, 0, 4]), slice(1, 3), np.array([1, 1, -1])),
    "arrays_broadcast": (np.array([[1], [4]]), slice(None), np.array([0, 2, 2])),
    "arrays_of_all_axes": (np.array([1, 1, 2]), np.array([0, 0, 2]), np.array([-1, 2, 1])),
    "ellipsis": Ellipsis,
    "ellipsis_between": (np.array([0, 0]), Ellipsis, np.array([1, 1])),
    "integer": -2,
    "integers": (1, -1, 0),
    "integer_then_array": (2, slice(None), [0, 0, 1]),
    "list": [0, 0, -1],
    "list_empty": [],
    "list_of_bool": [True, False, True, False, True],
    "lists": ([0, 0], [3, 3]),
    "mask": np.random.default_rng(1).random(SHAPE) < 0.5,
    "mask_of_false": np.zeros(SHAPE, bool),
    "mask_of_leading_axes": MASK,
    "mask_of_one_axis": (slice(None), np.array([True, False, False, True])),
    "mask_then_array": (np.array([True, False, True, False, False]), [3, 3]),
    "mask_then_slice": (MASK, slice(0, 2)),
    "masks": (np.array([True, False, True, False, False]), np.array([False, True, True, False])),
    "nested_tuple": ((0, 0, 1),),
    "new_axis": (None, slice(None), None),
    "nothing": (),
    "slice": slice(1, None, 2),
    "slice_backwards": (slice(None, None, -1), slice(2, 0, -1)),
    "true": True,
    "true_then_array": (True, [1, 1]),
}


def gradient(x, key, dy):
    tensor = fnn.Tensor(x, requires_grad=True)
    y = tensor[key]
    y.backward(dy)
    return y.numpy(), tensor.grad.numpy()


@pytest.mark.parametrize("name", KEYS)
def test_every_key(isa, rng, name):
    x, key = rng.standard_normal(SHAPE).astype(np.float32), KEYS[name]
    dy = rng.standard_normal(x[key].shape).astype(np.float32)
    want = np.zeros(SHAPE)
    np.add.at(want, key, dy)
    for array in (x, np.asfortranarray(x), x[::-1].copy()[::-1]):
        y, dx = gradient(array, key, dy)
        assert np.array_equal(y, x[key])
        assert dx.shape == SHAPE
        assert dx.dtype == np.float32
        assert np.allclose(dx, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", KEYS)
def test_sums_are_exact_on_integers(rng, name):
    key = KEYS[name]
    dy = rng.integers(-9, 9, np.zeros(SHAPE)[key].shape)
    want = np.zeros(SHAPE)
    np.add.at(want, key, dy)
    assert np.array_equal(gradient(np.zeros(SHAPE), key, dy)[1], want)


@pytest.mark.parametrize("shape", [(7,), (7, 33), (7, 2, 3, 5), (7, 0, 3)], ids=str)
def test_rows_of_any_array(isa, rng, shape):
    """Rows picked by number, as from a table: many times each, from either end."""
    for ids in (rng.integers(-7, 7, 200), rng.integers(-7, 7, (3, 50)).tolist()):
        dy = rng.standard_normal((*np.shape(ids), *shape[1:])).astype(np.float32)
        want = np.zeros(shape)
        np.add.at(want, ids, dy)
        assert np.allclose(gradient(np.ones(shape), ids, dy)[1], want, rtol=1e-5, atol=1e-5)


def test_is_an_embedding(isa, rng):
    """table[ids] has the bits of ops.embedding, forward and backward."""
    table, ids = rng.standard_normal((50, 24)).astype(np.float32), rng.integers(0, 50, (8, 100))
    dy = rng.standard_normal((8, 100, 24)).astype(np.float32)
    weight = fnn.Tensor(table, requires_grad=True)
    y = ops.embedding(ids, weight)
    y.backward(dy)
    picked, grad = gradient(table, ids, dy)
    assert picked.tobytes() == y.numpy().tobytes()
    assert grad.tobytes() == weight.grad.numpy().tobytes()


@pytest.mark.parametrize(
    "key", [np.array([0, 0, 3]), (slice(None), [2, 2]), np.arange(15).reshape(5, 3) % 2 == 0], ids=str
)
def test_threads_give_the_same_bits(rng, key):
    x = rng.standard_normal((5, 3, 400)).astype(np.float32)
    dy = rng.standard_normal(x[key].shape).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        with fnn.threads(n):
            results.append(gradient(x, key, dy)[1].tobytes())
    assert len(set(results)) == 1


def test_a_key_changed_after_the_forward_pass_changes_nothing():
    for ids, other in ((np.array([0, 0, 2]), np.array([1, 1, 1])), (np.arange(3) > 0, np.array([True, True, False]))):
        x = fnn.Tensor(np.zeros((3, 2)), requires_grad=True)
        key = ids.copy()
        y = x[key]
        want = np.zeros((3, 2))
        np.add.at(want, ids, np.ones(y.shape))
        key[:] = other
        y.backward(np.ones(y.shape))
        assert np.array_equal(x.grad, want)


def test_no_gradient_of_a_constant(rng):
    x = rng.standard_normal((4, 3)).astype(np.float32)
    scale = fnn.Tensor(np.ones(3), requires_grad=True)
    y = ops.index(x, [1, 1]) * scale
    y.backward(np.ones((2, 3)))
    assert np.allclose(scale.grad, 2 * x[1])
    with fnn.no_grad():
        assert np.array_equal(fnn.Tensor(x, requires_grad=True)[[1, 1]].numpy(), x[[1, 1]])


@pytest.mark.parametrize("key", [[4], [-5], (slice(None), [3]), (0, 0, 0), np.zeros(3, bool), [0.5], "a"], ids=str)
def test_errors(key):
    with pytest.raises(IndexError):
        fnn.Tensor(np.zeros((4, 3)), requires_grad=True)[key]

"""Tensors on their way into ops and out of them, which C does: nothing is lost, kept alive or read where nothing is."""

import array
import ctypes
import sys

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core


def _tensor(requires_grad=True):
    return fnn.Tensor(np.ones(3, np.float32), requires_grad=requires_grad)


def test_what_is_opened():
    leaf, plain = fnn.Parameter(np.ones(3, np.float32)), _tensor(requires_grad=False)
    y = leaf * 2.0
    numbers, number = np.ones(3), "text"
    values, need, edges, reached, others = _core.opened((leaf, y, plain, numbers, 1.0, number, None, range(3)), True)
    assert [a is b for a, b in zip(values[:4], (leaf._array, y._array, plain._array, numbers), strict=True)] == [
        True
    ] * 4
    assert values[4:] == [1.0, "text", None, range(3)]
    assert need == [True, True] + [False] * 6
    assert edges[0] is leaf
    assert edges[1:] == [(y._node, 0)] + [None] * 6
    assert reached == [2, 3]  # nobody else has the arrays of the others
    assert others == [7]
    leaf.numpy()
    assert _core.opened([leaf], True)[3] == [0]
    assert _core.opened((leaf, 1), False)[1:] == ([False, False], None, [0], None)
    assert _core.opened((numbers, 1, None), True) is None
    with pytest.raises(TypeError, match="expected a tuple"):
        _core.opened(5, True)


def test_every_reference_is_given_back():
    leaf, numbers = _tensor(), np.ones(3, np.float32)
    y = leaf * 2.0
    objects = [leaf, y, numbers, leaf._array, y._array, y._node]

    def counts():
        return [sys.getrefcount(value) for value in objects]

    before = counts()
    for _ in range(100):
        _core.opened((leaf, y, numbers), True)
        _core.opened((leaf, y, numbers), False)
        _core.opened((numbers,), True)
        _core.computed(numbers, y._node, 0, False)
        _core.computed(numbers, None, 0, True)
    assert counts() == before


def test_a_tensor_that_was_never_made():
    empty = fnn.Tensor.__new__(fnn.Tensor)
    for op in (fnn.ops.relu, fnn.ops.exp, lambda x: fnn.ops.add(_tensor(), x)):
        with pytest.raises(AttributeError, match="__init__"):
            op(empty)


@pytest.mark.parametrize("kind", ["array", "ctypes", "interface", "bytearray"])
def test_memory_of_other_objects_is_watched(kind):
    values = np.array([1, 2, 3], np.float32)
    if kind == "array":
        given = array.array("f", values.tolist())
    elif kind == "ctypes":
        given = (ctypes.c_float * 3)(*values.tolist())
    elif kind == "interface":
        given = type("Shown", (), {"__array_interface__": values.__array_interface__, "kept": values})()
    else:
        given = memoryview(bytearray(values.tobytes())).cast("f")
    x = fnn.Tensor([1.0, 1.0, 1.0], requires_grad=True)
    y = (x * given).sum()
    (values if kind == "interface" else given)[0] = 100
    with pytest.raises(RuntimeError, match="mul saved"):
        y.backward()


def test_an_array_that_takes_another_form_before_backward():
    """The gradient is that of what was given."""

    def gradient(change):
        x = fnn.Tensor(np.ones((4, 4), np.float32), requires_grad=True)
        given = np.arange(4, dtype=np.float32)
        y = (x * given).sum()
        change(given)
        y.backward()
        return x.grad.numpy()

    for name, value in (("shape", (4, 1)), ("dtype", np.int32)):
        changed = gradient(lambda a, name=name, value=value: setattr(a, name, value))
        np.testing.assert_array_equal(changed, gradient(lambda a: None))


def test_a_key_that_changes_before_backward():
    """The gradient goes to what was picked, however often."""
    x = fnn.Tensor(np.zeros((4, 2), np.float32), requires_grad=True)
    for key, expected in ((np.array([1, 1, 3]), [0, 2, 0, 1]), (np.array([False, True, False, True]), [0, 1, 0, 1])):
        x.grad = None
        y = x[key].sum()
        key[...] = key[::-1].copy() if key.dtype == bool else 0
        y.backward()
        np.testing.assert_array_equal(x.grad.numpy(), np.repeat(np.float32(expected), 2).reshape(4, 2))


def test_what_is_detached_shows_the_same_memory():
    """A write through it is one into what was saved."""

    @fnn.no_grad()
    def passed_on(x):
        return fnn.ops.dropout(x, 0.5, training=False)

    p = fnn.Parameter(np.ones(3))
    for cut in (fnn.ops.detach, lambda x: x.detach(), passed_on):
        x = p * 2.0
        z = (x * x).sum()
        y = cut(x)
        assert not y.requires_grad
        y.numpy()[...] = 9
        np.testing.assert_array_equal(x.detach().numpy(), [9, 9, 9])
        with pytest.raises(RuntimeError, match="mul saved"):
            z.backward()

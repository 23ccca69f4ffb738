"""x += y and x[i] = y: in place where nothing can be lost, else an error that says what to write."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops

SIGNS = {
    "+": (lambda x, y: x.__iadd__(y), np.add),
    "-": (lambda x, y: x.__isub__(y), np.subtract),
    "*": (lambda x, y: x.__imul__(y), np.multiply),
    "/": (lambda x, y: x.__itruediv__(y), np.divide),
    "**": (lambda x, y: x.__ipow__(y), np.power),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_a_parameter_changes_under_no_grad(sign):
    """p -= lr * p.grad, as in every hand-written loop: the Parameter, the layer and the optimizer see it."""
    in_place, ufunc = SIGNS[sign]
    layer = nn.Linear(3, 2)
    optimizer = fnn.optim.SGD(layer.parameters(), lr=1.0)
    p, before = layer.weight, np.abs(layer.weight.data)
    p.data[...] = before
    with fnn.no_grad():
        got = in_place(p, 1.5)
        layer.bias -= 2
    assert got is p is layer.weight
    assert np.array_equal(p.data, ufunc(before, np.float32(1.5)), equal_nan=True)
    assert p.requires_grad
    p.grad = np.zeros(p.shape)
    optimizer.step()
    assert np.array_equal(layer.state_dict()["weight"], p.data, equal_nan=True)


def test_a_hand_written_loop_trains():
    x, w = np.linspace(-1, 1, 20, dtype=np.float32)[:, None], nn.Linear(1, 1)
    losses = []
    for _ in range(50):
        loss = ((w(x) - 3 * x - 1) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with fnn.no_grad():
            for p in w.parameters():
                p -= 0.5 * p.grad
                p.grad = None
    assert losses[-1] < 1e-4 < losses[0]


@pytest.mark.parametrize("sign", SIGNS)
def test_a_leaf_does_not_change_while_something_is_recorded(sign):
    p = fnn.Parameter([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"leaf .*no_grad"):
        SIGNS[sign][0](p, 1)
    assert np.array_equal(p.data, [1, 2])


@pytest.mark.parametrize("sign", SIGNS)
def test_a_recorded_tensor_is_the_result_under_all_its_names(sign):
    in_place, ufunc = SIGNS[sign]
    p, q = fnn.Parameter([1.0, 2.0]), fnn.Parameter([3.0, 0.5])
    h = p * 2
    other = h
    h = in_place(h, q)
    assert other is h
    (h * h).sum().backward()
    r, s = fnn.Parameter([1.0, 2.0]), fnn.Parameter([3.0, 0.5])
    z = getattr(ops, {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}[sign])(r * 2, s)
    (z * z).sum().backward()
    assert np.array_equal(h.numpy(), ufunc(np.float32([2, 4]), np.float32([3, 0.5])))
    assert np.array_equal(p.grad, r.grad)
    assert np.array_equal(q.grad, s.grad)


def test_a_sum_of_losses():
    total, p = fnn.Tensor(0.0), fnn.Parameter([1.0, 2.0])
    for factor in (1.0, 2.0, 3.0):
        total += (p * factor).sum()
    total.backward()
    assert total.item() == 18
    assert np.array_equal(p.grad, [6, 6])


@pytest.mark.parametrize("kind", ["view of it", "it is a view", "saved", "shown"])
def test_memory_that_is_seen_from_elsewhere(kind):
    p = fnn.Parameter([[1.0, 2.0]])
    h = p * 2
    elsewhere = None
    if kind == "view of it":
        elsewhere = h.reshape(2)
    elif kind == "it is a view":
        elsewhere, h = h, h[0]
    elif kind == "saved":
        elsewhere = ops.mul(h, p)
    else:
        elsewhere = h.numpy()
    with pytest.raises(RuntimeError, match=r"write x = x \+ y"):
        h += 1
    assert elsewhere is not None
    h = h + 1
    assert np.array_equal(h.numpy().ravel(), [3, 5])


def test_residual_connections_by_plus_equals():
    """out += identity after a convolution with batch normalisation, as ResNets are written."""
    block, x = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)), fnn.Parameter(np.ones((1, 2, 4, 4)))
    grads = []
    for in_place in (True, False):
        out = block(x)
        if in_place:
            out += x
        else:
            out = out + x
        ops.relu(out).sum().backward()
        grads.append(x.grad)
        x.grad = None
    assert np.array_equal(*grads)


def test_memory_is_written_where_nothing_is_recorded():
    a = np.ones((2, 3), np.float32)
    x = fnn.Tensor(a)
    row = x[0]
    row += 1
    x[1] = fnn.Tensor([4.0, 5.0, 6.0])
    assert np.array_equal(a, [[2, 2, 2], [4, 5, 6]])
    assert x.numpy() is a


def test_results_must_fit():
    x = fnn.Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match=r"\(3, 2\) does not fit into x of shape \(2,\)"):
        x += np.ones((3, 2))
    assert np.array_equal(x.data, [1, 2])


@pytest.mark.parametrize("which", ["tensor", "value"])
def test_items_are_not_recorded(which):
    p, x = fnn.Parameter([1.0, 2.0]), fnn.Tensor([0.0, 0.0])
    target, value = (p, 3) if which == "tensor" else (x, p[0])
    with pytest.raises(TypeError, match=r"stack, cat or where"):
        target[0] = value
    assert np.array_equal(p.data, [1, 2])
    assert np.array_equal(x.data, [0, 0])


def test_read_only_memory():
    a = np.ones(3, np.float32)
    a.flags.writeable = False
    x = fnn.Tensor(a)
    with pytest.raises(ValueError, match="may only be read"):
        x += 1

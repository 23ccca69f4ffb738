"""``.data`` and ``.grad`` are Tensors that show the memory, and writes into them are noticed."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn


def test_data_shows_the_memory_and_no_gradient():
    p = fnn.Parameter([1.0, 2.0])
    d = p.data
    assert type(d) is fnn.Tensor
    assert not d.requires_grad
    assert d.numpy() is p.numpy()
    d[0] = 5
    d += 1
    assert p.tolist() == [6, 3]
    p.data += fnn.Tensor([1.0, 1.0])
    p.data[1:] *= 2
    assert p.tolist() == [7, 8]
    p.data = [1, 2]
    assert p.tolist() == [1, 2]
    other = fnn.Tensor([9.0, 9.0])
    p.data = other
    other[0] = 0
    assert p.tolist() == [0, 9]
    q = fnn.Parameter([1.0, 2.0])
    p.data = q
    q.grad = [1, 1]
    fnn.optim.SGD([q], lr=1.0).step()
    assert p.tolist() == q.tolist() == [0, 1]
    assert p.requires_grad
    with pytest.raises(TypeError, match="expected int64"):
        fnn.tensor([1, 2]).data = [1.5, 2.0]


WRITES = {
    "d[...] =": lambda p, d: d.__setitem__(..., 0),
    "d += 1": lambda p, d: d.__iadd__(1),
    "d.zero_()": lambda p, d: d.zero_(),
    "d.add_": lambda p, d: d.add_(fnn.Tensor([1.0, 1.0]), alpha=-0.5),
    "d.sub_": lambda p, d: d.sub_(1),
    "d.mul_": lambda p, d: d.mul_(2),
    "d.div_": lambda p, d: d.div_(2),
    "d.clamp_": lambda p, d: d.clamp_(0, 1),
    "d.copy_": lambda p, d: d.copy_([5.0, 6.0]),
    "d.fill_": lambda p, d: d.fill_(7),
    "d.numpy()[...] =": lambda p, d: d.numpy().fill(3),
    "a view of d": lambda p, d: d[:1].zero_(),
    "its array": lambda p, d: d._array.__setitem__(0, 3),
}


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_into_data_is_noticed(name, early):
    """A gradient that needs the values from before is refused, whenever .data was asked for."""
    p = fnn.Parameter([2.0, 3.0])
    d = p.data if early else None
    y = (p * p).sum()
    d = p.data if d is None else d
    before = p.numpy().copy()
    WRITES[name](p, d)
    assert not np.array_equal(p.numpy(), before)
    with pytest.raises(RuntimeError, match="written since"):
        y.backward()
    assert p.grad is None


def test_data_assigned_from_a_tensor_is_watched_too():
    p, t = fnn.Parameter([2.0, 3.0]), fnn.Tensor([4.0, 5.0])
    p.data = t
    y = (p * p).sum()
    t[0] = 0
    with pytest.raises(RuntimeError, match="written since"):
        y.backward()


def test_data_stays_with_a_parameter_that_an_optimizer_has():
    layer = nn.Linear(3, 2)
    early = layer.weight.data
    optimizer = fnn.optim.SGD(layer.parameters(), lr=1.0)
    late = layer.bias.data
    layer(np.ones((4, 3))).sum().backward()
    optimizer.step()
    assert np.array_equal(early, layer.weight)
    assert np.array_equal(late, layer.bias)
    early.zero_()
    late.zero_()
    assert not layer.weight.any()
    assert np.array_equal(layer(np.ones((1, 3))), np.zeros((1, 2)))
    optimizer.step()  # from zero
    assert np.array_equal(layer.weight, np.full((2, 3), -4))


def test_grad_is_a_tensor_that_can_be_changed():
    p = fnn.Parameter([1.0, 2.0])
    assert p.grad is None
    (p * 3).sum().backward()
    g = p.grad
    assert type(g) is fnn.Tensor
    assert not g.requires_grad
    (p * 2).sum().backward()
    assert g.tolist() == p.grad.tolist() == [5, 5]  # added in the same memory
    p.grad *= 0.5
    p.grad[0] = 1
    assert p.grad.tolist() == [1, 2.5]
    p.grad.clamp_(max=2)
    assert p.grad.tolist() == [1, 2]
    p.grad.zero_()
    assert g.tolist() == [0, 0]
    p.grad = fnn.Tensor([3.0, 4.0])
    assert nn.utils.clip_grad_norm_([p], 1.0) == 5
    assert np.allclose(p.grad, [0.6, 0.8])
    for wrong in (fnn.Tensor([1.0]), np.ones(3)):
        with pytest.raises(ValueError, match="grad has shape"):
            p.grad = wrong
    p.grad = None
    assert p.grad is None


@pytest.mark.parametrize("change", ["none", "scaled", "assigned", "zeroed"])
def test_gradients_of_an_optimizer(change):
    """The same steps whether gradients lie in the optimizer's memory or were looked at and changed between."""
    p, q, x = fnn.Parameter([1.0, 2.0]), np.float32([1, 2]), np.float32([3, 5])
    optimizer = fnn.optim.SGD([p], lr=0.5)
    kept = []
    for step in range(3):
        optimizer.zero_grad()
        (p * (x + step)).sum().backward()
        g = x + step
        if change == "scaled":
            p.grad *= 2
            g *= 2
        elif change == "assigned":
            p.grad = p.grad + 1
            g += 1
        elif change == "zeroed":
            p.grad.zero_()
            g *= 0
        if change != "none":
            kept.append((p.grad, g))
        optimizer.step()
        q -= np.float32(0.5) * g
        assert np.array_equal(p, q)
    assert all(np.array_equal(*pair) for pair in kept)  # one that was kept is not written again

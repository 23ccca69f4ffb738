"""Memory that an op saved, written under another name than the op was given: masks, arrays given by name, views,
tensors of other libraries, NumPy's functions under no_grad. See tests/test_saved_values.py."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import ops, writes


@pytest.mark.parametrize("dtype", [np.bool_, np.int32, np.int64])
def test_conditions_and_masks_that_are_filled_again(dtype):
    x = fnn.Parameter([1.0, 2.0])
    mask = np.array([1, 0], dtype)
    total = (ops.where(mask.view(np.bool_) if dtype is np.bool_ else mask > 0, x, 0.0) + x * mask).sum()
    mask[...] = 0
    try:
        total.backward()
    except RuntimeError as error:
        assert "written since" in str(error)  # noqa: PT017
        return
    assert np.array_equal(x.grad, [2, 0])


def test_arrays_that_are_given_by_name():
    rng = np.random.default_rng(0)
    weights = [fnn.Parameter(rng.standard_normal(s)) for s in ((18, 4), (18, 6))]
    drop = np.ones((1, 5, 3, 6), np.float32)
    y, _ = ops.gru_variant(rng.standard_normal((5, 3, 4)), None, *weights, drop=drop)
    drop[...] = 0
    with pytest.raises(RuntimeError, match="gru_variant saved"):
        y.sum().backward()


@pytest.mark.parametrize("kind", ["before", "after"])
def test_two_parameters_on_one_memory_are_refused(kind):
    """b.weight.data = a.weight.data ties weights in torch; here each would undo the other's step."""
    a, b = fnn.Parameter([1.0, 2.0]), fnn.Parameter([3.0, 4.0])
    optimizer = fnn.optim.SGD([a, b], lr=1.0) if kind == "after" else None
    b.data = a.data
    optimizer = optimizer or fnn.optim.SGD([a, b], lr=1.0)
    a.grad = b.grad = np.ones(2)
    with pytest.raises(ValueError, match=r"parameters 0 and 1 share memory.*b\.weight = a\.weight"):
        optimizer.step()


def _torch(values):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(values)
    return tensor, tensor


def _mapped(values):
    memory = bytearray(np.float32(values).tobytes())
    return np.frombuffer(memory, np.float32), np.frombuffer(memory, np.float32)


@pytest.mark.parametrize("place", ["leaf", "argument"])
@pytest.mark.parametrize("kind", [_torch, _mapped])
def test_memory_of_another_owner(kind, place):
    """A tensor of torch, bytes: arrays of the same memory, but other objects."""
    memory, given = kind([1.0, 2.0, 3.0])
    x = fnn.Tensor(given, requires_grad=True) if place == "leaf" else fnn.Parameter([1.0, 2.0, 3.0])
    total = (x * (x if place == "leaf" else given)).sum()
    memory[:] = 9.0
    with pytest.raises(RuntimeError, match="mul saved"):
        total.backward()


NUMPY_WRITES = {
    "add.at": lambda p: np.add.at(p, [0], 1),
    "asarray": lambda p: np.asarray(p).__setitem__(..., 9),
    "copyto": lambda p: np.copyto(p, 9),
    "put": lambda p: np.put(p, [0], 9),
    "row": lambda p: [row.data.__setitem__(..., 9) for row in p],
    "slice": lambda p: p[0:2].data.__setitem__(..., 9),
    "split": lambda p: np.split(p, 3)[0].__setitem__(..., 9),
    "tensor": lambda p: fnn.Tensor(p).data.__setitem__(..., 9),
    "view": lambda p: p.reshape(-1).numpy().__setitem__(..., 9),
}


@pytest.mark.parametrize("way", NUMPY_WRITES)
def test_numpy_writes_under_no_grad(way):
    p = fnn.Parameter([1.0, 2.0, 3.0])
    total = (p * p).sum()
    with fnn.no_grad():
        NUMPY_WRITES[way](p)
    with pytest.raises(RuntimeError, match="mul saved"):
        total.backward()


def test_shown_twice_and_written_between():
    h = fnn.Parameter([1.0, 2.0, 3.0]) * 1
    k = h.reshape(3)
    total = (h * h).sum()
    h.data[:] = 9
    assert k.data[0] == 9
    with pytest.raises(RuntimeError, match="mul saved"):
        total.backward()


def test_many_writes_elsewhere_do_not_matter():
    """Nodes are not compared with every write one by one: 2000 nodes and 1000 writes take no noticeable time."""
    others, h = [fnn.Parameter([1.0, 2.0]) for _ in range(1000)], fnn.Parameter(1.0) * 1
    for _ in range(2000):
        h = h * 1.0
    with fnn.no_grad():
        for p in others:
            p += 1
    recent = writes.Recent(0)
    assert not recent.overlaps(writes.span(h._array), 0)
    assert all(recent.overlaps(writes.span(p._array), 0) for p in others)
    h.backward()


def test_a_view_with_gaps_that_was_only_looked_at():
    """It is gone by the time of the way back, and what lies between its elements is not its business."""
    p = fnn.Parameter(np.arange(12.0).reshape(3, 4))
    total = (p * p).sum()
    with fnn.no_grad():
        assert p[:, ::2].data.sum() == 30
    total.backward()
    assert np.array_equal(p.grad, 2 * np.arange(12.0).reshape(3, 4))

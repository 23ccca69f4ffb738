import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_mask(isa, p):
    """The share kept is within 5 standard deviations, also of neighbours, and backward has the same mask."""
    n = 400_000
    x = fnn.Tensor(np.full(n, 3.0), requires_grad=True)
    y = ops.dropout(x, p)
    y.backward(np.full(n, 2.0))
    kept = y.numpy() != 0
    assert np.allclose(y.numpy()[kept], 3 / (1 - p))
    assert np.array_equal(x.grad, y.numpy() * np.float32(2) / np.float32(3)) or np.allclose(x.grad, y.numpy() * (2 / 3))
    for share, expected in ((kept.mean(), 1 - p), ((kept[1:] & kept[:-1]).mean(), (1 - p) ** 2)):
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)
    again = ops.dropout(x, p).numpy() != 0
    assert abs((kept & again).mean() - (1 - p) ** 2) < 5 * np.sqrt((1 - p) ** 2 / n)


def test_same_bits_for_a_seed(isa):
    results = []
    for threads in (1, 2, 3):
        fnn.manual_seed(5)
        with fnn.threads(threads):
            results.append(ops.dropout(np.ones((3, 70_001), np.float32), 0.3))
    fnn.manual_seed(6)
    other = ops.dropout(np.ones((3, 70_001), np.float32), 0.3)
    assert all(np.array_equal(r, results[0]) for r in results)
    assert not np.array_equal(other, results[0])


def test_same_mask_on_every_isa():
    masks = []
    before = fnn._core.isa()
    for isa in fnn._core.available_isas():
        fnn._core.set_isa(isa)
        fnn.manual_seed(1)
        masks.append(ops.dropout(np.ones(1000, np.float32)))
    fnn._core.set_isa(before)
    assert all(np.array_equal(m, masks[0]) for m in masks)


def test_identity():
    x = np.ones((3, 4), np.float32)
    assert ops.dropout(x, 0.0) is x
    assert ops.dropout(x, 0.5, training=False) is x
    layer = nn.Dropout(0.5)
    layer.training = False
    tensor = fnn.Tensor(x, requires_grad=True)
    y = layer(tensor)
    assert y.numpy() is x
    y.backward(x * 2)
    assert np.array_equal(tensor.grad, x * 2)


def test_everything_dropped():
    x = fnn.Tensor(np.full((3, 4), np.nan), requires_grad=True)
    y = nn.Dropout(1.0)(x)
    y.backward(np.ones((3, 4)))
    assert not y.numpy().any()
    assert not x.grad.any()


def test_layouts(isa):
    last = np.ones((2, 4, 5, 3), np.float32).transpose(0, 3, 1, 2)
    tensor = fnn.Tensor(last, requires_grad=True)
    y = ops.dropout(tensor)
    y.backward(np.ones(last.shape))
    assert y.numpy().strides == last.strides
    assert np.array_equal(tensor.grad, y.numpy())
    assert ops.dropout(np.zeros((0, 3))).shape == (0, 3)
    assert ops.dropout(np.ones((4, 6), np.float32)[:, ::2]).shape == (4, 3)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_errors(p):
    with pytest.raises(ValueError, match="dropout: p is"):
        ops.dropout(np.ones(3), p)
    with pytest.raises(ValueError, match="Dropout: p is"):
        nn.Dropout(p)

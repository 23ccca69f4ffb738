import numpy as np
import pytest
from check import check_op

import fastnn as fnn
from fastnn import nn, ops

# name: (op, the same in NumPy, shape of x)
CASES = {
    "reshape": (lambda x: ops.reshape(x, (4, -1)), lambda x: x.reshape(4, -1), (2, 3, 4)),
    "reshape_to_number": (lambda x: ops.reshape(x, ()), lambda x: x.reshape(()), (1, 1)),
    "flatten": (lambda x: ops.flatten(x, 1), lambda x: x.reshape(2, -1), (2, 3, 4, 5)),
    "flatten_some": (lambda x: ops.flatten(x, 1, 2), lambda x: x.reshape(2, 12, 5), (2, 3, 4, 5)),
    "flatten_number": (ops.flatten, lambda x: x.reshape(1), ()),
    "permute": (lambda x: ops.permute(x, (2, 0, -2)), lambda x: x.transpose(2, 0, 1), (2, 3, 4)),
    "transpose": (lambda x: ops.transpose(x, 0, -1), lambda x: x.swapaxes(0, 2), (2, 3, 4)),
    "squeeze": (ops.squeeze, np.squeeze, (2, 1, 3, 1)),
    "squeeze_one": (lambda x: ops.squeeze(x, -1), lambda x: x[..., 0], (2, 1, 3, 1)),
    "squeeze_none": (lambda x: ops.squeeze(x, 0), lambda x: x, (2, 1, 3)),
    "unsqueeze": (lambda x: ops.unsqueeze(x, -1), lambda x: x[..., None], (2, 3)),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (4, -1, 3)), lambda x: np.broadcast_to(x, (4, 2, 3)), (2, 1)),
    "flip": (lambda x: ops.flip(x, (0, -1)), lambda x: x[::-1, :, ::-1], (2, 3, 4)),
    "pad": (lambda x: ops.pad(x, (1, 2, 0, 3)), lambda x: np.pad(x, ((0, 0), (0, 3), (1, 2))), (2, 6, 7)),
    "pad_value": (lambda x: ops.pad(x, (1, 2), value=-2.5), lambda x: np.pad(x, (1, 2), constant_values=-2.5), (4,)),
    "concatenate": (
        lambda x: ops.concatenate([x, x[:, :1], 2 * x], 1),
        lambda x: np.concatenate([x, x[:, :1], 2 * x], 1),
        (2, 3),
    ),
    "stack": (lambda x: ops.stack([x, 2 * x], -1), lambda x: np.stack([x, 2 * x], -1), (2, 3)),
    "split": (lambda x: ops.split(x, 2, 1), lambda x: (x[:, :2], x[:, 2:4], x[:, 4:]), (2, 5)),
    "split_sizes": (lambda x: ops.split(x, (3, 0, 2), 1), lambda x: (x[:, :3], x[:, 3:3], x[:, 3:]), (2, 5)),
    "chunk": (lambda x: ops.chunk(x, 4), lambda x: (x[:2], x[2:4], x[4:5]), (5, 2)),
    "unbind": (lambda x: ops.unbind(x, 1), lambda x: (x[:, 0], x[:, 1]), (3, 2)),
    "iterate": (lambda x: sum(i * row for i, row in enumerate(x, 1)), lambda x: x[0] + 2 * x[1] + 3 * x[2], (3, 2)),
}
KEYS = [
    1,
    -1,
    (1, 2),
    slice(None),
    slice(None, None, -2),
    (slice(1, 3), 0),
    (..., 1),
    (None, 0, ..., None),
    (np.int64(2), slice(None)),
    [0, 0, 2],
    np.array([[1, -1], [2, 2]]),
    (np.array([0, 0]), slice(1, 2)),
    (slice(None), [1, 1, 0]),
    ([1, 2, 1], [0, 2, 0]),
    np.array([True, False, True, True]),
    (slice(None), np.array([False, True, True])),
    (np.array([True, False, True, True]), [0, 1, 1]),
]


@pytest.mark.parametrize(("tested", "reference", "shape"), CASES.values(), ids=CASES)
def test_shape(rng, tested, reference, shape):
    check_op(tested, reference, rng.uniform(0.5, 2, shape), threads=(1, 2))


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_index(rng, key):
    check_op(lambda x: x[key], lambda x: np.asarray(x[key]), rng.standard_normal((4, 3, 5)), threads=(1, 2))


def test_methods(rng):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    t = fnn.Tensor(x, requires_grad=True)
    for got, want in (
        (t.reshape(6, 4), x.reshape(6, 4)),
        (t.reshape((4, -1)), x.reshape(4, 6)),
        (t.view(-1), x.ravel()),
        (t.flatten(1), x.reshape(2, 12)),
        (t.transpose(0, 1), x.swapaxes(0, 1)),
        (t.permute(2, 0, 1), x.transpose(2, 0, 1)),
        (t.permute([2, 0, 1]), x.transpose(2, 0, 1)),
        (t.T, x.T),
        (t.unsqueeze(0).squeeze(0), x),
        (t.unsqueeze(1).expand(-1, 5, -1, -1), np.broadcast_to(x[:, None], (2, 5, 3, 4))),
        (t.broadcast_to(7, 2, 3, 4), np.broadcast_to(x, (7, 2, 3, 4))),
        (t.flip(0, 2), x[::-1, :, ::-1]),
        (t.split(2, 1)[1], x[:, 2:]),
        (t.chunk(2, 2)[1], x[:, :, 2:]),
        (t.unbind(1)[2], x[:, 2]),
        (list(t)[1], x[1]),
        (t[x > 0], x[x > 0]),
    ):
        assert got.requires_grad
        assert np.array_equal(got.numpy(), want)
    assert len(t) == 2


def test_flatten_of_channels_last(rng):
    """Torch's order, whatever the layout, and the gradient in the layout of x; small, and in a block of the cache."""
    for shape in ((2, 16, 5, 5), (3, 64, 20, 20)):
        x = rng.standard_normal(shape).astype(np.float32)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        y, backward = ops.flatten.run(last, need=[True], start_dim=1, end_dim=-1)
        assert np.array_equal(y, x.reshape(shape[0], -1))
        assert y.flags.c_contiguous
        dy = rng.standard_normal(y.shape).astype(np.float32)
        (dx,) = backward(dy)
        assert np.array_equal(dx, dy.reshape(shape))
        assert dx.strides == last.strides


def test_layouts_are_kept(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for y in (ops.concatenate([last, last], 1), ops.pad(last, (1, 1, 2, 2))):
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert np.array_equal(ops.pad(last, (1, 1, 2, 2)), ops.pad(x, (1, 1, 2, 2)))
    assert np.shares_memory(ops.reshape(x, (6, 20)), x)
    assert np.shares_memory(ops.permute(x, (3, 2, 1, 0)), x)


def test_outputs_that_were_not_used(rng):
    for tested in (lambda x: ops.split(x, 1)[1], lambda x: ops.unbind(x)[1], lambda x: ops.chunk(x, 3)[1]):
        x = fnn.Tensor(np.ones((3, 2)), requires_grad=True)
        tested(x).sum().backward()
        assert np.array_equal(x.grad, [[0, 0], [1, 1], [0, 0]])


def test_no_elements():
    x = fnn.Tensor(np.zeros((0, 2, 3, 3)), requires_grad=True)
    y = ops.concatenate([x.flatten(1), x.reshape(0, 18)], 1)
    assert y.shape == (0, 36)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert ops.reshape(np.zeros((0, 4)), (2, 0, 3)).shape == (2, 0, 3)
    assert ops.reshape(np.zeros((0, 4)), (2, -1)).shape == (2, 0)
    assert list(x) == []
    assert ops.split(np.zeros((0, 2)), 3)[0].shape == (0, 2)


def test_layers():
    x = np.zeros((2, 3, 4, 5))
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    assert nn.Identity(54, unused=1)(x) is x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ops.reshape(x, (5, 2)), ValueError, r"reshape: x of shape \(2, 3\) has 6 elements, .* \(5, 2\)"),
        (lambda x: ops.reshape(x, (-1, -1)), ValueError, r"reshape: .* \(-1, -1\)"),
        (lambda x: ops.reshape(x, (-2, -3)), ValueError, "reshape"),
        (lambda x: ops.flatten(x, 1, 0), ValueError, "flatten: start_dim=1 comes after end_dim=0"),
        (lambda x: ops.flatten(x, 2), ValueError, "flatten: start_dim is 2, but x has 2 dimensions"),
        (lambda x: ops.permute(x, (0, 0)), ValueError, r"permute: dims \(0, 0\)"),
        (lambda x: ops.transpose(x, 0, 2), ValueError, "transpose: dim1 is 2"),
        (lambda x: ops.squeeze(x, 2), ValueError, "squeeze: dim is 2"),
        (lambda x: ops.unsqueeze(x, 4), ValueError, "unsqueeze: dim is 4"),
        (lambda x: ops.broadcast_to(x, (3, 3)), ValueError, r"broadcast_to: x of shape \(2, 3\) .* \(3, 3\)"),
        (lambda x: ops.broadcast_to(x, (-1,)), ValueError, "broadcast_to"),
        (lambda x: ops.pad(x, (1,)), ValueError, "pad: pad is"),
        (lambda x: ops.pad(x, (1, -1)), ValueError, "pad: pad is"),
        (lambda x: ops.pad(x, (1, 1), mode="reflect"), ValueError, "pad: mode is 'reflect'"),
        (lambda x: ops.concatenate([]), ValueError, "concatenate: tensors is empty"),
        (lambda x: ops.concatenate([x, x[:1]], 1), ValueError, r"concatenate: tensors\[1\] has shape \(1, 3\)"),
        (lambda x: ops.stack([x, x[:1]]), ValueError, r"stack: tensors\[1\] has shape \(1, 3\)"),
        (lambda x: ops.stack([]), ValueError, "stack: tensors is empty"),
        (lambda x: ops.split(x, (1, 3)), ValueError, r"split: sizes \[1, 3\] add up to 4"),
        (lambda x: ops.split(x, 0), ValueError, "split: split_size is 0"),
        (lambda x: ops.chunk(x, 0), ValueError, "chunk: chunks is 0"),
        (lambda x: fnn.Tensor(x)[2], IndexError, "index 2"),
        (lambda x: iter(fnn.Tensor(1.0)), TypeError, "no dimensions"),
        (lambda x: ops.flip(x, 2), ValueError, "flip: dims is 2"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((2, 3), np.float32))

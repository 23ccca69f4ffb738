"""A residual and a ReLU in the pass of a convolution, and a ReLU in that of linear: the bits of one after the other."""

import numpy as np
import pytest
from test_conv2d_algorithms import NAMES, SHAPES, arrays

import fastnn as fnn
from fastnn import _core
from fastnn.arrays import channels_last


def after(y, residual, relu):
    y = y if residual is None else y + residual
    return np.where(y < 0, np.float32(0), y) if relu else y


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_algorithm(isa, rng, shape):
    """Of every shape, with NaN and infinity in what is added, on 1 to 3 threads."""
    (x, weight, bias, *_), _ = arrays(rng, shape)
    x, weight, bias = [a.astype(np.float32) + rng.standard_normal(a.shape, np.float32) for a in (x, weight, bias)]
    x = channels_last(x)
    count = 0
    for name in (None, *NAMES[0]):
        try:
            plain = _core.conv2d_forward(x, weight, bias, *shape[2:], name)
        except ValueError:
            continue
        more = rng.standard_normal(plain.shape).astype(np.float32) * (1 + np.abs(plain).max())
        more.reshape(-1)[rng.integers(0, more.size, 3)] = np.nan, np.inf, -np.inf
        more = channels_last(more)
        for threads in (1, 2, 3):
            with fnn.threads(threads):
                for residual in (None, more):
                    for relu in (False, True):
                        got = _core.conv2d_forward(x, weight, bias, *shape[2:], name, residual, relu)
                        want = after(plain, residual, relu)
                        np.testing.assert_array_equal(got, want, err_msg=f"{name} {residual is None} {relu}")
                        assert not np.signbit(got[got == 0]).any() or not relu or np.signbit(want[want == 0]).any()
        count += 1
    assert count >= 2


# m, n, k: few rows, few columns of b, one panel and several, several blocks of k, rows and columns that are copied.
PRODUCTS = [
    (1, 7, 5),
    (3, 70, 33),
    (9, 40, 3),
    (20, 9, 17),
    (40, 70, 33),
    (130, 200, 40),
    (30, 40, 4096),
    (64, 8, 1024),
]


@pytest.mark.parametrize("sizes", PRODUCTS, ids=str)
def test_linear(isa, rng, sizes):
    m, n, k = sizes
    x = rng.standard_normal((m, k)).astype(np.float32)
    rows, bias = rng.standard_normal((n, k)).astype(np.float32), rng.standard_normal(n).astype(np.float32)
    for weight in (rows, np.asfortranarray(rows)):
        for shift in (None, bias):
            want = after(_core.linear_forward(x, weight, shift), None, True)
            assert (want == 0).any()
            assert (want > 0).any()
            for threads in (1, 2, 3):
                with fnn.threads(threads):
                    np.testing.assert_array_equal(_core.linear_forward(x, weight, shift, True), want)


def test_what_does_not_fit_is_refused(rng):
    x, weight = np.zeros((1, 3, 5, 5), np.float32), np.zeros((4, 3, 3, 3), np.float32)
    rest = ((1, 1), (0, 0, 0, 0), (1, 1), 1, None)
    for wrong in ((1, 4, 3, 2), (1, 3, 3, 3), (2, 4, 3, 3)):
        with pytest.raises(ValueError, match="conv2d_forward: residual"):
            _core.conv2d_forward(x, weight, None, *rest, channels_last(np.zeros(wrong, np.float32)), False)
        with pytest.raises(
            ValueError, match=r"conv2d: residual has shape .* expected that of the output, \(1, 4, 3, 3\)"
        ):
            fnn.ops.conv2d.shape(
                (1, 3, 5, 5), (4, 3, 3, 3), None, wrong, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1
            )
    with pytest.raises((TypeError, ValueError), match="residual"):
        _core.conv2d_forward(x, weight, None, *rest, np.zeros((1, 4, 3, 3), np.float32), False)


CASES = {
    "conv2d": (fnn.ops.conv2d, (2, 3, 6, 5), (4, 3, 3, 3), (4,), {"padding": 1}),
    "conv2d, a product": (fnn.ops.conv2d, (2, 3, 3, 3), (4, 3, 3, 3), (4,), {}),
    "conv2d in groups": (fnn.ops.conv2d, (2, 4, 6, 5), (8, 2, 3, 3), (8,), {"groups": 2}),
    "conv1d": (fnn.ops.conv1d, (2, 3, 9), (4, 3, 3), (4,), {"padding": 1}),
    "linear": (fnn.ops.linear, (5, 3), (4, 3), (4,), {}),
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("added", ["", "before", "behind"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_one_after_the_other(rng, name, added, relu):
    op, *shapes, options = CASES[name]
    given = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    fixed = "product" in name

    def function(x, weight, bias, residual=None):
        x = x * np.ones((3, 3), np.float32) if fixed else x  # its size is not free then: a product stays one
        y = op(x, weight, bias, **options)
        y = y if not added else residual + y if added == "before" else y + residual
        return fnn.ops.relu(y) if relu else y

    y_shape = op(*given, **options).shape
    given += [rng.standard_normal(y_shape).astype(np.float32)] if added else []
    graph = fnn.rewrite(fnn.trace(function, *given))
    graph.verify()
    ops = [call.op.name for call in graph.calls]
    ops = ops[fixed:]
    # Of linear there is no such sum; and what has one pixel as the output does could be broadcast at other sizes.
    apart = added and (op.name == "linear" or fixed)
    assert ops == ([op.name, "add", "relu"][: 2 + relu] if apart else [op.name])
    dy, results = rng.standard_normal(y_shape).astype(np.float32), []
    for compute in (function, graph):
        tensors = [fnn.Tensor(array, requires_grad=True) for array in given]
        y = compute(*tensors)
        y.backward(dy)
        results.append([y.numpy(), *[tensor.grad for tensor in tensors]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)

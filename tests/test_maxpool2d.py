import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops

# name: (x shape, options)
CASES = {
    "one_pixel": ((1, 1, 1, 1), {"kernel_size": 1}),
    "lenet": ((2, 6, 8, 8), {"kernel_size": 2}),
    "c1": ((1, 1, 6, 9), {"kernel_size": (2, 3)}),
    "c5": ((2, 5, 7, 6), {"kernel_size": 2}),
    "c16": ((2, 16, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "c17": ((1, 17, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "c33": ((2, 33, 5, 6), {"kernel_size": 3, "stride": 1, "padding": 1}),
    "stride_gt_kernel": ((1, 4, 9, 11), {"kernel_size": 2, "stride": (3, 4)}),
    "dilation": ((1, 5, 10, 11), {"kernel_size": (3, 2), "stride": 1, "padding": (1, 1), "dilation": (2, 3)}),
    "dilation_skips_rows": ((1, 3, 9, 9), {"kernel_size": 2, "stride": (4, 5), "dilation": 2}),
    "ceil": ((1, 4, 8, 9), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    "ceil_padding": ((1, 4, 7, 8), {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True}),
    "many_taps": ((1, 3, 20, 22), {"kernel_size": 17, "stride": 2, "padding": 8}),
}


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def distinct(rng, shape):
    """Values far further apart than the steps of a numeric gradient: no ties."""
    return (rng.permutation(int(np.prod(shape))).reshape(shape) - 0.37 * np.prod(shape)).astype(np.float32) / 64


@pytest.mark.parametrize(("shape", "options"), CASES.values(), ids=CASES)
def test_maxpool2d(isa, rng, shape, options):
    check_op(ops.maxpool2d, reference.maxpool2d, distinct(rng, shape), **options)


def random_geometry(rng):
    """(x shape, options) where at least one window fits."""
    while True:
        shape = (
            int(rng.integers(1, 3)),
            int(rng.choice([1, 3, 8, 15, 17, 33])),
            *(int(v) for v in rng.integers(1, 18, 2)),
        )
        kernel, stride, dilation = (tuple(int(v) for v in rng.integers(1, 5, 2)) for _ in range(3))
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        if all(
            reference.window_count(s, k, t, p, d, False) > 0
            for s, k, t, p, d in zip(shape[2:], *options.values(), strict=True)
        ):
            return shape, {**options, "ceil_mode": bool(rng.random() < 0.5)}


def winners(x, options):
    """The gradient of maxpool2d by definition, for integer x with ties: dy goes to the first maximum in the window."""
    numbered = x * x[0, 0].size - np.arange(x[0, 0].size).reshape(x.shape[2:])  # ties broken towards the first
    y = reference.maxpool2d(numbered.astype(np.float64), **options)
    return numbered, y


@pytest.mark.parametrize("layout", [np.ascontiguousarray, channels_last], ids=["nchw", "channels_last"])
def test_integer_exact(isa, rng, layout):
    """100 random geometries on small integers with ties, forward and gradient, tolerance zero."""
    for _ in range(100):
        shape, options = random_geometry(rng)
        x = rng.integers(-3, 4, shape).astype(np.float32)
        want = reference.maxpool2d(x.astype(np.float64), **options)
        assert np.array_equal(ops.maxpool2d(layout(x), **options), want), (shape, options)
        tensor = fnn.Tensor(layout(x), requires_grad=True)
        y = ops.maxpool2d(tensor, **options)
        assert np.array_equal(y.numpy(), want), (shape, options)
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        y.backward(dy)
        # Each winner, made unique by its position, says where its dy goes.
        numbered, first = winners(x, options)
        gradient = np.zeros(shape)
        for n, c in np.ndindex(shape[:2]):
            position = {value: i for i, value in np.ndenumerate(numbered[n, c])}
            for at, value in np.ndenumerate(first[n, c]):
                if np.isfinite(value):
                    gradient[n, c][position[value]] += dy[n, c][at]
        assert np.array_equal(tensor.grad, gradient), (shape, options)


@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (1, 4)], ids=str)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf], ids=str)
def test_special_values(isa, rng, special, kernel):
    """NaN or an infinity at every position of six windows: exactly the windows over it change, as in torch."""
    clean = rng.standard_normal((1, 18, 2 * kernel[0], 3 * kernel[1])).astype(np.float32)
    for i, j in np.ndindex(clean.shape[2:]):
        x = clean.copy()
        x[:, :, i, j] = special
        want = reference.maxpool2d(x.astype(np.float64), kernel)
        for y in (ops.maxpool2d(x, kernel), ops.maxpool2d(fnn.Tensor(x, requires_grad=True), kernel).numpy()):
            assert np.array_equal(y, want, equal_nan=True)
            assert np.isnan(y).sum() == (18 if np.isnan(special) else 0)


def test_gradient_of_nan_and_inf_goes_to_one_pixel(isa):
    x = np.full((1, 17, 2, 4), -np.inf, np.float32)
    x[:, :, 0, 3] = x[:, :, 1, 2] = np.nan
    tensor = fnn.Tensor(x, requires_grad=True)
    y = ops.maxpool2d(tensor, 2)
    assert np.all(y.numpy()[..., 0] == -np.inf)
    y.backward(np.ones(y.shape))
    assert np.array_equal(tensor.grad[0, 5], [[1, 0, 0, 0], [0, 0, 1, 0]])  # the first -inf, the last NaN


def test_window_that_sees_nothing(isa):
    tensor = fnn.Tensor(np.ones((1, 3, 1, 2)), requires_grad=True)
    y = ops.maxpool2d(tensor, (1, 2), 1, (0, 1), (1, 3))
    assert np.all(y.numpy() == -np.inf)
    y.backward(np.ones(y.shape))
    assert not tensor.grad.any()


def test_batch_split_gives_the_same_bits(isa, rng):
    x = rng.standard_normal((9, 7, 11, 13)).astype(np.float32)
    whole = ops.maxpool2d(x, 3, 2, 1)
    for n in (1, 2, 4, 8):
        assert np.array_equal(ops.maxpool2d(x[:n], 3, 2, 1), whole[:n])


def test_threads_give_the_same_bits(isa, rng):
    x = rng.standard_normal((8, 33, 40, 40)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        with fnn.threads(n):
            tensor = fnn.Tensor(x, requires_grad=True)
            y = ops.maxpool2d(tensor, 3, 2, 1)
            y.backward(y.numpy())
            results.append((y.numpy(), tensor.grad))
    for y, gradient in results[1:]:
        assert np.array_equal(y, results[0][0])
        assert np.array_equal(gradient, results[0][1])


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "ceil_mode": True}], ids=str)
def test_maxpool1d(isa, rng, options):
    check_op(ops.maxpool1d, reference.maxpool1d, distinct(rng, (2, 5, 19)), kernel_size=3, **options)


def test_layers(rng):
    x = rng.standard_normal((2, 3, 9, 10))
    assert np.array_equal(nn.MaxPool2d(3, 2, 1, ceil_mode=True)(x), ops.maxpool2d(x, 3, 2, 1, 1, True))
    assert np.array_equal(nn.MaxPool1d(3, padding=1, dilation=2)(x[:, :, 0]), ops.maxpool1d(x[:, :, 0], 3, None, 1, 2))


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)], ids=str)
def test_empty(shape):
    x = fnn.Tensor(np.zeros(shape), requires_grad=True)
    y = ops.maxpool2d(x, 2)
    assert y.shape == (*shape[:2], 2, 2)
    y.backward(np.zeros(y.shape))
    assert x.grad.shape == shape


def test_errors():
    x = np.zeros((1, 3, 8, 8), np.float32)
    with pytest.raises(ValueError, match=r"maxpool2d: x has shape \(3, 8, 8\), expected 4 dimensions"):
        ops.maxpool2d(x[0], 2)
    with pytest.raises(ValueError, match="padding 2 is more than half of kernel_size 3"):
        ops.maxpool2d(x, 3, padding=2)
    with pytest.raises(ValueError, match="more than half"):
        nn.MaxPool1d(3, padding=2)
    with pytest.raises(ValueError, match=r"kernel_size 9 .* does not fit the height of x \(1, 3, 8, 8\)"):
        ops.maxpool2d(x, 9)
    with pytest.raises(ValueError, match="does not fit the width"):
        ops.maxpool2d(x[..., :0], 2)
    with pytest.raises(ValueError, match="stride is 0"):
        nn.MaxPool2d(2, 0)
    with pytest.raises(TypeError, match=r"kernel_size is 2\.5"):
        ops.maxpool2d(x, 2.5)
    with pytest.raises(TypeError):
        nn.MaxPool2d(2, 2, 0, 1, True)  # torch's fifth argument is return_indices, not ceil_mode

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops

# name: (x shape, options)
CASES = {
    "one_pixel": ((1, 1, 1, 1), {"kernel_size": 1}),
    "c1": ((1, 1, 6, 9), {"kernel_size": (2, 3)}),
    "c5": ((2, 5, 7, 6), {"kernel_size": 2}),
    "c16": ((2, 16, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "c17": ((1, 17, 7, 7), {"kernel_size": 3, "stride": 1, "padding": 1}),
    "c33": ((2, 33, 5, 6), {"kernel_size": 2}),
    "c70": ((1, 70, 4, 5), {"kernel_size": 3, "stride": 1}),
    "stride_gt_kernel": ((1, 4, 9, 11), {"kernel_size": 2, "stride": (3, 4)}),
    "padding_not_counted": ((1, 4, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    "ceil": ((1, 4, 8, 9), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    "ceil_padding": ((1, 4, 7, 8), {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True}),
    "ceil_beyond_padding": ((1, 3, 6, 7), {"kernel_size": 5, "stride": 3, "padding": 2, "ceil_mode": True}),
    "divisor": ((1, 4, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "divisor_override": 5}),
}
ADAPTIVE = {
    "global_one_pixel": ((1, 1, 1, 1), 1),
    "global": ((2, 33, 7, 6), 1),
    "global_wide": ((1, 81, 9, 5), 1),
    "divides": ((2, 5, 6, 8), (3, 4)),
    "overlap": ((1, 17, 7, 10), (3, 4)),
    "larger_than_input": ((1, 3, 3, 4), (5, 7)),
    "keep": ((1, 3, 5, 6), (None, 2)),
}


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("shape", "options"), CASES.values(), ids=CASES)
def test_avgpool2d(isa, rng, shape, options):
    check_op(ops.avgpool2d, reference.avgpool2d, rng.standard_normal(shape), rtol=3e-7, **options)


@pytest.mark.parametrize(("shape", "size"), ADAPTIVE.values(), ids=ADAPTIVE)
def test_adaptive_avgpool2d(isa, rng, shape, size):
    check_op(
        ops.adaptive_avgpool2d, reference.adaptive_avgpool2d, rng.standard_normal(shape), rtol=3e-7, output_size=size
    )


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1, "count_include_pad": False}, {"ceil_mode": True}], ids=str
)
def test_avgpool1d(isa, rng, options):
    check_op(ops.avgpool1d, reference.avgpool1d, rng.standard_normal((2, 5, 19)), kernel_size=3, **options)


def test_adaptive_avgpool1d(isa, rng):
    check_op(ops.adaptive_avgpool1d, reference.adaptive_avgpool1d, rng.standard_normal((2, 5, 19)), output_size=4)


def random_options(rng, shape):
    kernel = tuple(int(rng.integers(1, min(5, size) + 1)) for size in shape[2:])
    return {
        "kernel_size": kernel,
        "stride": tuple(int(v) for v in rng.integers(1, 5, 2)),
        "padding": tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel),
        "ceil_mode": bool(rng.random() < 0.5),
        "divisor_override": 2 ** int(rng.integers(0, 4)),
    }


@pytest.mark.parametrize("layout", [np.ascontiguousarray, channels_last], ids=["nchw", "channels_last"])
def test_integer_exact(isa, rng, layout):
    """100 random geometries on small integers divided by powers of two, forward and gradient, tolerance zero."""
    for _ in range(100):
        shape = (
            int(rng.integers(1, 3)),
            int(rng.choice([1, 3, 15, 17, 33, 70])),
            *(int(v) for v in rng.integers(1, 15, 2)),
        )
        options = random_options(rng, shape)
        x, probe = (rng.integers(-4, 5, shape).astype(np.float32) for _ in range(2))
        tensor = fnn.Tensor(layout(x), requires_grad=True)
        y = ops.avgpool2d(tensor, **options)
        assert np.array_equal(y.numpy(), reference.avgpool2d(x, **options)), (shape, options)
        # <dy, pool(x)> is linear in x: a random direction of integers checks the whole gradient exactly.
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        y.backward(dy)
        assert (tensor.grad * probe).sum() == (dy * reference.avgpool2d(probe, **options)).sum(), (shape, options)


def test_long_sums_keep_their_digits(isa, rng):
    """Row by row, a mean over 112 x 112 positive values stays at the rounding of float32."""
    x = rng.random((1, 17, 112, 112), np.float32)
    want = x.astype(np.float64).mean(axis=(2, 3))
    assert np.abs(ops.adaptive_avgpool2d(x, 1)[:, :, 0, 0] / want - 1).max() < 1e-6
    assert np.abs(ops.avgpool2d(x, 112)[:, :, 0, 0] / want - 1).max() < 1e-6


def test_bits_depend_on_neither_threads_nor_batch(isa, rng):
    x = rng.standard_normal((9, 33, 30, 30)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        with fnn.threads(n):
            tensor = fnn.Tensor(x, requires_grad=True)
            y = ops.avgpool2d(tensor, 3, 2, 1)
            y.backward(y.numpy())
            results.append((y.numpy(), tensor.grad))
    for y, gradient in results[1:]:
        assert np.array_equal(y, results[0][0])
        assert np.array_equal(gradient, results[0][1])
    for n in (1, 2, 4, 8):
        assert np.array_equal(ops.avgpool2d(x[:n], 3, 2, 1), results[0][0][:n])


def test_nan_stays_in_its_windows(isa, rng):
    x = rng.standard_normal((2, 18, 4, 6)).astype(np.float32)
    x[1, 3, 2, 3] = np.nan
    bad = np.argwhere(np.isnan(ops.avgpool2d(x, 2)))
    assert bad.tolist() == [[1, 3, 1, 1]]


def test_layers(rng):
    x = rng.standard_normal((2, 3, 9, 10))
    assert np.array_equal(nn.AvgPool2d(3, 2, 1, True, False, 7)(x), ops.avgpool2d(x, 3, 2, 1, True, False, 7))
    assert np.array_equal(
        nn.AvgPool1d(3, None, 1, True, False)(x[:, :, 0]), ops.avgpool1d(x[:, :, 0], 3, None, 1, True, False)
    )
    assert nn.AdaptiveAvgPool2d((None, 2))(x).shape == (2, 3, 9, 2)
    assert nn.AdaptiveAvgPool1d(4)(x[:, :, 0]).shape == (2, 3, 4)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)], ids=str)
def test_empty(shape):
    for pool in (lambda x: ops.avgpool2d(x, 2), lambda x: ops.adaptive_avgpool2d(x, (2, 2))):
        x = fnn.Tensor(np.zeros(shape), requires_grad=True)
        y = pool(x)
        assert y.shape == (*shape[:2], 2, 2)
        y.backward(np.zeros(y.shape))
        assert x.grad.shape == shape


def test_no_bins():
    x = fnn.Tensor(np.ones((1, 2, 3, 3)), requires_grad=True)
    y = ops.adaptive_avgpool2d(x, (0, 2))
    assert y.shape == (1, 2, 0, 2)
    y.backward(np.zeros(y.shape))
    assert not x.grad.any()


def test_errors():
    x = np.zeros((1, 3, 8, 8), np.float32)
    with pytest.raises(ValueError, match="avgpool2d: padding 2 is more than half of kernel_size 3"):
        ops.avgpool2d(x, 3, padding=2)
    with pytest.raises(ValueError, match="more than half"):
        nn.AvgPool2d(3, padding=(1, 2))
    with pytest.raises(ValueError, match=r"avgpool2d: kernel_size 9 .* does not fit the width"):
        ops.avgpool2d(x, (2, 9))
    with pytest.raises(ValueError, match="divisor_override is 0"):
        ops.avgpool2d(x, 2, divisor_override=0)
    with pytest.raises(ValueError, match=r"avgpool1d: x has shape \(1, 3, 8, 8\), expected 3 dimensions"):
        ops.avgpool1d(x, 2)
    with pytest.raises(ValueError, match=r"adaptive_avgpool2d: x \(1, 3, 0, 8\) has an empty image"):
        ops.adaptive_avgpool2d(x[:, :, :0], 1)
    with pytest.raises(ValueError, match="output_size is -1"):
        nn.AdaptiveAvgPool2d(-1)
    with pytest.raises(ValueError, match=r"output_size is \(1, 2, 3\)"):
        ops.adaptive_avgpool2d(x, (1, 2, 3))

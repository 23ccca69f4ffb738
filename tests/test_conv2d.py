import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops

# name: (x shape, weight shape, options)
CASES = {
    "one_pixel": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "lenet_first": ((2, 1, 12, 12), (6, 1, 5, 5), {"padding": (2, 2)}),
    "tail_channels": ((2, 17, 6, 5), (33, 17, 3, 3), {"padding": (1, 1)}),
    "many_columns": ((1, 3, 2, 31), (5, 3, 2, 3), {}),
    "stride": ((2, 4, 9, 10), (5, 4, 3, 3), {"stride": (2, 3), "padding": (1, 2)}),
    "stride_gt_kernel": ((1, 3, 9, 9), (4, 3, 2, 2), {"stride": (3, 4)}),
    "dilation": ((1, 4, 11, 12), (6, 4, 3, 2), {"dilation": (2, 3), "padding": (2, 1)}),
    "stride_and_dilation": ((1, 3, 14, 13), (4, 3, 3, 3), {"stride": (2, 3), "dilation": (2, 2), "padding": (3, 3)}),
    "groups": ((2, 6, 7, 6), (8, 3, 3, 3), {"groups": 2, "padding": (1, 1)}),
    "depthwise": ((2, 19, 6, 7), (19, 1, 3, 3), {"groups": 19, "padding": (1, 1)}),
    "depthwise_stride": (
        (1, 5, 9, 8),
        (5, 1, 3, 2),
        {"groups": 5, "stride": (2, 2), "dilation": (2, 1), "padding": (1, 1)},
    ),
    "depthwise_multiplier": ((1, 4, 6, 6), (8, 1, 3, 3), {"groups": 4}),
    "pointwise_stride": ((2, 5, 6, 7), (7, 5, 1, 1), {"stride": (2, 2)}),
}


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("x", "w", "options"), CASES.values(), ids=CASES)
def test_conv2d(isa, rng, x, w, options):
    check_op(
        ops.conv2d,
        reference.conv2d,
        rng.standard_normal(x),
        rng.standard_normal(w),
        rng.standard_normal(w[0]),
        **options,
    )


@pytest.mark.parametrize("layout", [np.ascontiguousarray, channels_last], ids=["nchw", "channels_last"])
def test_integer_exact(isa, rng, direct, layout):
    """160 random geometries on small integers, forward and both gradients, tolerance zero."""
    done = 0
    while done < 160:
        groups = int(rng.choice([1, 1, 2, 3]))
        depth, filters = (int(v) for v in rng.choice([1, 3, 5, 8, 15, 17, 32, 33], 2))
        if rng.random() < 0.2:
            groups, depth, filters = int(rng.integers(2, 40)), 1, 1
        kernel, stride, dilation, padding = (
            [int(v) for v in rng.integers(lo, hi, 2)] for lo, hi in ((1, 5), (1, 4), (1, 4), (0, 4))
        )
        n, h, w = int(rng.integers(1, 4)), int(rng.integers(1, 16)), int(rng.integers(1, 34))
        if h + 2 * padding[0] <= dilation[0] * (kernel[0] - 1) or w + 2 * padding[1] <= dilation[1] * (kernel[1] - 1):
            continue
        done += 1
        options = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
        x = rng.integers(-4, 5, (n, groups * depth, h, w)).astype(np.float32)
        weight = rng.integers(-4, 5, (groups * filters, depth, *kernel)).astype(np.float32)
        bias = rng.integers(-4, 5, groups * filters).astype(np.float32)
        tx, tw = fnn.Tensor(layout(x), requires_grad=True), fnn.Tensor(weight, requires_grad=True)
        y = ops.conv2d(tx, tw, bias, **options)
        want = reference.conv2d(x.astype(np.float64), weight, bias, **options)
        assert np.array_equal(y.numpy(), want), options
        # <dy, conv(x, w)> is linear in x and in w: the gradients are exact integers too.
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        y.backward(dy)
        no_bias = {**options}
        probe_x = rng.integers(-4, 5, x.shape).astype(np.float64)
        probe_w = rng.integers(-4, 5, weight.shape).astype(np.float64)
        assert (tx.grad * probe_x).sum() == (dy * reference.conv2d(probe_x, weight, **no_bias)).sum(), options
        assert (tw.grad * probe_w).sum() == (dy * reference.conv2d(x, probe_w, **no_bias)).sum(), options


@pytest.mark.parametrize("padding", [0, 1, 2, (0, 1), (2, 1), (1, 2)], ids=str)
def test_depthwise_3x3_exact(isa, rng, padding):
    """Every width of a row beside every border, on small integers: y, dx and dw, tolerance zero."""
    ph, pw = padding if isinstance(padding, tuple) else (padding, padding)
    for w in [w for w in (1, 2, 3, 4, 5, 7, 9, 10, 17) if w + 2 * pw >= 3]:
        h, c = int(rng.integers(max(1, 3 - 2 * ph), 7)), int(rng.choice([2, 16, 21]))
        x, probe_x = (channels_last(rng.integers(-4, 5, (2, c, h, w)).astype(np.float32)) for _ in range(2))
        weight, probe_w = (rng.integers(-4, 5, (c, 1, 3, 3)).astype(np.float32) for _ in range(2))
        tx, tw = fnn.Tensor(x, requires_grad=True), fnn.Tensor(weight, requires_grad=True)
        y = ops.conv2d(tx, tw, padding=padding, groups=c)

        def want(x, weight, c=c):
            options = {"stride": (1, 1), "dilation": (1, 1), "padding": (ph, pw), "groups": c}
            return reference.conv2d(x.astype(np.float64), weight, np.zeros(c), **options)

        assert np.array_equal(y.numpy(), want(x, weight)), (h, w, c)
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        y.backward(dy)
        assert (tx.grad * probe_x).sum() == (dy * want(probe_x, weight)).sum(), (h, w, c)
        assert (tw.grad * probe_w).sum() == (dy * want(x, probe_w)).sum(), (h, w, c)


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize(
    "options",
    [{"padding": (1, 1)}, {"padding": (2, 0)}, {"stride": (2, 2), "padding": (1, 1)}, {"dilation": (2, 3)}],
    ids=str,
)
def test_grouped_exact(isa, rng, depth, options):
    """Few channels to a group, as many out as in, on small integers: y, dx and dw, tolerance zero."""
    for w, groups in zip((3, 7, 8, 11, 16, 17, 30), (2, 3, 4, 5, 8, 9, 13), strict=True):
        kernel, c, size = (3, 3 if w < 30 else 2), groups * depth, (2, groups * depth, 6, w + 4)
        layout = channels_last if w % 2 else np.ascontiguousarray
        x, probe_x = (layout(rng.integers(-4, 5, size).astype(np.float32)) for _ in range(2))
        weight, probe_w = (rng.integers(-4, 5, (c, depth, *kernel)).astype(np.float32) for _ in range(2))
        bias = rng.integers(-4, 5, c).astype(np.float32)
        tx, tw = fnn.Tensor(x, requires_grad=True), fnn.Tensor(weight, requires_grad=True)
        y = ops.conv2d(tx, tw, bias, groups=groups, **options)

        def want(x, weight, groups=groups):
            return reference.conv2d(x.astype(np.float64), weight, groups=groups, **options)

        assert np.array_equal(y.numpy(), want(x, weight) + bias[:, None, None]), (w, groups)
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        y.backward(dy)
        assert (tx.grad * probe_x).sum() == (dy * want(probe_x, weight)).sum(), (w, groups)
        assert (tw.grad * probe_w).sum() == (dy * want(x, probe_w)).sum(), (w, groups)


@pytest.mark.parametrize("few", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5), (5, 4)], ids=str)
def test_few_channels_exact(isa, rng, few, kernel):
    """Channels that fill less than half a vector, on either side, on small integers: y, dx and dw, tolerance zero."""
    for w in (6, 15, 16, 17, 31, 40):
        for c, k in ((few, 5), (few, 16), (3, few), (16, few)):
            padding, dilation = (int(rng.integers(0, 3)), int(rng.integers(0, 3))), (int(rng.integers(1, 3)), 1)
            options = {"padding": padding, "dilation": dilation}
            layout = channels_last if w % 2 else np.ascontiguousarray
            x, probe_x = (layout(rng.integers(-4, 5, (3, c, 9, w)).astype(np.float32)) for _ in range(2))
            weight, probe_w = (rng.integers(-4, 5, (k, c, *kernel)).astype(np.float32) for _ in range(2))
            tx, tw = fnn.Tensor(x, requires_grad=True), fnn.Tensor(weight, requires_grad=True)
            y = ops.conv2d(tx, tw, **options)

            def want(x, weight, options=options):
                return reference.conv2d(x.astype(np.float64), weight, **options)

            assert np.array_equal(y.numpy(), want(x, weight)), (w, c, k, options)
            dy = rng.integers(-4, 5, y.shape).astype(np.float32)
            y.backward(dy)
            assert (tx.grad * probe_x).sum() == (dy * want(probe_x, weight)).sum(), (w, c, k, options)
            assert (tw.grad * probe_w).sum() == (dy * want(x, probe_w)).sum(), (w, c, k, options)


@pytest.mark.parametrize("few", [1, 2, 6])
def test_inf_reaches_the_taps_that_see_it(isa, few):
    """What kernels compute beyond the end of a row, to fill vectors, is zero times a pixel elsewhere: never NaN."""
    x, weight = np.ones((2, few, 4, 21), np.float32), np.ones((few, few, 3, 5), np.float32)
    x[..., 0, 0] = x[..., -1] = np.inf  # seen by the first tap and the last column of taps
    tw = fnn.Tensor(weight, requires_grad=True)
    tx = fnn.Tensor(np.ones_like(x), requires_grad=True)
    y = ops.conv2d(fnn.Tensor(x), tw)
    y.backward(np.ones(y.shape, np.float32))
    seen = np.zeros(weight.shape, bool)
    seen[..., 0, 0] = seen[..., 4] = True
    np.testing.assert_array_equal(tw.grad, np.where(seen, np.inf, 2 * 2 * 17))
    dy = np.ones(y.shape, np.float32)
    dy[..., 0] = np.inf
    ops.conv2d(tx, weight).backward(dy)
    assert np.isinf(tx.grad[..., :5]).all()
    assert np.isfinite(tx.grad[..., 5:]).all()


def test_batch_split_gives_the_same_bits(isa, rng):
    layer = nn.Conv2d(7, 20, 3, padding=1)
    x = rng.standard_normal((9, 7, 11, 13)).astype(np.float32)
    whole = layer(x).numpy()
    for n in (1, 2, 4, 8):
        assert np.array_equal(layer(x[:n]).numpy(), whole[:n])


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_padding(rng, kernel):
    x, w = rng.standard_normal((1, 2, 7, 8)), rng.standard_normal((3, 2, kernel, kernel))
    y = ops.conv2d(x, w, padding="same", dilation=2)
    total = 2 * (kernel - 1)
    padded = np.pad(x, ((0, 0), (0, 0), (total // 2, total - total // 2), (total // 2, total - total // 2)))
    assert np.allclose(y, reference.conv2d(padded, w, dilation=(2, 2)), rtol=1e-5, atol=1e-5)
    assert np.array_equal(ops.conv2d(x, w, padding="valid"), ops.conv2d(x, w, padding=0))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 3}, {"dilation": 3, "padding": 2, "groups": 2}], ids=str
)
def test_conv1d(isa, rng, options):
    groups = options.get("groups", 1)
    x, w, b = rng.standard_normal((2, 4, 19)), rng.standard_normal((6, 4 // groups, 3)), rng.standard_normal(6)
    check_op(ops.conv1d, reference.conv1d, x, w, b, **options)


def test_empty_batch():
    layer = nn.Conv2d(2, 3, 3, padding=1)
    x = fnn.Tensor(np.zeros((0, 2, 5, 6)), requires_grad=True)
    y = layer(x)
    assert y.shape == (0, 3, 5, 6)
    y.backward(np.zeros(y.shape))
    assert x.grad.shape == x.shape
    assert not layer.weight.grad.any()
    assert not layer.bias.grad.any()


def test_errors():
    x, w = np.zeros((1, 3, 8, 8), np.float32), np.zeros((4, 3, 3, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"conv2d: x \(1, 3, 8, 8\) has 3 channels but weight \(4, 2, 3, 3\) .* expects 2"
    ):
        ops.conv2d(x, w[:, :2])
    with pytest.raises(ValueError, match=r"conv2d: x has shape \(3, 8, 8\), expected 4 dimensions"):
        ops.conv2d(x[0], w)
    with pytest.raises(ValueError, match="does not fit the height"):
        ops.conv2d(x[:, :, :2], w)
    with pytest.raises(ValueError, match="stride is 0"):
        ops.conv2d(x, w, stride=0)
    with pytest.raises(ValueError, match="padding is -1"):
        ops.conv2d(x, w, padding=-1)
    with pytest.raises(ValueError, match="padding 'same' needs stride 1"):
        nn.Conv2d(3, 4, 3, stride=2, padding="same")
    with pytest.raises(ValueError, match="'full'"):
        ops.conv2d(x, w, padding="full")
    with pytest.raises(ValueError, match="not a multiple of groups=2"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match=r"conv2d: bias has shape \(3,\)"):
        ops.conv2d(x, w, np.zeros(3))
    with pytest.raises(TypeError, match=r"dilation is 1\.5"):
        ops.conv2d(x, w, dilation=1.5)

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops

# name: (x shape, weight shape, options)
CASES = {
    "one_pixel": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "stride_2_kernel_4": ((2, 5, 4, 5), (5, 3, 4, 4), {"stride": (2, 2), "padding": (1, 1)}),
    "stride_2_kernel_4_many_channels": ((1, 33, 3, 3), (33, 17, 4, 4), {"stride": (2, 2), "padding": (1, 1)}),
    "odd_sizes": ((2, 4, 7, 3), (4, 5, 3, 5), {"stride": (3, 2), "padding": (2, 1)}),
    "output_padding": (
        (1, 3, 4, 5),
        (3, 4, 3, 3),
        {"stride": (2, 3), "padding": (1, 1), "output_padding": (1, 2)},
    ),
    "output_padding_of_a_stride": (
        (2, 3, 3, 4),
        (3, 4, 2, 3),
        {"stride": (1, 2), "padding": (1, 0), "output_padding": (2, 3), "dilation": (3, 4)},
    ),
    "stride_gt_kernel": ((1, 3, 3, 4), (3, 4, 2, 2), {"stride": (3, 4), "output_padding": (1, 0)}),
    "no_stride": ((2, 6, 5, 6), (6, 4, 3, 3), {"padding": (1, 1)}),
    "narrow": ((2, 6, 8, 9), (6, 1, 5, 5), {"padding": (2, 2)}),
    "dilation": ((1, 4, 6, 5), (4, 6, 3, 2), {"dilation": (2, 3), "padding": (2, 1)}),
    "stride_and_dilation": ((1, 3, 5, 4), (3, 4, 3, 3), {"stride": (2, 3), "dilation": (2, 2), "padding": (3, 3)}),
    "groups": ((2, 6, 4, 3), (6, 4, 3, 3), {"groups": 2, "stride": (2, 2), "padding": (1, 1)}),
    "depthwise": ((2, 19, 4, 5), (19, 1, 4, 4), {"groups": 19, "stride": (2, 2), "padding": (1, 1)}),
    "depthwise_dilation": ((1, 5, 5, 4), (5, 1, 3, 2), {"groups": 5, "dilation": (2, 1), "padding": (1, 1)}),
    "depthwise_multiplier": ((1, 4, 5, 5), (4, 2, 3, 3), {"groups": 4}),
    "pointwise": ((2, 7, 5, 4), (7, 5, 1, 1), {}),
    "pointwise_stride": ((2, 7, 3, 4), (7, 5, 1, 1), {"stride": (2, 2), "output_padding": (1, 1)}),
    "padding_of_the_whole_border": ((2, 3, 4, 4), (3, 2, 3, 3), {"padding": (2, 2)}),
}


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("x", "w", "options"), CASES.values(), ids=CASES)
def test_conv_transpose2d(isa, rng, x, w, options):
    bias = rng.standard_normal(w[1] * options.get("groups", 1))
    check_op(
        ops.conv_transpose2d,
        reference.conv_transpose2d,
        rng.standard_normal(x),
        rng.standard_normal(w),
        bias,
        **options,
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 3, "padding": 2, "groups": 2}],
    ids=str,
)
def test_conv_transpose1d(isa, rng, options):
    groups = options.get("groups", 1)
    x, w, b = rng.standard_normal((2, 4, 9)), rng.standard_normal((4, 6 // groups, 3)), rng.standard_normal(6)
    check_op(ops.conv_transpose1d, reference.conv_transpose1d, x, w, b, **options)


def random_case(rng):
    """Shapes of x, weight and bias, and options, of which the output may be empty."""
    groups = int(rng.choice([1, 1, 2, 3]))
    depth, filters = (int(v) for v in rng.choice([1, 2, 5, 15, 17, 33], 2))
    if rng.random() < 0.2:
        groups, depth, filters = int(rng.integers(2, 40)), 1, 1
    kernel, stride, dilation, padding = (
        tuple(int(v) for v in rng.integers(lo, hi, 2)) for lo, hi in ((1, 5), (1, 4), (1, 4), (0, 4))
    )
    more = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
    x = (int(rng.integers(1, 4)), groups * depth, int(rng.integers(1, 6)), int(rng.integers(1, 17)))
    options = {"stride": stride, "padding": padding, "output_padding": more, "groups": groups, "dilation": dilation}
    return x, (groups * depth, filters, *kernel), (groups * filters,), options


@pytest.mark.parametrize("layout", [np.ascontiguousarray, channels_last], ids=["nchw", "channels_last"])
def test_integer_exact(isa, rng, layout):
    """80 random geometries on small integers, forward and every gradient, tolerance zero."""
    done = 0
    while done < 80:
        shapes, options = (case := random_case(rng))[:3], case[3]
        x, weight, bias = (rng.integers(-4, 5, shape).astype(np.float32) for shape in shapes)
        want = reference.conv_transpose2d(x.astype(np.float64), weight, bias, **options)
        if want.size == 0:
            with pytest.raises(ValueError, match="output of size"):
                ops.conv_transpose2d(x, weight, bias, **options)
            continue
        done += 1
        tx, tw, tb = (fnn.Tensor(a, requires_grad=True) for a in (layout(x), weight, bias))
        y = ops.conv_transpose2d(tx, tw, tb, **options)
        assert np.array_equal(y.numpy(), want), (shapes, options)
        # <dy, conv_transpose(x, w)> is linear in x and in w: the gradients are exact integers too.
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        y.backward(layout(dy))
        probe_x, probe_w = (rng.integers(-4, 5, shape).astype(np.float64) for shape in shapes[:2])
        of_x, of_w = (
            reference.conv_transpose2d(probe_x, weight, **options),
            reference.conv_transpose2d(x, probe_w, **options),
        )
        assert (tx.grad * probe_x).sum() == (dy * of_x).sum(), (shapes, options)
        assert (tw.grad * probe_w).sum() == (dy * of_w).sum(), (shapes, options)
        assert np.array_equal(tb.grad, dy.sum(axis=(0, 2, 3))), (shapes, options)


def test_is_the_input_gradient_of_conv2d(isa, rng):
    """Bit for bit, where there is no bias."""
    x, w = rng.standard_normal((2, 6, 5, 7)).astype(np.float32), rng.standard_normal((6, 3, 3, 3)).astype(np.float32)
    image = fnn.Tensor(np.zeros((2, 3, 10, 14)), requires_grad=True)
    ops.conv2d(image, w, stride=2, padding=1).backward(x)
    y = ops.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1)
    assert y.tobytes() == image.grad.numpy().tobytes()


def test_batch_split_gives_the_same_bits(isa, rng):
    layer = nn.ConvTranspose2d(7, 20, 4, stride=2, padding=1)
    x = rng.standard_normal((9, 7, 6, 5)).astype(np.float32)
    whole = layer(x).numpy()
    for n in (1, 2, 4, 8):
        assert np.array_equal(layer(x[:n]).numpy(), whole[:n])


def test_no_gradient_that_is_not_wanted(rng):
    x, w, b = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(2)
    for wanted in range(3):
        tensors = [fnn.Tensor(a, requires_grad=i == wanted) for i, a in enumerate((x, w, b))]
        y = ops.conv_transpose2d(*tensors)
        y.backward(np.ones(y.shape))
        assert [t.grad is not None for t in tensors] == [i == wanted for i in range(3)]


@pytest.mark.parametrize(
    ("x", "w"), [((0, 2, 3, 4), (2, 3, 3, 3)), ((2, 0, 3, 4), (0, 3, 3, 3)), ((2, 2, 3, 4), (2, 0, 3, 3))]
)
def test_empty(isa, x, w):
    """No samples, no channels in, no channels out: y is the bias, and the gradients are zero."""
    tensors = [fnn.Tensor(np.ones(shape), requires_grad=True) for shape in (x, w)]
    bias = fnn.Tensor(np.full(w[1], 3.0), requires_grad=True)
    y = ops.conv_transpose2d(*tensors, bias, stride=2, padding=1)
    assert y.shape == (x[0], w[1], 5, 7)
    assert np.all(y.numpy() == 3)
    y.backward(np.ones(y.shape))
    assert [t.grad.shape for t in tensors] == [x, w]
    assert not any(t.grad.any() for t in tensors)
    assert np.all(bias.grad == x[0] * 35)


def test_layers(rng):
    layer = nn.ConvTranspose2d(6, 4, (3, 2), stride=2, groups=2)
    assert layer.weight.shape == (6, 2, 3, 2)
    bound = 1 / np.sqrt(2 * 3 * 2)
    assert 0.8 * bound < np.abs(layer.weight.data).max() <= bound
    assert np.abs(layer.bias.data).max() <= bound
    x = rng.standard_normal((2, 6, 4, 5)).astype(np.float32)
    want = ops.conv_transpose2d(x, layer.weight.data, layer.bias.data, stride=2, groups=2)
    assert np.array_equal(layer(x).numpy(), want)
    assert repr(layer) == (
        "ConvTranspose2d(6, 4, kernel_size=(3, 2), stride=(2, 2), padding=(0, 0), output_padding=(0, 0), groups=2, "
        "bias=True, dilation=(1, 1))"
    )
    model = nn.Sequential(nn.ConvTranspose1d(3, 4, 4, stride=2, padding=1, bias=False), nn.ReLU())
    assert model(np.zeros((2, 3, 7))).shape == (2, 4, 14)
    assert model.summary((3, 7)).splitlines()[1].split()[:6] == ["0", "(ConvTranspose1d)", "(1,", "4,", "14)", "48"]


def test_errors():
    x, w = np.zeros((1, 3, 8, 8), np.float32), np.zeros((3, 4, 3, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"conv_transpose2d: x \(1, 3, 8, 8\) has 3 channels but weight \(2, 4, 3, 3\) expects 2"
    ):
        ops.conv_transpose2d(x, w[:2])
    with pytest.raises(
        ValueError, match=r"conv_transpose1d: x \(1, 3, 8\) has 3 channels but weight \(2, 4, 3\) expects 2"
    ):
        ops.conv_transpose1d(x[:, :, 0], w[:2, :, 0])
    with pytest.raises(ValueError, match=r"conv_transpose2d: x has shape \(3, 8, 8\), expected 4 dimensions"):
        ops.conv_transpose2d(x[0], w)
    with pytest.raises(ValueError, match=r"conv_transpose1d: weight has shape \(3, 4, 3, 3\), expected 3 dimensions"):
        ops.conv_transpose1d(x[:, :, 0], w)
    with pytest.raises(ValueError, match=r"x \(1, 3, 8, 8\) has 3 channels, not a multiple of groups=2"):
        ops.conv_transpose2d(x, w, groups=2)
    with pytest.raises(
        ValueError, match=r"bias has shape \(4,\) but weight \(3, 4, 3, 3\) with groups=3 expects \(12,\)"
    ):
        ops.conv_transpose2d(x, w, np.zeros(4), groups=3)
    with pytest.raises(ValueError, match=r"x \(1, 3, 8, 8\), weight \(3, 4, 3, 3\), .* padding 5, .* of size 0"):
        ops.conv_transpose2d(x, w, padding=5)
    with pytest.raises(ValueError, match="output_padding is 2, expected less than stride 2 or dilation 1"):
        ops.conv_transpose2d(x, w, stride=2, output_padding=2)
    with pytest.raises(ValueError, match="ConvTranspose1d: output_padding is 1, expected less than stride 1"):
        nn.ConvTranspose1d(3, 4, 3, output_padding=1)
    with pytest.raises(ValueError, match="at least one pixel and one tap"):
        ops.conv_transpose2d(x[:, :, :0], w)
    with pytest.raises(ValueError, match="at least one pixel and one tap"):
        ops.conv_transpose2d(x, w[:, :, :, :0])
    with pytest.raises(ValueError, match="stride is 0"):
        ops.conv_transpose2d(x, w, stride=0)
    with pytest.raises(ValueError, match="not a multiple of groups=2"):
        nn.ConvTranspose2d(4, 3, 3, groups=2)
    with pytest.raises(TypeError, match=r"dilation is 1\.5"):
        ops.conv_transpose1d(x[:, :, 0], w[:, :, 0], dilation=1.5)

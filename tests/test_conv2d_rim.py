"""Convolutions that see one position, or few, along an axis; one row, column or pixel; long thin kernels; windows that
do not overlap. Forward, input gradient and filter gradient, in both layouts, at every ISA level."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core, ops

# name: (x shape, weight shape, options)
CASES = {
    "whole_image": ((5, 3, 4, 6), (7, 3, 4, 6), {}),
    "whole_image_many": ((3, 16, 5, 5), (40, 16, 5, 5), {}),
    "whole_image_one_filter": ((4, 16, 3, 5), (1, 16, 3, 5), {}),
    "whole_image_groups": ((3, 12, 4, 3), (10, 6, 4, 3), {"groups": 2}),
    "whole_image_depthwise": ((2, 19, 7, 7), (19, 1, 7, 7), {"groups": 19}),
    "whole_image_depthwise_multiplier": ((2, 5, 4, 6), (10, 1, 4, 6), {"groups": 5}),
    "whole_image_dilated": ((3, 4, 7, 10), (6, 4, 3, 4), {"dilation": (3, 3)}),
    "one_position_of_more_image": ((3, 4, 7, 9), (6, 4, 4, 5), {"stride": (5, 6)}),
    "one_position_in_padding": ((2, 4, 2, 3), (6, 4, 5, 6), {"padding": (2, 2), "stride": (3, 3)}),
    "one_position_off_padding": ((2, 5, 2, 2), (9, 5, 2, 2), {"padding": (2, 2), "stride": (3, 3), "dilation": (3, 3)}),
    "whole_width": ((3, 1, 11, 20), (10, 1, 3, 20), {}),
    "whole_width_channels": ((3, 5, 11, 9), (18, 5, 3, 9), {"padding": (1, 0), "stride": (2, 1)}),
    "whole_width_dilated": ((2, 3, 12, 9), (5, 3, 3, 3), {"dilation": (2, 4)}),
    "whole_width_of_more_image": ((2, 3, 12, 9), (5, 3, 3, 6), {"stride": (1, 4)}),
    "whole_width_with_padding": ((2, 3, 9, 6), (20, 3, 3, 10), {"padding": (1, 2)}),
    "whole_width_one_filter": ((2, 16, 9, 4), (3, 16, 3, 4), {}),
    "whole_width_groups": ((2, 8, 9, 5), (6, 4, 3, 5), {"groups": 2}),
    "whole_width_depthwise": ((2, 19, 9, 12), (19, 1, 1, 12), {"groups": 19}),
    "whole_width_depthwise_multiplier": ((2, 8, 9, 12), (16, 1, 1, 12), {"groups": 8}),
    "whole_height": ((2, 1, 20, 17), (8, 1, 20, 3), {}),
    "whole_height_channels": ((2, 6, 13, 17), (40, 6, 13, 1), {}),
    "whole_height_strided": ((2, 6, 13, 17), (9, 6, 13, 4), {"stride": (1, 3), "padding": (0, 2)}),
    "whole_height_of_more_image": ((2, 6, 13, 17), (9, 6, 9, 2), {"stride": (7, 1)}),
    "whole_height_groups": ((2, 6, 8, 9), (9, 2, 8, 2), {"groups": 3}),
    "whole_height_dilated": ((2, 3, 9, 11), (20, 3, 3, 3), {"dilation": (4, 2)}),
    "whole_height_depthwise": ((2, 16, 12, 9), (16, 1, 12, 1), {"groups": 16}),
    "whole_height_depthwise_multiplier": ((2, 8, 12, 9), (16, 1, 12, 1), {"groups": 8}),
    "depthwise_multiplier_3": ((2, 7, 9, 9), (21, 1, 3, 3), {"groups": 7, "padding": (1, 1)}),
    "one_row": ((3, 6, 1, 33), (20, 6, 1, 5), {"padding": (0, 2)}),
    "one_row_padded": ((3, 6, 1, 12), (20, 6, 3, 3), {"padding": (1, 1)}),
    "one_column": ((3, 6, 33, 1), (20, 6, 5, 1), {"padding": (2, 0)}),
    "one_column_strided": ((3, 6, 33, 1), (20, 6, 4, 1), {"stride": (3, 1), "dilation": (2, 1)}),
    "one_column_depthwise": ((2, 19, 30, 1), (19, 1, 3, 1), {"groups": 19, "padding": (1, 0)}),
    "one_column_groups": ((2, 6, 30, 1), (8, 3, 3, 1), {"groups": 2}),
    "one_column_of_many": ((2, 6, 10, 9), (8, 6, 3, 1), {"stride": (1, 10)}),
    "one_pixel": ((17, 20, 1, 1), (33, 20, 1, 1), {}),
    "one_pixel_padded": ((9, 20, 1, 1), (33, 20, 3, 3), {"padding": (1, 1)}),
    "one_pixel_depthwise": ((5, 19, 1, 1), (19, 1, 3, 3), {"groups": 19, "padding": (1, 1)}),
    "one_tap_on_few_pixels": ((5, 20, 3, 2), (9, 20, 1, 1), {}),
    "one_tap_strided": ((2, 20, 9, 9), (9, 20, 1, 1), {"stride": (4, 8)}),
    "small_map": ((3, 16, 2, 2), (33, 16, 3, 3), {"padding": (1, 1)}),
    "small_map_large_kernel": ((2, 3, 4, 3), (6, 3, 9, 9), {"padding": (4, 4)}),
    "taps_only_in_padding": ((2, 3, 3, 4), (6, 3, 3, 4), {"padding": (9, 8), "stride": (5, 2), "dilation": (4, 3)}),
    "narrow_map": ((2, 20, 30, 2), (18, 20, 3, 3), {"padding": (1, 1)}),
    "long_thin_same": ((2, 1, 5, 70), (8, 1, 1, 64), {"padding": (0, 32)}),
    "long_thin_tall": ((2, 4, 70, 3), (8, 4, 25, 1), {}),
    "long_thin_depthwise": ((2, 16, 4, 60), (16, 1, 1, 16), {"padding": (0, 8), "groups": 16}),
    "patches": ((3, 3, 16, 24), (20, 3, 8, 8), {"stride": (8, 8)}),
    "patches_left_over": ((2, 5, 9, 11), (20, 5, 4, 4), {"stride": (4, 4)}),
    "patches_of_two": ((2, 20, 6, 8), (30, 20, 2, 2), {"stride": (2, 2)}),
    "patches_along": ((2, 7, 5, 16), (20, 7, 1, 4), {"stride": (1, 4)}),
    "gaps": ((2, 7, 17, 16), (20, 7, 2, 3), {"stride": (3, 5)}),
    "few_positions": ((3, 7, 6, 9), (20, 7, 5, 7), {}),
    "few_positions_dilated": ((2, 7, 16, 15), (20, 7, 3, 3), {"dilation": (7, 6)}),
    "spectrogram": ((2, 1, 49, 10), (32, 1, 10, 4), {"stride": (2, 2), "padding": (5, 1)}),
}  # fmt: skip


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


LAYOUTS = {"nchw": np.ascontiguousarray, "channels_last": channels_last}


def taps(x, weight, padding=(0, 0), stride=(1, 1), dilation=(1, 1), groups=1):
    """The pixels that each tap sees, as views of the padded x: (x, [(u, v, view)])."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    kernel = weight.shape[2:]
    out = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(x.shape[2:], dilation, kernel, stride, strict=True)]
    seen = []
    for tap in np.ndindex(*kernel):
        rows, cols = (
            slice(t * d, t * d + s * (o - 1) + 1, s) for t, d, s, o in zip(tap, dilation, stride, out, strict=True)
        )
        seen.append((*tap, x[:, :, rows, cols]))
    return x, seen


def convolution(x, weight, dy=None, **options):
    """y, and dx and dw where there is dy, in float64 tap by tap."""
    groups, pad = options.get("groups", 1), options.get("padding", (0, 0))
    (n, c), k, (h, w) = x.shape[:2], len(weight), x.shape[2:]
    _, seen = taps(x.astype(np.float64), weight, **options)
    padded, targets = taps(np.zeros(x.shape), weight, **options)
    filters = weight.astype(np.float64).reshape(groups, k // groups, c // groups, *weight.shape[2:])
    size = seen[0][2].shape[2:]
    y, dw = np.zeros((n, groups, k // groups, *size)), np.zeros(filters.shape)
    for (u, v, view), (_, _, target) in zip(seen, targets, strict=True):
        pixels = view.reshape(n, groups, c // groups, *size)
        y += np.einsum("ngcij,gkc->ngkij", pixels, filters[..., u, v])
        if dy is not None:
            of_group = dy.astype(np.float64).reshape(y.shape)
            dw[..., u, v] = np.einsum("ngcij,ngkij->gkc", pixels, of_group)
            target += np.einsum("ngkij,gkc->ngcij", of_group, filters[..., u, v]).reshape(view.shape)
    dx = padded[:, :, pad[0] : pad[0] + h, pad[1] : pad[1] + w]
    return y.reshape(n, k, *size), dx, dw.reshape(weight.shape)


def ours(x, weight, bias, dy, **options):
    tx, tw = fnn.Tensor(x, requires_grad=True), fnn.Tensor(weight, requires_grad=True)
    y = ops.conv2d(tx, tw, bias, **options)
    y.backward(dy)
    return y.numpy(), tx.grad, tw.grad


def numbers(rng, x, weight, options, draw):
    out = convolution(np.zeros(x), np.zeros(weight), **options)[0].shape
    return [draw(shape).astype(np.float32) for shape in (x, weight, weight[:1], out)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CASES)
def test_on_integers_every_sum_is_exact(isa, rng, name, layout):
    shape, weight, options = CASES[name]
    x, w, bias, dy = numbers(rng, shape, weight, options, lambda shape: rng.integers(-4, 5, shape))
    y, dx, dw = ours(LAYOUTS[layout](x), w, bias, LAYOUTS[layout](dy), **options)
    want_y, want_dx, want_dw = convolution(x, w, dy, **options)
    assert np.array_equal(y, want_y + bias[:, None, None])
    assert np.array_equal(dx, want_dx)
    assert np.array_equal(dw, want_dw)


@pytest.mark.parametrize("name", CASES)
def test_real_numbers_are_as_close_as_single_precision_allows(isa, rng, name):
    shape, weight, options = CASES[name]
    x, w, bias, dy = numbers(rng, shape, weight, options, rng.standard_normal)
    got, want = ours(x, w, bias, dy, **options), convolution(x, w, dy, **options)
    for found, exact in zip(got, (want[0] + bias[:, None, None], *want[1:]), strict=True):
        assert np.linalg.norm(found - exact) <= 1e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize("name", CASES)
def test_bits_do_not_depend_on_layout_threads_or_batch(isa, rng, name):
    shape, weight, options = CASES[name]
    x, w, bias, dy = numbers(rng, (5, *shape[1:]), weight, options, rng.standard_normal)
    whole = ours(x, w, bias, dy, **options)
    for threads in (1, 3):
        with fnn.threads(threads):
            for layout in LAYOUTS.values():
                again = ours(layout(x), w, bias, layout(dy), **options)
                assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
    for n in (1, 4):
        y, dx, _ = ours(x[:n], w, bias, dy[:n], **options)
        assert np.array_equal(y, whole[0][:n])
        assert np.array_equal(dx, whole[1][:n])


@pytest.mark.parametrize("name", CASES)
def test_transposed_is_the_input_gradient(isa, rng, name):
    """Of the smallest image that has so many positions."""
    shape, weight, options = CASES[name]
    stride, pad, dilation = (options.get(o, (d, d)) for o, d in (("stride", 1), ("padding", 0), ("dilation", 1)))
    positions = convolution(np.zeros(shape), np.zeros(weight), **options)[0].shape[2:]
    size = [
        (o - 1) * s - 2 * p + d * (k - 1) + 1
        for o, s, p, d, k in zip(positions, stride, pad, dilation, weight[2:], strict=True)
    ]
    if min(size) < 1:
        return  # all of it would be padding
    x, w, _, dy = numbers(rng, (*shape[:2], *size), weight, options, lambda shape: rng.integers(-4, 5, shape))
    tx, tw = fnn.Tensor(dy, requires_grad=True), fnn.Tensor(w, requires_grad=True)
    up = ops.conv_transpose2d(tx, tw, **options)
    up.backward(x)
    y, dx, dw = convolution(x, w, dy, **options)
    assert np.array_equal(up.numpy(), dx)
    assert np.array_equal(tx.grad, y)
    assert np.array_equal(tw.grad, dw)


def test_what_only_padding_meets_has_no_gradient(isa):
    """Taps that never see the image: their gradient is zero, and what they hold is multiplied into nothing."""
    x, w = np.ones((2, 3, 1, 1), np.float32), np.full((4, 3, 3, 3), np.nan, np.float32)
    w[:, :, 1, 1] = 2
    y, dx, dw = ours(x, w, None, np.ones((2, 4, 1, 1), np.float32), padding=1)
    assert (y == 6).all()
    assert (dx == 8).all()
    assert (dw[:, :, 1, 1] == 2).all()
    assert dw.sum() == dw[:, :, 1, 1].sum()


@pytest.mark.parametrize("case", ["whole_image", "whole_width", "one_pixel_padded"])
def test_changed_filters_are_seen(rng, case):
    """In place, between two calls that would use what was packed."""
    shape, weight, options = CASES[case]
    x, w, bias, dy = numbers(rng, shape, weight, options, rng.standard_normal)
    ours(x, w, bias, dy, **options)
    w *= 2
    assert np.array_equal(ours(x, w, 0 * bias, dy, **options)[0], 2 * ours(x, w / 2, 0 * bias, dy, **options)[0])


def test_what_is_called_a_product():
    def names(x, w, sides=(0, 0, 0, 0)):
        return tuple(_core.conv2d_algorithms(x, w, (1, 1), sides, (1, 1), 1))

    assert names((8, 16, 5, 5), (120, 16, 5, 5)) == ("product",) * 3
    assert names((8, 64, 1, 1), (64, 64, 3, 3), (1, 1, 1, 1)) == ("product",) * 3
    assert names((8, 64, 2, 3), (64, 64, 1, 1)) == ("product",) * 3
    assert "product" not in names((8, 1, 56, 300), (100, 1, 3, 300))

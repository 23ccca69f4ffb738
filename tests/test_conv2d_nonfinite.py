"""Convolutions of values that are not finite, or huge: they reach what a plain sum gives them to, and nothing else.
Every algorithm is asked; Winograd's mixes the pixels of a tile, and must not let it be seen."""

import numpy as np
import pytest
import reference

import fastnn as fnn
from fastnn import _core, ops

VALUES = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "3e38": 3e38, "-1e38": -1e38, "1e30": 1e30, "1e6": 1e6}
# name: (x shape, weight shape, side of the tiles); padding 1
TILES = {
    "4x4": ((2, 17, 11, 9), (35, 17, 3, 3), 4),
    "4x4_two_groups": ((1, 16, 8, 10), (70, 16, 3, 3), 4),
    "2x2": ((1, 160, 7, 5), (416, 160, 3, 3), 2),
}
# name: (x shape, weight shape, padding, stride, dilation, groups): together, all algorithms of every ISA level
SHAPES = {
    "channels_as_lanes": ((2, 16, 7, 9), (3, 16, 3, 3), 1, 1, 1, 1),
    "depthwise": ((2, 19, 9, 12), (19, 1, 3, 3), 1, 1, 1, 19),
    "depthwise_stride": ((2, 5, 9, 12), (5, 1, 5, 5), 2, 2, 1, 5),
    "dilated": ((2, 20, 9, 9), (20, 20, 3, 3), 2, 1, 2, 1),
    "direct": ((2, 8, 7, 9), (20, 8, 3, 3), 1, 1, 1, 1),
    "groups": ((2, 32, 9, 7), (32, 16, 3, 3), 1, 1, 1, 2),
    "groups_of_few": ((2, 12, 9, 12), (12, 3, 3, 3), 1, 1, 1, 4),
    "one_channel": ((2, 1, 12, 30), (1, 1, 5, 5), 2, 1, 1, 1),
    "one_tap": ((2, 17, 5, 6), (19, 17, 1, 1), 0, 1, 1, 1),
    "pixels_as_lanes": ((2, 3, 17, 30), (4, 3, 3, 3), 1, 1, 1, 1),
    "row_of_taps_as_lanes": ((2, 5, 9, 12), (32, 5, 3, 3), 1, 1, 1, 1),
    "stride": ((2, 20, 8, 9), (20, 20, 3, 3), 1, 2, 1, 1),
    "winograd": ((2, 17, 9, 10), (19, 17, 3, 3), 1, 1, 1, 1),
    "winograd_small_tiles": ((1, 160, 6, 4), (416, 160, 3, 3), 1, 1, 1, 1),
}
LANES = "channels of a row of taps as lanes", "pixels as lanes", "source channels as lanes"
ALGORITHMS = {"Winograd F(2x2, 3x3)", "Winograd F(4x4, 3x3)", "depthwise", "direct"}
ALGORITHMS |= {*(f"direct, {lanes}" for lanes in LANES), "grouped, channels of several groups as lanes"}


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def normal(rng, shape):
    return rng.standard_normal(shape).astype(np.float32)


def kinds(a):
    """0 where finite, NaN, inf or -inf elsewhere."""
    return np.where(np.isfinite(a), 0, a)


def same(a, b):
    return np.array_equal(a, b, equal_nan=True)


def run(x, w, dy, padding=1, stride=1, dilation=1, groups=1):
    """y, dx, dw"""
    options = (stride, stride), (padding,) * 4, (dilation, dilation), groups
    dy = channels_last(dy)
    return (
        _core.conv2d_forward(x, w, None, *options),
        _core.conv2d_backward_input(dy, w, x.shape, *options),
        _core.conv2d_backward_weight(x, dy, w.shape, *options),
    )


def exact(x, w, dy, padding=1, stride=1, dilation=1, groups=1, *, padded=True):
    """The same by plain sums in float64; padded=False: a tap on the padding is left out instead of a product with 0."""
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    (n, _, high, wide), (k, depth, kh, kw), (oh, ow) = x.shape, w.shape, dy.shape[2:]
    y, dx, dw = np.zeros((n, k, oh, ow)), np.zeros(x.shape), np.zeros(w.shape)
    rows, cols = np.arange(oh) * stride - padding, np.arange(ow) * stride - padding
    for u in range(kh):
        for v in range(kw):
            r, c = rows + u * dilation, cols + v * dilation
            i, j = (r >= 0) & (r < high), (c >= 0) & (c < wide)
            seen = np.ix_(range(n), range(x.shape[1]), r[i], c[j])
            for g in range(groups):
                ins, outs = slice(g * depth, (g + 1) * depth), slice(g * k // groups, (g + 1) * k // groups)
                pixels = np.zeros((n, depth, oh, ow))
                pixels[np.ix_(range(n), range(depth), i, j)] = x[seen][:, ins]
                there = np.ones((oh, ow), bool) if padded else i[:, None] & j
                y[:, outs][..., there] += np.einsum("ncp,kc->nkp", pixels[..., there], w[outs, :, u, v])
                dw[outs, :, u, v] += np.einsum("nkp,ncp->kc", dy[:, outs][..., there], pixels[..., there])
                part = np.einsum("nkhw,kc->nchw", dy[:, outs][:, :, i][..., j], w[outs, :, u, v])
                dx[np.ix_(range(n), range(ins.start, ins.stop), r[i], c[j])] += part
    return y, dx, dw


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def shape_of_y(x, w, options):
    padding, stride, dilation, groups = options
    return ops.conv2d(x, w, padding=padding, stride=stride, dilation=dilation, groups=groups).shape


def layouts(x):
    return x, channels_last(x)


def tiles_that_see(shape, side, y, x):
    """The outputs (h, w) whose tile sees pixel (y, x), padding 1."""
    rows, cols = (np.arange(n) // side * side - 1 for n in shape)
    return ((rows <= y) & (y < rows + side + 2))[:, None] & ((cols <= x) & (x < cols + side + 2))


def both(x, w, dy):
    """By Winograd's algorithm, and by plain sums."""
    results = []
    for name in ("auto", "direct"):
        with fnn.conv_algorithm(name):
            results.append(run(x, w, dy))
    return results


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", TILES)
def test_one_pixel(isa, rng, name, value):
    """In every place of a map, each in its own sample: plain sums in tiles that see it, no bit changed in others."""
    (_, c, h, w), weight_shape, side = TILES[name]
    n, weight = h * w, normal(rng, weight_shape)
    assert f"{side}x{side}" in _core.conv2d_algorithms((n, c, h, w), weight_shape, (1, 1), (1,) * 4, (1, 1), 1)[0]
    for source in ("x", "dy"):
        x, dy = normal(rng, (n, c, h, w)), normal(rng, (n, weight_shape[0], h, w))
        place = 0 if source == "x" else 1
        clean = run(x, weight, dy)[place]
        for i in range(n):
            (x, dy)[place][i, i % 16, i // w, i % w] = VALUES[value]
        fast, plain = (r[place] for r in both(x, weight, dy))
        assert np.array_equal(kinds(fast), kinds(plain), equal_nan=True)
        for i in range(n):
            seen = tiles_that_see((h, w), side, i // w, i % w)
            assert same(fast[i][:, seen], plain[i][:, seen])
            assert same(fast[i][:, ~seen], clean[i][:, ~seen])


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", TILES)
def test_one_weight(isa, rng, name, value):
    """In y only the filter's channel changes, in dx only the channel that the weight is for; they are plain sums."""
    x_shape, weight_shape, _ = TILES[name]
    x, w = normal(rng, x_shape), normal(rng, weight_shape)
    dy = normal(rng, (x_shape[0], weight_shape[0], *x_shape[2:]))
    clean = run(x, w, dy)
    for k, c, u, v in ((0, 3, 0, 0), (weight_shape[0] - 1, 15, 1, 1), (17, 0, 2, 1)):
        changed = w.copy()
        changed[k, c, u, v] = VALUES[value]
        for array in layouts(x):
            fast, plain = both(array, changed, dy)
            for got, sums, before, channel in zip(fast[:2], plain[:2], clean[:2], (k, c), strict=True):
                others = np.arange(got.shape[1]) != channel
                assert same(got[:, others], before[:, others])
                assert same(got[:, channel], sums[:, channel])
            assert np.isfinite(fast[2]).all()


def exact_dw(x, dy):
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    (h, w), taps = dy.shape[2:], [(u, v) for u in range(3) for v in range(3)]
    parts = [np.einsum("nkhw,nchw->kc", dy.astype(np.float64), x[:, :, u : u + h, v : v + w]) for u, v in taps]
    return np.stack(parts, axis=-1).reshape(dy.shape[1], x.shape[1], 3, 3)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("shape", [(2, 17, 11, 9), (4, 16, 12, 12)], ids=str)
def test_gradient_of_the_filters(isa, rng, shape, value):
    """A value in x or dy reaches the taps that meet it, of its own channel: corners, edges, borders of tiles."""
    n, c, h, w = shape
    options = (35, c, 3, 3), (1, 1), (1,) * 4, (1, 1), 1
    assert _core.conv2d_algorithms(shape, *options)[2] == "Winograd F(4x4, 3x3)"
    x, dy = normal(rng, shape), channels_last(normal(rng, (n, 35, h, w)))
    for i, j in ((0, 0), (h - 1, w - 1), (0, 5), (3, 3), (4, 0), (3, 4), (7, 6)):
        for place in (0, 1):
            arrays = [x.copy(), dy.copy("K")]
            arrays[place][n - 1, 13, i, j] = VALUES[value]
            want, size = exact_dw(*arrays), exact_dw(np.abs(arrays[0]), np.abs(arrays[1]))
            finite = np.isfinite(want.astype(np.float32))
            for image in layouts(arrays[0]):
                got = _core.conv2d_backward_weight(image, arrays[1], *options)
                assert np.array_equal(kinds(got), kinds(want.astype(np.float32)), equal_nan=True)
                assert np.all(np.abs(got - want)[finite] <= 4e-6 * size[finite])


def test_many_at_once(isa, rng):
    """Infinities of both signs, NaN and large values at random, several to a tile or none: as plain sums are."""
    for trial in range(12):
        x, w, dy = normal(rng, (2, 16, 13, 10)), normal(rng, (33, 16, 3, 3)), normal(rng, (2, 33, 13, 10))
        for array in (x, dy, w)[: 2 + trial % 2]:
            picked = rng.choice(array.size, rng.integers(1, 9), replace=False)
            array.flat[picked] = rng.choice([np.nan, np.inf, -np.inf, 1e15, 1e6], picked.size)
        for image in layouts(x):
            fast, plain = both(image, w, dy)
            for got, want in zip(fast[:2], plain[:2], strict=True):
                assert np.array_equal(kinds(got), kinds(want), equal_nan=True)
            # dw: whether a dy that is not finite meets the padding is not the same for all kernels
            readings = [kinds(exact(image, w, dy, padded=padded)[2]) for padded in (True, False)]
            for dw in (fast[2], plain[2]):
                found = kinds(dw)
                assert np.any([(found == r) | (np.isnan(found) & np.isnan(r)) for r in readings], axis=0).all()


def test_zero_filters(isa, rng):
    """0 * NaN is NaN in the receptive field, and 0 beyond it."""
    x, w = normal(rng, (1, 16, 12, 12)), np.zeros((16, 16, 3, 3), np.float32)
    x[0, 5, 6, 6] = np.nan
    y = ops.conv2d(x, w, padding=1)
    assert np.isnan(y[:, :, 5:8, 5:8]).all()
    assert np.count_nonzero(y) == y[:, :, 5:8, 5:8].size


@pytest.mark.parametrize("scale", [1e5, 1e20, 1e35, 1e38])
def test_all_values_are_huge(isa, rng, scale):
    """What is finite as a plain sum is finite, with its bits; dw to the rounding of a sum."""
    x, dy = (rng.uniform(0.5, 1, s).astype(np.float32) * np.float32(scale) for s in ((2, 16, 10, 9), (2, 20, 10, 9)))
    w = normal(rng, (20, 16, 3, 3)) / 256
    fast, plain = both(x, w, dy)
    assert np.isfinite(fast[0]).all()
    assert same(fast[0], plain[0])
    assert same(fast[1], plain[1])
    small = normal(rng, dy.shape) / 4096
    got, want = run(x, w, small)[2], exact(x, w, small)[2]
    assert np.isfinite(got).all()
    assert np.linalg.norm((got - want) / scale) <= 2e-6 * np.linalg.norm(exact(np.abs(x), w, np.abs(small))[2] / scale)


@pytest.mark.parametrize("size", [40000.0, 65536.0])
def test_the_largest_value_that_winograd_takes(isa, rng, size):
    """Beside it, outputs that do not see it keep 2e-6 of it: the bound that conv_algorithm states."""
    x, w = normal(rng, (60, 16, 12, 12)), normal(rng, (32, 16, 3, 3))
    where = rng.integers(0, 12, (60, 2))
    for i, (r, c) in enumerate(where):
        x[i, i % 16, r, c] = size
    y, want = ops.conv2d(x, w, padding=1), reference.conv2d(x.astype(np.float64), w.astype(np.float64), padding=(1, 1))
    error = np.abs(y - want)
    for i, (r, c) in enumerate(where):
        far = (np.abs(np.arange(12) - r) > 1)[:, None] | (np.abs(np.arange(12) - c) > 1)
        assert np.all(error[i][:, far] <= 2e-6 * size * np.abs(w).max())


def test_threads_and_batch_change_no_bit(isa, rng):
    x, w, dy = normal(rng, (5, 17, 13, 9)), normal(rng, (70, 17, 3, 3)), normal(rng, (5, 70, 13, 9))
    x[1, 3, 4, 4], x[3, 0, 0, 0], dy[2, 66, 12, 8], w[5, 5, 1, 1] = np.nan, 1e30, np.inf, 1e30
    y, dx, dw = run(x, w, dy)
    for n in (1, 2, 3, 8):
        with fnn.threads(n):
            assert [a.tobytes() for a in run(x, w, dy)] == [y.tobytes(), dx.tobytes(), dw.tobytes()]
    for part in (slice(0, 1), slice(1, 2), slice(2, 4), slice(3, 5)):
        got = run(x[part], w, dy[part])
        assert same(got[0], y[part])
        assert same(got[1], dx[part])

"""Every algorithm of a convolution computes the same convolution, wherever it accepts the shape."""

import itertools

import numpy as np
import pytest
import reference

from fastnn import _core

CONVOLUTION = ((2, 3, 7, 9), (4, 3, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1)
# Shapes of x and weight, stride, padding, dilation and groups. Each algorithm accepts one of them at the widest level.
SHAPES = [
    CONVOLUTION,
    ((2, 32, 6, 7), (2, 32, 3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((2, 2, 6, 7), (32, 2, 3, 3), (2, 1), (1, 1, 2, 2), (1, 1), 1),
    ((1, 16, 13, 12), (24, 16, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((2, 19, 6, 7), (19, 1, 3, 2), (1, 1), (1, 1, 0, 0), (1, 1), 19),
    ((2, 8, 9, 5), (8, 2, 3, 3), (1, 2), (1, 1, 1, 1), (2, 1), 4),
    ((3, 5, 4, 3), (6, 5, 4, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((2, 6, 8, 1), (4, 6, 5, 1), (1, 1), (2, 2, 0, 0), (1, 1), 1),
]
NAMES = _core.conv2d_algorithm_names()


def channels_last(a):
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def options(shape):
    return {"stride": shape[2], "padding": (shape[3][0], shape[3][2]), "dilation": shape[4], "groups": shape[5]}


def gradients(x, weight, dy, stride, sides, dilation, groups):
    """dx and dw, tap by tap."""
    (n, c, h, w), (k, depth, kh, kw), (oh, ow) = x.shape, weight.shape, dy.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), sides[:2], sides[2:]))
    dx, dw = np.zeros_like(padded), np.zeros_like(weight)
    dy = dy.reshape(n, groups, k // groups, oh, ow)
    for u, v in np.ndindex(kh, kw):
        rows = slice(u * dilation[0], u * dilation[0] + (oh - 1) * stride[0] + 1, stride[0])
        cols = slice(v * dilation[1], v * dilation[1] + (ow - 1) * stride[1] + 1, stride[1])
        seen = padded[:, :, rows, cols].reshape(n, groups, depth, oh, ow)
        taps = weight[:, :, u, v].reshape(groups, k // groups, depth)
        dw[:, :, u, v] = np.einsum("ngkij,ngcij->gkc", dy, seen).reshape(k, depth)
        dx[:, :, rows, cols] += np.einsum("ngkij,gkc->ngcij", dy, taps).reshape(n, c, oh, ow)
    return dx[:, :, sides[0] : sides[0] + h, sides[2] : sides[2] + w], dw


def arrays(rng, shape):
    """x, weight, bias and dy of small integers, and y, dx and dw, exactly."""
    x, weight, bias = (rng.integers(-3, 4, s).astype(np.float64) for s in (*shape[:2], shape[1][:1]))
    y = reference.conv2d(x, weight, bias, **options(shape))
    dy = rng.integers(-3, 4, y.shape).astype(np.float64)
    return (x, weight, bias, dy), (y, *gradients(x, weight, dy, *shape[2:]))


def run(direction, given, shape, name):
    x, weight, bias, dy = (a.astype(np.float32) for a in given)
    x, dy = channels_last(x), channels_last(dy)
    if direction == 0:
        return _core.conv2d_forward(x, weight, bias, *shape[2:], name)
    if direction == 1:
        return _core.conv2d_backward_input(dy, weight, shape[0], *shape[2:], name)
    return _core.conv2d_backward_weight(x, dy, shape[1], *shape[2:], name)


def results(direction, name, given, shape):
    """Of a pinned algorithm; None where it does not accept the shape."""
    try:
        return run(direction, given, shape, name)
    except ValueError as error:
        assert str(error) == f"conv2d: algorithm '{name}' does not compute this shape"  # noqa: PT017
        return None


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pinned(isa, rng, shape):
    """Plain sums of small integers are exact, in whatever order; Winograd's have its rounding."""
    given, wanted = arrays(rng, shape)
    for direction, names in enumerate(NAMES):
        for name in names:
            got = results(direction, name, given, shape)
            if got is None:
                assert name != "direct"
                continue
            tolerance = 1e-5 * np.abs(wanted[direction]).max() if "Winograd" in name else 0
            np.testing.assert_allclose(got, wanted[direction], rtol=0, atol=tolerance, err_msg=f"{direction}: {name}")


def test_none_is_left_out(rng):
    """Each algorithm accepts one of the shapes above, at the level with the widest vectors of this machine."""
    before = _core.isa()
    _core.set_isa(_core.available_isas()[-1])
    try:
        left = {(direction, name) for direction, names in enumerate(NAMES) for name in names}
        for shape in SHAPES:
            given, _ = arrays(rng, shape)
            left -= {
                (direction, name) for direction, name in left if results(direction, name, given, shape) is not None
            }
    finally:
        _core.set_isa(before)
    assert all(name.startswith("grouped") and _core.available_isas() == ["baseline"] for _, name in left), left


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_choice_can_be_pinned(isa, rng, shape):
    """Whatever is chosen gives the same bits pinned."""
    given, _ = arrays(rng, shape)
    given = [a + rng.standard_normal(a.shape) for a in given]
    for direction, name in enumerate(_core.conv2d_algorithms(*shape)):
        assert name in NAMES[direction]
        free, pinned = (run(direction, given, shape, n) for n in (None, name))
        assert free.tobytes() == pinned.tobytes()


def test_plain_sums(isa):
    """No Winograd; else the choice stays."""
    for c, k in itertools.product((3, 16, 64), (4, 16, 64)):
        shape = ((1, c, 16, 16), (k, c, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1)
        either = (_core.conv2d_algorithms(*shape, how) for how in (None, "plain sums"))
        for free, plain in zip(*either, strict=True):
            assert "Winograd" not in plain
            assert free == plain or "Winograd" in free


def test_unknown():
    with pytest.raises(ValueError, match="algorithm 'fast' does not compute this shape"):
        _core.conv2d_algorithms(*CONVOLUTION, "fast")

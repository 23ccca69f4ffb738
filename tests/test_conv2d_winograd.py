"""Winograd's algorithm against float64 and against plain sums; packed filters follow the weights."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference
from check import check_op, rel_error

import fastnn as fnn
from fastnn import _core, ops
from fastnn.runtime.settings import pinned_algorithm

# name: (x shape, filters, padding); 3x3 filters
CASES = {
    "one_tile": ((1, 16, 4, 4), 16, 1),
    "overhang": ((2, 17, 7, 11), 33, 1),
    "no_padding": ((1, 16, 10, 6), 48, 0),
    "wide_padding": ((1, 19, 6, 6), 16, 2),
    "many_tiles": ((2, 16, 30, 30), 16, 1),
    "two_groups_of_outputs": ((3, 20, 8, 8), 70, 1),
}
# The same where the filters are too large for tiles of 4x4.
SMALL_TILES = {
    "even": ((2, 160, 6, 4), 416, 1),
    "overhang": ((1, 419, 7, 5), 161, 1),
    "no_padding": ((3, 33, 8, 7), 2001, 0),
    "wide_padding": ((1, 300, 3, 4), 228, 2),
}
LARGE, SMALL = "Winograd F(4x4, 3x3)", "Winograd F(2x2, 3x3)"


def algorithms(x, k, padding):
    return _core.conv2d_algorithms(x, (k, x[1], 3, 3), (1, 1), (padding,) * 4, (1, 1), 1, *pinned_algorithm().values())


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def check(arrays, padding, probes=32):
    check_op(ops.conv2d, reference.conv2d, *arrays, padding=(padding, padding), probes=probes)
    x = channels_last(arrays[0].astype(np.float32))
    check_op(ops.conv2d, reference.conv2d, x, *arrays[1:], padding=(padding, padding), probes=probes)


@pytest.mark.parametrize("name", CASES)
def test_against_reference(isa, rng, name):
    shape, k, padding = CASES[name]
    assert algorithms(shape, k, padding) == [LARGE] * 3
    check((rng.standard_normal(shape), rng.standard_normal((k, shape[1], 3, 3)), rng.standard_normal(k)), padding)


@pytest.mark.parametrize("name", SMALL_TILES)
def test_small_tiles_against_reference(isa, rng, name):
    shape, k, padding = SMALL_TILES[name]
    assert algorithms(shape, k, padding) == [SMALL, SMALL, "direct"]
    arrays = rng.standard_normal(shape), rng.standard_normal((k, shape[1], 3, 3)), rng.standard_normal(k)
    check(arrays, padding, probes=4)


def run(x, w, b, dy=None):
    tensors = [fnn.Tensor(a, requires_grad=True) for a in (x, w, b)]
    y = ops.conv2d(*tensors, padding=(1, 1))
    y.backward(np.ones(y.shape, np.float32) if dy is None else dy)
    return y.numpy().copy(), tensors[0].grad.numpy(), tensors[1].grad.numpy()


def test_direct_is_exact_on_integers(isa, rng, direct):
    """The same shapes by plain sums: no rounding at all."""
    for shape, k, padding in CASES.values():
        assert not any("Winograd" in name for name in algorithms(shape, k, padding))
    x, w = rng.integers(-4, 5, (2, 33, 9, 10)), rng.integers(-4, 5, (35, 33, 3, 3))
    y, dx, dw = run(x, w, np.zeros(35))
    assert np.array_equal(y, reference.conv2d(x, w, np.zeros(35), padding=(1, 1)))
    with fnn.conv_algorithm("auto"):
        rounded = run(x, w, np.zeros(35))
    for exact, other in zip((y, dx, dw), rounded, strict=True):
        assert not np.array_equal(exact, other)  # or nothing was switched
        assert rel_error(other, exact) < 2e-6


@pytest.mark.parametrize(("c", "k", "h", "w"), [(24, 40, 13, 9), (160, 416, 5, 4)], ids=["large_tiles", "small_tiles"])
def test_batch_and_threads_change_no_bit(isa, rng, c, k, h, w):
    """A sample alone, in any part of a batch, on any number of threads; the weights' gradient on any threads."""
    assert algorithms((7, c, h, w), k, 1)[0] == (LARGE if c == 24 else SMALL)
    x, w, b = rng.standard_normal((7, c, h, w)), rng.standard_normal((k, c, 3, 3)), rng.standard_normal(k)
    dy = rng.standard_normal((7, k, *x.shape[2:])).astype(np.float32)
    y, dx, dw = run(x, w, b, dy)
    for n in (1, 2, 3, 4, 8):
        with fnn.threads(n):
            for got, want in zip(run(x, w, b, dy), (y, dx, dw), strict=True):
                assert got.tobytes() == want.tobytes()
    for part in (slice(0, 1), slice(2, 5), slice(6, 7)):
        got = run(x[part], w, b, dy[part])
        assert np.array_equal(got[0], y[part])
        assert np.array_equal(got[1], dx[part])


def rms(a):
    return float(np.sqrt(np.mean(np.square(a, dtype=np.float64))))


@pytest.mark.parametrize(("c", "side"), [(16, 14), (64, 14), (256, 14), (512, 7)])
def test_accuracy(isa, rng, c, side):
    """A table of errors against float64: Winograd's within 8 times those of plain sums, and 2e-6 (relative L2)."""
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1, c, side, side), (c, c, 3, 3)))
    x = np.maximum(x, 0)  # what a layer after ReLU sees
    dy = rng.standard_normal((1, c, side, side)).astype(np.float32)
    x64, w64, dy64 = x.astype(np.float64), w.astype(np.float64), dy.astype(np.float64)
    turned = w64[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    dw64 = reference.conv2d(x64.transpose(1, 0, 2, 3), dy64.transpose(1, 0, 2, 3), padding=(1, 1)).transpose(1, 0, 2, 3)
    exact = [reference.conv2d(x64, w64, padding=(1, 1)), reference.conv2d(dy64, turned, padding=(1, 1)), dw64]
    results = {}
    for name in ("direct", "auto"):
        with fnn.conv_algorithm(name):
            results[name] = run(x, w, np.zeros(c), dy)
    for i, part in enumerate(("forward", "dx", "dw")):
        plain, fast = (rms(results[name][i] - exact[i]) / rms(exact[i]) for name in ("direct", "auto"))
        print(f"{isa} {c} channels {part}: relative rms error direct {plain:.1e}, Winograd {fast:.1e}")  # noqa: T201  (the table is wanted)
        assert 0 < fast <= 8 * plain
        assert fast <= 2e-6


@pytest.mark.parametrize("shape", [(16, 16, 3, 3), (8, 3, 5, 5), (6, 1, 3, 3)], ids=["winograd", "direct", "depthwise"])
def test_weights_changed_in_place_are_seen(isa, rng, shape):
    """Filters are packed once; a change of any weight or bias, by whatever hand, is a new packing."""
    groups = 6 if shape[1] == 1 else 1
    x = rng.standard_normal((1, shape[1] * groups, 8, 8)).astype(np.float32)
    w, b = rng.standard_normal(shape).astype(np.float32), np.zeros(shape[0], np.float32)
    dy = None

    def both(w, b):
        nonlocal dy
        tensor = fnn.Tensor(x, requires_grad=True)
        y = ops.conv2d(tensor, w, b, padding=(1, 1), groups=groups)
        dy = np.ones(y.shape, np.float32) if dy is None else dy
        y.backward(dy)
        return y.numpy().tobytes() + tensor.grad.numpy().tobytes()

    last = both(w, b)
    assert both(w, b) == last
    for array in (w, b):
        view = array.reshape(-1)
        for i in (0, view.size // 2, view.size - 1):
            view[i] += 1
            now = both(w, b)
            assert now == both(w.copy(), b.copy())
            assert now != last
            last = now


def test_packed_filters_die_with_the_weights(rng):
    x, w = rng.standard_normal((1, 16, 8, 8)).astype(np.float32), rng.standard_normal((16, 16, 3, 3)).astype(np.float32)
    gc.collect()
    before = _core.memory_stats()["in_use_bytes"]
    kept = ops.conv2d(x, w[:], padding=(1, 1))  # through a view, as conv1d has it
    one = _core.memory_stats()["in_use_bytes"]
    for _ in range(5):
        kept = ops.conv2d(x, w[:], padding=(1, 1))
    assert _core.memory_stats()["in_use_bytes"] == one  # found again, not made again
    del kept
    assert _core.memory_stats()["in_use_bytes"] > before
    del w
    assert _core.memory_stats()["in_use_bytes"] == before


def test_errors():
    with pytest.raises(ValueError, match="conv_algorithm: algorithm is 'fast', expected one of auto, direct"):
        fnn.conv_algorithm("fast")
    with pytest.raises(ValueError, match="Conv1d: algorithm is 'fast', expected one of auto, direct"):
        fnn.nn.Conv1d(1, 1, 1, algorithm="fast")
    with pytest.raises(AttributeError, match=r"write with fnn\.conv_algorithm"):
        fnn.set_conv_algorithm  # noqa: B018
    assert fnn.get_conv_algorithm() == "auto"


def test_scopes_nest_and_are_left_by_an_error():
    @fnn.conv_algorithm("auto")
    def inside():
        return fnn.get_conv_algorithm()

    scope = fnn.conv_algorithm("direct")
    with pytest.raises(ZeroDivisionError), scope, scope:  # noqa: PT012
        assert [fnn.get_conv_algorithm(), inside(), fnn.get_conv_algorithm()] == ["direct", "auto", "direct"]
        with fnn.conv_algorithm("auto"):
            _ = 1 / 0
    assert fnn.get_conv_algorithm() == "auto"


def test_other_threads_do_not_see_a_scope():
    with fnn.conv_algorithm("direct"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(fnn.get_conv_algorithm).result() == "auto"


def test_a_layer_has_its_own_algorithm_in_both_directions_and_in_files(rng, tmp_path):
    x, dy = rng.standard_normal((2, 1, 16, 12, 12)).astype(np.float32)
    results = {}
    for name, scope in (("direct", "auto"), ("auto", "direct"), (None, "direct"), (None, "auto")):
        fnn.manual_seed(1)
        layer = fnn.nn.Conv2d(16, 16, 3, padding=1, algorithm=name)
        fnn.save(layer, tmp_path / "layer.safetensors")
        layer = fnn.load(tmp_path / "layer.safetensors")
        assert layer.algorithm == name
        assert ("algorithm" in repr(layer)) == (name is not None)
        inputs = fnn.Tensor(x, requires_grad=True)
        with fnn.conv_algorithm(scope):
            y = layer(inputs)
        y.backward(dy)
        results[name, scope] = b"".join([part.tobytes() for part in (y.numpy(), inputs.grad.numpy())])
    assert results["direct", "auto"] == results[None, "direct"] != results[None, "auto"] == results["auto", "direct"]

"""ops.gru_variant: where the reset gate acts, zoneout and recurrent dropout; the options of nn.GRU."""

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops
from fastnn.ragged import Packing

# T, N, I, H, directions
SHAPES = {"tails": (3, 2, 4, 5, 1), "one_more": (2, 13, 3, 17, 2), "several_tasks": (4, 60, 3, 33, 1)}
MASKS = {"none": (), "zoneout": ("zoneout",), "drop": ("drop",), "both": ("zoneout", "drop")}


def arguments(rng, shape, masks=(), bias=True, initial=True):
    steps, samples, inputs, hidden, directions = shape
    arrays = [rng.standard_normal((steps, samples, inputs))]
    arrays.append(rng.standard_normal((directions, samples, hidden)) if initial else None)
    for _ in range(directions):
        arrays.append(rng.standard_normal((3 * hidden, inputs)) / inputs**0.5)
        arrays.append(rng.standard_normal((3 * hidden, hidden)) / hidden**0.5)
        arrays += [rng.standard_normal(3 * hidden) if bias else None for _ in range(2)]
    kept = {name: (rng.random((directions, steps, samples, hidden)) < 0.6).astype(np.float32) for name in masks}
    if "drop" in kept:
        kept["drop"] *= np.float32(1.5)
    return [None if a is None else a.astype(np.float32) for a in arrays], kept


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("reset_after", [True, False])
def test_layer(isa, rng, reset_after, masks, shape):
    arrays, given = arguments(rng, shape, masks)
    check_op(ops.gru_variant, reference.gru_variant, *arrays, probes=10, reset_after=reset_after, **given)


@pytest.mark.parametrize("reset_after", [True, False])
def test_without_biases_and_states(rng, reset_after):
    arrays, _ = arguments(rng, (3, 4, 3, 9, 2), bias=False, initial=False)
    check_op(ops.gru_variant, reference.gru_variant, *arrays, reset_after=reset_after, zoneout=0.25)


@pytest.mark.parametrize("which", [(True, False), (False, True)])
@pytest.mark.parametrize("reset_after", [True, False])
def test_one_bias(rng, reset_after, which):
    arrays, _ = arguments(rng, SHAPES["tails"])
    arrays[4:6] = [a if keep else None for a, keep in zip(arrays[4:6], which, strict=True)]
    check_op(ops.gru_variant, reference.gru_variant, *arrays, reset_after=reset_after)


def test_without_options_it_is_gru(isa, rng):
    arrays, _ = arguments(rng, (5, 7, 4, 18, 2))
    for one, other in zip(ops.gru_variant(*arrays), ops.gru(*arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("reset_after", [True, False])
def test_samples_do_not_depend_on_the_batch(isa, rng, reset_after):
    (x, h0, *weights), given = arguments(rng, (4, 33, 7, 70, 2), ("zoneout", "drop"))
    whole = ops.gru_variant(x, h0, *weights, reset_after=reset_after, **given)
    for n in (1, 2, 5, 13, 32):
        masks = {k: np.ascontiguousarray(v[:, :, :n]) for k, v in given.items()}
        parts = ops.gru_variant(x[:, :n], h0[:, :n], *weights, reset_after=reset_after, **masks)
        for part, all_of_it in zip(parts, whole, strict=True):
            assert np.array_equal(part, all_of_it[:, :n])


@pytest.mark.parametrize("reset_after", [True, False])
def test_threads_do_not_change_a_bit(isa, rng, reset_after):
    arrays, given = arguments(rng, (8, 50, 20, 90, 2), ("zoneout", "drop"))

    def run(n):
        tensors = [fnn.Tensor(a, requires_grad=True) for a in arrays]
        with fnn.threads(n):
            y, h = ops.gru_variant(*tensors, reset_after=reset_after, **given)
            (ops.sum(y * y) + ops.sum(h)).backward()
        return [y.numpy(), *(t.grad for t in tensors)]

    first = run(1)
    for n in (2, 3, 8):
        assert all(np.array_equal(one, other) for one, other in zip(first, run(n), strict=True))
    assert np.array_equal(ops.gru_variant(*arrays, reset_after=reset_after, **given)[0], first[0])


@pytest.mark.parametrize("reset_after", [True, False])
def test_ragged_samples_are_as_if_alone(isa, rng, reset_after):
    lengths = [3, 6, 1, 6, 4]
    (x, h0, *weights), given = arguments(rng, (6, 5, 3, 19, 2), ("zoneout", "drop"))
    packing = Packing(lengths)
    at, by = packing.time, packing.sample
    masks = {k: np.ascontiguousarray(v[:, at, by]) for k, v in given.items()}
    inputs = [fnn.Tensor(a, requires_grad=True) for a in (x[at, by], np.ascontiguousarray(h0[:, packing.order]))]
    y, h = ops.gru_variant(*inputs, *weights, batch_sizes=packing.batch_sizes, reset_after=reset_after, **masks)
    ops.sum(y).backward()
    for place, sample in enumerate(packing.order):
        n = lengths[sample]
        own = {k: np.ascontiguousarray(v[:, :n, sample : sample + 1]) for k, v in given.items()}
        arrays = (x[:n, sample : sample + 1], h0[:, sample : sample + 1])
        alone = [fnn.Tensor(np.ascontiguousarray(a), requires_grad=True) for a in arrays]
        one, last = ops.gru_variant(*alone, *weights, reset_after=reset_after, **own)
        ops.sum(one).backward()
        assert np.array_equal(y.numpy()[by == sample], one.numpy()[:, 0])
        assert np.array_equal(h.numpy()[:, place], last.numpy()[:, 0])
        assert np.array_equal(inputs[1].grad[:, place], alone[1].grad[:, 0])
        np.testing.assert_allclose(inputs[0].grad[by == sample], alone[0].grad[:, 0], rtol=1e-5, atol=1e-6)


def test_what_is_zoned_out_keeps_its_bits(rng):
    (x, h0, *weights), _ = arguments(rng, (1, 4, 3, 21, 1))
    stay = rng.random((1, 1, 4, 21)) < 0.5
    y = ops.gru_variant(x, h0, *weights, zoneout=stay)[0]
    assert np.array_equal(y[0], np.where(stay[0, 0], h0[0], ops.gru_variant(x, h0, *weights)[0][0]))


@pytest.mark.parametrize("reset_after", [True, False])
def test_no_samples(isa, rng, reset_after):
    arrays, given = arguments(rng, (3, 0, 4, 5, 2), ("zoneout", "drop"))
    tensors = [fnn.Tensor(a, requires_grad=True) for a in arrays]
    y, h = ops.gru_variant(*tensors, reset_after=reset_after, **given)
    assert (y.shape, h.shape) == ((3, 0, 10), (2, 0, 5))
    y.backward(np.zeros(y.shape))
    assert all(t.grad.shape == t.shape and not t.grad.any() for t in tensors)


def test_errors(rng):
    (x, h0, *weights), _ = arguments(rng, (3, 2, 5, 4, 1))
    with pytest.raises(ValueError, match=r"gru_variant: zoneout has shape \(3, 2, 4\).*expects \(1, 3, 2, 4\)"):
        ops.gru_variant(x, h0, *weights, zoneout=np.zeros((3, 2, 4)))
    with pytest.raises(ValueError, match="gru_variant: zoneout is -1, expected a part from 0 to 1"):
        ops.gru_variant(x, h0, *weights, zoneout=-1)
    with pytest.raises(ValueError, match=r"gru_variant: drop has shape \(\)"):
        ops.gru_variant(x, h0, *weights, drop=0.5)
    with pytest.raises(ValueError, match=r"gru_variant: h0 has shape \(2, 4\).*\(1, 2, 4\)"):
        ops.gru_variant(x, h0[0], *weights)
    with pytest.raises(TypeError, match="gru_variant: drop has dtype complex128"):
        ops.gru_variant(x, h0, *weights, drop=np.zeros((1, 3, 2, 4), complex))
    with pytest.raises(ValueError, match="GRU: zoneout: p is 2, expected a probability"):
        nn.GRU(3, 4, zoneout=2)


@pytest.mark.parametrize("options", [{"reset_after": False}, {"zoneout": 0.2}], ids=str)
def test_layers(rng, tmp_path, options):
    model = nn.GRU(5, 9, num_layers=2, bidirectional=True, **options).eval()
    x, hx = rng.standard_normal((4, 3, 5)).astype(np.float32), rng.standard_normal((4, 3, 9)).astype(np.float32)
    y, h = model(x, hx)
    want = x
    for layer in range(2):
        own = slice(2 * layer, 2 * layer + 2)
        weights = [np.float64(w.numpy()) for w in model._weights(layer)]
        want, last = reference.gru_variant(want, hx[own], *weights, **options)
        np.testing.assert_allclose(h[own].numpy(), last, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-5)
    fnn.save(model, tmp_path / "m.safetensors")
    loaded = fnn.load(tmp_path / "m.safetensors").eval()
    assert repr(loaded) == repr(model)
    assert np.array_equal(loaded(x, hx)[0], y)


@fnn.no_grad()
def test_random_masks():
    model = nn.GRU(2, 64, zoneout=0.3, recurrent_dropout=0.25)
    model.load_state_dict({k: np.zeros_like(v) + (k == "bias_ih_l0") for k, v in model.state_dict().items()})
    x, hx = np.zeros((1, 200, 2)), np.full((1, 200, 64), 9.0)
    fnn.manual_seed(3)
    y, _ = model(x, hx)
    z = 1 / (1 + np.exp(-1))
    assert abs((y == 9).float().mean() - 0.3) < 0.02
    assert abs(np.isclose(y, 9 * z).mean() - 0.7 * 0.25) < 0.02
    assert abs(np.isclose(y, 9 * z + (1 - z) * np.tanh(1) / 0.75).mean() - 0.7 * 0.75) < 0.02
    fnn.manual_seed(3)
    assert np.array_equal(model(x, hx)[0], y)
    assert np.unique(model.eval()(x, hx)[0]).size == 1

"""ops.lstm_variant: every option of the LSTM alone and together."""

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import ops
from fastnn.ragged import Packing

# T, N, I, H, directions: tails of a vector, one more than a vector, several blocks of rows and several tasks
SHAPES = {"tails": (3, 2, 4, 5, 1), "one_more": (2, 13, 3, 17, 2), "several_tasks": (4, 60, 3, 33, 1)}
OPTIONS = {
    "none": {},
    "projection": {"projection": 3},
    "peephole": {"peephole": True},
    "layer_norm": {"layer_norm": True},
    "coupled": {"coupled": True},
    "cell_clip": {"cell_clip": 0.4},
    "zoneout": {"zoneout": "masks"},
    "zoneout_expected": {"zoneout": "numbers"},
    "dropout": {"drop": True},
    "projection_norm_clip": {"projection": 4, "layer_norm": True, "cell_clip": 0.9},
    "peephole_coupled_zoneout": {"peephole": True, "coupled": True, "zoneout": "masks"},
    "all": {
        "projection": 3,
        "peephole": True,
        "layer_norm": True,
        "coupled": True,
        "cell_clip": 0.9,
        "zoneout": "masks",
        "drop": True,
    },
}


def arguments(rng, shape, bias=True, initial=True, **options):
    """(arrays, options) of ops.lstm_variant."""
    steps, samples, inputs, hidden, directions = shape
    width, p = (3 if options.get("coupled") else 4) * hidden, options.get("projection", hidden)
    arrays = [rng.standard_normal((steps, samples, inputs))]
    arrays += [rng.standard_normal((directions, samples, n)) if initial else None for n in (p, hidden)]
    norm, peephole = options.get("layer_norm"), options.get("peephole")
    for _ in range(directions):
        arrays.append(rng.standard_normal((width, inputs)) / inputs**0.5)
        arrays.append(rng.standard_normal((width, p)) / p**0.5)
        arrays += [rng.standard_normal(width) if bias else None for _ in range(2)]
        arrays.append(rng.standard_normal((p, hidden)) / hidden**0.5 if "projection" in options else None)
        arrays.append(rng.standard_normal((3, hidden)) if peephole else None)
        arrays += [rng.uniform(0.5, 1.5, n) if norm else None for n in (width, width, hidden)]
        arrays.append(rng.standard_normal(hidden) if norm and bias else None)
    masks = {}
    if options.get("zoneout") == "masks":
        masks["zoneout_c"] = (rng.random((directions, steps, samples, hidden)) < 0.3).astype(np.float32)
        masks["zoneout_h"] = (rng.random((directions, steps, samples, p)) < 0.2).astype(np.float32)
    elif options.get("zoneout"):
        masks |= {"zoneout_c": 0.25, "zoneout_h": 0.125}
    if options.get("drop"):
        masks["drop"] = (rng.random((directions, steps, samples, hidden)) < 0.7).astype(np.float32) * np.float32(1.5)
    given = {name: options[name] for name in ("coupled", "cell_clip") if name in options}
    return [None if a is None else a.astype(np.float32) for a in arrays], {**given, **masks}


def smooth_clip(arrays, cell_clip, **given):
    """A bound near cell_clip that no element comes close to: there the gradient has a step."""
    exact = [None if a is None else a.astype(np.float64) for a in arrays]
    for bound in cell_clip + np.arange(200) / 1000:
        unclipped = []
        reference.lstm_variant(*exact, cell_clip=bound, unclipped=unclipped, **given)
        beyond = np.abs(unclipped) - bound
        if (np.abs(beyond) > 2e-5).all() and (beyond > 0).mean() > 0.02:
            return float(bound)
    raise AssertionError("no bound found")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_layer(isa, rng, options, shape):
    arrays, given = arguments(rng, shape, **options)
    if "cell_clip" in given:
        given["cell_clip"] = smooth_clip(arrays, **given)
    own = [i for i, a in enumerate(arrays) if a is not None and not (options.get("coupled") and i % 10 == 8)]
    check_op(ops.lstm_variant, reference.lstm_variant, *arrays, probes=10, differentiable=own, **given)


def test_a_coupled_input_gate_has_no_peephole(rng):
    arrays, given = arguments(rng, SHAPES["tails"], coupled=True, peephole=True)
    peepholes = fnn.Tensor(arrays[8], requires_grad=True)
    ops.lstm_variant(*arrays[:8], peepholes, *arrays[9:], **given)[0].backward(np.ones((3, 2, 5)))
    assert not peepholes.grad[0].any()
    assert peepholes.grad[1:].all()
    want = reference.lstm_variant(*[None if a is None else np.float64(a) for a in arrays], **given)[0]
    np.testing.assert_allclose(ops.lstm_variant(*arrays, **given)[0], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{"projection": 3}, {"layer_norm": True, "peephole": True}], ids=str)
def test_without_biases_and_states(rng, options):
    arrays, given = arguments(rng, (3, 4, 3, 9, 2), bias=False, initial=False, **options)
    check_op(ops.lstm_variant, reference.lstm_variant, *arrays, **given)


def test_without_options_it_is_lstm(isa, rng):
    arrays, _ = arguments(rng, (5, 7, 4, 18, 2))
    plain = [a for i, a in enumerate(arrays) if i < 3 or (i - 3) % 10 < 4]
    for one, other in zip(ops.lstm_variant(*arrays), ops.lstm(*plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["projection_norm_clip", "all"])
def test_samples_do_not_depend_on_the_batch(isa, rng, name):
    (x, h0, c0, *weights), given = arguments(rng, (4, 33, 7, 70, 2), **OPTIONS[name])
    whole = ops.lstm_variant(x, h0, c0, *weights, **given)
    for n in (1, 2, 5, 13, 32):
        masks = {k: np.ascontiguousarray(v[:, :, :n]) if np.ndim(v) else v for k, v in given.items()}
        for part, all_of_it in zip(
            ops.lstm_variant(x[:, :n], h0[:, :n], c0[:, :n], *weights, **masks), whole, strict=True
        ):
            assert np.array_equal(part, all_of_it[:, :n])


@pytest.mark.parametrize("name", ["projection_norm_clip", "all"])
def test_threads_do_not_change_a_bit(isa, rng, name):
    arrays, given = arguments(rng, (8, 50, 20, 90, 2), **OPTIONS[name])

    def run(n):
        tensors = [None if a is None else fnn.Tensor(a, requires_grad=True) for a in arrays]
        with fnn.threads(n):
            y, h, c = ops.lstm_variant(*tensors, **given)
            (fnn.ops.sum(y * y) + fnn.ops.sum(h) + fnn.ops.sum(c)).backward()
        return [y.numpy(), *(t.grad for t in tensors if t is not None)]

    first = run(1)
    for n in (2, 3, 8):
        assert all(np.array_equal(one, other) for one, other in zip(first, run(n), strict=True))
    unrecorded = ops.lstm_variant(*arrays, **given)[0]
    assert np.array_equal(unrecorded, first[0])


@pytest.mark.parametrize("name", ["projection_norm_clip", "all"])
def test_ragged_samples_are_as_if_alone(isa, rng, name):
    """Forward and the gradients of x and of the states have the bits of each sequence run alone."""
    lengths = [3, 6, 1, 6, 4]
    (x, h0, c0, *weights), given = arguments(rng, (6, 5, 3, 19, 2), **OPTIONS[name])
    packing = Packing(lengths)
    at, by = packing.time, packing.sample
    masks = {k: np.ascontiguousarray(v[:, at, by]) if np.ndim(v) else v for k, v in given.items()}
    states = [np.ascontiguousarray(s[:, packing.order]) for s in (h0, c0)]
    inputs = [fnn.Tensor(a, requires_grad=True) for a in (x[at, by], *states)]
    outputs = ops.lstm_variant(*inputs, *weights, batch_sizes=packing.batch_sizes, **masks)
    ops.sum(outputs[0]).backward()
    ops.sum(ops.lstm_variant(*inputs, *weights, batch_sizes=packing.batch_sizes, **masks)[2]).backward()
    for place, sample in enumerate(packing.order):
        n = lengths[sample]
        own = {k: np.ascontiguousarray(v[:, :n, sample : sample + 1]) if np.ndim(v) else v for k, v in given.items()}
        arrays = (x[:n, sample : sample + 1], h0[:, sample : sample + 1], c0[:, sample : sample + 1])
        alone = [fnn.Tensor(np.ascontiguousarray(a), requires_grad=True) for a in arrays]
        y, h, c = ops.lstm_variant(*alone, *weights, **own)
        ops.sum(y).backward()
        ops.sum(ops.lstm_variant(*alone, *weights, **own)[2]).backward()
        assert np.array_equal(outputs[0].numpy()[by == sample], y.numpy()[:, 0])
        assert np.array_equal(outputs[1].numpy()[:, place], h.numpy()[:, 0])
        assert np.array_equal(outputs[2].numpy()[:, place], c.numpy()[:, 0])
        assert np.array_equal(inputs[1].grad[:, place], alone[1].grad[:, 0])
        assert np.array_equal(inputs[2].grad[:, place], alone[2].grad[:, 0])
        np.testing.assert_allclose(inputs[0].grad[by == sample], alone[0].grad[:, 0], rtol=1e-5, atol=1e-6)


def test_what_is_zoned_out_keeps_its_bits(rng):
    (x, h0, c0, *weights), _ = arguments(rng, (1, 4, 3, 21, 1))
    stay_c, stay_h = (rng.random((1, 1, 4, 21)) < 0.5 for _ in range(2))
    y, _, c = ops.lstm_variant(x, h0, c0, *weights, zoneout_c=stay_c, zoneout_h=stay_h)
    free_y, _, free_c = ops.lstm_variant(x, h0, c0, *weights)
    assert np.array_equal(y[0], np.where(stay_h[0, 0], h0[0], free_y[0]))
    assert np.array_equal(c[0], np.where(stay_c[0, 0], c0[0], free_c[0]))


def test_clipping_at_exactly_the_bound(rng):
    """|c| never exceeds the bound, and with c cut everywhere no gradient passes through it."""
    arrays, _ = arguments(rng, (3, 4, 3, 10, 1))
    tensors = [None if a is None else fnn.Tensor(a, requires_grad=True) for a in arrays]
    y, _, c = ops.lstm_variant(*tensors, cell_clip=1e-6)
    assert np.array_equal(np.abs(c.numpy()), np.full((1, 4, 10), 1e-6, np.float32))
    y.backward(np.ones((3, 4, 10)))
    assert not tensors[2].grad.any()
    assert not tensors[6].grad[:30].any()  # of i, f and g
    assert tensors[6].grad[30:].all()


def test_no_samples(isa, rng):
    arrays, given = arguments(rng, (3, 0, 4, 5, 2), **OPTIONS["all"])
    tensors = [None if a is None else fnn.Tensor(a, requires_grad=True) for a in arrays]
    y, h, c = ops.lstm_variant(*tensors, **given)
    assert (y.shape, h.shape, c.shape) == ((3, 0, 6), (2, 0, 3), (2, 0, 5))
    y.backward(np.zeros(y.shape))
    assert all(t.grad.shape == t.shape and not t.grad.any() for t in tensors if t is not None)


def test_errors(rng):
    (x, h0, c0, *weights), _ = arguments(rng, (3, 2, 5, 4, 1), projection=3, peephole=True, layer_norm=True)
    plain = weights[:4] + [weights[4]] + [None] * 5
    with pytest.raises(ValueError, match=r"lstm_variant: weight_hh has shape \(16, 3\), expected \(4 \* hidden_size"):
        ops.lstm_variant(x, h0, c0, *weights[:4])
    with pytest.raises(ValueError, match=r"lstm_variant: weight_hr has shape \(4, 4\), but weight_hh \(16, 3\)"):
        ops.lstm_variant(x, h0, c0, *weights[:4], np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"lstm_variant: h0 has shape \(1, 2, 4\).*\(1, 2, 3\)"):
        ops.lstm_variant(x, c0, c0, *plain)
    with pytest.raises(ValueError, match=r"lstm_variant: c0 has shape \(1, 2, 3\).*\(1, 2, 4\)"):
        ops.lstm_variant(x, h0, h0, *plain)
    with pytest.raises(ValueError, match=r"lstm_variant: weight_peephole has shape \(2, 4\).*expects \(3, 4\)"):
        ops.lstm_variant(x, h0, c0, *plain[:5], np.zeros((2, 4)))
    with pytest.raises(ValueError, match="lstm_variant: weight_norm_ih, weight_norm_hh and weight_norm_c come"):
        ops.lstm_variant(x, h0, c0, *plain[:6], np.ones(16))
    with pytest.raises(ValueError, match="lstm_variant: bias_norm_c needs weight_norm_c"):
        ops.lstm_variant(x, h0, c0, *plain[:9], np.ones(4))
    with pytest.raises(ValueError, match="lstm_variant: 3 weights of the reverse direction, expected none or 10"):
        ops.lstm_variant(x, h0, c0, *plain, *plain[:3])
    with pytest.raises(ValueError, match="lstm_variant: weight_peephole is given for one direction only"):
        ops.lstm_variant(x, None, None, *plain, *plain[:5], np.zeros((3, 4)), *[None] * 4)
    with pytest.raises(ValueError, match="lstm_variant: cell_clip is 0, expected a positive number or None"):
        ops.lstm_variant(x, h0, c0, *plain, cell_clip=0)
    with pytest.raises(ValueError, match=r"lstm_variant: zoneout_h has shape \(1, 3, 2, 4\).*expects \(1, 3, 2, 3\)"):
        ops.lstm_variant(x, h0, c0, *plain, zoneout_h=np.zeros((1, 3, 2, 4)))
    with pytest.raises(ValueError, match=r"lstm_variant: zoneout_c is 1.5, expected a part from 0 to 1"):
        ops.lstm_variant(x, h0, c0, *plain, zoneout_c=1.5)
    with pytest.raises(ValueError, match=r"lstm_variant: drop has shape \(\).*expects \(1, 3, 2, 4\)"):
        ops.lstm_variant(x, h0, c0, *plain, drop=0.5)
    with pytest.raises(TypeError, match="lstm_variant: weight_hr has dtype complex128"):
        ops.lstm_variant(x, h0, c0, *plain[:4], np.zeros((3, 4), complex))
    with pytest.raises(TypeError, match="lstm_variant: weight_hh is None"):
        ops.lstm_variant(x, h0, c0, plain[0], None)

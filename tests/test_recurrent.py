"""The ops rnn, lstm and gru, one layer each, and their cells."""

import numpy as np
import pytest
import reference
from check import check_op, rel_error

import fastnn as fnn
from fastnn import ops

OPS = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}  # gates, states

# T, N, I, H, directions, bias, initial states
SHAPES = {
    "one": (1, 1, 3, 1, 1, True, True),
    "tails": (3, 2, 4, 5, 1, True, False),
    "exact_vectors": (5, 7, 6, 16, 2, False, True),
    "one_more": (2, 13, 3, 17, 1, True, True),
    "both_directions": (4, 7, 1, 33, 2, True, False),
    "one_row": (2, 1, 3, 40, 1, False, True),
    "several_tasks": (4, 60, 3, 33, 1, True, True),
    "one_feature": (2, 1, 1, 3, 1, True, True),
}


def arguments(rng, name, steps, samples, inputs, hidden, directions=1, bias=True, initial=True):
    gates, states = OPS[name]
    arrays = [rng.standard_normal((steps, samples, inputs))]
    arrays += [rng.standard_normal((directions, samples, hidden)) if initial else None for _ in range(states)]
    for _ in range(directions):
        arrays.append(rng.standard_normal((gates * hidden, inputs)) / inputs**0.5)
        arrays.append(rng.standard_normal((gates * hidden, hidden)) / hidden**0.5)
        arrays += [rng.standard_normal(gates * hidden) if bias else None for _ in range(2)]
    return [None if a is None else a.astype(np.float32) for a in arrays]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", OPS)
def test_layer(isa, rng, name, shape):
    check_op(getattr(ops, name), getattr(reference, name), *arguments(rng, name, *shape), probes=12)


@pytest.mark.parametrize("directions", [1, 2])
def test_relu(isa, rng, directions):
    check_op(ops.rnn, reference.rnn, *arguments(rng, "rnn", 4, 5, 3, 20, directions), nonlinearity="relu", probes=12)


@pytest.mark.parametrize(("bias_ih", "bias_hh"), [(True, False), (False, True)])
@pytest.mark.parametrize("name", OPS)
def test_one_bias(rng, name, bias_ih, bias_hh):
    arrays = arguments(rng, name, 2, 3, 4, 5)
    arrays[-2:] = [arrays[-2] if bias_ih else None, arrays[-1] if bias_hh else None]
    check_op(getattr(ops, name), getattr(reference, name), *arrays)


def test_integer_exact(isa, rng):
    """Small integers through relu: every order of addition gives the same sum."""
    for hidden in (1, 3, 16, 31, 50, 130):
        for samples in (1, 2, 3, 4, 5, 13):
            x, h0 = rng.integers(-2, 3, (3, samples, 4)), rng.integers(-2, 3, (2, samples, hidden))
            weights = [rng.integers(-1, 2, s) for _ in "fb" for s in [(hidden, 4), (hidden, hidden), hidden, hidden]]
            arrays = [fnn.Tensor(a, requires_grad=True) for a in (x, h0, *weights)]
            y, h_n = ops.rnn(*arrays, nonlinearity="relu")
            want, want_h = reference.rnn(x, h0, *weights, nonlinearity="relu")
            assert np.abs(want).max() < 2**20
            assert np.array_equal(y.numpy(), want)
            assert np.array_equal(h_n.numpy(), want_h)


def test_integer_exact_gradients(isa, rng):
    """With positive weights and input relu passes everything, so the layer is linear and its gradients are integers."""
    for hidden, samples in ((1, 1), (5, 2), (17, 7), (40, 13)):
        x, w, u = (rng.integers(0, 3, s) for s in [(3, samples, 4), (hidden, 4), (hidden, hidden)])
        arrays = [fnn.Tensor(a, requires_grad=True) for a in (x, w, u)]
        y, _ = ops.rnn(arrays[0], None, *arrays[1:], np.ones(hidden), nonlinearity="relu")
        dy = rng.integers(-2, 3, y.shape)
        y.backward(dy)
        dz = np.zeros_like(dy)
        for t in (2, 1, 0):
            dz[t] = dy[t] + (dz[t + 1] @ u if t < 2 else 0)
        h = y.numpy().astype(np.int64)
        assert np.array_equal(arrays[0].grad, dz @ w)
        assert np.array_equal(arrays[1].grad, np.einsum("tnh,tni->hi", dz, x))
        assert np.array_equal(arrays[2].grad, np.einsum("tnh,tng->hg", dz[1:], h[:-1]))


@pytest.mark.parametrize("name", OPS)
def test_samples_do_not_depend_on_the_batch(isa, rng, name):
    x, *rest = arguments(rng, name, 4, 33, 7, 70, 2, initial=False)
    whole = getattr(ops, name)(x, *rest)
    for n in (1, 2, 5, 13, 32):
        for part, all_of_it in zip(getattr(ops, name)(x[:, :n], *rest), whole, strict=True):
            assert np.array_equal(part, all_of_it[:, :n])


@pytest.mark.parametrize("name", OPS)
def test_threads_do_not_change_a_bit(isa, rng, name):
    arrays = arguments(rng, name, 8, 50, 20, 90)  # several tasks in every kernel
    dy = rng.standard_normal((8, 50, 90))

    def run(n):
        tensors = [fnn.Tensor(a, requires_grad=True) for a in arrays]
        with fnn.threads(n):
            y = getattr(ops, name)(*tensors)[0]
            y.backward(dy)
        return [y.numpy(), *(t.grad for t in tensors)]

    first = run(1)
    for n in (2, 3, 5):
        assert all(np.array_equal(one, other) for one, other in zip(first, run(n), strict=True))


@pytest.mark.parametrize("steps", [1, 9])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("name", OPS)
def test_shared_units_do_not_change_a_bit(isa, rng, name, samples, steps):
    """So few samples that threads share out hidden units: each gives the bits that it gives in a large batch."""
    arrays = arguments(rng, name, steps, 7, 20, 210, 2)
    dy = rng.standard_normal((steps, 7, 420)).astype(np.float32)
    states = OPS[name][1]

    def run(n, samples):
        few = [a[:, :samples] if i <= states else a for i, a in enumerate(arrays)]
        tensors = [fnn.Tensor(a, requires_grad=True) for a in few]
        with fnn.threads(n):
            y = getattr(ops, name)(*tensors)[0]
            y.backward(dy[:, :samples])
        return [y.numpy(), *(t.grad for t in tensors)]

    first, many = run(1, samples), run(1, 7)
    for one, other in zip(first[: 2 + states], many[: 2 + states], strict=True):
        assert np.array_equal(one, other[:, :samples])
    for n in (2, 3, 4, 8):
        assert all(np.array_equal(one, other) for one, other in zip(first, run(n, samples), strict=True))


@pytest.mark.parametrize("name", OPS)
def test_subnormal_numbers_count_as_zero(isa, rng, name):
    """Of input, state and gradient, on every thread; afterwards they are numbers again."""
    arrays = arguments(rng, name, 4, 40, 20, 90)
    for array in (arrays[0], arrays[1]):
        array[:, 1:] *= 1e-40
    zeros = [a.copy() for a in arrays]
    zeros[0][:, 1:], zeros[1][:, 1:] = 0, 0
    dy = np.full((4, 40, 90), 1e-40, np.float32)

    def run(given, dy):
        tensors = [fnn.Tensor(a, requires_grad=True) for a in given]
        y = getattr(ops, name)(*tensors)[0]
        y.backward(dy)
        return [y.numpy(), *(t.grad for t in tensors)]

    for n in (1, 3):
        with fnn.threads(n):
            for one, other in zip(run(arrays, dy), run(zeros, 0 * dy), strict=True):
                assert np.array_equal(one, other)
            tiny = np.full(100_000, 1e-40, np.float32)
            assert np.array_equal(ops.relu(tiny), tiny)
            assert np.float32(1e-40) * np.float32(0.5) > 0


@pytest.mark.parametrize("name", OPS)
def test_recording_does_not_change_the_output(isa, rng, name):
    arrays = arguments(rng, name, 4, 9, 7, 20, 2)
    recorded = getattr(ops, name)(*[fnn.Tensor(a, requires_grad=True) for a in arrays])
    for one, other in zip(getattr(ops, name)(*arrays), recorded, strict=True):
        assert np.array_equal(one, other.numpy())


@pytest.mark.parametrize("name", OPS)
def test_gradient_through_each_output_alone(isa, rng, name):
    """The gradient is linear in what arrives: through y, h_n and c_n alone it adds up to the gradient through all."""
    arrays = arguments(rng, name, 3, 5, 4, 20, 2)

    def gradients(which, cotangents):
        tensors = [fnn.Tensor(a, requires_grad=True) for a in arrays]
        for i in which:
            getattr(ops, name)(*tensors)[i].backward(cotangents[i])
        return [t.grad for t in tensors]

    outputs = getattr(ops, name)(*arrays)
    cotangents = [rng.standard_normal(o.shape).astype(np.float32) for o in outputs]
    summed = gradients(range(len(outputs)), cotangents)
    last = np.zeros_like(cotangents[0])  # h_n is y where each direction ends
    last[-1, :, :20], last[0, :, 20:] = cotangents[1]
    for one, other in zip(gradients([1], cotangents), gradients([0], [last]), strict=True):
        assert np.array_equal(one, other)
    cotangents[0] += last
    without_h = [i for i in range(len(outputs)) if i != 1]
    for one, other in zip(summed, gradients(without_h, cotangents), strict=True):
        assert rel_error(one, other) < 1e-5


@pytest.mark.parametrize("name", OPS)
def test_strides_do_not_matter(rng, name):
    arrays = arguments(rng, name, 3, 4, 5, 6, 2)
    turned = [np.asfortranarray(a) for a in arrays]
    turned[0] = arrays[0].transpose(1, 0, 2).copy().transpose(1, 0, 2)
    for one, other in zip(getattr(ops, name)(*arrays), getattr(ops, name)(*turned), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", OPS)
def test_no_samples(isa, rng, name):
    tensors = [fnn.Tensor(a, requires_grad=True) for a in arguments(rng, name, 3, 0, 4, 5, 2)]
    y, *states = getattr(ops, name)(*tensors)
    assert y.shape == (3, 0, 10)
    assert all(state.shape == (2, 0, 5) for state in states)
    y.backward(np.zeros(y.shape))
    for tensor in tensors:
        assert tensor.grad.shape == tensor.shape
        assert not tensor.grad.any()


@pytest.mark.parametrize("name", OPS)
def test_long_sequence_stays_bounded(isa, rng, name):
    x, *rest = arguments(rng, name, 10_000, 2, 3, 8, initial=False)
    y, h = getattr(ops, name)(50 * x, *[None if a is None else 3 * a for a in rest])[:2]
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 1
    assert np.array_equal(h[0], y[-1])


@pytest.mark.parametrize("name", OPS)
def test_nan_and_infinity_stay_in_their_sample(isa, rng, name):
    arrays = arguments(rng, name, 3, 5, 4, 6, initial=False)
    clean = getattr(ops, name)(*arrays)[0]
    arrays[0][0, 1, 2], arrays[0][0, 3, 0] = np.nan, np.inf
    y = getattr(ops, name)(*arrays)[0]
    assert np.isnan(y[:, 1]).all()
    assert np.array_equal(y[:, [0, 2, 4]], clean[:, [0, 2, 4]])
    assert np.isfinite(y[0, 3]).all()  # infinity saturates the gates


@pytest.mark.parametrize("batch", [(4,), ()], ids=["batch", "one"])
@pytest.mark.parametrize("name", OPS)
def test_cell(isa, rng, name, batch):
    x, *arrays = arguments(rng, name, 1, 4, 3, 10)
    number = OPS[name][1]
    states = [s[0] if batch else s[0, 0] for s in arrays[:number]]

    def expected(x, *arrays):
        lead = (None,) * (3 - x.ndim)
        out = getattr(reference, name)(x[lead], *[s[lead] for s in arrays[:number]], *arrays[number:])[1:]
        out = [state[(0,) * len(lead)] for state in out]
        return tuple(out) if number > 1 else out[0]

    check_op(getattr(ops, f"{name}_cell"), expected, x[0] if batch else x[0, 0], *states, *arrays[number:])


def test_errors(rng):
    x, h0, c0, *weights = arguments(rng, "lstm", 3, 2, 5, 4)
    with pytest.raises(ValueError, match=r"lstm: x has shape \(3, 2\).*3 dimensions \(T, N, input_size\)"):
        ops.lstm(x[:, :, 0], h0, c0, *weights)
    with pytest.raises(ValueError, match=r"lstm: x has shape \(0, 2, 5\), expected at least one time step"):
        ops.lstm(x[:0], h0, c0, *weights)
    with pytest.raises(ValueError, match=r"lstm: h0 has shape \(2, 4\).*\(1, 2, 4\)"):
        ops.lstm(x, h0[0], c0, *weights)
    with pytest.raises(ValueError, match=r"lstm: c0 has shape \(1, 2, 3\).*\(1, 2, 4\)"):
        ops.lstm(x, h0, c0[:, :, :3], *weights)
    with pytest.raises(ValueError, match=r"lstm: weight_ih has shape \(16, 5\).*6 features"):
        ops.lstm(np.zeros((3, 2, 6)), h0, c0, *weights)
    with pytest.raises(ValueError, match=r"gru: weight_hh has shape \(16, 4\), expected \(3 \* hidden_size"):
        ops.gru(x, h0, *weights)
    with pytest.raises(ValueError, match=r"lstm: bias_hh has shape \(3,\), but weight_hh \(16, 4\) expects \(16,\)"):
        ops.lstm(x, h0, c0, *weights[:3], np.zeros(3))
    with pytest.raises(TypeError, match="lstm: weight_hh_reverse is None"):
        ops.lstm(x, None, None, *weights, weights[0])
    with pytest.raises(ValueError, match="weight_hh_reverse"):
        ops.lstm(x, None, None, *weights, np.zeros((8, 5)), np.zeros((8, 2)))
    with pytest.raises(ValueError, match="rnn: nonlinearity is 'sigmoid', expected 'tanh' or 'relu'"):
        ops.rnn(x, None, np.zeros((4, 5)), np.zeros((4, 4)), nonlinearity="sigmoid")
    with pytest.raises(TypeError, match="lstm: h0 has dtype complex128"):
        ops.lstm(x, h0.astype(complex), c0, *weights)
    with pytest.raises(TypeError, match="lstm: x has dtype <U1"):
        ops.lstm(np.full((3, 2, 5), "a"), h0, c0, *weights)


@pytest.mark.parametrize("shape", [(), (4,), (2, 2, 4), (3, 4), (2, 3), (0, 4), (2, 0)])
def test_cells_refuse_states_of_another_shape(rng, shape):
    x, wrong = np.zeros((2, 5)), np.zeros(shape)
    for name, (gates, _) in OPS.items():
        weights = [np.zeros((gates * 4, 5)), np.zeros((gates * 4, 4))]
        cell = getattr(ops, f"{name}_cell")
        for states in [(wrong, np.zeros((2, 4))), (np.zeros((2, 4)), wrong)] if name == "lstm" else [(wrong,)]:
            with pytest.raises(ValueError, match=rf"{name}_cell: [hc] has shape .*\(2, 4\)"):
                cell(x, *states, *weights)
    with pytest.raises(ValueError, match=r"gru_cell: x has shape \(1, 2, 5\)"):
        ops.gru_cell(x[None], None, np.zeros((12, 5)), np.zeros((12, 4)))

"""Sequences of different lengths: rnn, lstm and gru on packed rows, and the layers with lengths= or lists."""

import numpy as np
import pytest
import reference
from check import check_op, rel_error
from test_recurrent import OPS, arguments

import fastnn as fnn
from fastnn import nn, ops
from fastnn.ragged import Packing

LENGTHS = [3, 7, 1, 7, 4, 1, 2]
LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def alone(name, x, rest, lengths):
    """The float64 reference, one sequence after the other; y packed."""
    packing = Packing(lengths)
    states = OPS[name][1]
    y, ends = [None] * len(lengths), [None] * len(lengths)
    for r, n in enumerate(packing.order):
        own = x[packing.sample == n][:, None]
        initial = [None if s is None else s[:, r : r + 1] for s in rest[:states]]
        y[n], *ends[n] = getattr(reference, name)(own, *initial, *rest[states:])
    packed = np.stack([y[n][t, 0] for n, t in zip(packing.sample, packing.time, strict=True)])
    last = [np.concatenate([ends[n][i] for n in packing.order], axis=1) for i in range(states)]
    return (packed, *last)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("initial", [True, False], ids=["initial", "zeros"])
@pytest.mark.parametrize("name", OPS)
def test_packed_rows(isa, rng, name, directions, initial):
    packing = Packing(LENGTHS)
    x, *rest = arguments(rng, name, 1, len(LENGTHS), 3, 18, directions, True, initial)
    x = rng.standard_normal((sum(LENGTHS), 3)).astype(np.float32)

    def expected(x, *rest, batch_sizes):
        return alone(name, x, rest, LENGTHS)

    check_op(getattr(ops, name), expected, x, *rest, batch_sizes=packing.batch_sizes, probes=12)


@pytest.mark.parametrize("hidden", [20, 150])  # samples shared out, and units
@pytest.mark.parametrize("samples", [3, 13])
@pytest.mark.parametrize("name", OPS)
def test_each_sequence_gives_the_bits_it_gives_alone(isa, rng, name, samples, hidden):
    layer = LAYERS[name](5, hidden, num_layers=2, bidirectional=True)
    lengths = rng.integers(1, 30, samples)
    sequences = [rng.standard_normal((t, 5)).astype(np.float32) for t in lengths]
    padded = np.full((samples, lengths.max(), 5), 7, np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence

    def run(x, cotangents, lengths=None):
        leaf = fnn.Tensor(x, requires_grad=True)
        y, states = layer(leaf, lengths=lengths)
        y.backward(cotangents)
        return y.numpy(), leaf.grad, [s.numpy() for s in (states if name == "lstm" else (states,))]

    cotangents = rng.standard_normal((lengths.max(), samples, 2 * hidden)).astype(np.float32)
    y, dx, states = run(padded.transpose(1, 0, 2), cotangents, lengths)
    for n, sequence in enumerate(sequences):
        own_y, own_dx, own_states = run(sequence[:, None], cotangents[: len(sequence), n : n + 1])
        assert np.array_equal(y[: len(sequence), n], own_y[:, 0])
        assert np.array_equal(dx[: len(sequence), n], own_dx[:, 0])
        assert not y[len(sequence) :, n].any()
        assert not dx[len(sequence) :, n].any()
        for one, other in zip(states, own_states, strict=True):
            assert np.array_equal(one[:, n], other[:, 0])


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("name", OPS)
def test_lists_and_padding_agree(rng, name, batch_first):
    layer = LAYERS[name](4, 9, num_layers=2, batch_first=batch_first)
    sequences = [rng.standard_normal((t, 4)).astype(np.float32) for t in LENGTHS]
    padded = np.zeros((len(LENGTHS), max(LENGTHS) + 2, 4), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    hx = rng.standard_normal((2, len(LENGTHS), 9)).astype(np.float32)
    hx = (hx, hx / 2) if name == "lstm" else hx
    y, states = layer(padded if batch_first else padded.transpose(1, 0, 2), hx, lengths=LENGTHS)
    parts, own_states = layer(sequences, hx)
    y = y if batch_first else ops.transpose(y, 0, 1)
    for row, part, sequence in zip(y.numpy(), parts, sequences, strict=True):
        assert np.array_equal(row[: len(sequence)], part.numpy())
    for one, other in zip(states, own_states, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("name", OPS)
def test_gradients_of_the_weights_are_the_sum_over_sequences(isa, rng, name):
    layer = LAYERS[name](4, 9, bidirectional=True)
    sequences = [rng.standard_normal((t, 4)).astype(np.float32) for t in LENGTHS]
    total = sum((ops.sum(part * part) for part in layer(sequences)[0]), start=0.0)
    total.backward()
    together = [p.grad for p in layer.parameters()]
    layer.zero_grad()
    for sequence in sequences:
        y = layer(sequence[:, None])[0]
        ops.sum(y * y).backward()
    for one, other in zip(together, (p.grad for p in layer.parameters()), strict=True):
        assert rel_error(one, other) < 1e-5


@pytest.mark.parametrize("name", OPS)
def test_threads_do_not_change_a_bit(isa, rng, name):
    lengths = rng.integers(1, 40, 50)
    packing = Packing(lengths)
    x, *rest = arguments(rng, name, 1, 50, 20, 70, 2)
    x = rng.standard_normal((lengths.sum(), 20)).astype(np.float32)
    dy = rng.standard_normal((lengths.sum(), 140)).astype(np.float32)

    def run(n):
        tensors = [None if a is None else fnn.Tensor(a, requires_grad=True) for a in (x, *rest)]
        with fnn.threads(n):
            y = getattr(ops, name)(*tensors, batch_sizes=packing.batch_sizes)[0]
            y.backward(dy)
        return [y.numpy(), *(t.grad for t in tensors if t is not None)]

    first = run(1)
    for n in (2, 3, 4, 8):
        assert all(np.array_equal(one, other) for one, other in zip(first, run(n), strict=True))


def test_rows(rng):
    index = rng.permutation(9)[:5]
    check_op(lambda x: ops.take_rows(x, index), lambda x: x[index], rng.standard_normal((9, 4)))

    def put(x):
        y = np.zeros((9, 4))
        y[index] = x
        return y

    check_op(lambda x: ops.put_rows(x, index, 9), put, rng.standard_normal((5, 4)))
    for wrong in ([-1], [9], [[0]]):
        with pytest.raises(ValueError, match=r"take_rows: index has shape .*\[0, 9\)"):
            ops.take_rows(np.zeros((9, 4)), wrong)
        with pytest.raises(ValueError, match=r"put_rows: index has shape .*\[0, 9\)"):
            ops.put_rows(np.zeros((1, 4)), wrong, 9)
    with pytest.raises(ValueError, match=r"put_rows: x has shape \(2, 4\) but index \(1,\)"):
        ops.put_rows(np.zeros((2, 4)), [0], 9)
    with pytest.raises(TypeError, match="take_rows: index has dtype float64"):
        ops.take_rows(np.zeros((9, 4)), [0.0])


def test_errors(rng):
    layer, x = nn.LSTM(3, 4), np.zeros((5, 2, 3))
    with pytest.raises(ValueError, match=r"LSTM: lengths \[5 6\] do not fit x \(5, 2, 3\): expected 2 .* at most 5"):
        layer(x, lengths=[5, 6])
    with pytest.raises(ValueError, match=r"LSTM: lengths \[5\] do not fit x"):
        layer(x, lengths=[5])
    for lengths in ([0, 5], [-1, 5], [], [[1, 2]]):
        with pytest.raises((ValueError, TypeError), match="LSTM: lengths"):
            layer(x, lengths=lengths)
    with pytest.raises(TypeError, match="LSTM: lengths has dtype float64, expected integers"):
        layer(x, lengths=[1.0, 2.0])
    with pytest.raises(ValueError, match="one sequence, but lengths are given"):
        layer(x[:, 0], lengths=[5])
    with pytest.raises(ValueError, match=r"LSTM: x\[1\] has shape \(2, 4\), expected \(T, 3\)"):
        layer([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match="list of sequences, which have their lengths"):
        layer([np.zeros((2, 3))], lengths=[2])
    with pytest.raises(ValueError, match=r"LSTM: x is empty, expected an array or a list of arrays \(T, 3\)"):
        layer([])
    weights = [np.zeros((16, 3)), np.zeros((16, 4))]
    for sizes in ([2, 2], [1, 2], [4], [3, 0], [-1, 4], [2**62, 2**62], []):
        with pytest.raises(ValueError, match="lstm: batch_sizes"):
            ops.lstm(np.zeros((3, 3)), None, None, *weights, batch_sizes=sizes or np.zeros(0, int))
    with pytest.raises(ValueError, match=r"lstm: x has shape \(3, 1, 3\), expected \(rows, input_size\)"):
        ops.lstm(np.zeros((3, 1, 3)), None, None, *weights, batch_sizes=[3])
    with pytest.raises(ValueError, match=r"lstm: h0 has shape \(1, 3, 4\).*\(1, 2, 4\)"):
        ops.lstm(np.zeros((3, 3)), np.zeros((1, 3, 4)), None, *weights, batch_sizes=[2, 1])

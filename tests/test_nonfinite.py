"""A NaN or an infinity in one sample of a batch changes no bit of another's results or gradients, and a row of a matrix
that has one spoils only what it is multiplied into."""

import numpy as np
import pytest
from cases import CASES, is_float, run
from reference.activation import FUNCTIONS
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import nn, ops

NONE: tuple[int | None, ...] = (None,)
# The batch axes of the arrays of a case and of its outputs, None where there is none (and for all arrays beyond these).
BATCH: dict[str, tuple[tuple[int | None, ...], tuple[int | None, ...]]] = {
    **dict.fromkeys(FUNCTIONS, ((0,), (0,))),
    **dict.fromkeys(LOSSES, ((0, 0), NONE)),
    "abs": ((0,), (0,)),
    "adaptive_avgpool1d": ((0,), (0,)),
    "adaptive_avgpool2d": ((0,), (0,)),
    "add": ((0,), (0,)),
    "amax": ((0,), (0,)),
    "amin": ((0,), (0,)),
    "avgpool1d": ((0,), (0,)),
    "avgpool2d": ((0,), (0,)),
    "batchnorm_fixed": ((0,), (0,)),
    "broadcast_to": ((0,), (0,)),
    "chunk": ((0,), (0, 0)),
    "clamp": ((0,), (0,)),
    "clone": ((0,), (0,)),
    "concatenate": ((0, 0), (0,)),
    "conv1d": ((0,), (0,)),
    "conv2d": ((0,), (0,)),
    "conv2d_depthwise": ((0,), (0,)),
    "conv_transpose1d": ((0,), (0,)),
    "conv_transpose2d": ((0,), (0,)),
    "conv_transpose2d_depthwise": ((0,), (0,)),
    "crf_loss": ((1,), (0,)),
    "crf_loss_mean": ((1,), NONE),
    "cross_entropy": ((0,), NONE),
    "cross_entropy_probabilities": ((0, 0), NONE),
    "cross_entropy_weight": ((0,), NONE),
    "ctc_loss": ((1,), (0,)),
    "ctc_loss_joined": ((1,), NONE),
    "div": ((0,), (0,)),
    "exp": ((0,), (0,)),
    "flatten": ((0,), (0,)),
    "flip": ((0,), (0,)),
    "gru": ((1, 1), (1, 1)),
    "gru_cell": ((0, 0), (0,)),
    "gru_variant": ((1, 1), (1, 1)),
    "index": ((0,), (0,)),
    "linear": ((0,), (0,)),
    "log": ((0,), (0,)),
    "log_softmax": ((0,), (0,)),
    "lstm": ((1, 1, 1), (1, 1, 1)),
    "lstm_both_ways": ((1, 1, 1), (1, 1, 1)),
    "lstm_cell": ((0, 0, 0), (0, 0)),
    "lstm_variant": ((1, 1, 1), (1, 1, 1)),
    "matmul": ((0,), (0,)),
    "max_at": ((0,), (0,)),
    "maximum": ((0, 0), (0,)),
    "maxpool1d": ((0,), (0,)),
    "maxpool2d": ((0,), (0,)),
    "mean": ((0,), (0,)),
    "min_at": ((0,), (0,)),
    "minimum": ((0, 0), (0,)),
    "mul": ((0,), (0,)),
    "neg": ((0,), (0,)),
    "pad": ((0,), (0,)),
    "permute": ((0,), (0,)),
    "pow": ((0,), (0,)),
    "put_rows": ((0,), NONE),
    "put_rows, sizes": ((0,), NONE),
    "remainder": ((0,), (0,)),
    "repeat": ((0,), (0,)),
    "reshape": ((0,), (0,)),
    "rnn": ((1, 1), (1, 1)),
    "rnn_cell": ((0, 0), (0,)),
    "softmax": ((0,), (0,)),
    "split": ((0,), (0, 0)),
    "sqrt": ((0,), (0,)),
    "squeeze": ((0,), (0,)),
    "stack": ((0, 0), (0,)),
    "std": ((0,), (0,)),
    "sub": ((0,), (0,)),
    "sum": ((1,), (0,)),
    "take_rows": ((0,), NONE),
    "to_float32": ((0,), (0,)),
    "transpose": ((0,), (0,)),
    "unbind": ((0,), (0, 0, 0, 0)),
    "unsqueeze": ((0,), (0,)),
    "var": ((0,), (0,)),
    "where": ((0, 0), (0,)),
}
MIXES = {"batchnorm"}  # statistics of the batch
WITHOUT = {"embedding", "maxpool2d_many_taps"}  # no floats with a batch, a batch of one
VALUES = (np.nan, np.inf, -np.inf, 1e38, 3e38)


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def test_every_op_is_asked():
    assert set(BATCH) | MIXES | WITHOUT == set(CASES)


@pytest.mark.parametrize("name", BATCH)
def test_other_samples_keep_their_bits(isa, rng, name):
    case, (inputs, outputs) = CASES[name], BATCH[name]
    arrays = case.arrays(rng)
    clean = run(case, arrays)
    floats = [i for i, a in enumerate(arrays) if is_float(a)]
    gradients = [inputs[i] if i < len(inputs) else None for i in floats]
    for i, axis in enumerate(inputs):
        for trial, value in enumerate(VALUES):
            changed = arrays[i].copy()
            sample = np.moveaxis(changed, axis, 0)[trial % changed.shape[axis]]
            sample[tuple(rng.integers(s) for s in sample.shape)] = value
            others = np.arange(changed.shape[axis]) != trial % changed.shape[axis]
            results = run(case, [*arrays[:i], changed, *arrays[i + 1 :]])
            for got, want, at in zip(results, clean, (*outputs, *gradients), strict=True):
                if at is not None:
                    assert np.array_equal(np.compress(others, got, at), np.compress(others, want, at))


def product_gradients(x, w, dy):
    a, b = fnn.Tensor(x, requires_grad=True), fnn.Tensor(w, requires_grad=True)
    y = ops.linear(a, b)
    y.backward(dy)
    return y.numpy(), a.grad, b.grad


@pytest.mark.parametrize("n", [1, 3, 7, 33])
@pytest.mark.parametrize(("c", "k"), [(1, 5), (7, 1), (17, 33), (64, 70)])
def test_linear(isa, rng, n, c, k):
    """A value in x reaches its row of y and its column of dw, one in w its column of y and of dx, one in dy its row of
    dx and of dw."""
    x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in ((n, c), (k, c), (n, k)))
    clean = product_gradients(x, w, dy)
    for value in VALUES[:3]:
        i, j, o = rng.integers(n), rng.integers(c), rng.integers(k)
        for which, place, reached in (
            (0, (i, j), ((i, slice(None)), None, (slice(None), j))),
            (1, (o, j), ((slice(None), o), (slice(None), j), None)),
            (2, (i, o), (None, (i, slice(None)), (o, slice(None)))),
        ):
            arrays = [x.copy(), w.copy(), dy.copy()]
            arrays[which][place] = value
            for got, want, key in zip(product_gradients(*arrays), clean, reached, strict=True):
                far = np.ones(want.shape, bool)
                if key is not None:
                    far[key] = False
                    assert not np.isfinite(got[~far]).any()
                assert np.array_equal(got[far], want[far])


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("hidden", [5, 17, 40])
def test_recurrent_layers(isa, rng, layer, hidden):
    """One sample of a batch of any size, at any step: the steps before it and the other samples are untouched."""
    model = layer(7, hidden)
    for n in (2, 5, 13):
        x = rng.standard_normal((6, n, 7)).astype(np.float32)
        clean = fnn.Tensor(x, requires_grad=True)
        want = model(clean)[0]
        want.backward(np.ones(want.shape))
        for value in VALUES[:3]:
            step, sample = rng.integers(6), rng.integers(n)
            bad = x.copy()
            bad[step, sample, rng.integers(7)] = value
            changed = fnn.Tensor(bad, requires_grad=True)
            got = model(changed)[0]
            got.backward(np.ones(got.shape))
            others = np.arange(n) != sample
            assert np.array_equal(got.data[:, others], want.data[:, others])
            assert np.array_equal(got.data[:step], want.data[:step])
            assert np.array_equal(changed.grad[:, others], clean.grad[:, others])


@pytest.mark.parametrize("width", [2, 5, 16, 33, 70])
def test_rows(isa, rng, width):
    """Rows of a softmax, of statistics, of a table and of its gradient."""
    x = rng.standard_normal((9, width)).astype(np.float32)
    for value in VALUES[:3]:
        row, bad = rng.integers(9), x.copy()
        bad[row, rng.integers(width)] = value
        others = np.arange(9) != row
        for op in (ops.softmax, ops.log_softmax):
            assert np.array_equal(op(bad, dim=-1)[others], op(x, dim=-1)[others])
        for op in (ops.mean, ops.var, ops.sum):
            assert np.array_equal(op(bad, axis=-1)[others], op(x, axis=-1)[others])
        ids = rng.integers(0, 9, (3, 40))
        y = ops.embedding(ids, bad)
        assert np.array_equal(y[ids != row], x[ids[ids != row]])
        table, numbers = fnn.Tensor(x, requires_grad=True), rng.permutation(9)
        ops.embedding(numbers, table).backward(bad)
        assert np.array_equal(table.grad[numbers[others]], x[others])
        assert np.array_equal(table.grad[numbers[row]], bad[row], equal_nan=True)

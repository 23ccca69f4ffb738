import itertools

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import _core, nn, ops

# T, classes, labels of each sample (the blank is class 0), frames of each sample
SHAPES = {
    "one": (1, 2, [[1]], [1]),
    "short": (4, 3, [[1, 2], [2]], [4, 3]),
    "repeats": (9, 4, [[1, 1, 1], [2, 2, 3], [3, 3, 3]], [9, 5, 7]),
    "only_repeats_fit": (5, 3, [[1, 1, 1], [1, 2, 1]], [5, 3]),
    "no_labels": (6, 3, [[], [1], []], [6, 6, 2]),
    "vector_of_labels": (20, 9, [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7], [8] * 4], [20, 17, 20]),
    "several_vectors": (60, 40, [list(range(1, 37)), [3] * 20, list(range(1, 17)), [1] * 15], [60, 55, 40, 60]),
}
REDUCTIONS = ("mean", "sum", "none")


def log_softmax(rng, *shape, scale=1.5):
    return reference.log_softmax(scale * rng.standard_normal(shape), dim=-1).astype(np.float32)


def example(rng, name):
    """log_probs (T, N, C), targets padded with what must not be read, input_lengths, target_lengths."""
    t, classes, labels, frames = SHAPES[name]
    targets = np.full((len(labels), max(1, *map(len, labels)) if len(labels) > 1 else 1), -7)
    for row, own in zip(targets, labels, strict=True):
        row[: len(own)] = own
    lengths = np.array([len(own) for own in labels])
    return log_softmax(rng, t, len(labels), classes), targets, np.array(frames), lengths


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_ctc_loss(isa, rng, name, reduction):
    check_op(ops.ctc_loss, reference.ctc_loss, *example(rng, name), differentiable=[0], rtol=1e-6, reduction=reduction)


def test_other_blank(isa, rng):
    x, targets, frames, lengths = example(rng, "repeats")
    check_op(
        ops.ctc_loss, reference.ctc_loss, x, np.maximum(targets - 1, 0), frames, lengths, differentiable=[0], blank=3
    )


def test_one_array_of_labels_and_one_sample(isa, rng):
    x, targets, frames, lengths = example(rng, "several_vectors")
    want = ops.ctc_loss(x, targets, frames, lengths, reduction="none")
    joined = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])
    assert np.array_equal(ops.ctc_loss(x, joined, frames, lengths, reduction="none"), want)
    for n in range(len(want)):
        one, own = fnn.Tensor(x[:, n], requires_grad=True), targets[n, : lengths[n]]
        loss = ops.ctc_loss(one, own, frames[n], lengths[n], reduction="none")
        assert loss.shape == ()
        assert loss.item() == want[n]
        loss.backward()
        assert one.grad.shape == x[:, n].shape
        assert ops.ctc_loss(x[:, n], own, [frames[n]], [lengths[n]], reduction="sum") == want[n]


def alignments(x, blank):
    """labels -> log of the probability of all alignments, by enumeration, in float64."""
    found = {}
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        labels = reference.ctc_collapse(path, blank)
        score = sum(float(x[t, c]) for t, c in enumerate(path))
        found[labels] = np.logaddexp(found.get(labels, -np.inf), score)
    return found


@pytest.mark.parametrize(("t", "classes", "blank"), [(1, 2, 0), (5, 3, 0), (6, 3, 2), (4, 5, 1)])
def test_every_alignment(isa, rng, t, classes, blank):
    """All labels that t frames can say, and their gradients: -P(class at frame | labels), by enumeration."""
    x = log_softmax(rng, t, classes)
    found = alignments(x, blank)
    targets = np.full((len(found), t), -1)
    for row, labels in zip(targets, found, strict=True):
        row[: len(labels)] = labels
    lengths = np.array([len(labels) for labels in found])
    tensor = fnn.Tensor(np.repeat(x[:, None], len(found), axis=1), requires_grad=True)
    loss = ops.ctc_loss(tensor, targets, np.full(len(found), t), lengths, blank, reduction="none")
    np.testing.assert_allclose(loss.numpy(), [-score for score in found.values()], rtol=2e-6, atol=1e-7)
    loss.backward(np.ones(len(found)))
    want = np.zeros(tensor.shape)
    for path in itertools.product(range(classes), repeat=t):
        n = list(found).index(reference.ctc_collapse(path, blank))
        share = np.exp(sum(float(x[i, c]) for i, c in enumerate(path)) - list(found.values())[n])
        want[np.arange(t), n, list(path)] -= share
    np.testing.assert_allclose(tensor.grad, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_long(isa, rng, scale):
    """500 frames: 1e-6 of float64, and the shares of the classes in a frame add up to one."""
    t, labels = 500, np.where(rng.random((2, 120)) < 0.3, 5, rng.integers(1, 20, (2, 120)))
    x, frames, lengths = log_softmax(rng, t, 2, 20, scale=scale), np.array([500, 431]), np.array([120, 75])
    options = {"differentiable": [0], "rtol": 1e-6, "probes": 4, "threads": (1, 2)}
    check_op(ops.ctc_loss, reference.ctc_loss, x, labels, frames, lengths, **options)
    tensor = fnn.Tensor(x, requires_grad=True)
    ops.ctc_loss(tensor, labels, frames, lengths, reduction="sum").backward()
    shares = -tensor.grad.numpy().sum(axis=2, dtype=np.float64)
    assert np.abs(shares[:, 0] - 1).max() < 1e-6
    assert np.abs(shares[:431, 1] - 1).max() < 1e-6
    assert not shares[431:, 1].any()


def test_small_losses_keep_their_digits(isa):
    """A sure network: 500 frames of log_probs -1e-7 are a loss of 5e-5, not of rounding."""
    x = np.full((500, 1, 3), -17.0, np.float32)
    x[:, 0, 0] = -1e-7
    x[7, 0] = -17.0, -1e-7, -17.0
    args = (x, np.array([[1]]), np.array([500]), np.array([1]))
    want = reference.ctc_loss(x.astype(np.float64), *args[1:])
    assert np.isclose(ops.ctc_loss(*args), want, rtol=1e-6)


def test_without_alignment(isa, rng):
    """More labels than frames, and repeats without a frame for the blank between them."""
    x = fnn.Tensor(log_softmax(rng, 4, 4, 3), requires_grad=True)
    args = (np.array([[1, 2, 1, 2, 1], [1, 1, 1, 2, 2], [1, 2, 2, 0, 0], [1, 1, 1, 1, 1]]), [4, 4, 4, 0], [5, 3, 3, 1])
    loss = ops.ctc_loss(x, *args, reduction="none")
    assert np.array_equal(np.isinf(loss), [True, True, False, True])
    loss.backward(np.ones(4))
    assert np.array_equal(np.isnan(x.grad).all(axis=(0, 2)), [True, True, False, False])
    assert np.isfinite(x.grad[:, 2:]).all()
    assert not x.grad[:, 3].any()  # no frame counts
    assert np.isinf(ops.ctc_loss(x, *args))
    x.grad = None
    zeroed = ops.ctc_loss(x, *args, reduction="none", zero_infinity=True)
    zeroed.backward(np.ones(4))
    assert zeroed.numpy().tolist() == [0, 0, loss.numpy()[2], 0]
    assert np.array_equal(x.grad.any(axis=(0, 2)), [False, False, True, False])
    assert ops.ctc_loss(x, *args, zero_infinity=True).item() == pytest.approx(loss.numpy()[2] / 12)


def test_no_frames(isa):
    x = fnn.Tensor(np.zeros((0, 2, 3)), requires_grad=True)
    loss = ops.ctc_loss(x, np.ones((2, 1), int), [0, 0], [0, 1], reduction="none")
    assert loss.numpy().tolist() == [0, np.inf]
    loss.backward(np.ones(2))
    assert x.grad.shape == (0, 2, 3)
    x = np.zeros((5, 2, 3))
    assert ops.ctc_loss(x, np.ones((2, 1), int), [0, 0], [0, 1], reduction="none").tolist() == [0, np.inf]


def test_no_samples():
    empty = (np.zeros((4, 0, 3)), np.zeros((0, 2), int), np.zeros(0, int), np.zeros(0, int))
    assert np.isnan(ops.ctc_loss(*empty))
    assert ops.ctc_loss(*empty, reduction="sum") == 0
    assert ops.ctc_loss(*empty, reduction="none").shape == (0,)
    assert ops.ctc_greedy_decode(empty[0])[0] == []
    assert ops.ctc_beam_decode(empty[0])[0] == []


def test_samples_do_not_depend_on_the_batch(isa, rng):
    x, targets, frames, lengths = example(rng, "several_vectors")
    x[2, 1] = np.nan

    def run(part):
        tensor = fnn.Tensor(x[:, part], requires_grad=True)
        loss = ops.ctc_loss(tensor, targets[part], frames[part], lengths[part], reduction="none")
        loss.backward(np.ones(loss.shape))
        return loss.numpy(), tensor.grad

    whole = run(slice(None))
    for part in (slice(1), slice(1, 3), slice(3), slice(1, None)):
        loss, grad = run(part)
        assert np.array_equal(loss, whole[0][part], equal_nan=True)
        assert np.array_equal(grad, whole[1][:, part], equal_nan=True)
    # Nor on what lies beyond its frames and labels.
    changed, padded = x.copy(), np.concatenate([targets, np.full((4, 30), 99)], axis=1)
    for n, t in enumerate(frames):
        changed[t:, n] = np.nan
    assert np.array_equal(ops.ctc_loss(changed, padded, frames, lengths, reduction="none"), whole[0], equal_nan=True)


def test_non_finite(isa):
    """NaN where it is read makes the loss NaN; -inf is a probability of zero; large numbers stay what they are."""
    x = np.log(np.full((3, 6, 3), 1 / 3, np.float32))
    x[1, 0, 1] = x[1, 1, 0] = np.nan  # a label, the blank
    x[1, 2, 2] = np.nan  # neither
    x[1, 3, 1] = -np.inf
    x[:, 4] = -np.inf
    x[:, 5] = np.finfo(np.float32).min
    tensor = fnn.Tensor(x, requires_grad=True)
    loss = ops.ctc_loss(tensor, np.ones((6, 1), int), [3] * 6, [1] * 6, reduction="none")
    loss.backward(np.ones(6))
    loss = loss.numpy()
    assert np.isnan(loss[:2]).all()
    assert np.isclose(loss[2], -np.log(6 / 27))
    assert np.isclose(loss[3], -np.log(2 / 27))
    assert np.array_equal(loss[4:], [np.inf, np.inf])  # the last: -3 times the lowest float
    assert np.isnan(tensor.grad[:, [0, 1, 4]]).all()
    assert np.isfinite(tensor.grad[:, [2, 3, 5]]).all()
    for value in (np.inf, 1e30, -1e30, 3e38):
        ops.ctc_loss(fnn.Tensor(np.full((3, 1, 2), value), requires_grad=True), [[1]], [3], [1]).backward()


def test_layer(rng):
    x, targets, frames, lengths = example(rng, "only_repeats_fit")
    layer = nn.CTCLoss(blank=0, reduction="sum", zero_infinity=True)
    assert layer(fnn.Tensor(x), targets, frames, lengths).item() == ops.ctc_loss(
        x, targets, frames, lengths, reduction="sum", zero_infinity=True
    )
    assert nn.functional.ctc_loss is fnn.losses.ctc_loss is ops.ctc_loss


def test_learns_to_read(rng):
    """Labels without times: a linear layer finds out which symbol means which label."""
    symbols = rng.integers(0, 4, (12, 24))
    x = np.eye(4, dtype=np.float32)[symbols]
    lengths = np.full(24, 6)
    targets = np.stack([1 + symbols[::2, n] for n in range(24)])
    x[1::2] = 0
    layer = nn.Sequential(nn.Linear(4, 5), nn.LogSoftmax(-1))
    optimizer = fnn.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(120):
        optimizer.zero_grad()
        loss = ops.ctc_loss(layer(x), targets, np.full(24, 12), lengths)
        loss.backward()
        optimizer.step()
    found, _ = ops.ctc_beam_decode(layer(x))
    assert all(np.array_equal(a, b) for a, b in zip(found, targets, strict=True))


ONES = np.ones((2, 2), int)
X = np.zeros((4, 2, 3), np.float32)
ERRORS = [
    ((np.zeros(3), ONES, [3, 3], [2, 2]), ValueError, r"log_probs has shape \(3,\), expected \(T, N, C\) or \(T, C\)"),
    ((np.zeros((4, 2, 3), complex), ONES, [3, 3], [2, 2]), TypeError, "log_probs has dtype complex128"),
    ((X, ONES.astype(float), [3, 3], [2, 2]), TypeError, "targets has dtype float64, expected integers"),
    ((X, np.ones((3, 2), int), [3, 3], [2, 2]), ValueError, r"targets has shape \(3, 2\) but log_probs \(4, 2, 3\)"),
    ((X, np.ones((2, 2, 1), int), [3, 3], [2, 2]), ValueError, r"targets has shape \(2, 2, 1\), expected \(N, S\)"),
    ((X, ONES, [3.0, 3.0], [2, 2]), TypeError, "input_lengths has dtype float64"),
    ((X, ONES, [3, 3, 3], [2, 2]), ValueError, r"input_lengths has shape \(3,\), expected \(2,\)"),
    ((X, ONES, 3, [2, 2]), ValueError, r"input_lengths has shape \(\), expected \(2,\)"),
    (
        (X, ONES, [3, 5], [2, 2]),
        ValueError,
        r"input_lengths\[1\] is 5, expected 0 to 4, the frames of log_probs \(4, 2",
    ),
    ((X, ONES, [-1, 4], [2, 2]), ValueError, r"input_lengths\[0\] is -1"),
    (
        (X, ONES, [3, 3], [2, 3]),
        ValueError,
        r"target_lengths\[1\] is 3, expected 0 to 2, the columns of targets \(2, 2\)",
    ),
    ((X, ONES, [3, 3], [2, -(2**63)]), ValueError, r"target_lengths\[1\] is -9223372036854775808"),
    ((X, ONES[0], [3, 3], [2, 2]), ValueError, r"targets has shape \(2,\) but target_lengths add up to 4"),
    ((X, np.ones(5, int), [3, 3], [2, 2]), ValueError, r"targets has shape \(5,\) but target_lengths add up to 4"),
    ((X, ONES[0], [3, 3], [2**62, 2**62]), ValueError, r"target_lengths\[0\] is .* the size of targets \(2,\)"),
    ((X, np.array([[1, 2], [1, 3]]), [3, 3], [2, 2]), IndexError, "target 1 of sample 1 is 3, expected 0 to 2"),
    ((X, np.array([[1, -1], [1, 2]]), [3, 3], [2, 2]), IndexError, "target 1 of sample 0 is -1"),
    ((X, np.array([[1, 0], [1, 2]]), [3, 3], [2, 2]), ValueError, "target 1 of sample 0 is 0, the blank"),
    ((X, ONES, [3, 3], [2, 2], 3), ValueError, r"blank is 3 but log_probs \(4, 2, 3\) has 3 classes"),
    ((X, ONES, [3, 3], [2, 2], -1), ValueError, "blank is -1"),
    ((X, ONES, [3, 3], [2, 2], 1.0), TypeError, r"blank is 1\.0, expected an integer"),
    ((X, ONES, [3, 3], [2, 2], 0, "average"), ValueError, "reduction is 'average'"),
]


@pytest.mark.parametrize(("args", "kind", "message"), ERRORS)
def test_errors(args, kind, message):
    with pytest.raises(kind, match=f"ctc_loss: {message}"):
        ops.ctc_loss(*args)


def test_errors_of_one_sample():
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"ctc_loss: targets has shape \(1, 2\), expected \(S\)"):
        ops.ctc_loss(x, [[1, 2]], 4, 2)
    with pytest.raises(ValueError, match=r"ctc_loss: target_lengths\[0\] is 3"):
        ops.ctc_loss(x, [1, 2], 4, 3)
    with pytest.raises(ValueError, match=r"ctc_loss: log_probs has shape"):
        ops.ctc_loss(x[None, None], [1, 2], 4, 3)
    with pytest.raises(TypeError, match="CTCLoss: blank is '0'"):
        nn.CTCLoss("0")
    with pytest.raises(ValueError, match="CTCLoss: reduction is 'avg'"):
        nn.CTCLoss(reduction="avg")
    with pytest.raises(ValueError, match=r"ctc_loss: targets has shape \(2,\) but target_lengths add up to 1"):
        ops.ctc_loss(x, [1, 2], 4, 1)
    one, weights = np.ones(1, np.int64), np.ones(1, np.float32)
    with pytest.raises(ValueError, match=r"ctc_loss: target_lengths\[0\] is more than targets \(2,\) hold"):
        _core.ctc_loss(x[:, None], np.ones(2, np.int64), one, one, 2 * one, weights, 0, False, True)

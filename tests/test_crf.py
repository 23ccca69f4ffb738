import itertools

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import ops

# T, N, K, lengths
SHAPES = {
    "one": (1, 1, 2, [1]),
    "one_step": (1, 3, 4, None),
    "pairs": (2, 2, 3, None),
    "ragged": (7, 5, 5, [7, 1, 3, 7, 2]),
    "vector_of_tags": (5, 3, 8, [5, 4, 5]),
    "several_vectors": (6, 2, 35, [6, 4]),
    "more_samples_than_copies": (3, 70, 3, None),
}
REDUCTIONS = ("mean", "sum", "none")


def example(rng, name):
    """emissions, tags (with nonsense where they must not be read), transitions, start, end, lengths."""
    t, n, k, lengths = SHAPES[name]
    tags = rng.integers(0, k, (t, n))
    if lengths is not None:
        lengths = np.array(lengths)
        tags[np.arange(t)[:, None] >= lengths] = -99
    shapes = ((t, n, k), (k, k), (k,), (k,))
    emissions, *rest = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    return emissions, tags, *rest, lengths


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_crf_loss(isa, rng, name, reduction):
    arrays = example(rng, name)
    transitions = [2] if arrays[0].shape[0] > 1 else []  # one step: no pairs
    check_op(
        ops.crf_loss,
        reference.crf_loss,
        *arrays,
        differentiable=[0, *transitions, 3, 4],
        rtol=1e-6,
        reduction=reduction,
    )


@pytest.mark.parametrize("differentiable", [[0], [2], [3], [4], [0, 4]], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_only_some_gradients(isa, rng, differentiable, reduction):
    arrays = example(rng, "ragged")
    check_op(ops.crf_loss, reference.crf_loss, *arrays, differentiable=differentiable, rtol=1e-6, reduction=reduction)


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
def test_long(isa, rng, scale):
    x, pairs = scale * rng.standard_normal((300, 2, 5)), scale * rng.standard_normal((5, 5))
    arrays = (x, rng.integers(0, 5, (300, 2)), pairs, pairs[0], pairs[1], np.array([300, 211]))
    check_op(ops.crf_loss, reference.crf_loss, *arrays, probes=4, threads=(1, 2), rtol=1e-6)


def test_large_scores(isa, rng):
    """One chain outweighs all others by more than any float holds: the loss is the distance to it."""
    x, pairs = 1e4 * rng.standard_normal((300, 2, 5)), 1e4 * rng.standard_normal((7, 5))
    tags, arrays = rng.integers(0, 5, (300, 2)), [x.astype(np.float32), *np.split(pairs.astype(np.float32), [5])]
    best, scores = ops.crf_decode(*arrays[:2], *arrays[2])
    tensor = fnn.Tensor(arrays[0], requires_grad=True)
    loss = ops.crf_loss(tensor, tags, arrays[1], *arrays[2], reduction="none")
    loss.backward(np.ones(2))
    exact = [a.astype(np.float64) for a in (arrays[1], *arrays[2])]
    own = [reference.crf_score(arrays[0][:, n].astype(np.float64), tags[:, n], *exact) for n in range(2)]
    np.testing.assert_allclose(loss.numpy(), scores - own, rtol=1e-6)
    np.testing.assert_allclose(tensor.grad, np.eye(5)[np.array(best).T] - np.eye(5)[tags], atol=1e-6)


def chains(t, k):
    return [np.array(chain) for chain in itertools.product(range(k), repeat=t)]


@pytest.mark.parametrize(("t", "k"), [(1, 3), (4, 2), (5, 3), (3, 9)])
def test_every_chain(isa, rng, t, k):
    """Loss, gradients and the best chain, by enumeration."""
    x, pairs, start, end = (rng.standard_normal(s).astype(np.float32) for s in ((t, 1, k), (k, k), (k,), (k,)))
    tags = rng.integers(0, k, (t, 1))
    exact = [a.astype(np.float64) for a in (pairs, start, end)]
    scores = np.array([reference.crf_score(x[:, 0].astype(np.float64), chain, *exact) for chain in chains(t, k)])
    log_z = np.logaddexp.reduce(scores)
    tensors = [fnn.Tensor(a, requires_grad=True) for a in (x, pairs, start, end)]
    loss = ops.crf_loss(tensors[0], tags, *tensors[1:])
    loss.backward()
    own = reference.crf_score(x[:, 0].astype(np.float64), tags[:, 0], *exact)
    assert np.isclose(loss.item(), log_z - own, rtol=1e-6)
    want = [np.zeros(a.shape) for a in (x[:, 0], pairs, start, end)]
    for chain, share in [*zip(chains(t, k), np.exp(scores - log_z), strict=True), (tags[:, 0], -1.0)]:
        want[0][np.arange(t), chain] += share
        np.add.at(want[1], (chain[:-1], chain[1:]), share)
        want[2][chain[0]] += share
        want[3][chain[-1]] += share
    for tensor, expected in zip(tensors, want, strict=True):
        np.testing.assert_allclose(tensor.grad.reshape(expected.shape), expected, rtol=1e-6, atol=1e-7)
    best, score = ops.crf_decode(x, pairs, start, end)
    assert np.array_equal(best[0], chains(t, k)[scores.argmax()])
    assert np.isclose(score[0], scores.max(), rtol=1e-6)


@pytest.mark.parametrize("k", [2, 3, 17])
def test_equal_chains(isa, rng, k):
    """Integer scores, exact: of the best chains the one with the smallest last tag, then the one before it, ..."""
    t = 3 if k > 3 else 6
    for _ in range(10):
        x, pairs, start, end = (rng.integers(-1, 2, s) for s in ((t, 1, k), (k, k), (k,), (k,)))
        all_chains = chains(t, k)
        scores = np.array([reference.crf_score(x[:, 0], chain, pairs, start, end) for chain in all_chains])
        best = [chain for chain, score in zip(all_chains, scores, strict=True) if score == scores.max()]
        found, score = ops.crf_decode(x, pairs, start, end)
        assert score[0] == scores.max()
        assert found[0].tolist() == min(chain[::-1].tolist() for chain in best)[::-1]
    zeros = ops.crf_decode(np.zeros((t, 2, k)), np.zeros((k, k)), np.zeros(k), np.zeros(k))[0]
    assert not np.any(zeros)


def test_samples_do_not_depend_on_the_batch(isa, rng):
    x, tags, pairs, start, end, lengths = example(rng, "ragged")
    x[1, 2] = np.nan

    def run(part, x=x, tags=tags):
        tensor = fnn.Tensor(x[:, part], requires_grad=True)
        loss = ops.crf_loss(tensor, tags[:, part], pairs, start, end, lengths[part], reduction="none")
        loss.backward(np.ones(loss.shape))
        found, scores = ops.crf_decode(x[:, part], pairs, start, end, lengths[part])
        return loss.numpy(), tensor.grad, found, scores

    whole = run(slice(None))
    assert np.isnan(whole[0]).tolist() == [False, False, True, False, False]
    for n in range(5):
        loss, grad, found, scores = run(slice(n, n + 1))
        assert np.array_equal(loss, whole[0][n : n + 1], equal_nan=True)
        assert np.array_equal(grad, whole[1][:, n : n + 1], equal_nan=True)
        assert np.array_equal(found[0], whole[2][n])
        assert scores[0] == whole[3][n]
        assert found[0].shape == (lengths[n],)
        # Nor on what lies beyond its length, or on how much that is.
        t = lengths[n]
        cut = ops.crf_loss(x[:t, n : n + 1], tags[:t, n : n + 1], pairs, start, end, reduction="none")
        assert np.array_equal(cut, loss, equal_nan=True)
        assert not grad[t:].any()


def test_threads_give_the_same_bits(isa, rng):
    arrays = (rng.standard_normal((9, 100, 6)), rng.integers(0, 6, (9, 100)), *rng.standard_normal((2, 6, 6)))
    lengths, want = rng.integers(1, 10, 100), None
    for n in (1, 2, 3, 5):
        with fnn.threads(n):
            tensors = [fnn.Tensor(a, requires_grad=True) for a in (arrays[0], arrays[2], arrays[3][0], arrays[3][1])]
            loss = ops.crf_loss(tensors[0], arrays[1], *tensors[1:], lengths)
            loss.backward()
            found, scores = ops.crf_decode(*tensors, lengths)
            bits = [loss.numpy(), *[t.grad.numpy() for t in tensors], np.concatenate(found), scores]
            want = want or [b.tobytes() for b in bits]
            assert [b.tobytes() for b in bits] == want


def test_small_gradients_keep_their_digits(isa):
    """A sure tagger: the gradient is 1e-6 of its terms."""
    x = np.zeros((3, 1, 2), np.float32)
    x[:, 0, 1] = -14
    args = (np.zeros((3, 1), int), np.zeros((2, 2)), np.zeros(2), np.zeros(2))
    check_op(ops.crf_loss, reference.crf_loss, x, *args, differentiable=[0], rtol=1e-5)
    tensor = fnn.Tensor(x, requires_grad=True)
    ops.crf_loss(tensor, *args).backward()
    share = 1 / (1 + np.exp(14.0))
    np.testing.assert_allclose(tensor.grad[:, 0], [[-share, share]] * 3, rtol=1e-6)


def test_forbidden_transitions(isa, rng):
    """-inf: no chain takes them; a chain that is given and does has no probability."""
    x, pairs, zeros = rng.standard_normal((4, 2, 3)), np.zeros((3, 3)), np.zeros(3)
    pairs[0, 1] = pairs[1, 0] = -np.inf
    tags = np.array([[0, 0], [2, 1], [1, 1], [1, 1]])
    tensors = [fnn.Tensor(a, requires_grad=True) for a in (x, pairs)]
    loss = ops.crf_loss(tensors[0], tags, tensors[1], zeros, zeros, reduction="none")
    loss.backward(np.array([1.0, 0.0]))
    want = reference.crf_loss(x[:, :1], tags[:, :1], pairs, zeros, zeros)
    assert np.isclose(loss.numpy()[0], want, rtol=1e-6)
    assert loss.numpy()[1] == np.inf
    assert np.isfinite(tensors[0].grad[:, 0]).all()
    assert not tensors[1].grad[[0, 1], [1, 0]].any()
    for chain in ops.crf_decode(100 * rng.standard_normal((50, 9, 3)), pairs, zeros, zeros)[0]:
        assert not np.any(np.isin(3 * chain[:-1] + chain[1:], [1, 3]))
    never = np.full((3, 3), -np.inf)
    assert np.isnan(ops.crf_loss(x, tags, never, zeros, zeros))
    assert ops.crf_decode(x, never, zeros, zeros)[1].tolist() == [-np.inf, -np.inf]


def test_non_finite(isa):
    """NaN in what all share is NaN for all; no number crashes."""
    x, tags = np.zeros((3, 2, 3), np.float32), np.zeros((3, 2), int)
    for i, shape in enumerate(((3, 3), (3,), (3,))):
        shared = [np.zeros(s, np.float32) for s in ((3, 3), (3,), (3,))]
        shared[i][(0,) * len(shape)] = np.nan
        tensors = [fnn.Tensor(a, requires_grad=True) for a in (x, *shared)]
        loss = ops.crf_loss(tensors[0], tags, *tensors[1:], reduction="none")
        assert np.isnan(loss).all()
        loss.backward(np.ones(2))
        assert all(np.isnan(t.grad).all() for t in tensors)
        ops.crf_decode(x, *shared)
    for value in (np.inf, -np.inf, 3e38, -3e38, 1e30):
        tensor = fnn.Tensor(np.full((3, 2, 3), value), requires_grad=True)
        ops.crf_loss(tensor, tags, np.zeros((3, 3)), np.zeros(3), np.zeros(3)).backward()
        assert all(chain.shape == (3,) for chain in ops.crf_decode(tensor, np.zeros((3, 3)), x[0, 0], x[0, 0])[0])


def test_no_samples():
    x, tags, pairs, bound = np.zeros((3, 0, 2)), np.zeros((3, 0), int), np.zeros((2, 2)), np.zeros(2)
    tensors = [fnn.Tensor(a, requires_grad=True) for a in (x, pairs, bound)]
    loss = ops.crf_loss(tensors[0], tags, *tensors[1:], bound)
    assert np.isnan(loss.item())
    loss.backward()
    assert [t.grad.any() for t in tensors] == [False] * 3
    assert ops.crf_loss(x, tags, pairs, bound, bound, reduction="sum") == 0
    assert ops.crf_decode(x, pairs, bound, bound)[0] == []

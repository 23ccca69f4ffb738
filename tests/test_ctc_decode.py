import numpy as np
import pytest
import reference
from test_ctc import alignments, log_softmax

import fastnn as fnn
from fastnn import ops


@pytest.mark.parametrize("classes", [2, 5, 17, 40])
def test_greedy(isa, rng, classes):
    x = np.round(log_softmax(rng, 30, 6, classes), 1)  # some are equal: the first counts
    frames = np.array([30, 0, 1, 17, 30, 29])
    for blank in (0, classes - 1):
        labels, scores = ops.ctc_greedy_decode(x, frames, blank)
        for n, t in enumerate(frames):
            assert labels[n].dtype == np.int64
            assert tuple(labels[n]) == reference.ctc_collapse(x[:t, n].argmax(axis=1), blank)
            assert np.isclose(scores[n], x[:t, n].max(axis=1).sum(dtype=np.float64), rtol=1e-6)
    one = ops.ctc_greedy_decode(x[:, 3], 17)
    assert len(one[0]) == 1
    assert np.array_equal(one[0][0], ops.ctc_greedy_decode(x, frames)[0][3])
    assert np.array_equal(one[1], ops.ctc_greedy_decode(x, frames)[1][3:4])


@pytest.mark.parametrize(("t", "classes", "blank"), [(1, 2, 0), (6, 3, 0), (5, 4, 3), (7, 2, 1)])
def test_a_wide_beam_is_exact(rng, t, classes, blank):
    """It holds every prefix: all labels come out, in order, with the probabilities of all their alignments."""
    for _ in range(5):
        x = log_softmax(rng, t, classes)
        want = sorted(alignments(x, blank).items(), key=lambda item: -item[1])
        found, scores = ops.ctc_beam_decode(x, beam_width=2000, blank=blank, top=2000)
        assert [tuple(labels) for labels in found[0]] == [labels for labels, _ in want]
        np.testing.assert_allclose(scores[0, : len(want)], [score for _, score in want], rtol=1e-6)
        assert np.all(scores[0, len(want) :] == -np.inf)
        best, score = ops.ctc_beam_decode(x, beam_width=2000, blank=blank)
        assert tuple(best[0]) == want[0][0]
        assert score[0] == scores[0, 0]
        loss = ops.ctc_loss(x, best[0], t, len(best[0]), blank, reduction="none")
        assert np.isclose(-loss, score[0], rtol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_a_narrow_beam(rng, width):
    """No labels come out twice, and no score is above the exact one."""
    for _ in range(30):
        x = log_softmax(rng, 7, 3, scale=0.5)
        exact = alignments(x, 0)
        (found,), scores = ops.ctc_beam_decode(x, beam_width=width, top=width)
        labels = [tuple(one) for one in found]
        assert len(set(labels)) == len(labels) == width
        assert np.all(np.diff(scores[0]) <= 0)
        for one, score in zip(labels, scores[0], strict=True):
            assert score <= exact[one] + 1e-5


@pytest.mark.parametrize("width", [2, 3, 6])
def test_prefixes_that_return(rng, width):
    """A prefix may leave the beam, what extends it stay, and it come back: its extensions are not new ones then."""
    for scale in (1, 4):
        found, _ = ops.ctc_beam_decode(log_softmax(rng, 30, 400, 3, scale=scale), beam_width=width, top=width)
        assert all(len({tuple(labels) for labels in one}) == width for one in found)


def test_wider_is_better_on_average(rng):
    x = log_softmax(rng, 40, 30, 12)
    means = [ops.ctc_beam_decode(x, beam_width=width)[1].mean() for width in (1, 4, 16, 64)]
    assert means == sorted(means)
    assert means[3] > means[0]


def test_equal_scores(rng):
    """What was found earlier is first: the empty prefix, then by label."""
    (found,), scores = ops.ctc_beam_decode(np.log(np.full((1, 4), 0.25)), top=4)
    assert [tuple(one) for one in found] == [(), (1,), (2,), (3,)]
    assert np.all(scores == scores[0, 0])


def test_bits(rng):
    x, frames = log_softmax(rng, 25, 7, 9), np.array([25, 0, 25, 13, 1, 20, 24])
    x[3, 5] = np.nan
    want = None
    for n in (1, 2, 3):
        with fnn.threads(n):
            for decode in (ops.ctc_greedy_decode, ops.ctc_beam_decode):
                labels, scores = decode(x, frames)
                alone = [decode(x[:, i : i + 1], frames[i : i + 1]) for i in range(7)]
                assert all(np.array_equal(a, one[0][0]) for a, one in zip(labels, alone, strict=True))
                assert np.array_equal(scores, [one[1][0] for one in alone], equal_nan=True)
            labels, scores = ops.ctc_beam_decode(x, frames)
            bits = b"".join(one.tobytes() for one in labels) + scores.tobytes()
            want = want or bits
            assert bits == want


def test_non_finite(isa):
    x = np.zeros((3, 4, 3), np.float32)
    x[1, 0] = np.nan
    x[1, 1, 1] = np.nan
    x[:, 2] = -np.inf
    x[0, 3, 2] = np.inf
    labels, scores = ops.ctc_greedy_decode(x)
    assert [len(one) for one in labels] == [0, 0, 0, 1]
    assert np.isnan(scores[0])
    labels, scores = ops.ctc_beam_decode(x)
    assert labels[0].size == labels[2].size == 0  # nothing is possible
    assert scores[[0, 2]].tolist() == [-np.inf, -np.inf]
    assert np.isfinite(scores[1])


def test_no_frames():
    for decode in (ops.ctc_greedy_decode, ops.ctc_beam_decode):
        for args in ((np.zeros((0, 2, 3)),), (np.zeros((4, 2, 3)), [0, 0])):
            labels, scores = decode(*args)
            assert [one.size for one in labels] == [0, 0]
            assert scores.tolist() == [0, 0]


def test_tensors_and_types(rng):
    x = log_softmax(rng, 12, 2, 4)
    for decode in (ops.ctc_greedy_decode, ops.ctc_beam_decode):
        want = decode(x)
        for other in (fnn.Tensor(x, requires_grad=True), x.astype(np.float64), np.asfortranarray(x)):
            labels, scores = decode(other)
            assert all(np.array_equal(a, b) for a, b in zip(labels, want[0], strict=True))
            assert np.array_equal(scores, want[1])


def test_errors():
    x = np.zeros((4, 2, 3), np.float32)
    for decode, name in ((ops.ctc_greedy_decode, "ctc_greedy_decode"), (ops.ctc_beam_decode, "ctc_beam_decode")):
        with pytest.raises(ValueError, match=rf"{name}: log_probs has shape \(3,\)"):
            decode(x[0, 0])
        with pytest.raises(ValueError, match=rf"{name}: input_lengths\[1\] is 5, expected 0 to 4"):
            decode(x, [4, 5])
        with pytest.raises(ValueError, match=rf"{name}: blank is 3 but log_probs \(4, 2, 3\) has 3 classes"):
            decode(x, blank=3)
        with pytest.raises(ValueError, match=rf"{name}: blank is 0 but log_probs \(4, 2, 0\) has 0 classes"):
            decode(x[:, :, :0])
        with pytest.raises(TypeError, match=f"{name}: log_probs has dtype object"):
            decode(np.full((4, 2, 3), None))
    for width in (0, -1, 2**31, 2**63):
        with pytest.raises(ValueError, match="ctc_beam_decode: beam_width is"):
            ops.ctc_beam_decode(x, beam_width=width)
    with pytest.raises(TypeError, match=r"ctc_beam_decode: beam_width is 2\.5"):
        ops.ctc_beam_decode(x, beam_width=2.5)
    with pytest.raises(ValueError, match="ctc_beam_decode: top is 11 but beam_width is 10"):
        ops.ctc_beam_decode(x, top=11)
    with pytest.raises(ValueError, match="ctc_beam_decode: top is 0"):
        ops.ctc_beam_decode(x, top=0)

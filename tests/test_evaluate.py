"""Loss and metrics are means over what counted: the same for every batch size, and those of one plain computation."""

import math

import numpy as np
import pytest
from reference.pointwise_loss import LOSSES
from toys import one_thread, weights  # noqa: F401

import fastnn as fnn
from fastnn import losses, nn
from fastnn.metrics import METRICS

SIZES = (1, 2, 3, 5, 7, 12, 100)


def log_softmax(scores):
    s = np.asarray(scores, np.float64)
    return s - np.log(np.exp(s - s.max(-1, keepdims=True)).sum(-1, keepdims=True)) - s.max(-1, keepdims=True)


def plain(scores, target, weight=None, ignore=-100):
    """(weighted mean loss, mean loss, accuracy, summed loss) over the targets that count, classes last."""
    scores, target = np.float64(scores).reshape(-1, np.shape(scores)[-1]), np.reshape(target, -1)
    scores, target = scores[target != ignore], target[target != ignore]
    loss = -log_softmax(scores)[np.arange(len(target)), target]
    w = np.ones(len(target)) if weight is None else np.float64(weight)[target]
    return (w * loss).sum() / w.sum(), loss.mean(), (scores.argmax(-1) == target).mean(), (w * loss).sum()


def still(model):
    """An optimizer that changes nothing: training then measures the same as evaluation."""
    return fnn.optim.SGD(model.parameters(), lr=0)


@pytest.fixture
def uneven(rng):
    """Sequences of which some have no target that counts, some one, some all."""
    x, target = rng.standard_normal((12, 6, 3)), rng.integers(0, 4, (12, 6))
    for i, kept in enumerate([6, 0, 1, 3, 0, 0, 2, 6, 5, 0, 4, 1]):
        target[i, kept:] = -100
    return nn.Linear(3, 4), x, target


@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss(), nn.functional.cross_entropy])
def test_ignored_targets(uneven, loss):
    model, x, target = uneven
    want, _, accuracy, _ = plain(model.predict(x), target)
    for size in SIZES:
        got = fnn.evaluate(model, x, target, loss=loss, metrics=["accuracy", "perplexity"], batch_size=size)
        assert got["loss"] == pytest.approx(want, rel=1e-6)
        assert got["accuracy"] == pytest.approx(accuracy, rel=1e-12)
        assert got["perplexity"] == pytest.approx(math.exp(want), rel=1e-6)
        (row,) = fnn.fit(model, x, target, loss=loss, metrics=["accuracy", "perplexity"], batch_size=size,
                         optimizer=still(model), validation_data=(x, target))  # fmt: skip
        for prefix in ("", "val_"):
            assert {name: row[prefix + name] for name in got} == pytest.approx(got, rel=1e-6)


def test_class_weights_another_ignore_index_and_sums(uneven):
    model, x, target = uneven
    target = np.where(target < 0, 2, target)  # class 2 counts for nothing
    for weight in (None, [1.0, 0.25, 5.0, 3.0], [0.0, 1.0, 1.0, 0.0]):
        want, mean, accuracy, total = plain(model.predict(x), target, weight, ignore=2)
        for size in SIZES:
            loss = nn.CrossEntropyLoss(weight and np.float32(weight), ignore_index=2)
            got = fnn.evaluate(model, x, target, loss=loss, metrics=["accuracy", "perplexity"], batch_size=size)
            assert got["loss"] == pytest.approx(want, rel=1e-6)
            assert got["accuracy"] == pytest.approx(accuracy, rel=1e-12)
            assert got["perplexity"] == pytest.approx(math.exp(mean), rel=1e-6)
            loss = nn.CrossEntropyLoss(weight and np.float32(weight), ignore_index=2, reduction="sum")
            assert fnn.evaluate(model, x, target, loss=loss, batch_size=size)["loss"] == pytest.approx(total, rel=1e-6)


def test_a_batch_of_which_nothing_counts_makes_no_step(uneven):
    model, x, target = uneven
    target = np.where(np.arange(12)[:, None] % 2, -100, np.abs(target) % 4)
    adam = fnn.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    (row,) = fnn.fit(model, x, target, optimizer=adam, batch_size=1, metrics=["accuracy"])
    assert adam.steps == 6
    assert math.isfinite(row["loss"])
    assert np.isfinite(weights(model)).all()


@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss(ignore_index=1)])
def test_nothing_counts_at_all(rng, loss):
    model, x = nn.Linear(3, 4), rng.standard_normal((6, 3))
    nothing = np.full(6, 1 if isinstance(loss, nn.Module) else -100)
    before = weights(model)
    for call in (
        lambda: fnn.evaluate(model, x, nothing, loss=loss),
        lambda: fnn.fit(model, x, nothing, loss=loss, batch_size=2),
        lambda: fnn.fit(model, x, np.arange(6) % 3 + 1 - 1, loss=loss, validation_data=(x, nothing)),
    ):
        with pytest.raises(ValueError, match=r"nothing counts for loss .*: every target is ignore_index="):
            call()
    assert np.array_equal(weights(model), before)
    with pytest.raises(ValueError, match="nothing counts"):
        fnn.fit(model, x, np.zeros(6, int), loss=nn.CrossEntropyLoss(np.float32([0, 1, 1, 1])), batch_size=2)
    assert np.array_equal(weights(model), before)


FORMULAS = {name: row.formula for row in LOSSES.values() for name in (*row.short, row.name)}


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_for_every_batch_size(rng, name):
    model, x = nn.Linear(3, 4), rng.standard_normal((12, 3))
    target = rng.integers(0, 4, 12) if name == "cross_entropy" else rng.standard_normal((12, 4))
    whole = fnn.evaluate(model, x, target, loss=name, batch_size=12)["loss"]
    scores = np.float64(model.predict(x))
    want = plain(scores, target)[0] if name == "cross_entropy" else FORMULAS[name](scores, target).mean()
    assert whole == pytest.approx(want, rel=1e-6)
    for size in SIZES:
        assert fnn.evaluate(model, x, target, loss=name, batch_size=size)["loss"] == pytest.approx(want, rel=1e-6)
        (row,) = fnn.fit(model, x, target, loss=name, batch_size=size, optimizer=still(model))
        assert row["loss"] == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_for_every_batch_size(rng, name):
    model, x, classes = nn.Linear(3, 4), rng.standard_normal((12, 3)), name in ("accuracy", "perplexity")
    target = rng.integers(0, 4, 12) if classes else rng.standard_normal((12, 4))
    scores, loss = np.float64(model.predict(x)), "cross_entropy" if classes else "mse"
    want = {
        "accuracy": lambda: plain(scores, target)[2],
        "perplexity": lambda: math.exp(plain(scores, target)[1]),
        "mse": lambda: np.square(scores - target).mean(),
        "mae": lambda: np.abs(scores - target).mean(),
    }[name]()
    for size in SIZES:
        got = fnn.evaluate(model, x, target, loss=loss, metrics=[name], batch_size=size)
        assert got[name] == pytest.approx(want, rel=1e-6)
        (row,) = fnn.fit(model, x, target, loss=loss, metrics=[name], batch_size=size, optimizer=still(model))
        assert row[name] == pytest.approx(want, rel=1e-6)


def test_soft_labels_and_smoothing(rng):
    model, x = nn.Linear(3, 4), rng.standard_normal((12, 3))
    shares = rng.dirichlet(np.ones(4), 12)
    want = -(shares * log_softmax(model.predict(x))).sum(1).mean()
    smooth = nn.CrossEntropyLoss(label_smoothing=0.2)
    labels = rng.integers(0, 4, 12)
    soft = 0.8 * np.eye(4)[labels] + 0.05
    for size in SIZES:
        assert fnn.evaluate(model, x, shares, batch_size=size)["loss"] == pytest.approx(want, rel=1e-6)
        got = fnn.evaluate(model, x, labels, loss=smooth, batch_size=size)["loss"]
        assert got == pytest.approx(-(soft * log_softmax(model.predict(x))).sum(1).mean(), rel=1e-6)


def test_mse_that_adds_up(rng):
    model, x, y = nn.Linear(3, 2), rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
    want = np.square(np.float64(model.predict(x)) - y).sum()
    for size in SIZES:
        got = fnn.evaluate(model, x, y, loss=nn.MSELoss(reduction="sum"), batch_size=size)["loss"]
        assert got == pytest.approx(want, rel=1e-6)
    with pytest.raises(TypeError, match="expected a single number"):
        fnn.evaluate(model, x, y, loss=nn.MSELoss(reduction="none"))


def test_ctc(rng):
    frames, labels = rng.integers(6, 10, 8), rng.integers(1, 4, 8)
    x, y = rng.standard_normal((8, 9, 3)), rng.integers(1, 5, (8, 3))

    class Recogniser(nn.Module):
        """(N, T, F) -> (T, N, C)"""

        def __init__(self):
            self.head = nn.Sequential(nn.Linear(3, 5), nn.LogSoftmax(-1))

        def forward(self, x):
            return fnn.ops.transpose(self.head(x), 0, 1)

    model = Recogniser()
    log_probs = np.swapaxes(model.head.predict(x), 0, 1)
    for reduction in ("mean", "sum"):
        want = float(fnn.ops.ctc_loss(log_probs, y, frames, labels, reduction=reduction))
        for size in (1, 3, 8):
            loss = nn.CTCLoss(reduction=reduction)
            got = fnn.evaluate(model, x, (y, frames, labels), loss=loss, batch_size=size)["loss"]
            assert got == pytest.approx(want, rel=1e-5)
    history = fnn.fit(model, x, (y, frames, labels), loss=nn.CTCLoss(), epochs=30, batch_size=3,
                      optimizer=fnn.optim.Adam(model.parameters(), lr=0.1))  # fmt: skip
    assert history[-1]["loss"] < history[0]["loss"]


def test_losses_of_the_user(rng):
    """By samples, unless they say how much counted."""
    model, x = nn.Linear(3, 2), rng.standard_normal((12, 3))
    y = np.where(rng.random((12, 2)) < 0.6, np.nan, rng.standard_normal((12, 2)))

    class Known:
        """The mean error of the targets that are known."""

        def counted(self, output, target):
            return np.count_nonzero(~np.isnan(target))

        def __call__(self, output, target):
            known = np.float32(~np.isnan(target))
            return ((output - np.nan_to_num(target)) ** 2 * known).sum() / known.sum()

    want = np.nanmean(np.square(np.float64(model.predict(x)) - y))
    with np.errstate(invalid="ignore"):
        for size in SIZES:
            got = fnn.evaluate(model, x, y, loss=Known(), batch_size=size)["loss"]
            assert got == pytest.approx(want, rel=1e-5)
    norms = np.square(np.float64(model.predict(x))).sum(1)
    for size in SIZES:
        got = fnn.evaluate(model, x, loss=lambda out, _: (out**2).sum() / len(out.data), batch_size=size)["loss"]
        assert got == pytest.approx(norms.mean(), rel=1e-6)


def test_weights_and_smoothing_together(uneven):
    model, x, target = uneven
    loss = nn.CrossEntropyLoss(np.float32([1, 0.25, 5, 3]), label_smoothing=0.2)
    flat = fnn.ops.cross_entropy(model.predict(x).reshape(-1, 4), target.reshape(-1), loss.weight, label_smoothing=0.2)
    for size in SIZES:
        assert fnn.evaluate(model, x, target, loss=loss, batch_size=size)["loss"] == pytest.approx(
            float(flat), rel=1e-6
        )


def test_a_sum_of_nothing_makes_no_step(uneven):
    model, x, target = uneven
    adam = fnn.optim.Adam(model.parameters(), weight_decay=0.1)
    fnn.fit(model, x, target, loss=nn.CrossEntropyLoss(reduction="sum"), batch_size=1, optimizer=adam)
    assert adam.steps == np.count_nonzero((target != -100).any(1))

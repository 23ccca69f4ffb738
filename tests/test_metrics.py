"""Metrics: called as scikit-learn calls them, once, on everything; and accuracy of one score per target."""

import math

import numpy as np
import pytest
from toys import bars, one_thread, tiny_cnn, weights  # noqa: F401

import fastnn as fnn
from fastnn import nn


def still(model):
    return fnn.optim.SGD(model.parameters(), lr=0)


def test_functions_get_target_and_prediction_of_everything():
    x, y = bars(30)
    model, seen = tiny_cnn(), []

    def first_class(target, prediction):
        seen.append((target.shape, prediction.shape))
        return np.mean(prediction.argmax(1) == 0)

    result = fnn.evaluate(model, x, y, metrics=[first_class, "accuracy"], batch_size=7)
    assert seen == [((30,), (30, 3))]
    assert list(result) == ["loss", "first_class", "accuracy"]
    assert result["first_class"] == np.mean(model.predict(x).argmax(1) == 0)
    seen.clear()
    (row,) = fnn.fit(model, x, y, metrics=[first_class], batch_size=7, optimizer=still(model), validation_split=0.2)
    assert set(seen) == {((24,), (24, 3)), ((6,), (6, 3))}
    assert row["first_class"] == np.mean(model.predict(x[:24]).argmax(1) == 0)
    assert row["val_first_class"] == np.mean(model.predict(x[24:]).argmax(1) == 0)


def test_regression_metrics_of_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    x, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    metrics = [sklearn.r2_score, sklearn.mean_absolute_percentage_error]  # neither is symmetric
    for model in (nn.Linear(3, 1), nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))):
        want = [metric(y, model.predict(x).reshape(-1)) for metric in metrics]
        got = fnn.evaluate(model, x, y, loss="mse", metrics=metrics, batch_size=7)
        assert [got[metric.__name__] for metric in metrics] == pytest.approx(want, rel=1e-5)
        (row,) = fnn.fit(model, x, y, loss="mse", metrics=metrics, batch_size=13, optimizer=still(model))
        assert [row[metric.__name__] for metric in metrics] == pytest.approx(want, rel=1e-5)


def test_an_error_is_not_broadcast(rng):
    """Outputs (N, 1) and targets (N) would give all N * N differences."""
    x, y = rng.standard_normal((9, 3)), rng.standard_normal(9)
    model = nn.Linear(3, 1)

    def error(target, prediction):
        return np.abs(target - prediction).mean()

    for target in (y, y[:, None]):
        got = fnn.evaluate(model, x, target, loss="mse", metrics=[error, "mae"])
        assert got["error"] == pytest.approx(got["mae"], rel=1e-6)


def test_metrics_of_labels(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    x, y = rng.standard_normal((40, 3)), rng.integers(0, 4, 40)
    model, metric = nn.Linear(3, 4), fnn.metrics.of_labels(sklearn.f1_score, average="macro")
    want = sklearn.f1_score(y, model.predict(x).argmax(1), average="macro")
    assert fnn.evaluate(model, x, y, metrics=[metric], batch_size=7)["f1_score"] == pytest.approx(want)
    (row,) = fnn.fit(model, x, y, metrics=[metric], batch_size=7, optimizer=still(model))
    assert row["f1_score"] == pytest.approx(want)
    assert metric(y, model.predict(x)) == want
    x, y = rng.standard_normal((10, 6, 3)), rng.integers(0, 4, (10, 6))
    y[:, 4:] = -100
    got = fnn.evaluate(model, x, y, metrics=[metric], batch_size=4)["f1_score"]
    assert got == pytest.approx(
        sklearn.f1_score(y[:, :4].ravel(), model.predict(x)[:, :4].argmax(-1).ravel(), average="macro")
    )
    with pytest.raises(ValueError, match=r"metric f1_score\(target, prediction\).*says: .*of_labels\(f1_score\)"):
        fnn.evaluate(model, x[:, 0], y[:, 0], metrics=[sklearn.f1_score])
    with pytest.raises(ValueError, match=r"fit: metric f1_score"):
        fnn.fit(model, x[:, 0], y[:, 0], metrics=[sklearn.f1_score])


@pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 1, 3, 5), (8, 6, 1)])
def test_accuracy_of_one_score_per_target(rng, shape):
    scores = rng.uniform(0, 1, shape).astype(np.float32)
    target = rng.integers(0, 2, shape)
    squeezed = target.reshape([n for i, n in enumerate(shape) if i == 0 or n > 1])
    want = np.mean((scores > 0.5) == target)
    assert 0 < want < 1
    for wanted in (target, squeezed, target.astype(np.float32), target.astype(bool)):
        for size in (1, 3, 8):
            got = fnn.evaluate(
                nn.Identity(), scores, wanted, loss=lambda o, t: 0.0, metrics=["accuracy"], batch_size=size
            )
            assert got["accuracy"] == pytest.approx(want)
    sign = fnn.metrics.of_labels(lambda t, p: np.mean(t == p), threshold=0)
    got = fnn.evaluate(nn.Identity(), scores - 0.5, target, loss=lambda o, t: 0.0, metrics=[sign])
    assert got["<lambda>"] == pytest.approx(want)


def test_accuracy_refuses_what_are_no_classes(rng):
    def accuracy(output, target, loss=lambda o, t: 0.0):
        return fnn.evaluate(nn.Identity(), output, target, loss=loss, metrics=["accuracy"])["accuracy"]

    scores = rng.uniform(0, 1, (6, 3))
    with pytest.raises(ValueError, match=r"accuracy: target holds 0\.3, expected 0 and 1"):
        accuracy(scores[:, :1], np.full((6, 1), 0.3))
    with pytest.raises(ValueError, match="accuracy: target holds -1, expected 0 and 1"):
        accuracy(scores[:, :1], np.array([1, -1, 1, 1, -1, 1]))
    with pytest.raises(ValueError, match="accuracy: target holds 3, expected 0 to 2 or ignore_index -100"):
        accuracy(scores, np.array([0, 1, 2, 3, 0, 0]))
    with pytest.raises(ValueError, match="sums over axis 1 are not 1, such as 3"):
        accuracy(scores, np.ones((6, 3)))
    with pytest.raises(ValueError, match=r"accuracy: output has shape \(6, 3\) but target has \(6, 2\)"):
        accuracy(scores, np.zeros((6, 2)))
    assert accuracy(np.eye(3), np.eye(3)) == accuracy(np.eye(3), np.eye(3, dtype=int)) == 1


def test_perplexity_overflows_to_infinity():
    scores = np.float32([[0, 1e4]])
    assert fnn.evaluate(nn.Identity(), scores, [0], metrics=["perplexity"])["perplexity"] == math.inf


def test_several_outputs_of_a_function_metric(rng):
    class Two(nn.Module):
        def __init__(self):
            self.gru = nn.GRU(3, 2, batch_first=True)

        def forward(self, x):
            return self.gru(x)

    x, seen = rng.standard_normal((7, 4, 3)), []

    def shapes(target, prediction):
        seen.append([part.shape for part in prediction])
        return 0.0

    fnn.evaluate(Two(), x, np.zeros(7), loss=lambda o, t: (o[0] ** 2).mean(), metrics=[shapes], batch_size=3)
    assert seen == [[(7, 4, 2), (1, 7, 2)]]


@pytest.mark.parametrize("name", fnn.metrics.METRICS)
def test_misspelt_names(name):
    x, y = np.zeros((4, 2)), np.zeros(4, int)
    for call in (fnn.fit, fnn.evaluate):
        with pytest.raises(ValueError, match=f"metric '{name}x' is not known.*did you mean '{name}'"):
            call(nn.Linear(2, 2), x, y, metrics=[name + "x"])
        with pytest.raises(TypeError, match=rf"expected a list of names or functions: write metrics=\['{name}'\]"):
            call(nn.Linear(2, 2), x, y, metrics=name)

"""fit: what it learns, what it reports, and that the same seed gives the same bits."""

import numpy as np
import pytest
from toys import Recorder, bars, one_thread, tiny_cnn, tiny_lstm, weights, without_times  # noqa: F401

import fastnn as fnn
from fastnn import nn
from fastnn.callbacks import Callback


def losses_of_ten_steps(model, x, y):
    recorder = Recorder()
    fnn.fit(model, x, y, epochs=5, batch_size=len(x) // 2, callbacks=[recorder], seed=0,
            optimizer=fnn.optim.Adam(model.parameters(), lr=0.02))  # fmt: skip
    return recorder.losses


# Of the same models, batches and Adam in torch 2.13, in float64.
GOLDEN_CNN = [
    1.1218867,
    1.0979665,
    1.0284251,
    0.9980323,
    0.9464172,
    1.0056259,
    0.8938586,
    0.8811516,
    0.8391146,
    0.7735771,
]
GOLDEN_LSTM = [
    2.3911758,
    2.2915083,
    2.2205739,
    2.2500139,
    2.1204096,
    2.1104581,
    2.048629,
    1.9546367,
    1.9443874,
    1.8716689,
]


def test_golden_losses_of_a_cnn(isa):
    assert losses_of_ten_steps(tiny_cnn(), *bars()) == pytest.approx(GOLDEN_CNN, rel=1e-5)


def test_golden_losses_of_an_lstm(isa):
    assert losses_of_ten_steps(*tiny_lstm()) == pytest.approx(GOLDEN_LSTM, rel=1e-5)


def test_same_seed_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((48, 8, 28, 28)).astype(np.float32), rng.integers(0, 3, 48)
    results = []
    for threads in (1, 2, 3, 1):
        with fnn.threads(threads):
            fnn.manual_seed(1)
            model = nn.Sequential(nn.Conv2d(8, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2),
                                  nn.Linear(32 * 13 * 13, 3))  # fmt: skip
            history = fnn.fit(model, x, y, epochs=2, batch_size=20, seed=7, validation_split=0.2, metrics=["accuracy"])
            results.append((without_times(history), weights(model)))
    for history, end in results[1:]:
        assert history == results[0][0]
        assert np.array_equal(end, results[0][1])


def test_the_seed_decides_order_and_dropout():
    x, y = bars()

    def run(seed, shuffle):
        model = tiny_cnn(nn.Dropout(0.5))
        fnn.manual_seed(99)
        return without_times(fnn.fit(model, x, y, epochs=2, seed=seed, shuffle=shuffle))

    assert run(1, True) == run(1, True) != run(2, True)
    assert run(1, False) != run(2, False)  # dropout


def test_learns_and_reports():
    x, y = bars(300)
    model = tiny_cnn()
    history = fnn.fit(model, x, y, optimizer=fnn.optim.Adam(model.parameters(), lr=0.01), epochs=30, batch_size=32,
                      validation_data=bars(60, seed=2), metrics=["accuracy"], seed=0)  # fmt: skip
    assert [row["epoch"] for row in history] == list(range(1, 31))
    names = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "samples_per_second"]
    assert list(history[0]) == names
    assert history[-1]["loss"] < 0.2 < history[0]["loss"]
    assert history[-1]["val_accuracy"] >= 0.9
    assert all(row["seconds"] > 0 < row["samples_per_second"] for row in history)
    assert fnn.evaluate(model, *bars(60, seed=2), metrics=["accuracy"]) == {
        "loss": pytest.approx(history[-1]["val_loss"], rel=1e-6),
        "accuracy": history[-1]["val_accuracy"],
    }


def test_loss_of_an_epoch_is_the_mean_over_samples():
    """Nothing moves at a learning rate of zero, so uneven batches must give the loss of the whole."""
    x, y = bars(37)
    model = tiny_cnn()
    still = fnn.optim.SGD(model.parameters(), lr=0)
    (row,) = fnn.fit(model, x, y, optimizer=still, batch_size=10, metrics=["accuracy", "perplexity"])
    whole = fnn.evaluate(model, x, y, metrics=["accuracy", "perplexity"], batch_size=8)
    for name in ("loss", "accuracy", "perplexity"):
        assert row[name] == pytest.approx(whole[name], rel=1e-5)
    assert whole["perplexity"] == pytest.approx(np.exp(whole["loss"]), rel=1e-6)
    assert whole["accuracy"] == np.mean(model.predict(x).argmax(1) == y)


def test_validation_split_keeps_the_last_samples_apart():
    x, y = bars(50)
    model, other = tiny_cnn(), tiny_cnn()
    (row,) = fnn.fit(model, x, y, validation_split=0.2, seed=3)
    (other_row,) = fnn.fit(other, x[:40], y[:40], validation_data=(x[40:], y[40:]), seed=3)
    assert without_times([row]) == without_times([other_row])
    assert np.array_equal(weights(model), weights(other))
    assert row["val_loss"] == fnn.evaluate(model, x[40:], y[40:], batch_size=32)["loss"]


def test_sequences():
    model, x, y = tiny_lstm()
    history = fnn.fit(model, x, y, epochs=60, batch_size=4, metrics=["accuracy", "perplexity"], seed=0,
                      optimizer=fnn.optim.Adam(model.parameters(), lr=0.02))  # fmt: skip
    assert history[-1]["accuracy"] > 0.8 > history[0]["accuracy"]
    assert history[-1]["perplexity"] == pytest.approx(np.exp(history[-1]["loss"]), rel=1e-4)


def test_regression_of_one_output_takes_a_flat_target(rng):
    x = rng.standard_normal((64, 3)).astype(np.float32)
    y = x @ [1.0, -2.0, 0.5] + 3
    model = nn.Linear(3, 1)
    history = fnn.fit(model, x, y, loss="mse", epochs=40, batch_size=8, metrics=["mse", "mae"], seed=0,
                      optimizer=fnn.optim.SGD(model.parameters(), lr=0.1))  # fmt: skip
    assert history[-1]["loss"] < 1e-6
    assert history[-1]["mse"] == pytest.approx(history[-1]["loss"], rel=1e-3)
    np.testing.assert_allclose(model.weight.data, [[1, -2, 0.5]], atol=1e-3)
    error = model.predict(x)[:, 0] - y
    result = fnn.evaluate(model, x, y, loss="mse", metrics=["mae"])
    assert result["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)


def test_several_inputs_and_a_loss_of_ones_own(rng):
    class Sum(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(2, 1), nn.Linear(3, 1)

        def forward(self, first, second):
            return self.a(first) + self.b(second)

    x = rng.standard_normal((20, 2)), rng.standard_normal((20, 3))
    y = x[0][:, :1] + x[1][:, :1]
    model = Sum()
    sgd = fnn.optim.SGD(model.parameters(), lr=0.1)
    history = fnn.fit(model, x, y, loss=lambda out, t: ((out - t) ** 2).mean(), optimizer=sgd, epochs=50)
    assert history[-1]["loss"] < 0.01 * history[0]["loss"]
    history = fnn.fit(model, x, loss=lambda out, t: (out**2).mean(), optimizer=sgd, epochs=50)
    assert history[-1]["loss"] < 0.01 * history[0]["loss"]


def test_clip_grad_norm():
    x, y = bars(12)
    norms = []

    class Look(Callback):
        def on_grad_computed(self, run):
            norms.append([np.sqrt(sum((p.grad**2).sum() for p in run.model.parameters()))])

        def on_batch_end(self, run):
            norms[-1].append(np.sqrt(sum((p.grad**2).sum() for p in run.model.parameters())))

    fnn.fit(tiny_cnn(), x, y, batch_size=4, callbacks=[Look()], clip_grad_norm=0.1)
    assert all(before > 0.1 for before, _ in norms)
    assert [after for _, after in norms] == pytest.approx([0.1] * 3, rel=1e-5)


def test_modes_come_back():
    x, y = bars(6)
    model = tiny_cnn(nn.Dropout(0.5))
    seen = []

    class Look(Callback):
        def on_batch_begin(self, run):
            seen.append([m.training for m in run.model.modules()])

    for training in (False, True):
        model.train(training)
        model[4].training = True
        before = [m.training for m in model.modules()]
        fnn.fit(model, x, y, callbacks=[Look()], validation_data=(x, y))
        assert all(seen[-1])
        assert [m.training for m in model.modules()] == before
        first = fnn.evaluate(model, x, y)
        assert first == fnn.evaluate(model, x, y)  # no dropout
        assert [m.training for m in model.modules()] == before

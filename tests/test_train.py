"""fit and evaluate: what they learn, what they report, and what happens when they are stopped."""

import os
import signal
import sys
import threading

import numpy as np
import pytest

import fastnn as fnn
from fastnn import data, nn, schedules
from fastnn.callbacks import Callback, Checkpoint, EarlyStopping, LearningRate
from fastnn.checkpoint import load

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


@pytest.fixture(autouse=True)
def _one_thread():
    """Tiny steps do not wait for a second thread on a busy machine; what threads change has a test of its own."""
    with fnn.threads(1):
        yield


class Characters(nn.Module):
    """Next-character prediction: ids (N, T) -> logits (N, T, C)."""

    def __init__(self, characters, hidden=8):
        self.embedding = nn.Embedding(characters, 6)
        self.lstm = nn.LSTM(6, hidden, batch_first=True)
        self.head = nn.Linear(hidden, characters)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0])


class Enough(Exception):  # noqa: N818
    """Ends a run from a callback."""


class Recorder(Callback):
    """The loss of every batch."""

    def on_train_begin(self, run):
        self.losses = []

    def on_batch_end(self, run):
        self.losses.append(run.loss)


def bars(samples=40, seed=1):
    """Images of horizontal, vertical and no bars in noise: (samples, 1, 8, 8) and classes."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 0.3, (samples, 1, 8, 8)), np.arange(samples) % 3
    for image, label, at in zip(x, y, rng.integers(0, 8, samples), strict=True):
        if label < 2:
            (image[0] if label else image[0].T)[at] += 1
    return x.astype(np.float32), y


def tiny_cnn(*more):
    fnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), *more, nn.Linear(64, 3)
    )


def tiny_lstm():
    text = "she sells sea shells by the sea shore " * 4
    vocabulary = data.Vocabulary(text)
    fnn.manual_seed(0)
    return Characters(len(vocabulary)), *data.windows(vocabulary.encode(text), 15)


def losses_of_ten_steps(model, x, y):
    recorder = Recorder()
    fnn.fit(model, x, y, epochs=5, batch_size=len(x) // 2, callbacks=[recorder], seed=0,
            optimizer=fnn.optim.Adam(model.parameters(), lr=0.02))  # fmt: skip
    return recorder.losses


def weights(model):
    return np.concatenate([p.data.ravel() for p in model.parameters()])


# Of the same models, batches and Adam in torch 2.13, in float64.
GOLDEN_CNN = [
    1.1218867,
    1.0979665,
    1.0480567,
    0.9700864,
    0.9804693,
    0.9669212,
    0.9153812,
    0.8587294,
    0.7863267,
    0.8638318,
]
GOLDEN_LSTM = [
    2.3911758,
    2.2915083,
    2.2603953,
    2.2015808,
    2.1360650,
    2.0869140,
    2.0344834,
    1.9652865,
    1.8946642,
    1.9191807,
]


def test_golden_losses_of_a_cnn(isa):
    assert losses_of_ten_steps(tiny_cnn(), *bars()) == pytest.approx(GOLDEN_CNN, rel=1e-5)


def test_golden_losses_of_an_lstm(isa):
    assert losses_of_ten_steps(*tiny_lstm()) == pytest.approx(GOLDEN_LSTM, rel=1e-5)


def without_times(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in history]


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
    for inputs in (x, list(x)):
        model = Sum()
        sgd = fnn.optim.SGD(model.parameters(), lr=0.1)
        history = fnn.fit(model, inputs, y, loss=lambda out, t: ((out - t) ** 2).mean(), optimizer=sgd, epochs=50)
        assert history[-1]["loss"] < 0.01 * history[0]["loss"]
    history = fnn.fit(model, x, loss=lambda out, t: (out**2).mean(), optimizer=sgd, epochs=50)
    assert history[-1]["loss"] < 0.01 * history[0]["loss"]


def test_metrics_that_are_functions_see_everything_at_once():
    x, y = bars(30)
    model, seen = tiny_cnn(), []

    def first_class(output, target):
        seen.append(len(target))
        return np.mean(output.argmax(1) == 0)

    result = fnn.evaluate(model, x, y, metrics=[first_class, "accuracy"], batch_size=7)
    assert seen == [30]
    assert list(result) == ["loss", "first_class", "accuracy"]
    assert result["first_class"] == np.mean(model.predict(x).argmax(1) == 0)
    (row,) = fnn.fit(model, x, y, metrics=[first_class], batch_size=7)
    assert seen == [30, 7, 7, 7, 7, 2]
    assert 0 <= row["first_class"] <= 1


def test_hooks_in_order():
    calls = []

    class Everything:
        def __getattr__(self, name):
            if name not in HOOKS:
                raise AttributeError(name)
            return lambda run: calls.append((name, run.epoch, run.batch))

    x, y = bars(4)
    fnn.fit(tiny_cnn(), x, y, epochs=2, batch_size=2, callbacks=[Everything()])
    batch = ["on_batch_begin", "on_grad_computed", "on_batch_end"]
    epoch = ["on_epoch_begin", *batch, *batch, "on_epoch_end"]
    assert [name for name, _, _ in calls] == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    assert [(e, b) for name, e, b in calls if name == "on_batch_end"] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert len(HOOKS) == 7
    calls.clear()
    assert fnn.fit(tiny_cnn(), x, y, epochs=0, callbacks=[Everything()]) == []
    assert [name for name, _, _ in calls] == ["on_train_begin", "on_train_end"]


def test_early_stopping_restores_the_best():
    x, y = bars(40)
    model = tiny_cnn()
    sgd = fnn.optim.SGD(model.parameters(), lr=0.05)

    class Spoil(Callback):
        """From epoch 4 on, steps go up."""

        def on_epoch_begin(self, run):
            sgd.param_groups[0]["maximize"] = run.epoch >= 4

    stop = EarlyStopping(patience=2, restore_best=True)
    history = fnn.fit(model, x, y, optimizer=sgd, epochs=50, validation_data=(x, y), callbacks=[Spoil(), stop], seed=0)
    assert len(history) == 5
    assert stop.best_epoch == 3
    assert stop.best == min(row["val_loss"] for row in history) == history[2]["val_loss"]
    assert fnn.evaluate(model, x, y, batch_size=32)["loss"] == history[2]["val_loss"]


def test_early_stopping_looks_at_direction_and_size():
    def run_with(values, **options):
        stop, row = EarlyStopping(**options), {}
        state = fnn.callbacks.Run(nn.Linear(1, 1), None, 9, 1)
        stop.on_train_begin(state)
        for state.epoch, value in enumerate(values, 1):
            state.history.append({options["monitor"]: value, **row})
            stop.on_epoch_end(state)
            if state.stop:
                break
        return stop.best_epoch, state.epoch

    assert run_with([3, 2, 1, 0], monitor="loss", patience=1) == (4, 4)
    assert run_with([3, 2, 1, 0], monitor="val_accuracy", patience=2) == (1, 3)
    assert run_with([3, 2, 1, 0], monitor="loss", mode="max", patience=1) == (1, 2)
    assert run_with([3, 2.9, 2.8, 2.7], monitor="loss", min_delta=0.15, patience=2) == (3, 4)
    assert run_with([np.nan, np.nan, np.nan], monitor="loss", patience=3) == (0, 3)
    x, y = bars(4)
    with pytest.raises(ValueError, match=r"'val_loss' is not in the history, which has epoch, loss.*validation_data"):
        fnn.fit(tiny_cnn(), x, y, callbacks=[EarlyStopping()])
    with pytest.raises(ValueError, match="patience is 0"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="mode is 'up'"):
        EarlyStopping(mode="up")


def test_checkpoint_keeps_the_best(tmp_path):
    x, y = bars(40)
    model, path = tiny_cnn(), tmp_path / "best.safetensors"
    sgd = fnn.optim.SGD(model.parameters(), lr=0.05)

    class Spoil(Callback):
        def on_epoch_begin(self, run):
            sgd.param_groups[0]["maximize"] = run.epoch == 3

    savers = [Checkpoint(path), Checkpoint(tmp_path / "last.safetensors", None)]
    history = fnn.fit(
        model, x, y, optimizer=sgd, epochs=3, validation_data=(x, y), seed=0, callbacks=[Spoil(), *savers]
    )
    assert history[2]["val_loss"] > history[1]["val_loss"]
    best = fnn.evaluate(load(path), x, y, batch_size=32)
    assert best["loss"] == min(row["val_loss"] for row in history)
    assert np.array_equal(weights(load(tmp_path / "last.safetensors")), weights(model))


def test_learning_rate_follows_the_schedule():
    x, y = bars(4)
    model = tiny_cnn()
    groups = [{"params": list(model[0].parameters()), "lr": 0.5}, {"params": list(model[-1].parameters())}]
    sgd, seen = fnn.optim.SGD(groups, lr=0.1), []

    class Look(Callback):
        def on_batch_begin(self, run):
            seen.append([group["lr"] for group in sgd.param_groups])

    history = fnn.fit(model, x, y, optimizer=sgd, epochs=3, callbacks=[LearningRate(schedules.step(2)), Look()])
    assert seen == [[0.5, 0.1], [0.5, 0.1], pytest.approx([0.05, 0.01])]
    assert [row["lr"] for row in history] == pytest.approx([0.5, 0.5, 0.05])
    assert [group["lr"] for group in sgd.param_groups] == [0.5, 0.1]


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


def test_progress(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    x, y = bars(6)
    lines = []
    fnn.fit(tiny_cnn(), x, y, epochs=2, validation_split=0.5, metrics=["accuracy"], progress=lines.append)
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "val_accuracy" in lines[1]
    assert "samples/s" in lines[1]
    fnn.fit(tiny_cnn(), x, y, batch_size=2, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 1/1: 100%" in captured.err
    assert "3/3" in captured.err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    fnn.fit(tiny_cnn(), x, y, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 1/1  loss ")
    fnn.fit(tiny_cnn(), x, y)
    assert capsys.readouterr() == ("", "")


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


def test_nan_loss_keeps_the_weights():
    x, y = bars(40)
    x[np.random.default_rng(0).permutation(40)[25]] = np.nan
    model, kept, ended = tiny_cnn().eval(), [], []

    class Look(Callback):
        def on_batch_end(self, run):
            kept.append(weights(run.model))

        def on_train_end(self, run):
            ended.append(run.batch)

    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 1, batch 3") as caught:
        fnn.fit(model, x, y, batch_size=10, callbacks=[Look()], seed=0)
    assert np.array_equal(weights(model), kept[-1])
    assert np.isfinite(weights(model)).all()
    assert ended == [3]
    assert caught.value.history == []
    assert not model.training


def interrupt(model, x, y, delay, count):
    """Sends Ctrl-C to fit after some seconds; returns the exception and the number of steps begun when it was sent."""
    sent = []

    def send():
        sent.append(count.steps)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    timer = threading.Timer(delay, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            fnn.fit(model, x, y, epochs=100_000, batch_size=10, seed=0, callbacks=[count])
    finally:
        timer.cancel()  # or it would end pytest itself
        signal.signal(signal.SIGINT, before)
    return caught.value, sent[0]


@pytest.mark.parametrize("delay", [0.1, 0.17, 0.23])
def test_ctrl_c_leaves_a_completed_step(delay):
    x, y = bars()
    calls = []

    class Count(Callback):
        def __init__(self, last=None):
            self.last, self.steps, self.states = last, 0, []

        def on_batch_begin(self, run):
            if self.last is not None and self.steps >= self.last - 1:
                self.states.append(weights(run.model))
            if self.steps == self.last:
                raise Enough
            self.steps += 1

        def on_train_end(self, run):
            calls.append("end")

    model, count = tiny_cnn(), Count()
    error, steps = interrupt(model, x, y, delay, count)
    assert count.steps <= steps + 2  # the one under way, and one begun before the main thread saw the signal
    assert calls == ["end"]
    assert count.steps > 2
    assert len(error.history) in (count.steps // 4, (count.steps - 1) // 4)
    end = weights(model)
    again = Count(last=count.steps)  # the same run up to there
    with pytest.raises(Enough):
        fnn.fit(tiny_cnn(), x, y, epochs=100_000, batch_size=10, seed=0, callbacks=[again])
    assert any(np.array_equal(end, state) for state in again.states)
    assert model.predict(x).shape == (40, 3)
    (row,) = fnn.fit(model, x, y)
    assert np.isfinite(row["loss"])


def test_errors():
    x, y = bars(6)
    model = tiny_cnn()
    for message, options in {
        r"fit: x of shape \(0, 1, 8, 8\) has no samples": {"x": x[:0], "y": y[:0]},
        "x has 6 samples but y has 5": {"y": y[:5]},
        r"x\[0\] has 6 samples but x\[1\] has 5": {"x": (x, x[:5])},
        "y is a single value": {"y": 3},
        "batch_size is 0": {"batch_size": 0},
        "epochs is -1": {"epochs": -1},
        "loss is 'crossentropy', expected one of cross_entropy": {"loss": "crossentropy"},
        "metric 'acc' is not known, expected one of accuracy": {"metrics": ["acc"]},
        "each needs a name of its own": {"metrics": ["accuracy", "accuracy"]},
        "validation_split is 1": {"validation_split": 1},
        r"validation_split 0\.01 of 1 samples": {"validation_split": 0.01, "x": x[:1], "y": y[:1]},
        "not both": {"validation_split": 0.5, "validation_data": (x, y)},
        "validation_data must be a pair": {"validation_data": x},
        "validation_data: x has 6 samples but y has 5": {"validation_data": (x, y[:5])},
        "max_norm is -1": {"clip_grad_norm": -1},
    }.items():
        with pytest.raises(ValueError, match=message):
            fnn.fit(model, **{"x": x, "y": y, **options})
    with pytest.raises(TypeError, match="the loss is 3"):
        fnn.fit(model, x, y, loss=lambda out, t: 3)
    with pytest.raises(TypeError, match="expected a list of names or functions"):
        fnn.fit(model, x, y, metrics="accuracy")
    with pytest.raises(ValueError, match="evaluate: x has 6 samples but y has 5"):
        fnn.evaluate(model, x, y[:5])
    with pytest.raises(ValueError, match=r"accuracy: output has shape \(6, 3\) but target has \(6, 2\)"):
        fnn.evaluate(model, x, np.zeros((6, 2)), loss=lambda out, t: out.mean(), metrics=["accuracy"])


@pytest.mark.parametrize(
    ("output", "target", "axis"),
    [
        ((5, 3), (5,), 1),
        ((5, 7, 3), (5, 7), 2),
        ((5, 3, 7), (5, 7), 1),
        ((5, 4, 4), (5, 4), 2),
        ((5, 3, 8, 9), (5, 8, 9), 1),
        ((5, 8, 9, 3), (5, 8, 9), 3),
        ((5, 4, 4, 4), (5, 4, 4), 1),
        ((5, 3), (5, 3), None),
        ((5, 3), (4,), None),
        ((3,), (), 0),
        ((), (), None),
    ],
)
def test_where_the_classes_are(output, target, axis):
    assert fnn.metrics.class_axis(output, target) == axis

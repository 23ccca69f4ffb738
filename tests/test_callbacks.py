"""Callbacks: when they are called, what they decide, and what is refused before training."""

import sys

import numpy as np
import pytest
from toys import bars, one_thread, tiny_cnn, weights  # noqa: F401

import fastnn as fnn
from fastnn import nn, schedules
from fastnn.callbacks import Callback, Checkpoint, EarlyStopping, LearningRate
from fastnn.files.checkpoint import load
from fastnn.training.hooks import HOOKS


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


def linear():
    return nn.Linear(3, 2), np.random.default_rng(0).standard_normal((16, 3)), np.arange(16) % 2


def test_the_best_of_all_calls_of_fit_stays_in_the_file(tmp_path):
    model, x, y = linear()
    keep = Checkpoint(tmp_path / "best.safetensors")
    sgd = fnn.optim.SGD(model.parameters(), lr=0.5)

    def run(epochs, callback=keep):
        rows = fnn.fit(model, x, y, optimizer=sgd, validation_data=(x, y), callbacks=callback, epochs=epochs, seed=0)
        return [row["val_loss"] for row in rows]

    best = min(run(5))
    sgd.lr = 200.0
    assert min(run(2)) > best == keep.best
    assert fnn.evaluate(load(keep.path), x, y)["loss"] == pytest.approx(best, rel=1e-6)
    later = run(1, Checkpoint(keep.path))[0]  # a new one knows of no better model
    assert later > best
    assert fnn.evaluate(load(keep.path), x, y)["loss"] == pytest.approx(later, rel=1e-6)


@pytest.mark.parametrize("kind", [EarlyStopping, lambda name, **more: Checkpoint("x.safetensors", name, **more)])
def test_the_direction_is_known_or_asked_for(kind):
    for name in ("loss", "mae", "mse", "perplexity", "log_loss", "mean_squared_error", "rmse"):
        assert not kind(name).higher
        assert not kind("val_" + name).higher
    for name in ("accuracy", "accuracy_score", "auc", "roc_auc_score", "f1", "f1_score", "r2", "r2_score", "precision"):
        assert kind(name).higher
        assert kind("val_" + name).higher
    for name in ("lr", "val_speed", "neg_log_loss", "val_neg_mean_squared_error"):
        with pytest.raises(ValueError, match=f"is a higher '{name}' better, or a lower one.*mode='max' or mode='min'"):
            kind(name)
        assert kind(name, mode="max").higher
        assert not kind(name, mode="min").higher


@pytest.mark.parametrize("name", fnn.metrics.METRICS)
def test_the_direction_of_every_metric_is_known(name):
    assert EarlyStopping(name).higher == (name == "accuracy")


@pytest.mark.parametrize("name", ["val_auc", "val_f1", "val_r2"])
def test_the_best_epoch_by_a_number_that_rises(name):
    values = iter([0.5, 0.7, 0.9, 0.8, 0.85])

    class Measure:
        def on_epoch_end(self, run):
            run.history[-1][name] = next(values)

    model, x, y = linear()
    stop = EarlyStopping(name, patience=2)
    assert len(fnn.fit(model, x, y, callbacks=[Measure(), stop], epochs=5)) == 5
    assert (stop.best, stop.best_epoch) == (0.9, 3)


def test_what_will_not_be_measured_is_not_monitored():
    model, x, y = linear()
    before = weights(model)
    for monitor, hint in (("val_loss", "give fit validation_data"), ("los_loss", "did you mean 'loss'")):
        for callback in (EarlyStopping(monitor), Checkpoint("never.safetensors", monitor)):
            with pytest.raises(ValueError, match=f"{monitor}' is not in the history, which has epoch, loss.*{hint}"):
                fnn.fit(model, x, y, callbacks=[callback])
    with pytest.raises(ValueError, match="'val_accuracy' is not in the history"):
        fnn.fit(model, x, y, validation_data=(x, y), callbacks=[EarlyStopping("val_accuracy")])
    assert np.array_equal(weights(model), before)
    fnn.fit(model, x, y, metrics=["accuracy"], callbacks=[EarlyStopping("accuracy"), LearningRate(lambda epoch: 1)])
    assert not np.array_equal(weights(model), before)
    rate = EarlyStopping("lr", mode="min")
    fnn.fit(model, x, y, callbacks=[LearningRate(lambda epoch: 1), rate])
    assert rate.best == 1e-3


class Misspelt(Callback):
    def on_epoch_ends(self, run):
        pass


def test_what_is_no_callback_is_refused():
    model, x, y = linear()
    before = weights(model)
    for kind, message, given in (
        (TypeError, "callbacks holds a function, which has none of the hooks on_train_begin", lambda run: None),
        (TypeError, "callbacks holds a function", [print]),
        (TypeError, "callbacks holds 3, which has none", 3),
        (TypeError, "callbacks holds 'log', which has none", ["log"]),
        (TypeError, r"callbacks holds the class EarlyStopping, .*write EarlyStopping\(\)", EarlyStopping),
        (TypeError, "callbacks holds the class Callback", [Callback]),
        (ValueError, "Misspelt has on_epoch_ends, which fit does not call.*did you mean 'on_epoch_end'", [Misspelt()]),
    ):
        with pytest.raises(kind, match=message):
            fnn.fit(model, x, y, callbacks=given)
    assert np.array_equal(weights(model), before)


def test_a_single_callback_needs_no_list():
    model, x, y = linear()
    stop = EarlyStopping("loss", patience=1, min_delta=100)
    assert len(fnn.fit(model, x, y, callbacks=stop, epochs=9)) == 2
    assert len(fnn.fit(model, x, y, callbacks=(stop,), epochs=9)) == 2


def test_schedules_that_cannot_work():
    model, x, y = linear()
    before = weights(model)
    with pytest.raises(TypeError, match=r"schedule is 0\.5, expected a function"):
        LearningRate(0.5)
    for wrong in (None, -1, float("nan"), "0.1"):
        with pytest.raises(ValueError, match=r"schedule\(0\) is .*expected a finite number"):
            fnn.fit(model, x, y, callbacks=LearningRate(lambda epoch, wrong=wrong: wrong))
    assert np.array_equal(weights(model), before)
    with pytest.raises(TypeError, match="patience is '3'"):
        EarlyStopping(patience="3")
    with pytest.raises(TypeError, match="monitor is None"):
        EarlyStopping(None)

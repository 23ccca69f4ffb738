"""What is left when training is stopped: by a loss that is nan, and by Ctrl-C."""

import os
import signal
import threading

import numpy as np
import pytest
from toys import bars, one_thread, tiny_cnn, weights  # noqa: F401

import fastnn as fnn
from fastnn.callbacks import Callback


class Enough(Exception):  # noqa: N818
    """Ends a run from a callback."""


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

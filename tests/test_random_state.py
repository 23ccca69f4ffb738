"""Random numbers: fit has its own, states can be kept, and two halves of a training are the whole."""

import json
import threading

import numpy as np
import pytest
from toys import bars, one_thread, tiny_cnn, weights, without_times  # noqa: F401

import fastnn as fnn
from fastnn import nn
from fastnn.callbacks import Callback


def test_the_state_is_plain_numbers_and_goes_on():
    fnn.manual_seed(3)
    nn.Linear(3, 2)
    state = json.loads(json.dumps(fnn.get_rng_state()))
    first = [nn.Linear(3, 2).weight.data, fnn.ops.dropout(np.ones(50))]
    fnn.set_rng_state(state)
    second = [nn.Linear(3, 2).weight.data, fnn.ops.dropout(np.ones(50))]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert fnn.get_rng_state() != state
    for wrong, kind in ((3, TypeError), (None, TypeError), ({}, ValueError), ({**state, "state": 1}, ValueError)):
        with pytest.raises(kind, match="set_rng_state: "):
            fnn.set_rng_state(wrong)
    with pytest.raises(ValueError, match="set_rng_state: not a state of PCG64"):
        fnn.set_rng_state(np.random.MT19937(0).state)


def test_manual_seed():
    generator = fnn.manual_seed(7)
    assert generator is fnn.random.generator()
    assert fnn.get_rng_state() == np.random.default_rng(7).bit_generator.state
    fnn.manual_seed(np.int64(7))
    assert fnn.get_rng_state() == np.random.default_rng(7).bit_generator.state
    fnn.manual_seed(-1)
    assert fnn.get_rng_state() == np.random.default_rng(2**64 - 1).bit_generator.state
    for wrong in (None, 0.5, "1"):  # None would be no seed at all
        with pytest.raises(TypeError, match="manual_seed: seed is"):
            fnn.manual_seed(wrong)


def noisy():
    fnn.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3))


def test_a_seed_leaves_the_process_as_it_was():
    x, y = bars()
    model = noisy()
    state = fnn.get_rng_state()
    fnn.fit(model, x, y, seed=1, epochs=2, validation_split=0.2)
    assert fnn.get_rng_state() == state
    fnn.fit(model, x, y)
    assert fnn.get_rng_state() != state


class AtBothEnds(Callback):
    """Draws before the first epoch and after the last one, and seeds in between where told to."""

    def __init__(self, seeds=False):
        self.drawn, self.seeds = [], seeds

    def on_train_begin(self, run):
        if self.seeds:
            fnn.manual_seed(5)
        self.drawn.append(fnn.random.generator().random())

    def on_train_end(self, run):
        self.on_train_begin(run)


@pytest.mark.parametrize("seeds", [False, True])
def test_callbacks_at_both_ends_leave_the_process_as_it_was(seeds):
    x, y = bars()
    rows, drawn = [], []
    for before in (3, 4):
        model = noisy()
        fnn.manual_seed(before)
        state, ends = fnn.get_rng_state(), AtBothEnds(seeds)
        rows.append(without_times(fnn.fit(model, x, y, seed=1, epochs=2, callbacks=ends)))
        assert fnn.get_rng_state() == state
        drawn.append(ends.drawn)
    assert rows[0] == rows[1] == without_times(fnn.fit(noisy(), x, y, seed=1, epochs=2))
    assert drawn[0] == drawn[1]
    assert (drawn[0][0] == drawn[0][1]) is seeds
    fnn.manual_seed(0)
    ends = AtBothEnds()
    fnn.fit(noisy(), x, y, callbacks=ends)  # without a seed they draw from those of the process
    assert ends.drawn[0] not in drawn[0]


def test_a_training_that_fails_leaves_the_process_as_it_was():
    x, y = bars()
    model, state = noisy(), fnn.get_rng_state()

    class Fails(Callback):
        def on_batch_end(self, run):
            raise KeyError

    with pytest.raises(KeyError):
        fnn.fit(model, x, y, seed=1, callbacks=Fails())
    assert fnn.get_rng_state() == state
    assert fnn.random.generator() is fnn.random.generator()
    fnn.manual_seed(0)  # of the process again
    assert fnn.get_rng_state() == np.random.default_rng(0).bit_generator.state


def test_without_a_seed_the_process_decides():
    x, y = bars()
    rows = []
    for seed in (5, 5, 6):
        model = noisy()
        fnn.manual_seed(seed)
        rows.append(without_times(fnn.fit(model, x, y, epochs=2)))
    assert rows[0] == rows[1] != rows[2]


class Zoneout(nn.Module):
    def __init__(self):
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, zoneout=0.2, recurrent_dropout=0.2, dropout=0.2)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.lstm(x.reshape(-1, 8, 8))[1][0][-1])


@pytest.mark.parametrize("build", [noisy, Zoneout])
@pytest.mark.parametrize("name", [name for name in fnn.optim.__all__ if name != "Optimizer"])
def test_two_halves_are_the_whole(build, name):
    x, y = bars(30)
    options = {"momentum": 0.9} if name == "SGD" else {}

    def start():
        fnn.manual_seed(3)
        model = build()
        return model, getattr(fnn.optim, name)(model.parameters(), lr=0.01, **options)

    def run(model, optimizer, epochs, **more):
        more = {"batch_size": 7, "seed": 1, "validation_split": 0.2} | more
        return without_times(fnn.fit(model, x, y, optimizer=optimizer, epochs=epochs, **more))

    whole, optimizer = start()
    rows = run(whole, optimizer, 4)
    model, optimizer = start()
    half = run(model, optimizer, 2)
    kept = model.state_dict(), optimizer.state_dict()
    fnn.manual_seed(99)
    model = build()
    optimizer = getattr(fnn.optim, name)(model.parameters())
    model.load_state_dict(kept[0])
    optimizer.load_state_dict(kept[1])
    half += run(model, optimizer, 2)
    assert [row["loss"] for row in half] == [row["loss"] for row in rows]
    assert all(
        np.array_equal(a, b) for a, b in zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
    )
    assert optimizer.steps == 4 * 4
    again, optimizer = start()
    assert run(again, optimizer, 4, seed=2) != rows


def test_callbacks_draw_from_the_same_numbers():
    drawn = []

    class Draw(Callback):
        def on_batch_end(self, run):
            drawn.append(fnn.random.generator().random())

    x, y = bars()
    for _ in range(2):
        fnn.fit(tiny_cnn(), x, y, seed=4, callbacks=Draw())
    assert drawn[:2] == drawn[2:]


@pytest.mark.parametrize("build", [noisy, Zoneout])
def test_training_in_threads_side_by_side(build):
    """Each with a seed: none moves the other's numbers."""
    x, y = bars()
    models = []
    for _ in range(5):
        fnn.manual_seed(0)
        models.append(build())
    alone, *models = models
    fnn.fit(alone, x, y, seed=1, epochs=3, batch_size=7)

    def work(model):
        with fnn.threads(1):
            fnn.fit(model, x, y, seed=1, epochs=3, batch_size=7)

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(weights(model), weights(alone)) for model in models)

"""A list is ragged sequences in fit and evaluate: each gives what it gives alone, and means are over all steps."""

import numpy as np
import pytest
from toys import one_thread, weights  # noqa: F401

import fastnn as fnn
from fastnn import nn


class Tagger(nn.Module):
    """Lists (T_n, 3) -> lists (T_n, outputs)."""

    def __init__(self, outputs, batch_first=True):
        self.gru, self.head = nn.GRU(3, 4, batch_first=batch_first), nn.Linear(4, outputs)

    def forward(self, x):
        return [self.head(y) for y in self.gru(x)[0]]


class Last(Tagger):
    """Lists (T_n, 3) -> (N, outputs)."""

    def forward(self, x, scale=None):
        out = self.head(self.gru(x)[1][0])
        return out if scale is None else out * scale[:, None]


@pytest.fixture
def sequences(rng):
    lengths = [4, 1, 6, 2, 2, 5, 3]
    x = [rng.standard_normal((t, 3)).astype(np.float32) for t in lengths]
    return x, [rng.integers(0, 5, t) for t in lengths]


def plain(model, x, y):
    """(loss, accuracy) over the steps of all sequences, each run alone."""
    scores = np.concatenate([np.float64(model([part])[0].data) for part in x])
    labels = np.concatenate(y)
    logp = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return -logp[np.arange(len(labels)), labels].mean(), (scores.argmax(1) == labels).mean()


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_target_for_every_step(sequences, batch_first):
    x, y = sequences
    model = Tagger(5, batch_first)
    loss, accuracy = plain(model, x, y)
    for size in (1, 2, 3, 7):
        got = fnn.evaluate(model, x, y, metrics=["accuracy", "perplexity"], batch_size=size)
        assert got == pytest.approx({"loss": loss, "accuracy": accuracy, "perplexity": np.exp(loss)}, rel=1e-5)
        (row,) = fnn.fit(model, x, y, metrics=["accuracy"], batch_size=size, validation_data=(x, y),
                         optimizer=fnn.optim.SGD(model.parameters(), lr=0))  # fmt: skip
        assert [row["loss"], row["accuracy"], row["val_loss"]] == pytest.approx([loss, accuracy, loss], rel=1e-5)
    partly = [np.where(np.arange(len(part)) % 2, -100, part) for part in y]
    kept = [part[::2] for part in y]
    want = np.concatenate([model([part])[0].numpy()[::2] for part in x])
    for size in (1, 3, 7):
        got = fnn.evaluate(model, x, partly, metrics=["accuracy"], batch_size=size)["accuracy"]
        assert got == pytest.approx(np.mean(want.argmax(1) == np.concatenate(kept)))


def test_a_step_is_that_of_all_steps_together(sequences):
    x, y = sequences
    model = Tagger(5)
    again = Tagger(5)
    again.load_state_dict(model.state_dict())
    fnn.fit(model, x, y, optimizer=fnn.optim.SGD(model.parameters(), lr=0.5), shuffle=False)
    outputs = fnn.ops.concatenate([again([part])[0] for part in x])
    sgd = fnn.optim.SGD(again.parameters(), lr=0.5)
    fnn.losses.cross_entropy(outputs, np.concatenate(y)).backward()
    sgd.step()
    np.testing.assert_allclose(weights(model), weights(again), rtol=1e-4, atol=1e-6)


def test_a_target_for_every_sequence(sequences, rng):
    x, _ = sequences
    labels, values = np.arange(7) % 5, rng.standard_normal((7, 5))
    model = Last(5)
    scores = np.concatenate([np.float64(model([part]).data) for part in x])
    for size in (1, 3, 7):
        got = fnn.evaluate(model, x, labels, metrics=["accuracy"], batch_size=size)["accuracy"]
        assert got == pytest.approx(np.mean(scores.argmax(1) == labels))
        for targets in (values, list(values)):
            got = fnn.evaluate(model, x, targets, loss="mse", batch_size=size)["loss"]
            assert got == pytest.approx(np.square(scores - values).mean(), rel=1e-5)
    history = fnn.fit(model, x, labels, epochs=40, batch_size=3, seed=0, validation_split=0.3,
                      optimizer=fnn.optim.Adam(model.parameters(), lr=0.05))  # fmt: skip
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_ragged_sequences_and_another_input(sequences, rng):
    x, _ = sequences
    scale, y = rng.uniform(1, 2, 7), rng.standard_normal((7, 2))
    model = Last(2)
    want = np.square(np.float64(model.predict((x, scale))) - y).mean()
    for size in (1, 3, 7):
        got = fnn.evaluate(model, (x, scale), y, loss="mse", batch_size=size)["loss"]
        assert got == pytest.approx(want, rel=1e-5)
    assert len(fnn.fit(model, (x, scale), y, loss="mse", batch_size=2)) == 1


def test_regression_for_every_step(sequences, rng):
    x, _ = sequences
    model = Tagger(1)
    out = np.concatenate([np.float64(model([part])[0].numpy())[:, 0] for part in x])
    y = [rng.standard_normal(len(part)) for part in x]

    def largest(target, prediction):
        return np.abs(target - prediction).max()

    error = out - np.concatenate(y)
    for size in (1, 3, 7):
        got = fnn.evaluate(model, x, y, loss="mse", metrics=["mae", largest], batch_size=size)
        assert got["loss"] == pytest.approx(np.square(error).mean(), rel=1e-5)
        assert got["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
        assert got["largest"] == pytest.approx(np.abs(error).max(), rel=1e-5)
    assert len(fnn.fit(model, x, y, loss="mse", metrics=[largest], batch_size=3)) == 1


def test_lists_that_are_arrays(rng):
    """Lists of numbers, and nested ones that make an array, are one."""
    x, y = rng.standard_normal((6, 3)), rng.integers(0, 4, 6)
    model = nn.Linear(3, 4)
    want = fnn.evaluate(model, x, y, metrics=["accuracy"])
    assert fnn.evaluate(model, x.tolist(), y.tolist(), metrics=["accuracy"]) == want
    assert fnn.evaluate(model, x, tuple(y.tolist()), metrics=["accuracy"]) == want
    assert fnn.evaluate(model, x, list(y), metrics=["accuracy"]) == want


def test_what_does_not_go_together(sequences):
    x, y = sequences
    for call in (fnn.fit, fnn.evaluate):
        for message, args in {
            "x has 7 samples but y has 6": (Tagger(5), x, y[:6]),
            r"output 0 has shape \(4, 5\) but target 0 has \(5,\)": (Tagger(5), x, [np.arange(5), *y[1:]]),
            "x is a list, which means ragged sequences, and Linear says": (nn.Linear(3, 5), x, np.zeros(7, int)),
            r"x\[0\] has shape \(4, 3\) and x\[1\] has \(4,\); several arrays go into a tuple": (
                Tagger(5),
                [np.zeros((4, 3)), np.zeros(4)],
                [0, 1],
            ),
        }.items():
            with pytest.raises(ValueError, match=f"{call.__name__}: .*{message}"):
                call(*args)
        with pytest.raises(ValueError, match=f"{call.__name__}: 'cross_entropy' takes one target, but y is a list"):
            call(Last(5), x, y)

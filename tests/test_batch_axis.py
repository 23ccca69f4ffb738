"""Time-first models in fit and evaluate: samples are cut where the model has them, never its time."""

import numpy as np
import pytest
from toys import one_thread, weights  # noqa: F401

import fastnn as fnn
from fastnn import nn

LAYERS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
CELLS = {"RNNCell": nn.RNNCell, "LSTMCell": nn.LSTMCell, "GRUCell": nn.GRUCell}


class Tagger(nn.Module):
    """A class for every step; time is axis 0, or 1 with batch_first."""

    def __init__(self, layer, batch_first):
        self.layer, self.head = layer(3, 4, batch_first=batch_first), nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.layer(x)[0])


class Steps(nn.Module):
    """A cell, called for every step on axis 0."""

    def __init__(self, cell):
        self.cell, self.head = cell(3, 4), nn.Linear(4, 5)

    def forward(self, x):
        state, outputs = None, []
        for t in range(x.shape[0]):
            state = self.cell(x[t], state)
            outputs.append(self.head(state[0] if isinstance(state, tuple) else state))
        return fnn.ops.stack(outputs)


def pair(layer):
    """The same model, time first and batch first."""
    models = [Tagger(layer, batch_first) for batch_first in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    models[0].batch_axis = 1
    return models


@pytest.mark.parametrize("name", LAYERS)
def test_time_first_trains_as_batch_first(rng, name):
    first, second = pair(LAYERS[name])
    x, y = rng.standard_normal((13, 6, 3)), rng.integers(0, 5, (13, 6))
    options = {"epochs": 2, "batch_size": 4, "seed": 3, "metrics": ["accuracy"], "validation_split": 0.25}
    rows = fnn.fit(first, np.swapaxes(x, 0, 1), y.T, **options), fnn.fit(second, x, y, class_axis=-1, **options)
    for a, b in zip(*rows, strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert a[key] == pytest.approx(b[key], rel=1e-5)
    np.testing.assert_allclose(weights(first), weights(second), rtol=1e-4, atol=1e-6)
    for size in (1, 5, 13):
        got = fnn.evaluate(first, np.swapaxes(x, 0, 1), y.T, metrics=["accuracy"], batch_size=size)
        assert got == pytest.approx(fnn.evaluate(second, x, y, metrics=["accuracy"]), rel=1e-5)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("outer", [lambda m: m, lambda m: nn.Sequential(m, nn.Identity())])
def test_layers_say_where_their_samples_are(name, outer):
    assert outer(LAYERS[name](3, 4)).batch_axis == 1
    assert outer(LAYERS[name](3, 4, batch_first=True)).batch_axis == 0
    assert nn.Sequential().batch_axis == nn.Linear(3, 4).batch_axis == 0
    layer = outer(LAYERS[name](3, 4))
    layer.batch_axis = 0
    assert layer.batch_axis == 0


def models_that_read_samples_as_time():
    for name, layer in LAYERS.items():
        yield f"{name} 'layer'", Tagger(layer, False)
        yield f"{name} '0.layer'", nn.Sequential(Tagger(layer, False), nn.Identity())
    for name, cell in CELLS.items():
        yield f"{name} 'cell'", Steps(cell)


def test_samples_read_as_time_are_refused(rng):
    x, y = rng.standard_normal((8, 6, 3)), rng.integers(0, 5, (8, 6))
    for name, model in models_that_read_samples_as_time():
        before = weights(model)
        for call in (fnn.fit, fnn.evaluate):
            with pytest.raises(ValueError, match=f"{call.__name__}: x is cut along axis 0, and {name} reads samples"):
                call(model, x, y, class_axis=-1)
        assert np.array_equal(weights(model), before)
        assert set(fnn.evaluate(model, x, y, batch_axis=1, batch_size=2)) == {"loss"}
        assert len(fnn.fit(model, x, y, batch_axis=1, batch_size=2)) == 1


def test_models_that_do_not_read_samples_as_time(rng):
    class Turned(Tagger):
        """Time first inside, not outside."""

        def forward(self, x):
            return fnn.ops.transpose(super().forward(fnn.ops.transpose(x, 0, 1)), 0, 1)

    class Alone(Tagger):
        """Every sample on its own."""

        def forward(self, x):
            return fnn.ops.stack([self.head(self.layer(row)[0]) for row in x])

    class Trimmed(Tagger):
        """No longer than the longest sequence of the batch."""

        def forward(self, x, lengths):
            steps = int(np.asarray(lengths).max())
            return self.head(self.layer(x[:, :steps], lengths=lengths)[1])[0]

    x, y = rng.standard_normal((8, 6, 3)), rng.integers(0, 5, (8, 6))
    for model in (Turned(nn.GRU, False), Alone(nn.GRU, False), Alone(nn.GRU, True)):
        want = fnn.evaluate(model, x, y)["loss"]
        assert fnn.evaluate(model, x, y, batch_size=3)["loss"] == pytest.approx(want, rel=1e-5)
        assert len(fnn.fit(model, x, y, batch_size=3)) == 1
    lengths = np.arange(8) % 6 + 1
    want = fnn.evaluate(Trimmed(nn.GRU, True), (x, lengths), y[:, 0], loss=lambda out, t: (out**2).mean())
    assert np.isfinite(want["loss"])


def test_a_sequence_without_a_batch_axis_is_not_cut(rng):
    x, y = rng.standard_normal((8, 3)), rng.integers(0, 5, 8)
    for call in (fnn.fit, fnn.evaluate):
        for batch_first in (False, True):
            with pytest.raises(ValueError, match=f"{call.__name__}: GRU 'layer' gets one sequence without a batch"):
                call(Tagger(nn.GRU, batch_first), x, y)


def test_axes_of_inputs_and_targets_apart(rng):
    class Last(nn.Module):
        """(T, N, F) -> (N, 2)"""

        batch_axis = 1

        def __init__(self):
            self.gru, self.head = nn.GRU(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.gru(x)[1][0])

    model, x, y = Last(), rng.standard_normal((6, 7, 3)), rng.standard_normal((7, 2))
    want = np.square(np.float64(model.predict(x)) - y).mean()
    for size in (1, 3, 7):
        got = fnn.evaluate(model, x, y, loss="mse", batch_axis=(1, 0), batch_size=size)
        assert got["loss"] == pytest.approx(want, rel=1e-5)
    assert len(fnn.fit(model, x, y, loss="mse", batch_axis=(1, 0), batch_size=3)) == 1
    assert len(fnn.fit(model, x, np.arange(7) % 2, batch_size=3)) == 1  # (N) has no other axis
    with pytest.raises(ValueError, match=r"x has 7 samples on axis 1 but y has 2 on axis 1; pass batch_axis="):
        fnn.evaluate(model, x, y, loss="mse")
    square = rng.standard_normal((2, 2))  # as many samples as outputs
    with pytest.raises(ValueError, match=r"output for 3 samples has shape \(3, 2\).*pass batch_axis=\(1, 0\)"):
        fnn.fit(model, x[:, :2], square, loss="mse")


def test_the_axis_is_checked():
    x, y = np.zeros((4, 4, 3)), np.zeros((4, 4), int)
    for given, kind in ((-1, ValueError), ((0, 0, 0), ValueError), ("time", TypeError), (0.5, TypeError)):
        for call in (fnn.fit, fnn.evaluate):
            with pytest.raises(kind, match="batch_axis is"):
                call(nn.Linear(3, 5), x, y, batch_axis=given)
    with pytest.raises(TypeError, match="class_axis is 'last'"):
        fnn.evaluate(nn.Linear(3, 5), x, y, class_axis="last")


def test_trying_a_model_leaves_nothing_behind(rng):
    model = nn.Sequential(nn.LSTM(3, 4, batch_first=True, zoneout=0.5, num_layers=2, dropout=0.5))
    state = fnn.get_rng_state()
    fnn.evaluate(model, rng.standard_normal((4, 5, 3)), np.zeros(4), loss=lambda out, t: (out[0] ** 2).mean())
    assert fnn.get_rng_state() == state


def test_trying_a_model_that_keeps_a_state(rng):
    """It goes on from batch to batch, and would not from two samples to eight."""

    class Stateful(Tagger):
        state = None

        def forward(self, x):
            y, state = self.layer(x, self.state)
            self.state = state.detach()
            return self.head(y)

    x, y = rng.standard_normal((8, 6, 3)), rng.integers(0, 5, (8, 6))
    for batch_size in (4, 8):
        model = Stateful(nn.GRU, True)
        assert len(fnn.fit(model, x, y, batch_size=batch_size, epochs=2)) == 2
        assert model.state.shape == (1, batch_size, 4)
        with pytest.raises(ValueError, match=r"evaluate: tried on 2 samples.*the state has shape.*batch_axis=\.\.\."):
            fnn.evaluate(model, x, y, batch_size=batch_size)
        fnn.evaluate(model, x, y, batch_size=batch_size, batch_axis=0)
        model.predict(x[:batch_size])
        assert model.state.shape == (1, batch_size, 4)


def test_a_crf_that_reads_samples_as_time(rng):
    class Tags(nn.Module):
        """The loss of tags (N, T), from emissions (N, T, 5)."""

        def __init__(self, batch_first):
            self.head, self.crf = nn.Linear(3, 5), nn.CRF(5, batch_first=batch_first)

        def forward(self, x, tags):
            return self.crf(self.head(x), tags)

    x, tags = rng.standard_normal((8, 6, 3)), rng.integers(0, 5, (8, 6))
    options = {"loss": lambda out, _: out}
    for call in (fnn.fit, fnn.evaluate):
        with pytest.raises(ValueError, match="x is cut along axis 0, and CRF 'crf' reads samples as time"):
            call(Tags(False), (x, tags), **options)
        call(Tags(True), (x, tags), **options)
        call(Tags(False), (np.swapaxes(x, 0, 1), tags.T), batch_axis=1, **options)

"""nn.Output and nn.LastStep: recurrent layers in a Sequential, in everything that is done with one."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn

KINDS = [nn.RNN, nn.LSTM, nn.GRU]


def sequences(rng, lengths=(5, 1, 3), features=3):
    return [rng.standard_normal((n, features)).astype(np.float32) for n in lengths]


def classifier(kind=nn.LSTM, **options):
    """Of sequences of symbols, in 3 classes."""
    fnn.manual_seed(2)
    width = 6 * (1 + options.get("bidirectional", False))
    rnn = kind(4, 6, batch_first=True, **options)
    return nn.Sequential(nn.Embedding(7, 4), rnn, nn.LastStep(), nn.Dropout(0.2), nn.Linear(width, 3))


def by_hand(model, x):
    """What a classifier gives for one sequence alone."""
    y, _ = model[1](model[0](x[None]))
    return model[4](y.numpy()[:, -1]).numpy()[0]


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_step_is_that_of_the_output(rng, kind, options):
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    for batch_first in (False, True):
        layer = kind(3, 4, batch_first=batch_first, **options)
        given = x.transpose(1, 0, 2) if batch_first else x
        y = layer(given)[0].numpy()
        want = y[:, -1] if batch_first else y[-1]
        for between in ((), (nn.Output(),), (nn.Output(), nn.Dropout(0.0), nn.Identity(), nn.ReLU())):
            want_here = np.maximum(want, 0) if len(between) > 2 else want
            got = nn.Sequential(layer, *between, nn.LastStep())(given)
            np.testing.assert_array_equal(got.numpy(), want_here)
            inner = nn.Sequential(nn.Sequential(layer, *between), nn.LastStep())
            np.testing.assert_array_equal(inner(given).numpy(), want_here)
        np.testing.assert_array_equal(nn.LastStep(batch_first)(y), want)
        np.testing.assert_array_equal(nn.LastStep(batch_first)(layer(given)).numpy(), want)
        alone = x[:, 0]
        np.testing.assert_array_equal(nn.Sequential(layer, nn.LastStep())(alone).numpy(), layer(alone)[0].numpy()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_lists_and_lengths_take_the_last_valid_step(rng, kind):
    parts = sequences(rng)
    lengths = [len(part) for part in parts]
    for batch_first in (False, True):
        layer = kind(3, 4, batch_first=batch_first, bidirectional=True)
        want = np.stack([layer(part)[0].numpy()[-1] for part in parts])
        np.testing.assert_array_equal(nn.Sequential(layer, nn.LastStep())(parts).numpy(), want)
        padded = np.full((3, 6, 3), 9, np.float32)
        for i, part in enumerate(parts):
            padded[i, : len(part)] = part
        padded = padded if batch_first else padded.transpose(1, 0, 2)
        y, _ = layer(padded, lengths=lengths)
        np.testing.assert_array_equal(nn.LastStep(batch_first)(y, lengths).numpy(), want)
        np.testing.assert_array_equal(nn.LastStep(batch_first)(y, np.array(lengths)).numpy(), want)


def test_gradients_are_those_of_the_index(rng):
    for batch_first in (False, True):
        x = rng.standard_normal((3, 4, 2)).astype(np.float32)
        for lengths in (None, [1, 2, 3]) if batch_first else (None, [1, 2, 3, 3]):
            tensor = fnn.Tensor(x, requires_grad=True)
            y = nn.LastStep(batch_first)(tensor, lengths)
            dy = rng.standard_normal(y.shape).astype(np.float32)
            y.backward(dy)
            want = np.zeros_like(x)
            for n in range(len(dy)):
                step = (x.shape[1 if batch_first else 0] if lengths is None else lengths[n]) - 1
                want[(n, step) if batch_first else (step, n)] = dy[n]
            np.testing.assert_array_equal(tensor.grad, want)


def test_output(rng):
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    for kind in KINDS:
        layer = kind(3, 4)
        np.testing.assert_array_equal(nn.Sequential(layer, nn.Output())(x).numpy(), layer(x)[0].numpy())
        stacked = nn.Sequential(layer, nn.Output(), kind(4, 2), nn.Output())
        np.testing.assert_array_equal(stacked(x).numpy(), stacked[2](layer(x)[0])[0].numpy())
        parts = sequences(rng)
        for a, b in zip(nn.Output()(layer(parts)), layer(parts)[0], strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    for wrong in (x, fnn.Tensor(x), [x], (x,), (1, 2), None):
        with pytest.raises(ValueError, match=r"Output: x is .*, expected \(output, state\)"):
            nn.Output()(wrong)


def test_embedding_of_lists(rng):
    table = nn.Embedding(7, 4)
    for shapes in [((3,), (5,)), ((2,), (2,)), ((2, 3), (1, 3))]:
        parts = [rng.integers(0, 7, shape) for shape in shapes]
        found = table(parts)
        assert type(found) is list
        for part, y in zip(parts, found, strict=True):
            np.testing.assert_array_equal(y.numpy(), table(part).numpy())
    assert table([[1, 2], [3, 4]]).shape == (2, 2, 4)
    table([np.array([1, 1]), np.array([1])])[0].sum().backward()
    assert table.weight.grad[1].tolist() == [2] * 4
    with pytest.raises(TypeError, match="indices"):
        table([np.ones(2), np.ones(3)])
    with pytest.raises(IndexError):
        table([np.array([1, 9]), np.array([1])])


@pytest.mark.parametrize("kind", KINDS)
def test_fit_predict_and_files(rng, kind, tmp_path):
    """Ragged lists of symbols; each gives what it gives alone, in any batch."""
    lengths = [4, 1, 6, 2, 4, 4, 3, 4]
    x, y = [rng.integers(0, 7, n) for n in lengths], rng.integers(0, 3, len(lengths))
    model = classifier(kind)
    before = model.state_dict()
    history = fnn.fit(model, x, y, loss="cross_entropy", epochs=2, batch_size=3, progress=False)
    assert len(history) == 2
    assert not np.array_equal(before["1.weight_hh_l0"], model.state_dict()["1.weight_hh_l0"])
    model.eval()
    want = np.stack([by_hand(model, part) for part in x])
    for batch_size in (None, 1, 3, 8):
        np.testing.assert_array_equal(model.predict(x, batch_size=batch_size), want)
    fnn.save(model, tmp_path / "model.safetensors")
    again = fnn.load(tmp_path / "model.safetensors")
    assert type(again) is nn.Sequential
    np.testing.assert_array_equal(again.predict(x), want)
    dense = rng.integers(0, 7, (600, 5))
    np.testing.assert_array_equal(again.predict(dense)[::97], [by_hand(model, part) for part in dense[::97]])


def test_trace_summary_and_explain(rng):
    model, ids = classifier(nn.GRU, bidirectional=True).eval(), rng.integers(0, 7, (3, 5))
    graph = fnn.trace(model, ids)
    assert graph.free == {(0, 0), (0, 1)}
    other = rng.integers(0, 7, (4, 9))
    np.testing.assert_array_equal(graph(other).numpy(), model(other).numpy())
    names = [row.name for row in model.summary((5,)).rows]
    assert names == ["0", "1", "2", "3", "4"]
    assert [cost.layer for cost in fnn.explain(model, (3, 5))] == ["Embedding", "GRU", "LastStep", "Dropout", "Linear"]
    parts = [rng.integers(0, 7, n) for n in (2, 4)]
    ragged = fnn.trace(lambda *xs: model(list(xs)), *parts)
    np.testing.assert_array_equal(ragged(*parts).numpy(), model(parts).numpy())


class Turned(nn.Module):
    def forward(self, x):
        return x[0].transpose(0, 1)


def test_where_nothing_says_which_axis_is_time(rng):
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    lstm = nn.LSTM(3, 4)
    for model in (
        nn.LastStep(),
        nn.Sequential(nn.LastStep()),
        nn.Sequential(lstm, Turned(), nn.LastStep()),
        nn.Sequential(lstm, nn.LastStep(), nn.LastStep()),
        nn.Sequential(lstm, nn.Output(), nn.Sequential(nn.LastStep())),
    ):
        with pytest.raises(ValueError, match=r"LastStep: nothing says .* write LastStep\(batch_first=True\)"):
            model(x)
    got = nn.Sequential(lstm, Turned(), nn.LastStep(batch_first=True))(x)
    np.testing.assert_array_equal(got.numpy(), lstm(x)[0].numpy()[-1])


def test_errors(rng):
    step = nn.LastStep(batch_first=True)
    for wrong in (np.ones(3), np.ones((2, 0, 3)), np.ones((1, 2, 3, 4)), np.float32(1)):
        with pytest.raises(ValueError, match=r"LastStep: x has shape .*, expected \(N, T, F\) or \(T, F\)"):
            step(wrong)
    for wrong in ([], [np.ones(3)], [np.ones((0, 3))], [1, 2], ()):
        with pytest.raises(ValueError, match=r"LastStep: x is a .*expected arrays"):
            step(wrong)
    for lengths in ([1], [1, 0], [1, 6], [[1, 2]]):
        with pytest.raises(ValueError, match=r"LastStep: lengths .* do not fit x \(2, 5, 3\)"):
            step(np.ones((2, 5, 3)), lengths)
    with pytest.raises(ValueError, match="LastStep: lengths"):
        step(np.ones((5, 3)), [5])
    with pytest.raises(ValueError, match="which have their lengths"):
        step([np.ones((2, 3))], [2])
    with pytest.raises(TypeError, match=r"returned \(output, state\) .*put nn\.Output\(\) between them"):
        nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2))(np.ones((5, 2, 3)))
    assert repr(nn.LastStep(True)) == "LastStep(batch_first=True)"

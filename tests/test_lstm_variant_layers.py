"""The options of nn.LSTM: parameters, files, random masks."""

import numpy as np
import pytest
import reference

import fastnn as fnn
from fastnn import nn

LAYERS = {
    "projection": {"proj_size": 4},
    "peephole": {"peephole": True},
    "layer_norm": {"layer_norm": True},
    "coupled": {"coupled": True},
    "clip": {"cell_clip": 0.3},
    "all": {
        "proj_size": 4,
        "peephole": True,
        "layer_norm": True,
        "coupled": True,
        "cell_clip": 0.5,
        "zoneout": (0.2, 0.1),
    },
}


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_layers_above_each_other(rng, options):
    model = nn.LSTM(5, 9, num_layers=2, bidirectional=True, **options).eval()
    x, p = rng.standard_normal((4, 3, 5)).astype(np.float32), options.get("proj_size", 9)
    hx = rng.standard_normal((4, 3, p)).astype(np.float32), rng.standard_normal((4, 3, 9)).astype(np.float32)
    y, (h, c) = model(x, hx)
    zones = options.get("zoneout", (None, None))
    want = x
    for layer in range(2):
        given = {"coupled": model.coupled, "cell_clip": model.cell_clip, "zoneout_c": zones[0], "zoneout_h": zones[1]}
        weights = [None if w is None else np.float64(w.numpy()) for w in model._weights(layer)]
        weights += [None] * (20 - len(weights))
        states = [s[2 * layer : 2 * layer + 2] for s in hx]
        want, want_h, want_c = reference.lstm_variant(want, *states, *weights, **given)
        np.testing.assert_allclose(h[2 * layer : 2 * layer + 2].numpy(), want_h, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(c[2 * layer : 2 * layer + 2].numpy(), want_c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_files_and_state_dicts(rng, tmp_path, options):
    model = nn.LSTM(3, 7, 2, bidirectional=True, **options).eval()
    x = rng.standard_normal((4, 2, 3)).astype(np.float32)
    twin = nn.LSTM(3, 7, 2, bidirectional=True, **options).eval()
    twin.load_state_dict(model.state_dict())
    fnn.save(model, tmp_path / "m.safetensors")
    loaded = fnn.load(tmp_path / "m.safetensors").eval()
    assert repr(loaded) == repr(model) == repr(twin)
    assert np.array_equal(model(x)[0], twin(x)[0])
    assert np.array_equal(model(x)[0], loaded(x)[0])


def test_lists_of_sequences(rng):
    model = nn.LSTM(3, 8, 2, bidirectional=True, proj_size=5, layer_norm=True).eval()
    sequences = [rng.standard_normal((n, 3)).astype(np.float32) for n in (2, 5, 1)]
    y, (h, c) = model(sequences)
    for i, x in enumerate(sequences):
        alone, (h_alone, c_alone) = model(x)
        assert np.array_equal(y[i], alone)
        assert np.array_equal(h[:, i], h_alone)
        assert np.array_equal(c[:, i], c_alone)


@fnn.no_grad()
def test_random_masks():
    """Rates, the same masks for the same seed, and none of them in evaluation."""
    model = nn.LSTM(2, 64, zoneout=(0.3, 0.1))
    zeros = {k: np.zeros_like(v) for k, v in model.state_dict().items()}
    zeros["bias_ih_l0"][:] = 1.0
    model.load_state_dict(zeros)
    x, hx = np.zeros((1, 200, 2)), (np.full((1, 200, 64), 9.0), np.full((1, 200, 64), -9.0))
    fnn.manual_seed(3)
    y, (_, c) = model(x, hx)
    assert abs((c == -9).float().mean() - 0.3) < 0.02
    assert abs((y == 9).float().mean() - 0.1) < 0.015
    fnn.manual_seed(3)
    assert np.array_equal(model(x, hx)[0], y)
    assert not np.array_equal(model(x, hx)[0], y)
    average = np.mean([model(x, hx)[1][1].mean() for _ in range(20)])
    assert np.unique(model.eval()(x, hx)[1][1]).size == 1
    assert abs(model(x, hx)[1][1].mean() / average - 1) < 0.02


@fnn.no_grad()
def test_recurrent_dropout_rate():
    model = nn.LSTM(2, 64, recurrent_dropout=0.25)
    model.load_state_dict({k: np.ones_like(v) for k, v in model.state_dict().items()})
    x = np.zeros((1, 200, 2))
    c = model(x)[1][1]
    assert abs((c == 0).float().mean() - 0.25) < 0.02
    kept = model.eval()(x)[1][1]
    np.testing.assert_allclose(c[c != 0], kept.max() / 0.75, rtol=1e-5)


def test_layer_errors():
    with pytest.raises(ValueError, match="LSTM: proj_size is 8, expected less than hidden_size=8"):
        nn.LSTM(3, 8, proj_size=8)
    with pytest.raises(ValueError, match="LSTM: cell_clip is -1, expected a positive number or None"):
        nn.LSTM(3, 8, cell_clip=-1)
    with pytest.raises(ValueError, match=r"LSTM: zoneout is \(0.1, 0.2, 0.3\), expected a probability, or two"):
        nn.LSTM(3, 8, zoneout=(0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match="LSTM: zoneout: p is 2, expected a probability"):
        nn.LSTM(3, 8, zoneout=2)
    with pytest.raises(ValueError, match="LSTM: recurrent_dropout: p is -1"):
        nn.LSTM(3, 8, recurrent_dropout=-1)
    with pytest.raises(ValueError, match=r"LSTM: the state h has shape \(1, 2, 8\), expected \(1, 2, 5\)"):
        nn.LSTM(3, 8, proj_size=5)(np.zeros((4, 2, 3)), (np.zeros((1, 2, 8)), np.zeros((1, 2, 8))))

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, viz

pytest.importorskip("matplotlib")


def png(figure, tmp_path):
    figure.savefig(tmp_path / "plot.png")  # layout problems and missing glyphs are warnings, and those are errors here
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def images(figure):
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes]


def test_training_curves(tmp_path):
    history = [
        {"epoch": 1, "loss": 2.0, "val_loss": 2.5, "accuracy": 0.5, "seconds": 3.0},
        {"epoch": 2, "loss": 1.0, "val_loss": None, "accuracy": 0.75, "seconds": 3.0},
    ]
    figure = viz.training_curves(history)
    assert [ax.get_title() for ax in figure.axes] == ["loss", "accuracy"]
    curves = [[line.get_xydata().tolist() for line in ax.lines] for ax in figure.axes]
    assert curves == [[[[1, 2.0], [2, 1.0]], [[1, 2.5]]], [[[1, 0.5], [2, 0.75]]]]
    assert {ax.get_xlabel() for ax in figure.axes} == {"epoch"}
    png(figure, tmp_path)
    (ax,) = viz.training_curves([{"step": 50, "loss": 2.0}, {"step": 100, "loss": 1.0}]).axes
    assert ax.lines[0].get_xydata().tolist() == [[50, 2.0], [100, 1.0]]
    assert ax.get_xlabel() == "step"
    for nothing in ([], [{"epoch": 1}]):
        with pytest.raises(ValueError, match="no rows with metrics"):
            viz.training_curves(nothing)


def test_filters(tmp_path, rng):
    conv = nn.Conv2d(1, 6, 5)
    figure = viz.filters(conv.weight)
    for shown, filter in zip(images(figure), conv.weight.data[:, 0], strict=True):
        np.testing.assert_array_equal(shown, filter)
    png(figure, tmp_path)
    assert len(viz.filters(rng.standard_normal((4, 3, 2, 2))).axes) == 12
    assert len(viz.filters(rng.standard_normal((40, 3, 2, 2)), limit=10).axes) == 10
    png(viz.filters(np.zeros((1, 1, 3, 3))), tmp_path)
    with pytest.raises(ValueError, match=r"filters: weight has shape \(3, 3\)"):
        viz.filters(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="is empty"):
        viz.filters(np.zeros((0, 1, 3, 3)))


def test_feature_maps(tmp_path, rng):
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))
    x = rng.standard_normal((1, 8, 8)).astype(np.float32)
    figure = viz.feature_maps(model, x, model[1])
    expected = model[1](model[0](x[None])).numpy()[0] if hasattr(model(x[None]), "numpy") else None
    assert expected is not None
    for shown, channel in zip(images(figure), expected, strict=True):
        np.testing.assert_array_equal(shown, channel)
    assert "forward" not in vars(model[1])  # put back
    assert model.training
    png(figure, tmp_path)
    assert len(viz.feature_maps(model, x[None], model[0], limit=2).axes) == 2
    with pytest.raises(ValueError, match=r"the layer Flatten gave shape \(1, 108\)"):
        viz.feature_maps(model, x, model[2])
    with pytest.raises(ValueError, match="the layer ReLU was not called"):
        viz.feature_maps(model, x, nn.ReLU())
    with pytest.raises(ValueError, match="expected one image"):
        viz.feature_maps(model, np.zeros((2, 1, 8, 8)), model[0])
    with pytest.raises(ValueError, match="conv2d"):
        viz.feature_maps(model, np.zeros((2, 8, 8)), model[0])
    assert "forward" not in vars(model[0])


def test_confusion_matrix(tmp_path):
    y, scores = [0, 1, 1, 2], np.eye(3)[[0, 1, 2, 2]]
    figure = viz.confusion_matrix(y, scores, labels=["a", "b", "c"])
    (ax,) = figure.axes
    np.testing.assert_array_equal(images(figure)[0], [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]])
    assert [(t.get_position(), t.get_text()) for t in ax.texts] == [
        ((0, 0), "1"),
        ((1, 1), "1"),
        ((2, 1), "1"),
        ((2, 2), "1"),
    ]
    assert ax.get_title() == "3 of 4 right (75.0%)"
    png(figure, tmp_path)
    assert viz.confusion_matrix(y, scores.argmax(1), ax=ax) is figure
    with pytest.raises(ValueError, match=r"y has shape \(4,\), prediction \(3, 3\)"):
        viz.confusion_matrix(y, scores[:3])
    with pytest.raises(ValueError, match="must not be negative"):
        viz.confusion_matrix([-1], [0])
    with pytest.raises(TypeError, match="expected integers"):
        viz.confusion_matrix([0.5], [0])


def test_lstm_gates_are_those_of_the_lstm(rng):
    lstm = nn.LSTM(3, 5, num_layers=2)
    x = rng.standard_normal((7, 3)).astype(np.float32)
    y, (h, c) = lstm(x[:, None])
    traces = viz.lstm_gates(lstm, x, layer=1)
    np.testing.assert_allclose(traces["h"], y.numpy()[:, 0], atol=1e-6)
    np.testing.assert_allclose(traces["c"][-1], c.numpy()[1, 0], atol=1e-6)
    np.testing.assert_allclose(viz.lstm_gates(lstm, x)["h"][-1], h.numpy()[0, 0], atol=1e-6)
    np.testing.assert_allclose(
        traces["c"][1:], (traces["f"] * np.roll(traces["c"], 1, 0) + traces["i"] * traces["g"])[1:]
    )
    plain = nn.LSTM(3, 5, bias=False)
    np.testing.assert_allclose(viz.lstm_gates(plain, x)["h"], plain(x[:, None])[0].numpy()[:, 0], atol=1e-6)
    with pytest.raises(ValueError, match=r"x has shape \(7, 2\), expected \(T, 3\)"):
        viz.lstm_gates(lstm, x[:, :2])
    with pytest.raises(ValueError, match="cannot follow layer 2"):
        viz.lstm_gates(lstm, x, layer=2)


def test_gate_traces(tmp_path, rng):
    lstm = nn.LSTM(3, 8)
    x = rng.standard_normal((6, 3))
    traces = viz.lstm_gates(lstm, x)
    figure = viz.gate_traces(lstm, x, text="a b\n\tc")
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "input gate i",
        "forget gate f",
        "output gate o",
        "candidate g",
        "cell c",
    ]
    unit = int(traces["c"].std(axis=0).argmax())
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), traces["f"][:, unit])
    assert "".join(label.get_text() for label in figure.axes[-1].get_xticklabels()) == "a·b↵→c"
    png(figure, tmp_path)
    figure = viz.gate_traces(lstm, x, units=range(6))
    np.testing.assert_array_equal(
        images(figure)[4] if len(figure.axes) == 5 else figure.axes[4].images[0].get_array(), traces["c"][:, :6].T
    )
    png(figure, tmp_path)
    with pytest.raises(ValueError, match="text has 2 characters, x 6 steps"):
        viz.gate_traces(lstm, x, text="ab")


def test_pyplot_is_not_touched():
    code = "import sys, numpy as np; from fastnn import viz; "
    code += "assert 'matplotlib' not in sys.modules; viz.filters(np.ones((1, 1, 2, 2))); "
    code += "assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "fastnn-cpu\[demo\]"'):
        viz.filters(np.ones((1, 1, 2, 2)))
    assert fnn.nn is nn

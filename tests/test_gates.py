"""viz.gates and viz.gate_traces of every recurrent layer and cell, against loops over single numbers in float64."""

import math

import numpy as np
import pytest
from streams import CELLS, LAYERS, OPTIONS, single_options, whole

from fastnn import nn, viz

FOLLOWED = {
    nn.GRU: {"recurrent_dropout", "reset_after", "zoneout"},
    nn.LSTM: {"recurrent_dropout"},
    nn.RNN: {"nonlinearity"},
}


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def one_step(kind, w, x, h, c, nonlinearity="tanh", reset_after=True, zoneout=0.0):
    """What each unit does, by name: {name: [one number a unit]}. Weights as lists of Python's floats."""
    units = len(w["weight_hh"][0])

    def product(weight, bias, row, values):
        return sum(a * b for a, b in zip(w[weight][row], values, strict=True)) + (w[bias][row] if bias in w else 0.0)

    def x_part(gate, unit):
        return product("weight_ih", "bias_ih", gate * units + unit, x)

    def h_part(gate, unit, values=h):
        return product("weight_hh", "bias_hh", gate * units + unit, values)

    def z(gate, unit):
        return x_part(gate, unit) + h_part(gate, unit)

    every = range(units)
    if kind == "RNN":
        a = [z(0, u) for u in every]
        return {"a": a, "h": [max(v, 0.0) if nonlinearity == "relu" else math.tanh(v) for v in a]}
    if kind == "LSTM":
        i, f, o = ([sigmoid(z(gate, u)) for u in every] for gate in (0, 1, 3))
        g = [math.tanh(z(2, u)) for u in every]
        new_c = [f[u] * c[u] + i[u] * g[u] for u in every]
        return {"i": i, "f": f, "g": g, "o": o, "c": new_c, "h": [o[u] * math.tanh(new_c[u]) for u in every]}
    r, update = ([sigmoid(z(gate, u)) for u in every] for gate in (0, 1))
    if reset_after:
        n = [math.tanh(x_part(2, u) + r[u] * h_part(2, u)) for u in every]
    else:
        n = [math.tanh(x_part(2, u) + h_part(2, u, [r[v] * h[v] for v in every])) for u in every]
    new_h = [(1 - update[u]) * n[u] + update[u] * h[u] for u in every]
    return {"r": r, "z": update, "n": n, "h": [zoneout * h[u] + (1 - zoneout) * new_h[u] for u in every]}


def expected(kind, weights, x, **options):
    w = {name: array.astype(np.float64).tolist() for name, array in weights.items()}
    h = c = [0.0] * len(w["weight_hh"][0])
    steps = []
    for row in x.astype(np.float64).tolist():
        steps.append(one_step(kind, w, row, h, c, **options))
        h, c = steps[-1]["h"], steps[-1].get("c", c)
    return {name: np.array([step[name] for step in steps]) for name in steps[0]}


def assert_same(traces, want):
    assert set(traces) == set(want)
    for name, trace in traces.items():
        np.testing.assert_allclose(trace, want[name], rtol=1e-12, atol=1e-14, err_msg=name)


def weights_of(layer, number=0):
    suffix = f"_l{number}"
    return {k.removesuffix(suffix): v for k, v in layer.state_dict().items() if k.endswith(suffix)}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "options"), [(kind, options) for kind, options in single_options()])
def test_gates_are_those_of_the_layer(rng, kind, options, bias):
    layer, x = kind(3, 5, 2, bias=bias, **options), rng.standard_normal((7, 3)).astype(np.float32)
    if not set(options) <= FOLLOWED[kind]:
        (name,) = options
        with pytest.raises(ValueError, match=rf"^gates: cannot follow {kind.__name__}\(3, 5.*: {name} is not traced"):
            viz.gates(layer, x)
        with pytest.raises(ValueError, match=f"^gate_traces: .*: {name} is not traced"):
            viz.gate_traces(layer, x)
        return
    followed = {name: value for name, value in options.items() if name != "recurrent_dropout"}
    first = expected(kind.__name__, weights_of(layer), x, **followed)
    assert_same(viz.gates(layer, x), first)
    second = expected(kind.__name__, weights_of(layer, 1), first["h"], **followed)
    traces = viz.gates(layer, x, layer=1)
    assert_same(traces, second)
    y, last = whole(layer, x)
    np.testing.assert_allclose(traces["h"], y, atol=1e-6)
    for part, name in zip(last, "hc", strict=False):
        np.testing.assert_allclose([first[name][-1], second[name][-1]], part, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_gates_of_cells(rng, kind):
    cell, x = kind(3, 5), rng.standard_normal((7, 3)).astype(np.float32)
    traces = viz.gates(cell, x)
    assert_same(traces, expected(kind.__name__.removesuffix("Cell"), cell.state_dict(), x))
    hx = None
    for row, h in zip(x, traces["h"], strict=True):
        hx = cell(row, hx)
        np.testing.assert_allclose((hx[0] if isinstance(hx, tuple) else hx).numpy(), h, atol=1e-6)
    with pytest.raises(ValueError, match=r"^gates: cannot follow layer 1 of .*: it is of 1 layers"):
        viz.gates(cell, x, layer=1)


@pytest.mark.parametrize("kind", LAYERS)
def test_forward_direction_of_a_bidirectional_layer(rng, kind):
    layer, x = kind(3, 5, 2, bidirectional=True), rng.standard_normal((7, 3)).astype(np.float32)
    assert_same(viz.gates(layer, x), expected(kind.__name__, weights_of(layer), x))
    single = kind(3, 5)
    single.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("_l0")})
    np.testing.assert_allclose(viz.gates(layer, x)["h"], whole(single, x)[0], atol=1e-6)
    for function in (viz.gates, viz.gate_traces):
        with pytest.raises(
            ValueError, match=rf"^{function.__name__}: cannot follow layer 1 of .*: it is bidirectional"
        ):
            function(layer, x, layer=1)


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_pictures(tmp_path, rng, kind):
    pytest.importorskip("matplotlib")
    layer, x = kind(3, 6), rng.standard_normal((5, 3))
    traces = viz.gates(layer, x)
    figure = viz.gate_traces(layer, x, text="a b\nc", units=[0, 2])
    labels = [ax.get_ylabel() for ax in figure.axes]
    shown = {"RNN": "ah", "GRU": "rznh", "LSTM": "ifogc"}[kind.__name__.removesuffix("Cell")]
    assert [label[-1] for label in labels] == list(shown)
    for ax, name in zip(figure.axes, shown, strict=True):
        for line, unit in zip(ax.lines, (0, 2), strict=False):
            assert np.array_equal(line.get_ydata(), traces[name][:, unit])
    assert figure.get_suptitle() == f"{kind.__name__} layer 0, units 0, 2"
    figure.savefig(tmp_path / "plot.png")
    colours = viz.gate_traces(layer, x, units=range(6))
    for ax, name in zip(colours.axes, shown, strict=False):
        assert np.array_equal(ax.images[0].get_array(), traces[name].T)
    varies = traces["c" if "c" in traces else "h"].std(axis=0).argmax()
    assert viz.gate_traces(layer, x).get_suptitle().endswith(f"unit {varies}")


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_errors(kind):
    layer, x = kind(3, 4), np.ones((5, 3))
    for function in (viz.gates, viz.gate_traces):
        op = function.__name__
        for wrong in (np.ones((5, 2)), np.ones(3), np.ones((5, 1, 3)), np.ones((0, 3)), [[1.0, 2.0, 3.0], [1.0]], "ab"):
            with pytest.raises((ValueError, TypeError), match=f"^{op}: x "):
                function(layer, wrong)
        for wrong in (-1, 1, 2, 1.0, None, "0", True):
            with pytest.raises((ValueError, TypeError), match=f"^{op}: .*layer"):
                function(layer, x, layer=wrong)
    for units in ([4], [-1], [], [1.0], ["0"], [0, 9], 3):
        with pytest.raises((ValueError, TypeError), match=r"^gate_traces: units"):
            viz.gate_traces(layer, x, units=units)
    for text in ("abc", "", 12345, list("abcde")):
        with pytest.raises((ValueError, TypeError), match=r"^gate_traces: text"):
            viz.gate_traces(layer, x, text=text)


@pytest.mark.parametrize("model", [nn.Linear(3, 4), nn.Sequential(nn.LSTM(3, 4)), nn.CRF(3), None, np.ones(3)])
def test_other_modules(model):
    for function in (viz.gates, viz.gate_traces):
        with pytest.raises(TypeError, match=rf"^{function.__name__}: the layer is a {type(model).__name__}, expected"):
            function(model, np.ones((5, 3)))


def test_lstm_gates_is_for_lstms():
    for model in (nn.GRU(3, 4), nn.RNN(3, 4), nn.GRUCell(3, 4), nn.Linear(3, 4)):
        with pytest.raises(TypeError, match=f"^lstm_gates: the layer is a {type(model).__name__}"):
            viz.lstm_gates(model, np.ones((5, 3)))
    layer, x = nn.LSTM(3, 4), np.ones((5, 3))
    for name, trace in viz.lstm_gates(layer, x).items():
        assert np.array_equal(trace, viz.gates(layer, x)[name])


def test_every_option_is_followed_or_refused():
    assert set(FOLLOWED) == set(OPTIONS) == set(LAYERS)

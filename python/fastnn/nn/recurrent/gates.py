"""What recurrent layers compute inside at each step of one sequence, made again in float64 NumPy from their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_float32, positive_int
from fastnn.nn.module import Module
from fastnn.nn.recurrent.cells import GRUCell, LSTMCell, RNNCell
from fastnn.nn.recurrent.gru import GRU
from fastnn.nn.recurrent.lstm import LSTM
from fastnn.nn.recurrent.rnn import RNN
from fastnn.value import Tensor

Array = npt.NDArray[np.float64]
Traces = dict[str, Array]
State = tuple[Array, ...]
_Walk = Callable[[Any, dict[str, Array], Array, State], Traces]


def _sigmoid(x: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _biases(w: dict[str, Array]) -> tuple[Array, Array]:
    nothing = np.zeros(len(w["weight_hh"]))
    return w.get("bias_ih", nothing), w.get("bias_hh", nothing)


def _rnn(model: Any, w: dict[str, Array], x: Array, state: State) -> Traces:
    b_ih, b_hh = _biases(w)
    a = w["weight_ih"] @ x + b_ih + w["weight_hh"] @ state[0] + b_hh
    return {"a": a, "h": np.maximum(a, 0) if model.nonlinearity == "relu" else np.tanh(a)}


def _lstm(model: Any, w: dict[str, Array], x: Array, state: State) -> Traces:
    b_ih, b_hh = _biases(w)
    h, c = state
    i, f, g, o = np.split(w["weight_ih"] @ x + b_ih + w["weight_hh"] @ h + b_hh, 4)
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    c = f * c + i * g
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * np.tanh(c)}


def _gru(model: Any, w: dict[str, Array], x: Array, state: State) -> Traces:
    (h,), hidden = state, w["weight_hh"].shape[1]
    b_ih, b_hh = _biases(w)
    r_x, z_x, n_x = np.split(w["weight_ih"] @ x + b_ih, 3)
    r_h, z_h, n_h = np.split(w["weight_hh"] @ h + b_hh, 3)
    r, z = _sigmoid(r_x + r_h), _sigmoid(z_x + z_h)
    if getattr(model, "reset_after", True):
        n = np.tanh(n_x + r * n_h)
    else:
        n = np.tanh(n_x + w["weight_hh"][2 * hidden :] @ (r * h) + b_hh[2 * hidden :])
    kept = getattr(model, "zoneout", 0.0)
    return {"r": r, "z": z, "n": n, "h": kept * h + (1 - kept) * ((1 - z) * n + z * h)}


# Class: its step, the parts of its state, and the options that the step follows or that do nothing in evaluation.
_KINDS: dict[type[Module], tuple[_Walk, str, tuple[str, ...]]] = {
    GRU: (_gru, "h", ("recurrent_dropout", "reset_after", "zoneout")),
    GRUCell: (_gru, "h", ()),
    LSTM: (_lstm, "hc", ("recurrent_dropout",)),
    LSTMCell: (_lstm, "hc", ()),
    RNN: (_rnn, "h", ()),
    RNNCell: (_rnn, "h", ()),
}


def _kind(model: Any, op: str) -> tuple[_Walk, str]:
    found = [row for kind, row in _KINDS.items() if isinstance(model, kind)]
    if not found:
        expected = ", ".join(f"nn.{kind.__name__}" for kind in _KINDS)
        raise TypeError(f"{op}: the layer is a {type(model).__name__}, expected one of {expected}")
    walk, state, followed = found[0]
    for name, default in getattr(model, "_options", {}).items():
        if name not in followed and getattr(model, name) != default:
            raise ValueError(f"{op}: cannot follow {model!r}: {name} is not traced")
    return walk, state


def _weights(model: Any, suffix: str) -> dict[str, Array]:
    """Of the forward direction of one layer, by their names without its number."""
    return {
        name.removesuffix(suffix): np.asarray(p._array, np.float64)
        for name, p in model.named_parameters()
        if name.endswith(suffix)
    }


def gates(model: Module, x: Any, layer: int = 0) -> Traces:
    """What a recurrent layer in evaluation computes at each step of one sequence, made again in float64.

    Args:
        model: an nn.RNN, nn.LSTM or nn.GRU of any number of layers, or one of their cells. Where it is bidirectional,
            the forward direction of layer 0 only.
        x: one sequence (T, input_size), T at least 1.
        layer: which layer, from 0. Default 0.

    Returns arrays (T, hidden_size) by name, from zero states. LSTM: "i", "f", "g", "o", input, forget, candidate and
    output gate, "c" and "h" (Hochreiter and Schmidhuber 1997; Gers et al. 2000). GRU, with all its options: "r", "z",
    "n", reset gate, update gate and candidate, and "h". RNN: "a", before the nonlinearity, and "h".

    Raises TypeError for another Module, ValueError for an LSTM with options that count in evaluation, an x of another
    shape or a layer that there is not.

    >>> import numpy as np
    >>> from fastnn import nn, viz
    >>> {name: trace.shape for name, trace in viz.gates(nn.GRU(3, 8), np.zeros((5, 3))).items()}
    {'r': (5, 8), 'z': (5, 8), 'n': (5, 8), 'h': (5, 8)}
    """
    return gates_for("gates", model, x, layer)


def gates_for(op: str, model: Module, x: Any, layer: int) -> Traces:
    """``gates``; op: who asks, for the errors."""
    walk, parts = _kind(model, op)
    recurrent: Any = model
    layers = getattr(recurrent, "num_layers", 1)
    both = getattr(recurrent, "bidirectional", False)
    if positive_int(layer, op, "layer", 0) >= (1 if both else layers):
        why = "bidirectional, only the forward direction of layer 0 can be followed" if both else f"of {layers} layers"
        raise ValueError(f"{op}: cannot follow layer {layer} of {model!r}: it is {why}")
    given = np.asarray(as_float32(x._array if isinstance(x, Tensor) else x, op, "x"), np.float64)
    if given.ndim != 2 or given.shape[1] != recurrent.input_size or len(given) < 1:
        raise ValueError(f"{op}: x has shape {given.shape}, expected (T, {recurrent.input_size}), T at least 1")
    traces: Traces = {}
    for number in range(layer + 1):
        weights = _weights(recurrent, f"_l{number}" if hasattr(recurrent, "num_layers") else "")
        state: State = tuple(np.zeros(recurrent.hidden_size) for _ in parts)
        steps = []
        for row in given:
            steps.append(walk(recurrent, weights, row, state))
            state = tuple(steps[-1][part] for part in parts)
        traces = {name: np.array([step[name] for step in steps]) for name in steps[0]}
        given = traces["h"]
    return traces


def lstm_gates(lstm: Module, x: Any, layer: int = 0) -> Traces:
    """``gates`` of an nn.LSTM or nn.LSTMCell, and of nothing else.

    >>> import numpy as np
    >>> from fastnn import nn, viz
    >>> list(viz.lstm_gates(nn.LSTM(3, 8), np.zeros((5, 3))))
    ['i', 'f', 'g', 'o', 'c', 'h']
    """
    if not isinstance(lstm, (LSTM, LSTMCell)):
        raise TypeError(f"lstm_gates: the layer is a {type(lstm).__name__}, expected an nn.LSTM or nn.LSTMCell")
    return gates_for("lstm_gates", lstm, x, layer)

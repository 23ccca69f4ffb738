"""Recurrent rows as Keras layers in a tf.function, sequences first. Part of tensorflow_peer.py.

XLA (jit_compile) for one sequence, where it is up to 8 times as fast; it is slower on batches, and so is unroll=True.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ..row import RECURRENT, Row

LAYERS = {"GRU": layers.GRU, "LSTM": layers.LSTM, "RNN": layers.SimpleRNN}


def gates(kind: str, array: np.ndarray) -> np.ndarray:
    """The last axis from torch's order of the gates to Keras' or back: a GRU's first two change places."""
    if kind != "GRU":
        return array
    r, z, n = np.split(array, 3, axis=-1)
    return np.concatenate([z, r, n], axis=-1)


def parameters(row: Row, kind: str, suffix: str, inputs: int, hidden: int, prefix: str = "") -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias of one direction: a GRU has both biases, the others their sum."""
    rows = RECURRENT[kind] * hidden
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    found = (gates(kind, row.weight(prefix + name + suffix, shape).T) for name, shape in shapes.items())
    kernel, recurrent, bias_ih, bias_hh = found
    return [kernel, recurrent, np.stack([bias_ih, bias_hh]) if kind == "GRU" else bias_ih + bias_hh]


def layer(kind: str, hidden: int, both: bool = False) -> Any:
    one = LAYERS[kind](hidden, return_sequences=True)
    return layers.Bidirectional(one) if both else one


def build_layer(row: Row) -> dict[str, Callable[[], Any]]:
    o = row.options
    both = bool(o.get("bidirectional"))
    stack = [layer(row.kind, o["hidden_size"], both) for _ in range(o.get("num_layers", 1))]
    inputs = keras.Input((row.x[0], row.x[2]))
    y = inputs
    for one in stack:
        y = one(y)
    model = keras.Model(inputs, y)
    h = o["hidden_size"]
    model.set_weights([array for name, size in row.layers() for array in parameters(row, row.kind, name, size, h)])
    x, dy = (tf.constant(a.swapaxes(0, 1)) for a in (row.input(), row.gradient(row.output)))
    weights = model.trainable_variables

    @tf.function(jit_compile=row.x[1] == 1)
    def forward(x: Any) -> Any:
        return model(x)

    @tf.function(jit_compile=row.x[1] == 1)
    def train(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=True)
        return y, *tape.gradient(y, [x, *weights], output_gradients=dy)

    return {"forward": lambda: forward(x), "train": lambda: train(x, dy)}


def build_streaming(row: Row) -> dict[str, Callable[[], Any]]:
    hidden = row.options["hidden_size"]
    cell = layers.LSTMCell(hidden)
    x, state = tf.constant(row.input()[0]), [tf.zeros((1, hidden))] * 2
    cell(x, state)
    cell.set_weights(parameters(row, row.kind, "_l0", row.x[2], hidden))

    @tf.function(jit_compile=True)
    def step(x: Any, h: Any, c: Any) -> Any:
        return cell(x, [h, c])[1]

    def forward() -> Any:
        nonlocal state
        state = step(x, *state)
        return state[0]

    return {"forward": forward}


def build(row: Row) -> dict[str, Callable[[], Any]]:
    if row.lengths is not None:
        return {}
    return build_streaming(row) if row.streaming else build_layer(row)


def to_arrays(value: Any, row: Row) -> list[np.ndarray]:
    """y, dx and the gradients of all parameters in torch's shapes, order and number."""
    if row.streaming:
        return [value.numpy()]
    y, *gradients = [part.numpy() for part in (value if isinstance(value, (tuple, list)) else [value])]
    found = [part.swapaxes(0, 1) for part in (y, *gradients[:1])]
    for kernel, recurrent, bias in zip(*(gradients[1 + i :: 3] for i in range(3)), strict=True):
        biases = bias if bias.ndim == 2 else (bias, bias)
        found += [gates(row.kind, part).T for part in (kernel, recurrent, *biases)]
    return found

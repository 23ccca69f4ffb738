"""Training steps with recurrent layers in JAX: a jitted function, its parameters donated. Part of jax_peer.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..row import EMBEDDING, HIDDEN, LAYERS, VOCABULARY, Row
from .jax_recurrent import walk

Arrays = dict[str, Any]
Model = Callable[[Arrays, Arrays, Any], tuple[Any, Arrays]]  # parameters, running statistics, x -> output, statistics


def lstm_shapes(layer: str, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    rows = 4 * hidden
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    return {f"lstm.{name}_{layer}": shape for name, shape in shapes.items()}


def linear_shapes(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def direction(p: Arrays, x: Any, layer: str, reverse: bool = False) -> Any:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return walk("LSTM", x, tuple(p[f"lstm.{name}_{layer}"] for name in names), reverse)


def linear(p: Arrays, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def conv(p: Arrays, name: str, x: Any) -> Any:
    y = lax.conv_general_dilated(x, p[f"{name}.weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def pool(x: Any, height: int, width: int) -> Any:
    window = (1, height, width, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def char_lstm(p: Arrays, s: Arrays, ids: Any) -> tuple[Any, Arrays]:
    x = p["embedding.weight"][ids]
    for i in range(LAYERS):
        x = direction(p, x, f"l{i}")
    return linear(p, "head", x), s


def crnn(p: Arrays, s: Arrays, x: Any) -> tuple[Any, Arrays]:
    s = dict(s)
    for place, width in ((0, 2), (4, 2), (8, 1), (12, 1)):
        x, name = conv(p, f"features.{place}", x), f"features.{place + 1}"
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        for part, now in (("mean", mean), ("var", variance * x[..., 0].size / (x[..., 0].size - 1))):
            s[f"{name}.{part}"] = 0.9 * s[f"{name}.{part}"] + 0.1 * lax.stop_gradient(now)
        x = (x - mean) * (lax.rsqrt(variance + 1e-5) * p[f"{name}.weight"]) + p[f"{name}.bias"]
        x = pool(jax.nn.relu(x), 2, width)
    n, h, w, c = x.shape
    x = x.transpose(2, 0, 3, 1).reshape(w, n, c * h)
    return linear(p, "head", jnp.concatenate([direction(p, x, "l0"), direction(p, x, "l0_reverse", True)], -1)), s


def video(p: Arrays, s: Arrays, x: Any, frames: int = 16) -> tuple[Any, Arrays]:
    for place in (0, 3):
        x = pool(jax.nn.relu(conv(p, f"features.{place}", x)), 2, 2)
    x = x.transpose(0, 3, 1, 2).reshape(-1, frames, x[0].size).swapaxes(0, 1)
    return linear(p, "head", direction(p, x, "l0").swapaxes(0, 1)), s


CHANNELS = (1, 32, 64, 128, 128)
SHAPES = {
    "char_lstm": {
        "embedding.weight": (VOCABULARY, EMBEDDING),
        **lstm_shapes("l0", EMBEDDING, HIDDEN),
        **lstm_shapes("l1", HIDDEN, HIDDEN),
        **linear_shapes("head", HIDDEN, VOCABULARY),
    },
    "crnn": {
        **{f"features.{4 * i}.weight": (CHANNELS[i + 1], CHANNELS[i], 3, 3) for i in range(4)},
        **{f"features.{4 * i + 1}.{part}": (CHANNELS[i + 1],) for i in range(4) for part in ("weight", "bias")},
        **lstm_shapes("l0", 256, 128),
        **lstm_shapes("l0_reverse", 256, 128),
        **linear_shapes("head", 256, 11),
    },
    "video": {
        "features.0.weight": (16, 3, 3, 3),
        "features.0.bias": (16,),
        "features.3.weight": (32, 16, 3, 3),
        "features.3.bias": (32,),
        **lstm_shapes("l0", 2048, 128),
        **linear_shapes("head", 128, 10),
    },
}
MODELS: dict[str, Model] = {"char_lstm": char_lstm, "crnn": crnn, "video": video}


def parameter(row: Row, name: str, shape: tuple[int, ...]) -> Any:
    """torch's with inputs before outputs; a table of embeddings as it is."""
    array = row.weight(name, shape)
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    elif name != "embedding.weight":
        array = array.T
    return jnp.asarray(np.ascontiguousarray(array))


def build(row: Row) -> dict[str, Callable[[], Any]]:
    model = MODELS[row.kind]
    p = {name: parameter(row, name, shape) for name, shape in SHAPES[row.kind].items()}
    velocity = {name: jnp.zeros_like(array) for name, array in p.items()}
    norms = {f"features.{4 * i + 1}": CHANNELS[i + 1] for i in range(4)} if row.kind == "crnn" else {}
    statistics = {f"{k}.mean": jnp.zeros(c) for k, c in norms.items()} | {
        f"{k}.var": jnp.ones(c) for k, c in norms.items()
    }
    x, target = row.samples()
    x, target = jnp.asarray(np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x), jnp.asarray(target)

    def loss(p: Arrays, s: Arrays, x: Any, target: Any) -> tuple[Any, Arrays]:
        y, s = model(p, s, x)
        y = y.reshape(len(target), -1)
        chosen = jnp.take_along_axis(y, target[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(y, axis=1) - chosen).mean(), s

    def step(state: tuple[Arrays, Arrays, Arrays], x: Any, target: Any) -> Any:
        p, velocity, s = state
        (value, s), gradients = jax.value_and_grad(loss, has_aux=True)(p, s, x, target)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
        return value, (jax.tree.map(lambda w, v: w - 0.01 * v, p, velocity), velocity, s)

    jitted, state = jax.jit(step, donate_argnums=0), (p, velocity, statistics)

    def train() -> Any:
        nonlocal state
        value, state = jax.block_until_ready(jitted(state, x, target))
        return value

    return {"train": train}

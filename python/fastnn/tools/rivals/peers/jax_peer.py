"""JAX: jit of the forward, and of the forward with jax.vjp, on (N, H, W, C) arrays, as XLA's CPU kernels want them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
if os.environ.get("OMP_NUM_THREADS") == "1":
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..row import CONVOLUTIONS, POOLINGS, RECURRENT, Row
from . import jax_recurrent, jax_steps

Calls = dict[str, Callable[[], Any]]


def set_threads(n: int) -> None:
    """XLA takes as many threads as the process has cores."""


def version() -> str:
    return f"jax {jax.__version__}"


def last(x: Any) -> Any:
    """torch's (N, C, ...) as (N, ..., C)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim > 2 else x


def filters_last(w: Any) -> Any:
    """torch's (K, C, ...) as (..., C, K)."""
    return np.ascontiguousarray(np.moveaxis(w, (1, 0), (-2, -1))) if w.ndim > 2 else w


def convolution(row: Row) -> Callable[..., Any]:
    get, axes = row.options.get, len(row.x) - 2
    stride, pad, spread = (get("stride", 1),) * axes, get("padding", 0), (get("dilation", 1),) * axes
    dimensions = ("NHWC", "HWIO", "NHWC") if axes == 2 else ("NWC", "WIO", "NWC")
    if row.kind == "ConvTranspose2d":  # the gradient of a convolution: dilate x, flip the filters
        edge = row.options["kernel_size"] - 1 - pad
        return lambda x, w, b: b + lax.conv_general_dilated(
            x, jnp.flip(w, (0, 1)).swapaxes(2, 3), (1, 1), [(edge, edge)] * 2, lhs_dilation=stride,
            dimension_numbers=dimensions,
        )  # fmt: skip
    return lambda x, w, b: b + lax.conv_general_dilated(
        x, w, stride, [(pad, pad)] * axes, rhs_dilation=spread, dimension_numbers=dimensions,
        feature_group_count=get("groups", 1),
    )  # fmt: skip


def pooling(row: Row) -> Callable[..., Any]:
    if row.kind == "AdaptiveAvgPool2d":
        return lambda x: x.mean((1, 2), keepdims=True)
    kernel, pad = row.options["kernel_size"], row.options.get("padding", 0)
    stride = row.options.get("stride", kernel)
    window, steps, pads = (1, kernel, kernel, 1), (1, stride, stride, 1), [(0, 0), (pad, pad), (pad, pad), (0, 0)]
    if row.kind == "MaxPool2d":
        return lambda x: lax.reduce_window(x, -jnp.inf, lax.max, window, steps, pads)
    return lambda x: lax.reduce_window(x, 0.0, lax.add, window, steps, pads) / kernel**2


def batchnorm(x: Any, weight: Any, bias: Any) -> Any:
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * (lax.rsqrt(variance + 1e-5) * weight) + bias


def layer(row: Row) -> Callable[..., Any] | None:
    if row.kind in CONVOLUTIONS:
        return convolution(row)
    if row.kind in POOLINGS:
        return pooling(row)
    functions = {"BatchNorm2d": batchnorm, "Linear": lambda x, w, b: x @ w.T + b, "ReLU": jax.nn.relu}
    return functions.get(row.kind)


def build_layer(row: Row, function: Callable[..., Any]) -> Calls:
    weights = [filters_last(weight) for weight in row.weights().values()]
    arguments = [jnp.asarray(a) for a in (last(row.input()), *weights)]
    shape = jax.eval_shape(function, *arguments).shape
    dy = last(row.gradient((shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else shape))
    return calls(function, arguments, jnp.asarray(dy))


def build_recurrent(row: Row) -> Calls:
    arguments = [jnp.asarray(row.input()), *jax_recurrent.parameters(row)]
    return calls(jax_recurrent.layers(row), arguments, jnp.asarray(row.gradient(row.output)))


def calls(function: Callable[..., Any], arguments: list[Any], dy: Any) -> Calls:
    forward = jax.jit(function)

    def value_and_gradients(dy: Any, *arguments: Any) -> Any:
        y, backward = jax.vjp(function, *arguments)
        return y, *backward(dy)

    train = jax.jit(value_and_gradients)
    return {
        "forward": lambda: jax.block_until_ready(forward(*arguments)),
        "train": lambda: jax.block_until_ready(train(dy, *arguments)),
    }


def build_cross_entropy(row: Row) -> Calls:
    x, labels = jnp.asarray(row.input()), jnp.asarray(row.labels())

    def loss(x: Any, labels: Any) -> Any:
        chosen = jnp.take_along_axis(x, labels[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(x, axis=1) - chosen).mean()

    train = jax.jit(jax.value_and_grad(loss))
    return {"train": lambda: jax.block_until_ready(train(x, labels))}


def build(row: Row) -> Calls:
    if row.kind == "cross_entropy":
        return build_cross_entropy(row)
    if row.kind in jax_steps.MODELS:
        return jax_steps.build(row)
    if row.streaming:
        return jax_recurrent.build_streaming(row)
    if jax_recurrent.has(row):
        return build_recurrent(row)
    function = layer(row)
    return {} if function is None else build_layer(row, function)


def to_arrays(value: Any, row: Row) -> Any:
    """The parts in torch's shapes: images with channels first; a filter bank is the third part of four."""
    parts = [np.asarray(part) for part in (value if isinstance(value, (tuple, list)) else [value])]
    if row.kind in RECURRENT:
        return [*parts[:2], *(part.T for part in parts[2:])]
    moved = []
    for i, part in enumerate(parts):
        if part.ndim > 2 and i == 2:
            moved.append(np.moveaxis(part, (-2, -1), (1, 0)))
        else:
            moved.append(np.moveaxis(part, -1, 1) if part.ndim > 2 else part)
    return moved

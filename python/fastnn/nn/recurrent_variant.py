"""The options that nn.LSTM and nn.GRU have beside torch's: their checks, parameters and random masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import FloatArray
from fastnn.nn.init import filled, uniform
from fastnn.ops.dropout import check_probability
from fastnn.random import generator
from fastnn.tensor import Parameter


def check_pair(value: Any, op: str) -> tuple[float, float]:
    """zoneout as (of c, of h)."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{op}: zoneout is {value!r}, expected a probability, or two: of c and of h")
    return check_probability(pair[0], f"{op}: zoneout"), check_probability(pair[1], f"{op}: zoneout")


def check_clip(value: Any, op: str) -> float | None:
    if value is not None and not value > 0:
        raise ValueError(f"{op}: cell_clip is {value}, expected a positive number or None")
    return None if value is None else float(value)


def zone_mask(p: float, shape: tuple[int, ...], training: bool) -> Any:
    """What part of a state stays: a random mask, or, in evaluation, its expectation."""
    if not training or not p:
        return p or None
    return (generator().random(shape, np.float32) < p).astype(np.float32)


def drop_mask(p: float, shape: tuple[int, ...], training: bool) -> FloatArray | None:
    """0 with probability p, else 1 / (1 - p); None in evaluation."""
    if not training or not p:
        return None
    kept = (generator().random(shape, np.float32) >= p).astype(np.float32)
    return kept / np.float32(1 - p) if p < 1 else kept


def lstm_parameters(layer: Any, bound: float) -> dict[str, Parameter]:
    """What one direction of nn.LSTM has beside torch's four, by name."""
    hidden, width = layer.hidden_size, layer._gates * layer.hidden_size
    made = {}
    if layer.proj_size:
        made["weight_hr"] = uniform((layer.proj_size, hidden), bound)
    if layer.peephole:
        made["weight_peephole"] = uniform((3, hidden), bound)
    if layer.layer_norm:
        made |= {f"weight_norm_{part}": filled((width,), 1.0) for part in ("ih", "hh")}
        made["weight_norm_c"] = filled((hidden,), 1.0)
        if layer.bias:
            made["bias_norm_c"] = filled((hidden,), 0.0)
    return {name: Parameter(array) for name, array in made.items()}


def lstm_options(layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Options of ops.lstm_variant for one layer of nn.LSTM on x of that shape: (T, N, features), or packed (rows,
    features)."""
    c_shape = (layer._directions(), *shape[:-1], layer.hidden_size)
    h_shape = (*c_shape[:-1], layer._state_size(" h"))
    zone_c, zone_h = check_pair(layer.zoneout, "LSTM")
    return {
        "coupled": layer.coupled,
        "cell_clip": layer.cell_clip,
        "zoneout_c": zone_mask(zone_c, c_shape, layer.training),
        "zoneout_h": zone_mask(zone_h, h_shape, layer.training),
        "drop": drop_mask(layer.recurrent_dropout, c_shape, layer.training),
    }


def gru_options(layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Options of ops.gru_variant for one layer of nn.GRU on x of that shape."""
    own = (layer._directions(), *shape[:-1], layer.hidden_size)
    return {
        "reset_after": layer.reset_after,
        "zoneout": zone_mask(layer.zoneout, own, layer.training),
        "drop": drop_mask(layer.recurrent_dropout, own, layer.training),
    }


def changed(layer: Any, defaults: dict[str, Any]) -> str:
    """The options that differ from their defaults, as repr() shows them."""
    return "".join(
        f", {name}={getattr(layer, name)!r}" for name, default in defaults.items() if getattr(layer, name) != default
    )

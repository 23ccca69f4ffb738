"""The options that nn.LSTM and nn.GRU have beside torch's: their checks, parameters, and as options of the ops."""

from __future__ import annotations

from typing import Any

from fastnn.nn.init import filled, uniform
from fastnn.ops.checks import check_probability
from fastnn.value import Parameter


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


def lstm_options(layer: Any) -> dict[str, Any]:
    """Options of ops.lstm_variant for a layer of nn.LSTM."""
    zone_c, zone_h = check_pair(layer.zoneout, "LSTM")
    return {
        "coupled": layer.coupled,
        "cell_clip": layer.cell_clip,
        "zoneout_c": zone_c,
        "zoneout_h": zone_h,
        "recurrent_dropout": layer.recurrent_dropout,
        "training": layer.training,
    }


def gru_options(layer: Any) -> dict[str, Any]:
    """Options of ops.gru_variant for a layer of nn.GRU, beside zoneout."""
    return {
        "reset_after": layer.reset_after,
        "recurrent_dropout": layer.recurrent_dropout,
        "training": layer.training,
    }


def changed(layer: Any, defaults: dict[str, Any]) -> str:
    """The options that differ from their defaults, as repr() shows them."""
    return "".join(
        f", {name}={getattr(layer, name)!r}" for name, default in defaults.items() if getattr(layer, name) != default
    )

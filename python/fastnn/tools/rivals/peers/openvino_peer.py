"""OpenVINO: latency hint, float32, constant weights, tensors set beforehand. Forward only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino

from ..row import Row
from .onnx_model import inputs, onnx_model, output_shape, outputs

core = openvino.Core()
CONFIG: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


def set_threads(n: int) -> None:
    CONFIG["INFERENCE_NUM_THREADS"] = n


def version() -> str:
    return f"openvino {openvino.__version__.split('-')[0]}"


def bound(compiled: Any, given: dict[str, np.ndarray], made: dict[str, np.ndarray]) -> Any:
    request = compiled.create_infer_request()
    for name, array in [*given.items(), *made.items()]:
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    return request


def in_turn(compiled: Any, given: dict[str, np.ndarray], made: dict[str, np.ndarray]) -> Callable[[], Any]:
    """A call reads the states that the call before wrote: two requests, no copies."""
    states = [name for name in given if name != "x"]
    back = {name: made[f"next {name}"] for name in states}
    turns = [
        (bound(compiled, given, made), made["next h"]),
        (bound(compiled, {**given, **back}, {f"next {name}": given[name] for name in states}), given["h"]),
    ]
    at = 1

    def forward(held: Any = (given, made)) -> Any:
        nonlocal at
        at = 1 - at
        request, h = turns[at]
        request.infer()
        return h

    return forward


def build(row: Row) -> dict[str, Callable[[], Any]]:
    model = onnx_model(row)
    if model is None:
        return {}
    compiled = core.compile_model(core.read_model(model, b""), "CPU", CONFIG)
    given, made = inputs(row), {name: np.zeros(shape, np.float32) for name, shape in outputs(row).items()}
    if row.streaming:
        return {"forward": in_turn(compiled, given, made)}
    request, y = bound(compiled, given, made), made["y"]

    def forward(held: Any = given) -> Any:  # the memory of the inputs
        request.infer()
        return y

    return {"forward": forward}


def to_arrays(value: Any, row: Row) -> Any:
    return value.reshape(output_shape(row))

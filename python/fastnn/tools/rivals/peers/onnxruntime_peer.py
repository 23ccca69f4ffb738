"""ONNX Runtime: all graph optimizations, constant weights, input and output bound beforehand. Forward only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

from ..row import Row
from .onnx_model import inputs, onnx_model, output_shape, outputs

options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
options.inter_op_num_threads = 1


def set_threads(n: int) -> None:
    options.intra_op_num_threads = n


def version() -> str:
    return f"onnxruntime {onnxruntime.__version__}"


def bound(session: Any, given: dict[str, Any], made: dict[str, Any]) -> Any:
    binding = session.io_binding()
    for name, value in given.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in made.items():
        binding.bind_ortvalue_output(name, value)
    return binding


def in_turn(session: Any, given: dict[str, Any], made: dict[str, Any]) -> Callable[[], Any]:
    """A call reads the states that the call before wrote: two bindings, no copies."""
    states = [name for name in given if name != "x"]
    back = {name: made[f"next {name}"] for name in states}
    turns = [
        (bound(session, given, made), made["next h"]),
        (bound(session, {**given, **back}, {f"next {name}": given[name] for name in states}), given["h"]),
    ]
    at = 1

    def forward() -> Any:
        nonlocal at
        at = 1 - at
        binding, h = turns[at]
        session.run_with_iobinding(binding)
        return h

    return forward


def build(row: Row) -> dict[str, Callable[[], Any]]:
    model = onnx_model(row)
    if model is None:
        return {}
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    given = {name: value(array) for name, array in inputs(row).items()}
    made = {name: value(np.zeros(shape, np.float32)) for name, shape in outputs(row).items()}
    if row.streaming:
        return {"forward": in_turn(session, given, made)}
    y, binding = made["y"], bound(session, given, made)

    def forward() -> Any:
        session.run_with_iobinding(binding)
        return y

    return {"forward": forward}


def to_arrays(value: Any, row: Row) -> Any:
    return value.numpy().reshape(output_shape(row))

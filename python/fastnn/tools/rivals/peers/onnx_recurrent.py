"""Recurrent rows as ONNX models, in ONNX's order of the gates. Part of onnx_model.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from ..row import RECURRENT, Row

ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # of torch's i f g o, r z n
STATES = {"LSTM": ("h", "c"), "GRU": ("h",), "RNN": ("h",)}


def inputs(row: Row) -> dict[str, np.ndarray]:
    """What a call is given: x, the lengths of a ragged row, the states of a streaming one."""
    found = {"x": row.input()}
    if row.lengths is not None:
        found["lengths"] = row.lengths.astype(np.int32)
    if row.streaming:
        shape = (1, 1, row.options["hidden_size"])
        found |= {name: np.zeros(shape, np.float32) for name in STATES[row.kind]}
    return found


def outputs(row: Row) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a call returns: y, or the next states of a streaming row."""
    if row.streaming:
        return {f"next {name}": (1, 1, row.options["hidden_size"]) for name in STATES[row.kind]}
    both = row.options.get("bidirectional")
    return {"y": row.output if both else (row.x[0], 1, *row.output[1:])}  # the axis of directions costs nothing


def constants(row: Row) -> dict[str, np.ndarray]:
    """W, R and B of every layer, the directions first."""
    suffixes, weights = [suffix for suffix, _ in row.layers()], row.weights()

    def gates(name: str) -> np.ndarray:
        parts = np.split(weights[name], RECURRENT[row.kind])
        return np.concatenate([parts[i] for i in ORDER[row.kind]])

    found = {}
    for i in range(row.options.get("num_layers", 1)):
        own = [suffix for suffix in suffixes if suffix.startswith(f"_l{i}")]
        found[f"W{i}"] = np.stack([gates(f"weight_ih{suffix}") for suffix in own])
        found[f"R{i}"] = np.stack([gates(f"weight_hh{suffix}") for suffix in own])
        biases = [np.concatenate([gates(f"bias_ih{suffix}"), gates(f"bias_hh{suffix}")]) for suffix in own]
        found[f"B{i}"] = np.stack(biases)
    if row.options.get("bidirectional") or row.options.get("num_layers", 1) > 1:
        found["flat"] = np.array([0, 0, -1])  # a shape: T and N as they are
    return found


def nodes(row: Row) -> list[Any]:
    """One node per layer; between layers, and after both directions, y as torch has it."""
    o, given = row.options, inputs(row)
    both = bool(o.get("bidirectional"))
    options = {"hidden_size": o["hidden_size"], "direction": "bidirectional" if both else "forward"}
    options |= {"linear_before_reset": 1} if row.kind == "GRU" else {}
    extra = [name if name in given else "" for name in ("lengths", *STATES[row.kind])]
    results = ["", *outputs(row)] if row.streaming else None
    found, x, count = [], "x", o.get("num_layers", 1)
    for i in range(count):
        y = f"y{i}" if both or i + 1 < count else "y"
        found.append(helper.make_node(row.kind, [x, f"W{i}", f"R{i}", f"B{i}", *extra], results or [y], **options))
        if y != "y":
            x = "y" if i + 1 == count else f"x{i + 1}"
            found.append(helper.make_node("Transpose", [y], [f"{y} turned"], perm=[0, 2, 1, 3]))
            found.append(helper.make_node("Reshape", [f"{y} turned", "flat"], [x]))
    return found

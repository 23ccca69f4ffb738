"""The passes of fastnn's 3x3 convolutions one by one, y, dx and dw, directly and as it chooses."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import ops

from ..row import Row
from .fastnn_peer import Calls, laid_out, set_threads, to_arrays, version

__all__ = ["build", "set_threads", "to_arrays", "version"]


def passes(arrays: Any, attributes: dict[str, Any], dy: Any) -> dict[str, Any]:
    """y, dx and dw of a convolution, of arguments as it normalises them."""

    def run(*need: bool) -> Any:
        return ops.conv2d.run(*arrays, need=list(need), **attributes)

    to_x, to_weight = run(True, False, False)[1], run(False, True, False)[1]
    return {
        "y": lambda: run(False, False, False)[0],
        "dx": lambda: to_x(dy)[0],
        "dw": lambda: to_weight(dy)[1],
    }


def build(row: Row) -> Calls:
    """{"direct y": call, "direct dx": ..., "auto y": ...}; {} where there is no choice of algorithm."""
    o = row.options
    if row.kind != "Conv2d" or o["kernel_size"] != 3 or o.get("groups", 1) > 1 or row.x[1] < 64:
        return {}
    x = laid_out(row.input(), row)
    weight, bias = row.weights().values()
    dy = np.ascontiguousarray(row.gradient(row.output).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    calls: Calls = {}
    for how in ("direct", "auto"):
        with fnn.conv_algorithm(how):  # an attribute of the call from here on
            arrays, attributes = ops.conv2d.normalise(x, weight, bias, o.get("stride", 1), o.get("padding", 0))
        calls |= {f"{how} {name}": call for name, call in passes(arrays, attributes, dy).items()}
    return calls

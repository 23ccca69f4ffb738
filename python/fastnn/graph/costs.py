"""Multiply-adds of a call: a rule for every op that has a sum of products, and why the others have none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastnn.graph.graph import Call, Graph
from fastnn.ops.elementwise import ELEMENTWISE
from fastnn.ops.op import Shape
from fastnn.ops.pointwise_loss import POINTWISE_LOSSES
from fastnn.value import Parameter

Named = dict[str, Shape]  # shapes of the arrays of a call by the names of the arguments
Rule = Callable[[Named, Shape], int]  # and of its first output


def _filters(name: str) -> Rule:
    """Every filter at every place of its argument ``name``: x of a transposed convolution, else y."""

    def rule(given: Named, y: Shape) -> int:
        at = given["x"] if name == "x" else y
        return math.prod(given["weight"]) * at[0] * math.prod(at[2:])

    return rule


def _linear(given: Named, y: Shape) -> int:
    return math.prod(given["x"][:-1]) * math.prod(given["weight"])


def _matmul(given: Named, y: Shape) -> int:
    return math.prod(y) * given["a"][-1]


def _recurrent(given: Named, y: Shape) -> int:
    """Every matrix at every step of every sample."""
    weights = [shape for name, shape in given.items() if name.startswith("weight") and len(shape) == 2]
    return math.prod(given["x"][:-1]) * sum([math.prod(shape) for shape in weights])


MULTIPLY_ADDS: dict[str, Rule] = {
    "conv1d": _filters("y"),
    "conv2d": _filters("y"),
    "conv_transpose1d": _filters("x"),
    "conv_transpose2d": _filters("x"),
    "gru": _recurrent,
    "gru_cell": _recurrent,
    "gru_variant": _recurrent,
    "linear": _linear,
    "lstm": _recurrent,
    "lstm_cell": _recurrent,
    "lstm_variant": _recurrent,
    "matmul": _matmul,
    "rnn": _recurrent,
    "rnn_cell": _recurrent,
}

_EACH = "a function of each element: bound by memory"
_MOVED = "moves elements and computes nothing"
_ROWS = "a sum or a choice over elements: bound by memory"
_CHAINS = "sums of exponentials over chains, no products of matrices"

NONE: dict[str, str] = {
    **dict.fromkeys(ELEMENTWISE, _EACH),
    **{op.name: _ROWS for op in POINTWISE_LOSSES.values()},
    "adaptive_avgpool1d": _ROWS,
    "adaptive_avgpool2d": _ROWS,
    "add": _EACH,
    "all": _ROWS,
    "amax": _ROWS,
    "amin": _ROWS,
    "any": _ROWS,
    "argmax": _ROWS,
    "argmin": _ROWS,
    "avgpool1d": _ROWS,
    "avgpool2d": _ROWS,
    "batchnorm": _EACH,
    "bitwise_and": _EACH,
    "bitwise_not": _EACH,
    "bitwise_or": _EACH,
    "bitwise_xor": _EACH,
    "broadcast_to": _MOVED,
    "chunk": _MOVED,
    "clamp": _EACH,
    "clone": _MOVED,
    "detach": _MOVED,
    "concatenate": _MOVED,
    "crf_decode": _CHAINS,
    "crf_lengths": _ROWS,
    "crf_loss": _CHAINS,
    "cross_entropy": _ROWS,
    "ctc_beam_decode": _CHAINS,
    "ctc_greedy_decode": _ROWS,
    "ctc_loss": _CHAINS,
    "div": _EACH,
    "dropout": _EACH,
    "embedding": _MOVED,
    "eq": _EACH,
    "flatten": _MOVED,
    "flip": _MOVED,
    "floor_divide": _EACH,
    "ge": _EACH,
    "gt": _EACH,
    "index": _MOVED,
    "le": _EACH,
    "log_softmax": _ROWS,
    "logical_and": _EACH,
    "logical_not": _EACH,
    "logical_or": _EACH,
    "logical_xor": _EACH,
    "lt": _EACH,
    "max_at": _ROWS,
    "maximum": _EACH,
    "maxpool1d": _ROWS,
    "maxpool2d": _ROWS,
    "mean": _ROWS,
    "min_at": _ROWS,
    "minimum": _EACH,
    "mul": _EACH,
    "ne": _EACH,
    "packing": _MOVED,
    "pad": _MOVED,
    "permute": _MOVED,
    "pow": _EACH,
    "put_rows": _MOVED,
    "remainder": _EACH,
    "repeat": _MOVED,
    "reshape": _MOVED,
    "softmax": _ROWS,
    "split": _MOVED,
    "squeeze": _MOVED,
    "stack": _MOVED,
    "std": _ROWS,
    "sub": _EACH,
    "sum": _ROWS,
    "take_rows": _MOVED,
    "to_bool": _EACH,
    "to_float32": _EACH,
    "to_int64": _EACH,
    "transpose": _MOVED,
    "unbind": _MOVED,
    "unsqueeze": _MOVED,
    "var": _ROWS,
    "where": _EACH,
}


def named(graph: Graph, call: Call) -> Named:
    """Shapes of the arrays of a call by the names of the op's arguments."""
    pairs = zip(call.op.arguments, call.inputs, strict=False)
    return {name: graph.values[value].shape for name, value in pairs if value is not None}


def multiply_adds(graph: Graph, call: Call) -> int:
    """Of one call."""
    rule = MULTIPLY_ADDS.get(call.op.name)
    return 0 if rule is None else rule(named(graph, call), graph.values[call.outputs[0]].shape)


def parameters(graph: Graph, calls: Any) -> list[int]:
    """The values of parameters that calls read, each once."""
    read = [value for call in calls for value in call.inputs if value is not None]
    return [value for value in dict.fromkeys(read) if isinstance(graph.held.get(value), Parameter)]

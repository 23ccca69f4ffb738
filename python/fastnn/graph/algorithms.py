"""Which algorithm computes a call, forward and both gradients: a rule for every op that has several, or a product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn import _core
from fastnn.graph import costs
from fastnn.graph.costs import Named
from fastnn.graph.graph import Call, Graph, attributes_for
from fastnn.ops.op import Shape

# Of forward, input gradient and weight gradient, or one for all. Given: the arrays by the names of the arguments,
# attributes, the first output.
Rule = Callable[[Named, dict[str, Any], Shape], tuple[str, ...]]


def _flat(shape: Shape) -> Shape:
    """Of a sequence (N, C, L) the image of height one as which the 2-D kernels see it."""
    return (*shape[:2], 1, *shape[2:]) if len(shape) == 3 else shape


def _twice(value: Any) -> Any:
    return value if isinstance(value, tuple) else (1, value)


def _conv(given: Named, options: dict[str, Any], y: Shape) -> tuple[str, str, str]:
    sides = options["padding"]
    sides = sides if len(sides) == 4 else (0, 0, *sides)
    stride, dilation = _twice(options["stride"]), _twice(options["dilation"])
    found = _core.conv2d_algorithms(
        _flat(given["x"]), _flat(given["weight"]), stride, sides, dilation, options["groups"], options.get("algorithm")
    )
    return found[0], found[1], found[2]


def _conv_transpose(given: Named, options: dict[str, Any], y: Shape) -> tuple[str, str, str]:
    """The input gradient of a convolution from y to x."""
    h, w = options["padding"] if isinstance(options["padding"], tuple) else (0, options["padding"])
    pinned = options.get("algorithm")
    if isinstance(pinned, tuple):
        pinned = pinned[1], pinned[0], pinned[2]  # as the convolution has them
    around = {**options, "padding": (h, h, w, w), "algorithm": pinned}
    forward, dx, dw = _conv({"x": y, "weight": given["weight"]}, around, given["x"])
    return dx, forward, dw


def _gemm(given: Named, options: dict[str, Any], y: Shape) -> tuple[str, ...]:
    return ("gemm",)


RULES: dict[str, Rule] = {
    "conv1d": _conv,
    "conv2d": _conv,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "gru": _gemm,
    "gru_cell": _gemm,
    "gru_variant": _gemm,
    "linear": _gemm,
    "lstm": _gemm,
    "lstm_cell": _gemm,
    "lstm_variant": _gemm,
    "matmul": _gemm,
    "rnn": _gemm,
    "rnn_cell": _gemm,
}

NONE: dict[str, str] = {name: f"one way to compute it: {reason}" for name, reason in costs.NONE.items()}


def available(graph: Graph, call: Call) -> Call:
    """The call without the algorithms that it pins where this machine has none of that name for its shape: those of a
    file are of another one."""
    if call.attributes.get("algorithm") is None:
        return call
    try:
        algorithms(graph, call)
    except ValueError:
        return call._replace(attributes={k: v for k, v in call.attributes.items() if k != "algorithm"})
    return call


def algorithms(graph: Graph, call: Call) -> tuple[str, ...]:
    """Of forward, input gradient and weight gradient, or one for all; () where there is but one way."""
    rule = RULES.get(call.op.name)
    if rule is None:
        return ()
    sizes = [graph.values[value].shape for value in graph.inputs]
    options = attributes_for(call.attributes, sizes)
    return rule(costs.named(graph, call), options, graph.values[call.outputs[0]].shape)

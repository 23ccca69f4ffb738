"""What the calls of a graph cost on this machine, predicted and measured: forward, and both gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.graph.algorithms import algorithms
from fastnn.graph.costs import multiply_adds, parameters
from fastnn.graph.graph import Call, Graph, Visit, read, refs
from fastnn.ops.op import Shape
from fastnn.value import Parameter, Tensor

_WINOGRAD = 4.0  # a tile's 4x4 outputs take 6x6 products instead of 4x4 times 3x3
_REPEATS = 5
_SECONDS = 0.02  # of measurement for a forward
_SECONDS_BACK = 0.01


@dataclass(frozen=True)
class Cost:
    """One direction of one call. ``predicted`` and ``measured`` are microseconds; ``limit`` says which bound
    ``predicted`` is: "FMA" (multiply-adds in registers) or "copy" (every value read or written once, out of cache)."""

    algorithm: str  # "" where there is one way
    flops: float
    limit: str
    predicted: float
    measured: float


@dataclass(frozen=True)
class OpCost:
    """One call of an op: in which layer, of what shapes, and what it costs. Gradients are None where there are none."""

    op: str
    scope: str
    input: Shape
    output: Shape
    forward: Cost
    input_gradient: Cost | None
    weight_gradient: Cost | None


@dataclass(frozen=True)
class LayerCost:
    """One call of a layer. Times are microseconds of the forward, rates 1e9 multiplications and additions a second.

    ``algorithms`` are those of forward, input gradient and weight gradient. ``limit`` says which bound ``predicted``
    is: "FMA" (multiply-adds in registers) or "copy" (every value read or written once, out of cache).
    """

    name: str
    layer: str
    input: Shape
    output: Shape
    algorithms: tuple[str, ...]
    flops: float
    limit: str
    predicted: float
    measured: float
    peak: float  # flops per second of this machine with the threads set

    @property
    def predicted_gflops(self) -> float:
        return self.flops / self.predicted / 1e3

    @property
    def measured_gflops(self) -> float:
        return self.flops / self.measured / 1e3

    @property
    def of_peak(self) -> float:
        """Part of the FMA peak, Winograd counted as a plain sum (above 1 is possible), or of the copy bandwidth."""
        return self.flops / self.measured * 1e6 / self.peak if self.limit == "FMA" else self.predicted / self.measured


class Explanation(tuple[LayerCost, ...]):
    """The calls of a model's layers in order, a tuple of LayerCost; ``ops`` has every call of an op, in layers or not,
    with its gradients, as OpCost. ``print`` shows a table of the layers, ``print(costs.table())`` one of the ops."""

    ops: tuple[OpCost, ...] = ()

    def __str__(self) -> str:
        head = ("layer", "input", "output", "algorithm", "MFLOP", "predicted", "measured us", "GFLOP/s", "", "of peak")
        rows = [head]
        for cost in self:
            rates = (f"{cost.predicted_gflops:.0f}", f"{cost.measured_gflops:.0f}") if cost.flops else ("", "")
            rows.append(
                (
                    f"{cost.name} ({cost.layer})".lstrip(),
                    _x(cost.input),
                    _x(cost.output),
                    ", ".join(dict.fromkeys(cost.algorithms)),
                    f"{cost.flops / 1e6:.1f}" if cost.flops else "",
                    f"{cost.predicted:.1f}",
                    f"{cost.measured:.1f}",
                    *rates,
                    f"{100 * cost.of_peak:.0f} % {cost.limit}",
                )
            )
        return _aligned(rows)

    def table(self) -> str:
        """Every call of an op: predicted and measured microseconds of the forward and of both gradients."""
        rows = [("op", "input", "output", "algorithm", "MFLOP", "forward", "us", "dx", "us", "dw", "us")]
        for cost in self.ops:
            ways = [cost.forward, cost.input_gradient, cost.weight_gradient]
            times = [(f"{w.predicted:.1f}", f"{w.measured:.1f}") if w else ("", "") for w in ways]
            names = ", ".join(dict.fromkeys([w.algorithm for w in ways if w and w.algorithm]))
            flops = f"{cost.forward.flops / 1e6:.1f}" if cost.forward.flops else ""
            label = f"{cost.scope} ({cost.op})".lstrip()
            rows.append((label, _x(cost.input), _x(cost.output), names, flops, *times[0], *times[1], *times[2]))
        return _aligned(rows)


def _x(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:<{n}}" for cell, n in zip(row, wide, strict=True)).rstrip() for row in rows)


@dataclass(frozen=True)
class Machine:
    """Flops and copied bytes per second, at most."""

    peak: float
    bandwidth: float

    def predict(self, flops: float, values: int, algorithm: str) -> tuple[str, float]:
        """(limit, seconds) of the greater of two floors."""
        products = flops / _WINOGRAD if "Winograd" in algorithm else flops
        arithmetic, memory = products / self.peak, 4 * values / self.bandwidth
        limit = "FMA" if flops and (arithmetic >= memory or "Winograd" in algorithm) else "copy"
        return limit, max(arithmetic, memory, 1e-9)


def seconds(run: Callable[[], Any], least: float = _SECONDS) -> float:
    """The median of several runs."""
    times: list[float] = []
    end = time.perf_counter() + least
    while len(times) < _REPEATS or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return max(float(np.median(times)), 1e-9)


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else value


class _Measured:
    """The costs of a graph whose values are known."""

    def __init__(self, graph: Graph, shown: Sequence[Any], machine: Machine) -> None:
        self._graph, self._machine = graph, machine
        self._found = dict(enumerate(shown))
        self.ops = [self._of_op(call) for call in graph.calls]

    def _arrays(self, call: Call) -> list[Any]:
        return [_array(value) for value in read(call, self._found)]

    def _size(self, values: Any) -> int:
        return sum([math.prod(self._graph.values[v].shape) for v in values if v is not None])

    def _shape(self, nest: Any) -> Shape:
        """Of the first value; () where there is none."""
        first = next(refs(nest), None)
        return () if first is None else self._graph.values[first].shape

    def _of_op(self, call: Call) -> OpCost:
        arrays, ways = self._arrays(call), algorithms(self._graph, call) or ("",)
        ways = ways * 3 if len(ways) == 1 else ways
        flops, values = 2.0 * multiply_adds(self._graph, call), self._size(call.inputs) + self._size(call.outputs)
        nothing = [False] * len(arrays)

        def cost(way: str, time: float) -> Cost:
            limit, predicted = self._machine.predict(flops, values, way)
            return Cost(way, flops, limit, 1e6 * predicted, 1e6 * time)

        forward = cost(ways[0], seconds(lambda: call.op.compute(arrays, nothing, call.attributes)))
        held = [self._graph.held.get(value) if value is not None else None for value in call.inputs]
        of_weights = [isinstance(part, Parameter) for part in held]
        of_input = [i == 0 and not of_weights[0] and _is_float(array) for i, array in enumerate(arrays)]
        gradients: list[Cost | None] = []
        for need, way in ((of_input, ways[1]), (of_weights, ways[2])):
            back = _way_back(call, arrays, need) if any(need) else None
            gradients.append(None if back is None else cost(way, seconds(back, _SECONDS_BACK)))
        shapes = [self._graph.values[value].shape for value in (*call.inputs, *call.outputs[:1]) if value is not None]
        return OpCost(call.op.name, call.scope, shapes[0], shapes[-1], forward, *gradients)

    def of_layer(self, visit: Visit) -> LayerCost:
        """One call of a layer: all its calls together."""
        at = slice(visit.calls.start, visit.calls.stop)
        calls, ops = self._graph.calls[at], self.ops[at]
        main = max(calls, key=lambda call: multiply_adds(self._graph, call), default=None)
        ways = () if main is None else algorithms(self._graph, main)
        flops = 2.0 * sum([multiply_adds(self._graph, call) for call in calls])
        values = self._size(refs(visit.given)) + self._size(refs(visit.returned))
        values += self._size(parameters(self._graph, calls))
        limit, predicted = self._machine.predict(flops, values, ways[0] if ways else "")
        measured = ops[0].forward.measured if len(ops) == 1 else 1e6 * seconds(self._forward(calls))
        shapes = self._shape(visit.given), self._shape(visit.returned)
        peak = self._machine.peak
        return LayerCost(visit.name, visit.layer, *shapes, ways, flops, limit, 1e6 * predicted, measured, peak)

    def _forward(self, calls: Sequence[Call]) -> Callable[[], None]:
        prepared = [(call, self._arrays(call), [False] * len(call.inputs)) for call in calls]

        def run() -> None:
            for call, arrays, nothing in prepared:
                call.op.compute(arrays, nothing, call.attributes)

        return run


def _is_float(array: Any) -> bool:
    return array is not None and array.dtype == np.float32


def _way_back(call: Call, arrays: list[Any], need: list[bool]) -> Callable[[], Any] | None:
    """The backward of a call, ready to be called; None where it has none."""
    y, backward = call.op.compute(arrays, need, call.attributes)
    if backward is None:
        return None
    dys = [np.ones_like(part) for part in (y if isinstance(y, tuple) else (y,))]
    return lambda: backward(*dys)


def explanation(graph: Graph, shown: Sequence[Any], peak: float, bandwidth: float) -> Explanation:
    """The costs of a graph that was recorded with ``shown``, the Tensor or array of each of its values."""
    measured = _Measured(graph, shown, Machine(peak, bandwidth))
    found = Explanation([measured.of_layer(visit) for visit in graph.visits if visit.innermost])
    found.ops = tuple(measured.ops)
    return found

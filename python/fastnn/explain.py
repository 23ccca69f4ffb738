"""What the layers of a model cost on this machine: algorithm, predicted and measured speed."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _core, nn
from fastnn.nn.inputs import Shape, as_shapes, run, shape_of
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.watch import Call
from fastnn.ops.checks import padding_sides
from fastnn.tape import no_grad
from fastnn.tools.bench import copy_bandwidth, fma_peak

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_PRODUCTS = (nn.Linear, nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
_WINOGRAD = 4.0  # a tile's 4x4 outputs take 6x6 products instead of 4x4 times 3x3
_REPEATS = 5
_SECONDS = 0.02  # of measurement for a layer


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
    """The calls of a model's layers in order, a tuple of LayerCost; ``print`` shows a table."""

    def __str__(self) -> str:
        head = ("layer", "input", "output", "algorithm", "MFLOP", "predicted", "measured us", "GFLOP/s", "", "of peak")
        rows = [head]
        for cost in self:
            rates = (f"{cost.predicted_gflops:.0f}", f"{cost.measured_gflops:.0f}") if cost.flops else ("", "")
            rows.append(
                (
                    f"{cost.name} ({cost.layer})".lstrip(),
                    "x".join(map(str, cost.input)),
                    "x".join(map(str, cost.output)),
                    ", ".join(dict.fromkeys(cost.algorithms)),
                    f"{cost.flops / 1e6:.1f}" if cost.flops else "",
                    f"{cost.predicted:.1f}",
                    f"{cost.measured:.1f}",
                    *rates,
                    f"{100 * cost.of_peak:.0f} % {cost.limit}",
                )
            )
        wide = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join("  ".join(f"{cell:<{n}}" for cell, n in zip(row, wide, strict=True)).rstrip() for row in rows)


def _size(values: Any) -> int:
    if isinstance(values, (tuple, list)):
        return sum(_size(value) for value in values)
    return math.prod(shape_of(values))


def _first(values: Any) -> Any:
    """The first array of what a layer takes or gives; () where there is none."""
    return _first(values[0]) if isinstance(values, (tuple, list)) and values else values


def _twice(value: Any) -> Any:
    """A 1-D layer's argument as the 2-D kernels see it: height one."""
    return value if isinstance(value, tuple) else (1, value)


def _algorithms(module: Module, x: Shape, y: Shape) -> tuple[str, ...]:
    if isinstance(module, _PRODUCTS):
        return ("gemm",)
    if not isinstance(module, _CONVOLUTIONS + _TRANSPOSED):
        return ()
    flat = len(x) == 3
    x, y, weight = ((*s[:2], 1, *s[2:]) if flat else s for s in (x, y, module.weight.shape))
    stride, dilation = _twice(module.stride), _twice(module.dilation)
    padding = (0, module.padding) if flat and not isinstance(module.padding, str) else module.padding
    sides = padding_sides(padding, (weight[2], weight[3]), stride, dilation)
    if isinstance(module, _TRANSPOSED):  # the input gradient of a convolution from y to x
        forward, dx, dw = _core.conv2d_algorithms(y, weight, stride, sides, dilation, module.groups)
        return dx, forward, dw
    return tuple(_core.conv2d_algorithms(x, weight, stride, sides, dilation, module.groups))


def _flops(module: Module, x: Shape, y: Shape) -> float:
    if isinstance(module, _CONVOLUTIONS):
        return 2.0 * math.prod(y) / max(1, y[1]) * module.weight.size
    if isinstance(module, _TRANSPOSED):
        return 2.0 * math.prod(x) / max(1, x[1]) * module.weight.size
    if isinstance(module, _PRODUCTS):
        return 2.0 * math.prod(x[:-1]) * sum(p.size for p in module.parameters() if p.ndim == 2)
    return 0.0


def _seconds(run: Callable[[], Any]) -> float:
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _REPEATS or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _cost(call: Call, peak: float, bandwidth: float) -> LayerCost:
    given = (*call.args, *call.kwargs.values())
    x, y = shape_of(_first(given)), shape_of(_first(call.output))
    algorithms, flops = _algorithms(call.module, x, y), _flops(call.module, x, y)
    values = _size(given) + _size(call.output) + sum(p.size for p in call.module.parameters())
    products = flops / _WINOGRAD if algorithms and "Winograd" in algorithms[0] else flops
    arithmetic, memory = products / peak, 4 * values / bandwidth
    limit = "FMA" if flops and (arithmetic >= memory or "Winograd" in algorithms[0]) else "copy"
    predicted = max(arithmetic, memory, 1e-9)
    measured = _seconds(lambda: call.module(*call.args, **call.kwargs))
    layer = type(call.module).__name__
    return LayerCost(call.name, layer, x, y, algorithms, flops, limit, 1e6 * predicted, 1e6 * measured, peak)


def explain(model: Module, input_shape: Any) -> Explanation:
    """What each layer of a model costs on this machine, with the threads set: run once, then each layer measured.

    Args:
        model: a Module; it is run in eval mode on random numbers (token ids where an Embedding wants them) and is left
            as it was.
        input_shape: of the whole input, samples included: (N, C, H, W), (T, N, features), ...; or a tuple of shapes
            for a model of several inputs.

    Returns an Explanation, a tuple of LayerCost in the order of the calls; a layer used twice is there twice. Layers
    without a product (pooling, activations) are measured against the copy bandwidth. The prediction is the greater of
    two floors: multiply-adds at the FMA peak (a quarter of them where Winograd is used), and every value moved once;
    no layer is faster unless its values stay in a cache.

    Raises TypeError if ``model`` is no Module, ValueError if ``input_shape`` is no shape, and what the model raises.

    >>> import fastnn as fnn
    >>> from fastnn import nn
    >>> costs = fnn.explain(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU()), (1, 3, 8, 8))
    >>> costs[0].name, costs[0].layer, costs[0].output, costs[0].algorithms[0], costs[0].flops
    ('0', 'Conv2d', (1, 16, 6, 6), 'direct', 31104.0)
    """
    if not isinstance(model, Module):
        raise TypeError(f"explain: model is {type(model).__name__}, expected a Module")
    shapes = as_shapes(input_shape, "explain", "samples included")
    if () in shapes or not shapes:
        raise ValueError(f"explain: input_shape is {input_shape!r}, expected sizes of at least 1, samples included")
    rng = np.random.default_rng(0)

    def integers(below: int, shape: Shape) -> Any:
        return rng.integers(0, below, shape)

    peak, bandwidth = fma_peak(0.05), copy_bandwidth(0.05)
    with evaluation(model), no_grad():
        _, calls = run(model, shapes, lambda shape: rng.standard_normal(shape, np.float32), integers)
        return Explanation(_cost(call, peak, bandwidth) for call in calls)

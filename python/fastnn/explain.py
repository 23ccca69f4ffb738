"""fnn.explain: what a model costs on this machine, from one run of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.graph.explain import Explanation as Explanation
from fastnn.graph.explain import explanation
from fastnn.nn.inputs import Shape, as_shapes, run
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.runtime.limits import copy_bandwidth, fma_peak
from fastnn.tape import no_grad


def explain(model: Module, input_shape: Any) -> Explanation:
    """What each layer of a model costs on this machine, with the threads set: run once, then each call measured.

    Args:
        model: a Module; it is run in eval mode on random numbers (token ids where an Embedding wants them) and is left
            as it was.
        input_shape: of the whole input, samples included: (N, C, H, W), (T, N, features), ...; or a tuple of shapes
            for a model of several inputs. Arrays instead of shapes where values matter, such as lengths.

    Returns an Explanation, a tuple of LayerCost in the order of the calls; a layer used twice is there twice. Layers
    without a product (pooling, activations) are measured against the copy bandwidth. The prediction is the greater of
    two floors: multiply-adds at the FMA peak (a quarter of them where Winograd is used), and every value moved once;
    no layer is faster unless its values stay in a cache. ``ops`` has the same of every call of an op, those between the
    layers too, and beside the forward of the gradients of its input and of its parameters.

    Raises TypeError if ``model`` is no Module, ValueError if ``input_shape`` is no shape, and what the model raises.

    >>> import fastnn as fnn
    >>> from fastnn import nn
    >>> costs = fnn.explain(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU()), (1, 3, 8, 8))
    >>> costs[0].name, costs[0].layer, costs[0].output, costs[0].algorithms[0], costs[0].flops
    ('0', 'Conv2d', (1, 16, 6, 6), 'direct', 31104.0)
    >>> [cost.op for cost in costs.ops], costs.ops[0].weight_gradient.algorithm
    (['conv2d', 'relu'], 'direct')
    """
    if not isinstance(model, Module):
        raise TypeError(f"explain: model is {type(model).__name__}, expected a Module")
    shapes = as_shapes(input_shape, "explain", "samples included")
    if not shapes or any([shape == () for shape in shapes if isinstance(shape, tuple)]):
        raise ValueError(f"explain: input_shape is {input_shape!r}, expected sizes of at least 1, samples included")
    rng = np.random.default_rng(0)

    def integers(below: int, shape: Shape) -> Any:
        return rng.integers(0, below, shape)

    peak, bandwidth = fma_peak(0.05), copy_bandwidth(0.05)
    with evaluation(model), no_grad():
        graph, shown = run(model, shapes, lambda shape: rng.standard_normal(shape, np.float32), integers)
        return explanation(graph, shown, peak, bandwidth)

"""What Module.summary does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.graph.graph import Value
from fastnn.graph.recorder import TraceError
from fastnn.graph.summary import Summary
from fastnn.graph.summary import summary as of_graph
from fastnn.nn.inputs import as_shapes, run
from fastnn.ops.op import DependsOnValues

if TYPE_CHECKING:
    from fastnn.nn.module import Module


def summary(model: Module, input_shape: Any) -> Summary:
    """See Module.summary; the caller sets the mode."""
    shapes = as_shapes(input_shape, "summary", "of one sample")
    shapes = [(1, *shape) if isinstance(shape, tuple) else shape for shape in shapes]
    try:
        graph, _ = run(model, shapes, lambda s: Value(s, "float32"), lambda _, s: Value(s, "int64"), lenient=False)
    except (DependsOnValues, TraceError):  # it looks at values: then zeros
        graph, _ = run(model, shapes, lambda s: np.zeros(s, np.float32), lambda _, s: np.zeros(s, int))
    called = {visit.name for visit in graph.visits}
    rest = [
        (name, type(module).__name__, module.num_parameters())
        for name, module in model.named_modules()
        if name not in called and next(module.children(), None) is None
    ]
    return of_graph(graph, rest, model.num_parameters())

"""The table that Module.summary returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.nn.inputs import as_shapes, run, shape_of
from fastnn.nn.watch import innermost

if TYPE_CHECKING:
    from fastnn.nn.module import Module


def _shapes(output: Any) -> str:
    if isinstance(output, Mapping):
        return ", ".join([f"{name}: {_shapes(part)}" for name, part in output.items()])
    if isinstance(output, (tuple, list)):
        return ", ".join([_shapes(part) for part in output])
    return str(shape_of(output))


def summary(model: Module, input_shape: Any) -> str:
    """See Module.summary; the caller sets the mode."""
    shapes = [(1, *shape) for shape in as_shapes(input_shape, "summary", "of one sample")]
    output, calls = run(model, shapes, lambda shape: np.zeros(shape, np.float32), lambda _, shape: np.zeros(shape, int))
    outputs = {id(call.module): _shapes(call.output) for call in calls}
    rows = [("layer", "output", "parameters")]
    for name, module in innermost(model):
        label = f"{name} ({type(module).__name__})".lstrip()
        rows.append((label, outputs.get(id(module), "-"), str(module.num_parameters())))
    rows.append(("total", _shapes(output), str(model.num_parameters())))
    wide = [max([len(row[i]) for row in rows]) for i in range(3)]
    return "\n".join([f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows])

"""The table that Module.summary returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.nn.watch import calls_of_layers

if TYPE_CHECKING:
    from fastnn.nn.module import Module


def _shapes(output: Any) -> str:
    if isinstance(output, (tuple, list)):
        return ", ".join([_shapes(part) for part in output])
    return str(tuple(np.shape(output)))


def summary(model: Module, input_shape: tuple[int, ...]) -> str:
    """See Module.summary; the caller sets the mode."""
    layers = [(name, module) for name, module in model.named_modules() if name and not any(module.children())]
    with calls_of_layers(model) as calls:
        total = _shapes(model(np.zeros((1, *input_shape), np.float32)))
    outputs = {id(call.module): _shapes(call.output) for call in calls}
    rows = [("layer", "output", "parameters")]
    for name, module in layers:
        rows.append((f"{name} ({type(module).__name__})", outputs.get(id(module), "-"), str(module.num_parameters())))
    rows.append(("total", total, str(model.num_parameters())))
    wide = [max([len(row[i]) for row in rows]) for i in range(3)]
    return "\n".join([f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows])

"""A graph while its calls are changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.graph.graph import Call, Graph, Ref, Value, attributes_for, mapped, refs
from fastnn.ops.op import Shape
from fastnn.value import Tensor

Floats = npt.NDArray[Any]


class Editing:
    """The calls of a graph while they are changed; None where one was taken out."""

    def __init__(self, graph: Graph) -> None:
        self.calls: list[Call | None] = list(graph.calls)
        self.values, self.held, self.outputs = list(graph.values), dict(graph.held), graph.outputs
        self._graph, self._elsewhere = graph, _shapes_elsewhere(graph)

    def producer(self, value: int | None) -> int | None:
        """Which call gives a value."""
        found = [i for i, call in enumerate(self.calls) if call is not None and value in call.outputs]
        return found[0] if found else None

    def only_reader(self, value: int) -> int | None:
        """The one call that reads a value, once; None where there are others, or the value is returned."""
        found = [i for i, call in enumerate(self.calls) if call is not None for read in call.inputs if read == value]
        return found[0] if len(found) == 1 and value not in refs(self.outputs) else None

    def constant(self, value: int | None) -> Floats | None:
        """A held value in float64; None where it is computed."""
        if value is None or value not in self.held:
            return None
        held = self.held[value]
        return np.asarray(held._array if isinstance(held, Tensor) else held, np.float64)

    def hold(self, array: Floats) -> int:
        """The number of a new constant."""
        self.held[len(self.values)] = array.astype(np.float32)
        self.values.append(Value(array.shape, "float32"))
        return len(self.values) - 1

    def replace(self, old: int, new: int) -> None:
        """Reads ``new`` wherever ``old`` was read."""
        for i, call in enumerate(self.calls):
            if call is not None and old in call.inputs:
                self.calls[i] = call._replace(inputs=tuple([new if value == old else value for value in call.inputs]))
        self.outputs = mapped(self.outputs, Ref, lambda ref: Ref(new) if ref.value == old else ref)

    def of_one_shape(self, values: tuple[int, ...]) -> bool:
        """Whether values have one shape, whatever the sizes of the inputs are; False where that cannot be told."""
        elsewhere = self._elsewhere
        if elsewhere is None or any([value not in elsewhere for value in values]):
            return False
        return len({self.values[value].shape for value in values}) == len({elsewhere[value] for value in values}) == 1

    def has_one_size(self, value: int) -> bool:
        """Whether the axes of space of a value, (N, C, ...), have the same sizes whatever those of the inputs are."""
        shape = self.values[value].shape
        return not self._graph.free or (self._elsewhere is not None and self._elsewhere[value][2:] == shape[2:])

    def graph(self) -> Graph:
        """What is left of it: without calls whose outputs nobody reads, and without visits of Modules."""
        calls, read = list[Call](), {*refs(self.outputs)}
        for call in reversed(self.calls):
            if call is not None and (not read.isdisjoint(call.outputs) or call.attributes.get("training")):
                calls.append(call)
                read.update([value for value in call.inputs if value is not None])
        held = {value: part for value, part in self.held.items() if value in read}
        names = {value: name for value, name in self._graph.names.items() if value in held}
        places = self._graph.free, self._graph.tied
        return Graph(self._graph.inputs, self.outputs, calls[::-1], self.values, held, names, [], *places)


def _shapes_elsewhere(graph: Graph) -> dict[int, Shape] | None:
    """The shape of each value where all free sizes of inputs are other ones; None where it depends on more."""
    shapes = {value: graph.values[value].shape for value in (*graph.inputs, *graph.held)}
    more = {place: 2 + 3 * n for n, place in enumerate(sorted(graph.free - graph.tied), 1)}
    more |= dict.fromkeys(graph.tied, 2)
    for i, value in enumerate(graph.inputs):
        shapes[value] = tuple([n + more.get((i, axis), 0) for axis, n in enumerate(shapes[value])])
    sizes = [shapes[value] for value in graph.inputs]
    try:
        for call in graph.calls:
            given = [None if value is None else shapes[value] for value in call.inputs]
            found = call.op.shapes(given, attributes_for(call.attributes, sizes))
            shapes.update(zip(call.outputs, found, strict=True))
    except ValueError:  # DependsOnValues, or sizes that do not go together
        return None
    return shapes

"""Summary: what the layers of a graph give, hold, compute and see, as rows, as text and as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn.graph.costs import multiply_adds, parameters
from fastnn.graph.graph import Call, Graph, Ref, refs
from fastnn.graph.receptive import Fields, fields_of, text

# Ops whose results are views of x, which take no memory, as attributes say; of the others every output is an array.
VIEWS = frozenset(
    (
        "broadcast_to",
        "chunk",
        "flatten",
        "flip",
        "permute",
        "reshape",
        "split",
        "squeeze",
        "transpose",
        "unbind",
        "unsqueeze",
    )
)


class Row(NamedTuple):
    """One call of a layer, or of an op outside of any."""

    name: str  # of the layer; of an op the layer that it was called in
    layer: str  # its class, or the name of the op
    output: str  # shapes
    parameters: int  # numbers in those that it reads
    shared: int  # of these, in parameters that a row above has, too
    multiply_adds: int
    field: Fields | None  # see graph.receptive
    memory: int  # bytes of activations: of all that its ops give, but for views

    @property
    def receptive_field(self) -> str:
        """Such as 7x7:2, fields of 7 and a stride of 2; empty where elements see all."""
        return text(self.field)


class Summary(str):
    """The table as text, with ``rows`` (of Row), ``parameters``, ``multiply_adds`` and ``memory`` (bytes) of all."""

    rows: tuple[Row, ...]
    parameters: int
    multiply_adds: int
    memory: int
    _cells: list[tuple[str, ...]]

    def _repr_html_(self) -> str:
        """For notebooks."""
        import html

        head, *rows = [[html.escape(cell) for cell in row] for row in self._cells]
        lines = ["<tr>" + "".join([f"<th>{cell}</th>" for cell in head]) + "</tr>"]
        lines += ["<tr>" + "".join([f"<td>{cell}</td>" for cell in row]) + "</tr>" for row in rows]
        return "<table>\n" + "\n".join(lines) + "\n</table>"


HEAD = ("layer", "output", "parameters", "multiply-adds", "sees", "KiB")


def _shapes(graph: Graph, nest: Any) -> str:
    if isinstance(nest, Mapping):
        return ", ".join([f"{name}: {_shapes(graph, part)}" for name, part in nest.items()])
    if isinstance(nest, (tuple, list)) and not isinstance(nest, Ref):
        return ", ".join([_shapes(graph, part) for part in nest])
    return str(graph.values[nest.value].shape if isinstance(nest, Ref) else np.shape(nest))


def _memory(graph: Graph, calls: Sequence[Call]) -> int:
    made = [value for call in calls if not _is_view(call) for value in call.outputs]
    return sum([math.prod(graph.values[v].shape) * np.dtype(graph.values[v].dtype).itemsize for v in made])


def _is_view(call: Call) -> bool:
    if call.op.name == "dropout":
        return not call.attributes["training"]
    return call.op.name in VIEWS or (call.op.name == "index" and len(call.inputs) == 1)


def places(graph: Graph) -> Iterator[tuple[str, str, Any, list[Call]]]:
    """(name, class, what was returned, calls) of every call of an innermost Module, and (scope, op, outputs, call) of
    every other call of an op, in order."""
    innermost = sorted([visit for visit in graph.visits if visit.innermost], key=lambda visit: visit.calls.start)
    at = 0
    for visit in innermost:
        yield from _functional(graph, range(at, visit.calls.start))
        yield visit.name, visit.layer, visit.returned, graph.calls[visit.calls.start : visit.calls.stop]
        at = max(at, visit.calls.stop)
    yield from _functional(graph, range(at, len(graph.calls)))


def _functional(graph: Graph, numbers: range) -> Iterator[tuple[str, str, Any, list[Call]]]:
    for call in graph.calls[numbers.start : numbers.stop]:
        yield call.scope, call.op.name, [Ref(value) for value in call.outputs], [call]


def summary(graph: Graph, uncalled: Sequence[tuple[str, str, int]] = (), total: int | None = None) -> Summary:
    """The summary of a graph.

    Args:
        graph: what ``trace`` gives.
        uncalled: (name, class, number of parameters) of layers that the graph does not have. Default none.
        total: how many parameters there are in all. Default: those that the graph reads.
    """
    fields = fields_of(graph)
    rows, seen = [], set[int]()
    for name, layer, returned, calls in places(graph):
        read = parameters(graph, calls)
        size = {value: math.prod(graph.values[value].shape) for value in read}
        last = next(refs(returned), None)
        field = None if last is None else fields.get(last)
        work = sum([multiply_adds(graph, call) for call in calls])
        shared = sum([size[value] for value in read if value in seen])
        output = _shapes(graph, returned)
        rows.append(Row(name, layer, output, sum(size.values()), shared, work, field, _memory(graph, calls)))
        seen.update(read)
    rows += [Row(name, layer, "-", count, 0, 0, None, 0) for name, layer, count in uncalled]
    own = sum([math.prod(graph.values[value].shape) for value in seen])
    sums = own if total is None else total, sum([row.multiply_adds for row in rows]), sum([row.memory for row in rows])
    cells = [HEAD, *map(_cells, rows)]
    cells.append(("total", _shapes(graph, graph.outputs), str(sums[0]), str(sums[1]), "", _kib(sums[2])))
    made = Summary(_text(cells))
    made.rows, (made.parameters, made.multiply_adds, made.memory), made._cells = tuple(rows), sums, cells
    return made


def _kib(size: int) -> str:
    return f"{size / 1024:.1f}"


def _cells(row: Row) -> tuple[str, ...]:
    label = f"{row.name} ({row.layer})".lstrip()
    count = f"{row.parameters} shared" if row.shared and row.shared == row.parameters else str(row.parameters)
    if row.shared and row.shared != row.parameters:
        count = f"{row.parameters}, {row.shared} shared"
    work = str(row.multiply_adds) if row.multiply_adds else ""
    return label, row.output, count, work, row.receptive_field, _kib(row.memory) if row.output != "-" else ""


def _text(cells: list[tuple[str, ...]]) -> str:
    wide = [max([len(row[i]) for row in cells]) for i in range(len(HEAD))]
    aligned = ["<", "<", ">", ">", "<", ">"]
    return "\n".join(
        ["  ".join([f"{cell:{a}{n}}" for cell, a, n in zip(row, aligned, wide, strict=True)]) for row in cells]
    )

"""Which sizes of a graph's inputs may differ from those in the trace: found by further traces, on shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastnn.graph.graph import Call, Graph, Size
from fastnn.graph.traced import Look
from fastnn.ops.op import Shape
from fastnn.value import Tensor

Place = tuple[int, int]  # input, axis


class Traced(NamedTuple):
    """A graph, and what the function asked of sizes while it was traced."""

    graph: Graph
    looks: list[Look]


Again = Callable[[Sequence[Shape]], Traced]


def freed(first: Traced, again: Again, batch_axis: int) -> Graph:
    """The graph with the sizes of inputs that may differ marked, and attributes that follow them as Size."""
    graph, looks = first
    shapes = [graph.values[value].shape for value in graph.inputs]
    together = [(i, min(batch_axis, len(shape) - 1)) for i, shape in enumerate(shapes) if shape]
    groups = [together, *([(i, axis)] for i, shape in enumerate(shapes) for axis in range(len(shape)))]
    found, graphs = [], [graph]
    for group in groups:
        if group and not graphs[-1].free.issuperset(group):
            more = _with_free(graphs[-1], looks, again, group)
            if more is not None:
                found.append(group)
                graphs.append(more)
    while len(found) > 1 and not _all_at_once(graphs[-1], looks, again, found):
        found.pop()
        graphs.pop()
    return graphs[-1]


def _all_at_once(graph: Graph, looks: list[Look], again: Again, groups: list[list[Place]]) -> bool:
    """Whether sizes that may differ may all do so at the same time."""
    for order in (groups, groups[::-1]):
        more = {place: 2 + 3 * n for n, group in enumerate(order) for place in group}
        shapes = [graph.values[value].shape for value in graph.inputs]
        varied = [tuple([n + more.get((i, axis), 0) for axis, n in enumerate(s)]) for i, s in enumerate(shapes)]
        try:
            variant, others = again(varied)
        except Exception:  # whatever the function says to these sizes
            return False
        if not _unmoved(looks, others) or not _alike(graph, variant):
            return False
        if _following(graph.calls, variant.calls, 0, varied, groups[0][0]) is None:
            return False
    return True


def _with_free(graph: Graph, looks: list[Look], again: Again, group: list[Place]) -> Graph | None:
    """The graph where the sizes of ``group`` may all be another one; None where that would be another graph."""
    shapes = [graph.values[value].shape for value in graph.inputs]
    sizes = {shapes[i][axis] for i, axis in group}
    if len(sizes) != 1:
        return None
    size, calls = sizes.pop(), graph.calls
    # Several larger ones, so that neither chance nor a branch on the size is taken for a rule; smaller ones may be
    # refused, by whom they will be again.
    for other in dict.fromkeys((size + 1, size + 7, 1, size // 2, size + 1000)):
        if other == size or not other:
            continue
        varied = [tuple([other if (i, a) in group else n for a, n in enumerate(s)]) for i, s in enumerate(shapes)]
        try:
            variant, others = again(varied)
        except Exception:  # whatever the function says to that size
            if other < size:
                continue
            return None
        if not _unmoved(looks, others) or not _alike(graph, variant):
            return None
        found = _following(calls, variant.calls, size, varied, group[0])
        if found is None:
            return None
        calls = found
    parts = graph.values, graph.held, graph.names, graph.visits
    tied = graph.tied | (frozenset(group) if len(group) > 1 else frozenset())
    return Graph(graph.inputs, graph.outputs, calls, *parts, graph.free | frozenset(group), tied)


def is_again(graph: Graph, other: Graph) -> bool:
    """Whether a second call of the same function, of the same sizes, has computed the same."""
    return _alike(graph, other) and graph.calls == other.calls


def _unmoved(looks: list[Look], others: list[Look]) -> bool:
    """Whether what the function asked of sizes has the same answer whatever they are: none of the sizes that vary were
    in it, or they were compared with each other and vary together."""

    def equal(look: Look) -> bool:
        return look.method in ("__eq__", "__ne__") and look.size == look.other

    return len(looks) == len(others) and all(
        [a == b or (a.method == b.method and equal(a) and equal(b)) for a, b in zip(looks, others, strict=True)]
    )


def _alike(one: Graph, other: Graph) -> bool:
    """Whether two graphs have the same values held and returned, under the same numbers."""
    if one.outputs != other.outputs or one.names != other.names or one.held.keys() != other.held.keys():
        return False
    return all([one.held[v] is other.held[v] or _same(one.held[v], other.held[v]) for v in one.held])


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):  # one that is trained is the same or another
        plain = [isinstance(part, Tensor) and not part.requires_grad and type(part) is Tensor for part in (a, b)]
        return all(plain) and _same(a._array, b._array)
    return bool(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())


def _following(
    calls: list[Call], others: list[Call], size: int, shapes: list[Shape], place: Place
) -> list[Call] | None:
    """``calls`` whose attributes give those of ``others``, traced with inputs of ``shapes``, where the axis at
    ``place`` had ``size``; None if nothing does."""
    if len(calls) != len(others):
        return None
    found = []
    for a, b in zip(calls, others, strict=True):
        if a._replace(attributes={}) != b._replace(attributes={}):
            return None
        try:
            attributes = _rule(a.attributes, b.attributes, size, shapes, place)
        except _NoRule:
            return None
        found.append(a._replace(attributes=attributes))
    return found


class _NoRule(Exception):  # noqa: N818  (says what is so)
    pass


def _rule(a: Any, b: Any, size: int, shapes: list[Shape], place: Place) -> Any:
    """What gives ``a`` for ``size`` and ``b`` for inputs of ``shapes``."""
    if isinstance(a, Size):
        if a.times * shapes[a.input][a.axis] == b:
            return a
    elif type(a) is int and type(b) is int and a != b:
        if size and a % size == 0 and a // size * shapes[place[0]][place[1]] == b:
            return Size(a // size, *place)
    elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return {key: _rule(a[key], b[key], size, shapes, place) for key in a}
    elif type(a) in (tuple, list) and type(a) is type(b) and len(a) == len(b):
        return type(a)([_rule(x, y, size, shapes, place) for x, y in zip(a, b, strict=True)])
    elif a == b and type(a) is type(b):
        return a
    raise _NoRule

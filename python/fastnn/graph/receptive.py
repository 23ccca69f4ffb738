"""Receptive field and stride: how much of the input an element sees along each axis of space or time, and how far in
the input neighbours are apart (Araujo et al. 2019, Distill, "Computing receptive fields of convolutional networks").

A value (N, C, L) or (N, C, H, W) has a Field along each axis after the channels; where elements see all of the input,
or another axis than those, it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.graph.graph import Call, Graph, attributes_for
from fastnn.ops.elementwise import ELEMENTWISE
from fastnn.ops.op import Shape
from fastnn.ops.pointwise_loss import POINTWISE_LOSSES

if TYPE_CHECKING:
    from fractions import Fraction


class Field(NamedTuple):
    """Along one axis: how many elements of the input an element sees, and how many lie between neighbours."""

    size: int
    stride: Fraction


Fields = tuple[Field, ...]
Rule = Callable[[Sequence[Fields | None], Sequence[Shape | None], dict[str, Any], Shape], "Fields | None"]


def _tuple(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _windows(fields: Fields | None, kernel: Sequence[int], stride: Any, dilation: Any) -> Fields | None:
    if fields is None or len(fields) != len(kernel):
        return None
    steps = zip(fields, kernel, _tuple(stride), _tuple(dilation), strict=True)
    return tuple([Field(f.size + math.ceil(d * (k - 1) * f.stride), f.stride * s) for f, k, s, d in steps])


def _convolution(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    own = _windows(fields[0], shapes[1][2:], options["stride"], options["dilation"])
    residual = fields[3] if len(fields) > 3 else None
    return own if residual is None else _same((own, residual), (y, y), options, y)


def _pooling(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    kernel = _tuple(options["kernel_size"])
    return _windows(fields[0], kernel, options["stride"], options.get("dilation", (1,) * len(kernel)))


def _adaptive(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    """Windows of one size where the output's divides the input's; else they differ, and the largest is told."""
    sizes = list(zip(shapes[0][2:], y[2:], strict=True))
    if any([not out for _, out in sizes]):
        return None
    return _windows(
        fields[0], [-(-n // out) for n, out in sizes], tuple([n // out for n, out in sizes]), (1,) * len(sizes)
    )


def _transposed(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    """An output adds up those of the kernel's taps that are ``stride`` apart."""
    if fields[0] is None:
        return None
    steps = zip(fields[0], shapes[1][2:], _tuple(options["stride"]), _tuple(options["dilation"]), strict=True)
    return tuple([Field(f.size + math.ceil(d * (k - 1) // s * f.stride), f.stride / s) for f, k, s, d in steps])


def _same(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    """Each element from those at its place: of several arrays of one size the widest field."""
    found = [f for f, shape in zip(fields, shapes, strict=True) if f is not None and shape[2:] == y[2:]]
    if not found or len(y) < 3:
        return None
    steps = {tuple([field.stride for field in each]) for each in found}
    return tuple([max(each) for each in zip(*found, strict=True)]) if len(steps) == 1 else None


def _joined(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    """Side by side in samples or channels."""
    return _same(fields, shapes, options, y) if options["dim"] % len(y) < 2 else None


def _along_channels(fields: Sequence[Fields | None], shapes: Sequence[Any], options: Any, y: Shape) -> Fields | None:
    return fields[0] if options["dim"] % len(y) < 2 else None


_ELEMENTWISE = (
    *(
        "add",
        "batchnorm",
        "bitwise_and",
        "bitwise_not",
        "bitwise_or",
        "bitwise_xor",
        "clamp",
        "clone",
        "detach",
        "div",
        "dropout",
    ),
    *(
        "eq",
        "floor_divide",
        "ge",
        "gt",
        "le",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "lt",
        "maximum",
    ),
    *("minimum", "mul", "ne", "pad", "pow", "remainder", "sub", "to_bool", "to_float32", "to_int64", "where"),
    *ELEMENTWISE,
)

RULES: dict[str, Rule] = {
    "adaptive_avgpool1d": _adaptive,
    "adaptive_avgpool2d": _adaptive,
    "avgpool1d": _pooling,
    "avgpool2d": _pooling,
    "concatenate": _joined,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv_transpose1d": _transposed,
    "conv_transpose2d": _transposed,
    "log_softmax": _along_channels,
    "maxpool1d": _pooling,
    "maxpool2d": _pooling,
    "softmax": _along_channels,
    **dict.fromkeys(_ELEMENTWISE, _same),
}

_MOVED = "moves axes or elements, after which they lie where no window of the input does"
_WHOLE = "an element sees whole axes"
_NO_SPACE = "has no axes of space (N, C, ...)"

NONE: dict[str, str] = {
    **{op.name: _WHOLE for op in POINTWISE_LOSSES.values()},
    "all": _WHOLE,
    "amax": _WHOLE,
    "amin": _WHOLE,
    "any": _WHOLE,
    "argmax": _WHOLE,
    "argmin": _WHOLE,
    "broadcast_to": _MOVED,
    "chunk": _MOVED,
    "crf_decode": _WHOLE,
    "crf_lengths": _NO_SPACE,
    "crf_loss": _WHOLE,
    "cross_entropy": _WHOLE,
    "ctc_beam_decode": _WHOLE,
    "ctc_greedy_decode": _WHOLE,
    "ctc_loss": _WHOLE,
    "embedding": _NO_SPACE,
    "flatten": _MOVED,
    "flip": _MOVED,
    "gru": _WHOLE,
    "gru_cell": _NO_SPACE,
    "gru_variant": _WHOLE,
    "index": _MOVED,
    "linear": _NO_SPACE,
    "lstm": _WHOLE,
    "lstm_cell": _NO_SPACE,
    "lstm_variant": _WHOLE,
    "matmul": _WHOLE,
    "max_at": _WHOLE,
    "mean": _WHOLE,
    "min_at": _WHOLE,
    "packing": _NO_SPACE,
    "permute": _MOVED,
    "put_rows": _MOVED,
    "repeat": _MOVED,
    "reshape": _MOVED,
    "rnn": _WHOLE,
    "rnn_cell": _NO_SPACE,
    "split": _MOVED,
    "squeeze": _MOVED,
    "stack": _MOVED,
    "std": _WHOLE,
    "sum": _WHOLE,
    "take_rows": _MOVED,
    "transpose": _MOVED,
    "unbind": _MOVED,
    "unsqueeze": _MOVED,
    "var": _WHOLE,
}


def fields_of(graph: Graph) -> dict[int, Fields | None]:
    """The Fields of every value that an input reaches, by number."""
    from fractions import Fraction  # 3 ms of the package's import

    sizes = [graph.values[value].shape for value in graph.inputs]
    found: dict[int, Fields | None] = {}
    for value, shape in zip(graph.inputs, sizes, strict=True):
        found[value] = (Field(1, Fraction(1)),) * (len(shape) - 2) if len(shape) in (3, 4) else None
    for call in graph.calls:
        found.update(dict.fromkeys(call.outputs, _of(graph, call, found, sizes)))
    return found


def _of(graph: Graph, call: Call, found: dict[int, Fields | None], sizes: list[Shape]) -> Fields | None:
    rule = RULES.get(call.op.name)
    if rule is None:
        return None
    fields = [None if value is None else found.get(value) for value in call.inputs]
    shapes = [None if value is None else graph.values[value].shape for value in call.inputs]
    options = attributes_for(call.attributes, sizes)
    return rule(fields, shapes, options, graph.values[call.outputs[0]].shape)


def text(fields: Fields | None) -> str:
    """Such as 7x7:2, fields of 7 and a stride of 2."""
    if fields is None:
        return ""
    sizes = "x".join([str(field.size) for field in fields])
    steps = list(dict.fromkeys([str(field.stride) for field in fields]))
    return sizes + ("" if steps == ["1"] else ":" + "x".join(steps))

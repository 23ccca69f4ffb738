"""rewrite: a graph that computes the same with less. What is known is folded, what comes after a product is computed in
its pass, what changes nothing or is read by nobody is left out, and algorithms are pinned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn.graph.algorithms import algorithms
from fastnn.graph.editing import Editing, Floats
from fastnn.graph.graph import Call, Graph
from fastnn.ops.activation import relu
from fastnn.ops.elementwise import ELEMENTWISE
from fastnn.ops.pointwise_loss import POINTWISE_LOSSES


def _drop(edit: Editing, i: int, call: Call) -> None:
    """Dropout that passes everything."""
    given = call.inputs[0]
    same = given is not None and edit.values[given].dtype == edit.values[call.outputs[0]].dtype
    if (not call.attributes["training"] or not call.attributes["p"]) and given is not None and same:
        edit.replace(call.outputs[0], given)
        edit.calls[i] = None


def _channels_of(call: Call, weight: Floats, scale: Floats) -> Floats:
    """``scale``, one number per channel of the output, in the shape in which ``weight`` is multiplied by it."""
    if not call.op.name.startswith("conv_transpose"):
        return scale.reshape(-1, *(1,) * (weight.ndim - 1))
    groups = call.attributes["groups"]  # weight: (in_channels, out_channels / groups, ...)
    rows = np.repeat(scale.reshape(groups, -1), weight.shape[0] // groups, axis=0)
    return rows.reshape(*rows.shape, *(1,) * (weight.ndim - 2))


_PRODUCERS = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear")


def _norm(edit: Editing, i: int, call: Call) -> None:
    """Batch normalisation by running statistics goes into the product before it."""
    x, mean, var, weight, bias = [edit.constant(value) for value in call.inputs[:5]]
    given, at = call.inputs[0], edit.producer(call.inputs[0])
    if x is not None or at is None or given is None or edit.only_reader(given) != i or call.attributes["training"]:
        return
    before = edit.calls[at]
    if before is None or before.op.name not in _PRODUCERS or mean is None or var is None:
        return
    if before.attributes.get("relu") or any([value is not None for value in before.inputs[3:]]):
        return  # what the norm is of is no product any more
    filters, shift = edit.constant(before.inputs[1]), edit.constant(before.inputs[2])
    learned = [part is None and value is not None for part, value in zip((weight, bias), call.inputs[3:5], strict=True)]
    if filters is None or (shift is None and before.inputs[2] is not None) or any(learned):
        return
    if before.op.name == "linear" and len(edit.values[given].shape) != 2:
        return  # the channels of the norm are another axis
    scale = (1.0 if weight is None else weight) / np.sqrt(var + call.attributes["eps"])
    moved = ((0.0 if shift is None else shift) - mean) * scale + (0.0 if bias is None else bias)
    folded = filters * _channels_of(before, filters, scale)
    if not max(np.abs(folded).max(initial=0), np.abs(moved).max(initial=0)) < np.finfo(np.float32).max:
        return  # float32 cannot hold it
    inputs = before.inputs[0], edit.hold(folded), edit.hold(moved)
    changed = before._replace(inputs=inputs, dtypes=("float32",) * 3)
    if call.attributes["relu"]:
        after = edit.calls[i] = Call(relu, (given,), ("float32",), {}, call.outputs, call.scope)
        edit.calls[at] = changed
        _relu(edit, i, after)
    else:
        edit.calls[i] = None
        edit.calls[at] = changed._replace(outputs=call.outputs)


_TAKE_RELU = ("batchnorm", "conv1d", "conv2d", "linear")
_TAKE_SUM = ("conv1d", "conv2d")


def _before(edit: Editing, i: int, value: int | None, takers: tuple[str, ...]) -> tuple[int, Call] | None:
    """The call that gives a value which call i alone reads, with its place, if it is one of the takers that has no ReLU
    of its own yet."""
    at = edit.producer(value)
    before = None if at is None else edit.calls[at]
    if at is None or value is None or before is None or before.op.name not in takers or edit.only_reader(value) != i:
        return None
    return None if before.attributes.get("relu") else (at, before)


def _relu(edit: Editing, i: int, call: Call) -> None:
    """A ReLU is computed in the pass of what comes before it."""
    found = _before(edit, i, call.inputs[0], _TAKE_RELU)
    if found is not None:
        at, before = found
        edit.calls[at] = before._replace(attributes={**before.attributes, "relu": True}, outputs=call.outputs)
        edit.calls[i] = None


def _add(edit: Editing, i: int, call: Call) -> None:
    """What is added to the output of a convolution, of the same shape, is so in its pass, where both are known."""
    one, other = call.inputs[:2]
    if one is None or other is None or not edit.of_one_shape((one, other, call.outputs[0])):
        return
    for y, residual in ((one, other), (other, one)):
        found = _before(edit, i, y, _TAKE_SUM)
        if found is not None and found[1].inputs[3:] in ((), (None,)) and call.dtypes[:2] == ("float32", "float32"):
            at, before = found
            inputs, dtypes = (*before.inputs[:3], residual), (*before.dtypes[:3], "float32")
            edit.calls[at] = None
            edit.calls[i] = before._replace(inputs=inputs, dtypes=dtypes, outputs=call.outputs)
            return


RULES: dict[str, Callable[[Editing, int, Call], None]] = {
    "add": _add,
    "batchnorm": _norm,
    "dropout": _drop,
    "relu": _relu,
}

_TAKES = "takes in what a rule of another op gives it"
_NEEDED = "is computed as it is: no op does the same in a pass of its own"

_CALLS = (
    "adaptive_avgpool1d", "adaptive_avgpool2d", "all", "amax", "amin", "any", "argmax", "argmin", "avgpool1d",
    "avgpool2d", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast_to", "chunk", "clamp",
    "clone", "concatenate", "crf_decode", "crf_lengths", "crf_loss", "cross_entropy", "ctc_beam_decode",
    "ctc_greedy_decode", "ctc_loss", "detach", "div", "embedding", "eq", "flatten", "flip", "floor_divide", "ge", "gru",
    "gru_cell", "gru_variant", "gt", "index", "le", "log_softmax", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lstm", "lstm_cell", "lstm_variant", "lt", "matmul", "max_at", "maximum", "maxpool1d",
    "maxpool2d", "mean", "min_at", "minimum", "mul", "ne", "packing", "pad", "permute", "pow", "put_rows",
    "remainder", "repeat", "reshape", "rnn", "rnn_cell", "softmax", "split", "squeeze", "stack", "std", "sub",
    "sum", "take_rows", "to_bool", "to_float32", "to_int64", "transpose", "unbind", "unsqueeze", "var", "where",
)  # fmt: skip

NONE: dict[str, str] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear"), _TAKES),
    **dict.fromkeys((*_CALLS, *({*ELEMENTWISE} - {*RULES}), *[op.name for op in POINTWISE_LOSSES.values()]), _NEEDED),
}

_CONVOLUTIONS = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
_ANY_SHAPE = "direct"  # computes what a product of matrices does, of any shape


def _pinned(edit: Editing, graph: Graph, call: Call) -> Call:
    """A convolution by the algorithms of the traced shape, whatever the shape. A product of matrices does not compute
    every shape: of an output whose size may differ plain sums stand for it, elsewhere it is what is taken anyway."""
    if call.op.name not in _CONVOLUTIONS:
        return call
    ways = [None if way == "product" else way for way in algorithms(graph, call)]
    if ways[0] is None and not edit.has_one_size(call.outputs[0]):
        ways[0] = _ANY_SHAPE
    return call._replace(attributes={**call.attributes, "algorithm": tuple(ways)})


def rewrite(graph: Graph) -> Graph:
    """A graph that gives what ``graph`` does, up to rounding, with fewer passes over memory.

    In a graph traced in eval mode, batch normalisation goes into the convolution or linear before it, and dropout is
    left out. A ReLU is computed in the pass of the convolution, linear or batch normalisation before it, and what a
    convolution's output is added to (a residual) in that of the convolution, with the same bits as one after the other.
    Calls whose results nobody reads are left out. Convolutions keep the algorithms that the traced shape has, so that
    they round in one way at every size of two positions or more. What is folded are the parameters of this moment, as
    constants: rewrite a model when it is trained. Visits of Modules are not kept.

    >>> import fastnn as fnn
    >>> from fastnn import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)).eval()
    >>> graph = fnn.rewrite(fnn.trace(model, (1, 3, 9, 9)))
    >>> [call.op.name for call in graph.calls], graph.calls[0].attributes["relu"]
    (['conv2d'], True)
    """
    if not isinstance(graph, Graph):
        raise TypeError(
            f"rewrite: graph is a {type(graph).__name__}, expected a Graph: write rewrite(trace(model, shape))"
        )
    edit = Editing(graph)
    for i, call in enumerate(edit.calls):
        rule = None if call is None else RULES.get(call.op.name)
        if call is not None and rule is not None:
            rule(edit, i, call)
    found = edit.graph()
    found.calls = [_pinned(edit, found, call) for call in found.calls]
    return found

"""rewrite: a graph that gives the same with fewer passes over memory, by a rule for every op that can be left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.graph.graph import Call, Graph, Ref, Value, mapped, refs
from fastnn.ops.activation import relu
from fastnn.value import Tensor

Floats = npt.NDArray[Any]


class _Editing:
    """The calls of a graph while they are changed; None where one was taken out."""

    def __init__(self, graph: Graph) -> None:
        self.calls: list[Call | None] = list(graph.calls)
        self.values, self.held, self.outputs = list(graph.values), dict(graph.held), graph.outputs

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


def _drop(edit: _Editing, i: int, call: Call) -> None:
    """Dropout that passes everything."""
    given = call.inputs[0]
    if (not call.attributes["training"] or not call.attributes["p"]) and given is not None:
        edit.replace(call.outputs[0], given)
        edit.calls[i] = None


def _channels_of(call: Call, weight: Floats, scale: Floats) -> Floats:
    """``scale``, one number per channel of the output, in the shape in which ``weight`` is multiplied by it."""
    if not call.op.name.startswith("conv_transpose"):
        return scale.reshape(-1, *(1,) * (weight.ndim - 1))
    groups = call.attributes["groups"]  # weight: (in_channels, out_channels / groups, ...)
    rows = np.repeat(scale.reshape(groups, -1), weight.shape[0] // groups, axis=0)
    return rows.reshape(*rows.shape, *(1,) * (weight.ndim - 2))


def _norm(edit: _Editing, i: int, call: Call) -> None:
    """Batch normalisation by running statistics goes into the product before it; else it takes in a ReLU after it."""
    if not _fold(edit, i, call):
        _join_relu(edit, i, call)


_PRODUCERS = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear")


def _fold(edit: _Editing, i: int, call: Call) -> bool:
    x, mean, var, weight, bias = [edit.constant(value) for value in call.inputs[:5]]
    given, at = call.inputs[0], edit.producer(call.inputs[0])
    if x is not None or at is None or given is None or edit.only_reader(given) != i or call.attributes["training"]:
        return False
    before = edit.calls[at]
    if before is None or before.op.name not in _PRODUCERS or mean is None or var is None:
        return False
    filters, shift = edit.constant(before.inputs[1]), edit.constant(before.inputs[2])
    learned = [part is None and value is not None for part, value in zip((weight, bias), call.inputs[3:5], strict=True)]
    if filters is None or (shift is None and before.inputs[2] is not None) or any(learned):
        return False
    if before.op.name == "linear" and len(edit.values[given].shape) != 2:
        return False  # the channels of the norm are another axis
    scale = (1.0 if weight is None else weight) / np.sqrt(var + call.attributes["eps"])
    moved = ((0.0 if shift is None else shift) - mean) * scale + (0.0 if bias is None else bias)
    inputs = before.inputs[0], edit.hold(filters * _channels_of(before, filters, scale)), edit.hold(moved)
    changed = before._replace(inputs=inputs, dtypes=("float32",) * 3)
    if call.attributes["relu"]:
        edit.calls[i] = Call(relu, (given,), ("float32",), {}, call.outputs, call.scope)
        edit.calls[at] = changed
    else:
        edit.calls[i] = None
        edit.calls[at] = changed._replace(outputs=call.outputs)
    return True


def _join_relu(edit: _Editing, i: int, call: Call) -> None:
    after = edit.only_reader(call.outputs[0])
    following = None if after is None else edit.calls[after]
    if after is not None and following is not None and following.op is relu:
        edit.calls[i] = call._replace(attributes={**call.attributes, "relu": True}, outputs=following.outputs)
        edit.calls[after] = None


RULES: dict[str, Callable[[_Editing, int, Call], None]] = {"batchnorm": _norm, "dropout": _drop}

_TAKES = "takes in what a rule of another op gives it"
_NEEDED = "is computed as it is: no op does the same in a pass of its own"

NONE: dict[str, str] = {
    "abs": _NEEDED,
    "adaptive_avgpool1d": _NEEDED,
    "adaptive_avgpool2d": _NEEDED,
    "add": _NEEDED,
    "all": _NEEDED,
    "amax": _NEEDED,
    "amin": _NEEDED,
    "any": _NEEDED,
    "argmax": _NEEDED,
    "argmin": _NEEDED,
    "avgpool1d": _NEEDED,
    "avgpool2d": _NEEDED,
    "bitwise_and": _NEEDED,
    "bitwise_not": _NEEDED,
    "bitwise_or": _NEEDED,
    "bitwise_xor": _NEEDED,
    "broadcast_to": _NEEDED,
    "chunk": _NEEDED,
    "clamp": _NEEDED,
    "clone": _NEEDED,
    "concatenate": _NEEDED,
    "conv1d": _TAKES,
    "conv2d": _TAKES,
    "conv_transpose1d": _TAKES,
    "conv_transpose2d": _TAKES,
    "crf_decode": _NEEDED,
    "crf_lengths": _NEEDED,
    "crf_loss": _NEEDED,
    "cross_entropy": _NEEDED,
    "ctc_beam_decode": _NEEDED,
    "ctc_greedy_decode": _NEEDED,
    "ctc_loss": _NEEDED,
    "div": _NEEDED,
    "embedding": _NEEDED,
    "eq": _NEEDED,
    "exp": _NEEDED,
    "flatten": _NEEDED,
    "flip": _NEEDED,
    "floor_divide": _NEEDED,
    "ge": _NEEDED,
    "gelu": _NEEDED,
    "gru": _NEEDED,
    "gru_cell": _NEEDED,
    "gru_variant": _NEEDED,
    "gt": _NEEDED,
    "index": _NEEDED,
    "le": _NEEDED,
    "leaky_relu": _NEEDED,
    "linear": _TAKES,
    "log": _NEEDED,
    "log_softmax": _NEEDED,
    "logical_and": _NEEDED,
    "logical_not": _NEEDED,
    "logical_or": _NEEDED,
    "logical_xor": _NEEDED,
    "lstm": _NEEDED,
    "lstm_cell": _NEEDED,
    "lstm_variant": _NEEDED,
    "lt": _NEEDED,
    "matmul": _NEEDED,
    "max_at": _NEEDED,
    "maximum": _NEEDED,
    "maxpool1d": _NEEDED,
    "maxpool2d": _NEEDED,
    "mean": _NEEDED,
    "min_at": _NEEDED,
    "minimum": _NEEDED,
    "mse_loss": _NEEDED,
    "mul": _NEEDED,
    "ne": _NEEDED,
    "neg": _NEEDED,
    "packing": _NEEDED,
    "pad": _NEEDED,
    "permute": _NEEDED,
    "pow": _NEEDED,
    "put_rows": _NEEDED,
    "relu": _TAKES,
    "remainder": _NEEDED,
    "repeat": _NEEDED,
    "reshape": _NEEDED,
    "rnn": _NEEDED,
    "rnn_cell": _NEEDED,
    "sigmoid": _NEEDED,
    "silu": _NEEDED,
    "softmax": _NEEDED,
    "split": _NEEDED,
    "sqrt": _NEEDED,
    "squeeze": _NEEDED,
    "stack": _NEEDED,
    "std": _NEEDED,
    "sub": _NEEDED,
    "sum": _NEEDED,
    "take_rows": _NEEDED,
    "tanh": _NEEDED,
    "to_bool": _NEEDED,
    "to_float32": _NEEDED,
    "to_int64": _NEEDED,
    "transpose": _NEEDED,
    "unbind": _NEEDED,
    "unsqueeze": _NEEDED,
    "var": _NEEDED,
    "where": _NEEDED,
}


def rewrite(graph: Graph) -> Graph:
    """A graph that gives what ``graph`` does, up to rounding, with fewer passes over memory.

    In a graph traced in eval mode, batch normalisation goes into the convolution or linear before it, dropout is left
    out, and where batch normalisation stays, a ReLU behind it is computed in the same pass. What is folded are the
    parameters of this moment, as constants: rewrite a model when it is trained. Visits of Modules are not kept.

    >>> import fastnn as fnn
    >>> from fastnn import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)).eval()
    >>> print(fnn.rewrite(fnn.trace(model, (1, 3, 3, 3))))
    graph(x0: float32 (1*, 3, 3*, 3*)):
      %9 = conv2d(x0, %12, %13, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1) -> (1, 8, 1, 1)  # 0
      %10 = relu(%9) -> (1, 8, 1, 1)  # 2
      return %10
    """
    edit = _Editing(graph)
    for i, call in enumerate(edit.calls):
        rule = None if call is None else RULES.get(call.op.name)
        if call is not None and rule is not None:
            rule(edit, i, call)
    calls = [call for call in edit.calls if call is not None]
    read = {value for call in calls for value in call.inputs} | {*refs(edit.outputs)}
    held = {value: part for value, part in edit.held.items() if value in read}
    names = {value: name for value, name in graph.names.items() if value in held}
    return Graph(graph.inputs, edit.outputs, calls, edit.values, held, names, [], graph.free, graph.tied)

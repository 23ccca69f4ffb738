"""trace: runs a function once, on shapes alone or on data, and writes down the calls of ops that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn.arrays import as_value
from fastnn.graph.graph import Graph, Value
from fastnn.graph.recorder import Recorder, TraceError, input_tensor, place
from fastnn.graph.sizes import freed
from fastnn.ops.op import DependsOnValues, Shape, blank
from fastnn.ops.recording import recording
from fastnn.tape import mode, no_grad
from fastnn.value import Tensor


def record(
    function: Callable[..., Any], inputs: Sequence[Tensor], on_shapes: bool, lenient: bool = False
) -> tuple[Graph, list[Any]]:
    """The graph of one call, and the Tensor or array of each of its values."""
    if mode.recorder is not None:
        raise TraceError(f"trace: a trace inside of a trace at {place()}; trace one function at a time")
    recorder = Recorder(on_shapes, lenient)
    if hasattr(function, "named_modules"):
        recorder.enter(function, "")
    places = [recorder.new(x) for x in inputs]
    with recording(recorder), no_grad(), _left_as_it_was(function):
        outputs = recorder.refs(function(*inputs))
    parts = recorder.calls, recorder.values, recorder.held, recorder.names, recorder.visits
    return Graph(places, outputs, *parts), recorder.shown


@contextmanager
def _left_as_it_was(function: Any) -> Iterator[None]:
    """Modules of the user's that keep something from one call to the next get back what they had."""
    modules = function.modules() if hasattr(function, "modules") else ()
    kept = [(module, dict(vars(module))) for module in modules if type(module).__module__.partition(".")[0] != "fastnn"]
    try:
        yield
    finally:
        for module, attributes in kept:
            now = vars(module)
            if now.keys() != attributes.keys() or any([now[name] is not value for name, value in attributes.items()]):
                now.clear()
                now.update(attributes)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all([isinstance(n, (int, np.integer)) for n in value])


def _value(x: Any, i: int) -> Value | Any:
    """An input: a Value for a shape, else an array of float32, int64 or bool."""
    if isinstance(x, Value):
        return x
    if _is_shape(x):
        if any([n < 0 for n in x]):
            raise ValueError(f"trace: input {i} is {x!r}, expected sizes of at least 0")
        return Value(tuple([int(n) for n in x]), "float32")
    if isinstance(x, (tuple, list)) and any([hasattr(part, "shape") for part in x]):
        raise ValueError(
            f"trace: input {i} is a {type(x).__name__} of arrays, expected an array or a shape; for ragged sequences "
            "trace a function of several arrays: fnn.trace(lambda *parts: model(list(parts)), *arrays)"
        )
    return as_value(x._array if isinstance(x, Tensor) else x, "trace", f"input {i}")


def tensors_of(inputs: Sequence[Any]) -> tuple[list[Tensor], bool]:
    """Tensors for the inputs of a trace, and whether they are shapes alone."""
    values: list[Any] = [_value(x, i) for i, x in enumerate(inputs)]
    on_shapes = any([isinstance(value, Value) for value in values])
    if on_shapes:
        values = [blank(value.shape, np.dtype(value.dtype)) for value in values]
    return [input_tensor(array) for array in values], on_shapes


def trace(function: Callable[..., Any], *inputs: Any) -> Graph:
    """The graph of what ``function``, a Module or any function of Tensors, computes for such inputs.

    Args:
        function: called with Tensors, in the mode in which it is (``model.eval()`` first for one that serves), once for
            the graph and then on shapes alone, to see what follows other sizes.
        inputs: shapes, tuples of sizes, samples included: then nothing is computed or allocated, and parameters made
            under ``nn.init.blank()`` take no memory either; or arrays, on which the function is run. With a shape among
            them, arrays give their shapes and dtypes only; ``fnn.graph.Value(shape, "int64")`` is a shape of integers.

    Returns a fastnn.Graph: ``print`` shows it; ``graph(*arrays)`` gives to the bit what ``function`` does, with the
    values that parameters have then. Sizes of inputs that the calls do not depend on are in ``graph.free``, shown with
    a star: the axis of samples, with which all inputs vary together, and every axis by itself, each tried at several
    sizes from 1 to a thousand more. NumPy and random numbers of a forward's own that touch no Tensor are constants.

    Raises TraceError (a RuntimeError), with file and line, for what a graph cannot hold: a branch on values (``if
    x.sum() > 0``), NumPy on a Tensor's data, an assignment into a Tensor, and on shapes alone
    ops whose shapes follow values (``lengths=`` of recurrent layers). What the ops raise for shapes that do not fit is
    raised here too.

    >>> import fastnn as fnn
    >>> from fastnn import nn
    >>> print(fnn.trace(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), (1, 3)))
    graph(x0: float32 (1*, 3)):
      %3 = linear(x0, 0.weight, 0.bias) -> (1, 8)  # 0
      %4 = relu(%3) -> (1, 8)  # 1
      return %4
    """
    if not inputs:
        raise ValueError("trace: no inputs given, expected shapes or arrays")
    tensors, on_shapes = tensors_of(inputs)
    try:
        graph, _ = record(function, tensors, on_shapes)
    except DependsOnValues as error:
        raise TraceError(f"{error}: trace it on data") from error

    def again(shapes: Sequence[Shape]) -> Graph:
        dtypes = [graph.values[value].dtype for value in graph.inputs]
        blanks = [blank(shape, np.dtype(dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)]
        return record(function, [input_tensor(array) for array in blanks], True)[0]

    return freed(graph, again, getattr(function, "batch_axis", 0))

"""trace: runs a function once, on shapes alone or on data, and writes down the calls of ops that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_value
from fastnn.graph.graph import Graph, Value
from fastnn.graph.recorder import Recorder, TraceError, input_tensor, place
from fastnn.graph.sizes import Traced, freed, is_again
from fastnn.ops.op import DependsOnValues, Shape, blank
from fastnn.ops.recording import recording
from fastnn.tape import mode, no_grad
from fastnn.value import Tensor


def record(
    function: Callable[..., Any], inputs: Sequence[Tensor], on_shapes: bool, lenient: bool = False
) -> tuple[Graph, list[Any]]:
    """The graph of one call, and the Tensor or array of each of its values."""
    with _left_as_it_was(function):
        graph, recorder = _recorded(function, inputs, on_shapes, lenient)
    return graph, recorder.shown


def _traced(function: Callable[..., Any], inputs: Sequence[Tensor], on_shapes: bool) -> Traced:
    with _left_as_it_was(function):
        graph, recorder = _recorded(function, inputs, on_shapes)
    return Traced(graph, recorder.looks)


def _recorded(
    function: Callable[..., Any], inputs: Sequence[Tensor], on_shapes: bool, lenient: bool = False
) -> tuple[Graph, Recorder]:
    if mode.recorder is not None:
        raise TraceError(f"trace: a trace inside of a trace at {place()}; trace one function at a time")
    recorder = Recorder(on_shapes, lenient)
    if hasattr(function, "named_modules"):
        recorder.enter(function, "")
    places = [recorder.new(x) for x in inputs]
    with recording(recorder), no_grad():
        recorder.outside = mode.before
        outputs = recorder.refs(function(*inputs))
    recorder.check(outputs)
    parts = recorder.calls, recorder.values, recorder.held, recorder.names, recorder.visits
    return Graph(places, outputs, *parts), recorder


@contextmanager
def _left_as_it_was(function: Any) -> Iterator[None]:
    """Modules of the user's that keep something from one call to the next get back what they had."""
    modules = function.modules() if hasattr(function, "modules") else ()
    kept = [(vars(m), dict(vars(m))) for m in modules if type(m).__module__.partition(".")[0] != "fastnn"]
    arrays = [array for _, attributes in kept for array in attributes.values() if _has_memory(array)]
    copies = [array.copy() for array in arrays]
    try:
        yield
    finally:
        for now, attributes in kept:  # name by name: another thread may read the others meanwhile
            for name in now.keys() - attributes.keys():
                del now[name]
            for name, value in attributes.items():
                if name not in now or now[name] is not value:
                    now[name] = value
        for array, copy in zip(arrays, copies, strict=True):
            if array.tobytes() != copy.tobytes():
                np.copyto(array, copy)


def _has_memory(value: Any) -> bool:
    """Whether it is an array, and none of ``nn.init.blank()``."""
    return type(value) is np.ndarray and (value.size < 2 or any(value.strides))


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
            the graph and then for other sizes, to see what follows them, on shapes alone where these tell all.
        inputs: shapes, tuples of sizes, samples included: then nothing is computed or allocated, and parameters made
            under ``nn.init.blank()`` take no memory either; or arrays, on which the function is run. With a shape among
            them, arrays give their shapes and dtypes only; ``fnn.graph.Value(shape, "int64")`` is a shape of integers.

    Returns a fastnn.Graph: ``print`` shows it; ``graph(*arrays)`` gives to the bit what ``function`` does, with the
    values that parameters have then. Sizes of inputs that the calls do not depend on are in ``graph.free``, shown with
    a star: the axis of samples, with which all inputs vary together, and every axis by itself, each tried at several
    sizes from 1 to a thousand more. A size that ``function`` itself compares (``if x.shape[0] > 1:``) is not free, nor
    one of which it takes len(). NumPy of a forward's own that touches no Tensor, and ops on what it made, are
    constants, NumPy on the values of buffers too, and what is kept from one call to the next is as it was at the trace.

    Raises TraceError (a RuntimeError), with file and line, for what a graph cannot hold: a branch on values (``if
    x.sum() > 0``), NumPy on a Tensor's data, an assignment into a Tensor, what is returned in an object of a class of
    yours, and on shapes alone ops whose shapes follow values (``lengths=`` of recurrent layers). What the ops raise for
    shapes that do not fit is raised here too.

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
    dtypes = [np.dtype(x.dtype) for x in tensors]

    def again(shapes: Sequence[Shape]) -> Traced:
        arrays = [blank(*each) for each in zip(shapes, dtypes, strict=True)]
        try:
            return _traced(function, [input_tensor(array) for array in arrays], True)
        except DependsOnValues:
            if on_shapes:
                raise
            arrays = [_tiled(x._array, shape) for x, shape in zip(tensors, shapes, strict=True)]
            return _traced(function, [input_tensor(array) for array in arrays], False)

    try:
        graph, looks = _traced(function, tensors, on_shapes)
    except DependsOnValues as error:
        raise TraceError(f"{error}: trace it on data") from error
    return freed(Traced(graph, looks), again, getattr(function, "batch_axis", 0))


def repeats(function: Callable[..., Any], inputs: Sequence[Any]) -> bool:
    """Whether a second call, right after a first one that nobody undoes, computes the same."""
    with _left_as_it_was(function):
        one, other = [_recorded(function, *tensors_of(inputs))[0] for _ in range(2)]
    return is_again(one, other)


def _tiled(array: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    """An array of that shape with the values of another one, over and over along each axis."""
    for axis, (size, wanted) in enumerate(zip(array.shape, shape, strict=True)):
        if size != wanted:
            array = array.take(np.arange(wanted) % size, axis)
    return array

"""A recorder of ops for tests: what was called on what, and whether all of it came from somewhere known."""

from __future__ import annotations

import json

import numpy as np

import fastnn as fnn
from fastnn.graph.graph import as_parts, attributes_for, read
from fastnn.ops.recording import recording


def _array(value):
    return value._array if isinstance(value, fnn.Tensor) else value


def _flat(value):
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _flat(part)]
    return [leaf for part in value for leaf in _flat(part)] if isinstance(value, (list, tuple)) else [_array(value)]


class Calls:
    """Records calls made of ``known`` arrays and constants; ``unknown`` collects what came from neither.

    A constant owns little memory that no array of the model or the input has: an array of numbers that a layer makes
    from shapes, such as the order of packed rows, or what the caller of a layer gave as a list.
    """

    def __init__(self, known, on_shapes):
        self.on_shapes, self.calls, self.unknown = on_shapes, [], []
        self._arrays = [array for array in _flat(list(known)) if isinstance(array, np.ndarray)]

    def call(self, op, given, arrays, attributes):
        assert json.loads(json.dumps(attributes)) == json.loads(json.dumps(attributes, default=str)), op
        for value, array in zip(given, arrays, strict=True):
            source = _array(value)
            if array is None or not isinstance(source, np.ndarray) or source.dtype.kind in "iub":
                continue
            if not any(source is known for known in self._arrays):
                self.unknown.append((op.name, source.shape))
        outputs = self._outputs(op, given, arrays, attributes)
        self.calls.append((op, arrays, attributes, outputs))
        self._arrays += [array for array in _flat(outputs) if isinstance(array, np.ndarray)]
        return outputs

    def _outputs(self, op, given, arrays, attributes):
        if self.on_shapes:
            outputs = op.blank(arrays, attributes)
            several = isinstance(op.shape(*[None if a is None else a.shape for a in arrays], **attributes), list)
            return tuple(outputs) if several or len(outputs) > 1 else outputs[0]
        values = [g if isinstance(g, fnn.Tensor) and g._array is a else a for g, a in zip(given, arrays, strict=True)]
        with recording(None):
            return op.apply(values, attributes)

    def visit(self, module, args, kwargs):
        return module.forward(*args, **kwargs)

    def replay(self, graph, found):
        sizes = [np.shape(found[value]) for value in graph.inputs]
        for call in graph.calls:
            given = [None if value is None else found[value] for value in call.inputs]
            arrays = [_array(value) for value in read(call, found)]
            outputs = self.call(call.op, given, arrays, attributes_for(call.attributes, sizes))
            found.update(zip(call.outputs, as_parts(outputs), strict=True))

    def same(self, new, old):
        pass

    def leave(self, what):
        pass

    def final(self, output):
        """Whether all of a model's output came from a call, or was given."""
        return all(any(array is known for known in self._arrays) for array in _flat(output))


def recorded(model, inputs, on_shapes=False):
    """(what ``model(*inputs)`` gives, Calls)."""
    state = [*(p for _, p in model.named_parameters()), *(b for _, b in model.named_buffers())]
    calls = Calls([*state, *inputs], on_shapes)
    with recording(calls):
        output = model(*inputs)
    return output, calls


def shapes_of(output):
    return [array.shape for array in _flat(output)]


def blank(array):
    """An array of that shape and dtype that owns no memory."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, array.dtype), array.shape, (0,) * array.ndim)

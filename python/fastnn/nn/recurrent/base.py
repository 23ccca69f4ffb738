from __future__ import annotations

import functools
import warnings
from typing import Any

from fastnn import ops
from fastnn.arrays import as_indices, positive_int
from fastnn.nn.init import fan_in_bound, uniform
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.recurrent.inputs import floats
from fastnn.nn.recurrent.packed import Listed, Packed, Padded
from fastnn.nn.recurrent.streaming import Stream, prepare, prepare_op
from fastnn.nn.recurrent_calls import note_layer
from fastnn.ops.checks import check_probability
from fastnn.ops.recurrent import WEIGHTS
from fastnn.value import Parameter, Tensor

_ONE_WAY = (None,) * len(WEIGHTS)


def both_ways(weights: list[Any]) -> list[Any]:
    """The weights of an op: also those of the reverse direction, None where there is none."""
    return weights if len(weights) == 2 * len(WEIGHTS) else [*weights, *_ONE_WAY]


class Recurrent(Module):
    """Layers above each other, in one direction or both; a subclass says which op a layer is."""

    _reads_time = True
    _unnamed, _shows_defaults = 2, False
    _gates = 1
    _parts: tuple[str, ...] = (" h",)  # of the state
    _kinds: tuple[str, ...] = WEIGHTS  # of parameters, as the op takes them

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        op = type(self).__name__
        self.input_size = positive_int(input_size, op, "input_size")
        self.hidden_size = positive_int(hidden_size, op, "hidden_size")
        self.num_layers = positive_int(num_layers, op, "num_layers")
        self.bias, self.batch_first, self.bidirectional = bool(bias), bool(batch_first), bool(bidirectional)
        self.dropout = check_probability(dropout, op)
        if dropout and num_layers == 1:
            warnings.warn(f"{op}: dropout={dropout} acts between layers and num_layers is 1", stacklevel=3)
        self._names = [
            tuple(name + suffix for suffix in self._suffixes(layer) for name in self._kinds)
            for layer in range(num_layers)
        ]
        rows, bound = self._gates * hidden_size, fan_in_bound(hidden_size)
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else self._state_size(" h") * self._directions()
            for suffix in self._suffixes(layer):
                setattr(self, f"weight_ih{suffix}", Parameter(uniform((rows, inputs), bound)))
                setattr(self, f"weight_hh{suffix}", Parameter(uniform((rows, self._state_size(" h")), bound)))
                if bias:
                    setattr(self, f"bias_ih{suffix}", Parameter(uniform((rows,), bound)))
                    setattr(self, f"bias_hh{suffix}", Parameter(uniform((rows,), bound)))
                for name, parameter in self._more_parameters(bound).items():
                    setattr(self, name + suffix, parameter)

    @property
    def batch_axis(self) -> int:
        """Where samples lie in x, see Module.batch_axis: that of ``batch_first``, unless it was set."""
        return int(vars(self).get("batch_axis", 0 if self.batch_first else 1))

    @batch_axis.setter
    def batch_axis(self, axis: int) -> None:
        vars(self)["batch_axis"] = axis

    def _layer(self, x: Any, states: list[Any], weights: list[Any], batch_sizes: Any) -> Any:
        """One layer: (y, last states)."""
        raise NotImplementedError

    def _op(self) -> functools.partial[Any] | None:
        """The op of a layer as it is now, with all its options; None where it has none and streams have a kernel."""
        return None

    def _more_parameters(self, bound: float) -> dict[str, Parameter]:
        """What a subclass has beside these, of one direction of one layer."""
        return {}

    def _state_size(self, part: str) -> int:
        """Features of the state part."""
        return self.hidden_size

    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions()]

    def _weights(self, layer: int) -> list[Any]:
        return [*map(vars(self).get, self._names[layer])]

    def _checked(self, states: tuple[Any, ...], samples: tuple[int, ...]) -> list[Any]:
        """The states as (L * D, N, H), of one sequence where samples is ()."""
        if states[0] is None and states[-1] is None:
            return list(states)
        op, checked = type(self).__name__, []
        for state, part in zip(states, (" h", " c") if len(states) == 2 else ("",), strict=True):
            if state is not None:
                expected = (self.num_layers * self._directions(), *samples, self._state_size(part))
                state = floats(state, op, f"the state{part}")
                if state.shape != expected:
                    raise ValueError(f"{op}: the state{part} has shape {state.shape}, expected {expected}")
                state = state if samples else ops.unsqueeze(state, 1)
            checked.append(state)
        return checked

    def _run(self, x: Any, states: tuple[Any, ...], lengths: Any) -> tuple[Any, ...]:
        """(y, last states of all layers) as the user sees them."""
        note_layer(self, x, states)
        if isinstance(x, (list, tuple)):
            return self._run_list(x, states, lengths)
        op = type(self).__name__
        x = floats(x, op, "x")
        shape = x.shape
        time = 1 if self.batch_first and len(shape) == 3 else 0
        if not 2 <= len(shape) <= 3 or shape[-1] != self.input_size or shape[time] < 1:
            layout = "(N, T, input_size)" if self.batch_first else "(T, N, input_size)"
            raise ValueError(
                f"{op}: x has shape {shape}, expected {layout} or (T, input_size), input_size={self.input_size}, "
                "at least one time step"
            )
        if len(shape) == 2:
            if lengths is not None:
                raise ValueError(f"{op}: x has shape {shape}: one sequence, but lengths are given")
            parts = self._stack(ops.unsqueeze(x, 1), self._checked(states, ()))
            return tuple([ops.squeeze(part, 1) for part in parts])
        hx = self._checked(states, (shape[0 if self.batch_first else 1],))
        if lengths is not None:
            return self._run_padded(x, hx, lengths)
        if not self.batch_first:
            return self._stack(x, hx)
        y, *ends = self._stack(ops.transpose(x, 0, 1), hx)
        return (ops.transpose(y, 0, 1), *ends)

    def _run_padded(self, x: Any, states: list[Any], lengths: Any) -> tuple[Any, ...]:
        op, (samples, steps) = type(self).__name__, x.shape[:2] if self.batch_first else x.shape[1::-1]
        counts = lengths if isinstance(lengths, Tensor) else as_indices(lengths, op, "lengths")
        try:
            packed = Padded(counts, samples, steps, self.batch_first) if counts.shape == (samples,) else None
        except ValueError:  # they are no numbers of time steps
            if isinstance(lengths, Tensor):
                raise  # the op has said so
            packed = None
        if packed is None:
            raise ValueError(
                f"{op}: lengths {counts} do not fit x {x.shape}: expected {samples} numbers, at least 1 and at most "
                f"{steps}"
            )
        return self._run_packed(x, states, packed)

    def _run_list(self, given: Any, states: tuple[Any, ...], lengths: Any) -> tuple[Any, ...]:
        op = type(self).__name__
        if isinstance(given, tuple) and any(isinstance(part, (Tensor, tuple)) for part in given):
            raise TypeError(
                f"{op}: x is a tuple, as a recurrent layer returns it: (output, state). Give its output, x[0], or a "
                "list of sequences"
            )
        if lengths is not None:
            raise ValueError(f"{op}: x is a list of sequences, which have their lengths, but lengths are given")
        if not given:
            raise ValueError(f"{op}: x is empty, expected an array or a list of arrays (T, {self.input_size})")
        sequences = [floats(x, op, f"x[{i}]") for i, x in enumerate(given)]
        for i, x in enumerate(sequences):
            if x.ndim != 2 or x.shape[1] != self.input_size or len(x) < 1:
                raise ValueError(
                    f"{op}: x[{i}] has shape {x.shape}, expected (T, {self.input_size}), at least one time step"
                )
        return self._run_packed(sequences, self._checked(states, (len(sequences),)), Listed(map(len, sequences)))

    def _run_packed(self, x: Any, states: list[Any], packed: Packed) -> tuple[Any, ...]:
        hx = [None if s is None else packed.sort(s) for s in states]
        y, *ends = self._stack(packed.pack(x), hx, packed.batch_sizes)
        return (packed.unpack(y), *(packed.unsort(end) for end in ends))

    def _stack(self, x: Any, states: list[Any], batch_sizes: Any = None) -> tuple[Any, ...]:
        """The layers above each other: x (T, N, features), or packed with batch_sizes."""
        if self.num_layers == 1:
            return tuple(self._layer(x, states, self._weights(0), batch_sizes))
        each = [(None,) * self.num_layers if s is None else ops.split(s, self._directions()) for s in states]
        last: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                x = ops.dropout(x, self.dropout)
            x, *new = self._layer(x, [own[layer] for own in each], self._weights(layer), batch_sizes)
            last.append(tuple(new))
        return (x, *(ops.concatenate(parts) for parts in zip(*last, strict=True)))

    def stream(self) -> Stream:
        """A prepared step for one sequence whose time steps arrive one by one, with the weights of this moment.

        Returns a fastnn.Stream: the layer in eval mode, with all its options. Raises ValueError where the layer is
        bidirectional.

        >>> import numpy as np
        >>> from fastnn import nn
        >>> stream = nn.LSTM(3, 8).stream()
        >>> stream.step(np.ones(3, np.float32)).shape
        (8,)
        """
        if self.bidirectional:
            raise ValueError(f"{type(self).__name__}.stream: the layer is bidirectional, its last step comes first")
        weights = [self._weights(layer) for layer in range(self.num_layers)]
        with evaluation(self):
            op = self._op()
        if op is None:
            cell = {1: f"rnn_{getattr(self, 'nonlinearity', '')}", 3: "gru", 4: "lstm"}[self._gates]
            return prepare(cell, weights)
        return prepare_op(op, weights, self.input_size, [self._state_size(part) for part in self._parts])

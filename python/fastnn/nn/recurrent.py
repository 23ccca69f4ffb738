from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from fastnn import ops
from fastnn.arrays import positive_int
from fastnn.nn.init import fan_in_bound, uniform
from fastnn.nn.listen import note_layer
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.recurrent_input import floats, one_state
from fastnn.ops.dropout import check_probability
from fastnn.ops.recurrent import WEIGHTS
from fastnn.ops.rnn import check_nonlinearity
from fastnn.ragged import Packing, as_lengths
from fastnn.streaming import Stream, prepare, prepare_op
from fastnn.tensor import Parameter, Tensor


class _Recurrent(Module):
    """Layers above each other, in one direction or both; a subclass says which op a layer is."""

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

    def _layer(self, x: Any, states: list[Any], weights: list[Any], batch_sizes: Any) -> tuple[Any, ...]:
        """One layer: (y, last states)."""
        raise NotImplementedError

    def _op(self) -> Callable[..., tuple[Any, ...]] | None:
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
                state = state if samples else state[:, None]
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
            y, *ends = self._stack(x[:, None], self._checked(states, ()))
            return (y[:, 0], *(end[:, 0] for end in ends))
        hx = self._checked(states, (shape[0 if self.batch_first else 1],))
        if lengths is not None:
            return self._run_padded(x, hx, lengths)
        if not self.batch_first:
            return self._stack(x, hx)
        y, *ends = self._stack(ops.transpose(x, 0, 1), hx)
        return (ops.transpose(y, 0, 1), *ends)

    def _run_padded(self, x: Any, states: list[Any], lengths: Any) -> tuple[Any, ...]:
        op, (samples, steps) = type(self).__name__, x.shape[:2] if self.batch_first else x.shape[1::-1]
        counts = as_lengths(lengths, op)
        if counts.size != samples or counts.max() > steps:
            raise ValueError(
                f"{op}: lengths {counts} do not fit x {x.shape}: expected {samples} numbers, at most {steps}"
            )
        packing = Packing(counts, op)
        y, *ends = self._run_packed(packing.pack(x, self.batch_first), states, packing)
        return (packing.unpack(y, steps, self.batch_first), *ends)

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
        packing = Packing([len(x) for x in sequences], op)
        hx = self._checked(states, (len(sequences),))
        y, *ends = self._run_packed(packing.pack_list(sequences), hx, packing)
        return (packing.unpack_list(y), *ends)

    def _run_packed(self, x: Any, states: list[Any], packing: Packing) -> tuple[Any, ...]:
        hx = [None if s is None else packing.sort(s) for s in states]
        y, *ends = self._stack(x, hx, packing.batch_sizes)
        return (y, *(packing.unsort(end) for end in ends))

    def _stack(self, x: Any, states: list[Any], batch_sizes: Any = None) -> tuple[Any, ...]:
        """The layers above each other: x (T, N, features), or packed with batch_sizes."""
        if self.num_layers == 1:
            return self._layer(x, states, self._weights(0), batch_sizes)
        directions = self._directions()
        last: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                x = ops.dropout(x, self.dropout)
            own = slice(layer * directions, (layer + 1) * directions)
            x, *new = self._layer(x, [None if s is None else s[own] for s in states], self._weights(layer), batch_sizes)
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

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text + (", bidirectional=True" if self.bidirectional else "")


class RNN(_Recurrent):
    """Plain recurrent layers (Elman 1990): h = nonlinearity(x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh).

    Args:
        input_size, hidden_size: numbers of features of x and of h, at least 1.
        num_layers: layers above each other, each reading the output of the one below. Default 1.
        nonlinearity: "tanh" (default) or "relu".
        bias: whether to add learned biases. Default True.
        batch_first: whether x and y are (N, T, features) rather than (T, N, features). Default False. ``batch_axis``
            follows from it: ``fit``, ``evaluate`` and ``predict`` cut samples there.
        dropout: probability of dropping each element of the output of every layer but the last. Default 0.
        bidirectional: whether each layer also walks from the last time step to the first (D = 2). Default False.

    Call with x (T, N, input_size), or (T, input_size) for one sequence, and hx (num_layers * D, N, hidden_size) or None
    for zeros. Returns y (T, N, D * hidden_size) and h_n of the shape of hx.

    Sequences of different lengths: x padded at their ends with lengths (N), or x a list of arrays (T_n, input_size), in
    any order. Padding costs nothing and changes nothing: each sequence gives the bits it gives alone, y has zeros after
    its end (or is a list like x), h_n is the state after its own last step.

    Parameters: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then the same with _l0_reverse and _l1, uniform on
    ±1/sqrt(hidden_size). Raises ValueError when shapes or lengths do not match or T is 0.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> y, h = nn.RNN(3, 8, bidirectional=True)(np.zeros((5, 2, 3)))
    >>> y.shape, h.shape
    ((5, 2, 16), (2, 2, 8))
    >>> y, h = nn.RNN(3, 8)([np.zeros((5, 3)), np.zeros((2, 3))])
    >>> [part.shape for part in y], h.shape
    ([(5, 8), (2, 8)], (1, 2, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        self.nonlinearity = check_nonlinearity(nonlinearity, "RNN")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def _layer(self, x: Any, states: list[Any], weights: list[Any], batch_sizes: Any) -> tuple[Any, ...]:
        return tuple(ops.rnn(x, *states, *weights, nonlinearity=self.nonlinearity, batch_sizes=batch_sizes))

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        y, h_n = self._run(x, (one_state(hx, "RNN"),), lengths)
        return y, h_n

    def extra_repr(self) -> str:
        return super().extra_repr() + (", nonlinearity='relu'" if self.nonlinearity == "relu" else "")

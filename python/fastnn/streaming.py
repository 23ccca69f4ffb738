"""Recurrent layers fed one time step at a time, as samples arrive: microphones, sensors, control loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32


def _plain(x: Any, op: str, name: str) -> FloatArray:
    """A C-contiguous float32 array of the same shape."""
    return np.asarray(as_float32(x, op, name), order="C")


class Stream:
    """One sequence on its way through the layers of an nn.RNN, nn.LSTM or nn.GRU, one time step per call.

    Made by the layer's stream(). Steps give, bit for bit, what the layer in eval mode gives for the whole sequence. The
    weights are those of the moment: training or loading others afterwards does not change a stream. They are packed
    once, and shared by all streams of a layer; each has a state of its own, zeros at first. A step allocates nothing.

    A stream is for one thread at a time; streams of the same layer may be stepped in different threads. A step on a
    stream that another thread is stepping, like everything else that reads or changes its state, may raise
    RuntimeError.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> lstm = nn.LSTM(3, 8, num_layers=2)
    >>> x = np.ones((5, 3), np.float32)
    >>> stream = lstm.stream()
    >>> for x_t in x:
    ...     y_t = stream.step(x_t)
    >>> y, (h, c) = lstm(x)
    >>> bool((y_t == y[-1]).all() and (stream.state[1] == c).all())
    True
    """

    __slots__ = ("_core",)

    def __init__(self, core: _core.RecurrentStream) -> None:
        self._core = core

    def step(self, x: Any, out: FloatArray | None = None) -> FloatArray:
        """The last layer's h after one more time step.

        Args:
            x: (input_size,); a contiguous float32 array is read where it lies, anything else is converted first.
            out: a contiguous float32 array (hidden_size,) that is filled and returned. Without it the same read-only
                array is returned every time: whatever changes the state overwrites it.

        Raises ValueError when a shape does not match, TypeError for complex, object and string input.

        >>> import numpy as np
        >>> from fastnn import nn
        >>> stream = nn.GRU(3, 8).stream()
        >>> stream.step(np.zeros(3, np.float32)).shape
        (8,)
        """
        y = self._core.step(x, out)
        if y is None:
            y = self._core.step(_plain(x, "Stream.step", "x"), out)
        return y  # type: ignore[no-any-return]

    @property
    def state(self) -> Any:
        """h (num_layers, hidden_size), or of an LSTM the pair (h, c): copies. May be set to the same, or to what the
        layer returns for one sequence (T, input_size).

        >>> import numpy as np
        >>> from fastnn import nn
        >>> lstm = nn.LSTM(3, 8)
        >>> stream = lstm.stream()
        >>> y, stream.state = lstm(np.ones((5, 3)))
        >>> h, c = stream.state
        >>> h.shape, c.shape
        ((1, 8), (1, 8))
        """
        h, c = self._core.state()
        return h if c is None else (h, c)

    @state.setter
    def state(self, state: Any) -> None:
        op, has_c = "Stream.state", self._core.state()[1] is not None
        if not has_c:
            self._core.set_state(_plain(state, op, "h"), None)
            return
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise TypeError(f"{op}: the state is {type(state).__name__}, expected a pair (h, c)")
        self._core.set_state(_plain(state[0], op, "h"), _plain(state[1], op, "c"))

    def reset(self) -> None:
        """Back to the state before the first step."""
        self._core.reset()

    def copy(self) -> Stream:
        """Another stream that goes on from the same state, with the same packed weights."""
        return Stream(self._core.copy())


def prepare(cell: str, layers: Sequence[Sequence[Any]]) -> Stream:
    """A stream of layers given as weight_ih, weight_hh, bias_ih and bias_hh each; cell: a name of the kernels."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    arrays = [
        tuple(None if a is None else _plain(a, "stream", name) for a, name in zip(layer, names, strict=True))
        for layer in layers
    ]
    return Stream(_core.RecurrentStream(cell, arrays))  # type: ignore[arg-type]

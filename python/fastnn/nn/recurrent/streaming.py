"""Recurrent layers fed one time step at a time, as samples arrive: microphones, sensors, control loops."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, copied
from fastnn.value import Tensor

Step = Callable[..., tuple[Any, ...]]

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _plain(x: Any, op: str, name: str) -> FloatArray:
    """A C-contiguous float32 array of the same shape."""
    x = x._array if isinstance(x, Tensor) else x
    return np.asarray(as_float32(x, op, name), order="C")


class _Walk(Protocol):
    """What a Stream stands on: _core.RecurrentStream, or what is below for layers that it does not know."""

    def step(self, x: Any, out: Any) -> Any: ...
    def state(self) -> tuple[FloatArray, FloatArray | None]: ...
    def set_state(self, h: FloatArray, c: FloatArray | None) -> None: ...
    def reset(self) -> None: ...
    def copy(self) -> Self: ...


class Stream:
    """One sequence on its way through the layers of an nn.RNN, nn.LSTM or nn.GRU, one time step per call.

    Made by the layer's stream(). Steps give, bit for bit, what the layer in eval mode gives for the whole sequence,
    with any of its options. The weights are those of the moment: training or loading others afterwards does not change
    a stream, nor does a change of the layer's options. Each stream has a state of its own, zeros at first.

    Layers without options beyond torch's have a step of their own: weights are packed once and shared by all streams of
    a layer, and a step into ``out`` allocates nothing. Others call the op of the whole sequence for each step, which
    takes 10 to 20 microseconds more.

    A stream is for one thread at a time; streams of the same layer may be stepped in different threads. A step on a
    stream that another thread is stepping, like everything else that reads or changes its state, may raise
    RuntimeError.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> lstm = nn.LSTM(3, 8, num_layers=2)
    >>> x = np.ones((5, 3), np.float32)
    >>> stream = lstm.stream()
    >>> steps = [stream.step(x_t) for x_t in x]
    >>> y, (h, c) = lstm(x)
    >>> bool((steps == y.numpy()).all() and (stream.state[1] == c.numpy()).all())
    True
    """

    __slots__ = ("_core",)

    def __init__(self, core: _Walk) -> None:
        self._core = core

    def step(self, x: Any, out: FloatArray | None = None) -> FloatArray:
        """The last layer's h after one more time step.

        Args:
            x: (input_size,); a contiguous float32 array is read where it lies, anything else is converted first.
            out: a contiguous float32 array (features of h,) that is filled and returned. Default a new one.

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
        """h (num_layers, features of h), or of an LSTM the pair (h, c), c (num_layers, hidden_size): copies. May be set
        to the same, or to what the layer returns for one sequence (T, input_size).

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
            if isinstance(state, tuple):
                raise TypeError(f"{op}: the state is a tuple, expected one array h")
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

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Stream:
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError("Stream: cannot be pickled; pickle the layer and the stream's state")


class _Layers:
    """Layers whose step is an op for whole sequences, called with T = 1 and N = 1: it gives the same bits.

    ``steps`` has for each layer a function (x, *states) -> (y, *states), ``sizes`` the features of each part of the
    state: of h, and of c where there is one. Arrays of the state are replaced, never written to, so copies share them.
    """

    def __init__(self, steps: Sequence[Step], inputs: int, sizes: Sequence[int]) -> None:
        self._steps, self._inputs, self._sizes = steps, inputs, sizes
        self._states: list[list[Any]] = []  # None before the first step: h is left out, as in a sequence
        self._lock = threading.Lock()  # the ops let other threads run meanwhile
        self.reset()

    @contextmanager
    def _alone(self, op: str) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"{op}: another thread is stepping this stream; give it a copy()")
        try:
            yield
        finally:
            self._lock.release()

    def step(self, x: Any, out: Any) -> FloatArray:
        op = "Stream.step"
        with self._alone(op):
            x = _plain(x, op, "x")
            if x.shape != (self._inputs,):
                raise ValueError(f"{op}: x has shape {x.shape}, expected {(self._inputs,)}")
            if out is not None:
                _check_output(out, (self._sizes[0],))
            y: FloatArray = x[None, None]
            states = []
            for step, before in zip(self._steps, self._states, strict=True):
                y, *after = step(y, *before)
                states.append(after)
            self._states = states
            if out is None:
                return y.reshape(-1)
            out[:] = y[0, 0]
            return out  # type: ignore[no-any-return]

    def state(self) -> tuple[FloatArray, FloatArray | None]:
        with self._alone("Stream.state"):
            parts = [
                np.concatenate([np.zeros((1, size), np.float32) if s[i] is None else s[i][0] for s in self._states])
                for i, size in enumerate(self._sizes)
            ]
        return parts[0], parts[1] if len(parts) > 1 else None

    def set_state(self, h: FloatArray, c: FloatArray | None) -> None:
        op, parts = "Stream.state", [h] if c is None else [h, c]
        for name, part, size in zip("hc", parts, self._sizes, strict=False):
            expected = (len(self._steps), size)
            if part.shape != expected:
                raise ValueError(f"{op}: {name} has shape {part.shape}, expected {expected}")
        with self._alone(op):
            own = [part.copy() for part in parts]
            self._states = [[part[i][None, None] for part in own] for i in range(len(self._steps))]

    def reset(self) -> None:
        with self._alone("Stream.reset"):
            self._states = [[None] * len(self._sizes) for _ in self._steps]

    def copy(self) -> Self:
        with self._alone("Stream.copy"):
            other = type(self)(self._steps, self._inputs, self._sizes)
            other._states = self._states
        return other


def _check_output(out: Any, shape: tuple[int, ...]) -> None:
    op = "Stream.step"
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise TypeError(f"{op}: out must be a float32 array")
    if out.shape != shape:
        raise ValueError(f"{op}: out has shape {out.shape}, expected {shape}")
    if not (out.flags.c_contiguous and out.flags.aligned):
        raise TypeError(f"{op}: out must be C-contiguous and aligned")
    if not out.flags.writeable:
        raise ValueError(f"{op}: out is read-only")


def prepare(cell: str, layers: Sequence[Sequence[Any]]) -> Stream:
    """A stream of layers given as weight_ih, weight_hh, bias_ih and bias_hh each; cell: a name of the kernels."""
    arrays = [
        tuple(None if a is None else _plain(a, "stream", name) for a, name in zip(layer, _NAMES, strict=True))
        for layer in layers
    ]
    return Stream(_core.RecurrentStream(cell, arrays))  # type: ignore[arg-type]


def prepare_op(
    op: functools.partial[Any], layers: Sequence[Sequence[Any]], inputs: int, sizes: Sequence[int]
) -> Stream:
    """A stream of layers given as the weights that ``op``, an Op with its options, takes after x (T, N, features) and
    the states, of which it returns (y, *states). inputs: features of x, sizes: those of each state."""
    record: Any = op.func

    def step(weights: Sequence[Any]) -> Step:
        own = [None if w is None else copied(_plain(w, "stream", "weight")) for w in weights]
        blank = np.zeros((1, 1, weights[0].shape[1]), np.float32)
        arrays, attributes = record.normalise(blank, *[None] * len(sizes), *own, **op.keywords)  # once for all steps
        rest, need = arrays[1 + len(sizes) :], [False] * len(arrays)
        return lambda x, *states: record.compute((x, *states, *rest), need, attributes)[0]

    return Stream(_Layers([step(weights) for weights in layers], inputs, sizes))

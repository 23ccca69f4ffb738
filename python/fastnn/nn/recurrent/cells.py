from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.arrays import positive_int
from fastnn.nn.init import fan_in_bound, uniform
from fastnn.nn.module import Module
from fastnn.nn.recurrent.inputs import one_state, pair_of_states
from fastnn.nn.recurrent_calls import note_cell
from fastnn.ops.rnn import check_nonlinearity
from fastnn.value import Parameter


class Cell(Module):
    _unnamed, _shows_defaults = 2, False

    _reads_time = True

    def __init__(self, input_size: int, hidden_size: int, bias: bool, gates: int) -> None:
        op = type(self).__name__
        self.input_size = positive_int(input_size, op, "input_size")
        self.hidden_size = positive_int(hidden_size, op, "hidden_size")
        self.bias = bool(bias)
        rows, bound = gates * hidden_size, fan_in_bound(hidden_size)
        self.weight_ih = Parameter(uniform((rows, input_size), bound))
        self.weight_hh = Parameter(uniform((rows, hidden_size), bound))
        self.bias_ih = Parameter(uniform((rows,), bound)) if bias else None
        self.bias_hh = Parameter(uniform((rows,), bound)) if bias else None

    def _weights(self, hx: Any) -> list[Any]:
        """For one step from the state hx."""
        note_cell(self, hx)
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]


class RNNCell(Cell):
    """One time step of RNN: x (N, input_size) and hx (N, hidden_size), or None for zeros, -> the next h.

    Args: input_size, hidden_size, bias and nonlinearity as RNN. Both inputs may come without N.

    Parameters: weight_ih, weight_hh, bias_ih, bias_hh, uniform on ±1/sqrt(hidden_size). Raises ValueError when shapes
    do not match.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.RNNCell(3, 8)(np.zeros((2, 3))).shape
    (2, 8)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = check_nonlinearity(nonlinearity, "RNNCell")
        super().__init__(input_size, hidden_size, bias, 1)

    def forward(self, x: Any, hx: Any = None) -> Any:
        return ops.rnn_cell(x, one_state(hx, "RNNCell"), *self._weights(hx), nonlinearity=self.nonlinearity)


class LSTMCell(Cell):
    """One time step of LSTM: x (N, input_size) and hx = (h, c), each (N, hidden_size), or None for zeros -> (h, c).

    Args: input_size, hidden_size and bias as LSTM. All inputs may come without N. Parameters: as RNNCell.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> h, c = nn.LSTMCell(3, 8)(np.zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 8), (2, 8))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias, 4)

    def forward(self, x: Any, hx: Any = None) -> tuple[Any, Any]:
        h, c = ops.lstm_cell(x, *pair_of_states(hx, "LSTMCell"), *self._weights(hx))
        return h, c


class GRUCell(Cell):
    """One time step of GRU: x (N, input_size) and hx (N, hidden_size), or None for zeros, -> the next h.

    Args: input_size, hidden_size and bias as GRU. Both inputs may come without N. Parameters: as RNNCell.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> nn.GRUCell(3, 8)(np.zeros(3)).shape
    (8,)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias, 3)

    def forward(self, x: Any, hx: Any = None) -> Any:
        return ops.gru_cell(x, one_state(hx, "GRUCell"), *self._weights(hx))

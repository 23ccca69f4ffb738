from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.nn.recurrent.base import Recurrent, both_ways
from fastnn.nn.recurrent.inputs import one_state
from fastnn.ops.rnn import check_nonlinearity


class RNN(Recurrent):
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

    def _layer(self, x: Any, states: list[Any], weights: list[Any], batch_sizes: Any) -> Any:
        return ops.rnn(*[x, *states, *both_ways(weights), batch_sizes], nonlinearity=self.nonlinearity)

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        y, h_n = self._run(x, (one_state(hx, "RNN"),), lengths)
        return y, h_n

from __future__ import annotations

import functools
from typing import Any, ClassVar

from fastnn import ops
from fastnn.nn.recurrent.base import Recurrent, both_ways
from fastnn.nn.recurrent.inputs import one_state
from fastnn.nn.recurrent.options import changed, gru_options
from fastnn.ops.checks import check_probability


class GRU(Recurrent):
    """Layers of gated recurrent units (Cho et al. 2014, arXiv 1406.1078); see ops.gru.

    Args: as RNN, without nonlinearity, and, with formulas and sources at ops.gru_variant,
        reset_after: whether the reset gate multiplies the product, as in torch (default), or h before it.
        zoneout: probability that an element of h stays as it was; in evaluation the expectation over that. Default 0.
        recurrent_dropout: probability of dropping each element of the candidate n, in training. Default 0.

    Call and returns: as RNN. Parameters: as RNN, with 3 * hidden_size rows: reset gate, update gate and new state.
    The random masks come from the generator that fnn.manual_seed seeds.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> y, h = nn.GRU(3, 8, batch_first=True)(np.zeros((2, 5, 3)))
    >>> y.shape, h.shape
    ((2, 5, 8), (1, 2, 8))
    >>> nn.GRU(3, 8, reset_after=False)
    GRU(3, 8, reset_after=False)
    """

    _gates = 3
    _options: ClassVar[dict[str, Any]] = {"reset_after": True, "zoneout": 0.0, "recurrent_dropout": 0.0}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        self.reset_after = bool(reset_after)
        self.zoneout = check_probability(zoneout, "GRU: zoneout")
        self.recurrent_dropout = check_probability(recurrent_dropout, "GRU: recurrent_dropout")
        self._plain = not changed(self, self._options)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def _layer(self, x: Any, states: list[Any], weights: list[Any], batch_sizes: Any) -> Any:
        arrays = [x, *states, *both_ways(weights), batch_sizes]
        return ops.gru(*arrays) if self._plain else ops.gru_variant(*[*arrays, self.zoneout], **gru_options(self))

    def _op(self) -> functools.partial[Any] | None:
        return None if self._plain else functools.partial(ops.gru_variant, zoneout=self.zoneout, **gru_options(self))

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        y, h_n = self._run(x, (one_state(hx, "GRU"),), lengths)
        return y, h_n

from __future__ import annotations

import functools
from typing import Any, ClassVar

from fastnn import ops
from fastnn.arrays import positive_int
from fastnn.nn.recurrent.base import Recurrent, both_ways
from fastnn.nn.recurrent.inputs import pair_of_states
from fastnn.nn.recurrent.options import changed, check_clip, check_pair, lstm_options, lstm_parameters
from fastnn.ops.checks import check_probability
from fastnn.ops.lstm_variant import EXTRAS, _lstm_variant
from fastnn.ops.recurrent import WEIGHTS
from fastnn.value import Parameter


class LSTM(Recurrent):
    """Layers of long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates); formulas at ops.lstm.

    Args: as RNN, without nonlinearity, and, with formulas and sources at ops.lstm_variant,
        proj_size: features of h, below hidden_size, to which m is projected; 0 (default): h is m.
        peephole: whether the gates see c. Default False.
        layer_norm: whether gates and c are normalised. Default False. bias_ih and bias_hh then follow the norms.
        coupled: whether i = 1 - f, with three gates f, g, o. Default False.
        cell_clip: c is cut to ±cell_clip; None (default): it is not.
        zoneout: probability that an element of the state stays as it was, of c and h or a pair for c and for h; in
            evaluation the expectation over that. Default 0.
        recurrent_dropout: probability of dropping each element of the candidate g, in training. Default 0.

    Call with x (T, N, input_size), or (T, input_size) for one sequence, and hx = (h_0, c_0), each (num_layers * D, N,
    hidden_size), h_0 with proj_size features where there is one, or None for zeros. Returns y (T, N, D * features of h)
    and (h_n, c_n). lengths and lists as RNN.

    Parameters: as RNN, with 4 * hidden_size rows: input, forget, cell and output gate; without the first where coupled.
    After them weight_hr_l0 (proj_size, hidden_size), weight_peephole_l0 (3, hidden_size), weight_norm_ih_l0 and
    weight_norm_hh_l0 (4 * hidden_size), weight_norm_c_l0 and bias_norm_c_l0 (hidden_size), which begin as 1 and 0.
    The random masks come from the generator that fnn.manual_seed seeds.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> y, (h, c) = nn.LSTM(3, 8, num_layers=2)(np.zeros((5, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 8), (2, 2, 8))
    >>> y, (h, c) = nn.LSTM(3, 8, proj_size=4, peephole=True, zoneout=(0.1, 0.05))(np.zeros((5, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 4), (1, 2, 4), (1, 2, 8))
    """

    _parts = (" h", " c")
    _options: ClassVar[dict[str, Any]] = {
        "proj_size": 0,
        "peephole": False,
        "layer_norm": False,
        "coupled": False,
        "cell_clip": None,
        "zoneout": 0.0,
        "recurrent_dropout": 0.0,
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        peephole: bool = False,
        layer_norm: bool = False,
        coupled: bool = False,
        cell_clip: float | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        self.proj_size = positive_int(proj_size, "LSTM", "proj_size", 0)
        if self.proj_size and self.proj_size >= hidden_size:
            raise ValueError(f"LSTM: proj_size is {proj_size}, expected less than hidden_size={hidden_size}")
        self.peephole, self.layer_norm, self.coupled = bool(peephole), bool(layer_norm), bool(coupled)
        self.cell_clip = check_clip(cell_clip, "LSTM")
        pair = check_pair(zoneout, "LSTM")
        self.zoneout: float | tuple[float, float] = pair[0] if pair[0] == pair[1] else pair
        self.recurrent_dropout = check_probability(recurrent_dropout, "LSTM: recurrent_dropout")
        self._gates = 3 if coupled else 4
        self._plain = not changed(self, self._options)
        self._kinds = WEIGHTS if self._plain else WEIGHTS + EXTRAS
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def _more_parameters(self, bound: float) -> dict[str, Parameter]:
        return lstm_parameters(self, bound)

    def _state_size(self, part: str) -> int:
        return self.proj_size if self.proj_size and part == " h" else self.hidden_size

    def _layer(self, x: Any, states: list[Any], weights: list[Any], batch_sizes: Any) -> Any:
        if self._plain:
            return ops.lstm(*[x, *states, *both_ways(weights), batch_sizes])
        return ops.lstm_variant(x, *states, *weights, batch_sizes=batch_sizes, **lstm_options(self))

    def _op(self) -> functools.partial[Any] | None:
        return None if self._plain else functools.partial(_lstm_variant, **lstm_options(self))

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, tuple[Any, Any]]:
        y, h_n, c_n = self._run(x, pair_of_states(hx, "LSTM"), lengths)
        return y, (h_n, c_n)

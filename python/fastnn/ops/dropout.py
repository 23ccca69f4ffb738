from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, dense, laid_out, layout_of
from fastnn.ops.checks import check_probability
from fastnn.ops.op import Shape, op
from fastnn.random import generator
from fastnn.tape import Backward


def _shape(x: Shape, *, p: float, training: bool) -> Shape:
    return x


def _run(x: FloatArray, *, need: Sequence[bool], p: float, training: bool) -> tuple[FloatArray, Backward]:
    if not training or p == 0:
        return x, lambda dy: (dy,)
    if p == 1:
        return np.zeros_like(x), lambda dy: (np.zeros_like(dy),)
    x = dense(x)
    key = generator().bit_generator.random_raw()
    threshold, factor = min(round(p * 2**32), 2**32 - 1), 1 / (1 - p)
    y = _core.dropout(x, key, threshold, factor)
    layout = layout_of(y)

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.dropout(laid_out(dy, layout), key, threshold, factor),)

    return y, backward


@op(shape=_shape, run=_run)
def dropout(x: Any, p: float = 0.5, training: bool = True) -> Any:
    """Sets each element to 0 with probability p and the others to x / (1 - p) (Srivastava et al. 2014, JMLR 15).

    Args:
        x: any shape.
        p: default 0.5.
        training: default True; False returns x itself, as p = 0 does.

    The mask is a hash of the element's place in memory and of one number from the generator that fnn.manual_seed
    seeds: repeatable, independent of the number of threads, and never stored. Raises ValueError when p is outside
    [0, 1], TypeError for complex, object and string input.

    >>> import numpy as np, fastnn as fnn
    >>> _ = fnn.manual_seed(0)
    >>> y = fnn.ops.dropout(np.ones(1000), p=0.25)
    >>> sorted(set(y.tolist())), bool(abs(y.mean() - 1) < 0.1)
    ([0.0, 1.3333333730697632], True)
    """
    return (as_float32(x, "dropout", "x"),), {"p": check_probability(p, "dropout"), "training": bool(training)}

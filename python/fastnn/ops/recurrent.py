"""What gru, lstm and rnn share: the front door of their arrays, and a cell as a sequence of one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray, as_float32, as_indices
from fastnn.tape import Gradients

Maybe = FloatArray | None

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
WEIGHT_NAMES = (*WEIGHTS, *(f"{name}_reverse" for name in WEIGHTS))


def dense(x: Any, op: str, name: str) -> FloatArray:
    """x as a C-contiguous float32 array."""
    x = as_float32(x, op, name)
    return x if x.flags.c_contiguous else np.ascontiguousarray(x)


def dense_or_none(x: Any, op: str, name: str) -> Maybe:
    return None if x is None else dense(x, op, name)


def weight_list(*weights: Any) -> list[Any]:
    """The weights of one direction, or of both where any of the second are given."""
    one = weights[4] is weights[5] is weights[6] is weights[7] is None
    return list(weights[:4] if one else weights)


def dense_layer(op: str, x: Any, states: dict[str, Any], weights: list[Any]) -> list[Any]:
    """[x, states..., weights] as the binding wants them, or an error. Asked only where _core.are_dense says no: a short
    sequence takes less time than these checks."""
    return [
        dense(x, op, "x"),
        *(dense_or_none(state, op, name) for name, state in states.items()),
        [dense_or_none(w, op, name) for w, name in zip(weights, WEIGHT_NAMES, strict=False)],
    ]


def as_batch_sizes(batch_sizes: Any, op: str) -> npt.NDArray[np.int64] | None:
    return None if batch_sizes is None else as_indices(batch_sizes, op, "batch_sizes")


class Saved(NamedTuple):
    """What the way back needs of the weights. What it does not read is None, so that whoever changes that between
    forward and backward changes no gradient."""

    weights: list[Maybe]
    wanted: list[bool]  # the gradients of which of them
    hidden: bool  # whether that of any weight_hh, which is the only one to need h before the first step


def saved(need: list[bool], states: int, weights: list[Maybe]) -> Saved:
    """need: of x, the states and then the weights, of which each direction has four."""
    wanted = [n and w is not None for n, w in zip(need[1 + states :], weights, strict=False)]
    read = (need[0], True, False, False) * (len(weights) // 4)
    kept = [w if r else None for w, r in zip(weights, read, strict=True)]
    return Saved(kept, wanted, any(wanted[1::4]))


def cell(
    sequence: Callable[..., tuple[Any, Any]],
    op: str,
    x: Any,
    states: dict[str, Any],
    weights: list[Any],
    need: list[bool],
) -> tuple[tuple[FloatArray, ...], Callable[..., Gradients]]:
    """One step of `sequence`: x (N, I) or (I), states (N, H) or (H) or None. Returns the new states."""
    x = as_float32(x, op, "x")
    if x.ndim not in (1, 2):
        raise ValueError(f"{op}: x has shape {x.shape}, expected (N, input_size) or (input_size,)")
    width = np.shape(weights[0])
    if len(width) == 2 and x.shape[-1] != width[1]:
        raise ValueError(f"{op}: x has shape {x.shape}, but weight_ih {width} expects {(*x.shape[:-1], width[1])}")
    arrays = [None if state is None else as_float32(state, op, name) for name, state in states.items()]
    expected = x.shape[:-1] + np.shape(weights[1])[-1:]
    for name, array in zip(states, arrays, strict=True):
        if array is not None and array.shape != expected:
            raise ValueError(
                f"{op}: {name} has shape {array.shape}, but x {x.shape} and weight_hh {np.shape(weights[1])} "
                f"expect {expected}"
            )
    lead: tuple[None, ...] = (None,) * (3 - x.ndim)
    back, inputs = (0,) * len(lead), 1 + len(arrays)
    (_, *new), backward_sequence = sequence(
        x[lead], *(None if a is None else a[lead] for a in arrays), *weights, need=need + [False] * 4
    )

    def backward(*dys: Maybe) -> Gradients:
        grads = backward_sequence(None, *(None if dy is None else dy[lead] for dy in dys))
        return [*(None if g is None else g[back] for g in grads[:inputs]), *grads[inputs : inputs + 4]]

    return tuple(a[back] for a in new), backward

"""What gru, lstm and rnn share: the front door of their arrays, who is wrong, and a cell as a sequence of one step.

Bindings refuse what does not fit and say little; the shape functions of the ops, which say more, are asked only then:
a short sequence takes less time than its checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_indices
from fastnn.ops.op import Shape
from fastnn.tape import Gradients

Maybe = FloatArray | None
MaybeShape = Shape | None

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
WEIGHT_NAMES = (*WEIGHTS, *(f"{name}_reverse" for name in WEIGHTS))


def normal(op: str, names: Sequence[str], *given: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """Arrays of these names as float32, or None, and batch_sizes, the last one, as integers; and as an attribute the
    number of sequences, which then is that of the first step."""
    if given[-1] is None:
        if _core.are_dense(*given):
            return given, {}
        if _core.are_dense(*given[1:]):  # all but x, as batch_first has it
            return (None if given[0] is None else as_float32(given[0], op, "x"), *given[1:]), {}
    arrays = [None if a is None else as_float32(a, op, name) for a, name in zip(given, names, strict=False)]
    if given[-1] is None:
        return [*arrays, None], {}
    sizes = as_indices(given[-1], op, "batch_sizes")
    return [*arrays, sizes], {"samples": int(sizes.flat[0]) if sizes.size else 0}


def cell_arrays(op: str, names: Sequence[str], *arrays: Any) -> Sequence[Any]:
    """Arrays of these names as float32, or None."""
    if _core.are_dense(*arrays):
        return arrays
    return [None if a is None else as_float32(a, op, name) for a, name in zip(arrays, names, strict=True)]


def dense(arrays: Sequence[Maybe]) -> list[Maybe]:
    """The arrays as the bindings read them, C-contiguous: for those of which _core.are_dense says no."""
    return [None if a is None else np.ascontiguousarray(a) for a in arrays]


def weight_list(weights: Sequence[Any]) -> Sequence[Any]:
    """Of eight weights, those of one direction, or of both where any of the second are given."""
    one = weights[4] is weights[5] is weights[6] is weights[7] is None
    return weights[:4] if one else weights


class LayerShape(NamedTuple):
    """A layer whose shapes fit: sizes, and what it returns."""

    op: str
    x: Shape
    weight_hh: Shape
    samples: int
    directions: int
    hidden: int  # features of a gate
    features: int  # of h: fewer where it is projected

    @property
    def y(self) -> Shape:
        return *self.x[:-1], self.directions * self.features

    def state(self, shape: MaybeShape, name: str, features: int) -> Shape:
        """(D, N, features), or an error where a state of another shape is given."""
        expected = (self.directions, self.samples, features)
        if shape is not None and shape != expected:
            raise ValueError(
                f"{self.op}: {name} has shape {shape}, but x {self.x} and weight_hh {self.weight_hh} expects {expected}"
            )
        return expected


def layer_shape(
    op: str,
    gates: int,
    x: MaybeShape,
    weights: Sequence[MaybeShape],
    batch_sizes: MaybeShape,
    samples: int | None,
    projected: bool = False,
) -> LayerShape:
    """Checks x, batch_sizes, and weights (weight_ih, weight_hh, bias_ih, bias_hh) of each direction."""
    if x is None:
        raise TypeError(f"{op}: x is None, expected an array")
    if batch_sizes is not None:
        if len(x) != 2:
            raise ValueError(f"{op}: x has shape {x}, expected (rows, input_size)")
        if len(batch_sizes) != 1:
            raise ValueError(f"{op}: batch_sizes has shape {batch_sizes}, expected 1 dimensions")
        if not batch_sizes[0]:
            raise ValueError(f"{op}: batch_sizes is empty, expected at least one time step")
    elif len(x) != 3:
        raise ValueError(f"{op}: x has shape {x}, expected 3 dimensions (T, N, input_size)")
    elif not x[0]:
        raise ValueError(f"{op}: x has shape {x}, expected at least one time step")
    for first in range(0, len(weights), 4):
        _check_weights(op, gates, x[-1], weights[first : first + 4], WEIGHT_NAMES[first : first + 4], projected)
    one, other = weights[1], weights[-3]
    assert one is not None
    if one != other:
        raise ValueError(f"{op}: weight_hh {one} and weight_hh_reverse {other} differ")
    count = x[1] if samples is None else samples
    return LayerShape(op, x, one, count, len(weights) // 4, one[0] // gates, one[1])


def _check_weights(
    op: str, gates: int, inputs: int, weights: Sequence[MaybeShape], names: Sequence[str], projected: bool
) -> None:
    ih, hh, *biases = weights
    if ih is None or hh is None:
        raise TypeError(f"{op}: {names[0] if ih is None else names[1]} is None, expected an array")
    if len(ih) != 2:
        raise ValueError(f"{op}: {names[0]} has shape {ih}, expected 2 dimensions")
    if len(hh) != 2 or hh[1] < 1 or (hh[0] < gates or hh[0] % gates if projected else hh[0] != gates * hh[1]):
        columns = "proj_size" if projected else "hidden_size"
        raise ValueError(f"{op}: {names[1]} has shape {hh}, expected ({gates} * hidden_size, {columns})")
    if ih != (hh[0], inputs):
        raise ValueError(
            f"{op}: {names[0]} has shape {ih}, but x with {inputs} features and {names[1]} {hh} expects "
            f"{(hh[0], inputs)}"
        )
    for bias, name in zip(biases, names[2:], strict=True):
        if bias is not None and bias != (hh[0],):
            raise ValueError(f"{op}: {name} has shape {bias}, but {names[1]} {hh} expects {(hh[0],)}")


class Saved(NamedTuple):
    """What the way back needs of the weights. What it does not read is None, so that whoever changes that between
    forward and backward changes no gradient."""

    weights: list[Maybe]
    wanted: list[bool]  # the gradients of which of them
    hidden: bool  # whether that of any weight_hh, which is the only one to need h before the first step


def saved(need: Sequence[bool], states: int, weights: Sequence[Maybe]) -> Saved:
    """need: of x, the states and then the weights, of which each direction has four."""
    wanted = [n and w is not None for n, w in zip(need[1 + states :], weights, strict=False)]
    read = (need[0], True, False, False) * (len(weights) // 4)
    kept = [w if r else None for w, r in zip(weights, read, strict=True)]
    return Saved(kept, wanted, any(wanted[1::4]))


def contiguous(*gradients: Maybe) -> Any:
    """Gradients of outputs as the bindings read them."""
    return [None if dy is None else np.ascontiguousarray(dy) for dy in gradients]


NO_MORE = (None,) * 5  # arguments of a sequence that a cell has not: the reverse direction and batch_sizes


def cell_shape(
    op: str, gates: int, x: MaybeShape, states: dict[str, MaybeShape], weights: Sequence[MaybeShape]
) -> Shape:
    """Checks one step; returns the shape of its states."""
    if x is None:
        raise TypeError(f"{op}: x is None, expected an array")
    if len(x) not in (1, 2):
        raise ValueError(f"{op}: x has shape {x}, expected (N, input_size) or (input_size,)")
    ih, hh = weights[:2]
    if ih is not None and len(ih) == 2 and x[-1] != ih[1]:
        raise ValueError(f"{op}: x has shape {x}, but weight_ih {ih} expects {(*x[:-1], ih[1])}")
    expected = x[:-1] + (() if hh is None else hh[-1:])
    for name, state in states.items():
        if state is not None and state != expected:
            raise ValueError(f"{op}: {name} has shape {state}, but x {x} and weight_hh {hh} expect {expected}")
    layer_shape(op, gates, (1,) * (3 - len(x)) + x, weights, None, None)
    return expected


def cell(
    sequence: Callable[..., tuple[Any, Any]], op: str, x: FloatArray, arrays: Sequence[Maybe], need: Sequence[bool]
) -> tuple[tuple[FloatArray, ...], Callable[..., Gradients] | None]:
    """One step of the run of a sequence: x (N, I) or (I), arrays the states, (N, H) or (H), and four weights. Returns
    the new states."""
    if np.ndim(x) not in (1, 2):
        raise ValueError(f"{op}: x has shape {np.shape(x)}")
    lead: tuple[None, ...] = (None,) * (3 - x.ndim)
    back, inputs = (0,) * len(lead), len(arrays) - 3
    (_, *new), backward_sequence = sequence(
        x[lead],
        *[None if a is None else a[lead] for a in arrays[:-4]],
        *arrays[-4:],
        *NO_MORE,
        need=[*need, False, False, False, False],
    )
    if backward_sequence is None:
        return tuple([a[back] for a in new]), None

    def backward(*dys: Maybe) -> Gradients:
        grads = backward_sequence(None, *(None if dy is None else dy[lead] for dy in dys))
        return [*(None if g is None else g[back] for g in grads[:inputs]), *grads[inputs : inputs + 4]]

    return tuple([a[back] for a in new]), backward

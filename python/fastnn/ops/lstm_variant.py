from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.ops.checks import check_probability
from fastnn.ops.op import Shape, op
from fastnn.ops.recurrent import (
    WEIGHTS,
    LayerShape,
    Maybe,
    MaybeShape,
    contiguous,
    dense,
    layer_shape,
    normal,
    saved,
)
from fastnn.ops.variant import Masks, check_mask, drop_mask, part_that_stays, width_of
from fastnn.tape import Backward, Gradients

EXTRAS = ("weight_hr", "weight_peephole", "weight_norm_ih", "weight_norm_hh", "weight_norm_c", "bias_norm_c")
ALL = len(WEIGHTS) + len(EXTRAS)  # arrays of one direction
_NAMES = ("x", "h0", "c0", *(WEIGHTS + EXTRAS) * 2)
_OP = "lstm_variant"


def _directions(given: Sequence[Any]) -> Sequence[Any]:
    """Of the weights of two directions, those of the first where none of the second are given."""
    return given[:ALL] if all([weight is None for weight in given[ALL:]]) else given


def _sorted(given: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The weights of WEIGHTS and those of EXTRAS."""
    return [*given[:4], *given[ALL : ALL + 4]], [*given[4:ALL], *given[ALL + 4 :]]


def _check_extras(layer: LayerShape, gates: int, given: Sequence[MaybeShape]) -> None:
    """given: of both directions."""
    h, width = layer.hidden, gates * layer.hidden
    expected = ((layer.features, h), (3, h), (width,), (width,), (h,), (h,))
    count = len(EXTRAS)
    for i, shape in enumerate(given):
        name, wanted = EXTRAS[i % count], expected[i % count]
        if shape is not None and shape != wanted:
            name += "_reverse" if i >= count else ""
            raise ValueError(f"{_OP}: {name} has shape {shape}, but weight_hh {layer.weight_hh} expects {wanted}")
        if (shape is None) != (given[i % count] is None):
            raise ValueError(f"{_OP}: {name} is given for one direction only")
    norms = [weight is None for weight in given[2:5]]
    if any(norms) and not all(norms):
        raise ValueError(f"{_OP}: weight_norm_ih, weight_norm_hh and weight_norm_c come together or not at all")
    if given[5] is not None and given[4] is None:
        raise ValueError(f"{_OP}: bias_norm_c needs weight_norm_c")


def _shape(
    x: MaybeShape,
    h0: MaybeShape,
    c0: MaybeShape,
    *rest: MaybeShape,
    coupled: bool,
    cell_clip: float | None,
    zoneout_c: float,
    zoneout_h: float,
    recurrent_dropout: float,
    training: bool,
    samples: int | None = None,
) -> tuple[Shape, Shape, Shape]:
    weights, extras = _sorted(_directions(rest[: 2 * ALL]))
    sizes, zone_c, zone_h, drop = rest[2 * ALL :]
    gates = 3 if coupled else 4
    layer = layer_shape(_OP, gates, x, weights, sizes, samples, extras[0] is not None)
    _check_extras(layer, gates, extras)
    for mask, name, width in (
        (zone_c, "zoneout_c", layer.hidden),
        (zone_h, "zoneout_h", layer.features),
        (drop, "drop", layer.hidden),
    ):
        check_mask(mask, layer.x, layer.directions, width, _OP, name)
    return layer.y, layer.state(h0, "h0", layer.features), layer.state(c0, "c0", layer.hidden)


def _split(direction: tuple[Maybe, FloatArray], given: Sequence[Maybe]) -> list[Maybe]:
    """The gradients of EXTRAS, of which all but the first come one after the other in one array."""
    first, rest = direction
    gradients: list[Maybe] = [first]
    for weight in given[1:]:
        gradients.append(None if weight is None else rest[: weight.size].reshape(weight.shape))
        rest = rest[0 if weight is None else weight.size :]
    return gradients


def _run(
    x: FloatArray,
    h0: Maybe,
    c0: Maybe,
    *rest: Any,
    need: Sequence[bool],
    coupled: bool,
    cell_clip: float | None,
    zoneout_c: float,
    zoneout_h: float,
    recurrent_dropout: float,
    training: bool,
    samples: int | None = None,
) -> tuple[tuple[FloatArray, ...], Backward | None]:
    sizes, zone_c, zone_h, drop = rest[2 * ALL :]
    given: Any = _directions(rest[: 2 * ALL])
    if not _core.are_dense(x, h0, c0, *given):
        x, h0, c0, *given = dense((x, h0, c0, *given))  # type: ignore[assignment]
    weights, extras = _sorted(given)
    directions, p = len(given) // ALL, width_of(given[1], 1)
    h = p if given[4] is None else width_of(given[4], 1)
    made = Masks(_OP, x, directions)
    masks = [
        made.zoneout(zone_c, zoneout_c, h, "zoneout_c", training),
        made.zoneout(zone_h, zoneout_h, p, "zoneout_h", training),
        made.drop(drop, recurrent_dropout, h, training),
    ]
    clip, keep = math.inf if cell_clip is None else cell_clip, True in need
    y, h_n, c_n, kept = _core.lstm_variant_forward(x, sizes, h0, c0, weights, extras, masks, coupled, clip, keep)
    if not keep:
        return (y, h_n, c_n), None
    held = saved([*need[:7], *need[3 + ALL : 7 + ALL]], 2, weights)
    first = h0 if held.hidden else None

    def backward(dy: Maybe, dh: Maybe, dc: Maybe) -> Gradients:
        dy, dh, dc = contiguous(dy, dh, dc)
        dh0, dc0, dx, dws, more = _core.lstm_variant_backward(
            x,
            sizes,
            first,
            c0,
            held.weights,
            extras,
            masks,
            coupled,
            clip,
            y,
            kept,
            dy,
            dh,
            dc,
            need[0],
            held.wanted,
        )
        gradients = [dx, dh0, dc0]
        for d in range(directions):
            gradients += dws[4 * d : 4 * d + 4]
            gradients += _split(more[d], extras[len(EXTRAS) * d : len(EXTRAS) * (d + 1)])
        return gradients

    return (y, h_n, c_n), backward


@op(shape=_shape, run=_run)
def _lstm_variant(
    x: Any,
    h0: Any,
    c0: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    weight_hr: Any = None,
    weight_peephole: Any = None,
    weight_norm_ih: Any = None,
    weight_norm_hh: Any = None,
    weight_norm_c: Any = None,
    bias_norm_c: Any = None,
    weight_ih_reverse: Any = None,
    weight_hh_reverse: Any = None,
    bias_ih_reverse: Any = None,
    bias_hh_reverse: Any = None,
    weight_hr_reverse: Any = None,
    weight_peephole_reverse: Any = None,
    weight_norm_ih_reverse: Any = None,
    weight_norm_hh_reverse: Any = None,
    weight_norm_c_reverse: Any = None,
    bias_norm_c_reverse: Any = None,
    batch_sizes: Any = None,
    zoneout_c: Any = None,
    zoneout_h: Any = None,
    drop: Any = None,
    *,
    coupled: bool,
    cell_clip: float | None,
    recurrent_dropout: float,
    training: bool,
) -> Any:
    """lstm_variant, all arrays first."""
    if cell_clip is not None and not cell_clip > 0:
        raise ValueError(f"{_OP}: cell_clip is {cell_clip}, expected a positive number or None")
    given: tuple[Any, ...] = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, weight_peephole)
    given += (weight_norm_ih, weight_norm_hh, weight_norm_c, bias_norm_c, weight_ih_reverse, weight_hh_reverse)
    given += (bias_ih_reverse, bias_hh_reverse, weight_hr_reverse, weight_peephole_reverse, weight_norm_ih_reverse)
    given += (weight_norm_hh_reverse, weight_norm_c_reverse, bias_norm_c_reverse)
    arrays, samples = normal(_OP, _NAMES, *given, batch_sizes)
    zone_c, part_c = part_that_stays(zoneout_c, _OP, "zoneout_c")
    zone_h, part_h = part_that_stays(zoneout_h, _OP, "zoneout_h")
    return [*arrays, zone_c, zone_h, drop_mask(drop, _OP)], {
        "coupled": bool(coupled),
        "cell_clip": None if cell_clip is None else float(cell_clip),
        "zoneout_c": part_c,
        "zoneout_h": part_h,
        "recurrent_dropout": check_probability(recurrent_dropout, f"{_OP}: recurrent_dropout"),
        "training": bool(training),
        **samples,
    }


def lstm_variant(
    x: Any,
    h0: Any,
    c0: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    weight_hr: Any = None,
    weight_peephole: Any = None,
    weight_norm_ih: Any = None,
    weight_norm_hh: Any = None,
    weight_norm_c: Any = None,
    bias_norm_c: Any = None,
    *reverse: Any,
    batch_sizes: Any = None,
    zoneout_c: Any = None,
    zoneout_h: Any = None,
    drop: Any = None,
    coupled: bool = False,
    cell_clip: float | None = None,
    recurrent_dropout: float = 0.0,
    training: bool = False,
) -> Any:
    """One layer of long short-term memory with any of its variants, over a whole sequence.

    What is not given is off; with nothing given this is ops.lstm. One step, with LN(a) = (a - mean a) / sqrt(var a +
    1e-5) of one sample, and p_i, p_f, p_o the rows of weight_peephole:

    z = x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh, or, with norms, weight_norm_ih LN(x weight_ihᵀ) + bias_ih +
    weight_norm_hh LN(h weight_hhᵀ) + bias_hh, over all gates together (Ba et al. 2016, arXiv 1607.06450);
    i, f = sigmoid(z_i + p_i c), sigmoid(z_f + p_f c) (peepholes: Gers and Schmidhuber 2000), or i = 1 - f where coupled
    (Greff et al. 2017, arXiv 1503.04069); g = drop tanh(z_g) (Semeniuta et al. 2016, arXiv 1603.05118);
    u = f c + i g, cut to ±cell_clip (Sak et al. 2014, arXiv 1402.1128), with no gradient where it was cut;
    o = sigmoid(z_o + p_o u); m = o tanh(u), or o tanh(weight_norm_c LN(u) + bias_norm_c);
    h' = m, or m weight_hrᵀ (a projection: Sak et al. 2014);
    c = zoneout_c c + (1 - zoneout_c) u; h = zoneout_h h + (1 - zoneout_h) h' (Krueger et al. 2017, arXiv 1606.01305).

    Args:
        x: (T, N, I), at least one time step.
        h0, c0: (D, N, P) and (D, N, H) or None for zeros, D = 2 with the weights of a reverse direction, else 1; P is
            that of weight_hr, else H.
        weight_ih, weight_hh: (G H, I) and (G H, P), G = 4 gates in the order i, f, g, o, or G = 3, f, g, o, if coupled.
        bias_ih, bias_hh: (G H) or None (default).
        weight_hr: (P, H) or None (default).
        weight_peephole: (3, H): of i, f and o; or None (default). That of i has no effect where coupled.
        weight_norm_ih, weight_norm_hh, weight_norm_c: (G H), (G H) and (H), or all None (default).
        bias_norm_c: (H) or None (default); only with the norms.
        reverse: the same ten weights for the direction that walks from the last time step to the first.
        coupled: default False.
        cell_clip: a positive number, or None (default).
        zoneout_c, zoneout_h: a number for all, or masks (D, T, N, H) and (D, T, N, P): what part of the state stays.
        drop: a mask (D, T, N, H): 0 where an element is dropped, else 1 / (1 - p). Or None (default).
        recurrent_dropout: the probability p of a drop to be drawn in training. Default 0.
        training: whether numbers for zoneout are probabilities that an element stays, and masks are drawn from the
            generator that fnn.manual_seed seeds, of zoneout_c, zoneout_h and drop in this order. Default False.
        batch_sizes: as in ops.lstm; x and masks are then packed, (rows, I) and (D, rows, H).

    Masks and numbers get no gradient. Returns y (T, N, D * P), or packed (rows, D * P), h_n (D, N, P) and
    c_n (D, N, H). Raises ValueError when shapes do not match, TypeError for complex, object and string input.

    >>> import numpy as np, fastnn as fnn
    >>> y, h, c = fnn.ops.lstm_variant(
    ...     np.zeros((5, 2, 3)), None, None, np.ones((16, 3)), np.ones((16, 2)), weight_hr=np.ones((2, 4)), cell_clip=3
    ... )
    >>> y.shape, h.shape, c.shape
    ((5, 2, 2), (1, 2, 2), (1, 2, 4))
    """
    if len(reverse) not in (0, ALL):
        raise ValueError(f"{_OP}: {len(reverse)} weights of the reverse direction, expected none or {ALL}")
    own: tuple[Any, ...] = (weight_ih, weight_hh, bias_ih, bias_hh)
    own += (weight_hr, weight_peephole, weight_norm_ih, weight_norm_hh, weight_norm_c, bias_norm_c)
    arrays = [x, h0, c0, *own, *(reverse or (None,) * ALL), batch_sizes, zoneout_c, zoneout_h, drop]
    return _lstm_variant(
        *arrays, coupled=coupled, cell_clip=cell_clip, recurrent_dropout=recurrent_dropout, training=training
    )

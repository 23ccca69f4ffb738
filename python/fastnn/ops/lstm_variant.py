from __future__ import annotations

import math
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.op import op
from fastnn.ops.recurrent import WEIGHTS, Maybe, as_batch_sizes, dense, dense_or_none, saved
from fastnn.ops.variant import mask, width_of
from fastnn.tape import Backward, Gradients

EXTRAS = ("weight_hr", "weight_peephole", "weight_norm_ih", "weight_norm_hh", "weight_norm_c", "bias_norm_c")
ALL = len(WEIGHTS) + len(EXTRAS)  # arrays of one direction


def _split(direction: tuple[Maybe, FloatArray], given: list[Maybe]) -> list[Maybe]:
    """The gradients of EXTRAS, of which all but the first come one after the other in one array."""
    first, rest = direction
    gradients: list[Maybe] = [first]
    for weight in given[1:]:
        gradients.append(None if weight is None else rest[: weight.size].reshape(weight.shape))
        rest = rest[0 if weight is None else weight.size :]
    return gradients


@op
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
    coupled: bool = False,
    cell_clip: float | None = None,
    zoneout_c: Any = None,
    zoneout_h: Any = None,
    drop: Any = None,
    batch_sizes: Any = None,
    need: list[bool],
) -> tuple[tuple[FloatArray, ...], Backward | None]:
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
    name = "lstm_variant"
    own: tuple[Any, ...] = (weight_ih, weight_hh, bias_ih, bias_hh)
    own += (weight_hr, weight_peephole, weight_norm_ih, weight_norm_hh, weight_norm_c, bias_norm_c)
    if len(reverse) not in (0, ALL):
        raise ValueError(f"{name}: {len(reverse)} weights of the reverse direction, expected none or {ALL}")
    if cell_clip is not None and not cell_clip > 0:
        raise ValueError(f"{name}: cell_clip is {cell_clip}, expected a positive number or None")
    given: list[Any] = [*own, *reverse]
    if not _core.are_dense(x, h0, c0, *given):
        given = [dense_or_none(w, name, n) for w, n in zip(given, (WEIGHTS + EXTRAS) * 2, strict=False)]
        x, h0, c0 = dense(x, name, "x"), dense_or_none(h0, name, "h0"), dense_or_none(c0, name, "c0")
    weights = given[:4] + given[ALL : ALL + 4]
    extras = given[4:ALL] + given[ALL + 4 :]
    sizes = as_batch_sizes(batch_sizes, name)
    directions, p = len(given) // ALL, width_of(given[1], 1)
    h = p if given[4] is None else width_of(given[4], 1)
    masks = [
        mask(zoneout_c, x, directions, h, name, "zoneout_c"),
        mask(zoneout_h, x, directions, p, name, "zoneout_h"),
        mask(drop, x, directions, h, name, "drop", number=False),
    ]
    clip = math.inf if cell_clip is None else float(cell_clip)
    y, h_n, c_n, kept = _core.lstm_variant_forward(
        x, sizes, h0, c0, weights, extras, masks, coupled, clip, True in need
    )
    if True not in need:
        return (y, h_n, c_n), None
    held = saved(need[:7] + need[3 + ALL : 7 + ALL], 2, weights)
    first = h0 if held.hidden else None

    def backward(dy: Maybe, dh: Maybe, dc: Maybe) -> Gradients:
        dy, dh, dc = (dense_or_none(d, name, n) for d, n in ((dy, "dy"), (dh, "dh"), (dc, "dc")))
        dh0, dc0, dx, dws, more = _core.lstm_variant_backward(
            x, sizes, first, c0, held.weights, extras, masks, coupled, clip, y, kept, dy, dh, dc, need[0], held.wanted
        )
        gradients = [dx, dh0, dc0]
        for d in range(directions):
            gradients += dws[4 * d : 4 * d + 4]
            gradients += _split(more[d], extras[len(EXTRAS) * d : len(EXTRAS) * (d + 1)])
        return gradients

    return (y, h_n, c_n), backward

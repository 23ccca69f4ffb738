import numpy as np

from reference.recurrent import sigmoid


def walk(x, h, weights, order, reset_after, zoneout, drop):
    w_ih, w_hh, b_ih, b_hh = (0.0 if w is None else w for w in weights)
    size = h.shape[1]
    b_hh = np.broadcast_to(b_hh, 3 * size)
    y = [None] * len(x)
    for t in order:
        xr, xz, xn = np.split(x[t] @ w_ih.T + b_ih, 3, axis=-1)
        hr, hz = np.split(h @ w_hh[: 2 * size].T + b_hh[: 2 * size], 2, axis=-1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        if reset_after:
            n = np.tanh(xn + r * (h @ w_hh[2 * size :].T + b_hh[2 * size :]))
        else:
            n = np.tanh(xn + (r * h) @ w_hh[2 * size :].T + b_hh[2 * size :])
        now = (1 - z) * n * (1 if drop is None else drop[t]) + z * h
        stay = zoneout[t] if np.ndim(zoneout) else zoneout or 0.0
        y[t] = h = stay * h + (1 - stay) * now
    return np.stack(y), h


def gru_variant(x, h0, *weights, reset_after=True, zoneout=None, drop=None):
    weights = list(weights) + [None] * (-len(weights) % 4)
    parts = []
    for d in range(len(weights) // 4):
        own = weights[4 * d : 4 * d + 4]
        h = np.zeros((x.shape[1], own[1].shape[1])) if h0 is None else h0[d]
        masks = [m[d] if np.ndim(m) else m for m in (zoneout, drop)]
        parts.append(walk(x, h, own, reversed(range(len(x))) if d else range(len(x)), reset_after, *masks))
    y, h = zip(*parts, strict=True)
    return np.concatenate(y, axis=2), np.stack(h)

import numpy as np

from reference.recurrent import sigmoid


def normalised(a):
    centred = a - a.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def walk(x, h, c, weights, order, coupled, cell_clip, zoneout_c, zoneout_h, drop, unclipped):
    w_ih, w_hh, b_ih, b_hh, w_hr, peephole, norm_ih, norm_hh, norm_c, bias_c = weights
    bias = (0 if b_ih is None else b_ih) + (0 if b_hh is None else b_hh)
    p_i, p_f, p_o = (0, 0, 0) if peephole is None else peephole
    y = [None] * len(x)
    for t in order:
        from_x, from_h = x[t] @ w_ih.T, h @ w_hh.T
        if norm_ih is not None:
            from_x, from_h = norm_ih * normalised(from_x), norm_hh * normalised(from_h)
        z = np.split(from_x + from_h + bias, 3 if coupled else 4, axis=-1)
        f = sigmoid(z[-3] + p_f * c)
        i = 1 - f if coupled else sigmoid(z[0] + p_i * c)
        u = f * c + i * np.tanh(z[-2]) * (1 if drop is None else drop[t])
        if unclipped is not None:
            unclipped.append(u)
        if cell_clip is not None:
            u = np.clip(u, -cell_clip, cell_clip)
        o = sigmoid(z[-1] + p_o * u)
        m = o * np.tanh(u if norm_c is None else norm_c * normalised(u) + (0 if bias_c is None else bias_c))
        if w_hr is not None:
            m = m @ w_hr.T
        stay_c, stay_h = (s[t] if np.ndim(s) else s or 0.0 for s in (zoneout_c, zoneout_h))
        h, c = stay_h * h + (1 - stay_h) * m, stay_c * c + (1 - stay_c) * u
        y[t] = h
    return np.stack(y), h, c


def lstm_variant(
    x, h0, c0, *weights, coupled=False, cell_clip=None, zoneout_c=None, zoneout_h=None, drop=None, unclipped=None
):
    weights = list(weights) + [None] * (-len(weights) % 10)
    parts = []
    for d in range(len(weights) // 10):
        own = weights[10 * d : 10 * d + 10]
        hidden = len(own[1]) // (3 if coupled else 4)
        h = np.zeros((x.shape[1], own[1].shape[1])) if h0 is None else h0[d]
        c = np.zeros((x.shape[1], hidden)) if c0 is None else c0[d]
        masks = [m[d] if np.ndim(m) else m for m in (zoneout_c, zoneout_h, drop)]
        order = reversed(range(len(x))) if d else range(len(x))
        parts.append(walk(x, h, c, own, order, coupled, cell_clip, *masks, unclipped))
    y, h, c = zip(*parts, strict=True)
    return np.concatenate(y, axis=2), np.stack(h), np.stack(c)

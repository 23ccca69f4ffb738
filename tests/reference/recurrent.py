import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer(step, x, states, forward, reverse):
    """Runs step(x_t, states, *weights) -> states over time, in one direction or both."""
    outputs, last = [], []
    for d, weights in enumerate([forward, reverse] if reverse[0] is not None else [forward]):
        hidden = weights[1].shape[1]
        now = [np.zeros((x.shape[1], hidden)) if s is None else s[d] for s in states]
        y = [None] * len(x)
        for t in reversed(range(len(x))) if d else range(len(x)):
            now = step(x[t], now, *[0.0 if w is None else w for w in weights])
            y[t] = now[0]
        outputs.append(np.stack(y))
        last.append(now)
    return (np.concatenate(outputs, axis=2), *(np.stack(state) for state in zip(*last, strict=True)))

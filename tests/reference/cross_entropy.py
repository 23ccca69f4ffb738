import numpy as np

from reference.softmax import log_softmax


def cross_entropy(x, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    axis = min(1, x.ndim - 1)
    classes = x.shape[axis]
    log_p = np.moveaxis(log_softmax(x, dim=axis), axis, -1)
    weight = np.ones(classes) if weight is None else weight
    if target.dtype.kind == "f":
        q, total = np.moveaxis(target, axis, -1), x.size / classes
    else:
        counts = target != ignore_index
        q = np.eye(classes)[np.where(counts, target, 0)]
        total = weight[target[counts]].sum()
    q = weight * ((1 - label_smoothing) * q + label_smoothing / classes)
    if target.dtype.kind != "f":
        q = q * counts[..., None]
    losses = -(q * log_p).sum(-1)
    if reduction == "none":
        return losses
    return losses.sum() / (total if reduction == "mean" else 1)

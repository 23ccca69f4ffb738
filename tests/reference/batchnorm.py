import numpy as np


def batchnorm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    axes = (0, *range(2, x.ndim))

    def spread(a):
        return a.reshape(-1, *[1] * (x.ndim - 2))

    if training or running_mean is None:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
    else:
        mean, var = running_mean, running_var
    y = (x - spread(mean)) / np.sqrt(spread(var) + eps)
    y = y if weight is None else y * spread(weight)
    return y if bias is None else y + spread(bias)

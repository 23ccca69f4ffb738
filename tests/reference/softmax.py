import numpy as np


def log_softmax(x, *, dim):
    x = x - x.max(dim, keepdims=True)
    return x - np.log(np.exp(x).sum(dim, keepdims=True))


def softmax(x, *, dim):
    return np.exp(log_softmax(x, dim=dim))

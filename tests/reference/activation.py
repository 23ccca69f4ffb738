import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[np.float64])


def relu(x):
    return np.where(x < 0, 0, x)


def leaky_relu(x, *, negative_slope=0.01):
    return np.where(x < 0, negative_slope * x, x)


def gelu(x, *, approximate="none"):
    if approximate == "tanh":
        return x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def silu(x):
    return x * sigmoid(x)


def tanh(x):
    return np.tanh(x)

"""The optimizers: the weights after the given gradients, and rows of a class, its reference and options to test."""

import numpy as np


def sgd(w, gradients, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    b = None
    for g in gradients:
        d = (-g if maximize else g) + weight_decay * w
        if momentum:
            b = d if b is None else momentum * b + (1 - dampening) * d
            d = d + momentum * b if nesterov else b
        w = w - lr * d
    return w


def adam(w, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled=False, maximize=False):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        g = -g if maximize else g
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


def adamw(w, gradients, weight_decay=1e-2, **options):
    return adam(w, gradients, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(w, gradients, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, maximize=False):
    v, mean, b = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        g = (-g if maximize else g) + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - mean**2 if centered else v) + eps)
        w = w - lr * b
    return w


OPTIMIZERS = {
    "sgd": ("SGD", sgd, {"lr": 0.05}),
    "momentum": ("SGD", sgd, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    "nesterov": ("SGD", sgd, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "maximize": True}),
    "adam": ("Adam", adam, {"lr": 0.01}),
    "adam_l2": ("Adam", adam, {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
    "adam_maximize": ("Adam", adam, {"betas": (0.0, 0.3), "maximize": True}),
    "adamw": ("AdamW", adamw, {"lr": 0.01}),
    "adamw_decay": ("AdamW", adamw, {"lr": 0.02, "weight_decay": 0.5}),
    "rmsprop": ("RMSprop", rmsprop, {"weight_decay": 0.1}),
    "rmsprop_centered": ("RMSprop", rmsprop, {"momentum": 0.9, "centered": True, "maximize": True, "eps": 1e-3}),
}

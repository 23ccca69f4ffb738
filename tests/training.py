"""Two small models and a training loop, for the tests of what must hold for whole networks."""

import numpy as np

import fastnn as fnn
from fastnn import nn, ops


class Lstm(nn.Module):
    """Characters to the next character: two directions of an LSTM and a classifier."""

    def __init__(self, inputs=20, hidden=40):
        draw = np.random.default_rng(3).uniform
        shapes = 2 * [(4 * hidden, inputs), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)]
        for i, shape in enumerate(shapes):
            setattr(self, f"weight_{i}", nn.Parameter(draw(-0.2, 0.2, shape)))
        self.last = nn.Linear(2 * hidden, inputs)

    def forward(self, x):
        """x (N, T, inputs) -> (N, inputs)"""
        weights = [getattr(self, f"weight_{i}") for i in range(8)]
        y, _, _ = ops.lstm(ops.permute(x, (1, 0, 2)), None, None, *weights)
        return self.last(ops.mean(y, 0))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.GELU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(16 * 9 * 9, 10),
    )


MODELS = {"cnn": (cnn, (33, 1, 20, 20), 10), "lstm": (Lstm, (33, 12, 20), 20)}


def train(model, shape, classes, steps=10):
    """The bits of every loss and of the weights after some steps."""
    rng = np.random.default_rng(1)
    x, target = rng.standard_normal(shape).astype(np.float32), rng.integers(0, classes, shape[0])
    optimizer = fnn.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        loss = ops.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.numpy().copy())
    assert losses[-1] < losses[0]
    return [a.tobytes() for a in (*losses, *(p.numpy() for p in model.parameters()))]

"""Small models and data for the tests of training."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import data, nn
from fastnn.callbacks import Callback


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny steps do not wait for a second thread on a busy machine; what threads change has tests of its own."""
    with fnn.threads(1):
        yield


class Characters(nn.Module):
    """Next-character prediction: ids (N, T) -> logits (N, T, C)."""

    def __init__(self, characters, hidden=8):
        self.embedding = nn.Embedding(characters, 6)
        self.lstm = nn.LSTM(6, hidden, batch_first=True)
        self.head = nn.Linear(hidden, characters)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0])


class Recorder(Callback):
    """The loss of every batch."""

    def on_train_begin(self, run):
        self.losses = []

    def on_batch_end(self, run):
        self.losses.append(run.loss)


def bars(samples=40, seed=1):
    """Images of horizontal, vertical and no bars in noise: (samples, 1, 8, 8) and classes."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 0.3, (samples, 1, 8, 8)), np.arange(samples) % 3
    for image, label, at in zip(x, y, rng.integers(0, 8, samples), strict=True):
        if label < 2:
            (image[0] if label else image[0].T)[at] += 1
    return x.astype(np.float32), y


def tiny_cnn(*more):
    fnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), *more, nn.Linear(64, 3)
    )


def tiny_lstm():
    text = "she sells sea shells by the sea shore " * 4
    vocabulary = data.Vocabulary(text)
    fnn.manual_seed(0)
    return Characters(len(vocabulary)), *data.windows(vocabulary.encode(text), 15)


def weights(model):
    return np.concatenate([p.numpy().ravel() for p in model.parameters()])


def without_times(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in history]

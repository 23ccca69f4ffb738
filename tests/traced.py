"""Models that the tests of traces share, and what two outputs are compared by."""

import numpy as np
from models import LAYERS, First, plain, small_model
from streams import single_options
from toys import Characters, tiny_cnn

import fastnn as fnn
from fastnn import nn
from fastnn.graph import Value
from fastnn.nn import functional as F

NONE = ("ModuleDict", "ModuleList")  # have no forward


class Residual(nn.Module):
    def __init__(self, width):
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.norm, self.scale = nn.BatchNorm2d(width), nn.Parameter(np.full((width, 1, 1), 0.5, np.float32))

    def forward(self, x):
        return F.relu(self.norm(self.second(F.relu(self.first(x)))) * self.scale + x)


class Tagger(nn.Module):
    """Two inputs, a state handed on, and a dict of outputs."""

    def __init__(self):
        self.embedding, self.rnn = nn.Embedding(7, 5), nn.LSTM(5, 4, bidirectional=True, batch_first=True)
        self.head, self.register = nn.Linear(8, 3), nn.GRUCell(2, 3)

    def forward(self, ids, features):
        y, (h, _) = self.rnn(self.embedding(ids))
        first, second = h
        state = self.register(features, first[:, :3])
        return {"tags": self.head(y).log_softmax(-1), "state": (state, second.detach() * 2), "best": y.max(1)}


class Attention(nn.Module):
    def __init__(self):
        self.q, self.k, self.v = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = np.exp(q @ k.transpose(1, 2) / np.sqrt(4))
        mixed = (scores / scores.sum(-1, keepdim=True)) @ v
        return np.concatenate([mixed, mixed.mean(1, keepdim=True)], axis=1).view(x.shape[0], -1)


def draw(*shapes):
    return lambda rng: [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def ids(*shape):
    return lambda rng: [rng.integers(0, 7, shape)]


MODELS = {
    "attention": (Attention, draw((2, 5, 6))),
    "characters": (lambda: Characters(7), ids(2, 5)),
    "cnn": (tiny_cnn, draw((2, 1, 8, 8))),
    "first": (lambda: nn.Sequential(nn.Embedding(7, 3), First(nn.GRU(3, 4, 2)), nn.Linear(4, 2)), ids(5, 2)),
    "residual": (lambda: nn.Sequential(nn.Conv2d(1, 4, 1), Residual(4), Residual(4)), draw((2, 1, 5, 5))),
    "small": (small_model, draw((2, 1, 4, 4))),
    "tagger": (Tagger, lambda rng: [*ids(2, 5)(rng), *draw((2, 2))(rng)]),
    **{name: layer for name, layer in LAYERS.items() if layer[1] is not None},
    **{
        f"{kind.__name__}{options}": (lambda kind=kind, options=options: kind(3, 4, **options), draw((5, 2, 3)))
        for kind, options in single_options()
    },
    "bidirectional": (lambda: nn.LSTM(3, 4, 2, bidirectional=True), draw((5, 2, 3))),
    "with state": (
        lambda: (lambda gru: lambda x, h: gru(x, h))(nn.GRU(3, 4, batch_first=True)),
        draw((2, 5, 3), (1, 2, 4)),
    ),
    "one sequence": (lambda: nn.RNN(3, 4), draw((5, 3))),
    "function": (lambda: lambda x, y: (F.relu(x @ y), F.softmax(x - 1, dim=0), 2 / (abs(y) + 1)), draw((3, 4), (4, 2))),
    "transposed ids": (lambda: (lambda table: lambda n: table(n.T))(nn.Embedding(7, 3)), ids(2, 5)),
    "returns its input": (lambda: lambda x: (x, x.view(6)), draw((2, 3))),
}


def made(name, rng):
    make, inputs = MODELS[name]
    fnn.manual_seed(5)
    model = make()
    if isinstance(model, nn.Module):
        model.eval()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean[:], module.running_var[:] = rng.standard_normal(module.num_features), 2
    return model, [np.asarray(x) for x in inputs(rng)]


def shapes_of(arrays):
    return [Value(x.shape, "float32" if x.dtype.kind == "f" else "int64") for x in arrays]


def flat(output):
    return [part for value in output.values() for part in flat(value)] if isinstance(output, dict) else plain(output)


def same(got, want):
    for a, b in zip(flat(got), flat(want), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()

"""fastnn as its users write it: layer objects on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import nn

from ..row import EMBEDDING, HIDDEN, LAYERS, OPTIMIZERS, RECURRENT, STEPS, VOCABULARY, Row

Calls = dict[str, Callable[[], Any]]


def set_threads(n: int) -> None:
    fnn.set_num_threads(n)


def version() -> str:
    return f"fastnn {fnn.__version__}"


def to_arrays(value: Any, row: Row) -> Any:
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [part.numpy() if isinstance(part, fnn.Tensor) else part for part in parts]


class CharLSTM(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, num_layers=LAYERS)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, ids: Any) -> Any:
        return self.head(self.lstm(self.embedding(ids))[0])


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 projection where the shape changes."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        self.body = nn.Sequential(
            nn.Conv2d(c, k, 3, stride, 1, bias=False), nn.BatchNorm2d(k), nn.ReLU(),
            nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k),
        )  # fmt: skip
        project = stride > 1 or c != k
        self.shortcut = nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k)) if project else None
        self.relu = nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))


def conv_bn_relu(c: int, k: int, *arguments: Any, **options: Any) -> list[nn.Module]:
    options["bias"] = False
    return [nn.Conv2d(c, k, *arguments, **options), nn.BatchNorm2d(k), nn.ReLU()]


class CRNN(nn.Module):
    """A line of text, 32 pixels high: convolutions, the columns of their map as a sequence, classes for each column."""

    def __init__(self) -> None:
        pools, channels, layers = (2, 2, (2, 1), (2, 1)), (1, 32, 64, 128, 128), []
        for pool, c, k in zip(pools, channels, channels[1:], strict=False):
            layers += [*conv_bn_relu(c, k, 3, padding=1), nn.MaxPool2d(pool)]
        self.features = nn.Sequential(*layers)
        self.lstm = nn.LSTM(2 * 128, 128, bidirectional=True)
        self.head = nn.Linear(2 * 128, 11)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        n, c, h, w = x.shape
        return self.head(self.lstm(x.permute(3, 0, 1, 2).reshape(w, n, c * h))[0])


class Video(nn.Module):
    """Classes for every frame of a clip; x is the frames of all clips."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.lstm = nn.LSTM(32 * 8 * 8, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        return self.head(self.lstm(x.reshape(-1, self.frames, x.shape[1]))[0])


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def resnet() -> nn.Module:
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*conv_bn_relu(3, 16, 3, padding=1), *blocks, *head)


def keyword() -> nn.Module:
    layers = conv_bn_relu(1, 64, (10, 4), stride=2, padding=(5, 1))
    for _ in range(4):
        layers += conv_bn_relu(64, 64, 3, padding=1, groups=64)
        layers += conv_bn_relu(64, 64, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


MODELS: dict[str, Callable[..., Any]] = {
    "char_lstm": CharLSTM,
    "crnn": CRNN,
    "keyword": keyword,
    "lenet": lenet,
    "resnet": resnet,
    "video": Video,
}


def set_weights(module: nn.Module, row: Row) -> None:
    weights = {name: row.weight(name, p.shape) for name, p in module.named_parameters()}
    module.load_state_dict({**module.state_dict(), **weights})


def build_step(row: Row) -> Calls:
    frames = (row.options["frames"],) if row.kind == "video" else ()
    model = MODELS[row.kind](*frames)
    set_weights(model, row)
    optimizer = fnn.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, target = row.samples()

    def train() -> Any:
        optimizer.zero_grad()
        output = model(x)
        loss = fnn.losses.cross_entropy(output.reshape(target.size, -1), target)
        loss.backward()
        optimizer.step()
        return loss

    return {"train": train}


def build_optimizer(row: Row) -> Calls:
    shapes = [(row.x[0] // 5,)] * 5
    parameters = [fnn.Parameter(row.weight(str(i), shape)) for i, shape in enumerate(shapes)]
    for i, p in enumerate(parameters):
        p.grad = row.rng(f"gradient {i}").standard_normal(p.shape, np.float32)
    options = {"lr": 0.01, "momentum": 0.9} if row.kind == "SGD" else {"lr": 0.01}
    optimizer = getattr(fnn.optim, row.kind)(parameters, **options)

    def train() -> Any:
        optimizer.step()
        return parameters

    return {"train": train}


def build_cross_entropy(row: Row) -> Calls:
    leaf, target = fnn.Tensor(row.input(), requires_grad=True), row.labels()

    def train() -> Any:
        leaf.grad = None
        loss = fnn.losses.cross_entropy(leaf, target)
        loss.backward()
        return loss, leaf.grad

    return {"train": train}


def laid_out(x: np.ndarray, row: Row) -> np.ndarray:
    """x as the table says it lies in memory: an activation between layers is channels last."""
    if row.layout != "NHWC":
        return x
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def build_streaming(row: Row) -> Calls:
    layer: Any = getattr(nn, row.kind)(**row.options)
    if not hasattr(layer, "stream"):
        return {}
    set_weights(layer, row)
    stream, x = layer.stream(), row.input()[0, 0]
    return {"forward": lambda: stream.step(x)}


def on_tensor(layer: Callable[..., Any], row: Row) -> Callable[[Any], Any]:
    """The layer as a function x -> y."""
    if row.kind not in RECURRENT:
        return layer
    lengths = {} if row.lengths is None else {"lengths": row.lengths}
    return lambda x: layer(x, **lengths)[0]


def has(row: Row) -> bool:
    """Whether this fastnn has such a layer."""
    layer = getattr(nn, row.kind, None)
    ragged = row.lengths is not None
    return layer is not None and not (ragged and "lengths" not in signature(layer.forward).parameters)


def build_layer(row: Row) -> Calls:
    layer: Any = getattr(nn, row.kind)(**row.options)
    set_weights(layer, row)
    leaf = fnn.Tensor(laid_out(row.input(), row), requires_grad=True)
    leaves = [leaf, *layer.parameters()]
    function = on_tensor(layer, row)

    def forward() -> Any:
        with fnn.no_grad():
            return function(leaf)

    y = forward()
    dy = row.gradient(y.shape)
    dy = np.ascontiguousarray(dy.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if dy.ndim == 4 else dy

    def train() -> Any:
        for tensor in leaves:
            tensor.grad = None
        y = function(leaf)
        y.backward(dy)
        return y, *(tensor.grad for tensor in leaves)

    return {"forward": forward, "train": train}


def build(row: Row) -> Calls:
    if row.kind in STEPS:
        return build_step(row)
    if row.kind in OPTIMIZERS:
        return build_optimizer(row)
    if row.kind == "cross_entropy":
        return build_cross_entropy(row)
    if row.streaming:
        return build_streaming(row)
    return build_layer(row) if has(row) else {}

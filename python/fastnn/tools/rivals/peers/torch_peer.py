"""PyTorch eager; torch_cl_peer.py is the same with channels-last images and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..row import EMBEDDING, HIDDEN, LAYERS, OPTIMIZERS, RECURRENT, STEPS, VOCABULARY, Row

FORMAT = torch.contiguous_format
Calls = dict[str, Callable[[], Any]]


def set_threads(n: int) -> None:
    torch.set_num_threads(n)


def version() -> str:
    return f"torch {torch.__version__}"


class CharLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, num_layers=LAYERS)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(ids))[0])


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 projection where the shape changes."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c, k, 3, stride, 1, bias=False), nn.BatchNorm2d(k), nn.ReLU(inplace=True),
            nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k),
        )  # fmt: skip
        project = stride > 1 or c != k
        self.shortcut = nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k)) if project else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))


def conv_bn_relu(*arguments: Any, **options: Any) -> list[nn.Module]:
    return [nn.Conv2d(*arguments, bias=False, **options), nn.BatchNorm2d(arguments[1]), nn.ReLU(inplace=True)]


class CRNN(nn.Module):
    """A line of text, 32 pixels high: convolutions, the columns of their map as a sequence, classes for each column."""

    def __init__(self) -> None:
        super().__init__()
        pools, channels, layers = (2, 2, (2, 1), (2, 1)), (1, 32, 64, 128, 128), []
        for pool, c, k in zip(pools, channels, channels[1:], strict=False):
            layers += [*conv_bn_relu(c, k, 3, padding=1), nn.MaxPool2d(pool)]
        self.features = nn.Sequential(*layers)
        self.lstm = nn.LSTM(2 * 128, 128, bidirectional=True)
        self.head = nn.Linear(2 * 128, 11)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        n, c, h, w = x.shape
        return self.head(self.lstm(x.permute(3, 0, 1, 2).reshape(w, n, c * h))[0])


class Video(nn.Module):
    """Classes for every frame of a clip; x is the frames of all clips."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.lstm = nn.LSTM(32 * 8 * 8, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        return self.head(self.lstm(x.reshape(-1, self.frames, x.shape[1]))[0])


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(inplace=True), nn.Linear(120, 84), nn.ReLU(inplace=True), nn.Linear(84, 10),
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
    weights = {name: torch.from_numpy(row.weight(name, tuple(p.shape))) for name, p in module.named_parameters()}
    module.load_state_dict({**module.state_dict(), **weights})


def laid_out(x: torch.Tensor) -> torch.Tensor:
    return x.to(memory_format=FORMAT) if x.ndim == 4 else x


def build_step(row: Row) -> Calls:
    frames = (row.options["frames"],) if row.kind == "video" else ()
    model = MODELS[row.kind](*frames)
    set_weights(model, row)
    model = model.to(memory_format=FORMAT) if len(row.x) == 4 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    x, target = (torch.from_numpy(array) for array in row.samples())
    x = laid_out(x)
    loss_function = nn.CrossEntropyLoss()

    def train() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(x).reshape(len(target), -1), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return {"train": train}


def build_optimizer(row: Row) -> Calls:
    parameters = []
    for i in range(5):
        p = nn.Parameter(torch.from_numpy(row.weight(str(i), (row.x[0] // 5,))))
        p.grad = torch.from_numpy(row.rng(f"gradient {i}").standard_normal(p.shape, "float32"))
        parameters.append(p)
    options = {"lr": 0.01, "momentum": 0.9} if row.kind == "SGD" else {"lr": 0.01}
    optimizer = getattr(torch.optim, row.kind)(parameters, fused=True, **options)

    def train() -> Any:
        optimizer.step()
        return [p.detach() for p in parameters]

    return {"train": train}


def build_cross_entropy(row: Row) -> Calls:
    leaf, target = torch.from_numpy(row.input()).requires_grad_(), torch.from_numpy(row.labels())
    loss_function = nn.CrossEntropyLoss()

    def train() -> Any:
        leaf.grad = None
        loss = loss_function(leaf, target)
        loss.backward()
        return loss.detach(), leaf.grad

    return {"train": train}


def on_tensor(layer: Callable[..., Any], row: Row) -> Callable[[torch.Tensor], torch.Tensor]:
    """The layer as a function x -> y."""
    if row.kind not in RECURRENT:
        return layer
    if row.lengths is None:
        return lambda x: layer(x)[0]
    lengths = torch.from_numpy(row.lengths)

    def ragged(x: torch.Tensor) -> torch.Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0])[0]

    return ragged


def build_layer(row: Row) -> Calls:
    layer: Any = getattr(nn, row.kind)(**row.options)
    set_weights(layer, row)
    layer = layer.to(memory_format=FORMAT)
    leaf = laid_out(torch.from_numpy(row.input())).requires_grad_()
    leaves = [leaf, *layer.parameters()]
    function = on_tensor(layer, row)

    def forward() -> Any:
        with torch.inference_mode():
            return function(leaf)

    dy = laid_out(torch.from_numpy(row.gradient(tuple(forward().shape))))

    def train() -> Any:
        for tensor in leaves:
            tensor.grad = None
        y = function(leaf)
        y.backward(dy)
        return y.detach(), *(tensor.grad for tensor in leaves)

    return {"forward": forward, "train": train}


def build_streaming(row: Row) -> Calls:
    """LSTMCell: here faster than an LSTM of one step."""
    o = row.options
    cell = nn.LSTMCell(o["input_size"], o["hidden_size"])
    cell.load_state_dict({name[:-3]: torch.from_numpy(array) for name, array in row.weights().items()})
    x, state = torch.from_numpy(row.input()[0]), (torch.zeros(1, o["hidden_size"]),) * 2

    def forward() -> Any:
        nonlocal state
        with torch.inference_mode():
            state = cell(x, state)
        return state[0]

    return {"forward": forward}


def build(row: Row) -> Calls:
    if row.kind in STEPS:
        return build_step(row)
    if row.streaming:
        return build_streaming(row)
    if row.kind in OPTIMIZERS:
        return build_optimizer(row)
    if row.kind == "cross_entropy":
        return build_cross_entropy(row)
    return build_layer(row)

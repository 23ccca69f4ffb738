"""The layers and training steps that are measured, each with what it stresses.

A row names a layer by torch.nn's name and arguments, or a whole training step; its arrays come from a fixed seed, so
every peer computes on the same numbers. ``flops`` and ``values`` are the least work of a mode: multiply-adds count two,
and ``values`` are the floats that have to be read and written where memory is the limit.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import rim

CONVOLUTIONS = ("Conv1d", "Conv2d", "ConvTranspose2d")
POOLINGS = ("AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d")
OPTIMIZERS = ("Adam", "SGD")
RECURRENT = {"LSTM": 4, "GRU": 3, "RNN": 1}  # gates
STEPS = ("char_lstm", "crnn", "keyword", "lenet", "resnet", "video")
VOCABULARY, EMBEDDING, HIDDEN, LAYERS = 65, 64, 256, 2  # of the char-LSTM
SHORTEST = 5  # sequence of a ragged batch

# Floats moved per float of x, forward and train. BatchNorm reads x for the statistics and again to normalise, and x and
# dy twice on the way back. An optimizer reads and writes the weight and its state, and reads the gradient.
MOVES = {"BatchNorm2d": (3, 8), "ReLU": (2, 5), "cross_entropy": (0, 2), "SGD": (0, 5), "Adam": (0, 7), "copy": (2, 2)}


@dataclass(frozen=True)
class Row:
    name: str
    kind: str  # a class of torch.nn; cross_entropy, SGD, Adam; or one of STEPS
    x: tuple[int, ...]  # input; for optimizers: number of parameters
    options: dict[str, Any] = field(default_factory=dict)  # torch.nn's arguments
    stresses: str = ""
    # layers: the convolutions and poolings of real networks; more; rnn; ragged: sequences of lengths of their own;
    # streaming: one time step of one sequence per call, which goes on where the last call ended; steps, rnn steps;
    # rim: drawn by rim.py
    group: str = "layers"

    @property
    def modes(self) -> tuple[str, ...]:
        """train is y, dx, dw, db (what there is of them); forward records nothing."""
        if self.streaming:
            return ("forward",)
        return ("train",) if self.kind in (*STEPS, *OPTIMIZERS, "cross_entropy") else ("forward", "train")

    @property
    def streaming(self) -> bool:
        return self.group == "streaming"

    @property
    def stateful(self) -> bool:
        """Whether a call changes what the next one computes."""
        return self.streaming or self.kind in STEPS

    @cached_property
    def lengths(self) -> np.ndarray | None:
        """Of a ragged batch, the longest of all T; x goes on with numbers that nobody may read."""
        if self.group != "ragged":
            return None
        found = self.rng("lengths").integers(SHORTEST, self.x[0] + 1, self.x[1])
        found[0] = self.x[0]
        return found

    @property
    def layout(self) -> str:
        """Memory of fastnn's x: an image as users have it where channels are few, else as its layers hand it on."""
        if len(self.x) != 4:
            return ""
        return "NCHW" if self.x[1] <= 4 else "NHWC"

    def rng(self, what: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.name}: {what}".encode()))

    def input(self) -> np.ndarray:
        return self.rng("x").standard_normal(self.x, np.float32)

    def gradient(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng("dy").standard_normal(shape, np.float32)

    def weight(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The parameter of that name in torch's state_dict: outputs about as large as the inputs."""
        return self.rng(name).standard_normal(shape, np.float32) / np.float32(math.prod(shape[1:]) ** 0.5)

    def weights(self) -> dict[str, np.ndarray]:
        """The parameters of a layer, in torch's order and shapes."""
        o = self.options
        if self.kind in RECURRENT:
            h, rows = o["hidden_size"], RECURRENT[self.kind] * o["hidden_size"]
            shapes = {"weight_ih": None, "weight_hh": (rows, h), "bias_ih": (rows,), "bias_hh": (rows,)}
            return {
                name + suffix: self.weight(name + suffix, shape or (rows, inputs))
                for suffix, inputs in self.layers()
                for name, shape in shapes.items()
            }
        if self.kind in CONVOLUTIONS:
            c, k, kernel = o["in_channels"], o["out_channels"], self.axes("kernel_size")
            groups = o.get("groups", 1)
            shape = (c, k // groups, *kernel) if self.kind == "ConvTranspose2d" else (k, c // groups, *kernel)
        elif self.kind == "Linear":
            k = o["out_features"]
            shape = (k, o["in_features"])
        elif self.kind == "BatchNorm2d":
            k = o["num_features"]
            shape = (k,)
        else:
            return {}
        return {"weight": self.weight("weight", shape), "bias": self.weight("bias", (k,))}

    def layers(self) -> list[tuple[str, int]]:
        """Every direction of every recurrent layer: the suffix of its parameters and the number of its inputs."""
        o = self.options
        directions = ("", "_reverse") if o.get("bidirectional") else ("",)
        inputs = [o["input_size"]] + [len(directions) * o["hidden_size"]] * (o.get("num_layers", 1) - 1)
        return [(f"_l{i}{direction}", size) for i, size in enumerate(inputs) for direction in directions]

    def axes(self, option: str, default: int = 1) -> tuple[int, ...]:
        """An option of a convolution or pooling for each axis of the image."""
        value = self.options.get(option, default)
        return value if isinstance(value, tuple) else (value,) * (len(self.x) - 2)

    def labels(self) -> np.ndarray:
        get = self.options.get
        return self.rng("labels").integers(0, get("classes", self.x[-1]), get("labels", self.x[0]))

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Input and target of a training step, the target flat."""
        if self.kind != "char_lstm":
            return self.input(), self.labels()
        ids = self.rng("tokens").integers(0, VOCABULARY, (2, *self.x))
        return ids[0], ids[1].ravel()

    @cached_property
    def output(self) -> tuple[int, ...]:
        """Shape of the output of a convolution, pooling or recurrent layer."""
        get = self.options.get
        if self.kind in RECURRENT:
            return (*self.x[:2], (2 if get("bidirectional") else 1) * get("hidden_size"))
        if self.kind == "AdaptiveAvgPool2d":
            return (*self.x[:2], 1, 1)
        channels, kernel, pad = get("out_channels", self.x[1]), self.axes("kernel_size"), self.axes("padding", 0)
        stride = self.axes("stride") if "stride" in self.options or self.kind in CONVOLUTIONS else kernel
        reach = tuple(d * (k - 1) for d, k in zip(self.axes("dilation"), kernel, strict=True))
        each = list(zip(self.x[2:], stride, pad, reach, strict=True))
        if self.kind == "ConvTranspose2d":
            return (self.x[0], channels, *((size - 1) * s - 2 * p + r + 1 for size, s, p, r in each))
        return (self.x[0], channels, *((size + 2 * p - r - 1) // s + 1 for size, s, p, r in each))

    def flops(self, mode: str) -> float:
        passes = 3 if mode == "train" else 1  # y, dx and dw take the same
        if self.kind == "Linear":
            return passes * 2 * math.prod(self.x) * self.options["out_features"]
        if self.kind in RECURRENT:
            h, steps = (
                self.options["hidden_size"],
                self.x[0] * self.x[1] if self.lengths is None else self.lengths.sum(),
            )
            return sum(passes * 2 * RECURRENT[self.kind] * int(steps) * h * (i + h) for _, i in self.layers())
        if self.kind not in CONVOLUTIONS:
            return 0
        taps = math.prod(self.axes("kernel_size")) / self.options.get("groups", 1)
        if self.kind == "ConvTranspose2d":
            return passes * 2 * math.prod(self.x) * self.output[1] * taps
        return passes * 2 * math.prod(self.output) * self.x[1] * taps

    def values(self, mode: str) -> float:
        if self.kind in POOLINGS:
            return (2 if mode == "train" else 1) * (math.prod(self.x) + math.prod(self.output))
        return MOVES.get(self.kind, (0, 0))[mode == "train"] * math.prod(self.x)


def conv(name: str, n: int, c: int, size: int, k: int, kernel: int, stresses: str, **more: Any) -> Row:
    group = more.pop("group", "layers")
    options = {"in_channels": c, "out_channels": k, "kernel_size": kernel, **more}
    return Row(name, "Conv2d", (n, c, size, size), options, stresses, group)


def pool(name: str, kind: str, n: int, c: int, size: int, stresses: str, group: str = "layers", **options: int) -> Row:
    return Row(name, kind, (n, c, size, size), options, stresses, group)


def linear(n: int, inputs: int, outputs: int, stresses: str) -> Row:
    options = {"in_features": inputs, "out_features": outputs}
    return Row(f"linear {inputs}-{outputs}, batch {n}", "Linear", (n, inputs), options, stresses, "more")


def conv1d(length: int, kernel: int, stresses: str, dilation: int = 1) -> Row:
    name = f"conv1d {kernel}, L {length}" + (f", dilation {dilation}" if dilation > 1 else "")
    options = {"in_channels": 64, "out_channels": 64, "kernel_size": kernel, "padding": dilation * (kernel // 2)}
    return Row(name, "Conv1d", (8, 64, length), {**options, "dilation": dilation}, stresses, "more")


def elementwise(name: str, kind: str, x: tuple[int, ...], stresses: str) -> Row:
    options = {"num_features": x[1]} if kind == "BatchNorm2d" else {}
    return Row(f"{name} {'x'.join(map(str, x))}", kind, x, options, stresses, "more")


def recurrent(
    kind: str, steps: int, n: int, inputs: int, hidden: int, stresses: str, group: str = "rnn", **more: Any
) -> Row:
    options = {"input_size": inputs, "hidden_size": hidden, **more}
    name = f"{'bi' if more.get('bidirectional') else ''}{kind.lower()} {inputs}-{hidden}"
    name += f" x{more['num_layers']}" if "num_layers" in more else ""
    name += {"ragged": f", ragged, N {n}", "streaming": ", streaming"}.get(group, f", T {steps}, N {n}")
    return Row(name, kind, (steps, n, inputs), options, stresses, group)


LAYER_ROWS = [
    conv("lenet.conv1", 64, 1, 28, 6, 5, "one input channel, few filters", padding=2),
    conv("lenet.conv2", 64, 6, 14, 16, 5, "few channels"),
    conv("mnist.conv1", 64, 1, 28, 32, 3, "one input channel, writing y", padding=1),
    conv("mnist.conv2", 64, 32, 28, 64, 3, "compute", padding=1),
    conv("cifar.block1", 32, 16, 32, 16, 3, "one vector of channels", padding=1),
    conv("resnet.stem", 1, 3, 224, 64, 7, "large image, stride 2", stride=2, padding=3),
    conv("resnet.layer1", 1, 64, 56, 64, 3, "batch 1, large map", padding=1),
    conv("resnet.layer2", 1, 128, 28, 128, 3, "batch 1", padding=1),
    conv("resnet.layer3", 1, 256, 14, 256, 3, "large weights, small map", padding=1),
    conv("resnet.layer4", 1, 512, 7, 512, 3, "weights from memory, 49 pixels", padding=1),
    conv("resnet.down", 1, 128, 56, 128, 3, "stride 2", stride=2, padding=1),
    conv("resnet.reduce", 1, 256, 56, 64, 1, "1x1: a product, reading x", padding=0),
    conv("resnet.layer2, batch 16", 16, 128, 28, 128, 3, "compute", padding=1),
    conv("mobilenet.depthwise", 1, 128, 56, 128, 3, "depthwise: memory", padding=1, groups=128),
    conv("mobilenet.pointwise", 1, 128, 56, 128, 1, "1x1: a product"),
    pool("maxpool 2x2", "MaxPool2d", 64, 32, 28, "memory", kernel_size=2),
    pool("maxpool 3x3 s2", "MaxPool2d", 1, 64, 112, "overlapping windows", kernel_size=3, stride=2, padding=1),
    pool("avgpool 2x2", "AvgPool2d", 64, 32, 28, "memory", kernel_size=2),
    pool("global avgpool", "AdaptiveAvgPool2d", 16, 512, 7, "reduction", output_size=1),
]

LARGE = (32, 64, 64, 64)  # 32 MiB, and as much to write: out of the cache

MORE_ROWS = [
    *(linear(n, 400, 120, "small product") for n in (1, 64, 1024)),
    *(linear(n, size, size, "product" if n > 1 else "weights") for size in (512, 1024) for n in (1, 64, 256, 1024)),
    *(elementwise("batchnorm", "BatchNorm2d", x, "statistics") for x in ((64, 32, 28, 28), (16, 128, 28, 28), LARGE)),
    *(elementwise("relu", "ReLU", x, "memory") for x in ((64, 32, 28, 28), (1, 64, 112, 112), LARGE)),
    pool("maxpool 2x2, large", "MaxPool2d", *LARGE[:3], "memory out of cache", group="more", kernel_size=2),
    pool("avgpool 2x2, large", "AvgPool2d", *LARGE[:3], "memory out of cache", group="more", kernel_size=2),
    *(elementwise("cross entropy", "cross_entropy", x, "exp, overhead") for x in ((64, 10), (1024, 1000))),
    *(Row(f"{kind} {n:.0e}".replace("+0", ""), kind, (n,), {}, "memory, overhead", "more")
      for kind in ("SGD", "Adam") for n in (10**4, 10**5, 10**6, 10**7)),
    *(conv1d(length, kernel, "sequence") for length in (128, 1000, 16000) for kernel in (3, 5, 9)),
    conv1d(1000, 3, "dilation", dilation=4),
    conv("grouped 32", 1, 128, 28, 128, 3, "4 channels to a group", padding=1, groups=32, group="more"),
    Row("odd shapes", "Conv2d", (3, 37, 29, 31),
        {"in_channels": 37, "out_channels": 53, "kernel_size": 3, "padding": 1}, "nothing divides", "more"),
    Row("transposed 4x4 s2", "ConvTranspose2d", (1, 64, 28, 28),
        {"in_channels": 64, "out_channels": 64, "kernel_size": 4, "stride": 2, "padding": 1}, "upsampling", "more"),
]  # fmt: skip

STEP_ROWS = [
    Row("LeNet-5 step, batch 64", "lenet", (64, 1, 28, 28), {"classes": 10}, "small layers, overhead per op", "steps"),
    Row("ResNet-8 step, batch 32", "resnet", (32, 3, 32, 32), {"classes": 10}, "3x3, batch norm, memory", "steps"),
    Row("DS-CNN step, batch 64", "keyword", (64, 1, 49, 10), {"classes": 12}, "depthwise, batch norm", "steps"),
]

RNN_ROWS = [
    recurrent("LSTM", 64, 1, 128, 128, "one sequence: weights from the cache in every step"),
    recurrent("LSTM", 64, 32, 128, 128, "recurrent step"),
    recurrent("LSTM", 64, 64, 64, 512, "4 MiB of recurrent weights"),
    recurrent("LSTM", 50, 16, 64, 256, "two layers, both directions", num_layers=2, bidirectional=True),
    recurrent("GRU", 64, 32, 128, 256, "recurrent step"),
    recurrent("RNN", 64, 32, 64, 128, "small product between steps"),
    *(recurrent("LSTM", steps, 1, 32, 32, "overhead per step (oneDNN issue 837)") for steps in (15, 31, 47, 63)),
    *(recurrent(kind, 200, 32, 128, 128, "no work for padding", "ragged") for kind in ("LSTM", "GRU")),
    *(recurrent("LSTM", 1, 1, size, size, "overhead per call", "streaming") for size in (64, 128, 512)),
    Row("char-LSTM step, T 64, N 32", "char_lstm", (64, 32), {}, "two LSTM layers, embedding", "rnn steps"),
    Row("CRNN step, batch 16", "crnn", (16, 1, 32, 128), {"classes": 11, "labels": 16 * 32},
        "convolutions, then an LSTM along the columns", "rnn steps"),
    Row("video step, 4 clips of 16 frames", "video", (64, 3, 32, 32), {"classes": 10, "frames": 16},
        "convolutions of every frame, then an LSTM", "rnn steps"),
]  # fmt: skip

COPY = Row("copy 64 MiB", "copy", (2**24,), {}, "memory bandwidth out of cache", "limits")

RIM_ROWS = [Row(*case, group="rim") for case in rim.cases()]

SETS = {"cnn": [*LAYER_ROWS, *MORE_ROWS, *STEP_ROWS], "rnn": RNN_ROWS, "rim": RIM_ROWS}
ROWS = {row.name: row for row in [*SETS["cnn"], *SETS["rnn"], *SETS["rim"], COPY]}

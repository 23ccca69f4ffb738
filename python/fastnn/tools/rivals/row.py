"""What is measured: a layer by torch.nn's name and arguments, or a whole training step; rows.py has the list.

The arrays of a row come from a fixed seed, so every peer computes on the same numbers. ``flops`` and ``values`` are the
least work of a mode: multiply-adds count two, and ``values`` are the floats that have to be read and written where
memory is the limit. A row is plain data: a process is sent it as JSON.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

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
    # rim: drawn by bench/rim.py
    group: str = "layers"

    def to_plain(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Row:
        """The row that ``to_plain`` was asked of: JSON has made its tuples lists."""
        options = {name: tuple(o) if isinstance(o, list) else o for name, o in plain["options"].items()}
        return cls(**{**plain, "x": tuple(plain["x"]), "options": options})

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
        found: np.ndarray = self.rng("labels").integers(0, get("classes", self.x[-1]), get("labels", self.x[0]))
        return found

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
            return (*self.x[:2], (2 if get("bidirectional") else 1) * self.options["hidden_size"])
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
        return 2 * self.products() * (3 if mode == "train" else 1)  # y, dx and dw take the same

    def products(self) -> float:
        """Multiply-adds of the forward; 0 for rows that are no sums of products, or many layers."""
        if self.kind == "Linear":
            return float(math.prod(self.x) * self.options["out_features"])
        if self.kind in RECURRENT:
            h, gates = self.options["hidden_size"], RECURRENT[self.kind]
            steps = self.x[0] * self.x[1] if self.lengths is None else int(self.lengths.sum())
            return float(sum(gates * steps * h * (inputs + h) for _, inputs in self.layers()))
        if self.kind not in CONVOLUTIONS:
            return 0.0
        taps = math.prod(self.axes("kernel_size")) / self.options.get("groups", 1)
        if self.kind == "ConvTranspose2d":
            return float(math.prod(self.x) * self.output[1] * taps)
        return float(math.prod(self.output) * self.x[1] * taps)

    def values(self, mode: str) -> float:
        if self.kind in POOLINGS:
            return float((2 if mode == "train" else 1) * (math.prod(self.x) + math.prod(self.output)))
        return float(MOVES.get(self.kind, (0, 0))[mode == "train"] * math.prod(self.x))

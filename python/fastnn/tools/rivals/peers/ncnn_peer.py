"""ncnn: convolutions of one image in float32, with its packed layouts and Winograd. Forward only."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

from ..row import Row

threads = 1


def set_threads(n: int) -> None:
    global threads
    threads = n


def version() -> str:
    return f"ncnn {ncnn.__version__}"


def parameters(row: Row, weights: int) -> str:
    """ncnn's text form of the net: layers, blobs, then each layer with numbered options."""
    get = row.options.get
    numbers = {
        0: get("out_channels"),
        1: get("kernel_size"),
        3: get("stride", 1),
        4: get("padding", 0),
        5: 1,  # has a bias
        6: weights,
    }
    groups = get("groups", 1)
    kind = "ConvolutionDepthWise" if groups > 1 else "Convolution"
    numbers |= {7: groups} if groups > 1 else {}
    options = " ".join(f"{key}={value}" for key, value in numbers.items())
    return f"7767517\n2 2\nInput x 0 1 x\n{kind} conv 1 1 x y {options}\n"


def load(row: Row) -> ncnn.Net:
    net = ncnn.Net()
    option = net.opt
    option.num_threads = threads
    option.use_vulkan_compute = False
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed", "int8_inference"):
        setattr(option, f"use_{name}", False)
    option.use_packing_layout = option.use_winograd_convolution = option.use_sgemm_convolution = True
    weight, bias = row.weights().values()
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder, "net.param"), Path(folder, "net.bin")
        text.write_text(parameters(row, weight.size))
        binary.write_bytes(bytes(4) + weight.tobytes() + bias.tobytes())  # four zeros: float32 follows
        if net.load_param(str(text)) or net.load_model(str(binary)):
            raise RuntimeError(f"ncnn does not load {row.name}")
    return net


def build(row: Row) -> dict[str, Callable[[], Any]]:
    if row.kind != "Conv2d" or row.x[0] != 1:
        return {}
    net, x = load(row), row.input()
    image = ncnn.Mat(x[0]).clone()

    def forward() -> Any:
        extractor = net.create_extractor()
        extractor.input("x", image)
        return extractor.extract("y")[1]

    return {"forward": forward}


def to_arrays(value: Any, row: Row) -> Any:
    return np.array(value)[None]

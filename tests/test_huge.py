"""Sizes around powers of two up to 2**63, as axes of arrays that take no memory and as integer arguments: an error at
once, and no memory taken. The address space is limited meanwhile, so nothing large can be had."""

import itertools
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, is_float
from sanitizer import SANITIZED

import fastnn as fnn
from fastnn import nn

ERRORS = (TypeError, ValueError, MemoryError, IndexError)
SIZES = [2**k + d for k in (31, 32, 47, 62, 63) for d in (-1, 0, 1)]
SPARE = 1 << 29  # bytes of address space left
# These read any number of elements without taking memory, and this one makes an array of each: slow, as they should be.
READERS = {"amax", "amin", "mean", "std", "sum", "var"}
MANY = {"unbind"}
# Give views, or pick a few elements.
TAKE_NOTHING = {"chunk", "flip", "index", "permute", "split", "squeeze", "transpose", "unsqueeze"}


@pytest.fixture(scope="module", autouse=True)
def _limited_memory():
    if SANITIZED:
        pytest.skip("AddressSanitizer needs the whole address space")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    threads = fnn.get_num_threads()
    with fnn.threads(2):  # starts the team: an OpenMP runtime that cannot start a thread later ends the process
        fnn.ops.conv2d(np.ones((8, 16, 64, 64), np.float32), np.ones((16, 16, 3, 3), np.float32))
    fnn.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    fnn.set_num_threads(threads)


def _refused(function, *args, **options):
    """Whether the call raised an error of the right kind; it must not take long either way."""
    start = time.process_time()  # a loop over the axis would take minutes
    try:
        function(*args, **options)
    except ERRORS:
        return True
    finally:
        assert time.process_time() - start < 10
    return False


def _huge(shape, dtype):
    try:
        return np.broadcast_to(np.zeros((), dtype), shape)
    except ValueError:  # more than NumPy can describe
        return None


@pytest.mark.parametrize("name", sorted(CASES.keys() - READERS - MANY))
def test_axes(rng, name):
    """Every axis of every array, alone and together with all other axes that had the same size."""
    case = CASES[name]
    arrays = case.arrays(rng)
    tried = 0
    for size in SIZES:
        for i, array in enumerate(arrays):
            for axis in range(array.ndim):
                one = _huge((*array.shape[:axis], size, *array.shape[axis + 1 :]), array.dtype)
                if one is not None:
                    refused = _refused(case.op, *arrays[:i], one, *arrays[i + 1 :], **case.options)
                    assert refused or name in TAKE_NOTHING
                    tried += 1
                everywhere = [
                    _huge(tuple(size if s == array.shape[axis] else s for s in a.shape), a.dtype) for a in arrays
                ]
                if all(e is not None for e in everywhere):
                    assert _refused(case.op, *everywhere, **case.options) or name in TAKE_NOTHING
                    tried += 1
    assert tried > 10


@pytest.mark.parametrize("name", sorted(CASES.keys() - MANY))
def test_empty_arrays_with_huge_axes(rng, name):
    """One axis is zero, the others as large as NumPy allows: no memory is needed, and no product may overflow."""
    case = CASES[name]
    arrays = case.arrays(rng)
    for size in SIZES:
        for i, array in enumerate(arrays):
            for zero in range(array.ndim):
                shape = [size] * array.ndim
                shape[zero] = 0
                empty = _huge(tuple(shape), array.dtype)
                if empty is not None:
                    _refused(case.op, *arrays[:i], empty, *arrays[i + 1 :], **case.options)
    sizes = {s for a in arrays for s in a.shape}
    for none, many in itertools.permutations(sizes, 2):
        for size in SIZES:
            shapes = [tuple(0 if s == none else size if s == many else s for s in a.shape) for a in arrays]
            empty = [_huge(shape, a.dtype) for shape, a in zip(shapes, arrays, strict=True)]
            if all(e is not None for e in empty):
                _refused(case.op, *empty, **case.options)


@pytest.mark.parametrize("name", CASES)
def test_options(rng, name):
    """Every number among the options, alone and inside pairs."""
    case = CASES[name]
    arrays = case.arrays(rng)
    for option in _numbers(name):
        for size in [*SIZES, -1, -(2**31), -(2**63)]:
            for value in (size, (size, size), (1, size)):
                if _refused(case.op, *arrays, **{**case.options, option: value}):
                    continue
                # What is accepted must also go back.
                tensors = [fnn.Tensor(a, requires_grad=True) if is_float(a) else a for a in arrays]
                y = case.op(*tensors, **{**case.options, option: value})
                assert not _refused(y.backward, np.ones(y.shape, np.float32))


def _numbers(name):
    if name.startswith("conv_transpose"):
        return ("stride", "padding", "output_padding", "dilation", "groups")
    if name.startswith("conv"):
        return ("stride", "padding", "dilation", "groups")
    if name.startswith("maxpool"):
        return ("kernel_size", "stride", "padding", "dilation")
    if name.startswith("avgpool"):
        return ("kernel_size", "stride", "padding")
    if name.startswith("adaptive"):
        return ("output_size",)
    return ()


LAYERS = {
    "BatchNorm2d": (nn.BatchNorm2d, (3,)),
    "CRF": (nn.CRF, (3,)),
    "Embedding": (nn.Embedding, (3, 4)),
    "Linear": (nn.Linear, (3, 4)),
    "Conv1d": (nn.Conv1d, (3, 4, 3)),
    "Conv2d": (nn.Conv2d, (3, 4, 3)),
    "ConvTranspose1d": (nn.ConvTranspose1d, (3, 4, 3)),
    "ConvTranspose2d": (nn.ConvTranspose2d, (3, 4, 3)),
    "GRU": (nn.GRU, (3, 4)),
    "LSTM": (nn.LSTM, (3, 4)),
    "LSTMCell": (nn.LSTMCell, (3, 4)),
    "RNN": (nn.RNN, (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    layer, sizes = LAYERS[name]
    for i in range(len(sizes)):
        for size in SIZES:
            assert _refused(layer, *sizes[:i], size, *sizes[i + 1 :])


def test_linear_whose_workspace_would_overflow():
    """2**60 rows of weights, padded to 16 columns, are 2**64 floats: that must not wrap round to a small block."""
    for k in (57, 58, 59, 60):
        x = np.broadcast_to(np.float32(0), (1, 2**k))
        assert _refused(fnn.ops.linear, x, x)


def test_large_padding_in_a_team():
    """Where the threads of a team cannot get the scratch of a window, MemoryError, not the end of the process."""
    x, w = np.ones((4, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    with fnn.threads(2):
        assert _refused(fnn.ops.conv2d, x, w, stride=2**26, padding=2**26)
        assert np.all(fnn.ops.conv2d(x, w) == 1)

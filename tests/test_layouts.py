"""Whatever the memory layout and dtype of an input, the bits of the result are those of a contiguous float32 copy, or a
TypeError says that the dtype is not accepted; inputs are never written to."""

import hashlib
from typing import ClassVar

import numpy as np
import pytest
from cases import CASES, is_float, outputs_of, run


class Subclass(np.ndarray):
    __slots__: ClassVar = []


def _step_2(a):
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 7, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _negative(a):
    return a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]


def _transposed(a):
    return np.swapaxes(np.ascontiguousarray(np.swapaxes(a, 0, -1)), 0, -1)


def _zero_stride(a):
    return np.broadcast_to(a[:1], a.shape)


def _zero_stride_all(a):
    return np.broadcast_to(a.ravel()[0], a.shape)


def _offset(a, by):
    buffer = np.full(a.nbytes + 64, 0x55, np.uint8)
    start = -buffer.ctypes.data % 64 + by
    view = buffer[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _readonly(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _memmap(a, path):
    a.tofile(path)
    return np.memmap(path, a.dtype, "r", shape=a.shape)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "step_2": _step_2,
    "negative": _negative,
    "transposed": _transposed,
    "zero_stride": _zero_stride,
    "zero_stride_all": _zero_stride_all,
    "misaligned": lambda a: _offset(a, 1),
    "aligned_4": lambda a: _offset(a, 4),
    "readonly": _readonly,
    "big_endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "memmap": _memmap,
    "subclass": lambda a: a.copy().view(Subclass),
}

ACCEPTED = [
    "float64",
    "float16",
    "longdouble",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]
INTEGERS_MEAN_SOMETHING_ELSE = {"cross_entropy_probabilities"}  # class indices, which have another shape
REFUSED = ["complex64", "complex128", "object", "U4", "S4", "datetime64[s]", "timedelta64[s]", "V4"]


def _digest(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return hashlib.sha256(np.array(array, order="K", subok=False).tobytes()).hexdigest()


KEEP_INTEGERS = {
    "amax",
    "amin",
    "broadcast_to",
    "chunk",
    "clone",
    "concatenate",
    "flatten",
    "flip",
    "index",
    "max_at",
    "min_at",
    "permute",
    "put_rows",
    "put_rows, sizes",
    "repeat",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "take_rows",
    "transpose",
    "unbind",
    "unsqueeze",
    "where",
}


def _assert_same(results, expected):
    assert len(results) == len(expected)
    for result, want in zip(results, expected, strict=True):
        assert result.shape == want.shape
        assert result.tobytes() == want.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CASES)
def test_layout(rng, tmp_path, name, layout):
    case = CASES[name]
    arrays = case.arrays(rng)
    everywhere = range(len(arrays))
    for chosen in [*([i] for i in everywhere), everywhere]:
        views = list(arrays)
        for i in chosen:
            views[i] = _memmap(arrays[i], tmp_path / f"{i}") if layout == "memmap" else LAYOUTS[layout](arrays[i])
        before = [_digest(v) for v in views]
        results = run(case, views)
        assert [_digest(v) for v in views] == before
        _assert_same(
            results, run(case, [np.array(v, np.float32 if is_float(v) else np.int64, order="C") for v in views])
        )


@pytest.mark.parametrize("dtype", ACCEPTED)
@pytest.mark.parametrize("name", CASES)
def test_accepted_dtype(rng, name, dtype):
    """What converts to float32 gives the bits of that conversion (values are chosen to fit every dtype); ops that only
    move elements keep integers."""
    case = CASES[name]
    arrays = case.arrays(rng)
    converted = [np.abs(np.trunc(a * 3)).astype(dtype) if is_float(a) else a for a in arrays]
    if name in INTEGERS_MEAN_SOMETHING_ELSE and np.dtype(dtype).kind != "f":
        with pytest.raises((TypeError, ValueError), match="target"):
            case.op(*converted, **case.options)
        return
    before = [_digest(a) for a in converted]
    results = case.op(*converted, **case.options)
    expected = case.op(
        *[a.astype(np.float32) if is_float(o) else a for a, o in zip(converted, arrays, strict=True)], **case.options
    )
    kept = name in KEEP_INTEGERS and np.dtype(dtype).kind != "f"
    assert all(result.dtype == (dtype if kept else np.float32) for result in outputs_of(results))
    _assert_same([result.astype(np.float32) for result in outputs_of(results)], outputs_of(expected))
    assert [_digest(a) for a in converted] == before


@pytest.mark.parametrize("dtype", REFUSED)
@pytest.mark.parametrize("name", CASES)
def test_refused_dtype(rng, name, dtype):
    case = CASES[name]
    arrays = case.arrays(rng)
    for i, array in enumerate(arrays):
        wrong = [*arrays[:i], np.zeros(array.shape, dtype), *arrays[i + 1 :]]
        with pytest.raises(TypeError):
            case.op(*wrong, **case.options)


@pytest.mark.parametrize("name", CASES)
def test_indices(rng, name):
    """Index arrays take every integer dtype but nothing that would have to be rounded."""
    case = CASES[name]
    arrays = case.arrays(rng)
    expected = outputs_of(case.op(*arrays, **case.options))
    for i, array in enumerate(arrays):
        if is_float(array):
            continue
        for dtype in ("int8", "int16", "int32", "uint8", "uint32"):
            results = outputs_of(case.op(*arrays[:i], array.astype(dtype), *arrays[i + 1 :], **case.options))
            assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))
        with pytest.raises(TypeError):
            case.op(*arrays[:i], array.astype(np.float32), *arrays[i + 1 :], **case.options)

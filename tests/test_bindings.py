"""fastnn._core called directly: wrong dtypes, layouts, shapes and sizes are errors; no copy, crash or wrong read.

The right calls are recorded while every op of cases.py runs, forward and backward; then one argument at a time is
replaced.
"""

import numpy as np
import pytest
from cases import CASES, run

from fastnn import _core

ERRORS = (TypeError, ValueError, MemoryError, IndexError)
SIZES = [-(2**63), -(2**31), -1, 0, 1, 2, 2**31 - 1, 2**31, 2**32, 2**47, 2**62, 2**63 - 1, 2**63, 1.5, None, "x"]
RUNTIME = {"are_dense", "set_num_threads", "set_isa", "clear_cache", "memory_stats"}
VALUES = {"computed", "know_tensor", "opened"}  # take any object
ANY = {"arithmetic", "broadcast_to", "digest"}  # take other dtypes or answer None; tested below
UNRECORDED = RUNTIME | VALUES | ANY


def _record():
    """name of a binding -> its distinct calls, as lists of arguments."""
    calls = {}
    originals = {
        name: f
        for name, f in vars(_core).items()
        if callable(f) and not name.startswith("_") and name not in UNRECORDED
    }

    def recorder(name, function):
        def call(*args, **options):
            assert not options, f"{name}: the ops call bindings by position"
            calls.setdefault(name, []).append(_copied(list(args)))
            return function(*args)

        return call

    try:
        for name, function in originals.items():
            setattr(_core, name, recorder(name, function))
        for case in CASES.values():
            run(case, case.arrays(np.random.default_rng(3)))
    finally:
        for name, function in originals.items():
            setattr(_core, name, function)
    x = np.random.default_rng(3).standard_normal((5, 2, 4)).astype(np.float32)
    pairs, bound = np.ones((4, 4), np.float32), np.ones(4, np.float32)
    calls["crf_decode"] = [[x, pairs, bound, bound, np.array([5, 3])]]
    calls["ctc_beam"] = [[x, np.array([5, 3]), 3, 0, 2]]
    calls["ctc_greedy"] = [[x, np.array([5, 3]), 0]]
    calls["empty"] = [[[2, 3]]]
    calls["empty_channels_last"] = [[[2, 3, 4, 5]]]
    return [
        pytest.param(name, args, id=f"{name}-{i}")
        for name, list_ in sorted(calls.items())
        for i, args in enumerate(list_)
    ]


def _copy(array):
    """The same values in the same memory layout."""
    copy = np.empty_like(array, subok=False)
    np.copyto(copy, array)
    return copy


def _copied(value):
    """The arguments with arrays of their own, also inside lists; those that cannot be written stay as they are."""
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(v) for v in value)
    return _copy(value) if isinstance(value, np.ndarray) and value.flags.writeable and value.flags.aligned else value


def _flat(result):
    """The arrays of a result, from whatever lists they are in."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in _flat(part)]
    return [] if result is None else [np.asarray(result)]


def _call(name, args):
    """The result as a list of arrays, or None where the call raised one of the right errors."""
    try:
        return _flat(getattr(_core, name)(*_copied(args)))
    except ERRORS:
        return None


def _arrays(args, path=()):
    """(path, array) of every array among the arguments, also inside lists."""
    for i, value in enumerate(args):
        if isinstance(value, np.ndarray):
            yield (*path, i), value
        elif isinstance(value, (list, tuple)):
            yield from _arrays(value, (*path, i))


def _replaced(args, path, value):
    i, *inner = path
    return [*args[:i], _replaced(args[i], inner, value) if inner else value, *args[i + 1 :]]


CALLS = _record()


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_dtypes(name, args):
    for path, array in _arrays(args):
        other = ["float32" if array.dtype == np.int64 else "int64", array.dtype.newbyteorder(">")]
        for dtype in ("float64", "float16", "int32", "complex64", "U4", "object", *other):
            if dtype == array.dtype:
                continue
            with pytest.raises(TypeError):
                getattr(_core, name)(*_replaced(args, path, np.zeros_like(array, dtype=dtype)))
        for value in ("x", array.tolist() if array.size else [0.0], 3.0):
            with pytest.raises(TypeError):
                getattr(_core, name)(*_replaced(args, path, value))


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_misaligned(name, args):
    for path, array in _arrays(args):
        if array.itemsize == 1 or array.size == 0:
            continue
        shape, strides = array.shape, array.strides
        before = -sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)
        after = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s > 0) + array.itemsize
        odd = np.ndarray(shape, array.dtype, np.zeros(before + after + 1, np.uint8), before + 1, strides)
        with pytest.raises(TypeError):
            getattr(_core, name)(*_replaced(args, path, odd))


def _layouts(array):
    """The same values with other strides."""
    if array.ndim == 0 or array.size == 0:
        return
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    yield wide[..., ::2]
    yield np.ascontiguousarray(array)
    yield np.asfortranarray(array)
    yield array[::-1].copy()[::-1]
    yield array[..., ::-1].copy()[..., ::-1]
    if array.ndim == 4:
        yield np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_layouts(name, args):
    """Other strides are refused or give the same bits; read-only arrays are read or refused, never written."""
    expected = _call(name, args)
    assert expected is not None
    for path, array in _arrays(args):
        for view in [*_layouts(array), _copy(array)]:
            before = view.tobytes()
            view.flags.writeable = False
            result = _call(name, _replaced(args, path, view))
            assert view.tobytes() == before
            if result is not None:
                assert [r.tobytes() for r in result] == [e.tobytes() for e in expected]


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_shapes(name, args):
    for path, array in _arrays(args):
        shapes = [(), (0,), (*array.shape, 1), (1, *array.shape), array.shape[1:], array.shape[:-1], (array.size,)]
        for axis in range(array.ndim):
            for size in (0, 1, max(0, array.shape[axis] - 1), array.shape[axis] + 1, 2 * array.shape[axis]):
                shapes.append((*array.shape[:axis], size, *array.shape[axis + 1 :]))
        for shape in shapes:
            wrong = np.zeros(shape, array.dtype)
            _call(name, _replaced(args, path, wrong))
            if wrong.ndim == 4:
                _call(
                    name,
                    _replaced(
                        args, path, np.zeros((shape[0], *shape[2:], shape[1]), array.dtype).transpose(0, 3, 1, 2)
                    ),
                )


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_numbers(name, args):
    """Every integer, also inside pairs and shapes, at the extremes of int64 and beyond."""
    for i, value in enumerate(args):
        if isinstance(value, (bool, int, float)):
            for size in SIZES:
                _call(name, _replaced(args, [i], size))
        elif isinstance(value, (tuple, list)):
            for j in range(len(value)):
                for size in SIZES:
                    _call(name, _replaced(args, [i], [*value[:j], size, *value[j + 1 :]]))
            for sizes in (
                [],
                list(value)[:-1],
                [*value, 1],
                [2**31 - 1] * len(value),
                [2**62] * len(value),
                [-1] * len(value),
            ):
                _call(name, _replaced(args, [i], sizes))


@pytest.mark.parametrize("n", [-(2**63), -1, 0, 1025, 2**31, 2**63, 1.5, None, "x"])
def test_set_num_threads(n):
    before = _core.get_num_threads()
    with pytest.raises((ValueError, TypeError)):
        _core.set_num_threads(n)
    assert _core.get_num_threads() == before


def test_are_dense():
    """It answers for whatever it is given, and never raises."""
    x = np.zeros((3, 4), np.float32)
    odd = np.zeros(4 * 4 + 1, np.uint8)[1:].view(np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    fine = [None, x, x[1], x[:, :1].copy(), x[:1], x[:0], np.zeros((), np.float32), frozen, x[:, None]]
    assert _core.are_dense()
    assert _core.are_dense(*fine)
    for other in (x.T, x[:, ::2], odd, x.astype(">f4"), x.astype(np.float64), x.astype(int), x.tolist(), "x", 3.0, [x]):
        assert not _core.are_dense(other)
        assert not _core.are_dense(*fine, other, x)


def test_arithmetic_answers_only_for_what_it_knows():
    x = np.float32([[1, 2], [3, 4]])
    for sign, function in (("+", np.add), ("-", np.subtract), ("*", np.multiply), ("/", np.divide)):
        assert np.array_equal(_core.arithmetic(sign, x, x.copy()), function(x, x))
        assert np.array_equal(_core.arithmetic(sign, x, np.float32(3)), function(x, np.float32(3)))
        assert np.array_equal(_core.arithmetic(sign, 2.0, x), function(np.float32(2), x))
        assert _core.arithmetic(sign, np.float32(6), np.array(3, np.float32)) == function(6, 3)
        for other in (x.T, x[0], x.astype(np.float64), x.astype(np.int64), x[:, ::2], np.zeros((64, 65), np.float32)):
            assert _core.arithmetic(sign, x, other) is None
            assert _core.arithmetic(sign, other, x) is None
    for wrong in ("x", None, [1.0]):
        with pytest.raises((TypeError, RuntimeError)):
            _core.arithmetic("+", x, wrong)


def test_broadcast_to_is_numpys():
    x = np.arange(6.0).reshape(2, 1, 3)[..., ::2]
    for shape in ((2, 1, 2), (4, 2, 5, 2), (2, 0, 2), (1, 1, 2), (2, 2), (), (3, 1, 2), (2, -1, 2)):
        try:
            want = np.broadcast_to(x, shape)
        except ValueError:
            assert _core.broadcast_to(x, shape) is None
            continue
        got = _core.broadcast_to(x, shape)
        assert np.array_equal(got, want)
        assert not got.flags.writeable
        assert got.size == 0 or np.shares_memory(got, x)
    for size in SIZES:
        try:
            got = _core.broadcast_to(np.ones(1, np.float32), (size, size))
        except ERRORS:
            continue
        assert got is None or got.shape == (size, size)


def test_digest_is_of_the_bits_in_memory_order():
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert _core.digest(x) == _core.digest(x.copy()) == _core.digest(np.asfortranarray(x.T).T)
    for place in np.ndindex(x.shape):
        y = x.copy()
        y[place] = -y[place]
        assert _core.digest(y) != _core.digest(x)
    assert _core.digest(np.zeros((0, 3), np.float32)) == b""
    for wrong in (x[:, ::2], x.astype(np.float16), "x", [1.0], None):
        with pytest.raises((TypeError, ValueError)):
            _core.digest(wrong)

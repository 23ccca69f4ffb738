"""NumPy's functions on Tensors: the package's op with its gradient, an array where nothing can be lost, or a TypeError
that says what to write. Over all functions that NumPy has."""

import inspect

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops
from fastnn.numpy_protocol import FUNCTIONS, LOOKING_UFUNCS, LOOKS, UFUNCS

ALL_UFUNCS = {name: f for name, f in vars(np).items() if isinstance(f, np.ufunc)}
ALL_FUNCTIONS = {
    name: f
    for module in (np, np.linalg, np.fft)
    for name, f in vars(module).items()
    if hasattr(f, "__wrapped__") and not name.startswith("_") and inspect.isroutine(f) and name != "printoptions"
}


def _close(ours, theirs):
    np.testing.assert_allclose(ours.numpy() if isinstance(ours, fnn.Tensor) else ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL_UFUNCS)
def test_a_ufunc_keeps_the_gradient_or_says_so(name):
    ufunc = ALL_UFUNCS[name]
    if ufunc.signature and name != "matmul":
        arguments = [np.ones((2, 2), np.float32) for _ in range(ufunc.nin)]
    else:
        arguments = [np.full((2, 2), 0.5, np.float32) for _ in range(ufunc.nin)]
    p = fnn.Parameter(arguments[0])
    try:
        got = ufunc(p, *arguments[1:])
    except TypeError as error:
        assert "gradient" in str(error) or "not supported" in str(error)  # noqa: PT017
        return
    _close(got, ufunc(*arguments))
    if ufunc in LOOKING_UFUNCS:
        assert got.dtype == bool
        return
    assert ufunc in UFUNCS
    if got is not p:
        got.sum().backward()
        assert p.grad is not None
        assert np.any(p.grad)


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_a_function_keeps_the_gradient_or_says_so(name):
    function = ALL_FUNCTIONS[name]
    x = np.float32([[1.0, 2.0], [3.0, 5.0]])
    p = fnn.Parameter(x.copy())
    more = {"broadcast_to": ((3, 2, 2),), "expand_dims": (0,), "reshape": ((4,),), "clip": (1.5, 4.0)}
    more |= {"swapaxes": (0, 1), "where": (1.0, 2.0)}
    calls = [(p, *more.get(name, ())), ([p, p],), (p, 1, 6)] + [(p, 0)] * (name != "clip")
    if name in ("allclose", "append", "array_equal", "cross", "dot", "inner", "isclose", "kron", "outer", "vdot"):
        calls.append((x, p))
    if name == "where":
        calls.append((x > 2, p, 0.0))
    for arguments in calls:
        plain = [[x, x] if isinstance(a, list) else x if a is p else a for a in arguments]
        try:
            got = function(*arguments)
        except Exception as error:
            if not isinstance(error, TypeError) or not ("Tensor" in str(error) or str(error).startswith(f"{name}:")):
                with pytest.raises(Exception):  # noqa: B017, PT011  (NumPy refuses these arguments for arrays as well)
                    function(*plain)
            continue
        if isinstance(got, fnn.Tensor):
            assert function in FUNCTIONS
            _close(got, function(*plain))
            got.sum().backward()
            assert p.grad is not None
            p.grad = None
        else:
            assert function in LOOKS or (function is np.where and len(arguments) == 1), arguments


@pytest.mark.parametrize("function", sorted(LOOKS, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_what_only_looks_gives_what_it_gives_for_arrays(function):
    x = np.float32([[1.0, 0.0], [3.0, 3.0]])
    more = [x] if function in (np.allclose, np.array_equal, np.isclose) else [2] if function is np.full_like else []
    if function is np.empty_like:
        return
    if function in (np.may_share_memory, np.shares_memory):
        p = fnn.Parameter(x)
        assert function(p, x)
        return
    assert np.array_equal(function(fnn.Parameter(x), *more), function(x, *more))


def test_under_no_grad_and_for_constants_arrays_come_out():
    x, t, p = np.float32([0.5, 0.25]), fnn.Tensor([0.5, 0.25]), fnn.Parameter([0.5, 0.25])
    assert type(np.sin(t)) is np.ndarray
    with fnn.no_grad():
        _close(np.sin(p), np.sin(x))
        _close(np.asarray(p), x)
        _close(np.dot(p, p), x @ x)
        _close(np.mean(p, dtype=np.float64), x.mean())
    assert np.add.reduce(t) == 0.75


def test_buffers_and_lists():
    """buffer[i] = t, as a seq2seq port has it; lists of Tensors where one array is expected."""
    p, buffer = fnn.Parameter([1.0, 2.0]), np.zeros((2, 2), np.float32)
    with pytest.raises(TypeError, match=r"t\.detach\(\)"):
        buffer[0] = p
    assert not buffer.any()
    buffer[0] = p.detach()
    for call in (
        lambda: nn.Linear(2, 3)([p, p]),
        lambda: fnn.Tensor([p, p]),
        lambda: fnn.Tensor(p),
        lambda: fnn.Parameter(p),
        lambda: ops.where(np.array([True, False]), [p.sum(), p.sum()], p),
        lambda: fnn.losses.mse_loss(p, [p.sum(), p.sum()]),
        lambda: np.array([p, p]),
        lambda: np.mean([p.sum(), p.sum()]),
    ):
        with pytest.raises(TypeError, match="stack"):
            call()


@pytest.mark.parametrize("name", [n for n in ops.__all__ if n not in ("cat", "concatenate", "stack")])
def test_a_list_of_tensors_is_never_a_constant(name):
    """Every op, in every place: a list of Tensors that require gradients is an error, or passes a gradient on."""
    op = getattr(ops, name)
    p = fnn.Parameter([1.0, 2.0])
    places = [q for q in inspect.signature(op).parameters.values() if q.kind is q.POSITIONAL_OR_KEYWORD]
    for i in range(len(places)):
        arguments = [np.ones((2, 2), np.float32)] * i + [[p, p]] + [np.ones((2, 2), np.float32)] * (len(places) - i - 1)
        p.grad = None
        try:
            got = op(*arguments)
        except (TypeError, ValueError, IndexError, RuntimeError):
            continue
        outputs = [o for o in (got if isinstance(got, tuple) else (got,)) if isinstance(o, fnn.Tensor)]
        assert outputs, i
        outputs[0].sum().backward()
        assert p.grad is not None, i


def test_out_of_an_array_and_of_a_tensor():
    p, t, out = fnn.Parameter([1.0, 2.0]), fnn.Tensor([1.0, 2.0]), np.zeros(2, np.float32)
    with pytest.raises(TypeError, match="gradient"):
        np.add(p, 1, out=out)
    np.add(t, 1, out=out)
    assert np.array_equal(out, [2, 3])
    out += t
    assert np.array_equal(out, [3, 5])
    with pytest.raises(TypeError, match="gradient"):
        out += p
    with pytest.raises(TypeError, match="out is a Tensor"):
        np.add(out, 1, out=t)


def test_numpys_own_meaning_of_axis_and_ddof():
    x = np.float32([[1.0, 5.0, 2.0], [7.0, 3.0, 4.0]])
    p = fnn.Parameter(x)
    for name in ("max", "min", "mean", "std", "sum", "var"):
        for axis in (None, 0, 1, (0, 1)):
            for keepdims in (False, True):
                _close(
                    getattr(np, name)(p, axis=axis, keepdims=keepdims), getattr(x, name)(axis=axis, keepdims=keepdims)
                )
    _close(np.var(p, axis=1, ddof=1), x.var(1, ddof=1))

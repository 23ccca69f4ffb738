import inspect

import numpy as np
import pytest
from check import check_op
from reference.activation import FUNCTIONS, INF, NAN

import fastnn as fnn
from fastnn import _core, nn, ops
from fastnn.nn import activation as layer_table
from fastnn.ops import activation

CASES = {name: (getattr(ops, row.name), row.reference, row.options) for name, row in FUNCTIONS.items()}


def away_from_zero(rng, shape):
    x = rng.standard_normal(shape) * 3
    return x + np.copysign(0.01, x)


@pytest.mark.parametrize(("tested", "expected", "options"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 7, 3, 4)], ids=str)
def test_activation(isa, rng, tested, expected, options, shape):
    if shape == ():
        check_op(tested, expected, 1.25, **options)
    else:
        check_op(tested, expected, away_from_zero(rng, shape) if np.prod(shape) > 1 else [0.75], **options)


@pytest.mark.parametrize(("tested", "expected", "options"), CASES.values(), ids=CASES)
def test_several_tasks(isa, rng, tested, expected, options):
    size = 35_001 if tested is ops.gelu else 140_001  # its reference is slow; those that move memory have longer tasks
    check_op(tested, expected, away_from_zero(rng, size), probes=4, **options)


def test_larger_than_caches(isa, rng):
    """32 MB and more are stored past the caches."""
    x, dy = (rng.standard_normal(2**23 + 37).astype(np.float32) for _ in "xd")
    leaf = fnn.Tensor(x, requires_grad=True)
    with fnn.threads(3):
        y = ops.relu(leaf)
        y.backward(dy)
    assert np.array_equal(y.numpy(), np.maximum(x, 0))
    assert np.array_equal(leaf.grad, np.where(x > 0, dy, 0))


def values_and_slopes(row, x):
    x = fnn.Tensor(x, requires_grad=True)
    y = getattr(ops, row.name)(x, **row.options)
    y.backward(np.ones(y.shape))
    return y.numpy(), x.grad


@pytest.mark.parametrize("row", FUNCTIONS.values(), ids=FUNCTIONS)
def test_non_finite(isa, row):
    found = values_and_slopes(row, np.array([NAN, INF, -INF, -0.0, 0.0] * 9))  # vector body and tail
    for ours, want in zip(found, (row.values, row.slopes), strict=True):
        assert np.array_equal(ours, np.tile(np.float32(want), 9), equal_nan=True)


@pytest.mark.parametrize("row", [row for row in FUNCTIONS.values() if row.kinks], ids=lambda row: row.name)
def test_kinks(isa, row):
    found = values_and_slopes(row, np.array([*row.kinks] * 37))
    for ours, want in zip(found, zip(*row.kinks.values(), strict=True), strict=True):
        assert np.array_equal(ours, np.tile(np.float32(want), 37))


def test_every_function_has_a_row():
    """But for those that NumPy computes, which test_pointwise.py looks at."""
    assert {row.name for row in FUNCTIONS.values()} == set(activation.__all__)
    layers = {row.layer for row in FUNCTIONS.values()}
    assert layers == {name for name in layer_table.__all__ if "Softmax" not in name}


@pytest.mark.parametrize(("tested", "expected", "options"), CASES.values(), ids=CASES)
def test_no_false_overflow(isa, tested, expected, options):
    magnitudes = np.array([1e4, 1e19, 1e30, 3.4e38, 1e-20, 1e-40, 1.4e-45, 88, 104], np.float32)
    x = fnn.Tensor(np.concatenate([magnitudes, -magnitudes]), requires_grad=True)
    y = tested(x, **options)
    y.backward(np.ones(y.shape))
    want = expected(x.numpy().astype(np.float64), **options)
    assert np.allclose(y.numpy(), want, rtol=1e-5, atol=1e-42)
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize(("tested", "expected", "options"), CASES.values(), ids=CASES)
def test_absolute_error(isa, tested, expected, options):
    """Within 4 eps max(1, |x|), gradients 32 eps: the tails of gelu and silu, where relative error means little."""
    x = fnn.Tensor(np.linspace(-30, 30, 50_000, dtype=np.float32), requires_grad=True)  # without 0
    y = tested(x, **options)
    y.backward(np.ones(y.shape))
    exact, step, eps = x.numpy().astype(np.float64), 1e-5, 2.0**-23
    assert np.all(np.abs(y.numpy() - expected(exact, **options)) <= 4 * eps * np.maximum(1, np.abs(exact)))
    slope = (expected(exact + step, **options) - expected(exact - step, **options)) / (2 * step)
    assert np.all(np.abs(x.grad - slope) <= 32 * eps)


LAYOUTS = {
    "channels_last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "fortran": np.asfortranarray,
    "sliced": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "reversed": lambda x: x[:, ::-1].copy()[:, ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "read_only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(isa, rng, layout):
    x = LAYOUTS[layout](rng.standard_normal((2, 5, 3, 4)).astype(np.float32))
    dy = rng.standard_normal(x.shape).astype(np.float32)
    if layout in ("channels_last", "fortran"):
        assert ops.relu(x).strides == x.strides
    for gradient in (dy, LAYOUTS["channels_last"](dy)):
        tensor = fnn.Tensor(x, requires_grad=True)
        y = ops.relu(tensor)
        y.backward(gradient)
        assert np.array_equal(y.numpy(), np.maximum(x, 0))
        assert np.array_equal(tensor.grad, np.where(x > 0, dy, 0))


def test_inputs(isa):
    assert ops.relu(np.array([-1, 2])).tolist() == [0, 2]
    assert ops.relu(np.zeros((0, 3, 4))).shape == (0, 3, 4)
    x = fnn.Tensor(np.zeros((3, 0)), requires_grad=True)
    ops.gelu(x).backward(np.zeros((3, 0)))
    assert x.grad.shape == (3, 0)


@pytest.mark.parametrize("row", FUNCTIONS.values(), ids=FUNCTIONS)
def test_layers(rng, row):
    x, op, layer = rng.standard_normal((4, 5)).astype(np.float32), getattr(ops, row.name), getattr(nn, row.layer)
    assert np.array_equal(layer()(fnn.Tensor(x)), op(x))
    assert np.array_equal(layer(**row.options)(fnn.Tensor(x)), op(x, **row.options))
    assert np.array_equal(layer(*row.options.values())(fnn.Tensor(x)), op(x, *row.options.values()))
    assert getattr(nn.functional, row.name) is op


@pytest.mark.parametrize("row", FUNCTIONS.values(), ids=FUNCTIONS)
def test_layers_in_files(row, tmp_path):
    for options in ({}, row.options):
        model = nn.Sequential(nn.Linear(3, 4), getattr(nn, row.layer)(**options))
        fnn.save(model, tmp_path / "model")
        again = fnn.load(tmp_path / "model")
        assert repr(again) == repr(model)
        assert np.array_equal(again.predict(np.ones((2, 3))), model.predict(np.ones((2, 3))))


@pytest.mark.parametrize("row", FUNCTIONS.values(), ids=FUNCTIONS)
def test_against_torch(row):
    """Values and gradients, also at kinks, in 33 copies: what torch's loops over vectors give."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, row.name)
    points = np.array([*np.linspace(-8, 8, 81), *row.kinks, 0.0, -0.0, 30, -30, 1e-5, -1e-5], np.float32).repeat(33)
    for options in ({}, row.options):
        x, b = fnn.Tensor(points, requires_grad=True), torch.tensor(points, requires_grad=True)
        y, want = getattr(ops, row.name)(x, **options), theirs(b, **options)
        y.backward(np.full(points.shape, 0.75))
        want.backward(torch.full(points.shape, 0.75))
        np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(x.grad, b.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted({row.layer for row in FUNCTIONS.values()}))
def test_constructors_are_torchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = (inspect.signature(getattr(n, name)).parameters.values() for n in (nn, torch.nn))
    assert [(p.name, p.default) for p in ours] == [
        (p.name, p.default) for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD
    ]


def test_methods(rng):
    x = fnn.Tensor(rng.standard_normal((4, 5)))
    for name in ("relu", "sigmoid", "tanh"):
        assert np.array_equal(getattr(x, name)(), getattr(ops, name)(x))
    for name in ("softmax", "log_softmax"):
        assert np.array_equal(getattr(x, name)(0), getattr(ops, name)(x, 0))


def test_errors():
    with pytest.raises(TypeError, match="relu: x has dtype complex128"):
        ops.relu(np.zeros(3, complex))
    with pytest.raises(ValueError, match="gelu: approximate is 'erf'"):
        nn.GELU("erf")
    with pytest.raises(ValueError, match="no function 'cosine'"):
        _core.activation_forward("cosine", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="log has no backward"):
        _core.activation_backward("log", np.zeros(3, np.float32), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="leaky_relu has 1 options, not 0"):
        _core.activation_forward("leaky_relu", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="relu has 0 options, not 3"):
        _core.activation_backward("relu", np.zeros(3, np.float32), np.zeros(3, np.float32), (1.0, 2.0, 3.0))
    with pytest.raises(TypeError, match="x must be dense"):
        _core.activation_forward("relu", np.zeros((4, 4), np.float32)[:, ::2])
    with pytest.raises(ValueError, match=r"dy has shape \(2,\), expected \(3,\)"):
        _core.activation_backward("relu", np.zeros(3, np.float32), np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="dy must lie in memory as x does"):
        _core.activation_backward("relu", np.zeros((3, 2), np.float32), np.zeros((2, 3), np.float32).T)

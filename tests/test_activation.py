import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import _core, nn, ops

CASES = {
    "relu": (ops.relu, reference.relu, {}),
    "leaky_relu": (ops.leaky_relu, reference.leaky_relu, {"negative_slope": 0.2}),
    "leaky_relu_negative": (ops.leaky_relu, reference.leaky_relu, {"negative_slope": -0.5}),
    "gelu": (ops.gelu, reference.gelu, {}),
    "gelu_tanh": (ops.gelu, reference.gelu, {"approximate": "tanh"}),
    "silu": (ops.silu, reference.silu, {}),
    "sigmoid": (ops.sigmoid, reference.sigmoid, {}),
    "tanh": (ops.tanh, reference.tanh, {}),
}
INF, NAN = np.inf, np.nan

# f and f' at NaN, inf, -inf, -0, 0: the values of torch 2.13 except where it makes NaN of gelu(inf).
NON_FINITE = {
    "relu": ([NAN, INF, 0, 0, 0], [1, 1, 0, 0, 0]),
    "leaky_relu": ([NAN, INF, -INF, 0, 0], [0.2, 1, 0.2, 0.2, 0.2]),
    "gelu": ([NAN, INF, NAN, 0, 0], [NAN, NAN, NAN, 0.5, 0.5]),
    "gelu_tanh": ([NAN, INF, NAN, 0, 0], [NAN, 1, 0, 0.5, 0.5]),
    "silu": ([NAN, INF, NAN, 0, 0], [NAN, NAN, NAN, 0.5, 0.5]),
    "sigmoid": ([NAN, 1, 0, 0.5, 0.5], [NAN, 0, 0, 0.25, 0.25]),
    "tanh": ([NAN, 1, -1, 0, 0], [NAN, 0, 0, 1, 1]),
}


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
    size = 140_001 if tested in (ops.relu, ops.leaky_relu) else 35_001
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


@pytest.mark.parametrize(("name", "values"), NON_FINITE.items(), ids=NON_FINITE)
def test_non_finite(isa, name, values):
    tested, _, options = CASES[name]
    x = fnn.Tensor(np.array([NAN, INF, -INF, -0.0, 0.0] * 9), requires_grad=True)  # vector body and tail
    y = tested(x, **options)
    y.backward(np.ones(y.shape))
    for ours, want in zip((y.numpy(), x.grad), values, strict=True):
        assert np.array_equal(ours, np.tile(np.float32(want), 9), equal_nan=True)


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


def test_layers(rng):
    x = rng.standard_normal((4, 5)).astype(np.float32)
    for layer, expected in (
        (nn.ReLU(), ops.relu(x)),
        (nn.LeakyReLU(), ops.leaky_relu(x, 0.01)),
        (nn.LeakyReLU(0.3), ops.leaky_relu(x, 0.3)),
        (nn.GELU(), ops.gelu(x)),
        (nn.GELU(approximate="tanh"), ops.gelu(x, "tanh")),
        (nn.SiLU(), ops.silu(x)),
        (nn.Sigmoid(), ops.sigmoid(x)),
        (nn.Tanh(), ops.tanh(x)),
    ):
        assert np.array_equal(layer(fnn.Tensor(x)), expected)


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
    with pytest.raises(TypeError, match="x must be dense"):
        _core.activation_forward("relu", np.zeros((4, 4), np.float32)[:, ::2])
    with pytest.raises(ValueError, match=r"dy has shape \(2,\), expected \(3,\)"):
        _core.activation_backward("relu", np.zeros(3, np.float32), np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="dy must lie in memory as x does"):
        _core.activation_backward("relu", np.zeros((3, 2), np.float32), np.zeros((2, 3), np.float32).T)

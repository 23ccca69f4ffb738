import numpy as np
import pytest
from check import check_op

import fastnn as fnn
from fastnn import ops

UNARY = {"neg": np.negative, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs}


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_one_operand(rng, name, shape):
    sign = rng.choice([-1, 1], shape) if name in ("neg", "exp", "abs") else 1
    x = np.asarray(rng.uniform(0.3, 2, shape) * sign)
    check_op(getattr(ops, name), UNARY[name], x, threads=(1, 2))
    method = fnn.Tensor(x).__neg__ if name == "neg" else getattr(fnn.Tensor(x), name)
    assert np.array_equal(method().numpy(), getattr(ops, name)(x))


@pytest.mark.parametrize("bounds", [(-0.5, 0.75), (None, 0.3), (0.1, None), (-1, 1)], ids=str)
def test_clamp(rng, bounds):
    x = rng.uniform(-2, 2, (5, 7))
    check_op(ops.clamp, lambda x, min, max: np.clip(x, min, max), x, differentiable=[0], min=bounds[0], max=bounds[1])
    assert np.array_equal(fnn.Tensor(x).clip(*bounds).numpy(), fnn.Tensor(x).clamp(*bounds).numpy())


def test_clamp_at_the_bounds():
    x = fnn.Tensor([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan], requires_grad=True)
    y = x.clamp(0, 1)
    y.backward(np.ones(6))
    assert np.array_equal(y.numpy(), [0, 0, 0.5, 1, 1, np.nan], equal_nan=True)
    assert np.array_equal(x.grad, [0, 1, 1, 1, 0, 0])


def test_special_values():
    assert np.array_equal(ops.exp([-np.inf, 1000]), [0, np.inf])
    assert np.array_equal(ops.log([0, np.inf]), [-np.inf, np.inf])
    assert np.isnan(ops.sqrt([-1])).all()
    x = fnn.Tensor([0.0, -2.0], requires_grad=True)
    x.abs().sum().backward()
    assert np.array_equal(x.grad, [0, -1])


def test_errors():
    with pytest.raises(ValueError, match="clamp: min and max are both None"):
        ops.clamp([1.0])
    with pytest.raises(TypeError, match="clamp: max has dtype <U1"):
        ops.clamp([1.0], max="a")
    with pytest.raises(TypeError, match="exp: x has dtype <U1"):
        ops.exp("a")

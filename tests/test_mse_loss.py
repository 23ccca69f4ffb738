import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (1,), (15,), (16, 3), (2, 3, 4, 5)], ids=str)
def test_mse_loss(isa, rng, shape, reduction):
    check_op(
        ops.mse_loss, reference.mse_loss, rng.standard_normal(shape), rng.standard_normal(shape), reduction=reduction
    )


def test_several_tasks(isa, rng):
    check_op(ops.mse_loss, reference.mse_loss, rng.standard_normal(40_001), rng.standard_normal(40_001), probes=4)


def test_no_false_overflow(isa):
    x = np.full(10**6, 3e18, np.float32)
    x[0] = 1e22  # its square alone is beyond float32, the mean is not
    assert np.isclose(ops.mse_loss(x, np.zeros_like(x)), np.square(x.astype(np.float64)).mean())


def test_non_finite(isa):
    x = fnn.Tensor([np.nan, np.inf, 1.0], requires_grad=True)
    y = ops.mse_loss(x, np.zeros(3), "none")
    y.backward(np.ones(3))
    assert np.array_equal(y.numpy(), np.float32([np.nan, np.inf, 1]), equal_nan=True)
    assert np.array_equal(x.grad, np.float32([np.nan, np.inf, 2]), equal_nan=True)


def test_strides_and_empty(rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)
    assert ops.mse_loss(x[:, ::2], x.T[::2, :].T) == 0
    assert np.isnan(ops.mse_loss(np.zeros(0), np.zeros(0)))
    assert ops.mse_loss(np.zeros(0), np.zeros(0), "sum") == 0
    assert np.array_equal(nn.MSELoss("sum")(fnn.Tensor(x), np.zeros_like(x)), ops.mse_loss(x, np.zeros_like(x), "sum"))


def test_errors():
    with pytest.raises(ValueError, match=r"mse_loss: input has shape \(3, 1\) but target has \(3,\)"):
        ops.mse_loss(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match="mse_loss: reduction is 'average'"):
        ops.mse_loss(np.zeros(3), np.zeros(3), "average")
    with pytest.raises(ValueError, match="MSELoss: reduction is None"):
        nn.MSELoss(None)

"""nn.utils.clip_grad_norm_ and the sum of squares under it."""

import numpy as np
import pytest
from test_optim import parameters, set_gradients

import fastnn as fnn
from fastnn import _core
from fastnn.nn.utils import clip_grad_norm_


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1 << 15, (1 << 17) + 5])
def test_sum_squares(isa, rng, size):
    x = rng.integers(-9, 10, size).astype(np.float32)
    for threads in (1, 2, 3):
        with fnn.threads(threads):
            assert _core.sum_squares(x) == (x.astype(np.int64) ** 2).sum()
    assert _core.sum_squares(np.full(3, 1e30, np.float32)) == pytest.approx(3e60)


def test_clip_grad_norm(rng):
    params = parameters(rng, [(3,), (2, 2), (4,)])
    grads = [rng.standard_normal(p.shape).astype(np.float32) for p in params[:2]]
    norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in grads))
    set_gradients(params, [*grads, None])
    assert clip_grad_norm_(params, 1e9) == pytest.approx(norm)
    assert all(np.array_equal(p.grad, g) for p, g in zip(params[:2], grads, strict=True))
    assert clip_grad_norm_(params, 0.25) == pytest.approx(norm)
    assert clip_grad_norm_(params, 0.25) == pytest.approx(0.25, rel=1e-6)
    with pytest.raises(ValueError, match="max_norm is -1"):
        clip_grad_norm_(params, -1)

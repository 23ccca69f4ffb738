"""Against torch itself, where it is installed: same options, same weights, and its state loads."""

import numpy as np
import pytest
from reference.optimizer import OPTIMIZERS

import fastnn as fnn

torch = pytest.importorskip("torch")

SHAPES = [(5, 4), (5,), (3, 2, 3)]
CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.7, 0.9), "eps": 1e-4, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    *[(kind, options) for kind, _, options in OPTIMIZERS.values()],
]


def step(ours, theirs, a, b, rng):
    for p, q in zip(ours, theirs, strict=True):
        p.grad = rng.standard_normal(p.shape).astype(np.float32)
        q.grad = torch.from_numpy(p.grad.numpy().copy())
    a.step()
    b.step()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_weights(rng, name, options):
    ours = [fnn.Parameter(rng.standard_normal(shape)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.from_numpy(p.numpy().copy())) for p in ours]
    a, b = getattr(fnn.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(20):
        step(ours, theirs, a, b, rng)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=2e-5, atol=2e-6)
    again = getattr(fnn.optim, name)(ours)
    again.load_state_dict(b.state_dict())
    for _ in range(5):
        step(ours, theirs, again, b, rng)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=2e-5, atol=2e-6)


def test_clip_grad_norm(rng):
    p = fnn.Parameter(np.zeros((3, 4)))
    q = torch.nn.Parameter(torch.zeros(3, 4))
    p.grad = rng.standard_normal((3, 4)).astype(np.float32)
    q.grad = torch.from_numpy(p.grad.numpy().copy())
    assert fnn.nn.utils.clip_grad_norm_([p], 0.5) == pytest.approx(float(torch.nn.utils.clip_grad_norm_([q], 0.5)))
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-5)

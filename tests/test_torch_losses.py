"""Cross entropy against torch, whose weights, ignored targets, smoothing and means are the specification."""

import itertools

import numpy as np
import pytest

import fastnn as fnn
from fastnn import ops

torch = pytest.importorskip("torch")
F = torch.nn.functional


def compare(ours, theirs, x, **options):
    """Loss and gradient of the logits, under a gradient of the loss that is not 1."""
    a, b = fnn.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, want = ours(a, **options), theirs(b, **options)
    assert y.shape == tuple(want.shape)
    dy = np.linspace(0.5, 2, want.numel(), dtype=np.float32).reshape(want.shape)
    y.backward(dy)
    want.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (7, 40), (2, 5, 3, 4), (5,)], ids=str)
@pytest.mark.parametrize("kind", ["classes", "some_ignored", "all_ignored", "probabilities"])
def test_cross_entropy(rng, shape, kind):
    axis = min(1, len(shape) - 1)
    x, outer = rng.standard_normal(shape).astype(np.float32), shape[:axis] + shape[axis + 1 :]
    if kind == "probabilities":
        target = F.softmax(torch.tensor(rng.standard_normal(shape).astype(np.float32)), axis).numpy()
    else:
        target = np.asarray(rng.integers(0, shape[axis], outer))
        share = {"classes": 0, "some_ignored": 0.4, "all_ignored": 1}[kind]
        target = np.where(rng.random(outer) < share, -100, target)
    for reduction, smoothing, weighted in itertools.product(("mean", "sum", "none"), (0.0, 0.15), (False, True)):
        weight = rng.uniform(0.3, 3, shape[axis]).astype(np.float32) if weighted else None
        compare(
            lambda a, w=weight, **o: ops.cross_entropy(a, target, w, **o),
            lambda b, w=weight, **o: F.cross_entropy(
                b, torch.tensor(target), None if w is None else torch.tensor(w), **o
            ),
            x,
            reduction=reduction,
            label_smoothing=smoothing,
        )

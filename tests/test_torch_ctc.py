"""CTC against torch, through log_softmax: there the gradients of both are the same (see ops.ctc_loss)."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops

torch = pytest.importorskip("torch")
F = torch.nn.functional


def compare(x, targets, frames, lengths, **options):
    """Loss and gradient of the logits, under a gradient of the loss that is not 1."""
    a = fnn.Tensor(x.astype(np.float32), requires_grad=True)
    b = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = ops.ctc_loss(ops.log_softmax(a, -1), targets, frames, lengths, **options)
    want = F.ctc_loss(F.log_softmax(b, -1), *(torch.tensor(i) for i in (targets, frames, lengths)), **options)
    assert y.shape == tuple(want.shape)
    dy = np.linspace(0.5, 2, want.numel(), dtype=np.float32).reshape(want.shape)
    y.backward(dy)
    want.backward(torch.tensor(dy, dtype=torch.float64))
    np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["padded", "joined", "one"])
@pytest.mark.parametrize(("t", "classes", "longest"), [(1, 2, 1), (12, 5, 4), (12, 3, 12), (90, 30, 40)])
def test_ctc_loss(rng, t, classes, longest, kind, reduction, zero_infinity):
    """Some samples have no alignment, some no labels."""
    blank = classes - 1
    n, x = 7, 2 * rng.standard_normal((t, 7, classes))
    targets = rng.integers(0, blank, (n, longest))
    frames, lengths = rng.integers(max(1, t // 2), t + 1, n), rng.integers(0, longest + 1, n)
    lengths[0] = 0
    options = {"reduction": reduction, "zero_infinity": zero_infinity, "blank": blank}
    if kind == "one":
        for i in range(n):
            compare(x[:, i], targets[i, : lengths[i]], frames[i], lengths[i], **options)
        return
    if kind == "joined":
        targets = np.concatenate([row[:length] for row, length in zip(targets, lengths, strict=True)])
        frames[:] = t  # what torch asks for
    compare(x, targets, frames, lengths, **options)


def test_no_frames():
    for lengths in ([0, 1], [1, 0]):
        compare(np.zeros((3, 2, 4)), np.ones((2, 1), int), np.array([0, 0]), np.array(lengths), reduction="none")


def test_layer(rng):
    x, targets = rng.standard_normal((9, 2, 5)).astype(np.float32), np.array([[1, 2], [3, 3]])
    args = (targets, [9, 7], [2, 2])
    ours = nn.CTCLoss(reduction="sum")(ops.log_softmax(fnn.Tensor(x), -1), *args)
    theirs = torch.nn.CTCLoss(reduction="sum")(F.log_softmax(torch.tensor(x), -1), *(torch.tensor(i) for i in args))
    assert np.isclose(ours.item(), theirs.item(), rtol=1e-6)

"""The same numbers as torch, where it is installed: pooling geometries, NaN, batch normalization, embedding."""

import itertools

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops

torch = pytest.importorskip("torch")
F = torch.nn.functional


def both(x, ours, theirs, exact):
    """Outputs and gradients of x under the same cotangent agree."""
    tensor, peer = fnn.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, want = ours(tensor), theirs(peer)
    assert y.shape == tuple(want.shape)
    dy = np.random.default_rng(3).standard_normal(y.shape).astype(np.float32)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    tolerance = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(y.numpy(), want.detach().numpy(), **tolerance)
    np.testing.assert_allclose(tensor.grad, peer.grad.numpy(), rtol=1e-5, atol=2e-6)


GEOMETRIES = list(itertools.product([(2, 2), (3, 2), (5, 4)], [1, 2, 3], [0, 1], [False, True]))


@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil_mode"), GEOMETRIES)
def test_pools(rng, kernel, stride, padding, ceil_mode):
    for size in ((7, 8), (6, 9), (11, 10)):
        x = rng.standard_normal((2, 5, *size)).astype(np.float32)
        for dilation in (1, 2):
            if dilation * (kernel[0] - 1) < size[0]:
                args = (kernel, stride, padding, dilation, ceil_mode)
                both(x, lambda t, a=args: ops.maxpool2d(t, *a), lambda t, a=args: F.max_pool2d(t, *a), exact=True)
        for extra in ((True, None), (False, None), (True, 3)):
            args = (kernel, stride, padding, ceil_mode, *extra)
            both(x, lambda t, a=args: ops.avgpool2d(t, *a), lambda t, a=args: F.avg_pool2d(t, *a), exact=False)


def test_ties_and_nan(rng):
    x = rng.integers(-2, 3, (2, 4, 9, 10)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.1] = -np.inf
    for args in ((2, 2), (3, 2, 1), (3, 1, 1, 2)):
        both(x, lambda t, a=args: ops.maxpool2d(t, *a), lambda t, a=args: F.max_pool2d(t, *a), exact=True)


@pytest.mark.parametrize("size", [1, 3, (4, 7), (None, 2), (9, 13)], ids=str)
def test_adaptive(rng, size):
    x = rng.standard_normal((2, 5, 7, 10)).astype(np.float32)
    both(x, lambda t: ops.adaptive_avgpool2d(t, size), lambda t: F.adaptive_avg_pool2d(t, size), exact=False)


def test_one_dimension(rng):
    x = rng.standard_normal((2, 5, 17)).astype(np.float32)
    both(x, nn.MaxPool1d(3, 2, 1, 2), torch.nn.MaxPool1d(3, 2, 1, 2), exact=True)
    both(x, nn.AvgPool1d(4, 3, 2, True, False), torch.nn.AvgPool1d(4, 3, 2, True, False), exact=False)
    both(x, nn.AdaptiveAvgPool1d(4), torch.nn.AdaptiveAvgPool1d(4), exact=False)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 7), (3, 5, 4, 6)], ids=str)
def test_batchnorm(rng, shape, momentum):
    name = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    ours, theirs = getattr(nn, name)(5, momentum=momentum), getattr(torch.nn, name)(5, momentum=momentum)
    for training in (True, True, False):
        ours.training = theirs.training = training
        both(rng.standard_normal(shape).astype(np.float32), ours, theirs, exact=False)
        for buffer in ours.buffer_names:
            np.testing.assert_allclose(getattr(ours, buffer), getattr(theirs, buffer).numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours.bias.grad, theirs.bias.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_embedding(rng):
    weight = rng.standard_normal((7, 5)).astype(np.float32)
    indices = rng.integers(0, 7, (3, 8))
    both(
        weight,
        lambda t: ops.embedding(indices, t, padding_idx=-2),
        lambda t: F.embedding(torch.tensor(indices), t, padding_idx=-2),
        exact=True,
    )

"""What rewrite must leave as it is."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn


def _normed(model, rng, shape):
    """The model in eval mode, with running statistics and weights of batch norms that are not those of a new one."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            n = module.running_mean.size
            module.running_mean[...] = rng.standard_normal(n)
            module.running_var[...] = rng.uniform(0.5, 2, n)
            module.weight.data = rng.uniform(0.5, 2, n)
            module.bias.data = rng.standard_normal(n)
    return model.eval(), rng.standard_normal(shape).astype(np.float32)


class Residual(nn.Module):
    def __init__(self):
        self.c, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.b(self.c(x) + x)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), (2, 4, 6, 6)),
        (lambda: nn.Sequential(nn.Conv1d(4, 4, 3), nn.ReLU(), nn.BatchNorm1d(4)), (2, 4, 6)),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4)), (2, 4)),
        (
            lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)),
            (2, 4, 6, 6),
        ),
        (Residual, (2, 4, 6, 6)),
        (lambda: nn.Sequential(Residual(), nn.ReLU(), nn.BatchNorm2d(4)), (2, 4, 6, 6)),
    ],
)
def test_a_norm_goes_into_products_alone(layers, shape, rng):
    model, x = _normed(layers(), rng, shape)
    graph = fnn.trace(model, x)
    np.testing.assert_allclose(fnn.rewrite(graph)(x).numpy(), graph(x).numpy(), rtol=1e-4, atol=1e-5)


def test_what_float32_cannot_hold_is_not_folded(rng):
    model, x = _normed(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), rng, (2, 4))
    model[0].weight.data = model[0].weight.numpy() * np.float32(1e30)
    model[1].weight.data = np.full(4, 1e30)
    graph = fnn.trace(model, x)
    x = x * np.float32(1e-32)
    np.testing.assert_allclose(fnn.rewrite(graph)(x).numpy(), graph(x).numpy(), rtol=1e-4)
    assert np.isfinite(graph(x).numpy()).all()


def test_dropout_of_integers_gives_floats():
    graph = fnn.trace(nn.Dropout(0.5).eval(), fnn.tensor([1, 2, 3]))
    assert fnn.rewrite(graph)(np.array([1, 2, 3])).dtype == graph(np.array([1, 2, 3])).dtype == np.float32


def test_only_graphs():
    with pytest.raises(TypeError, match=r"rewrite: graph is a Linear, expected a Graph: write rewrite\(trace"):
        fnn.rewrite(nn.Linear(2, 3))

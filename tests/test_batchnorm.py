import numpy as np
import pytest
import reference
from check import check_op, rel_error

import fastnn as fnn
from fastnn import nn, ops

SHAPES = {
    "c1": (3, 1, 5, 7),
    "c5": (4, 5, 6, 5),
    "c16": (2, 16, 5, 5),
    "c17": (3, 17, 4, 4),
    "c33": (5, 33, 3, 2),
    "vectors": (40, 9),
    "wide_vectors": (20, 150),
    "sequences": (3, 6, 11),
    "two_values": (2, 3),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
def test_training(isa, rng, shape, affine):
    c = shape[1]
    x = rng.standard_normal(shape) * 3 + 1
    gain, shift = (rng.standard_normal(c), rng.standard_normal(c)) if affine else (None, None)
    # Two values per channel become +-1: the gradient of x is the small rest of a large one.
    rtol = 1e-5 if x.size // c > 2 else 1e-2
    wanted = [0, 3, 4] if affine else [0]
    check_op(
        ops.batchnorm, reference.batchnorm, x, None, None, gain, shift, training=True, differentiable=wanted, rtol=rtol
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_evaluation(isa, rng, shape):
    c = shape[1]
    mean, var, gain, shift = rng.standard_normal(c), rng.random(c) + 0.5, rng.standard_normal(c), rng.standard_normal(c)
    check_op(
        ops.batchnorm, reference.batchnorm, rng.standard_normal(shape), mean, var, gain, shift, differentiable=[0, 3, 4]
    )
    check_op(ops.batchnorm, reference.batchnorm, rng.standard_normal(shape), mean, var, differentiable=[0])


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("need", [(True, True, True), (True, False, False), (False, True, True)], ids=str)
def test_relu_gives_the_bits_of_relu_after_it(isa, rng, shape, training, need):
    c = shape[1]
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    gain, shift = (rng.standard_normal(c).astype(np.float32) for _ in range(2))
    x[0, -1] = np.nan
    gain[0], shift[0] = 0, -0.0
    fixed = (None, None) if training else (rng.random(c).astype(np.float32), rng.random(c).astype(np.float32) + 1)

    def bits(function):
        tensors = [fnn.Tensor(a, requires_grad=wanted) for a, wanted in zip((x, gain, shift), need, strict=True)]
        y = function(tensors[0], *fixed, *tensors[1:], training=training)
        y.backward(dy)
        found = [y.numpy(), *(t.grad.numpy() for t in tensors if t.grad is not None)]
        return [np.where(np.isnan(a), np.float32(np.nan), a).view(np.int32) for a in found]  # a NaN has any sign

    apart = bits(lambda *a, **o: ops.relu(ops.batchnorm(*a, **o)))
    joined = bits(lambda *a, **o: ops.batchnorm(*a, **o, relu=True))
    for one, other in zip(apart, joined, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_sequential_joins_it_with_relu(rng, training):
    class Louder(nn.ReLU):
        def forward(self, x):
            return super().forward(x) * 2

    def network(kind):
        return nn.Sequential(nn.BatchNorm2d(5), kind(), nn.BatchNorm2d(5), nn.BatchNorm2d(5), kind()).train(training)

    x = rng.standard_normal((3, 5, 4, 4)).astype(np.float32)
    joined, apart = network(nn.ReLU), network(nn.ReLU)
    want = x
    for layer in apart:
        want = layer(want)
    assert np.array_equal(joined(x), want)
    for one, other in zip(joined.state_dict().values(), apart.state_dict().values(), strict=True):
        assert np.array_equal(one, other)
    louder = network(Louder)
    want = x
    for layer in network(Louder):
        want = layer(want)
    assert np.array_equal(louder(x), want)  # a subclass may do anything


@pytest.mark.parametrize(
    "shape", [(64, 32, 28, 28), (3000, 1), (50000, 3), (70, 600), (9, 6, 50, 50), (131080, 64)], ids=str
)
@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centred", "far_mean"])
def test_many_chunks_keep_their_digits(isa, rng, shape, offset):
    """Statistics pooled from many chunks, also where the mean is 1e4 standard deviations, against float64."""
    x = (rng.standard_normal(shape) + offset).astype(np.float32)
    running = np.zeros(shape[1], np.float32), np.zeros(shape[1], np.float32)
    tensor = fnn.Tensor(x, requires_grad=True)
    y = ops.batchnorm(tensor, *running, training=True, momentum=1.0)
    axes = (0, *range(2, x.ndim))
    exact = x.astype(np.float64)
    assert rel_error(running[0], exact.mean(axis=axes)) < (1e-3 if offset == 0 else 1e-7)
    assert rel_error(running[1], exact.var(axis=axes, ddof=1)) < 3e-7
    assert rel_error(y.numpy(), reference.batchnorm(exact, None, None)) < 3e-7
    dy = rng.standard_normal(shape).astype(np.float32)
    y.backward(dy)
    assert rel_error(tensor.grad, input_gradient(exact, dy.astype(np.float64))) < 5e-7


def input_gradient(x, dy, eps=1e-5):
    """Ioffe and Szegedy 2015, section 3, with weight one."""
    axes = (0, *range(2, x.ndim))
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    normal = (x - x.mean(axis=axes, keepdims=True)) / std
    return (dy - dy.mean(axis=axes, keepdims=True) - normal * (dy * normal).mean(axis=axes, keepdims=True)) / std


def test_constant_channels(isa):
    x = fnn.Tensor(np.full((4, 18, 3, 3), 1e4 + 0.3, np.float32), requires_grad=True)
    y = ops.batchnorm(x, None, None, None, np.arange(18.0))
    assert np.array_equal(y.numpy(), np.broadcast_to(np.arange(18.0)[:, None, None], x.shape))
    y.backward(np.ones(x.shape))
    assert np.abs(x.grad).max() < 1e-4


def test_nan_stays_in_its_channel(isa, rng):
    x = rng.standard_normal((4, 19, 5, 5)).astype(np.float32)
    x[2, 7, 1, 1] = np.nan
    bad = np.isnan(ops.batchnorm(x, None, None))
    assert bad[:, 7].all()
    assert not np.delete(bad, 7, axis=1).any()
    one = np.isnan(ops.batchnorm(x, np.zeros(19), np.ones(19)))
    assert np.argwhere(one).tolist() == [[2, 7, 1, 1]]


def test_threads_give_the_same_bits(isa, rng):
    x, dy = rng.standard_normal((2, 16, 20, 24, 24)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        with fnn.threads(n):
            layer, tensor = nn.BatchNorm2d(20), fnn.Tensor(x, requires_grad=True)
            y = layer(tensor)
            y.backward(dy)
            results.append((y.numpy(), tensor.grad, layer.weight.grad, layer.bias.grad, layer.running_var))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


def test_evaluation_does_not_depend_on_the_batch(isa, rng):
    x = rng.standard_normal((9, 7, 11, 13)).astype(np.float32)
    mean, var = rng.standard_normal(7), rng.random(7)
    whole = ops.batchnorm(x, mean, var)
    for n in (1, 2, 4, 8):
        assert np.array_equal(ops.batchnorm(x[:n], mean, var), whole[:n])


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_running_statistics(rng, momentum):
    layer = nn.BatchNorm1d(3, momentum=momentum)
    assert set(layer.buffer_names) == {"running_mean", "running_var", "num_batches_tracked"}
    mean, var = np.zeros(3), np.ones(3)
    for step in range(1, 5):
        x = rng.standard_normal((20, 3)) * 2 + 5
        layer(x)
        share = 1 / step if momentum is None else momentum
        mean, var = mean + share * (x.mean(0) - mean), var + share * (x.var(0, ddof=1) - var)
        assert int(layer.num_batches_tracked) == step
        assert rel_error(layer.running_mean, mean) < 1e-6
        assert rel_error(layer.running_var, var) < 1e-6
    assert layer.running_mean.dtype == layer.running_var.dtype == np.float32
    assert layer.num_batches_tracked.dtype == np.int64
    assert layer.num_batches_tracked.shape == ()
    layer.training = False
    x = rng.standard_normal((20, 3))
    y = layer(x).numpy()
    assert rel_error(y, (x - mean) / np.sqrt(var + 1e-5)) < 1e-5
    assert int(layer.num_batches_tracked) == 4
    assert rel_error(layer.running_mean, mean) < 1e-6


def test_without_running_statistics(rng):
    layer = nn.BatchNorm2d(3, affine=False, track_running_stats=False)
    assert layer.weight is layer.bias is layer.running_mean is layer.running_var is layer.num_batches_tracked is None
    x = rng.standard_normal((4, 3, 5, 5))
    trained = layer(x)
    layer.training = False
    assert np.array_equal(layer(x), trained)


def test_empty():
    layer, x = nn.BatchNorm2d(3), fnn.Tensor(np.zeros((0, 3, 4, 4)), requires_grad=True)
    y = layer(x)
    assert y.shape == (0, 3, 4, 4)
    y.backward(np.zeros(y.shape))
    assert x.grad.shape == x.shape
    assert not layer.weight.grad.any()
    assert layer.running_mean.tolist() == [0, 0, 0]


def test_errors():
    with pytest.raises(ValueError, match=r"batchnorm: x \(1, 3, 1, 1\) has one value per channel"):
        nn.BatchNorm2d(3)(np.zeros((1, 3, 1, 1)))
    with pytest.raises(ValueError, match=r"BatchNorm2d: x has shape \(4, 3\), expected \(N, C, H, W\) with C = 3"):
        nn.BatchNorm2d(3)(np.zeros((4, 3)))
    with pytest.raises(
        ValueError, match=r"BatchNorm1d: x has shape \(4, 2\), expected \(N, C\) or \(N, C, L\) with C = 3"
    ):
        nn.BatchNorm1d(3)(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"batchnorm: weight has shape \(2,\) but x with 3 channels expects \(3,\)"):
        ops.batchnorm(np.zeros((4, 3)), None, None, np.ones(2))
    with pytest.raises(ValueError, match="must be given together"):
        ops.batchnorm(np.zeros((4, 3)), np.zeros(3), None)
    with pytest.raises(ValueError, match=r"batchnorm: x has shape \(4,\)"):
        ops.batchnorm(np.zeros(4), None, None)
    with pytest.raises(ValueError, match="num_features is 0"):
        nn.BatchNorm1d(0)

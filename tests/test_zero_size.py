"""Axes of size zero give the empty shape that arithmetic says, and zero gradients; an axis that must not be empty is a
ValueError. Nothing divides by zero."""

import numpy as np
import pytest
from cases import CASES, is_float, outputs_of

import fastnn as fnn
from fastnn import _core, ops

# The batch axis of every array of a case, or None where the array has none: an empty batch is always right.
BATCH = {
    "adaptive_avgpool1d": (0,),
    "adaptive_avgpool2d": (0,),
    "avgpool1d": (0,),
    "avgpool2d": (0,),
    "batchnorm": (0,),
    "batchnorm_fixed": (0,),
    "conv1d": (0,),
    "conv2d": (0,),
    "conv2d_depthwise": (0,),
    "conv_transpose1d": (0,),
    "conv_transpose2d": (0,),
    "conv_transpose2d_depthwise": (0,),
    "embedding": (0,),
    "linear": (0,),
    "maxpool1d": (0,),
    "maxpool2d": (0,),
    "maxpool2d_many_taps": (0,),
}


@pytest.mark.parametrize("name", BATCH)
def test_empty_batch(isa, rng, name):
    case = CASES[name]
    arrays = case.arrays(rng)
    full = outputs_of(case.op(*arrays, **case.options))
    for i, axis in enumerate(BATCH[name]):
        if axis is not None:
            arrays[i] = np.take(arrays[i], [], axis=axis)
    tensors = [fnn.Tensor(a, requires_grad=True) if is_float(a) else a for a in arrays]
    outputs = outputs_of(case.op(*tensors, **case.options))
    for output, one in zip(outputs, full, strict=True):
        axis = BATCH[name][0]
        assert output.shape == (*one.shape[:axis], 0, *one.shape[axis + 1 :])
        output.backward(np.zeros(output.shape))
    for tensor, array in zip(tensors, arrays, strict=True):
        if is_float(array):
            assert tensor.grad.shape == array.shape
            assert not tensor.grad.any()


@pytest.mark.parametrize("name", CASES)
def test_every_axis(rng, name):
    """Each axis of each array made empty in turn: an error in words or a result with finite values, never a crash."""
    case = CASES[name]
    arrays = case.arrays(rng)
    for i, array in enumerate(arrays):
        for axis in range(array.ndim):
            changed = [*arrays[:i], np.take(array, [], axis=axis), *arrays[i + 1 :]]
            tensors = [fnn.Tensor(a, requires_grad=True) if is_float(a) else a for a in changed]
            try:
                outputs = outputs_of(case.op(*tensors, **case.options))
            except (ValueError, IndexError) as error:
                assert str(error)  # noqa: PT017  (both outcomes are right)
                continue
            for output in outputs[:1]:
                output.backward(np.ones(output.shape))


@pytest.mark.parametrize(
    ("x", "w", "y"),
    [
        ((0, 3), (4, 3), (0, 4)),
        ((2, 0), (4, 0), (2, 4)),
        ((2, 3), (0, 3), (2, 0)),
        ((0, 0), (0, 0), (0, 0)),
        ((2, 0, 3), (4, 3), (2, 0, 4)),
        ((0,), (4, 0), (4,)),
    ],
    ids=str,
)
def test_linear(isa, x, w, y):
    tx, tw = fnn.Tensor(np.ones(x), requires_grad=True), fnn.Tensor(np.ones(w), requires_grad=True)
    out = ops.linear(tx, tw, np.full(w[0], 3.0))
    assert out.shape == y
    assert np.all(out.numpy() == 3 + x[-1])
    out.backward(np.ones(y))
    assert tx.grad.shape == x
    assert tw.grad.shape == w


@pytest.mark.parametrize(
    ("x", "w", "options", "y"),
    [
        ((2, 0, 5, 5), (4, 0, 3, 3), {}, (2, 4, 3, 3)),
        ((2, 3, 5, 5), (0, 3, 3, 3), {}, (2, 0, 3, 3)),
        ((2, 3, 0, 5), (4, 3, 3, 3), {"padding": 2}, (2, 4, 2, 7)),
        ((2, 3, 0, 0), (4, 3, 1, 1), {"padding": 1, "stride": 2}, (2, 4, 1, 1)),
        ((0, 0, 0, 0), (0, 0, 1, 1), {"padding": 1}, (0, 0, 2, 2)),
    ],
    ids=str,
)
def test_conv2d(isa, x, w, options, y):
    tx, tw = fnn.Tensor(np.ones(x), requires_grad=True), fnn.Tensor(np.ones(w), requires_grad=True)
    out = ops.conv2d(tx, tw, np.full(w[0], 3.0), **options)
    assert out.shape == y
    if 0 in x[1:]:
        assert np.all(out.numpy() == 3)
    out.backward(np.ones(y))
    assert tx.grad.shape == x
    assert tw.grad.shape == w
    if 0 in x:
        assert not tw.grad.any()


@pytest.mark.parametrize("axis", [2, 3])
def test_an_empty_window_is_an_error(axis):
    shape = [1, 1, 4, 4]
    shape[axis] = 0
    with pytest.raises(ValueError, match="does not fit"):
        ops.conv2d(np.ones((1, 1, 4, 4)), np.ones(shape))
    with pytest.raises(ValueError, match="does not fit"):
        ops.conv2d(np.ones(shape), np.ones((1, 1, 1, 1)))


def test_gemm_of_an_empty_batch(isa):
    """There is no matrix to pack; reading the first element of an empty array shows under AddressSanitizer only."""
    a, b = np.empty((0, 2, 3), np.float32), np.empty((0, 3, 4), np.float32)
    assert _core.gemm(a, b).shape == (0, 2, 4)

import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import nn, ops


@pytest.mark.parametrize("width", [1, 5, 16, 17, 33, 70])
def test_embedding(isa, rng, width):
    check_op(ops.embedding, reference.embedding, rng.integers(0, 9, (4, 5)), rng.standard_normal((9, width)))


@pytest.mark.parametrize(("rows", "count"), [(1, 50), (7, 1000), (1000, 7), (3000, 3000)])
def test_integer_exact(isa, rng, rows, count):
    for width in (1, 5, 16, 17, 33):
        indices, weight = rng.integers(0, rows, count), rng.integers(-8, 9, (rows, width))
        table = fnn.Tensor(weight, requires_grad=True)
        y = ops.embedding(indices, table)
        assert np.array_equal(y.numpy(), weight[indices])
        dy = rng.integers(-8, 9, y.shape)
        y.backward(dy)
        want = np.zeros(weight.shape)
        np.add.at(want, indices, dy)
        assert np.array_equal(table.grad, want)


def test_threads_give_the_same_bits(isa, rng):
    indices, weight = rng.integers(0, 300, 4000), rng.standard_normal((300, 65))
    gradients = []
    for n in (1, 2, 3):
        with fnn.threads(n):
            table = fnn.Tensor(weight, requires_grad=True)
            ops.embedding(indices, table).backward(np.random.default_rng(1).standard_normal((4000, 65)))
            gradients.append(table.grad)
    assert np.array_equal(gradients[0], gradients[1])
    assert np.array_equal(gradients[0], gradients[2])


@pytest.mark.parametrize("padding_idx", [2, -3])
def test_padding_row(isa, padding_idx):
    layer = nn.Embedding(5, 17, padding_idx=padding_idx)
    assert layer.padding_idx == 2
    assert not layer.weight.data[2].any()
    assert np.all(layer.weight.data[[0, 1, 3, 4]] != 0)
    y = layer(np.array([[2, 1], [4, 2]]))
    assert y.shape == (2, 2, 17)
    y.backward(np.ones(y.shape))
    assert layer.weight.grad.sum(axis=1).tolist() == [0, 17, 0, 0, 17]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint16])
def test_index_types(dtype):
    weight = np.arange(6.0).reshape(3, 2)
    assert ops.embedding(np.array([2, 0], dtype), weight).tolist() == [[4, 5], [0, 1]]
    assert ops.embedding([2, 0], weight).tolist() == [[4, 5], [0, 1]]
    assert ops.embedding(np.array(1, dtype), weight).tolist() == [2, 3]


def test_normal_start():
    weight = nn.Embedding(1000, 50).weight.data
    assert abs(weight.mean()) < 0.02
    assert abs(weight.std() - 1) < 0.02


def test_empty():
    table = fnn.Tensor(np.ones((4, 3)), requires_grad=True)
    y = ops.embedding(np.zeros((2, 0), np.int64), table)
    assert y.shape == (2, 0, 3)
    y.backward(np.zeros(y.shape))
    assert not table.grad.any()


def test_errors():
    weight = np.zeros((4, 3), np.float32)
    for index in (4, -1, 2**62, -(2**63)):
        with pytest.raises(IndexError, match=f"embedding: index {index} is outside the table of 4 rows"):
            ops.embedding(np.array([0, index]), weight)
    with pytest.raises(TypeError, match="embedding: indices has dtype float64, expected integers"):
        ops.embedding(np.zeros(3), weight)
    with pytest.raises(ValueError, match=r"embedding: weight has shape \(4,\), expected 2 dimensions"):
        ops.embedding(np.zeros(3, int), weight[:, 0])
    with pytest.raises(ValueError, match="padding_idx 4 is outside the table of 4 rows"):
        nn.Embedding(4, 3, padding_idx=4)
    with pytest.raises(TypeError, match=r"padding_idx is 1\.5"):
        ops.embedding(np.zeros(3, int), weight, 1.5)
    with pytest.raises(ValueError, match="num_embeddings is 0"):
        nn.Embedding(0, 3)

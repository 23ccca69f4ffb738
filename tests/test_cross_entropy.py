import numpy as np
import pytest
import reference
from check import check_op

import fastnn as fnn
from fastnn import _core, nn, ops

SHAPES = {"vector": (7,), "classes": (40, 10), "wide": (9, 65), "image": (2, 5, 3, 4)}
OPTIONS = {
    "mean": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "smooth": {"label_smoothing": 0.2},
    "ignore": {"ignore_index": 0},
    "smooth_ignore": {"label_smoothing": 0.3, "ignore_index": 0, "reduction": "none"},
}


def example(rng, shape, kind):
    x = rng.standard_normal(shape) * 2
    axis = min(1, x.ndim - 1)
    if kind == "probabilities":
        return x, reference.softmax(rng.standard_normal(shape), dim=axis)
    return x, np.asarray(rng.integers(0, shape[axis], shape[:axis] + shape[axis + 1 :]))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", SHAPES)
def test_classes(isa, rng, name, weighted, options):
    x, target = example(rng, SHAPES[name], "classes")
    weight = rng.uniform(0.5, 2, x.shape[min(1, x.ndim - 1)]).astype(np.float32) if weighted else None
    check_op(ops.cross_entropy, reference.cross_entropy, x, target, weight, differentiable=[0], **options)


@pytest.mark.parametrize("options", [OPTIONS[name] for name in ("mean", "sum", "none", "smooth")], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", ["vector", "classes", "image"])
def test_probabilities(isa, rng, name, weighted, options):
    x, target = example(rng, SHAPES[name], "probabilities")
    weight = rng.uniform(0.5, 2, x.shape[min(1, x.ndim - 1)]).astype(np.float32) if weighted else None
    check_op(ops.cross_entropy, reference.cross_entropy, x, target, weight, differentiable=[0, 1], **options)


@pytest.mark.parametrize("kind", ["classes", "probabilities"])
def test_several_tasks(isa, rng, kind):
    x, target = example(rng, (300, 130), kind)
    check_op(ops.cross_entropy, reference.cross_entropy, x, target, differentiable=[0], probes=4)


def test_one_class_is_refused(isa):
    """Its softmax is always 1, and so the loss of any answer 0."""
    for target in (np.zeros(3, int), np.ones((3, 1), np.float32)):
        with pytest.raises(ValueError, match=r"\(3, 1\) has one class on axis 1.*\(N, 2\) for two classes"):
            ops.cross_entropy(np.ones((3, 1)), target)


def test_one_hot_integers_are_no_probabilities():
    x = np.zeros((4, 3), np.float32)
    for dtype in (int, np.uint8, bool):
        with pytest.raises(ValueError, match=r"one-hot labels\? Write target\.argmax\(1\).*or target\.astype"):
            ops.cross_entropy(x, np.eye(4, 3, dtype=dtype))
    assert np.isclose(ops.cross_entropy(x[:3], np.eye(3, dtype=np.float64)), np.log(3))


def test_rows_do_not_depend_on_the_batch(isa, rng):
    for columns in (10, 65):
        x, target = rng.standard_normal((37, columns)).astype(np.float32), rng.integers(0, columns, 37)
        whole = ops.cross_entropy(x, target, reduction="none")
        for n in (1, 2, 16, 36):
            assert np.array_equal(ops.cross_entropy(x[:n], target[:n], reduction="none"), whole[:n])


def test_all_ignored(isa):
    """The mean over nothing is NaN, its gradient and the sum are 0, as in torch."""
    for smoothing in (0.0, 0.1):
        x = fnn.Tensor(np.ones((3, 4)), requires_grad=True)
        loss = ops.cross_entropy(x, np.full(3, -100), label_smoothing=smoothing)
        loss.backward()
        assert np.isnan(loss.item())
        assert not x.grad.any()
        assert ops.cross_entropy(x, np.full(3, -100), reduction="sum", label_smoothing=smoothing).item() == 0


@pytest.mark.parametrize("columns", [3, 16, 40])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_false_overflow(isa, columns, smoothing):
    for a, b in ((1e4, -1e4), (1e30, -1e30), (1e-40, -1e-40)):
        x = np.full((2, columns), b, np.float32)
        x[:, 1] = a
        tensor = fnn.Tensor(x, requires_grad=True)
        loss = ops.cross_entropy(tensor, np.array([0, 1]), reduction="none", label_smoothing=smoothing)
        loss.backward(np.ones(2))
        options = {"reduction": "none", "label_smoothing": smoothing}
        assert np.allclose(loss, reference.cross_entropy(x.astype(np.float64), np.array([0, 1]), **options), rtol=1e-6)
        assert np.isfinite(tensor.grad).all()


@pytest.mark.parametrize("columns", [3, 40])
def test_non_finite(isa, columns):
    x = np.zeros((5, columns), np.float32)
    x[0, 1], x[1, 0], x[2, 2], x[3] = -np.inf, -np.inf, np.nan, -np.inf
    tensor = fnn.Tensor(x, requires_grad=True)
    loss = ops.cross_entropy(tensor, np.zeros(5, int), reduction="none")
    loss.backward(np.ones(5))
    assert loss.numpy()[1] == np.inf
    assert np.allclose(loss.numpy()[[0, 4]], np.log([columns - 1, columns]))
    assert np.isnan(loss.numpy()[[2, 3]]).all()
    assert np.isfinite(tensor.grad[[0, 1, 4]]).all()


def test_strides_and_types(isa, rng):
    x, target = example(rng, (4, 6, 3), "classes")
    x = x.astype(np.float32)
    want = ops.cross_entropy(x, target)
    last = np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    assert ops.cross_entropy(last, target) == want
    assert ops.cross_entropy(x, target.astype(np.uint8)) == want
    assert ops.cross_entropy(x, np.repeat(target, 2, axis=1)[:, ::2]) == want
    assert ops.cross_entropy(x, target.tolist()) == want
    onehot = np.eye(6)[target].transpose(0, 2, 1)
    assert np.isclose(ops.cross_entropy(x, onehot), want, rtol=1e-6)
    assert np.isnan(ops.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)))
    assert ops.cross_entropy(np.zeros((0, 3)), np.zeros(0, int), reduction="sum") == 0


def test_layer(rng):
    x, target = example(rng, (5, 4), "classes")
    weight = np.float32([1, 2, 3, 4])
    layer = nn.CrossEntropyLoss(weight, ignore_index=2, reduction="sum", label_smoothing=0.1)
    assert layer(fnn.Tensor(x), target).item() == ops.cross_entropy(x, target, weight, 2, "sum", 0.1).item()


def test_errors():
    x, t = np.zeros((4, 3), np.float32), np.array([0, 1, 2, 3])
    with pytest.raises(IndexError, match="cross_entropy: target number 3 is 3, expected 0 to 2 or ignore_index -100"):
        ops.cross_entropy(x, t)
    with pytest.raises(IndexError, match="target number 0 is -9223372036854775808"):
        ops.cross_entropy(x, np.full(4, np.iinfo(np.int64).min))
    with pytest.raises(ValueError, match=r"input has shape \(4, 3\) but target, class indices, has \(3,\)"):
        ops.cross_entropy(x, t[:3])
    with pytest.raises(TypeError, match="cross_entropy: target has dtype float32, expected integers"):
        ops.cross_entropy(x, t.astype(np.float32))
    with pytest.raises(ValueError, match=r"target, probabilities, has \(4, 2\), expected \(4, 3\)"):
        ops.cross_entropy(x, x[:, :2])
    with pytest.raises(TypeError, match="cross_entropy: target has dtype bool"):
        ops.cross_entropy(x, np.zeros(4, bool))
    with pytest.raises(ValueError, match=r"weight has \(4,\), expected one per class"):
        ops.cross_entropy(x, t, np.ones(4))
    with pytest.raises(ValueError, match="weight cannot require a gradient"):
        ops.cross_entropy(x, t, fnn.Tensor(np.ones(3), requires_grad=True))
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5"):
        nn.CrossEntropyLoss(label_smoothing=1.5)
    with pytest.raises(ValueError, match="reduction is 'avg'"):
        ops.cross_entropy(x, t, reduction="avg")
    with pytest.raises(ValueError, match="ignore_index is 1 but target holds probabilities"):
        ops.cross_entropy(x, x, ignore_index=1)
    with pytest.raises(ValueError, match=r"input of shape \(4, 0\) has no classes"):
        ops.cross_entropy(np.zeros((4, 0)), t)
    with pytest.raises(ValueError, match=r"target has shape \(3,\), expected \(4,\)"):
        _core.cross_entropy(x, t[:3], None, -100, 0.0, "mean", True)

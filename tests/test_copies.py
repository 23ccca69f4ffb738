"""Every layer copied, pickled and mapped read-only: the same answers, and nothing shared that is written."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from models import LAYERS, assert_same_output, assert_same_state, small_model

import fastnn as fnn
from fastnn import nn
from fastnn.files.description import layer_classes

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda model: pickle.loads(pickle.dumps(model))}


def run(layer, arrays):
    fnn.manual_seed(5)  # for dropout
    return layer(*[fnn.Tensor(a) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in arrays])


def test_no_layer_is_forgotten():
    assert set(LAYERS) == {*layer_classes(), "GraphModule"}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_copy_answers_the_same_and_has_arrays_of_its_own(name, how, rng):
    make, inputs = LAYERS[name]
    layer = make()
    if inputs is not None:
        arrays = inputs(rng)
        run(layer, arrays)  # moves statistics
    for training in (True, False):
        layer.train(training)
        twin = COPIES[how](layer)
        assert [m.training for m in twin.modules()] == [m.training for m in layer.modules()]
        assert repr(twin) == repr(layer)
        if inputs is not None:
            assert_same_output(run(twin, arrays), run(layer, arrays))
        assert_same_state(twin.state_dict(), layer.state_dict())
    kept = layer.state_dict()
    for array in [p.data for p in twin.parameters()] + [array for _, array in twin.named_buffers()]:
        array[...] = 7
    assert_same_state(layer.state_dict(), kept)


@pytest.mark.parametrize("name", LAYERS)
def test_a_shallow_copy_answers_the_same_and_has_attributes_of_its_own(name, rng):
    make, inputs = LAYERS[name]
    layer = make().eval()
    twin = copy.copy(layer)
    if inputs is not None:
        arrays = inputs(rng)
        assert_same_output(run(twin, arrays), run(layer, arrays))
    assert all(a is b for a, b in zip(twin.parameters(), layer.parameters(), strict=True))
    twin.extra = nn.Linear(1, 1)
    twin.train()
    assert not hasattr(layer, "extra")
    assert not layer.training


@pytest.mark.parametrize("how", COPIES)
def test_copies_keep_what_is_shared(how):
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.BatchNorm1d(2), shared, nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[4].weight = shared.weight
    model[3].running_mean = model[1].running_mean
    twin = COPIES[how](model)
    assert twin[0] is twin[2]
    assert twin[4].weight is twin[0].weight
    assert twin[3].running_mean is twin[1].running_mean
    assert twin.num_parameters() == model.num_parameters()
    twin.load_state_dict(model.state_dict())


def read_only(layer):
    """Makes all arrays such as a worker of joblib has them, mapped from a file."""
    for module in layer.modules():
        for value in vars(module).values():
            array = value.data if isinstance(value, fnn.Tensor) else value
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
    return layer


@pytest.mark.parametrize("name", [name for name, (_, inputs) in LAYERS.items() if inputs is not None])
def test_read_only_arrays_run_train_and_load(name, rng):
    make, inputs = LAYERS[name]
    layer, arrays = make(), inputs(rng)
    twin = copy.deepcopy(layer)
    read_only(layer)
    for training in (False, True):
        assert_same_output(run(layer.train(training), arrays), run(twin.train(training), arrays))
    assert_same_state(layer.state_dict(), twin.state_dict())
    new = {key: array + 1 for key, array in twin.state_dict().items()}
    assert read_only(layer).load_state_dict(new) == ([], [])
    assert_same_state(layer.state_dict(), new)


def test_a_read_only_model_is_trained_as_another(rng):
    x, y = rng.standard_normal((32, 3)), rng.integers(0, 2, 32)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    twin = copy.deepcopy(model)
    for each in (read_only(model), twin):
        fnn.fit(each, x, y, seed=0)
    assert_same_state(model.state_dict(), twin.state_dict())


def test_statistics_of_any_layout_are_moved(rng):
    x = rng.standard_normal((8, 3)).astype(np.float32)
    want = nn.BatchNorm1d(3)
    want(x)
    layouts = (lambda a: np.repeat(a, 2)[::2], lambda a: a[::-1].copy()[::-1], lambda a: np.broadcast_to(a[:1], 3))
    for layout in layouts:
        layer = nn.BatchNorm1d(3)
        layer.running_mean, layer.running_var = layout(layer.running_mean), layout(layer.running_var)
        layer(x)
        assert_same_state(layer.state_dict(), want.state_dict())


def test_a_forward_that_fails_moves_no_statistics():
    layer = nn.BatchNorm1d(3, momentum=None)
    before = layer.state_dict()
    for x in (np.ones((1, 3)), np.ones((4, 2)), np.ones((4, 3), complex)):
        with pytest.raises((ValueError, TypeError), match=r"(?i)batchnorm"):
            layer(x)
    assert_same_state(layer.state_dict(), before)


def test_an_op_says_which_statistics_it_cannot_write():
    mean, var = np.zeros(3, np.float32), np.ones(3, np.float32)
    mean.flags.writeable = False
    with pytest.raises(ValueError, match="batchnorm: running_mean is read-only"):
        fnn.ops.batchnorm(np.ones((4, 3)), mean, var, training=True)
    with pytest.raises(TypeError, match="batchnorm: running_var is a list"):
        fnn.ops.batchnorm(np.ones((4, 3)), var, [1.0, 1.0, 1.0], training=True)
    with pytest.raises(TypeError, match="batchnorm: running_mean is dtype int64"):
        fnn.ops.batchnorm(np.ones((4, 3)), np.zeros(3, int), var, training=True)
    fnn.ops.batchnorm(np.ones((4, 3)), mean, [1.0, 1.0, 1.0])  # only read


def test_a_pickled_model_goes_on_from_its_optimizers_memory():
    model = small_model()
    optimizer = fnn.optim.SGD(model.parameters(), lr=0.1)
    twin = pickle.loads(pickle.dumps(model))
    model(np.ones((1, 1, 4, 4)))[0, 0].backward()
    optimizer.step()
    assert not np.array_equal(model[3].bias.data, twin[3].bias.data)

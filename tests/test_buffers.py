"""Buffers and Parameters that are set by name: in the state, in files and copies, and only what can be saved."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from models import LAYERS, assert_same_state

import fastnn as fnn
from fastnn import nn


class Net(nn.Module):
    def __init__(self):
        self.head = nn.Linear(2, 3)
        self.scale = nn.Parameter(np.ones(3))
        self.table = np.arange(3)  # a constant

    def forward(self, x):
        return self.head(x) * self.scale


class Running(nn.Module):
    def __init__(self, persistent=True):
        self.register_buffer("mean", np.zeros(2, np.float32), persistent)
        self.register_buffer("count", np.array(0))
        self.register_buffer("later", None)

    def forward(self, x):
        self.mean = 0.5 * self.mean + 0.5 * x.mean(axis=0)
        self.count = self.count + 1
        return x - self.mean


def test_registered_buffers_are_state(tmp_path):
    model = nn.Sequential(nn.Identity(), Running())
    x = np.float32([[1, 2], [3, 6]])
    model(x)
    want = {"1.mean": np.float32([1, 2]), "1.count": np.array(1)}
    assert_same_state(model.state_dict(), want)
    assert dict(model.named_buffers()).keys() == want.keys()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        model[1].mean[0] = 1
        twin(x)
        assert_same_state(twin.state_dict(), {"1.mean": np.float32([1.5, 3]), "1.count": np.array(2)})
        assert_same_state(model.state_dict(), want)
    fnn.save(model, tmp_path / "model")
    other = nn.Sequential(nn.Identity(), Running())
    other.load_state_dict(fnn.load_state(tmp_path / "model"))
    assert_same_state(other.state_dict(), want)
    other[1].later = np.ones(3, np.float32)
    assert list(other.state_dict()) == ["1.mean", "1.count", "1.later"]
    del other[1].later
    other[1].later = ["free again"]
    assert list(other.state_dict()) == ["1.mean", "1.count"]


def test_buffers_that_the_class_has():
    class Shifted(nn.Module):
        buffer_names = ("shift", "never set")
        shift = np.zeros(2)
        shift.flags.writeable = False

    one, two = Shifted(), Shifted()
    assert list(one.state_dict()) == [name for name, _ in one.named_buffers()] == ["shift"]
    one.load_state_dict({"shift": np.ones(2)})
    assert list(one.shift) == [1, 1]
    assert list(two.shift) == [0, 0]


def test_buffers_that_are_not_saved():
    model = Running(persistent=False)
    assert list(model.state_dict()) == ["count"]
    assert [name for name, _ in model.named_buffers()] == ["mean", "count"]
    twin = copy.deepcopy(model)
    twin.mean[:] = 3
    twin.load_state_dict(model.state_dict())
    assert np.array_equal(twin.mean, [3, 3])
    twin.register_buffer("mean", twin.mean)  # from now on
    assert sorted(twin.state_dict()) == ["count", "mean"]
    assert "mean" not in model.state_dict()


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])
def test_over_a_buffer_goes_only_an_array_of_numbers_or_none(name):
    layer = LAYERS[name][0]()
    before = layer.state_dict()
    wrong = ([0.0] * 3, 0.0, "mean", np.ones(3, complex), np.array([object()] * 3), np.ma.masked_array([1.0] * 3, True))
    for value in (*wrong, fnn.Tensor(np.ones(3), requires_grad=True) * 2):
        with pytest.raises(TypeError, match=f"{name}: running_mean is a buffer, cannot"):
            layer.running_mean = value
    assert_same_state(layer.state_dict(), before)
    layer.running_mean = np.arange(3)  # float32 stays float32
    layer.running_var = fnn.Tensor([1.0, 2.0, 3.0])
    layer.num_batches_tracked = np.int32(7)
    state = {"running_mean": np.float32([0, 1, 2]), "running_var": np.float32([1, 2, 3])}
    assert_same_state(layer.state_dict(), before | state | {"num_batches_tracked": np.array(7)})
    layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_registered_parameters():
    model = Net()
    model.register_parameter("shift", nn.Parameter(np.zeros(3)))
    model.register_parameter("bias", None)
    assert list(model.state_dict()) == ["scale", "shift", "head.weight", "head.bias"]
    with pytest.raises(TypeError, match="bias is a Parameter"):
        model.bias = np.zeros(3)
    model.bias = nn.Parameter(np.zeros(3))
    assert "bias" in model.state_dict()
    twin = copy.deepcopy(model)
    twin.bias = None
    assert "bias" in model.state_dict()
    model.add_module("tail", nn.Linear(1, 1))
    assert list(model.state_dict())[-1] == "tail.bias"


@pytest.mark.parametrize("register", ["register_buffer", "register_parameter", "add_module"])
def test_names_that_are_taken_and_values_that_do_not_fit(register):
    model = Net()
    before = dict(vars(model))
    good = {"register_buffer": np.ones(1), "register_parameter": nn.Parameter([1.0]), "add_module": nn.ReLU()}[register]
    for name in ("forward", "table"):
        with pytest.raises(ValueError, match=f"{register}: Net has an attribute '{name}' already"):
            getattr(model, register)(name, good)
    for value in ([1.0], abs):
        with pytest.raises(TypeError, match="new is a"):
            getattr(model, register)("new", value)
    assert vars(model) == before

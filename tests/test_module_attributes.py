"""What is assigned to a Module is trained and saved, or the assignment is an error that says what to write."""

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


VALUES = {
    "array": np.ones((4, 3), np.float32),
    "list": [1.0, 2.0],
    "number": 0.5,
    "tensor": fnn.Tensor([1.0, 2.0]),
    "text": "weight",
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", LAYERS)
def test_over_a_parameter_goes_only_a_parameter_or_none(name, value):
    for module in LAYERS[name][0]().modules():
        for key, parameter in [(key, p) for key, p in vars(module).items() if isinstance(p, nn.Parameter)]:
            before = list(module.state_dict())
            with pytest.raises(TypeError, match=rf"{key} is a Parameter, cannot be .*{key}\.data\[\.\.\.\] = value"):
                setattr(module, key, VALUES[value])
            assert getattr(module, key) is parameter
            assert list(module.state_dict()) == before
            new = nn.Parameter(parameter.data + 1)
            setattr(module, key, new)
            assert any(p is new for p in module.parameters())
            setattr(module, key, None)
            assert not any(p is new for p in module.parameters())
            with pytest.raises(TypeError, match="is a Parameter, cannot be"):
                setattr(module, key, VALUES[value])
            setattr(module, key, new)
            delattr(module, key)
            assert not any(p is new for p in module.parameters())


def test_a_computed_tensor_is_no_parameter():
    layer = nn.Linear(3, 4)
    with pytest.raises(
        TypeError, match=r"Linear: weight is a Parameter, cannot be a Tensor of shape \(4, 3\)"
    ) as error:
        layer.weight = layer.weight * 0.5
    assert "weight.data[...] = value.data" in str(error.value)
    with pytest.raises(TypeError, match="cannot be a Linear; delete it first"):
        layer.weight = nn.Linear(1, 1)
    layer.cache = layer.weight * 2  # a name of its own: nothing is lost
    del layer.cache, layer.weight
    layer.weight = fnn.Tensor(np.ones((4, 3)))  # as torch: deleted, the name is free
    assert list(layer.state_dict()) == ["bias"]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 4, bias=False),
        nn.Conv1d(3, 4, 1, bias=False),
        nn.Conv2d(3, 4, 1, bias=False),
        nn.ConvTranspose1d(3, 4, 1, bias=False),
        nn.ConvTranspose2d(3, 4, 1, bias=False),
        nn.BatchNorm1d(4, affine=False),
        nn.BatchNorm2d(4, affine=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_array_for_a_bias_that_is_none_would_not_be_trained(layer):
    with pytest.raises(TypeError, match="bias is a Parameter, cannot be a ndarray"):
        layer.bias = np.zeros(4, np.float32)
    layer.bias = nn.Parameter(np.zeros(4))
    assert "bias" in layer.state_dict()


def test_over_a_module_goes_only_a_module_or_none():
    model = Net()
    for value in (np.ones(3), 3, abs, "head", [1]):
        with pytest.raises(TypeError, match="Net: head is a Linear, cannot be"):
            model.head = value
    model.head = nn.Identity()
    assert list(model.state_dict()) == ["scale"]
    model.head = None
    assert list(model.children()) == []
    model.head = "free again, as every attribute that was None"
    model.scale = None
    model.table = nn.Linear(1, 1)  # over a constant
    assert list(model.state_dict()) == ["table.weight", "table.bias"]
    del model.table
    assert list(model.state_dict()) == []


@pytest.mark.parametrize("name", ["a.b", "", "training"])
def test_names_that_would_be_taken_for_others(name):
    for part in (nn.Linear(1, 1), nn.Parameter([1.0])):
        with pytest.raises(ValueError, match="the name"):
            setattr(Net(), name, part)
    for make in (lambda: nn.Sequential({name: nn.ReLU()}), lambda: nn.ModuleDict({name: nn.ReLU()})):
        with pytest.raises(ValueError, match="the name"):
            make()
    with pytest.raises(ValueError, match="the name"):
        Net().register_buffer(name, np.ones(1))
    with pytest.raises(TypeError, match="expected a str"):
        nn.ModuleDict({3: nn.ReLU()})


# Lists of Modules


HIDDEN = {
    "list": lambda part: [1, part],
    "tuple": lambda part: (part,),
    "dict": lambda part: {"a": part},
    "set": lambda part: {part},
    "nested list": lambda part: [[1, 2], [part]],
    "list of dicts": lambda part: [{"a": 1}, {"b": part}],
    "dict of tuples": lambda part: {"a": (0, part)},
}
WALKS = {
    "named_parameters": lambda model: list(model.named_parameters()),
    "parameters": lambda model: list(model.parameters()),
    "state_dict": lambda model: model.state_dict(),
    "load_state_dict": lambda model: model.load_state_dict({}, strict=False),
    "train": lambda model: model.train(),
    "eval": lambda model: model.eval(),
    "zero_grad": lambda model: model.zero_grad(),
    "requires_grad_": lambda model: model.requires_grad_(),
    "predict": lambda model: model.predict(np.ones((1, 2))),
    "fit": lambda model: fnn.fit(model, np.ones((4, 2)), np.zeros(4, int)),
    "save": lambda model: fnn.save(model, "/nonexistent/model"),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_collections_of_modules_and_parameters_are_refused(kind):
    for part, instead in (
        (nn.Linear(1, 1), r"nn\.Module(List|Dict)"),
        (nn.Parameter([1.0]), "an attribute of its own"),
    ):
        with pytest.raises(TypeError, match=f"Net: layers is a .* would not be trained or saved: .*{instead}"):
            Net().layers = HIDDEN[kind](part)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("inside", [False, True])
def test_lists_that_are_filled_later_are_noticed(walk, inside):
    net = Net()
    net.layers = []
    net.layers.append(nn.Linear(3, 3))
    with pytest.raises(TypeError, match=r"Net: layers is a list that holds a Linear.* use nn\.ModuleList"):
        WALKS[walk](nn.Sequential(net) if inside else net)


def test_collections_of_what_is_found_elsewhere_are_fine():
    net = Net()
    net.order = [net.head]
    net.ours = {"scale": net.scale, "all": list(net.parameters())}
    net.words = [f"word {i}" for i in range(10_000)]
    net.nothing = [[], {}, (), None]
    assert list(net.state_dict()) == ["scale", "head.weight", "head.bias"]
    net.eval()
    net.order[0] = nn.Linear(2, 3)
    with pytest.raises(TypeError, match="order is a list"):
        net.eval()


# Buffers and Parameters by name


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


def test_buffers_that_are_not_saved():
    model = Running(persistent=False)
    assert list(model.state_dict()) == ["count"]
    assert [name for name, _ in model.named_buffers()] == ["mean", "count"]
    twin = copy.deepcopy(model)
    twin.mean[:] = 3
    twin.load_state_dict(model.state_dict())
    assert np.array_equal(twin.mean, [3, 3])
    twin.register_buffer("mean", twin.mean)  # from now on
    assert list(twin.state_dict()) == ["count", "mean"] or list(twin.state_dict()) == ["mean", "count"]
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


def test_a_models_own_names_do_not_disturb():
    """The names that Module itself needs are few: what users call their attributes and methods is theirs."""

    class Named(nn.Module):
        def __init__(self):
            self._layers, self._state, self._walk, self._named = nn.Linear(2, 2), 1, None, {}
            self.joined, self.state, self.children_ = True, np.ones(2), ()

        def forward(self, x):
            return self._layers(x)

        def _checked(self):
            return 3

    model = nn.Sequential(Named(), nn.BatchNorm1d(2), nn.ReLU())
    assert list(model.state_dict())[:2] == ["0._layers.weight", "0._layers.bias"]
    assert copy.deepcopy(model).predict(np.ones((3, 2))).shape == (3, 2)

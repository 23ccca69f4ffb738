"""What is assigned to a Module is trained and saved, or the assignment is an error that says what to write."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from models import LAYERS

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


def test_modules_deep_in_collections_and_in_the_class():
    import collections
    import types

    for value in (
        [[[nn.Linear(1, 1)]]],
        collections.deque([nn.Linear(1, 1)]),
        frozenset([nn.Linear(1, 1)]),
        types.MappingProxyType({"a": nn.Linear(1, 1)}),
        collections.UserList([nn.Linear(1, 1)]),
    ):
        module = nn.Identity()
        with pytest.raises(TypeError, match="would not be trained or saved"):
            module.layers = value
    with pytest.raises(TypeError, match="set it in __init__"):
        type("Net", (nn.Module,), {"layer": nn.Linear(1, 1)})

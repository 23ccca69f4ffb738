"""What a class says about itself, by overriding a method of Module, counts wherever it stands in a model."""

from __future__ import annotations

import numpy as np
import pytest
from models import assert_same_state

import fastnn as fnn
from fastnn import nn


def inside(layer, depth):
    for _ in range(depth):
        layer = nn.Sequential(nn.Linear(3, 3), nn.ModuleDict({"a": layer}), layer)
    return layer


class Frozen(nn.Linear):
    """Never trained; counts how often it is asked."""

    def __init__(self):
        super().__init__(3, 3)
        self.asked = []
        self.requires_grad_(True)

    def train(self, mode=True):
        self.asked.append("train")
        return super().train(False)

    def requires_grad_(self, requires_grad=True):
        self.asked.append("requires_grad_")
        return super().requires_grad_(False)

    def zero_grad(self):
        self.asked.append("zero_grad")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_modes_and_gradients(depth):
    layer = Frozen()
    model = inside(layer, depth)
    for method, change in {
        "train": lambda: model.train(),
        "requires_grad_": lambda: model.requires_grad_(),
        "zero_grad": lambda: model.zero_grad(),
    }.items():
        layer.asked.clear()
        layer.weight.grad = np.ones((3, 3), np.float32)
        change()
        assert set(layer.asked) == {method}
        assert not layer.training
        assert not layer.weight.requires_grad
        assert layer.weight.grad is not None
    assert model.training
    assert all(p.requires_grad for name, p in model.named_parameters() if p is not layer.weight and p is not layer.bias)
    layer.asked.clear()
    model.eval()
    with fnn.nn.mode.evaluation(model):
        pass
    assert set(layer.asked) == {"train"}
    assert not model.training


class Hidden(nn.Sequential):
    """Lists its last layer only, as one whose body is not to be trained."""

    def named_parameters(self):
        return ((f"{len(self) - 1}.{name}", p) for name, p in self[-1].named_parameters())


class HiddenOnes(nn.Sequential):
    def parameters(self):
        return self[-1].parameters()


@pytest.mark.parametrize("kind", [Hidden, HiddenOnes])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_which_parameters_there_are(kind, depth):
    body = kind(nn.Linear(3, 3), nn.Linear(3, 3))
    model = nn.Sequential(nn.Linear(3, 3), body, nn.Linear(3, 2)) if depth else body
    if depth == 2:
        model = nn.ModuleList([model])
    hidden = {id(p) for p in body[0].parameters()}
    assert not hidden & {id(p) for p in model.parameters()}
    assert model.num_parameters() == sum(p.size for p in model.parameters())
    if kind is Hidden:
        assert not hidden & {id(p) for _, p in model.named_parameters()}
        names = [name for name, _ in model.named_parameters()]
        assert len({*names}) == len(names)
    assert len(model.state_dict()) == len(list(model.parameters())) + 2  # the state is not changed by it
    model.requires_grad_(False)
    assert all(p.requires_grad for p in body[0].parameters())
    assert not any(p.requires_grad for p in model.parameters())
    for p in (*model.parameters(), *body[0].parameters()):
        p.grad = np.zeros(p.shape, np.float32)
    model.zero_grad()
    assert all(p.grad is not None for p in body[0].parameters())
    assert all(p.grad is None for p in model.parameters())
    before = body[0].state_dict()
    if depth < 2:
        fnn.fit(model, np.ones((8, 3)), np.zeros((8, 3 if depth == 0 else 2)), loss="mse")
    assert_same_state(body[0].state_dict(), before)


class Quantized(nn.Module):
    """Its state has other names and values than its attributes."""

    def __init__(self):
        self.weight = nn.Parameter([0.25, -0.5])

    def forward(self, x):
        return x * self.weight

    def state_dict(self):
        scale = np.abs(self.weight.data).max()
        return {"codes": np.round(self.weight.data / scale * 127).astype(np.int8), "scale": np.array(scale)}

    def load_state_dict(self, state_dict, strict=True):
        if set(state_dict) != {"codes", "scale"}:
            raise ValueError(f"Quantized: the state has {sorted(state_dict)}")
        self.weight.data[...] = state_dict["codes"].astype(np.float32) / 127 * state_dict["scale"]
        return [], []


def test_states_of_another_form(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Quantized()), nn.Linear(2, 2))
    names = ["0.weight", "0.bias", "1.0.codes", "1.0.scale", "2.weight", "2.bias"]
    state = model.state_dict()
    assert list(state) == names
    fnn.save(model, tmp_path / "model")
    other = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Quantized()), nn.Linear(2, 2))
    other[1][0].weight.data[:] = 7
    assert other.load_state_dict(fnn.load_state(tmp_path / "model")) == ([], [])
    assert_same_state(other.state_dict(), state)
    before = other.state_dict()
    wrong = {name: array + 1 for name, array in state.items()}
    del wrong["1.0.scale"]
    with pytest.raises(ValueError, match="Quantized: the state has"):
        other.load_state_dict(wrong)
    assert_same_state(other.state_dict(), before)  # those of the others are written last
    with pytest.raises(ValueError, match=r"missing: 2\.bias"):
        other.load_state_dict({name: array for name, array in state.items() if name != "2.bias"})

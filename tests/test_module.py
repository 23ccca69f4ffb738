import copy
import pickle
import weakref

import numpy as np
import pytest
import safetensors.numpy

import fastnn as fnn
from fastnn import nn


class Scale(nn.Module):
    """Own parameters and buffers, one of each unset, around a layer."""

    buffer_names = ("offset", "count", "unset")

    def __init__(self, features):
        self.inner = nn.Linear(features, features)
        self.scale = nn.Parameter(np.ones(features))
        self.missing = None
        self.offset = np.zeros(features, np.float32)
        self.count = np.array(0)
        self.unset = None

    def forward(self, x):
        return self.inner(x) * self.scale + self.offset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 4))
        self.blocks = nn.ModuleList([Scale(4), nn.Linear(4, 4, bias=False)])
        self.heads = nn.ModuleDict({"b": nn.Linear(4, 3), "a": nn.Linear(4, 2)})
        self.note = "not a parameter"

    def forward(self, x):
        x = self.body(x)
        for block in self.blocks:
            x = block(x)
        return self.heads["b"](x), self.heads["a"](x)


NAMES = [
    "body.0.weight",
    "body.0.bias",
    "body.2.weight",
    "body.2.bias",
    "blocks.0.scale",
    "blocks.0.offset",
    "blocks.0.count",
    "blocks.0.inner.weight",
    "blocks.0.inner.bias",
    "blocks.1.weight",
    "heads.b.weight",
    "heads.b.bias",
    "heads.a.weight",
    "heads.a.bias",
]
BUFFERS = ["blocks.0.offset", "blocks.0.count"]


def test_names_and_order():
    model = Net()
    assert list(model.state_dict()) == NAMES
    assert [name for name, _ in model.named_parameters()] == [name for name in NAMES if name not in BUFFERS]
    assert [name for name, _ in model.named_buffers()] == BUFFERS
    assert [name for name, _ in model.named_children()] == ["body", "blocks", "heads"]
    assert [type(m).__name__ for m in model.heads.children()] == ["Linear", "Linear"]
    assert [name for name, _ in model.named_modules()][:5] == ["", "body", "body.0", "body.1", "body.2"]
    assert next(model.modules()) is model
    assert model.num_parameters() == sum(p.size for p in model.parameters()) == 20 + 36 + 4 + 20 + 16 + 15 + 10


def test_what_is_shared_counts_once_and_keeps_its_names():
    model = Net()
    model.tied = model.heads["a"]
    model.body[2].bias = model.blocks[0].scale
    assert len(list(model.parameters())) == 11
    assert len({id(m) for m in model.modules()}) == len(list(model.modules()))
    assert list(model.state_dict())[-2:] == ["tied.weight", "tied.bias"]
    assert list(model.state_dict())[:-2] == NAMES
    assert [name for name, _ in nn.Sequential(*[nn.Identity()] * 3).named_children()] == ["0"]
    other = Net()
    other.tied = other.heads["a"]
    other.load_state_dict(model.state_dict())
    clone = copy.deepcopy(model)
    assert clone.tied is clone.heads["a"]
    assert clone.body[2].bias is clone.blocks[0].scale


def test_modes():
    model = Net()
    assert model.training
    assert "training" not in vars(model)
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert model.blocks.train() is model.blocks
    assert model.blocks[0].inner.training
    assert not model.body.training


def test_gradients():
    model, x = Net(), np.ones((3, 1, 4, 4))
    a, b = model(x)
    (a.sum() + b.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model.requires_grad_(False) is model
    assert not model(x)[0].requires_grad
    model.heads.requires_grad_()
    model(x)[0].sum().backward()
    assert model.heads["b"].weight.grad is not None
    assert model.body[0].weight.grad is None


def test_state_dict_is_a_copy(rng):
    model = Net()
    state = model.state_dict()
    assert all(type(array) is np.ndarray for array in state.values())
    state["body.0.weight"][:] = 7
    assert not (model.body[0].weight.numpy() == 7).any()
    weight = model.body[0].weight.data
    assert model.load_state_dict(state) == ([], [])
    assert (weight == 7).all()  # written in place: an optimizer's view stays valid
    state["body.0.weight"][:] = 8
    assert (weight == 7).all()


def test_state_dict_is_what_safetensors_can_write():
    state = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 3), nn.LSTM(3, 2)).state_dict()
    again = safetensors.numpy.load(safetensors.numpy.save(state))  # writes memory as it lies
    assert sorted(again) == sorted(state)
    for name, array in state.items():
        np.testing.assert_array_equal(again[name], array)


def test_load_state_dict_converts(rng):
    model, other = Net(), Net()
    other.blocks[0].count += 41
    state = {
        name: array.astype(np.float64) if array.dtype == np.float32 else array
        for name, array in other.state_dict().items()
    }
    state["heads.a.bias"] = state["heads.a.bias"].tolist()
    state["heads.b.bias"] = fnn.Tensor(state["heads.b.bias"])
    model.load_state_dict(state)
    x = rng.standard_normal((2, 1, 4, 4))
    assert all(np.array_equal(a, b) for a, b in zip(model.predict(x), other.predict(x), strict=True))
    assert model.blocks[0].count == 41
    assert model.blocks[0].count.dtype == np.int64
    model.blocks[0].count = np.int64(3)  # what arithmetic on an array of no dimensions gives
    model.blocks[0].scale.numpy().flags.writeable = False
    model.load_state_dict(state)
    assert model.blocks[0].count == 41


def test_load_state_dict_says_all_that_is_wrong_and_writes_nothing():
    model = Net()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    del state["body.0.weight"], state["heads.a.bias"]
    state["blocks.1.weight"] = np.zeros((4, 5))
    state["blocks.0.count"] = np.array(1.5)
    state["body.0.bias"] = np.zeros(2, complex)
    state["more"] = np.zeros(1)
    with pytest.raises(ValueError, match=r"^load_state_dict: Net and state_dict differ") as error:
        model.load_state_dict(state)
    for text in (
        "missing: body.0.weight, heads.a.bias",
        "unexpected: more",
        "blocks.1.weight is (4, 5) in state_dict, (4, 4) in the model",
        "blocks.0.count is float64 in state_dict, int64 in the model",
        "body.0.bias has dtype complex128",
    ):
        assert text in str(error.value)
    with pytest.raises(ValueError, match=r"blocks\.1\.weight") as error:
        model.load_state_dict(state, strict=False)
    assert "missing" not in str(error.value)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    for name in ("blocks.1.weight", "blocks.0.count", "body.0.bias"):
        state[name] = before[name] + 1
    assert model.load_state_dict(state, strict=False) == (["body.0.weight", "heads.a.bias"], ["more"])
    assert np.array_equal(model.blocks[1].weight.numpy(), before["blocks.1.weight"] + 1)
    with pytest.raises(TypeError, match="state_dict is a list"):
        model.load_state_dict([])


def test_copies(rng):
    model, x = Net().eval(), rng.standard_normal((2, 1, 4, 4)).astype(np.float32)
    (model(x)[0].sum() + model(x)[1].sum()).backward()
    want = model.predict(x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert all(np.array_equal(a, b) for a, b in zip(other.predict(x), want, strict=True))
        assert not other.training
        assert list(other.state_dict()) == NAMES
        other.body[0].weight.data[:] = 0
        assert model.body[0].weight.data.any()


def test_modules_die_without_the_garbage_collector():
    model = Net()
    model.predict(np.zeros((1, 1, 4, 4)))
    model.summary((1, 4, 4))
    watched = weakref.ref(model), weakref.ref(model.body[0].weight)
    del model
    assert watched[0]() is None
    assert watched[1]() is None


def test_repr_and_summary():
    model = Net()
    text = repr(model)
    assert text.startswith("Net(\n  (body): Sequential(\n    (0): Conv2d(1, 2, kernel_size=(3, 3)")
    assert text.endswith(
        "  (heads): ModuleDict(\n    (b): Linear(in_features=4, out_features=3, bias=True)\n"
        "    (a): Linear(in_features=4, out_features=2, bias=True)\n  )\n)"
    )
    assert repr(nn.Identity()) == "Identity()"
    lines = model.summary((1, 4, 4)).splitlines()
    assert lines[0].split()[:3] == ["layer", "output", "parameters"]
    assert lines[1].split()[:7] == ["body.0", "(Conv2d)", "(1,", "2,", "2,", "2)", "20"]
    assert lines[-1].split()[:6] == ["total", "(1,", "3),", "(1,", "2)", "121"]
    assert len({len(line) for line in lines}) == 1
    assert model.training
    assert not any("forward" in vars(m) for m in model.modules())


def test_apply_goes_from_the_inside_out():
    seen = []
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Identity()))
    assert model.apply(seen.append) is model
    assert seen == [model[0], model[1][0], model[1], model]


def test_sequential():
    a, b, c = nn.Linear(2, 3), nn.Identity(), nn.Linear(3, 4)
    model = nn.Sequential(a, b).append(c)
    assert len(model) == 3
    assert list(model) == [a, b, c]
    assert model[-1] is c
    assert list(model[1:].state_dict()) == ["2.weight", "2.bias"]
    assert type(model[:2]) is nn.Sequential
    model[1] = nn.Linear(3, 3)
    assert model(np.zeros((5, 2))).shape == (5, 4)
    named = nn.Sequential({"first": a, "last": c})
    assert named.first is a
    assert next(iter(named.state_dict())) == "first.weight"
    assert np.array_equal(nn.Sequential().predict([1, 2]), [1, 2])
    assert nn.Sequential()
    with pytest.raises(IndexError, match="index 3 in 3 modules"):
        model[3]
    with pytest.raises(TypeError, match="Sequential: 1 is a function, expected a Module"):
        nn.Sequential(a, abs_of)
    with pytest.raises(AttributeError, match="Sequential has no attribute 'nothing'"):
        model.nothing  # noqa: B018


def abs_of(x):
    return abs(x)

"""Containers keep their modules in one place: what is shown, called, trained and saved is the same."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
from models import LAYERS, assert_same_output

from fastnn import nn


def layers(*sizes):
    return [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]


def views(container):
    """The modules in every way in which a container shows them."""
    names = (
        list(container.keys()) if isinstance(container, nn.ModuleDict) else [n for n, _ in container.named_children()]
    )
    yield [getattr(container, name) for name in names]
    yield list(container.children())
    yield [container[name] for name in names] if isinstance(container, nn.ModuleDict) else list(container)
    yield (
        list(container.values()) if isinstance(container, nn.ModuleDict) else [container[i] for i in range(len(names))]
    )
    yield list(dict(container.named_modules()).values())[1:]


def assert_one_store(container, modules):
    for view in views(container):
        assert len(view) == len(modules)
        assert all(a is b for a, b in zip(view, modules, strict=True))
    assert len(container) == len(modules)
    assert len(repr(container).splitlines()) == (len(modules) + 2 if modules else 1)
    parameters = [p for module in modules for p in module.parameters()]
    assert all(a is b for a, b in zip(container.parameters(), parameters, strict=True))
    arrays = [array for module in modules for array in module.state_dict().values()]
    for got, want in zip(container.state_dict().values(), arrays, strict=True):
        np.testing.assert_array_equal(got, want)
    if isinstance(container, nn.Sequential):
        x = np.float32([[1, -2, 3]])
        want = x
        for module in modules:
            want = module(want)
        assert_same_output(container(x), want)


CONTAINERS = {
    "Sequential": lambda modules: nn.Sequential(*modules),
    "named Sequential": lambda modules: nn.Sequential({f"layer{i}": m for i, m in enumerate(modules)}),
    "ModuleList": nn.ModuleList,
    "ModuleDict": lambda modules: nn.ModuleDict({f"layer{i}": m for i, m in enumerate(modules)}),
}


def name_of(container, i):
    return [name for name, _ in container.named_children()][i]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_layer_replaced_by_its_name_is_the_one_that_is_used(kind):
    modules = layers(3, 4, 5, 2)
    container = CONTAINERS[kind](modules)
    for clone in (lambda c: c, copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))):
        twin = clone(container)
        new = nn.Linear(5, 7)
        setattr(twin, name_of(twin, 2), new)
        assert_one_store(twin, [*list(twin.children())[:2], new])
    modules[2] = container[2] if kind != "ModuleDict" else container["layer2"]
    assert_one_store(container, modules)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_layer_added_as_an_attribute_is_the_last(kind):
    modules = layers(3, 4, 5)
    container = CONTAINERS[kind](modules)
    container.extra = nn.Linear(5, 2)
    assert_one_store(container, [*modules, container.extra])
    del container.extra
    assert_one_store(container, modules)
    assert not hasattr(container, "extra")
    container.add_module("extra", nn.ReLU())
    assert_one_store(container, [*modules, container.extra])
    container.note = "not a module"
    container.note = nn.Tanh()
    assert "note" not in vars(container)
    assert_one_store(container, [*modules, container.extra, container.note])


@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_is_no_module_does_not_take_the_place_of_one(kind):
    modules = layers(3, 4, 5)
    container = CONTAINERS[kind](modules)
    for value in (None, np.ones(3), nn.Parameter([1.0]), 3, abs):
        with pytest.raises(TypeError, match=r"expected a Module|cannot be"):
            setattr(container, name_of(container, 1), value)
    with pytest.raises(TypeError, match="expected a Module"):
        container[name_of(container, 1) if kind == "ModuleDict" else 1] = abs
    assert_one_store(container, modules)


@pytest.mark.parametrize("kind", ["Sequential", "named Sequential", "ModuleList"])
def test_a_container_is_a_list(kind, rng):
    """Random edits, by number and by name, beside the same edits of a plain list."""
    modules = layers(3, 3, 3)
    container = CONTAINERS[kind](modules)
    for _ in range(60):
        new, i = nn.Linear(3, 3), int(rng.integers(-len(modules), len(modules))) if modules else 0
        edit = rng.integers(8) if modules else 0
        if edit == 0:
            assert container.append(new) is container
            modules.append(new)
        elif edit == 1:
            container.insert(i, new)
            modules.insert(i, new)
        elif edit == 2:
            container[i] = new
            modules[i] = new
        elif edit == 3:
            setattr(container, name_of(container, i), new)
            modules[i] = new
        elif edit == 4:
            assert container.pop(i) is modules.pop(i)
        elif edit == 5:
            del container[i]
            del modules[i]
        elif edit == 6:
            delattr(container, name_of(container, i))
            del modules[i]
        else:
            del container[i : i + 2]
            del modules[i : i + 2]
        assert_one_store(container, modules)


def test_numbers_follow_the_places_as_in_torch():
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(*[nn.Linear(3, 3) for _ in range(5)])
    theirs = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(5)])
    for model, made in ((ours, nn.Linear), (theirs, torch.nn.Linear)):
        del model[1]
        model.insert(0, made(3, 3))
        model.pop(-1)
        model.insert(2, made(3, 3))
        model[1] = made(3, 3)
        model.tail = made(3, 3)
        model.append(made(3, 3))
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_names_given_by_hand_are_kept():
    model = nn.Sequential({"body": nn.Linear(3, 4), "head": nn.Linear(4, 2)})
    model.insert(0, nn.ReLU())
    assert [name for name, _ in model.named_children()] == ["0", "body", "head"]
    del model[0]
    assert [name for name, _ in model.named_children()] == ["body", "head"]


def test_appending_to_a_slice_loses_nothing():
    model = nn.Sequential(*layers(3, 3, 3, 3))
    part = model[1:]
    want = [*part, nn.Linear(3, 3)]
    part.append(want[-1])
    assert_one_store(part, want)


def test_subclasses_may_set_layers_before_and_after_init():
    class Block(nn.Sequential):
        def __init__(self):
            self.before = nn.Linear(3, 3)
            super().__init__(nn.Linear(3, 3), nn.ReLU())
            self.after = nn.Linear(3, 2)

    block = Block()
    assert [name for name, _ in block.named_children()] == ["before", "0", "1", "after"]
    assert_one_store(block, [block.before, block[1], block[2], block.after])


def test_a_shallow_copy_has_a_store_of_its_own():
    for kind, make in CONTAINERS.items():
        modules = layers(3, 4, 5)
        container = make(modules)
        twin = copy.copy(container)
        twin.extra = nn.ReLU()
        assert_one_store(container, modules)
        assert len(twin) == 3, kind


def test_dicts_take_out_and_say_what_is_missing():
    heads = nn.ModuleDict({"a": nn.Linear(1, 1), "items": nn.Linear(2, 2)})
    assert heads.pop("items").in_features == 2
    assert list(heads) == ["a"]
    for wrong in (lambda: heads.pop("items"), lambda: heads["items"]):
        with pytest.raises(KeyError, match="items"):
            wrong()
    with pytest.raises(IndexError, match="index 3 in 2 modules"):
        nn.ModuleList(layers(1, 1, 1)).insert(3, nn.ReLU())
    with pytest.raises(TypeError, match="expected a Module"):
        nn.ModuleList(layers(1, 1, 1)).insert(0, None)


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("ModuleDict", "ModuleList")])
def test_every_layer_may_stand_in_every_container(name):
    layer = LAYERS[name][0]()
    for make in CONTAINERS.values():
        container = make([layer, nn.Identity()])
        assert next(container.children()) is layer
        assert len(list(container.parameters())) == len(list(layer.parameters()))


def test_lists_and_dicts_of_modules():
    a, b, c = nn.Linear(1, 1), nn.Linear(2, 2), nn.Linear(3, 3)
    layers = nn.ModuleList([a]).extend([c])
    layers.insert(1, b)
    assert list(layers) == [a, b, c]
    assert list(layers[1:].state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert layers[-2] is b
    heads = nn.ModuleDict([("forward", a), ("items", b)])
    heads["c"] = c
    del heads["forward"]
    assert list(heads) == list(heads.keys()) == ["items", "c"]
    assert list(heads.values()) == [b, c]
    assert dict(heads.items()) == {"items": b, "c": c}
    assert "c" in heads
    assert len(heads) == 2
    with pytest.raises(NotImplementedError, match="ModuleList has no forward"):
        layers(1)
    with pytest.raises(TypeError, match="ModuleDict: x is a int"):
        nn.ModuleDict({"x": 1})

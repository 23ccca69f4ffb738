"""One Parameter, or one layer, in several places: it stays one in files, and a file that says otherwise is refused."""

from __future__ import annotations

import contextlib
import copy
import json
import re

import pytest
import safetensors.numpy
from models import assert_same_state

import fastnn as fnn
from fastnn import nn
from fastnn.files import checkpoint
from fastnn.files import description as architecture
from fastnn.files.checkpoint import CheckpointError
from fastnn.nn.tree import by_holder, entries


def embedding_and_output():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False))
    model[1].weight = model[0].weight
    return model


def output_and_embedding():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False))
    model[0].weight = model[1].weight
    return model


def layer_twice():
    shared = nn.Linear(4, 4)
    return nn.Sequential({"a": shared, "b": nn.ReLU(), "c": shared, "d": nn.ModuleList([nn.Linear(4, 4), shared])})


def block_twice():
    block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    return nn.Sequential(block, nn.Sequential(nn.Tanh(), block))


def statistics_twice():
    """No Parameters, but a state, which training moves."""
    norm = nn.BatchNorm1d(4, affine=False)
    return nn.Sequential(norm, nn.Tanh(), norm)


def buffers_of_two_layers():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    model[1].running_mean, model[1].bias = model[0].running_mean, model[0].weight
    return model


def both():
    model = layer_twice()
    model.append(nn.Linear(4, 4))
    model[-1].bias = model[3][0].bias
    model[-1].weight = model[0].weight
    return model


def inside_a_layer():
    layer = nn.LSTM(4, 4, num_layers=2)
    layer.weight_hh_l1 = layer.weight_ih_l1 = layer.weight_hh_l0
    return layer


TIED = [
    *(embedding_and_output, output_and_embedding, layer_twice, block_twice, statistics_twice),
    *(buffers_of_two_layers, both, inside_a_layer),
]


def partition(model):
    return [[entry.name for entry in group] for group in by_holder(entries(model))]


@pytest.mark.parametrize("make", TIED)
def test_ties_come_back_from_a_file(make, path, rng):
    model = make()
    for p in model.parameters():
        p.data[...] = rng.standard_normal(p.shape)
    fnn.save(model, path)
    again = fnn.load(path)
    assert repr(again) == repr(model)
    assert partition(again) == partition(model)
    assert again.num_parameters() == model.num_parameters()
    assert [name for name, _ in again.named_modules()] == [name for name, _ in model.named_modules()]
    assert_same_state(again.state_dict(), model.state_dict())
    assert_same_state(fnn.load_state(path), dict(sorted(model.state_dict().items())))  # every name, as torch wants it
    for p in again.parameters():
        p.data[...] += 1
    for p in model.parameters():
        p.data[...] += 1
    assert_same_state(again.state_dict(), model.state_dict())
    fnn.save(again, path.with_name("again"))
    fnn.save(model, path)
    assert path.read_bytes() == path.with_name("again").read_bytes()


@pytest.mark.parametrize("make", TIED)
def test_a_loaded_model_is_trained_as_the_saved_one(make, path, rng):
    model = make()
    fnn.save(model, path)
    again = fnn.load(path).train()
    x = rng.integers(0, 7, (6, 3)) if "embedding" in make.__name__ else rng.standard_normal((6, 4))
    for each in (model, again):
        if isinstance(each, nn.Sequential) and any(isinstance(layer, nn.ModuleList) for layer in each):
            each = nn.Sequential(*[layer for layer in each if not isinstance(layer, nn.ModuleList)])
        trained = list(each.parameters())
        optimizer = fnn.optim.SGD(trained, lr=0.1) if trained else None
        for _ in range(2):
            output = each(x)
            output = output[0] if isinstance(output, tuple) else output
            if optimizer is not None:
                (output * output).mean().backward()
                optimizer.step()
                optimizer.zero_grad()
    assert_same_state(again.state_dict(), model.state_dict())


@pytest.mark.parametrize("make", TIED)
def test_two_values_for_one_parameter_are_refused(make, path):
    model = make()
    before = model.state_dict()
    for names in [names for names in partition(model) if len(names) > 1]:
        wrong = model.state_dict()
        wrong[names[-1]] = wrong[names[-1]] + 1
        with pytest.raises(ValueError, match="load_state_dict") as error:
            model.load_state_dict(wrong)
        assert f"{names[0]} and {names[-1]} differ in state_dict, are one in the model" in str(error.value)
        assert_same_state(model.state_dict(), before)
        one = {name: array + 1 for name, array in before.items() if name not in names[:-1]}
        model.load_state_dict(one, strict=False)  # one name is enough
        assert_same_state({n: model.state_dict()[n] for n in names}, {n: before[n] + 1 for n in names})
        model.load_state_dict(before)


def test_models_without_ties_have_the_format_that_older_readers_know(path):
    for model, number in ((nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), 1), (embedding_and_output(), 2)):
        fnn.save(model, path)
        assert json.loads(checkpoint._header(path.read_bytes())[checkpoint._KEY])["format"] == number
    relu = nn.ReLU()
    fnn.save(nn.Sequential(relu, relu), path)
    assert json.loads(checkpoint._header(path.read_bytes())[checkpoint._KEY])["format"] == 1


def forge(path, model, description, state=None):
    """A file with a right checksum that says what it likes."""
    state = model.state_dict() if state is None else state
    record = {"format": 2, "architecture": description}
    record["sha256"] = checkpoint._digest(record, state)
    path.write_bytes(safetensors.numpy.save(state, {checkpoint._KEY: json.dumps(record)}))


LINEAR = {"layer": "Linear", "arguments": {"in_features": 2, "out_features": 2, "bias": False}}


def sequential(*children, **more):
    return {"layer": "Sequential", "children": [[str(i), child] for i, child in enumerate(children)], **more}


RELU = {"layer": "ReLU", "arguments": {"inplace": False}}


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (sequential(LINEAR, {"same": "0"}, LINEAR), "arrays missing: ['2.weight']"),
        (sequential(LINEAR, {"same": "2"}), "the same layer as '2', but no such one"),
        (sequential(LINEAR, {"same": ""}), "the same layer as ''"),
        (sequential(LINEAR, {"same": 0}), "the same layer as 0"),
        (sequential(LINEAR, {"same": ["0"]}), "the same layer as ['0']"),
        ({"same": ""}, "the same layer as ''"),
        (sequential(RELU, LINEAR, {"same": "0"}), "the same layer as '0', but no such one with arrays"),
        (sequential(LINEAR, LINEAR, ties=[["0.weight", "2.weight"]]), "names that are unknown"),
        (sequential(LINEAR, LINEAR, ties=[["0.weight", "0.weight"]]), "or there twice"),
        (sequential(LINEAR, LINEAR, ties=[["0.weight", "1.weight"]] * 2), "or there twice"),
        (sequential(LINEAR, LINEAR, ties=[["0.weight"]]), "are no lists of names"),
        (sequential(LINEAR, LINEAR, ties=[["0.weight", 1]]), "are no lists of names"),
        (sequential(LINEAR, LINEAR, ties={"0.weight": "1.weight"}), "are no lists of names"),
        (sequential(LINEAR, LINEAR, ties="0.weight"), "are no lists of names"),
        (sequential(LINEAR, LINEAR, ties=None), "are no lists of names"),
        (sequential(LINEAR, LINEAR, ties=[["0.weight", "1.weight"]]), "0.weight and 1.weight are one in the model"),
        (sequential(LINEAR, {"same": "0"}), "0.weight and 1.weight are one in the model, but differ"),
        (
            sequential(
                LINEAR,
                LINEAR | {"arguments": LINEAR["arguments"] | {"in_features": 3}},
                ties=[["0.weight", "1.weight"]],
            ),
            "0.weight and 1.weight cannot be one",
        ),
        (sequential({"layer": "Sequential", "children": [["a.b", LINEAR]]}), "the name 'a.b' has a dot"),
    ],
)
def test_forged_ties(description, reason, path):
    forge(path, nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)), description)
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        fnn.load(path)
    fnn.load_state(path)  # the arrays are whole


def test_layers_within_layers_that_double_are_refused_in_no_time(path):
    description = sequential(LINEAR)
    for level in range(60):  # 2 to the 60 names
        description = sequential(description, {"same": "0" + ".0" * (59 - level)})
    forge(path, nn.Sequential(nn.Linear(2, 2, bias=False)), description)
    with pytest.raises(CheckpointError, match="comes again, but there are 1 arrays"):
        fnn.load(path)


def test_ties_of_parameters_and_statistics(path):
    model = nn.Sequential(nn.BatchNorm1d(2))
    description = architecture.describe(model)
    for pair in (["0.weight", "0.running_mean"], ["0.running_mean", "0.num_batches_tracked"]):
        forge(path, model, description | {"ties": [pair]})
        with pytest.raises(CheckpointError, match="cannot be one"):
            fnn.load(path)


def test_a_random_description_is_refused_or_built(path, rng):
    """Parts of descriptions, mixed; the reader never does worse than say so."""
    parts = [architecture.describe(make()) for make in TIED]
    leaves = [
        {"same": "0"},
        {"same": "0.0"},
        LINEAR,
        RELU,
        [],
        None,
        3,
        "a",
        {},
        [["0", LINEAR]],
        [["0.weight", "1.weight"]],
    ]

    def mutated(value):
        if rng.random() < 0.1:
            return copy.deepcopy([*parts, *leaves][rng.integers(len(parts) + len(leaves))])
        if isinstance(value, dict):
            return {("same" if rng.random() < 0.02 else key): mutated(part) for key, part in value.items()}
        if isinstance(value, list):
            return [mutated(part) for part in value if rng.random() < 0.97]
        return value

    models = [make() for make in TIED]
    built = 0
    for i in range(600):
        model = models[i % len(models)]
        forge(path, model, mutated(architecture.describe(model)))
        with contextlib.suppress(CheckpointError):
            built += isinstance(fnn.load(path), nn.Module)
    assert 0 < built < 600

"""Files: what is saved comes back bit for bit, models without their code."""

from __future__ import annotations

import re

import numpy as np
import pytest
from models import assert_same_state, small_model
from reference.activation import FUNCTIONS
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import nn
from fastnn.files import checkpoint
from fastnn.files import description as architecture
from fastnn.files.checkpoint import CheckpointError
from fastnn.random import generator

CASES = {
    "Linear": lambda: nn.Linear(3, 4),
    "Linear_no_bias": lambda: nn.Linear(3, 4, bias=False),
    "Conv1d": lambda: nn.Conv1d(4, 6, 3, stride=2, padding="valid", groups=2),
    "Conv2d": lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2, bias=False),
    "Conv2d_same": lambda: nn.Conv2d(1, 2, 5, padding="same"),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1, groups=2),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(
        4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False, dilation=2
    ),
    "MaxPool": lambda: nn.Sequential(nn.MaxPool1d(2), nn.MaxPool2d((3, 2), stride=2, padding=1, ceil_mode=True)),
    "AvgPool": lambda: nn.Sequential(nn.AvgPool1d(2), nn.AvgPool2d(3, padding=1, count_include_pad=False)),
    "AdaptiveAvgPool": lambda: nn.Sequential(
        nn.AdaptiveAvgPool1d(2), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((None, 3))
    ),
    "BatchNorm": lambda: nn.Sequential(
        nn.BatchNorm1d(3, eps=1e-3, momentum=None),
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(5, affine=False, track_running_stats=False),
    ),
    "Embedding": lambda: nn.Sequential(nn.Embedding(7, 3), nn.Embedding(7, 3, padding_idx=-1)),
    "Dropout": lambda: nn.Dropout(0.25),
    "shape": lambda: nn.Sequential(nn.Flatten(), nn.Flatten(0, 1), nn.Identity()),
    "activations": lambda: nn.Sequential(
        nn.GELU(),
        nn.LogSoftmax(-1),
        nn.Softmax(dim=1),
        *[getattr(nn, row.layer)(**row.options) for row in FUNCTIONS.values()],
    ),
    "losses": lambda: nn.ModuleList(
        [nn.CrossEntropyLoss(ignore_index=3, label_smoothing=0.1), nn.CTCLoss(2, "sum", True)]
        + [getattr(nn, row.layer)(reduction="sum", **row.options) for row in LOSSES.values()]
    ),
    "CRF": lambda: nn.ModuleList([nn.CRF(5), nn.CRF(3, batch_first=True)]),
    "recurrent": lambda: nn.ModuleList(
        [
            nn.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.5, batch_first=True),
            nn.GRU(3, 4, bias=False),
            nn.RNN(3, 4, nonlinearity="relu"),
        ]
    ),
    "steps": lambda: nn.ModuleList([nn.Output(), nn.LastStep(), nn.LastStep(True), nn.LastStep(batch_first=False)]),
    "cells": lambda: nn.ModuleList([nn.LSTMCell(3, 4), nn.GRUCell(3, 4, bias=False), nn.RNNCell(3, 4)]),
    "named": lambda: nn.Sequential({"first": nn.Linear(2, 2), "then": nn.Sequential(nn.ReLU(), nn.Linear(2, 1))}),
    "dict": lambda: nn.ModuleDict({"b": nn.Linear(2, 2), "a": nn.ModuleList([nn.Linear(1, 1), nn.ModuleDict()])}),
    "empty": lambda: nn.Sequential(),
}


# Round trips


@pytest.mark.parametrize("name", CASES)
def test_every_layer_comes_back(name, path):
    model = CASES[name]()
    for parameter in model.parameters():  # no initial value that a new layer would have as well
        parameter.data[...] = generator().standard_normal(parameter.shape)
    fnn.save(model, path)
    state = generator().bit_generator.state
    again = fnn.load(path)
    assert generator().bit_generator.state == state, "load draws random numbers"
    assert repr(again) == repr(model)
    assert not any(module.training for module in again.modules())
    assert architecture.describe(again) == architecture.describe(model)
    assert_same_state(again.state_dict(), model.state_dict())
    assert all(p.numpy().flags.writeable for p in again.parameters())
    for loaded, parameter in zip(again.parameters(), model.parameters(), strict=True):
        assert loaded.numpy().strides == parameter.numpy().strides


def test_no_layer_is_forgotten():
    covered = {type(module) for make in CASES.values() for module in make().modules()}
    assert covered >= set(architecture.layer_classes().values())


def test_a_loaded_model_predicts_and_learns_the_same(path, rng):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    x, target = rng.standard_normal((5, 1, 8, 8)).astype(np.float32), [0, 1, 2, 0, 1]
    model(x)  # moves the running statistics
    fnn.save(model, path)
    again = fnn.load(path)
    assert (
        np.asarray(again(x).data).tobytes() == model.predict(x).tobytes()
    )  # in evaluation mode, as it comes from the file
    again.train()
    for m in (model, again):
        optimizer = fnn.optim.SGD(m.parameters(), lr=0.1)
        fnn.losses.cross_entropy(m(x), target).backward()
        optimizer.step()
    assert_same_state(again.state_dict(), model.state_dict())


@pytest.mark.parametrize("dtype", sorted(checkpoint._DTYPES.values()))
def test_arrays_of_every_dtype(dtype, path, rng):
    array = rng.integers(0, 100, (3, 4)).astype(dtype)
    state = {
        "whole": array,
        "column": array[:, 1],
        "turned": array.T,
        "back": array[::-1],
        "scalar": array[0, 0].copy(),
    }
    state |= {
        "none": array[:0],
        "fortran": np.asfortranarray(array),
        "big": array.astype(array.dtype.newbyteorder(">")),
    }
    fnn.save(state, path)
    loaded = fnn.load_state(path)
    assert set(loaded) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].shape == np.shape(value)
        assert loaded[name].dtype == np.dtype(dtype)


def test_equal_models_make_equal_files(path, tmp_path):
    model = small_model()
    fnn.save(model, path, metadata={"b": 1, "a": [1, 2]})
    fnn.save(fnn.load(path), tmp_path / "again", metadata={"a": [1, 2], "b": 1})
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_metadata(path):
    for metadata in ({"vocabulary": "añ\n\u2028", "epochs": 3, "nested": {"x": [1.5, None, True]}}, {}, None):
        fnn.save(small_model(), path, metadata=metadata)
        assert fnn.load_metadata(path) == (metadata or {})
    with pytest.raises(TypeError, match="metadata is not JSON"):
        fnn.save(small_model(), path, metadata={"x": object()})
    loop = {}
    loop["self"] = loop
    with pytest.raises(TypeError, match="metadata is not JSON"):
        fnn.save(small_model(), path, metadata=loop)


def test_numpy_arguments_are_written_as_numbers(path):
    layer = nn.Conv2d(np.int64(1), np.int32(2), np.int64(3))
    fnn.save(layer, path)
    assert repr(fnn.load(path)) == repr(layer)


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 3)

    def forward(self, x):
        return self.first(x)


class MyLinear(nn.Linear):
    pass


def with_an_extra_parameter():
    layer = nn.Linear(2, 2)
    layer.scale = nn.Parameter(np.ones(2))
    return layer


def with_another_size():
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(np.ones((2, 5)))
    return layer


def with_another_dtype():
    layer = nn.BatchNorm1d(2)
    layer.num_batches_tracked = np.array(1.0)
    return layer


def with_a_buffer():
    layer = nn.Linear(2, 2)
    layer.register_buffer("scale", np.ones(2))
    return layer


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Net, "Net is not one of fastnn's layers"),
        (lambda: nn.Sequential(nn.ReLU(), Net()), "Net is not one of fastnn's layers"),
        (lambda: MyLinear(2, 2), "MyLinear is not one of fastnn's layers"),
        (with_an_extra_parameter, "this Linear has parts added or changed after it was made"),
        (with_another_dtype, "this BatchNorm1d has parts added or changed after it was made"),
        (with_a_buffer, "this Linear has parts added or changed after it was made"),
        (with_another_size, "this Linear has parts added or changed after it was made"),
        (lambda: nn.CrossEntropyLoss(weight=np.ones(3)), "an argument of the type ndarray cannot be written"),
    ],
)
def test_models_that_a_file_cannot_describe(make, reason, path):
    model = make()
    fnn.save(model, path)
    with pytest.raises(CheckpointError, match=re.escape(reason)) as caught:
        fnn.load(path)
    assert str(path) in str(caught.value)
    assert "load_state_dict(fastnn.load_state(path))" in str(caught.value)
    other = make()
    other.load_state_dict(fnn.load_state(path))
    assert_same_state(other.state_dict(), model.state_dict())


def test_arrays_are_no_model(path):
    fnn.save({"x": np.ones(3)}, path)
    with pytest.raises(CheckpointError, match="no model to rebuild"):
        fnn.load(path)


def test_the_same_module_without_parameters_twice(path):
    relu = nn.ReLU()
    fnn.save(nn.Sequential(relu, nn.Linear(2, 2), relu), path)
    assert [type(layer).__name__ for layer in fnn.load(path)] == ["ReLU", "Linear", "ReLU"]


# torch


def test_torch_reads_and_writes_the_same_files(path, tmp_path):
    torch = pytest.importorskip("torch")
    import safetensors.torch

    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten())
    theirs.append(torch.nn.LSTM(72, 5, num_layers=2, bidirectional=True))
    ours = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LSTM(72, 5, 2, bidirectional=True))
    safetensors.torch.save_file(theirs.state_dict(), path)
    ours.load_state_dict(fnn.load_state(path))
    fnn.save(ours, tmp_path / "ours")
    back = safetensors.torch.load_file(tmp_path / "ours")
    assert set(back) == set(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(back[name], value)
        assert back[name].dtype == value.dtype
    theirs.load_state_dict(back)
    with pytest.raises(CheckpointError, match="no model to rebuild"):
        fnn.load(path)
    ours.load_state_dict(theirs.state_dict())
    fnn.save(theirs.state_dict(), path)
    assert_same_state(fnn.load_state(path), dict(sorted(ours.state_dict().items())))


def test_bfloat16_of_torch_becomes_float32(path):
    torch = pytest.importorskip("torch")
    import safetensors.torch

    x = torch.tensor([[1.0, -2.5], [3e38, 1e-40]], dtype=torch.bfloat16)
    safetensors.torch.save_file({"x": x, "n": torch.tensor(float("nan"), dtype=torch.bfloat16)}, path)
    loaded = fnn.load_state(path)
    np.testing.assert_array_equal(loaded["x"], x.float().numpy())
    assert np.isnan(loaded["n"])
    assert loaded["n"].shape == ()

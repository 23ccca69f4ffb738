"""Everything of a training run in one file: what comes back is what went in, of the same types, to the bit."""

from __future__ import annotations

import collections
import json
import math
import re

import numpy as np
import pytest
import safetensors.numpy
from models import assert_same_state, small_model

import fastnn as fnn
from fastnn import nn, optim
from fastnn.files import checkpoint
from fastnn.files.checkpoint import CheckpointError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


def assert_same(a, b):
    """The same types all the way down, the same keys in the same order, the same bits."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert [(type(key), key) for key in a] == [(type(key), key) for key in b]
        a, b = list(a.values()), list(b.values())
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, two in zip(a, b, strict=True):
            assert_same(one, two)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, float):
        assert a.hex() == b.hex()
        assert math.copysign(1, a) == math.copysign(1, b)
    else:
        assert a == b


def trained(name):
    """An optimizer of fastnn.optim after two steps."""
    model = small_model()
    kind = getattr(optim, name)
    optimizer = kind([{"params": model[0].parameters(), "lr": 0.03}, {"params": list(model[3].parameters())}], lr=0.1)
    for _ in range(2):
        model(np.ones((2, 1, 4, 4))).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


OPTIMIZERS = [
    name for name in optim.__all__ if name != "Optimizer" and issubclass(getattr(optim, name), optim.Optimizer)
]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name, path):
    model, optimizer = trained(name)
    state = optimizer.state_dict()
    fnn.save(optimizer, path)
    assert_same(fnn.load_state(path), state)
    fnn.save(state, path)
    assert_same(fnn.load_state(path), state)
    with pytest.raises(CheckpointError, match=r"no model to rebuild \(it holds a state\)"):
        fnn.load(path)
    other = getattr(optim, name)([{"params": m.parameters()} for m in (model[0], model[3])], lr=0.5)
    other.load_state_dict(fnn.load_state(path))
    assert_same(other.state_dict(), state)


def test_a_whole_run(path):
    model, optimizer = trained("Adam")
    rng = np.random.default_rng(3)
    whole = {
        "net": model.state_dict(),
        "opt": optimizer.state_dict(),
        "epoch": 3,
        "rng": rng.bit_generator.state,  # with integers of 128 bits
        "history": [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": float("nan")}],
    }
    fnn.save(whole, path, metadata={"by": "test"})
    again = fnn.load_state(path)
    assert_same(again, whole)
    assert fnn.load_metadata(path) == {"by": "test"}
    fresh = np.random.default_rng()
    fresh.bit_generator.state = again["rng"]
    assert fresh.random() == rng.random()
    model.load_state_dict(again["net"])
    arrays = safetensors.numpy.load_file(path)  # others find the arrays under the names that one expects
    assert_same_state({"0.weight": arrays["net.0.weight"]}, {"0.weight": whole["net"]["0.weight"]})
    assert "opt.state.0.exp_avg" in arrays


NUMBERS = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, -(2**200), 10**5000]
NUMBERS += [0.0, -0.0, 0.1, 1e-323, 1.7976931348623157e308, math.inf, -math.inf, math.nan, True, False, None]
VALUES = {
    "numbers": {str(i): number for i, number in enumerate(NUMBERS)},
    "keys": {0: "a", "0": "b", -3: "c", "": "d", 2**70: "e", "é\n\ud800": "f"},
    "sequences": {"list": [], "tuple": (), "nested": [(1,), [2, (3.0, "x", [None])], {"a": ()}], "dict": {}},
    "texts": {"plain": "a", "empty": "", "odd": "\x00\ud800\u2028é", "json": '{"array": "x"}'},
    "like a skeleton": {"array": {"array": "x"}, "dict": {"dict": []}, "list": {"list": 3}, "float": {"float": "nan"}},
    "numpy numbers": {"a": np.float32(0.1), "b": np.int8(-3), "c": [np.bool_(True), (np.uint64(2**64 - 1),)]},
    "clashing names": {"a.b": np.ones(1), "a": {"b": np.ones(2), "b~1": np.ones(3)}, 1: np.ones(4), "1": np.ones(5)},
    "reserved names": {"x": {"__metadata__": np.ones(1)}, "__metadata__": [np.ones(2)], "": np.ones(3), "y": 1},
    "arrays": {
        "list": [np.arange(6).reshape(2, 3).T, np.ones((2, 3))[:, ::2], np.zeros((0, 3)), np.array(3.5)],
        "tuple": (np.array([True, False]), np.float16([1, 2]), np.uint8([255])),
    },
    "empty": {},
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_what_went_in_comes_back(name, path):
    fnn.save(VALUES[name], path)
    assert_same(fnn.load_state(path), VALUES[name])


def test_random_nests(path, rng):
    leaves = [value for group in VALUES.values() for value in group.values()]

    def nest(depth):
        if depth == 0 or rng.random() < 0.2:
            return leaves[rng.integers(len(leaves))]
        parts = [nest(depth - 1) for _ in range(rng.integers(4))]
        kind = rng.integers(3)
        keys = [int(k) if rng.random() < 0.5 else f"k{k}" for k in rng.permutation(9)[: len(parts)]]
        return parts if kind == 0 else tuple(parts) if kind == 1 else dict(zip(keys, parts, strict=True))

    for _ in range(60):
        value = {"top": nest(4), "x": rng.standard_normal(2)}
        fnn.save(value, path)
        assert_same(fnn.load_state(path), value)


def test_tensors_are_saved_as_their_arrays(path):
    parameter = nn.Parameter([1.0, 2.0])
    value = {"list": [parameter, parameter * 2], "flag": True}
    fnn.save(value, path)
    assert_same(fnn.load_state(path), {"list": [np.float32([1, 2]), np.float32([2, 4])], "flag": True})
    fnn.save({"weight": parameter}, path)
    assert_same(fnn.load_state(path), {"weight": np.float32([1, 2])})
    ordered = collections.OrderedDict(a=collections.defaultdict(int, b=1))
    fnn.save(ordered, path)
    assert_same(fnn.load_state(path), {"a": {"b": 1}})


def test_torch_tensors_are_saved_as_their_arrays(path):
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.tensor([1.5, -2.0]))
    state = {"w": weight, "half": torch.tensor([1.5], dtype=torch.bfloat16), "step": 3, "long": torch.tensor([2**40])}
    fnn.save(state, path)
    want = {"w": np.float32([1.5, -2]), "half": np.float32([1.5]), "step": 3, "long": np.array([2**40])}
    assert_same(fnn.load_state(path), want)
    theirs = torch.optim.Adam([weight])
    weight.sum().backward()
    theirs.step()
    ours = fnn.optim.Adam([fnn.Parameter([1.5, -2.0])])
    fnn.save({"opt": theirs.state_dict()}, path)
    ours.load_state_dict(fnn.load_state(path)["opt"])
    np.testing.assert_array_equal(ours.state_dict()["state"][0]["exp_avg"], theirs.state_dict()["state"][0]["exp_avg"])


def test_double_precision_of_torch_survives():
    torch = pytest.importorskip("torch")
    model = nn.Identity()
    model.register_buffer("third", np.zeros(1))
    model.load_state_dict({"third": torch.tensor([1 / 3], dtype=torch.float64)})
    assert model.third[0] == 1 / 3


def test_integers_that_do_not_fit_are_refused():
    model = nn.Identity()
    model.register_buffer("count", np.zeros(2, np.int8))
    model.load_state_dict({"count": np.array([1, -128])})
    with pytest.raises(ValueError, match="count has int64 in state_dict that int8 of the model cannot hold"):
        model.load_state_dict({"count": np.array([1, 300])})
    assert list(model.count) == [1, -128]


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": {"b": {1, 2}}}, "a.b is a set, expected arrays, numbers"),
        ({"a": [0, object()]}, "a.1 is a object"),
        ({"a": b"bytes"}, "a is a bytes"),
        ({"a": 1j}, "a is a complex"),
        ({"a": Point(1, 2)}, "a is a Point"),
        ({"net": small_model(), "epoch": 1}, "net is a Sequential, expected arrays, .* give its state_dict()"),
        ({"a": {1.5: 2}}, "a has the key 1.5 of the type float"),
        ({(1, 2): 2}, "the mapping has the key (1, 2) of the type tuple"),
        ({"a": {True: 2}}, "a has the key True of the type bool"),
        ({"a": 1, "b": np.ones(2, complex)}, "b has dtype complex128"),
        ({"a": 1, "b": np.array(["x"])}, "b has dtype <U1"),
        ({"a": [np.ma.masked_array([1.0], [True])]}, "a.0 is a masked array"),
    ],
)
def test_what_would_not_come_back_is_refused(value, reason, path):
    with pytest.raises(TypeError, match=re.escape("save: " + reason).replace(re.escape(".*"), ".*")):
        fnn.save(value, path)
    assert not path.exists()


def test_a_mapping_that_holds_itself(path):
    loop = {"a": 1}
    loop["loop"] = [loop]
    with pytest.raises(TypeError, match="holds itself"):
        fnn.save(loop, path)


def test_flat_mappings_of_arrays_have_the_file_that_they_always_had(path):
    state = small_model().state_dict()
    fnn.save(state, path)
    record = json.loads(checkpoint._header(path.read_bytes())[checkpoint._KEY])
    assert record["format"] == 1
    assert "skeleton" not in record
    assert sorted(safetensors.numpy.load_file(path)) == sorted(state)


def forge(path, skeleton, state):
    record = {"format": 2, "architecture": None, "skeleton": skeleton}
    record["sha256"] = checkpoint._digest(record, state)
    path.write_bytes(safetensors.numpy.save(state, {checkpoint._KEY: json.dumps(record)}))


@pytest.mark.parametrize(
    ("skeleton", "reason"),
    [
        ({"dict": []}, "arrays that the skeleton does not have: ['x']"),
        ({"dict": [["a", {"array": "y"}]]}, "no array 'y'"),
        ({"dict": [["a", {"array": "x"}], ["b", {"array": "x"}]]}, "no array 'x', or it is there twice"),
        ({"dict": [["a", {"array": ["x"]}]]}, "no array ['x']"),
        ({"dict": [["a", {"scalar": "x"}]]}, "'x' has shape (2,), expected a number"),
        ({"dict": [["a", 1], ["a", {"array": "x"}]]}, "no entry of a dict: ['a'"),
        ({"dict": [[1.5, {"array": "x"}]]}, "no entry of a dict"),
        ({"dict": [[None, {"array": "x"}]]}, "no entry of a dict"),
        ({"dict": [[{"list": []}, {"array": "x"}]]}, "no entry of a dict"),
        ({"dict": [["a"]]}, "no entry of a dict: ['a']"),
        ({"dict": {"a": {"array": "x"}}}, "no part of a skeleton"),
        ({"dict": [], "list": []}, "no part of a skeleton"),
        ({"eval": "1"}, "no part of a skeleton: {'eval': '1'}"),
        ({"dict": [["a", [1]]]}, "no part of a skeleton: [1]"),
        ({"dict": [["a", {"int": "0x"}]]}, "invalid literal"),
        ({"dict": [["a", {"int": 3}]]}, "no part of a skeleton"),
        ({"dict": [["a", {"float": "x"}]]}, "could not convert"),
        ({"array": "x"}, "the skeleton is that of a ndarray"),
        ({"list": [{"array": "x"}]}, "the skeleton is that of a list"),
        (None, "arrays that the skeleton does not have"),
    ],
)
def test_forged_skeletons(skeleton, reason, path):
    forge(path, skeleton, {"x": np.ones(2, np.float32)})
    with pytest.raises(CheckpointError, match=re.escape(reason)) as caught:
        fnn.load_state(path)
    assert str(path) in str(caught.value)


def test_nests_that_are_deeper_than_the_stack(path):
    for depth in range(50, 1200, 23):
        try:
            value = 1.5
            for _ in range(depth):
                value = [value]
            fnn.save({"a": value}, path)
        except TypeError as error:
            assert "nested too deep" in str(error)  # noqa: PT017  (either is right)
        skeleton = '{"list": [' * depth + "]}" * depth
        text = f'{{"format": 2, "sha256": "", "architecture": null, "skeleton": {{"dict": [["a", {skeleton}]]}}}}'
        path.write_bytes(safetensors.numpy.save({"x": np.ones(2)}, {checkpoint._KEY: text}))
        for load in (fnn.load_state, fnn.load, fnn.load_metadata):
            with pytest.raises(CheckpointError, match=r"checksum|not JSON"):
                load(path)


def test_every_changed_byte_of_a_state_is_noticed(path, rng):
    fnn.save({"a": [1, 2.5, "text"], "x": {3: np.ones(3)}}, path)
    whole = path.read_bytes()
    value = fnn.load_state(path)
    header = 8 + int.from_bytes(whole[:8], "little")
    spaces = range(whole.rindex(b"}", 0, header) + 1, header)
    for place in sorted({*rng.integers(0, len(whole), 500).tolist()} - set(spaces)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            got = fnn.load_state(path)
        except CheckpointError:
            continue
        assert list(got) != list(value)  # the file looks like another library's: its key is damaged

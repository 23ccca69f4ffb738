"""Files that are damaged, malformed or forged: an error with path and reason, no crash, no memory, no code run."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from models import assert_same_state, small_model

import fastnn as fnn
from fastnn.files import checkpoint
from fastnn.files import description as architecture
from fastnn.files.checkpoint import CheckpointError


@pytest.fixture
def saved(path):
    fnn.save(small_model(), path)
    return path


def rewrite(path, change):
    """Applies ``change`` to the record of a file and puts the right checksum in: a forged file."""
    state = fnn.load_state(path)
    record = json.loads(checkpoint._header(path.read_bytes())[checkpoint._KEY])
    record = change(record) or record
    if isinstance(record, dict):
        record["sha256"] = checkpoint._digest(record, state)
    path.write_bytes(safetensors.numpy.save(state, {checkpoint._KEY: json.dumps(record)}))


def outcome(path):
    """What the two readers make of a file: arrays, or None where they raised the error that they should."""
    results = []
    for load in (lambda p: fnn.load(p).state_dict(), fnn.load_state):
        arrays = None
        with contextlib.suppress(CheckpointError):
            arrays = load(path)
        results.append(arrays)
    return results


def test_every_changed_byte_is_noticed(saved, rng):
    whole, original = saved.read_bytes(), fnn.load(saved).state_dict()
    header = 8 + int.from_bytes(whole[:8], "little")
    spaces = range(whole.rindex(b"}", 0, header) + 1, header)  # padding of the header carries no information
    places = {*range(12), *range(header - 12, header + 12), *rng.integers(0, len(whole), 600).tolist(), len(whole) - 1}
    for place in sorted(places - set(spaces)):
        for flip in (1 << int(rng.integers(8)), 0xFF):
            damaged = bytearray(whole)
            damaged[place] ^= flip
            saved.write_bytes(damaged)
            model, arrays = outcome(saved)
            assert model is None, (place, flip)
            if arrays is not None:  # the file looks like another library's: its key is damaged, the arrays are not
                assert_same_state({n: arrays[n] for n in original}, original)


def test_every_truncation_is_noticed(saved, rng):
    whole = saved.read_bytes()
    for length in sorted({*range(20), *rng.integers(0, len(whole), 200).tolist(), len(whole) - 1}):
        saved.write_bytes(whole[:length])
        assert outcome(saved) == [None, None], length
    saved.write_bytes(whole + b"\0")
    assert outcome(saved) == [None, None]


def test_random_mutations_never_do_worse(saved, rng):
    whole = saved.read_bytes()
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            start, other = rng.integers(0, len(damaged), 2)
            size = int(rng.integers(0, 40))
            kind = rng.integers(3)
            if kind == 0:
                del damaged[start : start + size]
            elif kind == 1:
                damaged[start:start] = rng.bytes(size)
            else:
                damaged[start : start + size] = damaged[other : other + size]
        saved.write_bytes(damaged)
        assert outcome(saved)[0] is None or bytes(damaged) == whole


def raw(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header too small"),
        (b"\x80\x04\x95 a pickle \x94.", "header too large"),
        (raw(b"{" * 50), "invalid JSON"),
        (raw(b"[" * 100_000), "not a whole safetensors file"),
        (raw({"a": entry("F99")}, b"1234"), "F99"),
        (raw({"a": entry("F4", (2,), (0, 1))}, b"1"), "dtype F4, which NumPy does not have"),
        (raw({"a": entry(shape=(2,))}, b"1234"), "invalid shape"),
        (raw({"a": entry(shape=(2**40, 2**40))}, b"1234"), "overflow"),
        (raw({"a": entry(offsets=(0, 2**62))}, b"1234"), "not a whole safetensors file"),
        (raw({"a": entry(), "b": entry()}, b"1234"), "invalid offset"),
        (raw({"a": entry(), "__metadata__": {"fastnn": 3}}, b"1234"), "invalid JSON"),
        (raw({"a": entry(), "__metadata__": {"fastnn": "{"}}, b"1234"), "the metadata is not JSON"),
        (raw({"a": entry(), "__metadata__": {"fastnn": "[" * 200_000}}, b"1234"), "the metadata is not JSON"),
        (raw({"a": entry(), "__metadata__": {"fastnn": "9" * 5000}}, b"1234"), "the metadata is not JSON"),
        (raw({"a": entry(), "__metadata__": {"fastnn": "3"}}, b"1234"), "has no format number"),
        (raw({"a": entry(), "__metadata__": {"fastnn": '{"format": 1}'}}, b"1234"), "the checksum does not match"),
        (raw({"a": entry(), "__metadata__": {"fastnn": '{"format": 7}'}}, b"1234"), "reads up to format 3"),
    ],
)
def test_malformed_files(content, reason, path):
    path.write_bytes(content)
    for load in (fnn.load, fnn.load_state, fnn.load_metadata):
        with pytest.raises(CheckpointError, match=re.escape(reason)) as caught:
            load(path)
        assert str(path) in str(caught.value)


def deep(depth):
    description = {"layer": "ReLU", "arguments": {"inplace": False}}
    for _ in range(depth):
        description = {"layer": "Sequential", "children": [["0", description]]}
    return description


LINEAR = {"in_features": 8, "out_features": 3, "bias": True}


def only(description):
    return {"layer": "Sequential", "children": [["3", description]]}


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({"layer": "Pickle", "arguments": {}}, "unknown layer class 'Pickle'"),
        ({"layer": "Module", "arguments": {}}, "unknown layer class 'Module'"),
        ({"layer": "__class__", "arguments": {}}, "unknown layer class"),
        ({"layer": 3}, "no layer in the description"),
        ([], "no layer in the description"),
        ({"layer": "Sequential"}, "Sequential without children"),
        ({"layer": "Sequential", "children": [["0"]]}, "with the child ['0']"),
        ({"layer": "Sequential", "children": [["0", deep(0)], ["0", deep(0)]]}, "with the child"),
        (only({"layer": "Linear", "arguments": LINEAR}), "arrays missing: [], left over: ['0.bias', '0.weight']"),
        (deep(2), "left over"),
        (deep(300), "left over"),
        (only({"layer": "Linear", "arguments": {"in_features": 8}}), "arguments of Linear do not fit"),
        (only({"layer": "Linear", "arguments": LINEAR | {"__class__": 1}}), "arguments of Linear do not fit"),
        (only({"layer": "Linear", "arguments": LINEAR | {"out_features": "os.system"}}), "expected an integer"),
        (only({"layer": "Linear", "arguments": LINEAR | {"in_features": -1}}), "in_features is -1"),
        (
            only(
                {
                    "layer": "RNN",
                    "arguments": {
                        "input_size": 8,
                        "hidden_size": 3,
                        "num_layers": 2**30,
                        "nonlinearity": "tanh",
                        "bias": True,
                        "batch_first": False,
                        "dropout": 0.0,
                        "bidirectional": False,
                    },
                }
            ),
            "num_layers=1073741824, but there are 4 arrays",
        ),
    ],
)
def test_forged_descriptions(description, reason, saved):
    rewrite(saved, lambda record: record.update(architecture=description))
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        fnn.load(saved)
    fnn.load_state(saved)  # the arrays are whole


def huge_layers():
    n = 2**31 - 1
    linear = {"in_features": n, "out_features": n, "bias": True}
    norm = {"num_features": n, "eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
    yield "Linear", linear
    yield "Embedding", {"num_embeddings": n, "embedding_dim": n, "padding_idx": 0}
    yield "BatchNorm2d", norm
    yield "LSTMCell", {"input_size": n, "hidden_size": n, "bias": True}


@pytest.mark.parametrize(("layer", "arguments"), list(huge_layers()))
def test_absurd_sizes_are_refused_before_memory_is_taken(layer, arguments, saved):
    resource = pytest.importorskip("resource")
    rewrite(saved, lambda record: record.update(architecture=only({"layer": layer, "arguments": arguments})))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        fnn.load(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize(
    ("bias", "reason"),
    [
        (None, "arrays missing: ['3.bias'], left over: []"),
        (np.zeros(4, np.float32), "3.bias has shape (4,), the layer expects (3,)"),
        (np.zeros((), np.float32), "3.bias has shape (), the layer expects (3,)"),
        (np.zeros(3, np.int64), "3.bias has dtype int64, the layer expects float32"),
    ],
)
def test_missing_and_wrong_arrays(bias, reason, path):
    model = small_model()
    state = model.state_dict()
    del state["3.bias"]
    if bias is not None:
        state["3.bias"] = bias
    record = {"format": 1, "architecture": architecture.describe(model)}
    record["sha256"] = checkpoint._digest(record, state)
    path.write_bytes(safetensors.numpy.save(state, {checkpoint._KEY: json.dumps(record)}))
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        fnn.load(path)


def test_a_newer_format_says_so(saved):
    rewrite(saved, lambda record: record.update(format=4, version="9.0"))
    with pytest.raises(CheckpointError, match=r"format 4 by fastnn 9\.0; .* pip install --upgrade fastnn-cpu"):
        fnn.load_state(saved)


def test_loading_executes_and_opens_nothing_else(saved):
    code = """
import sys, fastnn as fnn
fnn.load(sys.argv[1])  # imports what is imported on the first call
events = []
sys.addaudithook(lambda event, args: events.append((event, args)))
fnn.load(sys.argv[1])
done = list(events)
opened = [args[0] for event, args in done if event == "open"]
assert opened == [sys.argv[1]], opened
bad = ("exec", "compile", "import", "pickle.", "os.", "subprocess.", "socket.", "ctypes.", "marshal.")
assert not [event for event, _ in done if event.startswith(bad)], done
"""
    subprocess.run([sys.executable, "-c", code, str(saved)], check=True)


def test_unreadable_files(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        fnn.load(path)
    with pytest.raises(IsADirectoryError):
        fnn.load_state(tmp_path)

"""Models, optimizers and states in files: safetensors, with what a model is made of as JSON in the metadata.

A file is written under another name, synced and then renamed: after a crash, a full disk or a power cut it is the old
one or the new one. It carries a SHA-256 of everything in it, checked when it is read. Reading runs no code of the file
(nothing is unpickled), opens no other file, and answers every malformed file with a CheckpointError.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.files.atomic import write_atomically
from fastnn.files.description import NotRebuildable, build, describe, has_ties
from fastnn.files.foreign import described
from fastnn.files.graphs import build_graph, describe_graph, state_of, traced
from fastnn.files.skeleton import is_flat, put_together, take_apart
from fastnn.nn.graph_module import GraphModule
from fastnn.nn.module import Module
from fastnn.nn.state import plain_array
from fastnn.optim.optimizer import Optimizer

State = dict[str, npt.NDArray[Any]]
Path = str | os.PathLike[str]

FORMAT = 3  # of the metadata; a reader refuses larger numbers
_NESTED = 2  # the format of files without graphs, and
_SIMPLE = 1  # of those without ties and nested states, which older readers know as well
_KEY = "fastnn"  # of safetensors' __metadata__; its value is one JSON text, so that equal models make equal files
_MAX_HEADER = 100_000_000  # bytes, safetensors' own limit
_DTYPES = {
    "BOOL": "bool",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "I8": "i1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "U8": "u1",
}
_SAVED = {np.dtype(text) for text in _DTYPES.values()}


class CheckpointError(ValueError):
    """A file is not what it should be; the message has its path and the reason."""


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(record: Mapping[str, Any], state: State) -> str:
    """SHA-256 over the record (but for the digest itself) and the name, dtype, shape and bytes of every array."""
    import hashlib  # not with fastnn: OpenSSL takes 3 ms to load

    digest = hashlib.sha256(_json({k: v for k, v in record.items() if k != "sha256"}).encode())
    for name in sorted(state):
        array = state[name]
        digest.update(_json([name, array.dtype.str, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _as_state(arrays: Mapping[str, Any]) -> State:
    """Arrays as the file format has them: dense, C order, little endian. The library writes others wrongly."""
    state = {}
    for name, value in arrays.items():
        if type(name) is not str or name == "__metadata__":
            raise TypeError(f"save: {name!r} cannot be the name of an array")
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"save: {name} is a masked array, whose mask a file cannot hold; save data and mask")
        array = np.asarray(plain_array(value))
        array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        if array.dtype not in _SAVED:
            raise TypeError(f"save: {name} has dtype {array.dtype}; a file can hold real numbers of 8 to 64 bits")
        state[name] = array
    return state


def save(
    model_or_state: Module | Optimizer | Mapping[Any, Any],
    path: Path,
    metadata: Mapping[str, Any] | None = None,
    *,
    example: Any = None,
) -> None:
    """Writes a model, an optimizer or a state to one safetensors file, all or nothing.

    Args:
        model_or_state: a Module; an Optimizer, which stands for its ``state_dict()``; or a mapping: from names to
            arrays, such as ``state_dict()`` gives, or nested, of dicts with str or int keys, lists, tuples, numbers,
            strings, bool, None, arrays and Tensors.
        path: the file; one that exists is replaced in one step, and left alone when anything fails.
        metadata: anything JSON can hold, such as {"vocabulary": "abc"}, for ``load_metadata``. Default none.
        example: an input of a model with a class of yours: an array, a shape, or a tuple of these for a model of
            several inputs, as ``trace`` takes them. Then what it computes is written too. Default None.

    A model made of fastnn's own layers comes back by ``load(path)``, with one Parameter where it had one in several
    places; it needs no example. One with a class of yours comes back where there is an ``example``, without its code:
    as an nn.GraphModule, which gives the same bits on inputs of the sizes that the trace finds free, and is trained on
    where training is a graph as well. Without an example the weights are written, and the file says why it takes
    ``model.load_state_dict(load_state(path))``. Whether a parameter is frozen, the mode and gradients are not written.
    A mapping comes back by ``load_state(path)``, of the same types and to the bit; mappings come back as dicts, Tensors
    as their arrays. In the file, arrays have the names on the way to them, joined by dots.

    Raises OSError as the file system does, ValueError for a path that is no regular file, TypeError for arrays of
    complex numbers or objects, for other values in a mapping and for metadata that JSON cannot hold, TraceError where
    no graph holds what the model computes for the example.

    >>> import tempfile, numpy as np, fastnn as fnn
    >>> from fastnn import nn
    >>> model, x = nn.Conv2d(1, 2, 3), np.ones((1, 1, 8, 8), np.float32)
    >>> optimizer = fnn.optim.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fnn.save(model, f"{folder}/model.safetensors", metadata={"trained on": "nothing"})
    ...     again = fnn.load(f"{folder}/model.safetensors")
    ...     fnn.save({"optimizer": optimizer.state_dict(), "epoch": 3}, f"{folder}/run.safetensors")
    ...     run = fnn.load_state(f"{folder}/run.safetensors")
    >>> np.array_equal(model(x), again(x)), run["epoch"], run["optimizer"] == optimizer.state_dict()
    (True, 3, True)
    """
    import safetensors.numpy

    record, state = _record(model_or_state, example)
    try:
        record["metadata"] = json.loads(json.dumps(dict(metadata or {})))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"save: metadata is not JSON: {error}") from error
    record["sha256"] = _digest(record, state)
    data = safetensors.numpy.save(state, {_KEY: _json(record)})
    if int.from_bytes(data[:8], "little") > _MAX_HEADER:
        raise ValueError(f"save: names, shapes and metadata take more than {_MAX_HEADER} bytes")
    write_atomically(path, data)


def _record(value: Any, example: Any) -> tuple[dict[str, Any], State]:
    """What the metadata say of a model or a state, and its arrays."""
    record: dict[str, Any] = {"format": _SIMPLE, "version": _core.__version__, "architecture": None}
    if isinstance(value, Module):
        return _record_of_model(value, example, record)
    if isinstance(value, Optimizer):
        value = value.state_dict()
    if not isinstance(value, Mapping):
        raise TypeError(f"save: got a {type(value).__name__}, expected a Module, an Optimizer or a mapping")
    if not is_flat(value):
        record["format"] = _NESTED
        record["skeleton"], value = take_apart(value)
    return record, _as_state(value)


def _record_of_model(model: Module, example: Any, record: dict[str, Any]) -> tuple[dict[str, Any], State]:
    try:
        if not isinstance(model, GraphModule):
            record["architecture"] = describe(model)
            record["format"] = _NESTED if has_ties(record["architecture"]) else _SIMPLE
            return record, _as_state(model.state_dict())
    except NotRebuildable as reason:
        if example is None:
            record["note"] = (
                f"{reason}: save it with an example of its input, save(model, path, example=x), or build the model, "
                "then model.load_state_dict(fastnn.load_state(path))"
            )
            return record, _as_state(model.state_dict())
    record["format"] = FORMAT
    try:
        record["graph"], arrays = describe_graph(traced(model, example))
    except (TypeError, ValueError) as error:
        raise type(error)(f"save: {error}") from error
    return record, _as_state(arrays)


def _header(data: bytes) -> dict[str, Any]:
    """The metadata of a file that safetensors has accepted."""
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__")
    return metadata if isinstance(metadata, dict) else {}


def _arrays(data: bytes, path: Path) -> State:
    import safetensors

    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        what = described(data)
        raise CheckpointError(
            f"{path}: not a whole safetensors file: {error}" + (f". It is {what}" if what else "")
        ) from error
    state: State = {}
    for name, entry in sorted(entries, key=lambda pair: pair[0]):
        if entry["dtype"] == "BF16":  # the upper half of a float32
            bits = np.frombuffer(entry["data"], "<u2").astype(np.uint32) << 16
            state[name] = bits.view(np.float32).reshape(entry["shape"])
        elif entry["dtype"] in _DTYPES:
            state[name] = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
        else:
            raise CheckpointError(f"{path}: {name} has the dtype {entry['dtype']}, which NumPy does not have")
    return state


def _read(path: Path) -> tuple[State, dict[str, Any] | None]:
    """Arrays and record of a file, verified; no record for files that others wrote."""
    with open(path, "rb") as file:
        data = file.read()
    state = _arrays(data, path)
    try:
        text = _header(data).get(_KEY)
        record = None if text is None else json.loads(text)
        _json(record)  # what is nested too deep for the digest
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the metadata is not JSON: {error}") from error
    if record is None:
        return state, None
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise CheckpointError(f"{path}: the metadata has no format number")
    if record["format"] > FORMAT:
        raise CheckpointError(
            f"{path}: written in format {record['format']} by fastnn {record.get('version')}; "
            f"this is fastnn {_core.__version__}, which reads up to format {FORMAT}. pip install --upgrade fastnn-cpu"
        )
    if record.get("sha256") != _digest(record, state):
        raise CheckpointError(f"{path}: the checksum does not match: the file was damaged after it was written")
    return state, record


def load_state(path: Path) -> dict[Any, Any]:
    """The state in a safetensors file: the nested mapping given to ``save``, or its arrays, sorted by name.

    ``model.load_state_dict(load_state(path))`` and ``optimizer.load_state_dict(load_state(path))`` take it. Files
    written by ``save`` are verified; files written by others, such as torch users, are read as well. bfloat16 becomes
    float32. Raises CheckpointError (a ValueError) for a file that is damaged or no safetensors file, OSError when it
    cannot be read.
    """
    state, record = _read(path)
    if record is None or not {"graph", "skeleton"} & record.keys():
        return state
    try:
        if "graph" in record:
            return {**state_of(record["graph"], state)}
        value = put_together(record["skeleton"], state)
        if not isinstance(value, dict):
            raise ValueError(f"the skeleton is that of a {type(value).__name__}")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    return value


def load_metadata(path: Path) -> dict[str, Any]:
    """The ``metadata`` given to ``save``; empty where there was none. Raises what ``load_state`` raises."""
    record = _read(path)[1]
    metadata = {} if record is None else record.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def load(path: Path) -> Module:
    """The model that ``save`` wrote, rebuilt from fastnn's own layers, or an nn.GraphModule where it was saved with an
    example, in evaluation mode: ``model.train()`` to go on training by hand; ``fit`` does it by itself.

    The random generator is not used. Raises CheckpointError (a ValueError) with the path and the reason when the file
    is damaged, holds no model, or holds one with a class that is not fastnn's and no example was given for; OSError
    when it cannot be read.
    """
    state, record = _read(path)
    graph = None if record is None else record.get("graph")
    if record is None or (record.get("architecture") is None and graph is None):
        held = "it holds a state" if record is not None and "skeleton" in record else "it holds arrays only"
        note = held if record is None else record.get("note", held)
        raise CheckpointError(
            f"{path}: no model to rebuild ({note}). Build the model and use model.load_state_dict(load_state(path))"
        )
    try:
        return (build(record["architecture"], state) if graph is None else build_graph(graph, state)).eval()
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error

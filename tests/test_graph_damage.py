"""Graphs of files that are malformed or forged: refused with a reason, or graphs whose calls work or raise an error."""

import copy
import json
import random
import re

import numpy as np
import pytest
import safetensors.numpy
from cases import CASES
from test_graph_files import network

import fastnn as fnn
from fastnn import nn
from fastnn.files import checkpoint
from fastnn.files.checkpoint import CheckpointError
from fastnn.files.graphs import build_graph, describe_graph


def parts_of(data, path=()):
    yield path
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from parts_of(data[key], (*path, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


_ODD = [-(2**63), -7, -1, 0, 1, 2, 3, 100, 2**31, 2**62, 2**70, 1.5, float("nan"), True, False, None, "", "x", "sum"]
_ODD += ["int64", [], {}, [1], {"ref": 0}, {"ref": 10**6}, {"size": [1, 5, 0]}, {"size": [2**61, 0, 0]}, {"list": [1]}]
_ODD += [{"tuple": []}, {"tuple": [1, 2]}, {"float": "inf"}, {"dict": [[1]]}]


def changed(data, draw):
    """The data with one to three parts replaced, added, left out, or put in the place of others."""
    data = copy.deepcopy(data)
    for _ in range(draw.choice([1, 1, 2, 3])):
        paths = [path for path in parts_of(data) if path]
        *outer, key = draw.choice(paths)
        where, what = at(data, outer), draw.randrange(4)
        if what == 0 or isinstance(where, dict):
            where[key] = copy.deepcopy(draw.choice(_ODD))
        elif what == 1:
            where.insert(key, copy.deepcopy(draw.choice(_ODD)))
        elif what == 2:
            del where[key]
        else:
            where[key] = copy.deepcopy(at(data, draw.choice(paths)))
    return data


def test_random_changes_are_refused_or_give_a_graph(rng):
    """Whatever the JSON says: refused when it is read, or a model, whose calls work or raise an error."""
    draw = random.Random(int(rng.integers(2**31)))
    model, inputs = network(rng)
    models = [(model, inputs)]
    for case in CASES.values():
        arrays = case.arrays(np.random.default_rng(2))
        graph = fnn.trace(lambda *xs, case=case: case.op(*xs, **case.options), *arrays)
        models.append((nn.GraphModule(graph), arrays))
    refused, worked = 0, 0
    for model, inputs in models:
        data, arrays = describe_graph(checkpoint.traced(model, tuple(inputs)))
        data = json.loads(json.dumps(data))
        for _ in range(20 if len(inputs) < 2 else 40):
            try:
                again = build_graph(changed(data, draw), arrays)
            except (ValueError, TypeError):
                refused += 1
                continue
            try:
                again(*inputs)
            except (ValueError, TypeError, IndexError, MemoryError, OverflowError):
                continue
            worked += 1
    assert refused > 1000
    assert worked > 10


def forged(path, change):
    """Changes the record of a file and puts the right checksum in."""
    arrays = safetensors.numpy.load_file(path)
    record = json.loads(checkpoint._header(path.read_bytes())[checkpoint._KEY])
    change(record["graph"])
    record["sha256"] = checkpoint._digest(record, arrays)
    path.write_bytes(safetensors.numpy.save(arrays, {checkpoint._KEY: json.dumps(record)}))


def deep(levels):
    nest = None
    for _ in range(levels):
        nest = {"tuple": [nest]}
    return nest


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        (("serving", "calls", 0, 0), "eval", "no op: 'eval'"),
        (("serving", "calls", 0, 0), "conv_transpose2d", "conv_transpose2d"),
        (("serving", "calls", 0, 1, 0), 99, "no input of a call: 99"),
        (("serving", "calls", 0, 1, 0), -1, "no input of a call: -1"),
        (("serving", "calls", 0, 2, 0), "object", "no dtype of an input: 'object'"),
        (("serving", "calls", 0, 3), {"dict": []}, "a call of conv2d does not fit"),
        (("serving", "calls", 0, 3, "dict", 0, 1), {"tuple": [1, "x"]}, "conv2d does not take stride"),
        (("serving", "calls", 0, 3, "dict", 0, 1), {"tuple": [0, 0]}, "division"),
        (("serving", "calls", 0, 3, "dict", 3, 1), 2**63, "no part of a nest"),
        (("serving", "calls", 0, 4, 0), 0, "which exist already"),
        (("serving", "outputs"), {"ref": 10**9}, "no nest: 1000000000"),
        (("serving", "outputs"), deep(40), "no part of a nest"),
        (("serving", "values", 0, 0), [2, 1, 2**40, 2**40], "no array can have the shape"),
        (("serving", "values", 0, 0), [2, 3, 5, 6], "conv2d: x"),
        (("serving", "free"), [[0, 4]], "no axis of an input"),
        (("serving", "held", 0, 2), "head.bias", "no array 'head.bias'"),
        (("serving", "held", 0, 1), "array", "no array"),
        (("serving", "visits", 0, 5), 10**6, "no calls of a visit"),
        (("state", 0, 0), "a." * 200 + "weight", "is no array of the file"),
        (("state", 0, 1), 1, "no entry of a state"),
        (("ties",), [["scale", "head.weight"]], "are one in the model, but differ"),
        (("batch_axis",), -1, "no axis or reason"),
        (("training",), {}, "no values"),
        (("training",), "x", "no object: 'x'"),
    ],
)
def test_forged_files(rng, path, where, value, reason):
    model, inputs = network(rng)
    fnn.save(model, path, example=inputs)

    def change(data):
        at(data, where[:-1])[where[-1]] = value

    forged(path, change)
    with pytest.raises(CheckpointError, match=re.escape(reason)) as caught:
        fnn.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["training", "_modules", "forward", "eval", "_serving", "num_embeddings", "a.state_dict", "a..b", ""]
)
def test_names_that_would_hide_something(path, name):
    model = nn.GraphModule(fnn.trace(nn.Linear(3, 4, bias=False), (1, 3)))
    data, arrays = describe_graph(model)
    text = json.dumps(data).replace('"weight"', json.dumps(name))
    with pytest.raises(ValueError, match="GraphModule: the name"):
        build_graph(json.loads(text), {name: arrays["weight"]})


def test_parts_of_lists_are_counted_before_they_are_made(path):
    """A graph whose input is said to be long must not make as many shapes."""
    for function in (lambda x: x.unbind(0), lambda x: x.split(1), lambda x: x.chunk(2)):
        data, arrays = describe_graph(nn.GraphModule(fnn.trace(function, (2, 3))))
        data["serving"]["values"][0][0] = [10**12, 3]
        with pytest.raises(ValueError, match=r"too few outputs|but the graph says"):
            build_graph(json.loads(json.dumps(data).replace('["chunks", 2]', f'["chunks", {10**12}]')), arrays)

"""Shapes that only values tell."""

import json

import numpy as np
import pytest
from recorder import Calls
from test_op_records import shape_of

from fastnn import ops
from fastnn.ops.op import OPS, DependsOnValues
from fastnn.ops.recording import recording


def test_shape_of_packing_depends_on_values():
    with pytest.raises(DependsOnValues, match="sum of the values in lengths"):
        OPS["packing"].shape((3,), steps=4, batch_first=False)


def part_of_a_key(rng):
    """Anything that NumPy takes in a key."""
    bounds = [None if rng.random() < 0.4 else int(rng.integers(-5, 5)) for _ in range(2)]
    return (
        int(rng.integers(-4, 4)),
        None,
        Ellipsis,
        slice(*bounds, (None, 1, 2, -1)[rng.integers(4)]),
        rng.integers(-2, 2, tuple(rng.integers(1, 3, rng.integers(0, 3)))),
        rng.integers(0, 2, tuple(rng.integers(2, 5, rng.integers(1, 3)))) > 0,
        True,
        False,
        [0, 1],
        np.int64(1),
    )[rng.integers(10)]


def test_shapes_of_keys(rng):
    """Against NumPy's own indexing, 3000 random keys; and the key is plain data."""
    agreed, calls = 0, Calls((), on_shapes=False)
    for _ in range(3000):
        x = rng.standard_normal(tuple(rng.integers(2, 5, rng.integers(0, 5)))).astype(np.float32)
        key = tuple(part_of_a_key(rng) for _ in range(rng.integers(0, 5)))
        calls.calls.clear()
        try:
            expected = x[key]
        except IndexError:
            with pytest.raises(IndexError):
                ops.index(x, key)
            continue
        with recording(calls):
            assert np.array_equal(ops.index(x, key), expected)
        op, arrays, attributes, _ = calls.calls[0]
        json.dumps(attributes)
        try:
            assert shape_of(op, arrays, attributes) == (expected.shape,)
            agreed += 1
        except DependsOnValues:
            assert any(np.asarray(a).dtype == np.bool_ for a in arrays[1:])
    assert agreed > 500

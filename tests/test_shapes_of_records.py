"""shape of every op in tests/cases.py: what run gives, and an error exactly where run has one."""

import re

import numpy as np
import pytest
from cases import CASES, Case, Indices
from recorder import Calls, shapes_of

from fastnn import ops
from fastnn.ops.op import OPS, DependsOnValues, recording


def _training(x):
    return ops.batchnorm(x, None, None, training=True)


MORE = {
    "batchnorm_running": Case(
        lambda x, m, v, w, b, n: ops.batchnorm(x, m, v, w, b, training=True, num_batches_tracked=n),
        ((4, 5, 3), (5,), (5,), (5,), (5,), Indices((), 3)),
    ),
    "crf_decode": Case(ops.crf_decode, ((6, 4, 5), (5, 5), (5,), (5,), Indices((4,), 7, 1))),
    "crf_lengths": Case(ops.crf_lengths, (Indices((4, 3), 2, 1),)),
    "ctc_beam_decode": Case(ops.ctc_beam_decode, ((4, 2, 3), Indices((2,), 5)), {"beam_width": 3, "top": 2}),
    "ctc_greedy_decode": Case(ops.ctc_greedy_decode, ((4, 2, 3), Indices((2,), 5))),
    "ctc_loss_one": Case(ops.ctc_loss, ((9, 7), Indices((3,), 6), Indices((), 10, 7), Indices((), 4, 3)), {"blank": 6}),
    "dropout": Case(ops.dropout, ((3, 4),)),
    "gru_both_ways": Case(ops.gru, ((5, 3, 4), (2, 3, 6), *((18, 4), (18, 6), (18,), (18,)) * 2)),
    "gru_drop": Case(
        lambda x, z, d: ops.gru_variant(x, None, np.ones((18, 4)), np.ones((18, 6)), zoneout=z, drop=d),
        ((5, 3, 4), (1, 5, 3, 6), (1, 5, 3, 6)),
    ),
    "gru_packed": Case(lambda x, h, *w: ops.gru(x, h, *w, batch_sizes=[3, 2]), ((5, 4), (1, 3, 6), (18, 4), (18, 6))),
    "gru_cell_from_zeros": Case(lambda x, *w: ops.gru_cell(x, None, *w), ((3, 4), (18, 4), (18, 6))),
    "batchnorm_vectors": Case(_training, ((3, 5),)),
    "linear_vector": Case(ops.linear, ((7,), (4, 7), (4,))),
    "lstm_one": Case(ops.lstm_cell, ((4,), (6,), (6,), (24, 4), (24, 6))),
    "matmul_vector": Case(ops.matmul, ((4,), (2, 4, 3))),
    "mse_loss_none": Case(ops.mse_loss, ((4, 6), (4, 6)), {"reduction": "none"}),
    "put_rows": Case(lambda x: ops.put_rows(x, [2, 0], 4), ((2, 4),)),
    "take_rows": Case(lambda x: ops.take_rows(x, [2, 0]), ((3, 4),)),
}
ALL = {**CASES, **MORE}
ERRORS = (IndexError, TypeError, ValueError)


def recorded(case):
    """(op, arrays, attributes) of the outermost call of a case; None where it is no record."""
    calls = Calls((), on_shapes=False)
    with recording(calls):
        case.op(*case.arrays(np.random.default_rng(2)), **case.options)
    return calls.calls[0][:3] if calls.calls else None


def others(array):
    """Arrays of other shapes."""
    yield array[None]
    for axis in range(array.ndim):
        yield np.take(array, 0, axis)
        yield np.take(array, [], axis)
        yield np.take(array, [0], axis)
        yield np.concatenate([array, np.take(array, [0], axis)], axis)
    if array.ndim > 1:
        yield np.ascontiguousarray(array.T)
        yield array.reshape(-1)


def shape_of(op, arrays, attributes):
    return op.shape(*[None if a is None else a.shape for a in arrays], **attributes)


def run_of(op, arrays, attributes):
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]  # statistics are moved
    return op.compute(copies, [False] * len(arrays), attributes)[0]


def outcome(function, *args):
    """(its answer, None), or (None, the error)."""
    try:
        return function(*args), None
    except ERRORS as error:
        return None, error


def assert_same(op, arrays, attributes):
    """shape and run agree: on the shapes, or that there is an error. Whether there was none."""
    expected, error = outcome(shape_of, op, arrays, attributes)
    y, found = outcome(run_of, op, arrays, attributes)
    if error is None and found is None:
        assert shapes_of(y if isinstance(y, tuple) else (y,)) == (
            list(expected) if isinstance(y, tuple) else [expected]
        )
    elif error is None:  # shapes fit: some value does not
        assert isinstance(found, IndexError) or re.search(r"\[\d+\] is |add up|not rise|expected rows", str(found)), (
            found
        )
    else:
        assert str(found) == str(error), [None if a is None else a.shape for a in arrays]
    return found is None


@pytest.mark.parametrize("name", ALL)
def test_shape_says_what_run_does(name):
    found = recorded(ALL[name])
    if found is None:
        pytest.skip("not a record")
    op, arrays, attributes = found
    none = (None,) if op.name.split("_")[0] in ("gru", "lstm", "rnn") else ()  # whose arrays may be None but for x
    with np.errstate(all="ignore"):
        assert assert_same(op, arrays, attributes)
        accepted = [
            assert_same(op, [*arrays[:i], other, *arrays[i + 1 :]], attributes)
            for i, array in enumerate(arrays)
            if array is not None
            for other in (*others(array), *(none if i else ()))
        ]
    assert len(accepted) > 2


def test_shape_of_packing_depends_on_values():
    with pytest.raises(DependsOnValues, match="sum of the values in lengths"):
        OPS["packing"].shape((3,), steps=4, batch_first=False)

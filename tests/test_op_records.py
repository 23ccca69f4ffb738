"""What holds for every op as a record: its parts, its attributes, and that ``shape`` says what ``run`` does, or raises
exactly where it raises, and allocates nothing."""

import inspect
import json
import pydoc
import re
import tracemalloc

import numpy as np
import pytest
from cases import CASES, LOOKS, RANDOM, Case, Indices
from recorder import Calls, blank, shapes_of
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import ops
from fastnn.ops.op import OPS, DependsOnValues, Look
from fastnn.ops.recording import recording


def _training(x):
    return ops.batchnorm(x, None, None, training=True)


MORE = {
    **{
        f"{name}_none": Case(getattr(ops, row.name), ((4, 6), (4, 6)), {**row.options, "reduction": "none"})
        for name, row in LOSSES.items()
    },
    "avgpool2d_ceil": Case(
        ops.avgpool2d, ((1, 2, 7, 6),), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}
    ),
    "maxpool1d_ceil": Case(
        ops.maxpool1d, ((1, 2, 7),), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}
    ),
    "batchnorm_running": Case(
        lambda x, m, v, w, b, n: ops.batchnorm(x, m, v, w, b, training=True, num_batches_tracked=n),
        ((4, 5, 3), (5,), (5,), (5,), (5,), Indices((), 3)),
    ),
    "ctc_loss_one": Case(ops.ctc_loss, ((9, 7), Indices((3,), 6), Indices((), 10, 7), Indices((), 4, 3)), {"blank": 6}),
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
}
ALL = {**CASES, **LOOKS, **RANDOM, **MORE}
ERRORS = (IndexError, TypeError, ValueError)
VALUES = r"\[\d+\] is |add up|not rise|expected rows|step that counts"  # errors that say that a value is wrong
BELONG_TO_ARRAYS = ("blank", "ignore_index", "key", "padding_idx", "samples")  # attributes that speak of their values
WITHOUT_NEED = re.compile(r"\bneed\b")


def recorded(case):
    """(op, arrays, attributes, outputs) of every call of a case."""
    calls = Calls((), on_shapes=False)
    with recording(calls):
        case.op(*case.arrays(np.random.default_rng(2)), **case.options)
    return calls.calls


def shape_of(op, arrays, attributes):
    return op.shapes([None if a is None else a.shape for a in arrays], attributes)


def run_of(op, arrays, attributes):
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]  # statistics are moved
    y = op.run(*copies, need=[False] * len(arrays), **attributes)[0]
    return y if isinstance(y, tuple) else (y,)


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
    told = [None if a is None else a.shape for a in arrays], attributes
    if isinstance(error, DependsOnValues):
        return found is None
    if error is not None:
        assert found is not None, (str(error), *told)
        with pytest.raises(type(error), match=re.escape(str(error))):  # what users see
            op.compute(arrays, [False] * len(arrays), attributes)
    elif found is not None:  # shapes fit: some value does not
        assert isinstance(found, IndexError) or re.search(VALUES, str(found)), (str(found), *told)
    else:
        assert shapes_of(y) == list(expected), told
        assert [part.dtype for part in y] == op.dtypes(arrays, len(y)), told
    return found is None


def other_arrays(array):
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


def other_values(value):
    """What may stand for an attribute, in the eyes of normalise. Not all values of it fit all arrays."""
    if isinstance(value, tuple) and value and all(type(n) is int for n in value):
        for i, n in enumerate(value):
            for other in other_values(n):
                yield (*value[:i], other, *value[i + 1 :])
        yield value[:-1]
        yield (*value, value[-1])
    elif type(value) is int:
        yield from (value + 1, value + 2, 1, value - 1, -value)
    elif type(value) is bool:
        yield not value


def smallest(name):
    """The smallest number that normalise lets through for an attribute."""
    if name in ("kernel_size", "stride", "dilation", "groups", "divisor_override", "split_size", "chunks", "top"):
        return 1
    if name in ("padding", "output_padding", "output_size", "samples", "steps", "beam_width"):
        return 0
    return -(2**31)


def leaves(value):
    if isinstance(value, dict):
        value = tuple(value.values())
    return [leaf for part in value for leaf in leaves(part)] if type(value) in (tuple, list) else [value]


def fits(op, name, value, before):
    """Whether normalise could have given it: pairs stay pairs, sizes are not negative."""
    if isinstance(value, tuple):
        whole = name in ("axis", "dims", "shape", "sizes", "pad", "split_size")  # of any length
        return (whole or len(value) == len(before)) and all(fits(op, name, n, n) for n in value)
    return value >= smallest(name) and op.name not in ("max_at", "min_at")  # whose attributes come from max and min


def test_every_op_has_a_case():
    found = {call[0].name for case in [*CASES.values(), *LOOKS.values(), *RANDOM.values()] for call in recorded(case)}
    assert found == set(OPS)


def test_every_public_function_is_an_op_or_calls_one():
    for name in ops.__all__:
        function = getattr(ops, name)
        assert OPS.get(getattr(function, "name", "")) is function or inspect.isfunction(function), name


@pytest.mark.parametrize("name", sorted(OPS))
def test_signature_and_help(name):
    op = OPS[name]
    assert op.name == name
    signature = inspect.signature(op)
    assert list(signature.parameters) == list(inspect.signature(op.normalise).parameters)
    assert "need" not in signature.parameters
    assert op.__doc__
    text = pydoc.plain(pydoc.render_doc(op))
    assert next(iter(signature.parameters)) in text
    assert op.__doc__.split("\n")[0] in text
    assert not WITHOUT_NEED.search(text.split("\n")[2])
    assert inspect.signature(op.run).parameters["need"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", ALL)
def test_attributes_are_plain_and_complete(name):
    for op, arrays, attributes, outputs in recorded(ALL[name]):
        text = json.dumps(attributes, allow_nan=False)
        assert set(map(type, leaves(attributes))) <= {bool, float, int, str, type(None)}, text
        for array in arrays:
            assert array is None or isinstance(array, (np.ndarray, np.float32))
        if name not in RANDOM:
            with np.errstate(all="ignore"):
                again = run_of(op, arrays, attributes)
            for one, other in zip(again, outputs if isinstance(outputs, tuple) else (outputs,), strict=True):
                assert one.dtype == other.dtype
                assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("name", ALL)
def test_shape_says_what_run_does(name):
    for op, arrays, attributes, _ in recorded(ALL[name]):
        none = (None,) if op.name.split("_")[0] in ("gru", "lstm", "rnn") else ()  # whose arrays may be None but for x
        with np.errstate(all="ignore"):
            assert assert_same(op, arrays, attributes)
            tried = [
                assert_same(op, [*arrays[:i], other, *arrays[i + 1 :]], attributes)
                for i, array in enumerate(arrays)
                if array is not None
                for other in (*other_arrays(array), *(none if i else ()))
            ]
        assert tried


@pytest.mark.parametrize("name", ALL)
def test_shape_says_what_run_does_with_other_attributes(name):
    for op, arrays, attributes, _ in recorded(ALL[name]):
        for key, value in attributes.items():
            for other in other_values(value):
                if key not in BELONG_TO_ARRAYS and fits(op, key, other, value):
                    with np.errstate(all="ignore"):
                        assert_same(op, arrays, {**attributes, key: other})


@pytest.mark.parametrize("name", ALL)
def test_shape_looks_at_no_memory(name):
    """normalise and shape of arrays that own none, a million times as long on an axis that may be of any length."""
    for op, arrays, attributes, outputs in recorded(ALL[name]):
        if not isinstance(op, Look):
            flat = [None if a is None else blank(np.asarray(a)) for a in arrays]
            before, error = outcome(shape_of, op, flat, attributes)
            assert isinstance(error, DependsOnValues) or before == tuple(shapes_of(outputs))
        for i, array in enumerate(arrays):
            for axis in range(np.ndim(array) if isinstance(array, np.ndarray) else 0):
                shape = list(array.shape)
                shape[axis] *= 10**6
                changed = [None if a is None else a.shape for a in arrays]
                changed[i] = tuple(shape)
                tracemalloc.start()
                outcome(op.shapes, changed, attributes)
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < 20_000 or op.name == "unbind", (changed, peak)  # which gives millions of arrays


def test_a_layer_of_a_million_squared_is_recorded():
    """10**12 parameters: nothing is computed, and nothing is allocated."""
    million = 10**6
    x = np.broadcast_to(np.float32(0), (7, million))
    weight = fnn.Tensor(np.broadcast_to(np.float32(0), (million, million)))
    calls = Calls((), on_shapes=True)
    with recording(calls):
        tracemalloc.start()
        y = ops.sum(ops.reshape(ops.relu(ops.linear(x, weight)), (7, 1000, -1)), 2)
        y = ops.softmax(ops.add(ops.mul(y, 2), 1), 1)
        image = ops.conv2d(np.broadcast_to(np.float32(0), (1000, 3, million, million)), np.ones((8, 3, 3, 3)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert y.shape == (7, 1000)
    assert image.shape == (1000, 8, million - 2, million - 2)
    names = [call[0].name for call in calls.calls]
    assert names == ["linear", "relu", "reshape", "sum", "mul", "add", "softmax", "conv2d"]
    assert peak < 50_000


def test_looks_give_arrays():
    """Those of the class; of the other ops without a gradient, Tensors give Tensors, as everywhere."""
    found = {op.name for op in OPS.values() if isinstance(op, Look)}
    assert found == {"crf_decode", "crf_lengths", "ctc_beam_decode", "ctc_greedy_decode", "packing"}
    for name, case in LOOKS.items():
        arrays = case.arrays(np.random.default_rng(2))
        tensors = [fnn.Tensor(a, requires_grad=True) if a.dtype.kind == "f" else fnn.tensor(a) for a in arrays]
        for op, _, _, outputs in recorded(case):
            parts = outputs if isinstance(outputs, tuple) else (outputs,)
            kind = fnn.Tensor if name.endswith("_int64") and name != "to_int64" else np.ndarray  # see cases.whole
            assert all(isinstance(part, kind) for part in parts)
            if op.name == "floor_divide":
                with pytest.raises(TypeError, match="no gradient"):
                    ops.floor_divide(fnn.Parameter([1.0]), 2)
            elif not isinstance(op, Look):
                result = case.op(*tensors, **case.options)
                assert not result.requires_grad
                assert np.array_equal(result, case.op(*arrays, **case.options))

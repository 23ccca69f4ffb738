"""What the way back of recurrent ops keeps: only what the wanted gradients read, so that writes elsewhere are free."""

import types

import numpy as np
import pytest
from cases import CASES
from recorder import Calls

from fastnn.ops.recording import recording

STATES = {"rnn": ("h0",), "gru": ("h0",), "lstm": ("h0", "c0")}
NAMES = {
    name: ("x", *STATES[name.split("_")[0]], "weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for name in CASES
    if name.split("_")[0] in STATES
}


def arrays_in(value, seen=None):
    """Every array that a function can reach through what it has closed over."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            yield from arrays_in(cell.cell_contents, seen)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from arrays_in(part, seen)


def recorded_call(case, arrays):
    """(op, its arrays, its attributes) of a case."""
    calls = Calls(arrays, on_shapes=False)
    with recording(calls):
        case.op(*arrays, **case.options)
    ((op, normal, attributes, _),) = calls.calls
    return op, normal, attributes


def run(name, wanted, written=()):
    """(backward, arrays by name) with gradients wanted of ``wanted``; those in ``written`` are lost after forward."""
    case, rng = CASES[name], np.random.default_rng(3)
    arrays = case.arrays(rng)
    op, normal, attributes = recorded_call(case, arrays)
    need = [place < len(NAMES[name]) and NAMES[name][place] in wanted for place in range(len(normal))]
    outputs, backward = op.run(*normal, need=need, **attributes)
    given = dict(zip(NAMES[name], arrays, strict=False))
    for argument in written:
        given[argument][...] = np.nan
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    dys = [rng.standard_normal(y.shape).astype(np.float32) for y in outputs]
    return backward, given, [g for g, n in zip(backward(*dys), need, strict=False) if n]


def assert_free(name, wanted, *free):
    """None of these arguments is kept, so none of them is read."""
    backward, given, expected = run(name, wanted)
    kept = list(arrays_in(backward))
    assert kept
    for argument in free:
        assert not any(np.shares_memory(given[argument], array) for array in kept), argument
    assert all(np.isfinite(gradient).all() for gradient in expected)
    for one, other in zip(expected, run(name, wanted, free)[2], strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_biases_may_be_written(name):
    assert_free(name, NAMES[name], "bias_ih", "bias_hh")


@pytest.mark.parametrize("name", NAMES)
def test_the_weight_of_x_may_be_written_where_x_needs_no_gradient(name):
    assert_free(name, NAMES[name][1:], "weight_ih", "bias_ih", "bias_hh")


@pytest.mark.parametrize("name", [name for name in NAMES if "gru" not in name])  # whose gates multiply it
def test_the_first_h_may_be_written_where_its_weight_needs_no_gradient(name):
    assert_free(name, [argument for argument in NAMES[name] if argument != "weight_hh"], "h0")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_kept_where_nothing_is_wanted(name):
    op, normal, attributes = recorded_call(CASES[name], CASES[name].arrays(np.random.default_rng(3)))
    outputs, backward = op.run(*normal, need=[False] * len(normal), **attributes)
    assert len(outputs)
    assert not list(arrays_in(backward))

"""Every layer's forward consists of calls of ops: what a recorder sees is all there is, and can be run again."""

import copy

import numpy as np
import pytest
from models import LAYERS
from recorder import blank, recorded, shapes_of

import fastnn as fnn
from fastnn import nn

OPTIONS = {
    "GRU-batch_first": (nn.GRU, {"batch_first": True, "num_layers": 2}),
    "GRU-dropout": (nn.GRU, {"dropout": 0.5, "num_layers": 2}),
    "GRU-variant": (nn.GRU, {"reset_after": False, "zoneout": 0.2, "recurrent_dropout": 0.1, "bidirectional": True}),
    "LSTM": (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    "LSTM-clip": (nn.LSTM, {"cell_clip": 0.3, "coupled": True, "batch_first": True}),
    "LSTM-projected": (nn.LSTM, {"proj_size": 2, "num_layers": 2, "peephole": True, "layer_norm": True}),
    "LSTM-zoneout": (nn.LSTM, {"zoneout": (0.1, 0.3), "recurrent_dropout": 0.4}),
    "RNN": (nn.RNN, {"nonlinearity": "relu", "bias": False}),
}
WAYS = {
    "batch": lambda: (np.ones((5, 4, 3), np.float32),),
    "lengths": lambda: (np.ones((5, 4, 3), np.float32), None, np.array([5, 2, 3, 1])),
    "lengths_batch_first": lambda: (np.ones((4, 5, 3), np.float32), None, np.array([5, 2, 3, 1])),
    "list": lambda: ([np.ones((n, 3), np.float32) for n in (2, 5, 1)],),
    "one": lambda: (np.ones((5, 3), np.float32),),
}

CALLED = [name for name, (_, inputs) in LAYERS.items() if inputs is not None and name != "Identity"]


def replayed(calls):
    """Every call is run again, alone, from what was recorded of it, and gives the same bits."""
    fnn.manual_seed(3)
    for op, arrays, attributes, outputs in calls.calls:
        again, _ = op.run(*arrays, need=[False] * len(arrays), **attributes)
        yield op, again, outputs


def assert_recorded(model, inputs):
    fnn.manual_seed(3)
    expected = copy.deepcopy(model)(*inputs)
    fnn.manual_seed(3)
    output, calls = recorded(model, inputs)
    assert calls.calls
    assert not calls.unknown
    assert calls.final(output)
    assert shapes_of(output) == shapes_of(expected)
    for op, again, outputs in replayed(calls):
        if op.name != "batchnorm":  # whose statistics have moved
            for one, other in zip(
                *(part if isinstance(part, tuple) else (part,) for part in (again, outputs)), strict=True
            ):
                np.testing.assert_array_equal(one, np.asarray(getattr(other, "_array", other)))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", [name for name in CALLED if name != "GraphModule"])  # which wraps a view of its input
def test_layers_are_calls_of_ops(name, training, rng):
    make, inputs = LAYERS[name]
    assert_recorded(make().train(training), inputs(rng))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OPTIONS)
def test_recurrent_layers_are_calls_of_ops(name, way):
    kind, options = OPTIONS[name]
    if (way == "lengths_batch_first") != bool(options.get("batch_first")) and "lengths" in way:
        way = "lengths_batch_first" if options.get("batch_first") else "lengths"
    for training in (False, True):
        assert_recorded(kind(3, 4, **options).train(training), WAYS[way]())


@pytest.mark.parametrize("way", ["batch", "lengths", "list", "one"])
def test_states_are_picked_by_ops(way):
    x, *rest = WAYS[way]()
    count = 1 if way == "one" else 4 if way != "list" else 3
    h = np.random.default_rng(0).standard_normal((4, count, 4)).astype(np.float32)
    h = h[:, 0] if way == "one" else h
    model = nn.GRU(3, 4, 2, bidirectional=True)
    assert_recorded(model, (x, h, *rest[1:]))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("way", ["batch", "list", "one"])
@pytest.mark.parametrize("name", OPTIONS)
def test_recurrent_layers_on_shapes_alone(name, way, training):
    """No number is drawn, no array of the sequences' size is made; shapes are those of a run."""
    kind, options = OPTIONS[name]
    model = kind(3, 4, **options).train(training)
    inputs = WAYS[way]()
    blanks = [[blank(x) for x in part] if isinstance(part, list) else blank(part) for part in inputs]
    before = fnn.get_rng_state() if hasattr(fnn, "get_rng_state") else None
    output, calls = recorded(model, blanks, on_shapes=True)
    assert not calls.unknown
    assert before is None or before == fnn.get_rng_state()
    assert shapes_of(output) == shapes_of(model(*inputs))
    assert all(not any(array.strides) for *_, outputs in calls.calls for array in _outputs(outputs) if array.size > 1)


def _outputs(outputs):
    return [getattr(part, "_array", part) for part in (outputs if isinstance(outputs, tuple) else (outputs,))]


@pytest.mark.parametrize("state", [False, True])
def test_a_sequence_that_fits_no_memory(state):
    """10^12 numbers, on shapes alone."""
    x = blank(np.zeros(1, np.float32).reshape(1, 1, 1))
    x = np.lib.stride_tricks.as_strided(x, (10**6, 10**3, 10**3), (0, 0, 0))
    model = nn.LSTM(1000, 8, 2, bidirectional=True)
    h = np.lib.stride_tricks.as_strided(x, (4, 1000, 8), (0, 0, 0))
    inputs = (x, (h, h)) if state else (x,)
    output, calls = recorded(model, inputs, on_shapes=True)
    assert shapes_of(output) == [(10**6, 10**3, 16), (4, 1000, 8), (4, 1000, 8)]
    assert not calls.unknown


def test_statistics_do_not_move_on_shapes_alone(rng):
    layer = nn.BatchNorm1d(3)
    recorded(layer, [blank(np.zeros((6, 3), np.float32))], on_shapes=True)
    assert not layer.running_mean.any()
    assert layer.num_batches_tracked == 0


def test_wrong_shapes_are_errors_on_shapes_alone():
    with pytest.raises(ValueError, match=r"lstm_cell: x has shape \(2, 4\)"):
        recorded(nn.LSTMCell(3, 4), [blank(np.zeros((2, 4), np.float32))], on_shapes=True)
    with pytest.raises(ValueError, match=r"linear: x of shape \(2, 4\)"):
        recorded(nn.Linear(3, 4), [blank(np.zeros((2, 4), np.float32))], on_shapes=True)

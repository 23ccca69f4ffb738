"""Random models from the package's layers, through everything that can be done with a model; plain loops are right."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from models import First, assert_same_output, assert_same_state
from reference.activation import FUNCTIONS
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import nn
from fastnn.files.description import layer_classes
from fastnn.nn.mode import evaluation
from fastnn.nn.tree import by_holder, entries

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

MAX = 200  # values of one sample, about


def recurrent(kind):
    def grow(draw, shape):
        if len(shape) != 2:
            return None
        hidden, layers, both = draw(st.integers(1, 5)), draw(st.integers(1, 2)), draw(st.booleans())
        layer = kind(shape[1], hidden, layers, batch_first=True, bidirectional=both, dropout=0.3 * (layers - 1))
        return First(layer), (shape[0], hidden * (1 + both))

    return grow


def lstm_variant(draw, shape):
    if len(shape) != 2 or draw(st.booleans()):
        return recurrent(nn.LSTM)(draw, shape)
    layer = nn.LSTM(shape[1], 4, batch_first=True, proj_size=2, peephole=True, layer_norm=True, zoneout=0.2)
    return First(layer), (shape[0], 2)


def convolution(kind):
    def grow(draw, shape):
        if len(shape) != (3 if kind.__name__.endswith("2d") else 2):
            return None
        out, kernel, groups = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.sampled_from([1, shape[0]]))
        if min(shape[1:]) < kernel:
            return None
        options = {"stride": draw(st.integers(1, 2)), "groups": groups, "bias": draw(st.booleans())}
        return kind(shape[0], out * groups, kernel, **options), None

    return grow


def pooling(kind):
    def grow(draw, shape):
        fits = len(shape) == (3 if kind.__name__.endswith("2d") else 2) and min(shape[1:]) >= 2
        return (kind(draw(st.integers(1, 2))), None) if fits else None

    return grow


def norm(kind, ndims):
    def grow(draw, shape):
        if len(shape) not in ndims:
            return None
        momentum, affine, tracked = draw(st.sampled_from([0.1, None])), draw(st.booleans()), draw(st.booleans())
        return kind(shape[0], momentum=momentum, affine=affine, track_running_stats=tracked), shape

    return grow


def cell(kind, wrap=lambda layer: layer):
    def grow(draw, shape):
        return (wrap(kind(shape[0], 3)), (3,)) if len(shape) == 1 else None

    return grow


def same(make):
    return lambda draw, shape: (make(draw), shape)


def function(name):
    options = [{}, *[row.options for row in FUNCTIONS.values() if row.layer == name]]
    return same(lambda draw: getattr(nn, name)(**draw(st.sampled_from(options))))


FUNCTION_LAYERS = {row.layer for row in FUNCTIONS.values()}
GROW = {
    **{name: function(name) for name in sorted(FUNCTION_LAYERS)},
    "GRU": recurrent(nn.GRU),
    "LSTM": lstm_variant,
    "RNN": recurrent(nn.RNN),
    "AdaptiveAvgPool1d": pooling(nn.AdaptiveAvgPool1d),
    "AdaptiveAvgPool2d": pooling(nn.AdaptiveAvgPool2d),
    "AvgPool1d": pooling(nn.AvgPool1d),
    "AvgPool2d": pooling(nn.AvgPool2d),
    "BatchNorm1d": norm(nn.BatchNorm1d, (1, 2)),
    "BatchNorm2d": norm(nn.BatchNorm2d, (3,)),
    "Conv1d": convolution(nn.Conv1d),
    "Conv2d": convolution(nn.Conv2d),
    "ConvTranspose1d": convolution(nn.ConvTranspose1d),
    "ConvTranspose2d": convolution(nn.ConvTranspose2d),
    "Dropout": same(lambda draw: nn.Dropout(draw(st.sampled_from([0.0, 0.4, 1.0])))),
    "Flatten": lambda draw, shape: (nn.Flatten(), (int(np.prod(shape)),)),
    "GRUCell": cell(nn.GRUCell),
    "Identity": same(lambda draw: nn.Identity()),
    "LSTMCell": cell(nn.LSTMCell, First),
    "Linear": lambda draw, shape: (nn.Linear(shape[-1], 4, bias=draw(st.booleans())), (*shape[:-1], 4)),
    "LogSoftmax": same(lambda draw: nn.LogSoftmax(-1)),
    "MaxPool1d": pooling(nn.MaxPool1d),
    "MaxPool2d": pooling(nn.MaxPool2d),
    "RNNCell": cell(nn.RNNCell),
    "Softmax": same(lambda draw: nn.Softmax(-1)),
}
LOSS_LAYERS = {row.layer for row in LOSSES.values()}
# Embedding stands at the beginning, Sequential around; the others do not give what the next layer takes.
ELSEWHERE = {
    *(
        "CRF",
        "CTCLoss",
        "CrossEntropyLoss",
        "Embedding",
        "LastStep",
        "ModuleDict",
        "ModuleList",
        "Output",
        "Sequential",
    ),
    *LOSS_LAYERS,
}


STATELESS = {*FUNCTION_LAYERS, "Dropout", "Flatten", "Identity", "LogSoftmax", "Softmax"}


def test_no_layer_is_forgotten():
    assert GROW.keys() | ELSEWHERE == layer_classes().keys()


@st.composite
def chains(draw):
    """(layers in the order of the calls, some of them twice; arrays for a batch)."""
    fnn.manual_seed(draw(st.integers(0, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch = draw(st.integers(2, 7))
    shape = draw(st.sampled_from([(3,), (2, 6), (1, 6, 5), (3, 4, 4), "ids"]))
    layers = []
    if shape == "ids":
        layers, shape = [nn.Embedding(9, 4, padding_idx=draw(st.sampled_from([None, 2])))], (5, 4)
        x = rng.integers(0, 9, (batch, 5))
    else:
        x = rng.standard_normal((batch, *shape)).astype(np.float32)
    while len(layers) < 2 or (len(layers) < 9 and draw(st.integers(0, 5))):
        if np.prod(shape) > MAX:
            break
        names = rng.permutation(sorted(GROW) + 2 * sorted(GROW.keys() - STATELESS))  # the first that fits
        layer, after = next(filter(None, (GROW[name](draw, shape) for name in names)))
        after = np.shape(layer(np.zeros((4, *shape), np.float32)))[1:] if after is None else after
        layers += [layer] * (draw(st.integers(1, 3)) if after == shape else 1)
        shape = after
    return layers, x


@st.composite
def models(draw):
    """(model, layers in the order of the calls, arrays): layers in nested Sequentials, with Parameters tied."""
    layers, x = draw(chains())
    parts = list(layers)
    if len(parts) > 2 and draw(st.booleans()):
        cut = draw(st.integers(1, len(parts) - 1))
        parts = [*parts[:cut], nn.Sequential({f"part{i}": layer for i, layer in enumerate(parts[cut:])})]
    model = nn.Sequential(*parts)
    if draw(st.booleans()):
        places = list(entries(model))
        for one in places:
            for two in places:
                fits = isinstance(one.held, nn.Parameter) and isinstance(two.held, nn.Parameter)
                if fits and one.array.shape == two.array.shape and draw(st.booleans()):
                    setattr(two.module, two.attribute, one.held)
    return model, layers, x


def loop(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def partition(model):
    return [[entry.name for entry in group] for group in by_holder(entries(model))]


def saved_and_loaded(model, path):
    fnn.save(model, path)
    if not any(isinstance(layer, First) for layer in model.modules()):
        return fnn.load(path)
    with pytest.raises(fnn.CheckpointError, match="First is not one of fastnn's layers"):
        fnn.load(path)
    other = copy.deepcopy(model)
    for array in [p.data for p in other.parameters()] + [array for _, array in other.named_buffers()]:
        array[...] = 3
    other.load_state_dict(fnn.load_state(path))
    return other.eval()


@pytest.mark.slow
@hypothesis.settings(
    max_examples=250,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(models(), st.data())
def test_random_models(tmp_path_factory, made, data):
    model, layers, x = made
    fnn.manual_seed(3)
    trained = copy.deepcopy((model, layers))
    output = model.train()(x)  # moves statistics, draws masks
    fnn.manual_seed(3)
    assert_same_output(loop(trained[1], x), output)
    state = model.state_dict()
    assert_same_state(trained[0].state_dict(), state)

    with evaluation(model), fnn.no_grad():
        want = loop(layers, x)
        assert_same_output(model(x), want)
    assert all(module.training for module in model.modules())
    whole = any(not getattr(layer, "track_running_stats", True) for layer in layers)  # each sample depends on all
    for size in (None, len(x)) if whole else (None, 1, data.draw(st.integers(1, len(x) + 1))):
        assert_same_output(model.predict(x, size), want)
    assert_same_state(model.state_dict(), state)
    if not whole:
        assert f"{(1, *np.shape(want)[1:])}" in model.summary(x.shape[1:]).splitlines()[-1]

    path = tmp_path_factory.mktemp("random") / "model"
    twins = [copy.deepcopy(model).eval(), pickle.loads(pickle.dumps(model)).eval(), saved_and_loaded(model, path)]
    for twin in twins:
        assert_same_output(twin(x), want)
        assert_same_state(twin.state_dict(), state)
        assert partition(twin) == partition(model)
        assert repr(twin) == repr(model)
        twin.load_state_dict({name: array * 0 for name, array in state.items()})
        assert_same_state(model.state_dict(), state)
        twin.load_state_dict(state)
        assert_same_output(twin.train().eval()(x), want)
        fnn.manual_seed(4)
        again = twin.train()(x)
        fnn.manual_seed(4)
        assert_same_output(copy.deepcopy(model)(x), again)
    assert_same_state(model.state_dict(), state)

"""The recurrent layers against torch, with torch's weights."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn

torch = pytest.importorskip("torch")

LAYERS = {"RNN": {}, "RNN_relu": {"nonlinearity": "relu"}, "LSTM": {}, "GRU": {}}


def close(ours, theirs):
    ours = ours.numpy() if isinstance(ours, fnn.Tensor) else ours
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=2e-4, atol=2e-5)


def flat(result):
    return [result[0], *(result[1] if isinstance(result[1], tuple) else (result[1],))]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(rng, name, bidirectional, batch_first, batched):
    options = {"num_layers": 2, "bidirectional": bidirectional, "batch_first": batch_first, **LAYERS[name]}
    theirs = getattr(torch.nn, name.split("_")[0])(5, 11, **options)
    ours = getattr(nn, name.split("_")[0])(5, 11, **options)
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((4, 3, 5) if batched else (4, 5)).astype(np.float32)
    shape = (4 if bidirectional else 2, *((4 if batch_first else 3,) if batched else ()), 11)
    states = [rng.standard_normal(shape).astype(np.float32) for _ in range(2 if name == "LSTM" else 1)]
    our_inputs = [fnn.Tensor(a, requires_grad=True) for a in (x, *states)]
    their_inputs = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    their_result = flat(theirs(their_inputs[0], tuple(their_inputs[1:]) if name == "LSTM" else their_inputs[1]))
    for i, other in enumerate(their_result):
        one = flat(ours(our_inputs[0], tuple(our_inputs[1:]) if name == "LSTM" else our_inputs[1]))[i]
        assert one.shape == tuple(other.shape)
        close(one, other)
        cotangent = rng.standard_normal(one.shape).astype(np.float32)
        one.backward(cotangent)
        other.backward(torch.tensor(cotangent), retain_graph=True)
    for one, other in zip(our_inputs, their_inputs, strict=True):
        close(one.grad, other.grad)
    gradients = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        close(parameter.grad, gradients[key].grad)


@pytest.mark.parametrize("name", LAYERS)
def test_cells(rng, name):
    kind, options = name.split("_")[0] + "Cell", LAYERS[name]
    theirs, ours = getattr(torch.nn, kind)(5, 11, **options), getattr(nn, kind)(5, 11, **options)
    ours.load_state_dict(theirs.state_dict())
    for batch in ((3,), ()):
        x = rng.standard_normal((*batch, 5)).astype(np.float32)
        states = tuple(rng.standard_normal((*batch, 11)).astype(np.float32) for _ in range(2))
        one = ours(x, states if name == "LSTM" else states[0])
        tensors = tuple(torch.tensor(s) for s in states)
        other = theirs(torch.tensor(x), tensors if name == "LSTM" else tensors[0])
        for a, b in zip(one, other, strict=True) if name == "LSTM" else [(one, other)]:
            close(a, b)


def test_parameters_come_in_the_order_of_torch():
    options = {"num_layers": 2, "bidirectional": True}
    assert list(nn.GRU(3, 4, **options).state_dict()) == list(torch.nn.GRU(3, 4, **options).state_dict())


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_projection(rng, bidirectional, bias):
    options = {"num_layers": 2, "bias": bias, "bidirectional": bidirectional, "proj_size": 4}
    theirs, ours = torch.nn.LSTM(5, 11, **options), nn.LSTM(5, 11, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((4, 3, 5)).astype(np.float32)
    states = [rng.standard_normal((4 if bidirectional else 2, 3, n)).astype(np.float32) for n in (4, 11)]
    our_inputs = [fnn.Tensor(a, requires_grad=True) for a in (x, *states)]
    their_inputs = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    for i, other in enumerate(flat(theirs(their_inputs[0], tuple(their_inputs[1:])))):
        one = flat(ours(our_inputs[0], tuple(our_inputs[1:])))[i]
        assert one.shape == tuple(other.shape)
        close(one, other)
        cotangent = rng.standard_normal(one.shape).astype(np.float32)
        one.backward(cotangent)
        other.backward(torch.tensor(cotangent), retain_graph=True)
    for one, other in zip(our_inputs, their_inputs, strict=True):
        close(one.grad, other.grad)
    gradients = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        close(parameter.grad, gradients[key].grad)

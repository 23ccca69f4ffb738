"""nn.RNN, nn.LSTM, nn.GRU and their cells: what they add to the ops."""

import numpy as np
import pytest
import reference

import fastnn as fnn
from fastnn import nn

LAYERS = {"RNN": (nn.RNN, nn.RNNCell, 1, 1), "LSTM": (nn.LSTM, nn.LSTMCell, 4, 2), "GRU": (nn.GRU, nn.GRUCell, 3, 1)}


def states_of(result):
    """h_n, or h_n and c_n, as a list."""
    return list(result[1]) if isinstance(result[1], tuple) else [result[1]]


def random_states(rng, name, *shape):
    states = tuple(rng.standard_normal(shape).astype(np.float32) for _ in range(LAYERS[name][3]))
    return states if len(states) > 1 else states[0]


def stacked(name, model, x, states):
    """Several layers of the float64 reference, with the parameters of a model."""
    weights = {key: value.astype(np.float64) for key, value in model.state_dict().items()}
    directions = ["", "_reverse"] if model.bidirectional else [""]
    last = []
    for layer in range(model.num_layers):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        arrays = [weights.get(f"{kind}_l{layer}{d}") for d in directions for kind in kinds] + [None] * 4
        own = slice(layer * len(directions), (layer + 1) * len(directions))
        x, *new = getattr(reference, name.lower())(x, *[s[own] for s in states], *arrays[:8])
        last.append(new)
    return x, [np.concatenate(parts) for parts in zip(*last, strict=True)]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_above_each_other(isa, rng, name, bidirectional, bias):
    model = LAYERS[name][0](5, 9, num_layers=3, bias=bias, bidirectional=bidirectional)
    hx = random_states(rng, name, 6 if bidirectional else 3, 2, 9)
    x = rng.standard_normal((4, 2, 5)).astype(np.float32)
    result = model(x, hx)
    want, want_states = stacked(name, model, x, hx if isinstance(hx, tuple) else (hx,))
    np.testing.assert_allclose(result[0].numpy(), want, rtol=1e-5, atol=1e-6)
    for state, expected in zip(states_of(result), want_states, strict=True):
        np.testing.assert_allclose(state.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_batch_first_and_one_sequence_are_the_same_bits(rng, name):
    kind = LAYERS[name][0]
    model, turned = kind(3, 6, 2, bidirectional=True), kind(3, 6, 2, bidirectional=True, batch_first=True)
    turned.load_state_dict(model.state_dict())
    x, hx = rng.standard_normal((5, 4, 3)).astype(np.float32), random_states(rng, name, 4, 4, 6)
    result, other = model(x, hx), turned(x.transpose(1, 0, 2), hx)
    assert np.array_equal(result[0], other[0].numpy().transpose(1, 0, 2))
    one_hx = tuple(s[:, 2] for s in hx) if isinstance(hx, tuple) else hx[:, 2]
    one = model(x[:, 2], one_hx)
    assert np.array_equal(one[0], result[0].numpy()[:, 2])
    assert np.array_equal(turned(x[:, 2], one_hx)[0], one[0])
    for state, same, single in zip(states_of(result), states_of(other), states_of(one), strict=True):
        assert np.array_equal(state, same)
        assert np.array_equal(single, state.numpy()[:, 2])


@pytest.mark.parametrize("name", LAYERS)
def test_cells_and_layer_are_the_same_bits(isa, rng, name):
    kind, cell_kind, _, _ = LAYERS[name]
    model, cell = kind(3, 20), cell_kind(3, 20)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in model.state_dict().items()})
    x = rng.standard_normal((4, 5, 3)).astype(np.float32)
    y, hx = model(x)[0], None
    for t in range(4):
        hx = cell(x[t], hx)
        assert np.array_equal(hx[0] if name == "LSTM" else hx, y.numpy()[t])


@pytest.mark.parametrize("name", LAYERS)
def test_truncated_sequences_continue(rng, name):
    """The state of the first half, handed to the second, gives the whole."""
    model = LAYERS[name][0](3, 6, 2)
    x = rng.standard_normal((6, 2, 3)).astype(np.float32)
    whole, first = model(x), model(x[:2])
    second = model(x[2:], first[1])
    assert np.array_equal(second[0], whole[0].numpy()[2:])
    for one, other in zip(states_of(second), states_of(whole), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_reach_everything(rng, name):
    model = LAYERS[name][0](3, 6, 2, bidirectional=True, batch_first=True, dropout=0.3)
    x = fnn.Tensor(rng.standard_normal((4, 5, 3)), requires_grad=True)
    hx = random_states(rng, name, 4, 4, 6)
    hx = tuple(fnn.Tensor(s, requires_grad=True) for s in (hx if isinstance(hx, tuple) else (hx,)))
    y = model(x, hx if len(hx) > 1 else hx[0])[0]
    (y * y).sum().backward()
    for tensor in (x, *hx, *model.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.any()


def test_names_shapes_and_initial_weights():
    model = nn.LSTM(5, 100, num_layers=2, bidirectional=True)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    assert list(shapes)[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l0_reverse"]
    assert list(shapes)[-1] == "bias_hh_l1_reverse"
    assert len(shapes) == 16
    assert shapes["weight_ih_l0"] == (400, 5)
    assert shapes["weight_ih_l1_reverse"] == (400, 200)
    for parameter in model.parameters():
        assert 0.09 < np.abs(parameter.numpy()).max() <= 0.1
    assert list(nn.GRU(2, 3, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]
    assert list(nn.GRUCell(2, 3).state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    assert repr(nn.LSTM(2, 3, 2, batch_first=True)) == "LSTM(2, 3, num_layers=2, batch_first=True)"
    assert repr(nn.RNN(2, 3, nonlinearity="relu")) == "RNN(2, 3, nonlinearity='relu')"


def test_dropout_between_layers(rng):
    x = rng.standard_normal((5, 3, 4)).astype(np.float32)
    model = nn.GRU(4, 30, num_layers=2, dropout=0.5)
    fnn.manual_seed(3)
    first = model(x)[0].numpy()
    assert not np.array_equal(model(x)[0], first)
    fnn.manual_seed(3)
    assert np.array_equal(model(x)[0], first)
    model.eval()
    plain = nn.GRU(4, 30, num_layers=2)
    plain.load_state_dict(model.state_dict())
    assert np.array_equal(model(x)[0], plain(x)[0])
    with pytest.warns(UserWarning, match=r"GRU: dropout=0\.5 acts between layers and num_layers is 1"):
        nn.GRU(4, 3, dropout=0.5)


def test_learns_to_remember_the_first_step(rng):
    """The loss of a small LSTM falls by far on a task that needs a gradient through every step."""
    model, head = nn.LSTM(2, 12), nn.Linear(12, 1)
    parameters = [*model.parameters(), *head.parameters()]
    x = rng.standard_normal((8, 32, 2)).astype(np.float32)
    target = x[0, :, :1]
    losses = []
    for _ in range(250):
        error = head(model(x)[1][0][0]) - target
        loss = (error * error).mean()
        loss.backward()
        losses.append(loss.item())
        for p in parameters:
            p.data -= 0.5 * p.grad
            p.grad = None
    assert losses[-1] < 0.2 * losses[0]


def test_predict_is_the_same_for_any_batch_size(rng):
    model = nn.LSTM(3, 17, batch_first=True)
    x = rng.standard_normal((9, 4, 3)).astype(np.float32)
    whole = nn.Sequential(model).predict(x)
    assert np.array_equal(whole[0], model(x)[0])
    assert np.array_equal(np.concatenate([model(x[i : i + 2])[0].numpy() for i in range(0, 9, 2)]), whole[0])


def test_errors(rng):
    lstm, x = nn.LSTM(3, 4, 2), np.zeros((5, 2, 3))
    with pytest.raises(ValueError, match=r"LSTM: x has shape \(5, 2, 4\), expected \(T, N, input_size\).*input_size=3"):
        lstm(np.zeros((5, 2, 4)))
    with pytest.raises(ValueError, match=r"LSTM: x has shape \(3,\)"):
        lstm(np.zeros(3))
    with pytest.raises(ValueError, match=r"LSTM: x has shape .*at least one time step"):
        lstm(np.zeros((0, 2, 3)))
    with pytest.raises(ValueError, match=r"LSTM: the state c has shape \(1, 2, 4\), expected \(2, 2, 4\)"):
        lstm(x, (np.zeros((2, 2, 4)), np.zeros((1, 2, 4))))
    with pytest.raises(TypeError, match=r"LSTM: the state is ndarray, expected a pair \(h, c\)"):
        lstm(x, np.zeros((2, 2, 4)))
    with pytest.raises(TypeError, match=r"LSTMCell: the state is ndarray, expected a pair \(h, c\)"):
        nn.LSTMCell(3, 4)(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"lstm_cell: c has shape \(2, 2, 4\).*\(2, 4\)"):
        nn.LSTMCell(3, 4)(np.zeros((2, 3)), (np.zeros((2, 4)), np.zeros((2, 2, 4))))
    with pytest.raises(ValueError, match=r"GRU: the state has shape \(2, 4\), expected \(1, 2, 4\)"):
        nn.GRU(3, 4)(x, np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"GRU: the state has shape \(1, 2, 4\), expected \(1, 4\)"):
        nn.GRU(3, 4)(x[:, 0], np.zeros((1, 2, 4)))
    with pytest.raises(TypeError, match="RNN: x has dtype complex128"):
        nn.RNN(3, 4)(x.astype(complex))
    with pytest.raises(ValueError, match="hidden_size is 0"):
        nn.GRU(3, 0)
    with pytest.raises(TypeError, match=r"input_size is 2\.5"):
        nn.RNNCell(2.5, 3)
    with pytest.raises(ValueError, match="RNN: nonlinearity is 'sin'"):
        nn.RNN(3, 4, nonlinearity="sin")
    with pytest.raises(ValueError, match=r"LSTM: .* is 1\.5"):
        nn.LSTM(3, 4, 2, dropout=1.5)

"""What repr shows of a layer: the arguments that its constructor was given, as they can be typed into it again."""

import numpy as np
import pytest
from models import LAYERS
from test_checkpoint import CASES

from fastnn import nn
from fastnn.files.description import arguments, layer_classes
from fastnn.nn.arguments import plain

HOLDERS = (nn.ModuleDict, nn.ModuleList, nn.Sequential)
SINGLE = {
    f"{case} {name}": (case, name)
    for case, make in CASES.items()
    for name, layer in make().named_modules()
    if not isinstance(layer, HOLDERS)
}
CHANGED = {
    "AvgPool2d": lambda: nn.AvgPool2d(2, divisor_override=3),
    "Conv2d": lambda: nn.Conv2d(2, 4, 3, padding="same", algorithm="direct"),
    "CRF": lambda: nn.CRF(3, True),
    "Dropout": lambda: nn.Dropout(0.25, inplace=True),
    "GRU": lambda: nn.GRU(2, 3, reset_after=False, zoneout=0.5),
    "LSTM": lambda: nn.LSTM(2, 3, 2, dropout=0.5, proj_size=1, cell_clip=2, zoneout=(0.25, 0.5)),
    "LSTMCell": lambda: nn.LSTMCell(2, 3, False),
    "MaxPool1d": lambda: nn.MaxPool1d(3, 2, ceil_mode=True),
    "ReLU": lambda: nn.ReLU(True),
    "RNN": lambda: nn.RNN(2, 3, bias=False, nonlinearity="relu"),
}


def typed_again(layer):
    return eval(repr(layer), dict(vars(nn)))


@pytest.mark.parametrize(("case", "name"), SINGLE.values(), ids=SINGLE)
def test_a_layer_can_be_made_from_its_repr(case, name):
    layer = dict(CASES[case]().named_modules())[name]
    again = typed_again(layer)
    assert arguments(again) == arguments(layer)
    assert {k: a.shape for k, a in again.state_dict().items()} == {k: a.shape for k, a in layer.state_dict().items()}


def test_no_layer_is_forgotten():
    made = {type(layer).__name__ for make in CASES.values() for layer in make().modules()}
    assert made == set(layer_classes()) == set(LAYERS) - {"GraphModule"}


@pytest.mark.parametrize("name", CHANGED)
def test_every_option_that_was_given_is_shown(name):
    layer = CHANGED[name]()
    assert arguments(typed_again(layer)) == arguments(layer)


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.Conv1d(4, 6, 3, groups=2, padding="same"),
        lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), stride=2, output_padding=1, bias=False),
        lambda nn: nn.AvgPool2d((2, 2), (2, 2), (0, 0), divisor_override=3),  # torch does not make pairs of these
        lambda nn: nn.MaxPool2d((3, 2), (3, 2), (0, 0), (1, 1), ceil_mode=True),
        lambda nn: nn.Linear(3, 2, bias=False),
        lambda nn: nn.BatchNorm2d(3, momentum=None, affine=False),
        lambda nn: nn.Embedding(5, 3, padding_idx=-1),
        lambda nn: nn.Flatten(0),
        lambda nn: nn.LSTM(2, 3, 2, batch_first=True, proj_size=1),
        lambda nn: nn.GRUCell(2, 3, False),
        lambda nn: nn.ReLU(inplace=True),
        lambda nn: nn.CrossEntropyLoss(ignore_index=3),
    ],
)
def test_torch_takes_the_repr_for_the_same_layer(make):
    torch = pytest.importorskip("torch")
    theirs = make(torch.nn)
    assert repr(eval(repr(make(nn)), dict(vars(torch.nn)))) == repr(theirs)


def test_scalars_of_numpy_are_numbers():
    layer = nn.BatchNorm1d(3, eps=np.float64(0.5), momentum=np.float32(0.25))
    assert "eps=0.5, momentum=0.25, affine" in repr(layer)
    for value, want in ((np.bool_(True), True), (np.int64(3), 3), ([1, (2.5, "a")], [1, (2.5, "a")]), (None, None)):
        assert plain(value) == want
        assert type(plain(value)) is type(want)
    for value in (np.zeros(2), object(), 1j, {}, "a" * 101, [0] * 101, [[[[[0]]]]]):
        with pytest.raises(TypeError, match="cannot be written"):
            plain(value)


class Net(nn.Module):
    """A user's: some arguments are kept, some are not, some are no plain data."""

    def __init__(self, hidden, table, layer, words=(), lost=3, name="net", default=np.zeros(2)):  # noqa: B008
        self.hidden, self.table, self.layer, self.words = hidden, table, layer, words
        self.name, self.default = name, default

    @property
    def lost(self):
        raise AssertionError("asked for")

    def forward(self, x):
        return x


def test_of_a_users_own_module():
    net = Net(8, np.zeros(3), nn.Linear(1, 2), words=["a", "b"])
    assert repr(net).splitlines()[0] == "Net(hidden=8, words=['a', 'b'], name='net'"
    around = [1]
    around.append(around)
    net = Net(nn.Parameter(np.zeros(3)), 0, None, around)
    assert repr(net) == "Net(table=0, layer=None, name='net')"
    assert repr(Net(8, 0, None, words=["a"] * 1000)) == "Net(hidden=8, table=0, layer=None, name='net')"


class Encoder(nn.LSTM):
    def __init__(self, size):
        self.size = size
        super().__init__(size, 2 * size)


class Told(nn.Module):
    def __init__(self, size):
        self.size = size

    def extra_repr(self):
        return "what I say"


def test_of_classes_derived_from_a_layer_and_with_words_of_their_own():
    assert repr(Encoder(3)) == "Encoder(3, 6)"
    assert repr(Told(3)) == "Told(what I say)"


def test_after_an_argument_that_is_left_out_there_are_names():
    layer = nn.Conv2d(1, 2, 3)
    layer.in_channels = object()
    assert repr(layer).startswith("Conv2d(out_channels=2, kernel_size=(3, 3)")


def test_layers_of_one_op_take_their_inputs_by_name(rng):
    x, target = rng.standard_normal((2, 3, 4)).astype(np.float32)
    for layer in (nn.ReLU(), nn.ELU(0.5), nn.Softmax(dim=1), nn.LeakyReLU(0.2), nn.Softplus(2.0, 1.0)):
        assert np.array_equal(layer(x=x), layer(x))
    for loss in (nn.MSELoss("sum"), nn.L1Loss(), nn.HuberLoss(delta=0.5), nn.BCEWithLogitsLoss()):
        assert np.array_equal(loss(input=x, target=target), loss(x, target))
        assert np.array_equal(loss(x, target=target), loss(x, target))
    with pytest.raises(TypeError):
        nn.Softmax(dim=1)(x=x, dim=0)

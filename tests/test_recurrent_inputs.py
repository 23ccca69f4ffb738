"""What is handed to recurrent layers, cells, their ops and CRF by mistake: an error with their name, or it is right."""

import numpy as np
import pytest
from streams import CELLS, LAYERS, single_options

import fastnn as fnn
from fastnn import _core, nn, ops

VARIANTS = [pytest.param(kind, options, id=f"{kind.__name__}-{options}") for kind, options in single_options()]
RAGGED = [[1.0, 2.0, 3.0], [1.0]]
FLOATS = np.ones((5, 2, 3))

# What is handed over as x, and the argument that the error names.
WRONG_X = {
    "nothing": (None, "x"),
    "text": ("abc", "x"),
    "a number": (3.0, "x"),
    "a vector": (np.ones(3), "x"),
    "four dimensions": (np.ones((1, 5, 2, 3)), "x"),
    "another width": (np.ones((5, 2, 4)), "x"),
    "no steps": (np.ones((0, 2, 3)), "x"),
    "no steps of one sequence": (np.ones((0, 3)), "x"),
    "complex": (FLOATS.astype(complex), "x"),
    "objects": (FLOATS.astype(object), "x"),
    "an empty list": ([], "x"),
    "an empty tuple": ((), "x"),
    "a list of numbers": ([1.0, 2.0, 3.0], r"x\[0\]"),
    "one sequence as lists": ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], r"x\[0\]"),
    "a ragged sequence in a list": ([[[1.0, 2.0, 3.0]], RAGGED], r"x\[1\]"),
    "a sequence without steps": ([np.ones((2, 3)), np.ones((0, 3))], r"x\[1\]"),
    "sequences of different widths": ([np.ones((2, 3)), np.ones((2, 4))], r"x\[1\]"),
    "batches in a list": ([FLOATS, FLOATS], r"x\[0\]"),
    "what a layer returns": ((fnn.Tensor(np.ones((5, 3))), fnn.Tensor(np.ones((1, 3)))), "x is a tuple"),
    "what an LSTM returns": ((np.ones((5, 3)), (np.ones((1, 3)), np.ones((1, 3)))), "x is a tuple"),
}
WRONG_LENGTHS = {
    "a number": 3,
    "floats": [2.0, 1.0],
    "text": "ab",
    "bools": [True, True],
    "objects": [None, 1],
    "ragged": [[1], [1, 2]],
    "two dimensions": [[2, 1]],
    "a dictionary": {0: 2, 1: 1},
    "too few": [2],
    "too many": (2, 1, 1),
    "zero": [0, 2],
    "negative": np.array([-1, 2]),
    "longer than x": [6, 1],
    "immense": [2**62, 1],
    "none": [],
}
WRONG_STATES = {
    "text": "abc",
    "a number": 1.0,
    "a ragged list": RAGGED,
    "one dimension": np.ones(4),
    "two dimensions": np.ones((2, 4)),
    "another width": np.ones((1, 2, 5)),
    "other samples": np.ones((1, 3, 4)),
    "other layers": np.ones((2, 2, 4)),
    "complex": np.ones((1, 2, 4), complex),
}


def refused(call, names, what):
    """Raises ValueError or TypeError with a message that begins with one of the names and says what is wrong."""
    with pytest.raises((ValueError, TypeError), match=rf"^({'|'.join(names)}): .*{what}") as caught:
        call()
    assert type(caught.value) in (ValueError, TypeError)


def names_of(kind):
    return [kind.__name__]


@pytest.mark.parametrize("case", WRONG_X.values(), ids=WRONG_X)
@pytest.mark.parametrize("kind", LAYERS)
def test_wrong_x(kind, case):
    x, what = case
    refused(lambda: kind(3, 4)(x), names_of(kind), what)


@pytest.mark.parametrize("kind", LAYERS)
def test_no_steps_with_batch_first(kind):
    refused(lambda: kind(3, 4, batch_first=True)(np.ones((2, 0, 3))), names_of(kind), r"x has shape \(2, 0, 3\)")


@pytest.mark.parametrize("lengths", WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_wrong_lengths(kind, batch_first, lengths):
    x = np.ones((2, 5, 3) if batch_first else (5, 2, 3))
    refused(lambda: kind(3, 4, batch_first=batch_first)(x, lengths=lengths), names_of(kind), "lengths")


@pytest.mark.parametrize("state", WRONG_STATES.values(), ids=WRONG_STATES)
@pytest.mark.parametrize("kind", LAYERS)
def test_wrong_states(kind, state):
    layer, good = kind(3, 4), np.ones((1, 2, 4))
    if len(layer._parts) == 1:
        wrong = [state, (good,), (good, good), [good], [good, good]]
    else:
        wrong = [state, (state, good), (good, state), good, (good,), [good, good, good], np.ones((2, 1, 2, 4))]
    for hx in wrong:
        refused(lambda hx=hx: layer(FLOATS, hx), names_of(kind), "the state")
        refused(lambda hx=hx: layer([np.ones((5, 3))] * 2, hx), names_of(kind), "the state")
        refused(lambda hx=hx: layer(FLOATS, hx, lengths=[5, 2]), names_of(kind), "the state")


@pytest.mark.parametrize("kind", LAYERS)
def test_the_state_of_a_batch_for_one_sequence(kind):
    layer = kind(3, 4)
    state = layer(FLOATS)[1]
    refused(lambda: layer(FLOATS[:, 0], state), names_of(kind), "the state.* has shape")


@pytest.mark.parametrize("x", [v for v, what in WRONG_X.values() if what == "x" and np.shape(v)[-1:] != (3,)])
@pytest.mark.parametrize("kind", CELLS)
def test_wrong_x_of_cells(kind, x):
    refused(lambda: kind(3, 4)(x), [f"{kind.__name__[:-4].lower()}_cell"], "x")


@pytest.mark.parametrize("state", WRONG_STATES.values(), ids=WRONG_STATES)
@pytest.mark.parametrize("kind", CELLS)
def test_wrong_states_of_cells(kind, state):
    cell, x, good = kind(3, 4), np.ones((3, 3)), np.ones((3, 4))
    op = f"{kind.__name__[:-4].lower()}_cell"
    pair = isinstance(cell(x), tuple)
    wrong = [good, (good,), (state, good), (good, state)] if pair else [state, (good,), (good, good), [good, good]]
    for hx in wrong:
        refused(lambda hx=hx: cell(x, hx), [op, kind.__name__], "(the state|h|c) (is|has)")


@pytest.mark.parametrize("sizes", [3, [2.0], "ab", [[1], [1, 2]], [[3]], [], [1, 2], [2, 2], [3, 0], [2**62, 2**62]])
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "lstm_variant", "gru_variant"])
def test_wrong_batch_sizes(name, sizes):
    gates, states = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}[name.split("_")[0]]
    arrays = [np.ones((3, 3)), *[None] * states, np.ones((4 * gates, 3)), np.ones((4 * gates, 4))]
    refused(lambda: getattr(ops, name)(*arrays, batch_sizes=sizes), [name], "batch_sizes")


@pytest.mark.parametrize("lengths", WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_wrong_lengths_of_crf(lengths):
    crf, tags = nn.CRF(3), np.zeros((5, 2), int)
    refused(lambda: crf(FLOATS, tags, lengths=lengths), ["CRF", "crf_loss"], "lengths")
    refused(lambda: crf.decode(FLOATS, lengths=lengths), ["CRF", "crf_decode"], "lengths")


@pytest.mark.parametrize(
    "mask",
    [3, "ab", [[1], [1, 2]], [True], np.ones((5, 2)), np.ones((2, 5), bool), np.eye(5, 2) > 0, np.zeros((5, 2), bool)],
)
def test_wrong_masks_of_crf(mask):
    crf, tags = nn.CRF(3), np.zeros((5, 2), int)
    refused(lambda: crf(FLOATS, tags, mask=mask), ["CRF", "crf_loss"], "(mask|lengths)")
    refused(lambda: crf.decode(FLOATS, mask=mask), ["CRF", "crf_decode"], "(mask|lengths)")


@pytest.mark.parametrize("tags", [3, "ab", [[0], [1, 2]], np.zeros((5, 2)), np.zeros((2, 5), int), None])
def test_wrong_tags_of_crf(tags):
    refused(lambda: nn.CRF(3)(FLOATS, tags), ["CRF", "crf_loss"], "tags")


@pytest.mark.parametrize(
    "emissions", [None, 3, "ab", RAGGED, [], np.ones((5, 3)), np.ones((5, 2, 4)), np.ones((0, 2, 3))]
)
def test_wrong_emissions_of_crf(emissions):
    refused(lambda: nn.CRF(3)(emissions, np.zeros((5, 2), int)), ["CRF", "crf_loss"], "emissions")
    refused(lambda: nn.CRF(3).decode(emissions), ["CRF", "crf_decode"], "emissions")


def forms(x):
    """The same integers as other kinds of array."""
    strided = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), np.float32)[..., ::2]
    strided[...] = x
    misaligned = np.zeros(4 * x.size + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    misaligned[...] = x
    return {
        "float64": x.astype(np.float64),
        "int8": x.astype(np.int8),
        "big endian": x.astype(">f4"),
        "Fortran order": np.asfortranarray(x),
        "strided": strided,
        "misaligned": misaligned,
        "lists": x.tolist(),
        "Tensor": fnn.Tensor(x),
    }


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_every_form_of_input_is_right(rng, kind, options):
    layer = kind(3, 4, **options).eval()
    x = rng.integers(-3, 4, (5, 2, 3)).astype(np.float32)
    sizes = [layer._state_size(part) for part in layer._parts]
    states = [rng.integers(-2, 3, (1, 2, size)).astype(np.float32) for size in sizes]

    def results(x, states, lengths=None):
        y, last = layer(x, tuple(states) if len(states) > 1 else states[0], lengths=lengths)
        return [y.numpy(), *(s.numpy() for s in (last if isinstance(last, tuple) else (last,)))]

    expected, padded = results(x, states), results(x, states, [5, 2])
    others = [forms(s) for s in states]
    for name, given in forms(x).items():
        if name != "lists":  # a list is one of sequences
            for want, got in zip(expected, results(given, states), strict=True):
                assert np.array_equal(want, got), name
        for want, got in zip(expected, results(x, [other[name] for other in others]), strict=True):
            assert np.array_equal(want, got), name
    for lengths in ((5, 2), np.array([5, 2]), np.array([5, 2], np.int8), np.array([5, 9, 2])[::2]):
        for want, got in zip(padded, results(x, states, lengths), strict=True):
            assert np.array_equal(want, got)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_tuple_of_arrays_is_a_list_of_sequences(rng, kind):
    """As zip(*samples) gives it."""
    layer, sequences = kind(3, 4), [rng.standard_normal((n, 3)) for n in (2, 5)]
    for one, other in zip(layer(tuple(sequences))[0], layer(sequences)[0], strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "lstm_variant", "gru_variant"])
def test_input_is_converted_before_the_call(rng, monkeypatch, name):
    """A refused call makes a message out of all arguments, which takes longer than the layer."""
    gates, states = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}[name.split("_")[0]]
    shapes = [(5, 2, 3), *[(1, 2, 4)] * states, (4 * gates, 3), (4 * gates, 4), (4 * gates,), (4 * gates,)]
    arrays = [rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes]
    binding, calls = getattr(_core, f"{name}_forward"), []

    def counted(*args):
        calls.append(args)
        return binding(*args)

    monkeypatch.setattr(_core, f"{name}_forward", counted)
    expected = getattr(ops, name)(*arrays)
    for i, array in enumerate(arrays):
        for form, given in forms(array).items():
            calls.clear()
            got = getattr(ops, name)(*arrays[:i], given.data if form == "Tensor" else given, *arrays[i + 1 :])
            assert len(calls) == 1
            for one, other in zip(expected, got, strict=True):
                assert np.array_equal(one, other), (i, form)


def test_the_error_says_where_in_a_sequential(rng):
    x = rng.standard_normal((5, 2, 3))
    for recurrent in LAYERS:
        for following in (nn.Linear(4, 2), *(kind(4, 2) for kind in LAYERS)):
            model = nn.Sequential(nn.Linear(3, 3), recurrent(3, 4), following)
            label = rf"1 \({recurrent.__name__}\) returned \(output, state\) and 2 \({type(following).__name__}\)"
            for given in (x, x[:, 0]):
                with pytest.raises(TypeError, match=f"^Sequential: {label}.*returns x\\[0\\]"):
                    model(given)

    class Output(nn.Module):
        def forward(self, x):
            return x[0]

    assert nn.Sequential(nn.GRU(3, 4), Output(), nn.Linear(4, 2))(x).shape == (5, 2, 2)


def test_an_error_inside_a_sequential_gets_a_note():
    model = nn.Sequential({"first": nn.Linear(3, 4), "rest": nn.Sequential(nn.ReLU(), nn.Linear(3, 2))})
    with pytest.raises(ValueError, match="linear: x of shape") as caught:
        model(np.ones((5, 3)))
    assert caught.value.__notes__ == ["in 1 (Linear) of Sequential", "in rest (Sequential) of Sequential"]

    class Own(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        nn.Sequential(nn.LSTM(3, 4), Own())(np.ones((5, 2, 3)))
    assert caught.value.__notes__ == ["in 1 (Own) of Sequential"]
    joined = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(ValueError, match="BatchNorm2d: x has shape") as caught:
        joined(np.ones((1, 4, 2, 2)))
    assert caught.value.__notes__ == ["in 0 (BatchNorm2d) of Sequential"]

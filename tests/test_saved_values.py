"""A value that an op saved for its gradient is written before backward: the gradient is that of the values that forward
saw, or there is a RuntimeError that names the op. Never the gradient of other values."""

import gc

import numpy as np
import pytest
from cases import CASES, is_float, outputs_of
from reference.activation import FUNCTIONS
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import nn, ops, writes

FROM_OUTPUT = {name for name, row in FUNCTIONS.items() if row.saves == "y"}
# What is saved by none, or not an input: outputs, indices, a gradient made with the loss.
NO_INPUT = {
    *("adaptive_avgpool1d", "adaptive_avgpool2d", "avgpool1d", "avgpool2d", "cross_entropy", "embedding"),
    *("cross_entropy_probabilities", "cross_entropy_weight", "ctc_loss", "ctc_loss_joined", "log_softmax"),
    *("clone", "maxpool1d", "maxpool2d", "remainder", "to_float32"),
    *("maxpool2d_many_taps", "mean", "softmax", "sum", *LOSSES),
    *FROM_OUTPUT,
    *("add", "exp", "max_at", "min_at", "neg", "sqrt", "sub", "where"),
    *("broadcast_to", "chunk", "concatenate", "flatten", "flip", "index", "pad", "permute"),
    *("put_rows", "put_rows, sizes", "repeat"),
    *("reshape", "split", "squeeze", "stack", "take_rows", "transpose", "unbind", "unsqueeze"),
}
# Save an output.
OUTPUT = {"exp", "gru", "log_softmax", "lstm", "rnn", "softmax", "sqrt", *FROM_OUTPUT}


def _optimizer_step(t):
    t.grad = np.ones(t.shape)
    fnn.optim.SGD([t], lr=0.5).step()
    t.grad = None


def _in_place(t):
    with fnn.no_grad():
        t += 0.25


def _item(t):
    with fnn.no_grad():
        t[...] = 0.25


def _data(t):
    t.data[...] = 0.25


def _data_in_place(t):
    t.data *= 0.5


def _numpy(t):
    np.copyto(t.numpy(), 0.25)


def _write(t):
    if t.numpy().flags.writeable:  # a broadcast one is not
        _numpy(t)


WAYS = [_optimizer_step, _in_place, _item, _data, _data_in_place, _numpy]


def _gradients(case, arrays, write=None):
    """Gradients of all float arrays; ``write`` is called with the leaves between forward and backward."""
    rng = np.random.default_rng(3)
    fnn.manual_seed(0)
    leaves = [fnn.Tensor(np.array(a), requires_grad=True) if is_float(a) else np.array(a) for a in arrays]
    outputs = outputs_of(case.op(*leaves, **case.options))
    total = None
    for o in outputs:
        part = (o * rng.standard_normal(o.shape).astype(np.float32)).sum()
        total = part if total is None else total + part
    if write is not None:
        write(leaves, outputs)
    total.backward()
    return [t.grad for t in leaves if isinstance(t, fnn.Tensor)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_right_or_an_error(rng, name, way):
    case = CASES[name]
    arrays = case.arrays(rng)
    expected = _gradients(case, arrays)
    refused = []
    for i, array in enumerate(arrays):
        if not is_float(array):
            continue
        try:
            found = _gradients(case, arrays, lambda leaves, _, i=i: way(leaves[i]))
        except RuntimeError as error:
            assert "written since" in str(error)  # noqa: PT017  (both outcomes are right)
            refused.append(i)
            continue
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True)), i
    assert bool(refused) != (name in NO_INPUT)


@pytest.mark.parametrize("name", CASES)
def test_outputs_that_are_written(rng, name):
    case = CASES[name]
    arrays = case.arrays(rng)
    expected = _gradients(case, arrays)
    refused = 0
    for i in range(len(outputs_of(case.op(*arrays, **case.options)))):
        try:
            found = _gradients(case, arrays, lambda _, outputs, i=i: _write(outputs[i]))
        except RuntimeError as error:
            assert "written since" in str(error)  # noqa: PT017
            refused += 1
            continue
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True)), i
    assert refused or name not in OUTPUT


@pytest.mark.parametrize("name", CASES)
def test_an_array_that_is_filled_again(rng, name):
    """A buffer of the user's, not a Tensor: the first argument, while the others require gradients."""
    case = CASES[name]
    arrays = case.arrays(rng)
    if sum(map(is_float, arrays)) < 2:
        return
    results = []
    for again in (False, True):
        buffer = arrays[0].copy()
        leaves = [fnn.Tensor(a.copy(), requires_grad=True) if is_float(a) else a for a in arrays[1:]]
        total = sum((o * o).sum() for o in outputs_of(case.op(buffer, *leaves, **case.options)))
        if again:
            buffer[...] = 1
        try:
            total.backward()
        except RuntimeError as error:
            assert again
            assert "written since" in str(error)  # noqa: PT017
            return
        results.append([t.grad for t in leaves if isinstance(t, fnn.Tensor)])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def _pair():
    return nn.Linear(3, 4), nn.Linear(4, 2)


def test_two_networks_that_share_an_activation():
    """As in every GAN: one of them steps before the other one's backward."""
    first, second = _pair()
    optimizer = fnn.optim.Adam(second.parameters(), lr=0.1)
    hidden = first(np.ones((5, 3)))
    generator, critic = second(hidden).sum(), (second(hidden.detach()) ** 2).sum()
    critic.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"linear saved .* written since"):
        generator.backward()
    assert all(p.grad is None for p in first.parameters())


def test_load_state_dict_between_forward_and_backward():
    first, second = _pair()
    loss = second(first(np.ones((5, 3)))).sum()
    second.load_state_dict({name: array + 1 for name, array in second.state_dict().items()})
    with pytest.raises(RuntimeError, match="linear saved"):
        loss.backward()


def test_values_that_no_gradient_reads_may_be_written():
    """A bias, the weight of a first layer, an optimizer's step on other parameters, values that are only looked at."""
    first, second = _pair()
    other = nn.Linear(3, 3)
    optimizer = fnn.optim.SGD(other.parameters(), lr=0.1)
    other(np.ones((1, 3))).sum().backward()
    hidden = first(np.ones((5, 3)))
    loss = second(hidden).sum()
    second.bias.data[...] = 7
    first.weight.data[...] = 7
    optimizer.step()
    assert np.isfinite(second.weight.data).all()
    assert np.isfinite(hidden.numpy()).all()
    loss.backward()
    assert np.array_equal(second.bias.grad, [5, 5])
    assert np.array_equal(first.weight.grad, np.outer(second.weight.data.sum(0) * 5, [1, 1, 1]))


def test_a_write_of_the_same_bits_is_none():
    first, second = _pair()
    loss = second(first(np.ones((5, 3)))).sum()
    second.weight.data[...] = second.weight.numpy().copy()
    loss.backward()


@pytest.mark.parametrize("how", ["view", "detached", "strided"])
def test_a_write_through_other_names_of_the_memory(how):
    base = np.ones((4, 6), np.float32)
    w = fnn.Tensor(base[:, ::2] if how == "strided" else base, requires_grad=True)
    x = fnn.Tensor(np.ones((2, 4)), requires_grad=True)
    loss = (x @ w).sum()
    if how == "view":
        with fnn.no_grad():
            row = w[1]
            row += 1
    elif how == "detached":
        w.detach().numpy()[0] = 2
    else:
        base[:, 2] = 5
    with pytest.raises(RuntimeError, match="matmul saved"):
        loss.backward()


def test_a_buffer_for_every_time_step():
    """The natural mistake with NumPy: one array, filled again for every step of an unrolled network."""
    cell, buffer, h = nn.GRUCell(3, 4), np.zeros((2, 3), np.float32), None
    for step in range(3):
        buffer[...] = step
        h = cell(buffer, h)
    with pytest.raises(RuntimeError, match="gru_cell saved"):
        h.sum().backward()


def test_nothing_is_remembered_of_memory_that_is_gone():
    gc.collect()
    before = len(writes._blocks)
    for _ in range(100):
        p = fnn.Parameter(np.ones(3))
        y = (p * p).sum()
        with fnn.no_grad():
            p += 1
        assert p.data.sum() == 6
        del p, y
    gc.collect()
    assert len(writes._blocks) <= before + 2


def test_many_places_of_one_block():
    p = fnn.Parameter(np.ones((1000, 2)))
    x = fnn.Parameter(np.ones(2))
    loss = (p[999] * x).sum()
    with fnn.no_grad():
        for i in range(1000):
            row = p[i]
            row *= 2
    assert len(writes._block(p._array).written) <= writes._MANY + 1
    with pytest.raises(RuntimeError, match="mul saved"):
        loss.backward()


def test_gradients_that_are_kept_are_not_written_again():
    w = fnn.Parameter(np.ones(3))
    optimizer = fnn.optim.SGD([w], lr=1.0)
    kept = []
    for factor in (1, 2, 3):
        optimizer.zero_grad()
        (w * factor).sum().backward()
        kept.append(w.grad)
        optimizer.step()
    assert np.array_equal(kept, [[1] * 3, [2] * 3, [3] * 3])
    w.grad *= 10
    optimizer.step()
    assert np.array_equal(w.data, np.full(3, 1 - 6 - 30))


@pytest.mark.parametrize("kind", fnn.optim.__all__)
def test_an_array_taken_before_the_optimizer_was_made_follows_the_parameter(kind):
    if kind == "Optimizer":
        return
    given = np.ones((2, 3), np.float32)
    strided = np.ones((2, 6), np.float32)[:, ::2]
    p, q, r = fnn.Parameter(given), nn.Linear(3, 2).weight, fnn.Parameter(strided)
    taken = q.numpy()
    optimizer = getattr(fnn.optim, kind)([p, q, r], lr=0.5)
    for _ in range(2):
        for t in (p, q, r):
            t.grad = np.ones(t.shape)
        optimizer.step()
    for t, array in ((p, given), (q, taken), (r, strided)):
        assert t.numpy() is array
    assert np.array_equal(given, strided)
    assert not np.any(given == 1)


def test_a_gradient_that_an_op_does_not_have_is_an_error():
    x, low = fnn.Parameter([1.0, 2.0]), fnn.Parameter([1.5])
    with pytest.raises(RuntimeError, match="clamp has no gradient for its argument 1"):
        ops.clamp(x, low, 3).sum().backward()


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((1, 2)), "a", np.ones(2, complex)], ids=repr)
def test_a_gradient_of_another_shape_or_kind_is_refused(wrong):
    x = fnn.Parameter([1.0, 2.0])
    with pytest.raises((ValueError, TypeError), match="grad"):
        x.grad = wrong

import copy
import pickle

import numpy as np
import pytest
import reference
from check import rel_error
from reference.optimizer import OPTIMIZERS

import fastnn as fnn
from fastnn import _core
from fastnn.optim import SGD, Adam, AdamW

SHAPES = [(3, 5), (), (16,), (40, 33), (1,), (2, 3, 3, 3), (0,), (7,)]
CASES = {name: (getattr(fnn.optim, kind), exact, options) for name, (kind, exact, options) in OPTIMIZERS.items()}
cases = pytest.mark.parametrize(("kind", "exact", "options"), CASES.values(), ids=CASES)


def parameters(rng, shapes=SHAPES):
    return [fnn.Parameter(rng.standard_normal(shape)) for shape in shapes]


def set_gradients(params, gradients):
    for p, g in zip(params, gradients, strict=True):
        p.grad = None if g is None else g.copy()


def random_gradients(rng, steps, shapes=SHAPES):
    return [[rng.standard_normal(shape).astype(np.float32) for shape in shapes] for _ in range(steps)]


def train(optimizer, params, gradients):
    for step in gradients:
        set_gradients(params, step)
        optimizer.step()
    return [p.numpy().copy() for p in params]


def test_every_optimizer_has_a_row():
    assert {kind.__name__ for kind, _, _ in CASES.values()} | {"Optimizer"} == {*fnn.optim.__all__}


@cases
def test_one_step(isa, rng, kind, exact, options):
    """Within 2 units in the last place of the weight; where the change is the larger part, within 5 of the change."""
    params, gradients = parameters(rng), random_gradients(rng, 1)
    before = [p.numpy().astype(np.float64) for p in params]
    for after, w, g in zip(train(kind(params, **options), params, gradients), before, gradients[0], strict=True):
        want = exact(w, [g.astype(np.float64)], **options)
        unit = np.spacing(np.maximum(np.abs(w), np.abs(want)).astype(np.float32))
        change = np.abs(want - w)
        error = np.abs(after - want)
        assert np.all(error <= np.where(change < np.abs(w) / 4, 2 * unit, unit + 5 * np.spacing(change.astype("f"))))
        assert after.size == 0 or not np.array_equal(after, w)


@cases
def test_many_steps(isa, rng, kind, exact, options):
    params, gradients = parameters(rng), random_gradients(rng, 100)
    before = [p.numpy().astype(np.float64) for p in params]
    results = train(kind(params, **options), params, gradients)
    want = [
        exact(w, [step[i].astype(np.float64) for step in gradients], **options).ravel() for i, w in enumerate(before)
    ]
    assert rel_error(np.concatenate([w.ravel() for w in results]), np.concatenate(want)) < 1e-5


def test_long_horizon(rng):
    """1,000 steps of Adam with gradients near 1: a rounded beta2 would show in the running mean of the squares."""
    p = fnn.Parameter(np.zeros(64))
    gradients = [rng.normal(1, 0.1, 64).astype(np.float32) for _ in range(1000)]
    (after,) = train(Adam([p]), [p], [[g] for g in gradients])
    assert rel_error(after, reference.adam(np.zeros(64), [g.astype(np.float64) for g in gradients])) < 1e-6


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_same_bits_for_any_number_of_threads(isa, rng, kind):
    """Six tasks, tails included; and one flat buffer gives the bits of one optimizer per parameter."""
    shapes = [(3, 31000), (70001,), (5,)]
    start, gradients = [rng.standard_normal(s) for s in shapes], random_gradients(rng, 2, shapes)
    options = {"weight_decay": 0.1} | ({"momentum": 0.9} if kind is SGD else {})
    results = []
    for threads in (1, 2, 3):
        with fnn.threads(threads):
            params = [fnn.Parameter(a) for a in start]
            results.append(train(kind(params, **options), params, gradients))
    for i, a in enumerate(start):
        p = fnn.Parameter(a)
        alone = train(kind([p], **options), [p], [[step[i]] for step in gradients])[0]
        assert all(np.array_equal(r[i], alone) for r in results)


def test_flat_memory(rng):
    params = parameters(rng)
    before = [p.detach().numpy().copy() for p in copy.deepcopy(params)]
    optimizer = Adam(params)
    for p, old in zip(params, before, strict=True):
        assert np.array_equal(p.data, old)
        assert p.data.shape == old.shape
        assert p.data.size == 0 or np.shares_memory(p.data, optimizer._data)
        assert p.data.size == 0 or p.numpy().ctypes.data % 64 == 0
    train(optimizer, params, random_gradients(rng, 3))
    used = np.zeros(optimizer._data.size, bool)
    for p, start in zip(params, optimizer._starts, strict=True):
        used[start : start + p.size] = True
    assert not optimizer._data[~used].any()
    assert not optimizer._grad[~used].any()


def test_backward_writes_into_the_flat_gradient():
    w = fnn.Parameter(np.ones((2, 3)))
    optimizer = SGD([w], lr=1)
    for _ in range(2):
        fnn.ops.linear(np.ones((1, 3)), w).backward(np.ones((1, 2)))
        assert np.array_equal(optimizer._grad[:6], np.ones(6))
        assert np.array_equal(w.grad, np.ones((2, 3)))
        optimizer.step()
        optimizer.zero_grad()
        assert w.grad is None
    assert np.array_equal(w.data, -np.ones((2, 3)))


def test_missing_gradients_are_skipped(rng):
    """A parameter without a gradient keeps weight, state and step count, as if it had not been given."""
    shapes = [(4,), (20,), (3, 3), (6,)]
    for kind, exact, options in CASES.values():
        params, gradients = parameters(rng, shapes), random_gradients(rng, 6, shapes)
        before = [p.numpy().astype(np.float64) for p in params]
        for t, step in enumerate(gradients):
            step[1] = None
            if t % 2:
                step[2] = None
        after = train(kind(params, **options), params, gradients)
        assert np.array_equal(after[1], before[1])
        for i in (0, 2, 3):
            seen = [step[i].astype(np.float64) for step in gradients if step[i] is not None]
            assert rel_error(after[i], exact(before[i], seen, **options)) < 1e-6


def test_replaced_data_is_taken_over(rng):
    p = fnn.Parameter(np.zeros(5))
    first, second = SGD([p], lr=1), SGD([p], lr=1)  # the second one moves the parameter away from the first
    for optimizer in (first, second, first, second):
        p.grad = np.ones(5, np.float32)
        optimizer.step()
    assert np.array_equal(p.data, np.full(5, -4))
    p.data = np.full(5, 10, np.float32)
    p.grad = np.ones(5, np.float32)
    first.step()
    assert np.array_equal(p.data, np.full(5, 9))
    p.data = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match=r"parameter 0 has shape \(5,\), but its data has \(4,\)"):
        first.step()


def test_groups_and_learning_rates(rng):
    a, b, c = parameters(rng, [(3,), (17,), (2,)])
    before = [p.numpy().copy() for p in (a, b, c)]
    optimizer = SGD([{"params": [a], "lr": 1.0}, {"params": iter([b, c])}], lr=0.5)
    ones = [np.ones(p.shape, np.float32) for p in (a, b, c)]
    after = train(optimizer, [a, b, c], [ones])
    for new, old, lr in zip(after, before, (1, 0.5, 0.5), strict=True):
        np.testing.assert_allclose(new, old - lr, rtol=0, atol=1e-6)
    optimizer.param_groups[1]["lr"] = 2
    after = train(optimizer, [a, b, c], [ones])
    for new, old, lr in zip(after, before, (2, 2.5, 2.5), strict=True):
        np.testing.assert_allclose(new, old - lr, rtol=0, atol=1e-6)
    optimizer.lr = 0
    assert [group["lr"] for group in optimizer.param_groups] == [0, 0]
    assert all(np.array_equal(x, y) for x, y in zip(train(optimizer, [a, b, c], [ones]), after, strict=True))


@cases
@pytest.mark.parametrize("copied", [None, pickle, copy], ids=["state_dict", "pickle", "deepcopy"])
def test_state_survives(rng, kind, exact, options, copied):
    """5 steps, state carried over, 5 more: the bits of 10 steps."""
    params, gradients = parameters(rng), random_gradients(rng, 10)
    optimizer = kind(params, **options)
    train(optimizer, params, gradients[:5])
    if copied is None:
        others = [fnn.Parameter(p.numpy().copy()) for p in params]
        other = kind(others)
        other.load_state_dict(optimizer.state_dict())
    elif copied is copy:
        others, other = copy.deepcopy((params, optimizer))
    else:
        others, other = pickle.loads(pickle.dumps((params, optimizer)))
    whole, resumed = train(optimizer, params, gradients[5:]), train(other, others, gradients[5:])
    assert all(np.array_equal(x, y) for x, y in zip(whole, resumed, strict=True))


def test_state_dict_is_checked_before_anything_changes(rng):
    params = parameters(rng, [(3,), (4,)])
    optimizer = Adam(params)
    train(optimizer, params, random_gradients(rng, 2, [(3,), (4,)]))
    before = optimizer.state_dict()
    wrong = Adam(parameters(rng, [(3,), (5,)]))
    train(wrong, wrong.param_groups[0]["params"], random_gradients(rng, 1, [(3,), (5,)]))
    with pytest.raises(ValueError, match=r"parameter 1 has shape \(4,\), but exp_avg has \(5,\)"):
        optimizer.load_state_dict(wrong.state_dict())
    with pytest.raises(ValueError, match=r"groups of \[1\] parameters, here they have \[2\]"):
        optimizer.load_state_dict(Adam(params[:1]).state_dict())
    after = optimizer.state_dict()
    assert all(np.array_equal(before["state"][i][k], after["state"][i][k]) for i in (0, 1) for k in before["state"][i])


def test_zero_grad(rng):
    (p,) = parameters(rng, [(3,)])
    optimizer = SGD([p])
    p.grad = np.ones(3, np.float32)
    optimizer.zero_grad(set_to_none=False)
    assert np.array_equal(p.grad, np.zeros(3))
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()  # nothing to do


def test_nan_gradient_stays_in_its_element(isa):
    p = fnn.Parameter(np.zeros(40))
    optimizer = Adam([p])
    p.grad = np.ones(40, np.float32)
    p.grad[17] = np.nan
    optimizer.step()
    assert np.isnan(p.data).nonzero()[0].tolist() == [17]


def test_errors(rng):
    (p,) = parameters(rng, [(3,)])
    for message, call in {
        "SGD: params is empty": lambda: SGD([]),
        "a parameter of shape .3,. was given twice": lambda: Adam([p, p]),
        "SGD: lr is -1": lambda: SGD([p], lr=-1),
        "SGD: lr is nan": lambda: SGD([p], lr=float("nan")),
        "SGD: momentum is -1": lambda: SGD([p], momentum=-1),
        "SGD: nesterov needs": lambda: SGD([p], nesterov=True),
        "AdamW: weight_decay is -1": lambda: AdamW([p], weight_decay=-1),
        "Adam: betas is .1, 0.5": lambda: Adam([p], betas=(1, 0.5)),
        "Adam: eps is -1": lambda: Adam([{"params": [p], "eps": -1}]),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="params is a Tensor"):
        SGD(p)
    with pytest.raises(TypeError, match="params holds a ndarray"):
        SGD([np.zeros(3)])
    with pytest.raises(TypeError, match=r"a group has \['betas'\]"):
        SGD([{"params": [p], "betas": (0, 0)}])
    with pytest.raises(ValueError, match="only leaves"):
        SGD([fnn.ops.linear(np.ones((1, 3)), fnn.Parameter(np.ones((2, 3))))])


def test_the_kernels_check_memory():
    w, sgd = np.zeros(4, np.float32), (1.0, 0.0, 1.0, 0.0, False, False, True)
    adam = (0.9, 0.1, 0.9, 0.1, 1.0, 1.0, 0.1, 0.0, False, False)

    def step(weight, grad, states=(None,), rule="sgd", options=sgd, place=(0, 4)):
        _core.optimizer_step(rule, weight, grad, list(states), [(*place, options)])

    frozen = w.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="weight is read-only"):
        step(frozen, w)
    with pytest.raises(ValueError, match=r"grad has shape \(3,\), expected \(4,\)"):
        step(w, w[:3])
    with pytest.raises(ValueError, match=r"state 0 has shape \(4, 1\)"):
        step(w, w, [np.zeros((4, 1), np.float32)])
    with pytest.raises(TypeError, match="grad must be C-contiguous"):
        step(w, np.zeros(8, np.float32)[::2])
    with pytest.raises(TypeError):
        step(w, w.astype(np.float64))
    for begin, end in ((-1, 4), (0, 5), (3, 2), (-(2**63), 2**63 - 1)):
        with pytest.raises(ValueError, match=r"range .* of 4 weights"):
            step(w, w, place=(begin, end))
        with pytest.raises(ValueError, match=r"range .* of 4 weights"):
            step(w, w, [w, w], "adam", adam, (begin, end))
    with pytest.raises(ValueError, match="state 1 is read-only"):
        step(w, w, [w, frozen], "adam", adam)
    for states, options, wrong in (
        ([w], adam, "1 states, expected 2"),
        ([w, None], adam, "state 1 is missing"),
        ([w, w], sgd, "7 options, expected 10"),
    ):
        with pytest.raises(ValueError, match=wrong):
            step(w, w, states, "adam", options)
    with pytest.raises(ValueError, match="there is no rule 'adan'"):
        step(w, w, rule="adan")
    assert not w.any()

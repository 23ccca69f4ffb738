"""Optimizer states: to the bit where they fit, refused where anything would be dropped."""

import numpy as np
import pytest
from reference.optimizer import OPTIMIZERS

import fastnn as fnn
from fastnn import optim

KINDS = [name for name in optim.__all__ if name != "Optimizer"]
OPTIONS = {"SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}]}
CASES = [(name, options) for name in KINDS for options in OPTIONS.get(name, [{}, {"weight_decay": 0.1}])]
CASES += [(kind, options) for kind, _, options in OPTIMIZERS.values()]


def stepped(name, options, steps=3):
    params = [fnn.Parameter(np.linspace(-1, 1, size)) for size in (3, 20)]
    optimizer = getattr(optim, name)(params, **{"lr": 0.01, **options})
    for _ in range(steps):
        step(optimizer, params)
    return optimizer, params


def step(optimizer, params):
    for p in params:
        p.grad = np.cos(np.arange(p.size, dtype=np.float32) + optimizer.steps)
    optimizer.step()


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_state_goes_round_to_the_bit(name, options):
    optimizer, params = stepped(name, options)
    state = optimizer.state_dict()
    other, others = stepped(name, {}, 0)
    for p, q in zip(params, others, strict=True):
        q.data = p.numpy().copy()
    other.load_state_dict(state)
    assert same(other.state_dict(), state)
    assert other.steps == optimizer.steps == 3
    for _ in range(3):
        step(optimizer, params)
        step(other, others)
    assert all(np.array_equal(p.data, q.data) for p, q in zip(params, others, strict=True))
    assert same(other.state_dict(), optimizer.state_dict())


@pytest.mark.parametrize("name", KINDS)
def test_as_json_has_it(name):
    """Keys are strings then, and pairs lists."""
    optimizer, _ = stepped(name, {})
    state = optimizer.state_dict()
    written = {
        "state": {str(i): dict(saved) for i, saved in state["state"].items()},
        "param_groups": [
            {k: list(v) if isinstance(v, tuple) else v for k, v in g.items()} for g in state["param_groups"]
        ],
    }
    other, _ = stepped(name, {}, 0)
    other.load_state_dict(written)
    assert same(other.state_dict(), state)


@pytest.mark.parametrize(("theirs", "options"), CASES)
@pytest.mark.parametrize("ours", KINDS)
def test_the_state_of_another_optimizer(ours, theirs, options):
    optimizer, _ = stepped(ours, {})
    before = optimizer.state_dict()
    other, _ = stepped(theirs, options)
    if ours == theirs:
        optimizer.load_state_dict(other.state_dict())
        return
    with pytest.raises(ValueError, match=f"{ours}: not a state of this optimizer; nothing was changed"):
        optimizer.load_state_dict(other.state_dict())
    assert same(optimizer.state_dict(), before)


def changed(state, group=(), saved=(), without=()):
    saved_0 = {key: value for key, value in {**state["state"][0], **dict(saved)}.items() if key not in without}
    group_0 = {key: value for key, value in {**state["param_groups"][0], **dict(group)}.items() if key not in without}
    return {"state": {**state["state"], 0: saved_0}, "param_groups": [group_0]}


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_dropped(name):
    optimizer, _ = stepped(name, {"momentum": 0.9} if name == "SGD" else {})
    before = optimizer.state_dict()
    buffer = optimizer._state_names[0]
    for message, changes in {
        "parameter 0 has max_exp_avg_sq": {"saved": {"max_exp_avg_sq": np.ones(3)}},
        "group 0 has amsgrad=True, this optimizer has amsgrad=False": {"group": {"amsgrad": True}},
        "group 0 has trust=0.1, this optimizer has no such option": {"group": {"trust": 0.1}},
        "group 0 has no lr": {"without": ["lr"]},
        f"parameter 0 has no {buffer}": {"without": [buffer]},
        f"parameter 0 has shape .3,., but {buffer} has .4,.": {"saved": {buffer: np.ones(4)}},
        "parameter 0: .*dtype complex": {"saved": {buffer: np.ones(3, complex)}},
        "parameter 0 has step -1": {"saved": {"step": -1}},
        "parameter 0 has step nan": {"saved": {"step": float("nan")}},
        "lr is -1": {"group": {"lr": -1}},
        "lr is 'fast', expected a number": {"group": {"lr": "fast"}},
    }.items():
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(changed(before, **changes))
        assert same(optimizer.state_dict(), before)
    with pytest.raises(ValueError, match="parameter 9 is in no group"):
        optimizer.load_state_dict({**before, "state": {9: before["state"][0]}})
    for wrong in (None, [], {"state": {}}):
        with pytest.raises(TypeError, match="expected what state_dict"):
            optimizer.load_state_dict(wrong)
    how = {
        "foreach": True,
        "capturable": True,
        "differentiable": False,
        "fused": None,
        "initial_lr": 0.3,
        "maximize": False,
    }
    optimizer.load_state_dict(changed(before, group=how))
    assert same(optimizer.state_dict(), before)


def test_momentum_switched_on_later():
    optimizer, params = stepped("SGD", {})
    optimizer.param_groups[0]["momentum"] = 0.9
    other, others = stepped("SGD", {}, 0)
    for p, q in zip(params, others, strict=True):
        q.data = p.numpy().copy()
    other.load_state_dict(optimizer.state_dict())
    step(optimizer, params)
    step(other, others)
    assert all(np.array_equal(p.data, q.data) for p, q in zip(params, others, strict=True))


TORCH = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"weight_decay": 0.1}),
    ("Adam", {"foreach": True, "betas": (0.8, 0.9)}),
    ("AdamW", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {"amsgrad": True}),
    ("RMSprop", {}),
    ("Adagrad", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("Adamax", {}),
]


@pytest.mark.parametrize(("theirs", "options"), TORCH)
@pytest.mark.parametrize("ours", KINDS)
def test_states_of_torch(rng, ours, theirs, options):
    torch = pytest.importorskip("torch")
    start = [rng.standard_normal(3).astype(np.float32), rng.standard_normal((2, 4)).astype(np.float32)]
    q = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in start]
    other = getattr(torch.optim, theirs)(q, **options)
    p = [fnn.Parameter(a.copy()) for a in start]
    optimizer = getattr(optim, ours)(p)

    def both():
        for a, b in zip(p, q, strict=True):
            a.grad = rng.standard_normal(a.shape).astype(np.float32)
            b.grad = torch.from_numpy(a.grad.numpy().copy())
        other.step()

    for _ in range(3):
        both()
    if ours != theirs or options.get("amsgrad"):
        before = optimizer.state_dict()
        with pytest.raises(ValueError, match=f"{ours}: not a state of this optimizer"):
            optimizer.load_state_dict(other.state_dict())
        assert same(optimizer.state_dict(), before)
        return
    for a, b in zip(p, q, strict=True):
        a.data = b.detach().numpy().copy()
    optimizer.load_state_dict(other.state_dict())
    for _ in range(3):
        both()
        optimizer.step()
    for a, b in zip(p, q, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-5, atol=1e-6)
    getattr(torch.optim, theirs)(q, **options).load_state_dict(_tensors(torch, optimizer.state_dict()))


def _tensors(torch, state):
    tensors = {i: {k: torch.tensor(v) for k, v in saved.items()} for i, saved in state["state"].items()}
    return {"state": tensors, "param_groups": state["param_groups"]}

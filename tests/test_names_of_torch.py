"""Every public name of torch is there, or says what to write instead."""

import importlib

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn
from fastnn.torch_names import TABLES

PLACES = {
    "fastnn": ("torch", fnn, "fnn"),
    "fastnn.nn": ("torch.nn", nn, "nn"),
    "fastnn.nn.functional": ("torch.nn.functional", nn.functional, "nn.functional"),
    "fastnn.optim": ("torch.optim", fnn.optim, "fnn.optim"),
    "Tensor": ("torch.Tensor", fnn.tensor([1.0]), "Tensor"),
}


def said(where, name):
    with pytest.raises(AttributeError) as caught:
        getattr(where, name)
    return str(caught.value)


@pytest.mark.parametrize("place", PLACES)
def test_every_name_of_torch_is_there_or_says_what_to_write(place):
    torch = pytest.importorskip("torch")
    path, ours, short = PLACES[place]
    theirs = torch.Tensor if place == "Tensor" else importlib.import_module(path)
    names = [name for name in dir(theirs) if not name.startswith("_")]
    missing = [name for name in names if not hasattr(ours, name)]
    assert len(names) > 10
    assert len(missing) < len(names)
    for name in missing:
        text = said(ours, name)
        assert text.startswith(f"{short} has no '{name}': "), text
        assert any(word in text for word in ("write", "not in fastnn", "leave it out", *TABLES[place].values())), text


@pytest.mark.parametrize("place", PLACES)
def test_the_tables_speak_of_what_is_missing(place):
    _, ours, short = PLACES[place]
    for name, text in TABLES[place].items():
        if text and not hasattr(ours, name):
            assert said(ours, name) == f"{short} has no {name!r}: {text}"
    assert list(TABLES) == list(PLACES)


def test_names_that_are_elsewhere_or_misspelt():
    assert said(fnn, "exp") == "fnn has no 'exp': write fnn.ops.exp"
    assert said(fnn, "relu").endswith("write fnn.ops.relu")
    assert said(fnn, "Linear").endswith("write fnn.nn.Linear")
    assert said(nn, "tensor").endswith("write fnn.tensor")
    assert said(nn, "conv2D").endswith("not in fastnn; did you mean 'Conv2d'?")
    assert said(nn.functional, "add").endswith("write fnn.ops.add")
    assert said(fnn.optim, "Adamw").endswith("not in fastnn; did you mean 'AdamW'?")
    x = fnn.tensor([1.0])
    assert said(x, "maximum").endswith("write fnn.ops.maximum(x, ...)")
    assert said(x, "exp_").endswith("write x = x.exp(...), or x.copy_(x.exp(...))")
    assert said(x, "lu_solve") == "Tensor has no 'lu_solve': it is not in fastnn"
    assert said(fnn.Tensor, "contiguous") == said(x, "contiguous")


def test_nothing_else_changes():
    """hasattr and getattr with a default work, and what Python and NumPy ask for is answered shortly."""
    x = fnn.tensor([1.0])
    for ours in (fnn, nn, nn.functional, fnn.optim, x):
        assert not hasattr(ours, "no_such_name")
        assert getattr(ours, "no_such_name", 3) == 3
        assert "write" not in said(ours, "__no_such_name__")
    assert {"argmax", "data", "requires_grad"} <= set(dir(x))
    assert not {"contiguous", "lu_solve"} & set(dir(x))

    class Own(fnn.Tensor):
        contiguous = 3

    assert Own([1.0]).contiguous == 3
    with pytest.raises(ImportError):
        from fastnn.nn import Conv3d  # noqa: F401


@pytest.mark.parametrize("place", PLACES)
def test_no_name_of_torch_is_taken_for_a_misspelling(place):
    torch = pytest.importorskip("torch")
    path, ours, _ = PLACES[place]
    theirs = torch.Tensor if place == "Tensor" else importlib.import_module(path)
    for name in dir(theirs):
        if not name.startswith("_") and not hasattr(ours, name):
            assert "did you mean" not in said(ours, name)


def test_names_that_were_offered_as_others_and_real_misspellings():
    for where, name in (
        (nn, "LayerNorm"),
        (nn, "PReLU"),
        (nn, "Conv3d"),
        (nn, "Dropout2d"),
        (nn.functional, "layer_norm"),
        (nn.functional, "prelu"),
        (nn.functional, "selu"),
        (fnn.optim, "RAdam"),
        (fnn, "log10"),
        (fnn, "atan"),
    ):
        assert said(where, name).endswith(f" has no {name!r}: it is not in fastnn")
    assert said(nn.functional, "relu_").endswith("write x = fnn.nn.functional.relu(x)")
    assert said(nn.functional, "sofmax").endswith("did you mean 'softmax'?")
    assert said(nn, "MaxPol2d").endswith("did you mean 'MaxPool2d'?")
    assert said(fnn, "tensr").endswith("did you mean 'tensor'?")


def hint_gives(where, name, expression, **values):
    """What ``expression``, which is in the hint, gives."""
    assert expression in said(where, name)
    every = {"np": np, "fnn": fnn, "nn": nn, **values}
    y = eval(expression, every)
    return y.detach().numpy() if isinstance(y, fnn.Tensor) else np.asarray(y)


X = np.float32([[3.0, -1.5, 2.5], [0.5, 7.0, -2.0]])
OF_A_TENSOR = {
    "absolute": ("x.abs()", "x.absolute()"),
    "allclose": ("np.allclose(x.detach().numpy(), y.detach().numpy())", "x.allclose(y)"),
    "amax": ("x.max(axis=dim)", "x.amax(dim)"),
    "amin": ("x.min(axis=dim)", "x.amin(dim)"),
    "argsort": ("np.argsort(x.detach().numpy(), dim)", "x.argsort(dim)"),
    "ceil": ("fnn.tensor(np.ceil(x.detach().numpy()))", "x.ceil()"),
    "cumprod": ("fnn.tensor(np.cumprod(x.detach().numpy(), dim))", "x.cumprod(dim)"),
    "cumsum": ("fnn.tensor(np.cumsum(x.detach().numpy(), dim))", "x.cumsum(dim)"),
    "equal": ("x.shape == y.shape and bool((x == y).all())", "x.equal(y)"),
    "floor": ("fnn.tensor(np.floor(x.detach().numpy()))", "x.floor()"),
    "gather": ("x[np.arange(len(x)), index]", "x.gather(1, index[:, None])[:, 0]"),
    "isclose": ("np.isclose(x.detach().numpy(), y.detach().numpy())", "x.isclose(y)"),
    "isfinite": ("abs(x) < np.inf", "x.isfinite()"),
    "isinf": ("abs(x) == np.inf", "x.isinf()"),
    "isnan": ("x != x", "x.isnan()"),
    "masked_fill": ("fnn.ops.where(mask, value, x)", "x.masked_fill(mask, value)"),
    "new_ones": ("fnn.tensor(np.ones(shape), dtype=x.dtype)", "x.new_ones(shape)"),
    "new_tensor": ("fnn.tensor(data)", "x.new_tensor(data)"),
    "new_zeros": ("fnn.tensor(np.zeros(shape), dtype=x.dtype)", "x.new_zeros(shape)"),
    "nonzero": ("np.argwhere(x.detach().numpy())", "x.nonzero()"),
    "prod": ("fnn.tensor(np.prod(x.detach().numpy(), dim))", "x.prod(dim)"),
    "reciprocal": ("1 / x", "x.reciprocal()"),
    "round": ("fnn.tensor(np.round(x.detach().numpy()))", "x.round()"),
    "sign": ("fnn.tensor(np.sign(x.detach().numpy()))", "x.sign()"),
    "topk": ("np.argsort(-x.detach().numpy())[..., :k]", "x.topk(k)[1]"),
    "where": ("fnn.ops.where(condition, x, y)", "x.where(condition, y)"),
}


@pytest.mark.parametrize("name", OF_A_TENSOR)
def test_a_hint_gives_what_torch_gives(name):
    torch = pytest.importorskip("torch")
    expression, theirs = OF_A_TENSOR[name]
    plain = {"dim": 1, "k": 2, "value": 4.0, "shape": (2, 3), "data": [1.5, 2.5]}
    arrays = {"x": X, "y": X[::-1].copy(), "mask": X > 1, "condition": X > 1, "index": np.array([2, 0])}
    ours = hint_gives(fnn.Parameter(X), name, expression, **plain, **{n: fnn.tensor(a) for n, a in arrays.items()})
    want = eval(theirs, {n: torch.tensor(a) for n, a in arrays.items()}, plain)
    want = np.asarray(want)
    assert ours.dtype == want.dtype
    np.testing.assert_allclose(ours, want, rtol=1e-6)


def test_hints_of_more_than_an_expression():
    x = fnn.Parameter(X)
    assert "i = np.argsort(x.detach().numpy()), ascending" in said(x, "sort")
    assert x[0][np.argsort(x[0].detach().numpy())].tolist() == sorted(X[0].tolist())
    assert "x[index] for dim 0, x[:, index] for dim 1" in said(x, "index_select")
    assert "m = x.detach().max(dim, keepdim=True)[0], then m.squeeze(dim) +" in said(x, "logsumexp")
    m = x.detach().max(1, keepdim=True)[0]
    y = hint_gives(x, "logsumexp", "m.squeeze(dim) + (x - m).exp().sum(dim).log()", x=x, m=m, dim=1)
    np.testing.assert_allclose(y, np.log(np.exp(X).sum(1)), rtol=1e-6)


def test_what_stands_for_retain_grad_keeps_the_graph():
    p = fnn.Parameter(X)
    x = p * 2
    assert "e = fnn.tensor(np.zeros(x.shape), requires_grad=True) and x = x + e" in said(x, "retain_grad")
    e = fnn.tensor(np.zeros(x.shape), requires_grad=True)
    x = x + e
    (x * x).sum().backward()
    assert np.array_equal(e.grad, 4 * X)
    assert np.array_equal(p.grad, 8 * X)


def test_hints_for_losses_give_what_torch_gives():
    torch = pytest.importorskip("torch")
    x, y, labels = fnn.tensor(X), fnn.tensor(X[::-1].copy()), np.array([2, 0])
    tx, ty = torch.tensor(X), torch.tensor(X[::-1].copy())
    theirs, ours = torch.nn.functional, nn.functional
    for beta in (1.0, 0.5, 3.0):
        got = hint_gives(
            ours, "smooth_l1_loss", "nn.functional.huber_loss(x, y, delta=beta) / beta", x=x, y=y, beta=beta
        )
        np.testing.assert_allclose(got, theirs.smooth_l1_loss(tx, ty, beta=beta), rtol=1e-6)
        got = hint_gives(nn, "SmoothL1Loss", "nn.HuberLoss(delta=beta)", beta=beta).item()(x, y) / beta
        np.testing.assert_allclose(got.numpy(), torch.nn.SmoothL1Loss(beta=beta)(tx, ty), rtol=1e-6)
    assert "without the log_softmax" in said(ours, "nll_loss")
    assert "leave out the log_softmax" in said(nn, "NLLLoss")
    got = hint_gives(ours, "nll_loss", "nn.functional.cross_entropy").item()(x, labels).numpy()
    np.testing.assert_allclose(got, theirs.nll_loss(tx.log_softmax(1), torch.tensor(labels)), rtol=1e-6)
    zero_one = np.float32(X > 1)
    assert "leave out the sigmoid" in said(nn, "BCELoss")
    got = hint_gives(nn, "BCELoss", "nn.BCEWithLogitsLoss").item()()(x, zero_one).numpy()
    np.testing.assert_allclose(got, torch.nn.BCELoss()(tx.sigmoid(), torch.tensor(zero_one)), rtol=1e-5)
    for name, expression, want in (
        ("hardsigmoid", "(x + 3).clamp(0, 6) / 6", theirs.hardsigmoid(tx)),
        ("logsigmoid", "-nn.functional.softplus(-x)", theirs.logsigmoid(tx)),
        ("normalize", "x / (x * x).sum(dim, keepdim=True).sqrt().clamp(1e-12)", theirs.normalize(tx)),
        ("one_hot", "fnn.tensor(np.eye(classes, dtype=int)[x.numpy()])", theirs.one_hot(torch.tensor(labels))),
        ("softmin", "(-x).softmax(dim)", theirs.softmin(tx, 1)),
        ("softsign", "x / (1 + x.abs())", theirs.softsign(tx)),
    ):
        of = fnn.tensor(labels) if name == "one_hot" else x
        got = hint_gives(ours, name, expression, x=of, dim=1, classes=3)
        np.testing.assert_allclose(got, want, rtol=2e-6)

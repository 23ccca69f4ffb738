"""Every public name of torch is there, or says what to write instead."""

import importlib

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

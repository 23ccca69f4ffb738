"""Errors say what is wrong in the words of the call that was written, and what to write instead."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops, viz

WRONG = [3, 0, 1.0, "yes", None, np.int64(1), [True]]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_requires_grad_is_a_bool(wrong):
    for make, name in ((fnn.Tensor, "Tensor"), (fnn.Parameter, "Parameter")):
        with pytest.raises(TypeError, match=f"{name}: requires_grad is .*, expected True or False"):
            make([1.0, 2.0], wrong)
    with pytest.raises(TypeError, match=r"tensor: requires_grad is .*, expected True or False"):
        fnn.tensor([1.0, 2.0], requires_grad=wrong)
    x = fnn.Tensor([1.0, 2.0])
    for write in (x.requires_grad_, lambda value: setattr(x, "requires_grad", value)):
        with pytest.raises(TypeError, match=r"Tensor: requires_grad is .*, expected True or False"):
            write(wrong)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_requires_grad_of_python_and_numpy(value):
    x = fnn.Tensor([1.0])
    for y in (
        fnn.Tensor([1.0], value),
        fnn.Parameter([1.0], value),
        fnn.tensor([1.0], requires_grad=value),
        x.requires_grad_(value),
    ):
        assert y.requires_grad is bool(value)


SIGNS = {
    "+": lambda x: x.__iadd__(0.5),
    "-": lambda x: x.__isub__(0.5),
    "*": lambda x: x.__imul__(0.5),
    "/": lambda x: x.__itruediv__(2),
    "**": lambda x: x.__ipow__(0.5),
    "//": lambda x: x.__ifloordiv__(0.5),
    "%": lambda x: x.__imod__(0.5),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_a_result_that_does_not_fit_in_place_is_told_by_its_sign(sign):
    x = fnn.tensor([1, 2])
    with pytest.raises(TypeError) as caught:
        SIGNS[sign](x)
    text = "the Tensor of dtype int64 cannot hold the result, of dtype float32; "
    assert str(caught.value) == text + f"write x = x {sign} y, not x {sign}= y"
    assert x.tolist() == [1, 2]


def test_a_part_that_does_not_fit():
    x, mask = fnn.tensor([1, 2]), fnn.tensor([True])
    for write in (lambda: x.__setitem__(0, 1.5), lambda: x.fill_(0.5)):
        with pytest.raises(TypeError, match=r"what is assigned, of dtype float64; write x = x.float\(\) before x\[i\]"):
            write()
    with pytest.raises(TypeError, match=r"bool cannot hold .*int64; write x = x.long\(\) before x\[i\] = y"):
        mask[0] = 2
    with pytest.raises(TypeError, match=r"bool cannot hold .*float64; write x = x.float\(\) before x\[i\] = y"):
        mask[0] = 0.5
    x = x.float()
    x[0] = 1.5  # as it says
    assert x.tolist() == [1.5, 2]


@pytest.mark.parametrize("shape", [(), (1,), (2,), (0,)])
def test_backward_of_what_was_not_recorded(shape):
    x = fnn.tensor(np.ones(shape))
    for arguments in ((), (np.ones(shape),)):
        with pytest.raises(RuntimeError, match="backward: nothing was recorded for this Tensor"):
            x.backward(*arguments)
    if shape == (2,):
        with pytest.raises(ValueError, match="needs a gradient of that shape"):
            (fnn.Parameter(x) * 2).backward()


@pytest.mark.parametrize("name", ["sum", "mean", "std", "var", "max", "min", "argmax", "argmin", "all", "any"])
def test_an_axis_that_there_is_not_goes_by_the_name_that_was_written(name):
    x = np.ones((2, 3), np.float32)
    for given in (x, fnn.tensor(x)):
        with pytest.raises(ValueError, match=rf"{name}: dim(, or axis,)? is -3, but x has 2 dimensions"):
            getattr(ops, name)(given, -3)
        with pytest.raises(ValueError, match=rf"{name}: dim, or axis, is 2, but x has 2 dimensions"):
            getattr(ops, name)(given, axis=2)
        with pytest.raises(TypeError, match=rf"{name}: dim is 1\.5, expected an integer"):
            getattr(ops, name)(given, 1.5)
        with pytest.raises(TypeError, match=rf"{name}: axis is 1\.5, expected an integer"):
            getattr(ops, name)(given, axis=1.5)


def test_filters_of_a_layer():
    conv = nn.Conv2d(1, 2, 3)
    with pytest.raises(TypeError, match=r"weight is a Conv2d, expected an array; write filters\(conv.weight\)"):
        viz.filters(conv)


def test_a_gradient_of_integers():
    x = fnn.Parameter([1.0, 2.0])
    for grad in (fnn.tensor([1, 2]), fnn.tensor([True, False])):
        with pytest.raises(TypeError, match=rf"grad has dtype {grad.dtype}, expected float32; .* y.float\(\)"):
            x.grad = grad
    assert x.grad is None
    x.grad = fnn.tensor([1, 2]).float()
    x.grad = np.array([1, 2])  # arrays are converted everywhere
    assert x.grad.tolist() == [1, 2]

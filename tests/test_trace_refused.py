"""What a recorder cannot follow is an error that names the line."""

import copy
import inspect

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn


def line_of(function):
    source, first = inspect.getsourcelines(function)
    return first + next(i for i, text in enumerate(source) if "# here" in text)


class Leaving:
    """Functions whose values leave the graph, each in the line that says so."""

    def branch(self, x):
        if x.sum() > 0:  # here
            return x
        return -x

    def truth(self, x):
        return x if x.sum() else -x  # here

    def number(self, x):
        return x * float(x.sum())  # here

    def integer(self, x):
        return x[int(x.sum()) :]  # here

    def item(self, x):
        return x * x.max().item()  # here

    def listed(self, x):
        return x + x.tolist()  # here

    def data(self, x):
        return x * x.data.max()  # here

    def numpy(self, x):
        return x.numpy() * 2  # here

    def as_array(self, x):
        return fnn.ops.relu(np.asarray(x))  # here

    def tensor_of(self, x):
        return fnn.Tensor(x) * 2  # here

    def copy_of(self, x):
        return fnn.tensor(x) * 2  # here

    def zeroed(self, x):
        y = x * 1
        return y.zero_()  # here

    def as_index(self, x):
        return x[[1, 0, 2][x.argmax(0)]]  # here

    def ufunc(self, x):
        return np.sin(x)  # here

    def array_function(self, x):
        return np.cumsum(x, 0)  # here

    def mask(self, x):
        return x * np.isnan(x)  # here

    def assignment(self, x):
        y = x + 1
        y[0] = 0  # here
        return y

    def added_in_place(self, x):
        y = x * 1
        y += x  # here
        return y

    def data_set(self, x):
        y = x * 1
        y.data = np.zeros(3)  # here
        return y

    def copied(self, x):
        return copy.deepcopy(x)  # here

    def backwards(self, x):
        x.sum().backward()  # here
        return x

    def number_of_an_op(self, x):
        return fnn.ops.leaky_relu(x, x[0])  # here

    def formatted(self, x):
        return x * float(f"{x.sum():.3f}")  # here


@pytest.mark.parametrize("way", ["data", "shapes"])
@pytest.mark.parametrize("name", [name for name in vars(Leaving) if not name.startswith("_")])
def test_what_cannot_be_traced_names_the_line(name, way):
    function = getattr(Leaving(), name)
    line = line_of(function)

    class Inside(nn.Module):
        def forward(self, x):
            return function(x)

    for traced in (function, nn.Sequential(nn.ReLU(), Inside())):
        with pytest.raises(fnn.TraceError, match=rf"trace: .* at .*test_trace_refused\.py, line {line}, in {name}"):
            fnn.trace(traced, np.ones(3) if way == "data" else (3,))
    assert fnn.ops.relu(np.ones(2)).tolist() == [1, 1]  # nobody records any more


def test_a_parameters_data_leaves_too():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.ones(1))

        def forward(self, x):
            return x * self.scale.item()

    with pytest.raises(fnn.TraceError, match=r"x\.item\(\) at"):
        fnn.trace(Scaled(), (2,))


def test_views_behind_the_recorders_back():
    with pytest.raises(fnn.TraceError, match="a view by NumPy"):
        fnn.trace(lambda x: fnn.ops.relu(x * 2)._array[:1] + x, np.ones(3))

"""nn.GraphModule says no where the graph would not do what is asked."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops


class Tied(nn.Module):
    def __init__(self):
        self.table, self.out = nn.Embedding(5, 4), nn.Linear(4, 5)
        self.out.weight = self.table.weight
        self.norm = nn.BatchNorm1d(5)

    def forward(self, ids):
        return self.norm(self.out(self.table(ids)))


@pytest.fixture
def module(tmp_path):
    fnn.save(Tied(), tmp_path / "m", example=np.array([1, 2, 3]))
    return fnn.load(tmp_path / "m")


def test_one_of_two_names_cannot_be_replaced(module):
    with pytest.raises(TypeError, match=r"weight is shared with (table|out)\.weight, .*write weight\.data"):
        module.out.weight = nn.Parameter(np.zeros((5, 4)))
    with pytest.raises(TypeError, match="shared with"):
        module.table.weight = nn.Parameter(np.zeros((5, 4)))
    module.out.weight = module.table.weight
    module.out.weight.data[...] = 0
    np.testing.assert_allclose(module(np.array([1, 2])).numpy()[0], module(np.array([3])).numpy()[0])
    module.out.bias = nn.Parameter(np.ones(5))  # of one name
    again = pickle.loads(pickle.dumps(copy.deepcopy(module)))
    np.testing.assert_array_equal(again(np.array([1])).numpy(), module(np.array([1])).numpy())
    with pytest.raises(TypeError, match="shared with"):
        again.out.weight = nn.Parameter(np.zeros((5, 4)))


def test_a_part_has_no_mode_of_its_own(module):
    module.train()
    module.norm.eval()
    with pytest.raises(RuntimeError, match="a part is in evaluation mode alone"):
        module(np.array([1, 2]))
    module.train()
    module(np.array([1, 2]))


def test_a_parameter_of_no_module():
    weight = nn.Parameter(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"holds a Parameter of shape \(2, 3\) that is in no Module"):
        nn.GraphModule(fnn.trace(lambda x: ops.linear(x, weight), (1, 3)))


def test_names_that_are_taken(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            self.made, self.graph_of = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.graph_of(self.made(x))

    with pytest.raises(ValueError, match="the name 'graph_of' is taken: it has that itself; rename"):
        fnn.save(Named(), tmp_path / "m", example=(1, 2))

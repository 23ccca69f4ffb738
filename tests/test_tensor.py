"""The tape itself: which gradients arrive where, what is kept alive and for how long."""

import copy
import gc
import itertools
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest
from check import as_op

import fastnn as fnn
from fastnn import ops


def leaf(*values):
    return fnn.Tensor(np.array(values), requires_grad=True)


@as_op
def twice_and_thrice(x, y=None, z=None, *, need):
    """Two outputs; dy is None for one that was not used."""
    assert len(need) == 3

    def backward(d2, d3):
        total = np.zeros(x.shape, np.float32)
        total += 0 if d2 is None else 2 * d2
        total += 0 if d3 is None else 3 * d3
        return total, None, total if need[2] else None

    return (2 * x, 3 * x), backward


def test_one_tensor_used_several_times():
    x = leaf(2.0, 3.0)
    (x * x + x).sum().backward()
    assert np.array_equal(x.grad, [5, 7])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_sum_of_gradients_is_not_added_to_after_it_was_handed_on(order):
    """The gradient of s is a sum made here; add hands one array to u and to v, and then each gets more of its own."""
    x = leaf(1.0)
    u, v = x * 10, x * 1000
    s = u + v
    parts = [s * 2 + s * 3, u * 7, v * 11]
    y = parts[order[0]] + parts[order[1]] + parts[order[2]]
    y.backward()
    assert np.array_equal(x.grad, [(5 + 7) * 10 + (5 + 11) * 1000])


def test_leaves_accumulate():
    x = leaf(1.0, 2.0)
    for _ in range(3):
        (x * 2).sum().backward()
    assert np.array_equal(x.grad, [6, 6])


def test_a_leaf_is_its_own_gradient():
    x = leaf(1.0)
    x.backward()
    assert np.array_equal(x.grad, [1])


@pytest.mark.parametrize("what", ["new", "a view of all that is new", "a part", "dz", "a view of dz", "read-only"])
def test_a_first_gradient_is_copied_unless_it_was_given_away(what):
    """By the contract of tape.py: copied where it shows dz, which others have, or is a part, or cannot be written."""
    memory, others = [], []

    @as_op
    def add(x, y, *, need):
        def backward(dz):
            new = dz * 1
            dx = {
                "new": new,
                "a view of all that is new": new[None][0],
                "a part": np.repeat(new, 2)[::2],
                "dz": dz,
                "a view of dz": dz[::-1][::-1],
                "read-only": np.broadcast_to(new, (2, 2))[0],
            }[what]
            memory.append(dx.ctypes.data)
            others.append(dz)
            return dx, dx if "dz" in what else None

        return x + y, backward

    x, y = leaf(1.0, 2.0), fnn.Tensor([3.0, 4.0], requires_grad="dz" in what)
    add(x, y).sum().backward()
    assert (x.grad.numpy().ctypes.data == memory[0]) == ("new" in what)
    x.grad[:] = 9
    assert y.grad is None or np.array_equal(y.grad, [1, 1])
    assert np.array_equal(others[0], [1, 1])


def test_gradient_goes_where_the_optimizer_wants_it():
    x, home = leaf(1.0, 2.0), np.full(2, 9, np.float32)
    x._home = home
    (x * 3).sum().backward()
    assert np.array_equal(home, [3, 3])
    assert np.array_equal(x.grad, [3, 3])


def test_two_outputs_and_unused_ones():
    x = leaf(1.0)
    a, b = twice_and_thrice(x)
    (a + b * 10).backward()
    assert np.array_equal(x.grad, [32])
    x.grad = None
    twice_and_thrice(x)[1].backward()
    assert np.array_equal(x.grad, [3])


def test_arguments_by_name_have_their_places():
    x, z = leaf(1.0), leaf(5.0)
    twice_and_thrice(x, z=z)[0].backward()
    assert np.array_equal(z.grad, [2])
    with pytest.raises(TypeError, match="missing"):
        twice_and_thrice(z=z)
    with pytest.raises(TypeError, match="multiple values"):
        twice_and_thrice(x, x=z)


def test_need_says_which_gradients_are_wanted():
    asked = []

    @as_op
    def spy(x, y, *, need):
        asked.append(list(need))
        return x + y, lambda dy: (dy, dy)

    a, b = leaf(1.0), fnn.Tensor([1.0])
    assert spy(a, b).requires_grad
    assert not spy(b, b).requires_grad
    with fnn.no_grad():
        assert not spy(a, b).requires_grad
    assert type(spy(a.numpy(), b.numpy())) is np.ndarray
    assert asked == [[True, False], [False, False], [False, False], [False, False]]


def test_gradients_of_the_wrong_shape_are_an_error():
    @as_op
    def wrong(x, *, need):
        return x * 2, lambda dy: (dy[:1],)

    with pytest.raises(RuntimeError, match=r"gradient of shape \(1,\) for a Tensor of shape \(2,\)"):
        wrong(leaf(1.0, 2.0)).backward([1, 1])


def test_errors_of_backward():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"shape \(2,\) needs a gradient"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), the Tensor has \(2,\)"):
        (x * 2).backward([1, 2, 3])
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        fnn.Tensor([1.0]).backward()
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="used before"):
        y.backward()
    a = x * x
    (a * 2).sum().backward()
    with pytest.raises(RuntimeError, match="through mul was used before"):
        (a * 3).sum().backward()
    assert np.array_equal(x.grad, [2 + 4, 4 + 8])


def test_a_deep_chain_needs_no_deep_stack():
    before = sys.getrecursionlimit()
    x = leaf(1.0)
    for finish in (lambda y: y.backward(), lambda y: None):
        y = x
        for _ in range(20_000):
            y = y + 1
        finish(y)
        del y  # frees 20,000 nodes, each the only owner of the next
    assert np.array_equal(x.grad, [1])
    assert sys.getrecursionlimit() == before


def test_graphs_die_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(*range(10))
        saved = np.ones(10, np.float32)
        alive = weakref.ref(saved)
        y = ((x * saved).exp() + ops.concatenate([x[:5], x[5:]])).sum()
        del saved
        assert alive() is not None
        y.backward()
        assert alive() is None  # backward gives back what was saved, while y lives
        z = x * 2
        watched = weakref.ref(z), weakref.ref(z.data)
        w = z + 1
        del z
        assert watched[0]() is None  # a node keeps arrays, not Tensors
        del w
        assert watched[1]() is None
    finally:
        gc.enable()


def test_add_keeps_no_arrays():
    x, y = leaf(1.0) * 1, leaf(2.0) * 1
    alive = weakref.ref(x.data)
    z = x + y
    del x
    assert alive() is None
    assert z.requires_grad


def test_threads_have_their_own_graphs():
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    results = []

    def work():
        for _ in range(50):
            x = fnn.Tensor(w, requires_grad=True)
            ((x @ w.T) * x.sum()).sum().backward()
            results.append(x.grad)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200
    assert all(np.array_equal(r, results[0]) for r in results)


@pytest.mark.parametrize("cls", [fnn.Tensor, fnn.Parameter])
def test_copies(cls):
    x = cls([1.0, 2.0], requires_grad=True)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(other) is cls
        assert other.requires_grad
        assert np.array_equal(other.numpy(), x.numpy())
        other.data[0] = 7
        assert x.data[0] == 1
    assert copy.copy(x).numpy() is x.numpy()
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(x * 2)
    assert not copy.deepcopy((x * 2).detach()).requires_grad


def test_data_and_numbers():
    x = np.ones(3, np.float32)
    assert fnn.Tensor(x).numpy() is x
    assert fnn.Tensor(np.ones(3)).dtype == np.float32
    assert np.asarray(fnn.Tensor(x)) is x
    assert np.exp(fnn.Tensor([0.0])) == [1]
    assert (float(fnn.Tensor([2.5])), int(fnn.Tensor(2.5)), bool(fnn.Tensor([0.0]))) == (2.5, 2, False)
    assert f"{fnn.Tensor(2.5):.2f} {fnn.Tensor([1.0])}" == "2.50 Tensor([1.])"
    assert repr(leaf(1.0)) == "Tensor([1.], requires_grad=True)"
    with pytest.raises(TypeError, match="Tensor: data has dtype complex128"):
        fnn.Tensor(1j)


def test_nan_and_inf_pass_without_warnings():
    """filterwarnings is error: a warning would fail."""
    x = leaf(0.0, -1.0, np.inf)
    (x.log() + x.sqrt() + 1 / x + x**-1.5).sum().backward()
    assert np.isnan(x.grad[1])

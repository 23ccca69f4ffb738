"""A name of torch means what torch means; axis and keepdims mean what NumPy means."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn, ops

X = np.float32([[1.0, 5.0, 2.0, 5.0], [7.0, 3.0, 4.0, -1.0]])


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("tensor", [True, False])
def test_a_position_or_dim_gives_values_and_indices(name, tensor):
    where = getattr(X, f"arg{name}")
    for dim in (0, 1, -1):
        for keep in (False, True):
            p = fnn.Parameter(X.copy())
            calls = [lambda p=p, d=dim, k=keep: getattr(ops, name)(p if tensor else X, d, k)]
            if tensor:
                calls += [lambda p=p, d=dim, k=keep: getattr(p, name)(dim=d, keepdim=k)]
            for call in calls:
                values, indices = call()
                assert np.array_equal(
                    getattr(values, "data", values) if tensor else values, getattr(X, name)(dim, keepdims=keep)
                )
                assert np.array_equal(indices, where(dim, keepdims=keep))
                assert indices.dtype == np.int64
            if tensor:
                values.sum().backward()
                want = np.zeros_like(X)
                np.put_along_axis(want, where(dim, keepdims=True), 1, dim)
                assert np.array_equal(p.grad, want)


def test_accuracy_as_every_tutorial_computes_it():
    """out.max(1)[1], and for a batch of two `_, predicted = out.max(1)`: never a row of values."""
    scores, labels = fnn.Parameter(X), np.array([1, 0])
    assert (scores.max(1)[1] == labels).float().mean() == 1
    _, predicted = scores.max(1)
    assert (predicted == labels).all()
    _, predicted = ops.max(scores, 1)
    assert (predicted == labels).all()


@pytest.mark.parametrize("name", ["max", "min"])
def test_all_elements_and_axis_give_values(name):
    p = fnn.Parameter(X)
    assert getattr(p, name)().item() == getattr(X, name)()
    assert np.array_equal(getattr(p, name)(axis=1).data, getattr(X, name)(1))
    assert np.array_equal(getattr(p, name)(axis=(0, 1), keepdims=True).data, getattr(X, name)((0, 1), keepdims=True))
    with pytest.raises(TypeError, match=r"axis=\(0, 1\)"):
        getattr(p, name)((0, 1))
    with pytest.raises(TypeError, match=f"{name}imum"):
        getattr(ops, name)(p, p)
    with pytest.raises(TypeError, match="expected one of them"):
        getattr(p, name)(1, axis=1)


@pytest.mark.parametrize("name", ["std", "var"])
def test_spread_is_torchs_by_position_and_numpys_by_axis(name):
    p = fnn.Parameter(X)
    for dim in (None, 0, 1, (0, 1)):
        plain = getattr(X.astype(np.float64), name)
        assert np.allclose(getattr(p, name)(dim).data, plain(dim, ddof=1))
        assert np.allclose(getattr(ops, name)(X, dim=dim), plain(dim, ddof=1))
        assert np.allclose(getattr(p, name)(axis=dim).data, plain(dim))
        assert np.allclose(getattr(p, name)(dim, correction=0).data, plain(dim))
        assert np.allclose(getattr(p, name)(axis=dim, correction=1).data, plain(dim, ddof=1))
    with pytest.raises(TypeError, match="correction=0"):
        getattr(p, name)(False)
    getattr(p, name)().backward()
    exact, step = X.astype(np.float64), 1e-6
    for i in np.ndindex(X.shape):
        up, down = exact.copy(), exact.copy()
        up[i] += step
        down[i] -= step
        slope = (getattr(up, name)(ddof=1) - getattr(down, name)(ddof=1)) / (2 * step)
        assert abs(p.grad[i] - slope) < 1e-4


class Sees(nn.Module):
    """Calls a method of what forward gets, under torch's name."""

    def __init__(self, name, *arguments):
        self.name, self.arguments, self.seen = name, arguments, []

    def forward(self, x):
        self.seen.append(type(x))
        y = getattr(x, self.name)(*self.arguments)
        return y[1] if isinstance(y, tuple) else y


SEEN = {
    "transpose": ((0, 1), lambda x: x.T),
    "repeat": ((2, 1), lambda x: np.tile(x, (2, 1))),
    "split": ((1,), lambda x: x[1:2]),
    "max": ((1,), lambda x: x.argmax(1)),
    "std": ((), lambda x: np.float32(x.std(ddof=1))),
    "var": ((1,), lambda x: x.var(1, ddof=1)),
    "view": ((-1,), lambda x: x.reshape(-1)),
    "flatten": ((), lambda x: x.reshape(-1)),
}


@pytest.mark.parametrize("how", ["call", "predict", "inside a Sequential"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("name", SEEN)
def test_what_a_model_sees_has_torchs_methods(name, dtype, how):
    """A forward written for torch gets Tensors where arrays were given: x.transpose(0, 1) is not NumPy's."""
    arguments, want = SEEN[name]
    x = np.arange(6).reshape(2, 3).astype(dtype)
    model = Sees(name, *arguments)
    if dtype == np.int64 and name in ("std", "var"):
        with pytest.raises(TypeError, match=rf"write x.float\(\).{name}\(\)"):
            model(x)
        return
    if how == "call":
        y = model(x)
    elif how == "predict":
        y = model.predict(x, batch_size=2)
    else:
        y = nn.Sequential(nn.Identity(), model)(x)
    y = y.numpy() if isinstance(y, fnn.Tensor) else y
    assert model.seen[0] is fnn.Tensor
    np.testing.assert_allclose(y, want(np.asarray(x, np.float64)), rtol=1e-6)
    if dtype == np.int64:
        assert y.dtype == np.int64
    assert np.array_equal(x, np.arange(6).reshape(2, 3))


def test_a_model_does_not_write_to_what_it_was_given():
    class Centred(nn.Module):
        def forward(self, x):
            x -= 1
            return x

    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"write x = x \+ y"):
        Centred()(x)
    assert x.all()


MOVES = {
    "broadcast_to": ((2, 2, 3),),
    "cat": None,
    "chunk": (2,),
    "concatenate": None,
    "flatten": (),
    "flip": (0,),
    "index": ((slice(None), [0, 2]),),
    "pad": ((1, 0),),
    "permute": ((1, 0),),
    "put_rows": ([2, 0], 3),
    "repeat": ((2, 2),),
    "reshape": ((3, 2),),
    "split": (1,),
    "squeeze": (),
    "stack": None,
    "take_rows": ([1, 0],),
    "transpose": (0, 1),
    "unbind": (),
    "unsqueeze": (0,),
    "where": None,
}


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize("name", MOVES)
def test_integers_that_are_moved_stay_integers(name, dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    big = np.array([[2**53 + 1]]) if dtype == np.int64 else None
    op = getattr(ops, name)
    if name == "where":
        y, want = op(x > 2, x, x), x
    elif MOVES[name] is None:
        y, want = op([x, x]), (np.stack if name == "stack" else np.concatenate)([x, x])
    else:
        y, want = op(x, *MOVES[name]), op(x.astype(np.float32), *MOVES[name])
    for part, expected in zip(*[v if isinstance(v, tuple) else (v,) for v in (y, want)], strict=True):
        assert part.dtype == dtype
        assert np.array_equal(part, expected)
    if big is not None and name in ("cat", "stack"):
        assert op([big, big]).ravel()[0] == 2**53 + 1
    mixed = ops.cat([x, np.ones((1, 3), np.float32)])
    assert mixed.dtype == np.float32


def test_size_is_a_number_and_a_method():
    """x.size in NumPy, x.size() and x.size(0) in torch."""
    x = fnn.Tensor(np.zeros((2, 3)))
    assert x.size == 6
    assert x.size() == (2, 3)
    assert x.size(0) == 2
    assert x.size(-1) == 3
    assert x.reshape(x.size(0), -1).shape == (2, 3)


@pytest.mark.parametrize("name", ["std", "var"])
def test_other_names_of_the_correction(name):
    x = fnn.Parameter(X)
    for options, ddof in (({"unbiased": False}, 0), ({"unbiased": True}, 1), ({"ddof": 1}, 1), ({"ddof": 0}, 0)):
        assert np.allclose(getattr(x, name)(1, **options).data, getattr(X, name)(1, ddof=ddof))
        assert np.allclose(getattr(x, name)(axis=1, **options).data, getattr(X, name)(1, ddof=ddof))
    with pytest.raises(TypeError, match="names of one number"):
        getattr(x, name)(1, correction=1, ddof=0)


class LastStep(nn.Module):
    """The last step of each sequence, by arithmetic on lengths: they stay integers."""

    def forward(self, x, lengths):
        assert (lengths + 1).dtype == (2 * lengths).dtype == (1 - lengths).dtype == (-lengths).dtype == np.int64
        assert (np.arange(2) + lengths).dtype == np.int64
        assert (lengths * 0.5).dtype == (lengths / 2).dtype == np.float32
        assert lengths.tolist() == [2, 3]
        return x[np.arange(len(lengths)), lengths - 1]


def test_arithmetic_of_integers_stays_with_integers():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(LastStep()(x, np.array([2, 3])).numpy(), x[[0, 1], [1, 2]])
    big = nn.Sequential(Sees("__add__", 1))(np.array([2**53]))
    assert big.tolist() == [2**53 + 1]
    with pytest.raises(IndexError, match=r"index: x has shape \(2, 3\)"):
        fnn.Tensor(np.zeros((2, 3)))[fnn.Tensor([0.5])]

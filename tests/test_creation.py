"""fnn.tensor: dtypes, copies and arguments, beside torch."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn

DTYPES = {"float32": fnn.float32, "int64": fnn.int64, "bool": fnn.bool}


@pytest.mark.parametrize(
    "data",
    [
        1,
        1.5,
        True,
        [1, 2],
        [[1.5], [2]],
        [True],
        [],
        np.float64([1]),
        np.int32([1]),
        np.uint8([200]),
        np.array(True),
        np.float16([0.5]),
    ],
    ids=repr,
)
def test_tensor_has_torchs_dtype_and_copies(data):
    torch = pytest.importorskip("torch")
    x = fnn.tensor(data)
    want = torch.tensor(data)
    assert x.tolist() == want.tolist()
    if isinstance(data, np.ndarray):
        wide = {"f": fnn.float32, "i": fnn.int64, "u": fnn.int64, "b": fnn.bool}[data.dtype.kind]
    else:
        wide = DTYPES[str(want.dtype).removeprefix("torch.")]
    assert x.dtype == wide
    if isinstance(data, np.ndarray) and data.ndim:
        data[0] = 0
        assert x.tolist() == want.tolist()


def test_tensor_with_arguments():
    a = np.float32([1, 2])
    x = fnn.tensor(a, requires_grad=True)
    assert x.requires_grad
    assert not np.shares_memory(x.numpy(), a)
    assert fnn.tensor([1.7, -1.7], dtype=int).tolist() == [1, -1]
    assert fnn.tensor([1, 0], dtype=fnn.bool).tolist() == [True, False]
    assert fnn.tensor(x).tolist() == [1, 2]
    assert not fnn.tensor(x).requires_grad
    assert fnn.tensor(np.uint64([3])).dtype == fnn.int64
    with pytest.raises(OverflowError, match="int64 cannot"):
        fnn.tensor(np.uint64([2**63]))
    for data in ("a", 1j, [None]):
        with pytest.raises(TypeError, match="tensor: data"):
            fnn.tensor(data)
    for data in ([1], [True]):
        with pytest.raises(TypeError, match=r"write x\.float\(\)"):
            fnn.tensor(data, requires_grad=True)
        with pytest.raises(TypeError, match=r"write x\.float\(\)"):
            fnn.tensor(data).requires_grad = True
    assert fnn.tensor([1.0]).requires_grad_().requires_grad
    assert not fnn.tensor([1.0], requires_grad=True).requires_grad_(False).requires_grad
    for data in ([1, 2], [True], [1.5]):
        x = fnn.tensor(data)
        for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert other.dtype == x.dtype
            assert other.tolist() == data
            assert not np.shares_memory(other.numpy(), x.numpy())
        assert copy.copy(x).numpy() is x.numpy()
    assert fnn.Tensor([1, 2]).dtype == fnn.Tensor(np.array([1, 2])).dtype == fnn.float32

"""Tensor: an array that remembers how it was computed. Ops make it (op.py), the tape leads back from it (tape.py)."""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import writes
from fastnn._core import know_tensor
from fastnn.arrays import FloatArray, as_flag, as_float32, as_like
from fastnn.numpy_protocol import FUNCTIONS, UFUNCS, NumpyProtocol, Size
from fastnn.sharing import belongs_to_itself
from fastnn.tape import Node, add_to_leaf, backpropagate, mode, values_seen
from fastnn.torch_names import TENSOR, MissingNames

if TYPE_CHECKING:
    from fastnn.ops.inplace import InPlace
    from fastnn.ops.methods import Conversions, Methods
    from fastnn.ops.operators import Operators

    class _GivenByOps(InPlace, Operators, Conversions, Methods):
        """Operators and methods, each of which calls an op."""

    def computed(array: npt.NDArray[Any], node: Node | None, index: int, exposed: bool) -> Tensor:
        """A Tensor of the array, as it is: the output of that number of the node, or of no gradient where that is None.
        exposed: whether somebody else may write to the array."""

else:
    from fastnn._core import computed

    class _GivenByOps:
        """Where ``give`` puts operators and methods: here no op is known."""

        __slots__ = ()


def give(methods: Sequence[type], ufuncs: dict[Any, Any], functions: dict[Any, Any]) -> None:
    """Every Tensor has the methods of these classes from now on, and these of NumPy's functions are ops."""
    for kind in methods:
        for name, method in vars(kind).items():
            if callable(method) or isinstance(method, property):
                setattr(_GivenByOps, name, method)
    UFUNCS.update(ufuncs)
    FUNCTIONS.update(functions)


class Tensor(NumpyProtocol, _GivenByOps, MissingNames):
    """An array of float32, int64 or bool that remembers how it was computed, for ``backward()``.

    Args:
        data: array-like of real numbers; float32 arrays are kept as they are, others converted to float32, integers
            too, as torch.Tensor does. ``fastnn.tensor`` copies, and keeps integers and bool.
        requires_grad: whether ``backward()`` should leave a gradient in ``grad``. Default False.

    Attributes: ``data`` (a Tensor of the same memory, without a gradient), ``grad`` (a Tensor of the same shape, or
    None), ``requires_grad``, ``shape``, ``dtype``. Writing into ``data`` changes the Tensor; a gradient that would need
    the values from before is then refused, see backward.

    Arithmetic, comparisons and methods give Tensors and mean what they mean in torch: integers stay int64, what is
    divided or meets a float is float32, comparisons are bool. Only float32 has gradients.

    NumPy's functions take a Tensor: those that the package has as ops (np.exp, np.concatenate, np.sum, ...) give a
    Tensor with a gradient; others give arrays, and are refused (TypeError) for a Tensor that requires a gradient while
    something is recorded, because the gradient would be lost. ``numpy()`` gives the array itself.

    A Module's forward gets arrays of integers or bool as Tensors of int64 or bool.

    Raises TypeError for complex, object, string, sparse and masked data, for a Tensor that requires a gradient, and for
    a requires_grad that is not a bool.

    >>> import fastnn as fnn
    >>> x = fnn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    >>> x > 1
    Tensor([False,  True,  True])
    """

    __slots__ = ("__weakref__", "_array", "_exposed", "_grad", "_home", "_index", "_lent", "_node", "_requires_grad")
    _alone = sys.maxsize  # references to an array given to the constructor that nobody else has; measured below

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        kept = sys.getrefcount(data) > self._alone
        array = as_float32(data, type(self).__name__, "data")
        self._array = array
        self._exposed = (array is data and kept) or not belongs_to_itself(array)  # others may write to it
        if requires_grad is not True and requires_grad is not False:
            requires_grad = as_flag(requires_grad, type(self).__name__, "requires_grad")  # type: ignore[unreachable]
        self._requires_grad = requires_grad
        self._grad: FloatArray | None = None
        self._node: Node | None = None
        self._index = 0
        self._home: FloatArray | None = None  # where an optimizer wants the gradient
        self._lent = False  # whether the gradient lies in an optimizer's memory

    if TYPE_CHECKING:
        requires_grad: bool
    else:

        def _require_grad(self, requires_grad: Any) -> None:
            requires_grad = as_flag(requires_grad, "Tensor", "requires_grad")
            if requires_grad and self._array.dtype.kind != "f":
                raise TypeError(f"Tensor: {self.dtype} has no gradient, float32 has: write x.float()")
            self._requires_grad = requires_grad

        requires_grad = property(operator.attrgetter("_requires_grad"), _require_grad)

    @property
    def data(self) -> Tensor:
        """A Tensor of the same memory, without a gradient and without a past. What is assigned is converted to the
        dtype that there is; the memory of a Tensor is shared."""
        if mode.recorder is not None:
            mode.recorder.leave("x.data")
        if not self._exposed:
            self._expose()
        return computed(self._array, None, 0, True)

    @data.setter
    def data(self, data: Any) -> None:
        values_seen("x.data = y")
        if isinstance(data, Tensor):
            if data._array is self._array:  # x.data -= y ends here
                return
            if not data._exposed:
                data._expose()
            data = data._array
        elif data is self._array:
            writes.note_write(data)
        self._array = as_like(data, self._array.dtype, "Tensor", "data")
        self._exposed = True

    def _hold(self, array: FloatArray) -> None:
        """Has another array from now on, which nobody else has."""
        self._array, self._exposed = array, False

    def _expose(self) -> None:
        """From now on somebody else may write to the array."""
        self._exposed = True
        if self._requires_grad or not belongs_to_itself(self._array):
            writes.note_shown(self._array)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward()`` has added up, or None. One that is kept is never written again after
        ``zero_grad()``."""
        if self._grad is None:
            return None
        if self._lent:  # memory that the next gradient will be written to
            self._grad, self._lent = self._grad.copy(order="K"), False
        return computed(self._grad, None, 0, True)

    @grad.setter
    def grad(self, grad: Any) -> None:
        if grad is not None:
            if isinstance(grad, Tensor) and grad._array.dtype.kind != "f":
                raise TypeError(f"Tensor: grad has dtype {grad.dtype}, expected float32; write x.grad = y.float()")
            grad = as_float32(grad._array if isinstance(grad, Tensor) else grad, "Tensor", "grad")
            if grad.shape != self._array.shape:
                raise ValueError(f"Tensor: grad has shape {grad.shape}, the Tensor has {self._array.shape}")
            if not grad.flags.writeable:  # the next gradient is added to it
                grad = grad.copy()
        self._grad, self._lent = grad, False

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> Size:
        """The number of elements, as in NumPy; called, ``x.size()`` and ``x.size(dim)``, the shape, as in torch."""
        size = Size(self._array.size)
        size.shape = self._array.shape
        return size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in TENSOR or hasattr(self, name)]

    def __repr__(self) -> str:
        text = np.array2string(self._array, separator=", ", prefix="Tensor(")
        return f"Tensor({text}{', requires_grad=True' if self._requires_grad else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For copy and pickle: the data, neither gradient nor graph."""
        values_seen("a copy")
        if self._node is not None:
            raise RuntimeError("only a Tensor that was not computed can be copied or pickled; detach() it first")
        return _restored, (type(self), self._array, self._requires_grad)

    def __copy__(self) -> Tensor:
        alias = _restored(*self.__reduce__()[1])
        self._expose()
        alias._exposed = True
        return alias

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        kind, _, requires_grad = self.__reduce__()[1]
        return _restored(kind, self._array.copy(order="K"), requires_grad)

    def numpy(self) -> npt.NDArray[Any]:
        """The array itself, not a copy."""
        values_seen("x.numpy() or NumPy")
        if not self._exposed:
            self._expose()
        return self._array

    def item(self) -> float | int | bool:
        """The value of a Tensor of one element, as a Python number."""
        values_seen("x.item()")
        return self._array.item()  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """The same array in a Tensor that remembers nothing."""
        if mode.recorder is None:
            if not self._exposed:
                self._expose()
            return wrapped(self._array)
        return mode.recorder.detached(self)  # type: ignore[no-any-return]

    def backward(self, gradient: Any = None) -> None:
        """Adds to ``grad`` of every leaf that requires it: d(self)/d(leaf), weighted by ``gradient``.

        Args:
            gradient: array of this Tensor's shape; may be left out where it has one element (then 1).

        The graph is used up: what was saved for it is freed. Raises ValueError when ``gradient`` is missing or has
        another shape, RuntimeError when nothing was recorded, the graph was used before, or a value that was saved for
        a gradient has been written since: by an optimizer's step, by load_state_dict, in place, or by the user into an
        array that was given to an op. No gradient has been added then.
        """
        values_seen("backward()")
        if self._node is None and not self._requires_grad:
            raise RuntimeError("backward: nothing was recorded for this Tensor; does any input require a gradient?")
        if gradient is None:
            if self._array.size != 1:
                raise ValueError(f"backward: a Tensor of shape {self.shape} needs a gradient of that shape")
            gradient = np.ones(self.shape, np.float32)
        dy = as_float32(gradient._array if isinstance(gradient, Tensor) else gradient, "backward", "gradient")
        if dy.shape != self.shape:
            raise ValueError(f"backward: gradient has shape {dy.shape}, the Tensor has {self.shape}")
        if self._node is None:
            add_to_leaf(self, dy)
        else:
            backpropagate(self._node, self._index, dy)


class Parameter(Tensor):
    """A Tensor that a Module lists in ``parameters()``; requires a gradient unless told otherwise."""

    __slots__ = ()
    _alone = sys.maxsize

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        kept = sys.getrefcount(data) > self._alone
        super().__init__(data, requires_grad)
        self._exposed = (self._array is data and kept) or not belongs_to_itself(self._array)


def _measure(kind: type[Tensor]) -> int:
    """References to a new array that goes straight into the constructor; their number depends on Python's version."""
    for kind._alone in range(1, 20):
        if not kind(np.empty(1, np.float32))._exposed:
            break
    return kind._alone


for _kind in (Tensor, Parameter):
    _measure(_kind)


def _restored(kind: type[Tensor], array: FloatArray, requires_grad: bool) -> Tensor:
    """A Tensor of an array that nobody else has."""
    tensor = kind(array, requires_grad)
    tensor._hold(array)
    return tensor


def wrapped(array: npt.NDArray[Any]) -> Tensor:
    """An array of any dtype that a Tensor may have, as it is, in a Tensor that requires no gradient."""
    return computed(array, None, 0, True)


know_tensor(Tensor)

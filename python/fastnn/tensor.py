"""Tensor and the tape behind it: the whole of autograd.

An op is a function on arrays that returns ``(y, backward)``; ``@op`` makes it take Tensors as well and, where a
gradient is wanted, keep ``backward`` in a Node. Nodes point to the nodes of their inputs and to leaf Tensors, never to
an output, so a graph dies with its last Tensor without the garbage collector.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray, as_float32, empty_like
from fastnn.operators import Operators
from fastnn.ownership import ALONE, shows_only_itself

Gradients = Sequence[FloatArray | None]
Backward = Callable[..., Gradients]


class _Mode(threading.local):
    recording = True


_mode = _Mode()


class no_grad:  # noqa: N801  (the field's name)
    """Records nothing inside: ``with fnn.no_grad(): ...``, or as a decorator. Per thread, may be nested.

    >>> import fastnn as fnn
    >>> x = fnn.Tensor([1.0, 2.0], requires_grad=True)
    >>> with fnn.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self) -> None:
        self._before: list[bool] = []  # one object may be entered several times

    def __enter__(self) -> None:
        self._before.append(_mode.recording)
        _mode.recording = False

    def __exit__(self, *exc: object) -> None:
        _mode.recording = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return function(*args, **kwargs)

        return call


def is_grad_enabled() -> bool:
    """Whether ops record in this thread."""
    return _mode.recording


class Node:
    """One recorded op: how to go back, and where each gradient goes."""

    __slots__ = ("backward", "edges", "name", "outputs")

    def __init__(self, name: str, backward: Backward, edges: list[Edge | None], outputs: int) -> None:
        self.name = name
        self.backward: Backward | None = backward
        self.edges = edges
        self.outputs = outputs


class Tensor(Operators):
    """A float32 array (``data``) that remembers how it was computed, for ``backward()``.

    Args:
        data: array-like of real numbers; float32 arrays are kept as they are, others converted to float32.
        requires_grad: whether ``backward()`` should leave a gradient in ``grad``. Default False.

    Attributes: ``data`` (ndarray), ``grad`` (ndarray of the same shape, or None), ``requires_grad``, ``shape``.
    NumPy functions accept a Tensor (``__array__``); ``numpy()`` gives the array itself.

    Raises TypeError for complex, object and string data.

    >>> import fastnn as fnn
    >>> x = fnn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_home", "_index", "_node", "data", "grad", "requires_grad")
    __array_priority__ = 1000  # ndarray + Tensor is the Tensor's business

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.data: FloatArray = as_float32(data, "Tensor", "data")
        self.requires_grad = requires_grad
        self.grad: FloatArray | None = None
        self._node: Node | None = None
        self._index = 0
        self._home: FloatArray | None = None  # where an optimizer wants the gradient

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self) -> np.dtype[np.float32]:
        return self.data.dtype

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        text = np.array2string(self.data, separator=", ", prefix="Tensor(")
        return f"Tensor({text}{', requires_grad=True' if self.requires_grad else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For copy and pickle: the data, neither gradient nor graph."""
        if self._node is not None:
            raise RuntimeError("only a Tensor that was not computed can be copied or pickled; detach() it first")
        return type(self), (self.data, self.requires_grad)

    def numpy(self) -> FloatArray:
        """The array itself, not a copy."""
        return self.data

    def item(self) -> float:
        """The value of a Tensor of one element."""
        return float(self.data.item())

    def detach(self) -> Tensor:
        """The same array in a Tensor that remembers nothing."""
        return Tensor(self.data)

    def backward(self, gradient: Any = None) -> None:
        """Adds to ``grad`` of every leaf that requires it: d(self)/d(leaf), weighted by ``gradient``.

        Args:
            gradient: array of this Tensor's shape; may be left out where it has one element (then 1).

        The graph is used up: what was saved for it is freed. Raises ValueError when ``gradient`` is missing or has
        another shape, RuntimeError when nothing was recorded or the graph was used before.
        """
        if gradient is None:
            if self.size != 1:
                raise ValueError(f"backward: a Tensor of shape {self.shape} needs a gradient of that shape")
            gradient = np.ones(self.shape, np.float32)
        dy = as_float32(gradient, "backward", "gradient")
        if dy.shape != self.shape:
            raise ValueError(f"backward: gradient has shape {dy.shape}, the Tensor has {self.shape}")
        if self._node is None:
            if not self.requires_grad:
                raise RuntimeError("backward: nothing was recorded for this Tensor; does any input require a gradient?")
            _add_to_leaf(self, dy)
        else:
            _backpropagate(self._node, self._index, dy)


Edge = tuple[Node, int] | Tensor


class Parameter(Tensor):
    """A Tensor that a Module lists in ``parameters()``; requires a gradient unless told otherwise."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad)


def _add_to_leaf(leaf: Tensor, gradient: FloatArray, alone: bool = False) -> None:
    """Adds to ``leaf.grad``. A first gradient is copied, unless it is ``alone``: nobody else has or will have it."""
    if gradient.shape != leaf.shape:
        raise RuntimeError(
            f"backward: an op gave a gradient of shape {gradient.shape} for a Tensor of shape {leaf.shape}"
        )
    if leaf.grad is not None:
        np.add(leaf.grad, gradient, out=leaf.grad)
        return
    if alone and leaf._home is None and shows_only_itself(gradient):
        leaf.grad = gradient
        return
    leaf.grad = empty_like(gradient) if leaf._home is None else leaf._home
    np.copyto(leaf.grad, gradient)


def _topological(root: Node) -> list[Node]:
    """Nodes with every node before the nodes of its inputs. Iterative: an RNN's graph is deeper than the stack."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((edge[0], False) for edge in node.edges if type(edge) is tuple)
    return order[::-1]


@np.errstate(all="ignore")  # inf and nan are values like others, as in the kernels
def _backpropagate(root: Node, index: int, gradient: FloatArray) -> None:
    pending: dict[int, list[FloatArray | None]] = {id(root): [None] * root.outputs}
    pending[id(root)][index] = gradient
    owned: set[int] = set()  # ids of sums made here, which may be added to in place
    for node in _topological(root):
        dys = pending.pop(id(node), None)
        if dys is None:
            continue
        if node.backward is None:
            raise RuntimeError(f"backward: the graph through {node.name} was used before; compute the output again")
        owned.difference_update(map(id, dys))  # the node may hand them on, to several places
        grads = node.backward(*dys)
        node.backward = None  # frees what it saved
        for edge, grad in zip(node.edges, grads, strict=False):
            if edge is None or grad is None:
                continue
            if isinstance(edge, Tensor):
                alone = sys.getrefcount(grad) <= ALONE
                _add_to_leaf(edge, grad, alone)
                continue
            sums = pending.setdefault(id(edge[0]), [None] * edge[0].outputs)
            before = sums[edge[1]]
            if before is None:
                sums[edge[1]] = grad
            elif id(before) in owned:
                np.add(before, grad, out=before)
            else:
                sums[edge[1]] = total = np.add(before, grad, out=empty_like(grad))
                owned.add(id(total))


def _output(data: FloatArray, node: Node | None, index: int) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    tensor.data = data
    tensor.grad = None
    tensor.requires_grad = node is not None
    tensor._node = node
    tensor._index = index
    tensor._home = None
    return tensor


def _placed(parameters: list[inspect.Parameter], args: Sequence[Any], options: dict[str, Any]) -> list[Any]:
    """Arguments given by name, moved from ``options`` to their places, with defaults in the gaps before them."""
    placed = list(args)
    last = max([i for i, p in enumerate(parameters) if p.name in options], default=-1)
    for p in parameters[len(args) : last + 1]:
        if p.name not in options and p.default is p.empty:
            break  # the call will say that it is missing
        placed.append(options.pop(p.name, p.default))
    return placed


def op(function: Callable[..., tuple[Any, Backward | None]]) -> Callable[..., Any]:
    """Makes a function on arrays an op on arrays and Tensors.

    ``function(*arguments, need)`` returns ``(y, backward)``, y an array or a tuple of arrays; ``need[i]`` says whether
    the gradient of argument i is wanted (all False when nothing is recorded: then nothing has to be saved and
    ``backward`` may be None). ``backward(dy)`` (one dy per output, None where unused) returns one gradient per
    argument, None where not wanted. With no Tensor among the arguments the op returns plain arrays.
    """
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    places, names = len(parameters), frozenset(p.name for p in parameters)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        arrays = list(args) if not options or names.isdisjoint(options) else _placed(parameters, args, options)
        need = [False] * (places if places > len(arrays) else len(arrays))
        recording, tensors = _mode.recording, False
        edges: list[Edge | None] = []
        for i, value in enumerate(arrays):
            if isinstance(value, Tensor):
                tensors = True
                arrays[i] = value.data
                if recording and value.requires_grad:
                    need[i] = True
                    edges = edges or [None] * len(arrays)
                    edges[i] = value if value._node is None else (value._node, value._index)
        y, backward = function(*arrays, need=need, **options)
        if not tensors:
            return y
        several = type(y) is tuple
        node = Node(function.__name__, backward, edges, len(y) if several else 1) if edges and backward else None
        if several:
            return tuple([_output(part, node, i) for i, part in enumerate(y)])
        return _output(y, node, 0)

    call.raw = function  # type: ignore[attr-defined]
    return call

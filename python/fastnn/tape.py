"""The tape: what was recorded, and the way back along it.

Nodes point to the nodes of their inputs and to leaf Tensors, never to an output, so a graph dies with its last Tensor
without the garbage collector.

The contract of ``backward(*dys)``: what it returns is given away, for whoever gets it to keep and to write to. So no
two of the arrays share memory, and none shares any with an argument or a result of the op or with anything that lives
on. Except: a gradient may be one of ``dys``, or a view of one, or an array that cannot be written; those are copied.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastnn import _core, writes
from fastnn.arrays import FloatArray, empty_like

if TYPE_CHECKING:
    from fastnn.value import Tensor

Gradients = Sequence[FloatArray | None]
Backward = Callable[..., Gradients]


class _Mode(threading.local):
    recording = True
    recorder: Any = None  # of every call of an op, see ops/op.py
    before: Any = None  # what was set outside, (recording, what was set outside of that)


mode = _Mode()


def values_seen(by: str) -> None:
    """To be said before values of a Tensor are seen, or written, other than by an op: a recorder may refuse that."""
    if mode.recorder is not None:
        mode.recorder.leave(by)


class no_grad:  # noqa: N801  (the field's name)
    """Records nothing inside: ``with fnn.no_grad(): ...``, or as a decorator. Per thread, may be nested.

    >>> import fastnn as fnn
    >>> x = fnn.Tensor([1.0, 2.0], requires_grad=True)
    >>> with fnn.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __enter__(self) -> None:
        mode.before = (mode.recording, mode.before)  # of the thread: one object may be entered in several
        mode.recording = False

    def __exit__(self, *exc: object) -> None:
        mode.recording, mode.before = mode.before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return function(*args, **kwargs)

        return call


def is_grad_enabled() -> bool:
    """Whether ops record in this thread."""
    return mode.recording


class Node:
    """One recorded op: how to go back, where each gradient goes, and what may not be written before."""

    __slots__ = ("backward", "edges", "name", "outputs", "watched", "when")

    def __init__(
        self, name: str, backward: Backward, edges: list[Edge | None], outputs: int, watched: writes.Watched | None
    ) -> None:
        self.name = name
        self.backward: Backward | None = backward
        self.edges = edges
        self.outputs = outputs
        self.watched = watched
        self.when = writes.clock

    def check(self, recent: writes.Recent) -> None:
        """Raises RuntimeError where there is no way back any more, or it would lead through other values."""
        if self.backward is None:
            raise RuntimeError(
                f"backward: the graph through {self.name} was used before; compute the output again, or, where it is "
                "the state of a recurrent network, detach() it"
            )
        if writes.changed(self.backward, self.when, self.watched or [], recent):
            raise RuntimeError(
                f"backward: a value that {self.name} saved for its gradient was written since (by an optimizer's step, "
                "load_state_dict or in place); call backward() before that, or compute the output again after it"
            )


Edge: TypeAlias = "tuple[Node, int] | Tensor"


_adding = threading.Lock()  # threads that go back through one model add to the same leaves


def _after_fork() -> None:
    """Another thread may have held the lock, which it never gives back in the child."""
    global _adding
    _adding = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_BLOCK = type(_core.empty((1,)).base)  # under arrays of the kernels, each of which has one of its own


def _owner(array: Any) -> Any:
    """Whose memory an array shows: its own, or that of the last of its bases, through what as_strided puts between."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


def _given_away(gradient: FloatArray, dys: Sequence[FloatArray | None]) -> bool:
    """Whether ``gradient``, which a backward made of ``dys``, may be kept: all of its memory, and no part of theirs."""
    base = gradient.base
    if not gradient.flags.writeable or (isinstance(base, np.ndarray) and base.size != gradient.size):
        return False  # a part would keep all of it alive
    if base is None or type(base) is _BLOCK:  # the usual case, told without a search
        return not any([gradient is dy for dy in dys])
    owner = _owner(gradient)
    return not any([owner is _owner(dy) for dy in dys])


def add_to_leaf(leaf: Tensor, gradient: FloatArray, given: bool = False) -> None:
    """Adds to ``leaf.grad``. A first gradient is copied, unless it is ``given``: nobody else has or will have it."""
    if gradient.shape != leaf.shape:
        raise RuntimeError(
            f"backward: a gradient of shape {gradient.shape} for a Tensor of shape {leaf.shape}; did it get data of "
            "another shape since?"
        )
    with _adding:
        if leaf._grad is not None:
            np.add(leaf._grad, gradient, out=leaf._grad)
            return
        if given and leaf._home is None:
            leaf._grad, leaf._lent = gradient, False
            return
        home = leaf._home if leaf._home is not None and leaf._home.shape == gradient.shape else None
        total = empty_like(gradient) if home is None else home
        np.copyto(total, gradient)
        leaf._grad, leaf._lent = total, home is not None


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
def backpropagate(root: Node, index: int, gradient: FloatArray) -> None:
    """Adds the gradients of all leaves below output ``index`` of ``root``, whose own gradient is given."""
    pending: dict[int, list[FloatArray | None]] = {id(root): [None] * root.outputs}
    pending[id(root)][index] = gradient
    owned: set[int] = set()  # ids of sums made here, which may be added to in place
    order = _topological(root)
    recent: writes.Recent | None = None
    for node in order:  # all of them before the first gradient is written
        if node.backward is None or node.watched or node.when != writes.clock:
            recent = recent or writes.Recent(min([other.when for other in order]))
            node.check(recent)
    for node in order:
        dys = pending.pop(id(node), None)
        if dys is None:
            continue
        owned.difference_update(map(id, dys))  # the node may hand them on, to several places
        grads = node.backward(*dys)  # type: ignore[misc]
        node.backward = node.watched = None  # frees what was saved
        for i, edge in enumerate(node.edges):
            if edge is None:
                continue
            grad = grads[i] if i < len(grads) else None
            if grad is None:
                raise RuntimeError(f"backward: {node.name} has no gradient for its argument {i}; detach() it")
            if type(edge) is not tuple:
                add_to_leaf(edge, grad, _given_away(grad, dys))  # type: ignore[arg-type]
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

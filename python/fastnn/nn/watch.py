"""Which layers a model calls, and on what. Listeners belong to a thread: nothing is written to the Modules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastnn.nn.module import Module


class Call(NamedTuple):
    name: str
    module: Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any


class _Own(threading.local):
    listeners: tuple[Callable[[Module, tuple[Any, ...], dict[str, Any], Any], None], ...] = ()


own = _Own()  # Module.__call__ looks here


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Module.__call__ while somebody listens."""
    output = module.forward(*args, **kwargs)
    for listener in own.listeners:
        listener(module, args, kwargs, output)
    return output


@contextmanager
def calls_of(layers: Iterable[tuple[str, Module]]) -> Iterator[list[Call]]:
    """The calls of these Modules, given with their names, in the order in which they ended, in this thread."""
    named = {id(module): (name, module) for name, module in layers}
    calls: list[Call] = []

    def listen(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if id(module) in named:
            calls.append(Call(named[id(module)][0], module, args, kwargs, output))

    before = own.listeners
    own.listeners = (*before, listen)
    try:
        yield calls
    finally:
        own.listeners = before


def innermost(model: Module) -> list[tuple[str, Module]]:
    """(name, module) of the layers without layers inside; of ``model`` itself, whose name is "", if it has none."""
    return [(name, module) for name, module in model.named_modules() if next(module.children(), None) is None]

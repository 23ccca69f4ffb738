"""Which layers a model calls, and on what."""

from __future__ import annotations

from collections.abc import Iterator
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


@contextmanager
def calls_of_layers(model: Module) -> Iterator[list[Call]]:
    """The calls of layers without layers inside, in order, while the context lasts; ``model`` itself if it has none."""
    layers = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    calls: list[Call] = []

    def watched(name: str, module: Module) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            output = type(module).forward(module, *args, **kwargs)
            calls.append(Call(name, module, args, kwargs, output))
            return output

        return forward

    try:
        for name, module in layers:
            vars(module)["forward"] = watched(name, module)
        yield calls
    finally:
        for _, module in layers:
            vars(module).pop("forward", None)

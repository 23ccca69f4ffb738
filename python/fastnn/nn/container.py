"""Modules that hold Modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from fastnn.nn.module import Module


class _Container(Module):
    """Modules by name, in order; a layer is an attribute as well, as in torch."""

    def __init__(self) -> None:
        self._named: dict[str, Module] = {}

    def _put(self, name: str, module: Any) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: {name} is a {type(module).__name__}, expected a Module")
        self._named[name] = module

    def _layers(self) -> Iterator[tuple[str, Module]]:
        yield from self._named.items()
        yield from super()._layers()

    def __getattr__(self, name: str) -> Any:  # only asked where there is no such attribute
        named = vars(self).get("_named", {})
        if name not in named:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return named[name]

    def __len__(self) -> int:
        return len(self._named)

    def __bool__(self) -> bool:
        return True  # a Module even when it is empty


class _Numbered(_Container):
    """Modules that are counted from 0, or named."""

    def _place(self, index: int) -> str:
        names = list(self._named)
        if not -len(names) <= index < len(names):
            raise IndexError(f"{type(self).__name__}: index {index} in {len(names)} modules")
        return names[index]

    def __setitem__(self, index: int, module: Module) -> None:
        self._put(self._place(index), module)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._named.values()))

    def append(self, module: Module) -> Self:
        """Adds a module at the end; returns the container."""
        self._put(str(len(self._named)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self


def _joined(module: Module, following: Module) -> Callable[[Any], Any] | None:
    """Both as one function, unless somebody put a forward of their own on one of them."""
    return None if "forward" in vars(module) or "forward" in vars(following) else module.joined(following)


class Sequential(_Numbered):
    """Calls its modules one after the other, each with the output of the one before.

    Args:
        args: Modules, named "0", "1", ... , or one dict from names to Modules.

    Indexing gives a Module, a slice gives a Sequential of the same Modules. BatchNorm and a ReLU after it are computed
    in one pass, with the same bits as one after the other. Raises TypeError for what is no Module.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 2))
    >>> model(np.zeros((5, 3))).shape, model[0].out_features, len(model[1:])
    ((5, 2), 8, 1)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self._put(str(name), module)
        else:
            self.extend(args)

    @property
    def batch_axis(self) -> int:
        """That of the first module, unless it was set."""
        first = next(iter(self._named.values()), None)
        return int(vars(self).get("batch_axis", 0 if first is None else first.batch_axis))

    @batch_axis.setter
    def batch_axis(self, axis: int) -> None:
        vars(self)["batch_axis"] = axis

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._named.items())[index]))
        return self._named[self._place(index)]

    def forward(self, x: Any) -> Any:
        modules = list(self._named.values())
        while modules:
            module = modules.pop(0)
            both = _joined(module, modules[0]) if modules else None
            x = module(x) if both is None else both(x)
            if both is not None:
                modules.pop(0)
        return x


class ModuleList(_Numbered):
    """A list of Modules whose Parameters are found; it has no forward.

    >>> from fastnn import nn
    >>> layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    >>> len(layers), layers[-1].in_features, len(list(layers.parameters()))
    (3, 4, 6)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self._named.values())[index])
        return self._named[self._place(index)]

    def insert(self, index: int, module: Module) -> None:
        """Puts a module before the one at ``index``."""
        modules = list(self)
        modules.insert(index, module)
        self._named = {}
        self.extend(modules)


class ModuleDict(_Container):
    """A dict of Modules whose Parameters are found; it has no forward.

    >>> from fastnn import nn
    >>> heads = nn.ModuleDict({"class": nn.Linear(4, 10), "box": nn.Linear(4, 4)})
    >>> list(heads), heads["box"].out_features
    (['class', 'box'], 4)
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def __getitem__(self, name: str) -> Module:
        return self._named[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self._put(name, module)

    def __delitem__(self, name: str) -> None:
        del self._named[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __contains__(self, name: object) -> bool:
        return name in self._named

    def keys(self) -> Iterable[str]:
        return self._named.keys()

    def values(self) -> Iterable[Module]:
        return self._named.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self._named.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds modules, or replaces those of the same names."""
        for name, module in dict(modules).items():
            self._put(name, module)

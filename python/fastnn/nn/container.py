"""Modules that hold Modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from fastnn.nn import activation
from fastnn.nn.attributes import CHILDREN, check_name, checked
from fastnn.nn.dropout import Dropout
from fastnn.nn.linear import Linear
from fastnn.nn.module import Module
from fastnn.nn.normalization import with_relu
from fastnn.nn.recurrent import LastStep, Output, Recurrent
from fastnn.nn.shape import Identity


class _Container(Module):
    """Modules by name, in order, kept in one dict: an attribute that is a Module is one of them, as in torch."""

    _modules: dict[str, Module]

    def __init__(self) -> None:
        self._store()

    def _store(self) -> dict[str, Module]:
        """The dict; made where a subclass sets a Module before it calls __init__."""
        named: dict[str, Module] = vars(self).setdefault(CHILDREN, {})
        return named

    def _put(self, name: str, module: Any) -> None:
        kind = type(self).__name__
        if not isinstance(module, Module):
            without = "; `del` takes it out, nn.Identity() keeps the place" if name in self._store() else ""
            raise TypeError(f"{kind}: {name} is a {type(module).__name__}, expected a Module{without}")
        check_name(name, kind)
        self._store()[name] = module

    def __setattr__(self, name: str, value: Any) -> None:
        of_class = isinstance(getattr(type(self), name, None), property)
        if of_class or not (isinstance(value, Module) or name in self._store()):
            super().__setattr__(name, value)
            return
        self._put(name, checked(self, name, value))
        vars(self).pop(name, None)

    def __delattr__(self, name: str) -> None:
        if name in self._store():
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __getattr__(self, name: str) -> Any:  # only asked where there is no such attribute
        named = vars(self).get(CHILDREN, {})
        if name not in named:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return named[name]

    def __copy__(self) -> Self:
        """A container of its own with the same Modules."""
        copy = type(self).__new__(type(self))
        vars(copy).update(vars(self))
        vars(copy)[CHILDREN] = dict(self._store())
        return copy

    def __len__(self) -> int:
        return len(self._store())

    def __bool__(self) -> bool:
        return True  # a Module even when it is empty


class _Numbered(_Container):
    """Modules that are counted from 0, or named."""

    def _place(self, index: int) -> str:
        names = list(self._store())
        if not -len(names) <= index < len(names):
            raise IndexError(f"{type(self).__name__}: index {index} in {len(names)} modules")
        return names[index]

    def _number(self, entries: Iterable[tuple[str, Module]]) -> None:
        """Keeps these; those whose names are numbers are numbered again by their places."""
        named = {str(i) if name.isdecimal() else name: module for i, (name, module) in enumerate(entries)}
        vars(self)[CHILDREN] = named

    def __setitem__(self, index: int, module: Module) -> None:
        self._put(self._place(index), module)

    def __delitem__(self, index: int | slice) -> None:
        entries = list(self._store().items())
        names = [name for name, _ in entries[index]] if isinstance(index, slice) else [self._place(index)]
        self._number([(name, module) for name, module in entries if name not in names])

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._store().values()))

    def append(self, module: Module) -> Self:
        """Adds a module at the end; returns the container."""
        number = len(self)
        while str(number) in self._store():  # what is left of another container keeps its numbers
            number += 1
        self._put(str(number), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Puts a module before the one at ``index``, and numbers those after it again; returns the container.

        Raises IndexError for an index outside of the container.
        """
        entries = list(self._store().items())
        if not -len(entries) <= index <= len(entries):
            raise IndexError(f"{type(self).__name__}: index {index} in {len(entries)} modules")
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: {index} is a {type(module).__name__}, expected a Module")
        entries.insert(index, ("0", module))
        self._number(entries)
        return self

    def pop(self, index: int = -1) -> Module:
        """Takes out the module at ``index``, by default the last one, numbers those after it again, and returns it."""
        module = self._modules[self._place(index)]
        del self[index]
        return module


# Layers that leave axes as they are: what batch_first says of a recurrent layer holds behind them, too.
_ELEMENTWISE = tuple(
    [kind for kind in vars(activation).values() if isinstance(kind, type) and issubclass(kind, Module)]
)
_SAME_AXES = (Dropout, Identity, Linear, Output, *[kind for kind in _ELEMENTWISE if kind is not Module])


def _one_by_one(modules: Iterable[Module]) -> Iterator[Module]:
    for module in modules:
        if isinstance(module, Sequential):
            yield from _one_by_one(module)
        else:
            yield module


def _batch_first(modules: Sequence[Module]) -> bool | None:
    """Whether what these modules give in a row is (N, T, F) rather than (T, N, F); None where nothing says so."""
    for module in reversed(list(_one_by_one(modules))):
        if isinstance(module, Recurrent):
            return module.batch_first
        if not isinstance(module, _SAME_AXES):
            return None
    return None


class Sequential(_Numbered):
    """Calls its modules one after the other, each with the output of the one before.

    Args:
        args: Modules, named "0", "1", ... , or one dict from names to Modules.

    Indexing gives a Module, a slice gives a Sequential of the same Modules. After a recurrent layer, which returns
    (output, state), stands an nn.Output or an nn.LastStep. BatchNorm and a ReLU after it are computed in one pass, with
    the same bits as one after the other. A Module that is set as an attribute is the last of them, or
    takes the place of the one of that name. An error inside a Module gets a note that says which. Raises TypeError for
    what is no Module, ValueError for a name with a dot.

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
                self._put(name, module)
        else:
            for number, module in enumerate(args):
                self._put(str(number), module)

    @property
    def batch_axis(self) -> int:
        """That of the first module, unless it was set."""
        first = next(iter(self._modules.values()), None)
        return int(vars(self).get("batch_axis", 0 if first is None else first.batch_axis))

    @batch_axis.setter
    def batch_axis(self, axis: int) -> None:
        vars(self)["batch_axis"] = axis

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._place(index)]

    def forward(self, x: Any) -> Any:
        modules, place = list(self._modules.values()), 0
        try:
            while place < len(modules):
                module = modules[place]
                both = with_relu(module, modules[place + 1]) if place + 1 < len(modules) else None
                if both is not None:
                    x = both(x)
                    place += 1
                elif isinstance(module, LastStep) and module.batch_first is None:
                    x = module(x, batch_first=_batch_first(modules[:place]))
                else:
                    x = module(x)
                place += 1
        except Exception as error:
            self._say_where(error, place, x)
            raise
        return x

    def _say_where(self, error: Exception, place: int, x: Any) -> None:
        """Which module raised the error, given x; where x is a tuple, that may be all there is to it."""
        labels = [f"{name} ({type(module).__name__})" for name, module in self._modules.items()]
        own = type(self).__name__
        if place and isinstance(x, tuple) and isinstance(error, (AttributeError, TypeError, ValueError)):
            recurrent = isinstance(list(self._modules.values())[place - 1], Recurrent)
            what = "(output, state)" if recurrent else f"a tuple of {len(x)}"
            put = "nn.Output() between them, which returns x[0], or nn.LastStep()"
            put = put if recurrent else "a Module between them whose forward returns x[0]"
            raise TypeError(
                f"{own}: {labels[place - 1]} returned {what} and {labels[place]} was given that. To hand on the output "
                f"alone, put {put}. The error was: {error}"
            ) from error
        error.add_note(f"in {labels[place]} of {own}")


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
            return type(self)(list(self._modules.values())[index])
        return self._modules[self._place(index)]


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
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self._put(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def pop(self, name: str) -> Module:
        """Takes out the module of that name and returns it; raises KeyError where there is none."""
        return self._modules.pop(name)

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds modules, or replaces those of the same names."""
        for name, module in dict(modules).items():
            self._put(name, module)

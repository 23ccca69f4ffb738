"""What is inside a Module. Functions, not methods: a user's class may use any name that a Module has no need of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fastnn.nn.attributes import CHILDREN, Attributes, check_collections
from fastnn.value import Parameter

if TYPE_CHECKING:
    from fastnn.nn.module import Module

Array = npt.NDArray[Any]
_T = TypeVar("_T")


class Entry(NamedTuple):
    """One name of one array of a Module's state; what is shared has several."""

    name: str
    module: Module
    attribute: str
    array: Array

    @property
    def held(self) -> Any:
        """What the Module holds: a Parameter, or the array of a buffer. The same object is the same state."""
        return getattr(self.module, self.attribute)


def joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def once(pairs: Iterable[tuple[str, _T]]) -> Iterator[tuple[str, _T]]:
    """The pairs of a name and an object, each object under its first name."""
    seen: dict[int, _T] = {}  # they are kept alive, so that no other gets the same id
    for name, value in pairs:
        if id(value) not in seen:
            seen[id(value)] = value
            yield name, value


def layers(module: Module) -> list[tuple[str, Module]]:
    """Modules directly inside, by name, in order, under every name they have: attributes, or what a container keeps."""
    kept = vars(module).get(CHILDREN, vars(module))
    return [(name, cast("Module", value)) for name, value in list(kept.items()) if isinstance(value, Attributes)]


def walk(module: Module, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
    """(name, module) of this Module and of all inside, a module before what is inside it: under every name they have,
    or each once where there is a set of those ``seen``."""
    if seen is not None:
        if id(module) in seen:
            return
        seen.add(id(module))
    yield prefix, module
    for name, layer in layers(module):
        yield from walk(layer, joined(prefix, name), seen)


def own_parameters(module: Module) -> list[tuple[str, Parameter]]:
    """Attributes that are Parameters; raises TypeError where some are in lists, where nobody would find them."""
    check_collections(module)
    return [(name, value) for name, value in list(vars(module).items()) if isinstance(value, Parameter)]


def own_buffers(module: Module, saved: bool = False) -> Iterator[tuple[str, Array]]:
    """Attributes that are buffers; those alone that are ``saved``, or all."""
    for name in module.buffer_names:
        array = getattr(module, name, None)
        if isinstance(array, np.ndarray) and not (saved and name in module._unsaved_buffers):
            yield name, array


def own_state(module: Module) -> Iterator[tuple[str, Array]]:
    """Name and array of all attributes that state_dict has."""
    for name, parameter in own_parameters(module):
        yield name, parameter._array
    yield from own_buffers(module, saved=True)


def entries(module: Module) -> Iterator[Entry]:
    """Every array of the state: in torch's order, and like there every name of what is shared."""
    for prefix, inner in walk(module):
        for name, array in own_state(inner):
            yield Entry(joined(prefix, name), inner, name, array)


def by_holder(all_entries: Iterable[Entry]) -> list[list[Entry]]:
    """The entries in groups, each of all names of one Parameter or buffer."""
    groups: dict[int, list[Entry]] = {}
    for entry in all_entries:
        groups.setdefault(id(entry.held), []).append(entry)
    return list(groups.values())

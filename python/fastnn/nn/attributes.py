"""What may be set as an attribute of a Module, so that nothing that trains or is saved is lost without a word."""

from __future__ import annotations

from collections import UserDict, UserList, deque
from collections.abc import Iterator
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_float32
from fastnn.value import Parameter, Tensor

if TYPE_CHECKING:
    from fastnn.nn.module import Module

CHILDREN = "_modules"  # where containers keep their Modules: the one dict of them among the attributes, as in torch
_COLLECTIONS = (UserDict, UserList, deque, dict, frozenset, list, MappingProxyType, set, tuple)
_ENOUGH = 1000  # items of a collection that are looked at: longer ones hold data


class Attributes:
    """What Module has for its attributes: checks, and names for what may be None. Only Module derives from it."""

    buffer_names: tuple[str, ...] = ()
    parameter_names: tuple[str, ...] = ()
    _unsaved_buffers: tuple[str, ...] = ()  # buffers that are not in state_dict
    _collection_names: tuple[str, ...] = ()  # attributes that were set to a list or the like, which may be filled later

    def __setattr__(self, name: str, value: Any) -> None:
        here = self.__dict__.get(name)
        if (
            isinstance(value, _LOOKED_AT)
            or isinstance(here, _PARTS)
            or name in self.buffer_names
            or name in self.parameter_names
        ):
            value = checked(self, name, value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        for registered in (
            "buffer_names",
            "parameter_names",
            "_unsaved_buffers",
        ):  # those of the object, not of its class
            if name in vars(self).get(registered, ()):
                vars(self)[registered] = tuple([n for n in getattr(self, registered) if n != name])

    def register_buffer(self, name: str, array: Any, persistent: bool = True) -> None:
        """Makes an array, or None, part of the state: in ``named_buffers``, and in ``state_dict`` where ``persistent``.

        Args:
            name: of the attribute; no dots in it, and nothing that the Module has already, but for a buffer.
            array: any shape and real dtype, kept as it is and not copied; None for one that comes later.
            persistent: whether state_dict and files have it. Default True.

        Raises ValueError for the name, TypeError for the array.

        >>> import numpy as np
        >>> from fastnn import nn
        >>> layer = nn.Identity()
        >>> layer.register_buffer("mean", np.zeros(3))
        >>> layer.state_dict()
        {'mean': array([0., 0., 0.])}
        """
        kind = type(self).__name__
        check_name(name, kind)
        if hasattr(self, name) and name not in self.buffer_names:
            raise ValueError(f"register_buffer: {kind} has an attribute {name!r} already")
        array = _as_buffer(array, None, name, kind)
        _register(self, "buffer_names", name)
        vars(self)["_unsaved_buffers"] = (
            *[n for n in self._unsaved_buffers if n != name],
            *([] if persistent else [name]),
        )
        object.__setattr__(self, name, array)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Sets a Parameter by name; with None, the name is kept for one: only a Parameter can be assigned to it.

        Raises ValueError for a name with a dot or one that is taken, TypeError for what is no Parameter.
        """
        kind = type(self).__name__
        check_name(name, kind)
        if hasattr(self, name) and name not in self.parameter_names and not isinstance(getattr(self, name), Parameter):
            raise ValueError(f"register_parameter: {kind} has an attribute {name!r} already")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name} is {_described(param)}, expected a Parameter or None")
        _register(self, "parameter_names", name)
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Sets a Module by name, as ``setattr`` does. Raises TypeError for what is no Module, ValueError for a name
        with a dot or one that is taken."""
        kind = type(self).__name__
        check_name(name, kind)
        if module is not None and not isinstance(module, Attributes):
            raise TypeError(f"add_module: {name} is {_described(module)}, expected a Module")
        if hasattr(self, name) and not isinstance(getattr(self, name), Attributes):
            raise ValueError(f"add_module: {kind} has an attribute {name!r} already")
        setattr(self, name, module)


_PARTS = (Parameter, Attributes)
_LOOKED_AT = (*_COLLECTIONS, Attributes, Tensor)


_TAKEN = {"_modules": "is that of the Modules of a container", "training": "is that of the mode"}


def check_name(name: str, kind: str) -> None:
    """Names of state are joined with dots: one with a dot could be the name of something else."""
    if not isinstance(name, str):
        raise TypeError(f"{kind}: the name {name!r} is a {type(name).__name__}, expected a str")
    if not name or "." in name or name in _TAKEN:
        wrong = "has a dot" if "." in name else _TAKEN[name] if name else "is empty"
        raise ValueError(f"{kind}: the name {name!r} {wrong}, choose another")


def checked(module: Attributes, name: str, value: Any) -> Any:
    """``value`` as ``module`` may keep it under ``name``; raises TypeError where something would get lost by it."""
    kind, here = type(module).__name__, vars(module).get(name)
    if isinstance(value, _PARTS):
        check_name(name, kind)
        if isinstance(here, Parameter) and not isinstance(value, Parameter):
            raise TypeError(f"{kind}: {name} is a Parameter, cannot be a {type(value).__name__}; delete it first")
        return value
    if isinstance(here, Parameter) or (here is None and name in vars(module) and name in module.parameter_names):
        if value is None:
            _register(module, "parameter_names", name)
            return None
        given = "value.data" if isinstance(value, Tensor) else "value"
        raise TypeError(
            f"{kind}: {name} is a Parameter, cannot be {_described(value)}, which would not be trained or saved. "
            f"Write {name}.data[...] = {given} for other numbers, or assign nn.Parameter({given}) for a new one"
        )
    if isinstance(here, Attributes):
        if value is not None:
            raise TypeError(f"{kind}: {name} is a {type(here).__name__}, cannot be {_described(value)}: no Module")
        return None
    if name in module.buffer_names:
        return _as_buffer(value, here, name, kind)
    if isinstance(value, _COLLECTIONS):
        _check_collection(module, name, value)
        if not isinstance(value, tuple) or any([isinstance(part, _COLLECTIONS) for part in value]):
            _register(module, "_collection_names", name)
    return value


def check_collections(module: Attributes) -> None:
    """Raises TypeError where an attribute is a list with Modules or Parameters: they may have come later."""
    for name in module._collection_names:
        value = vars(module).get(name)
        if isinstance(value, _COLLECTIONS):
            _check_collection(module, name, value)


def writable(module: Attributes, name: str) -> Any:
    """The buffer, for writing into it: replaced by a copy where it cannot be written, such as a mapped file."""
    array = getattr(module, name)
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        array = np.array(array)
        vars(module)[name] = array
    return array


def _register(module: Attributes, registered: str, name: str) -> None:
    """Adds a name to those of this object alone."""
    if name not in getattr(module, registered):
        vars(module)[registered] = (*getattr(module, registered), name)


def _check_collection(module: Attributes, name: str, value: Any) -> None:
    """Raises TypeError where a list, tuple, dict or set holds Modules or Parameters that are nowhere else."""
    parts = list(_parts_of(value))
    if not parts:
        return
    known: set[int] = set()
    for inner in cast("Module", module).modules():
        known |= {id(inner), *map(id, vars(inner).values())}
    for part in parts:
        if id(part) not in known:
            instead = "keep it as an attribute of its own"
            if not isinstance(part, Parameter):
                instead = f"use nn.{'ModuleDict' if isinstance(value, dict) else 'ModuleList'}"
            raise TypeError(
                f"{type(module).__name__}: {name} is a {type(value).__name__} that holds a {type(part).__name__}, "
                f"which would not be trained or saved: {instead}"
            )


def _described(value: Any) -> str:
    shape = f" of shape {value.shape}" if isinstance(value, (np.ndarray, Tensor)) else ""
    return f"a {type(value).__name__}{shape}"


def _parts_of(value: Any, depth: int = 4) -> Iterator[Any]:
    """Modules and Parameters in a collection, and in the collections in it, so many levels deep."""
    items = value.values() if isinstance(value, (UserDict, dict, MappingProxyType)) else value
    if not any([issubclass(kind, _PARTS + _COLLECTIONS) for kind in set(map(type, islice(items, _ENOUGH)))]):
        return
    for item in islice(items, _ENOUGH):
        if isinstance(item, _PARTS):
            yield item
        elif depth and isinstance(item, _COLLECTIONS):
            yield from _parts_of(item, depth - 1)


def _as_buffer(value: Any, here: Any, name: str, kind: str) -> npt.NDArray[Any] | None:
    """An array for a buffer, of the dtype of the one that stands ``here``, where that loses nothing but precision."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        if value._node is not None:
            raise TypeError(f"{kind}: {name} is a buffer, cannot be a Tensor with a graph; write value.detach()")
        value = value.numpy()
    if isinstance(value, np.generic):  # what arithmetic on an array without axes gives
        value = np.array(value)
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{kind}: {name} is a buffer, cannot be {_described(value)}; write np.array(value)")
    if value.dtype.kind not in "fiub":
        raise TypeError(f"{kind}: {name} is a buffer, cannot have dtype {value.dtype}, expected real numbers")
    if isinstance(here, np.ndarray) and here.dtype != value.dtype:
        if here.dtype == np.float32:
            return as_float32(value, kind, name)
        if np.can_cast(value.dtype, here.dtype, "safe"):
            return value.astype(here.dtype)
    return value

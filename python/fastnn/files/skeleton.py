"""Nested values as arrays by name, for a file, and a skeleton of JSON for all the rest; and back, to the same types.

In a skeleton, strings, true, false and null are themselves, and so are integers of 64 bits and finite floats. All else
is an object with one key: ``dict`` (pairs), ``list``, ``tuple``, ``int`` (hexadecimal), ``float`` (inf, nan), ``array``
(its name) or ``scalar`` (the name of an array without axes, for a NumPy number).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def is_array(value: Any) -> bool:
    """Whether a value is an array: NumPy's, a Tensor, torch's, or of a library that gives arrays to NumPy."""
    return hasattr(value, "__array__") and not isinstance(value, np.generic)


def is_flat(state: Mapping[Any, Any]) -> bool:
    """Whether a mapping is one of names to arrays, which a file of arrays holds without more."""
    return all([type(name) is str and is_array(value) for name, value in state.items()])


def take_apart(value: Any) -> tuple[Any, dict[str, Any]]:
    """(skeleton, arrays by name). Raises TypeError for a value of a type that would not come back as what it was."""
    arrays: dict[str, Any] = {}
    try:
        return _skeleton(value, (), arrays), arrays
    except RecursionError:
        raise TypeError("save: the mapping holds itself, or is nested too deep") from None


def _skeleton(value: Any, path: tuple[Any, ...], arrays: dict[str, Any]) -> Any:
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**63 else {"int": hex(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_skeleton(part, (*path, i), arrays) for i, part in enumerate(value)]}
    if isinstance(value, np.generic) or is_array(value):
        name = _free(".".join(map(str, path)), arrays)
        arrays[name] = value
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if isinstance(value, Mapping):
        return {"dict": [[_key(key, path), _skeleton(part, (*path, key), arrays)] for key, part in value.items()]}
    what = f"{'.'.join(map(str, path))} is a {type(value).__name__}"
    hint = "; give its state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(f"save: {what}, expected arrays, numbers, strings, None, dicts, lists or tuples of such{hint}")


def _key(key: Any, path: tuple[Any, ...]) -> Any:
    if type(key) not in (int, str):
        where = ".".join(map(str, path)) or "the mapping"
        raise TypeError(f"save: {where} has the key {key!r} of the type {type(key).__name__}, expected a str or an int")
    return _skeleton(key, path, {})


def _free(name: str, arrays: Mapping[str, Any]) -> str:
    """``name``, with a number behind it where another path has given it already or the format does not have it."""
    free, number = name, 1
    while free in arrays or free in ("", "__metadata__"):
        free, number = f"{name}~{number}", number + 1
    return free


def put_together(skeleton: Any, arrays: Mapping[str, Array]) -> Any:
    """What ``take_apart`` was given. Raises ValueError for a skeleton that is not one, or not of these arrays."""
    used: set[str] = set()
    value = _value(skeleton, arrays, used)
    if used != arrays.keys():
        raise ValueError(f"arrays that the skeleton does not have: {sorted(arrays.keys() - used)[:10]}")
    return value


def _value(skeleton: Any, arrays: Mapping[str, Array], used: set[str]) -> Any:
    if not isinstance(skeleton, (dict, list)):
        return skeleton
    if not isinstance(skeleton, dict) or len(skeleton) != 1:
        raise ValueError(f"no part of a skeleton: {skeleton!r:.100}")
    ((kind, part),) = skeleton.items()
    if kind in ("array", "scalar"):
        return _array(part, kind, arrays, used)
    if kind in _TEXTS and isinstance(part, str):
        return _TEXTS[kind](part)
    if kind not in ("dict", "list", "tuple") or not isinstance(part, list):
        raise ValueError(f"no part of a skeleton: {skeleton!r:.100}")
    if kind != "dict":
        values = [_value(entry, arrays, used) for entry in part]
        return values if kind == "list" else tuple(values)
    result: dict[Any, Any] = {}
    for entry in part:
        key = _value(entry[0], {}, set()) if isinstance(entry, list) and len(entry) == 2 else None
        if type(key) not in (int, str) or key in result:
            raise ValueError(f"no entry of a dict: {entry!r:.100}")
        result[key] = _value(entry[1], arrays, used)
    return result


def _array(name: Any, kind: str, arrays: Mapping[str, Array], used: set[str]) -> Any:
    if not isinstance(name, str) or name not in arrays or name in used:
        raise ValueError(f"no array {name!r:.100}, or it is there twice")
    used.add(name)
    if kind == "array":
        return arrays[name]
    if arrays[name].ndim:
        raise ValueError(f"{name!r:.100} has shape {arrays[name].shape}, expected a number")
    return arrays[name][()]


_TEXTS: dict[str, Callable[[str], Any]] = {"float": float, "int": lambda text: int(text, 16)}

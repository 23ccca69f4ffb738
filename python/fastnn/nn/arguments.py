"""The arguments that a layer was made with, read back from its attributes: what repr shows and what files say."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_LONGEST = 100  # characters of a text, items of a list: longer ones are data
_DEEPEST = 4  # lists in lists


def parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The constructor's arguments by name, without *args and **kwargs."""
    return {name: p for name, p in inspect.signature(kind).parameters.items() if p.kind in _NAMED}


def kept(layer: Any, kind: type) -> dict[str, Any]:
    """The arguments of ``kind``'s constructor that ``layer`` keeps, as attributes of the same names; where that is the
    bias itself, whether there is one. Looked up in the object alone, so that no property of a user's class is run."""
    own = vars(layer)
    found = {name: own[name] for name in parameters(kind) if name in own}
    if "bias" in found and "bias" in layer.parameter_names:
        found["bias"] = found["bias"] is not None
    return found


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """The value as numbers and short texts of Python, in short tuples and lists; raises TypeError for anything else."""
    if value is None or type(value) in (bool, float, int):
        return value
    if isinstance(value, (np.bool_, np.floating, np.integer)):
        return value.item()
    if isinstance(value, (float, int)):  # of a class derived from them, such as an enum's
        return float(value) if isinstance(value, float) else int(value)
    if isinstance(value, str) and len(value) <= _LONGEST:
        return str(value)
    if isinstance(value, (list, tuple)) and depth and len(value) <= _LONGEST:
        parts = [plain(part, depth - 1) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    raise TypeError(f"an argument of the type {type(value).__name__} cannot be written")


def _is_plain(value: Any) -> bool:
    try:
        plain(value)
    except TypeError:
        return False
    return True


def _constructor(layer: Any) -> type:
    """The class whose arguments say what a layer is: of a user's LSTM they are those of nn.LSTM."""
    kind = next(kind for kind in type(layer).__mro__ if kind.__module__.partition(".")[0] == "fastnn")
    return type(layer) if kind.__init__ is object.__init__ else kind  # type: ignore[misc]


def shown(layer: Any, unnamed: int, shows_defaults: bool) -> str:
    """The arguments of a layer as they can be typed into its constructor; those that are not plain are left out.

    unnamed: so many of the first ones go without names. shows_defaults: whether those are there that have their
    defaults; None, which asks for nothing, and ``inplace``, which does nothing, never are.
    """
    kind = _constructor(layer)
    values = kept(layer, kind)
    parts: list[str] = []
    for place, (name, parameter) in enumerate(parameters(kind).items()):
        if name not in values or not _is_plain(values[name]):
            continue
        value, default = plain(values[name]), parameter.default
        is_default = _is_plain(default) and value == default
        if is_default and (value is None or name == "inplace" or not shows_defaults):
            continue
        # After one that is left out a name is needed.
        parts.append(repr(value) if place < unnamed and place == len(parts) else f"{name}={value!r}")
    return ", ".join(parts)

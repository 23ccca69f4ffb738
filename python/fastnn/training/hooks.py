"""The hooks of callbacks: which there are, whether an object has any, and calling them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fastnn.callbacks import Callback, LearningRate, Monitor, Run
from fastnn.training.spelling import meant

HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def notify(callbacks: Sequence[Any], hook: str, run: Run) -> None:
    for callback in callbacks:
        method = getattr(callback, hook, None)
        if method is not None:
            method(run)


def as_callbacks(callbacks: Any, names: Collection[str]) -> list[Any]:
    """One callback or several as a list.

    Raises TypeError for what has no hook, ValueError for a hook that ``fit`` does not call, and where a number is
    monitored that is none of ``names``, those the history will have. Callbacks of the user may add others.
    """
    single = any(callable(getattr(callbacks, hook, None)) for hook in HOOKS)
    if isinstance(callbacks, type) or callable(callbacks) or (not single and not hasattr(callbacks, "__iter__")):
        callbacks = [callbacks]
    given = [callbacks] if single and not isinstance(callbacks, list) else list(callbacks)
    for callback in given:
        _check_hooks(callback)
    adding = [cb for cb in given if not type(cb).__module__.startswith("fastnn.") and _has_rows(cb)]
    known = [*names, *(["lr"] if any(isinstance(cb, LearningRate) for cb in given) else [])]
    for callback in given:
        if isinstance(callback, Monitor) and not adding:
            callback.check_names(known)
    return given


def _has_rows(callback: Any) -> bool:
    """Whether it may write to the history."""
    own = getattr(type(callback), "on_epoch_end", getattr(callback, "on_epoch_end", None))
    return own is not None and own is not Callback.on_epoch_end


def _check_hooks(callback: Any) -> None:
    if isinstance(callback, type):
        raise TypeError(
            f"callbacks holds the class {callback.__name__}, expected an object: write {callback.__name__}()"
        )
    name = type(callback).__name__
    unknown = [a for a in dir(callback) if a.startswith("on_") and a not in HOOKS and callable(getattr(callback, a))]
    if unknown:
        hint = meant(unknown[0], HOOKS)
        raise ValueError(
            f"callbacks: {name} has {unknown[0]}, which fit does not call; hooks are {', '.join(HOOKS)}{hint}"
        )
    if not any(callable(getattr(callback, hook, None)) for hook in HOOKS):
        what = "a function" if callable(callback) else f"{callback!r}"
        raise TypeError(
            f"callbacks holds {what}, which has none of the hooks {', '.join(HOOKS)}; derive a class from "
            "fastnn.callbacks.Callback and pass an object of it"
        )

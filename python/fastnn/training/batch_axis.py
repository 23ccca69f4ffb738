"""Which axis a model reads as samples: measured by two small runs, so that nothing has to be guessed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn import random
from fastnn.nn.mode import evaluation
from fastnn.nn.recurrent_calls import Heard, listening
from fastnn.tape import no_grad
from fastnn.training.joining import following
from fastnn.training.nests import plain
from fastnn.training.samples import Samples

if TYPE_CHECKING:
    from fastnn.nn.module import Module

_TWO, _THREE = (0, 1), (0, 1, 1)  # a sample twice: what depends on the longest sequence must not change


class Measured(NamedTuple):
    """Outputs and calls of recurrent layers for two and for three samples, and the model that was run."""

    outputs: tuple[Any, Any]
    heard: tuple[list[Heard], list[Heard]]
    model: Module


def stand_in(model: Module) -> Module:
    """A copy of a model that may keep something from one call to the next, as classes of the user's may.

    The model itself where it has none, or cannot be copied.
    """
    if all(type(module).__module__.partition(".")[0] == "fastnn" for module in model.modules()):
        return model
    try:
        return copy.deepcopy(model)
    except Exception:
        return model


@contextmanager
def quietly(model: Module) -> Iterator[None]:
    """Evaluation without recording, which the random numbers do not notice."""
    with random.using(np.random.default_rng(0)), evaluation(model), no_grad():
        yield


def is_recurrent(model: Module) -> bool:
    """Whether a layer with an axis of time is in it: a recurrent one, a cell, or a CRF."""
    return any(module._reads_time for module in model.modules())


def measure(model: Module, samples: Samples) -> Measured:
    """Runs the model on two samples and on three."""
    outputs, heard, trial = [], [], stand_in(model)
    kept = [] if trial is model else [(module, dict(vars(module))) for module in trial.modules()]
    for places in (_TWO, _THREE):
        with quietly(trial), listening() as notes:
            outputs.append(plain(trial(*samples.picked(places))))
        heard.append(notes)
        for module, attributes in kept:
            vars(module).clear()
            vars(module).update(attributes)
    return Measured((outputs[0], outputs[1]), (heard[0], heard[1]), trial)


def _named(model: Module, layer: Module) -> str:
    names = [name for name, module in model.named_modules() if module is layer]
    kind = type(layer).__name__
    return f"{kind} {names[0]!r}" if names and names[0] else kind


def _lengths(notes: list[Heard], layer: Module) -> list[int | None]:
    """How many steps the layer took in a row, from one call without a state to the next: each number once."""
    runs: list[int | None] = []
    for note in notes:
        if note.layer is not layer:
            continue
        if note.goes_on and runs:
            runs[-1] = (runs[-1] or 0) + (note.steps or 0)
        else:
            runs.append(note.steps)
    return sorted(set(runs), key=lambda steps: -1 if steps is None else steps)


def check_not_time(measured: Measured, samples: Samples, op: str) -> None:
    """Raises ValueError where a recurrent layer takes more steps for more samples: it reads them as time."""
    few, many = measured.heard
    axis = samples.axes[0]
    for note in many:
        before, after = _lengths(few, note.layer), _lengths(many, note.layer)
        if before == after:
            continue
        name = _named(measured.model, note.layer)
        if note.alone:
            raise ValueError(
                f"{op}: {name} gets one sequence without a batch axis, and cut along axis {axis} of x its steps would "
                "be samples; add an axis for the batch, x[None] for batch_first layers, else x[:, None]"
            )
        raise ValueError(
            f"{op}: x is cut along axis {axis}, and {name} reads samples as time: it takes {_list(before)} steps for 2 "
            f"samples and {_list(after)} for 3. If x is (N, T, ...), the layer needs batch_first=True; if it is "
            "(T, N, ...), pass batch_axis=1, or set batch_axis = 1 in the class of the model"
        )


def _list(lengths: list[int | None]) -> str:
    return " and ".join(map(str, lengths)) or "no"


def check(model: Module, samples: Samples, op: str) -> None:
    """Where the model has recurrent layers, tries it on two and on three samples. Raises ValueError where it reads
    samples as time, and where targets have their samples on another axis than the output."""
    if not is_recurrent(model):
        return
    try:
        measured = measure(model, samples)
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{op}: tried on 2 samples, cut along axis {samples.axes[0]} of x to see what the model reads as time, it "
            f"says: {error} (batch_axis=... says where samples lie, and saves the trial)"
        ) from error
    check_not_time(measured, samples, op)
    axis = following(*measured.outputs)
    if not samples.targets or not isinstance(axis, int) or axis in (-1, samples.target_axis):
        return
    shape = np.shape(measured.outputs[1])
    if len(shape) > samples.target_axis and not samples.several_targets:
        raise ValueError(
            f"{op}: the output for 3 samples has shape {shape}, samples on axis {axis}, but those of y are taken from "
            f"axis {samples.target_axis}; pass batch_axis=({samples.axes[0]}, {axis})"
        )

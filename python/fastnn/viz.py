"""Plots of what a network does, with matplotlib (``pip install "fastnn-cpu[demo]"``).

Every function returns a matplotlib Figure of its own, which `figure.savefig("name.png")` writes and a notebook shows;
pyplot and its global state are not touched. matplotlib is imported on the first call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_float32, as_indices, positive_int, require_ndim
from fastnn.graph.graph import Ref
from fastnn.graph.trace import record, tensors_of
from fastnn.nn.mode import evaluation
from fastnn.nn.module import Module
from fastnn.nn.recurrent.gates import gates, gates_for, lstm_gates
from fastnn.value import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "confusion_matrix",
    "feature_maps",
    "filters",
    "gate_traces",
    "gates",
    "lstm_gates",
    "training_curves",
]

_VISIBLE = str.maketrans({"\n": "↵", " ": "·", "\t": "→"})


def _new_figure(width: float, height: float) -> Figure:
    """A Figure with its own Agg canvas, in inches."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('fastnn.viz needs matplotlib. Install it with: pip install "fastnn-cpu[demo]"') from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _image_grid(images: Sequence[npt.NDArray[Any]], titles: Sequence[str], symmetric: bool, title: str) -> Figure:
    """Small images in rows, about twice as wide as high; symmetric: blue below zero, red above, white at zero."""
    columns = math.ceil(math.sqrt(2 * len(images)))
    rows = math.ceil(len(images) / columns)
    figure = _new_figure(1.1 * columns + 0.3, 1.25 * rows + 0.5)
    figure.suptitle(title)
    top = max(float(np.abs(image).max()) for image in images) or 1.0
    for position, (image, name) in enumerate(zip(images, titles, strict=True)):
        ax = figure.add_subplot(rows, columns, position + 1)
        if symmetric:
            ax.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
        else:
            ax.imshow(image, cmap="gray")
        ax.set_title(name, fontsize=7)
        ax.set_axis_off()
    return figure


def training_curves(history: Iterable[Mapping[str, Any]]) -> Figure:
    """Every metric over the epochs, that of the validation data (``val_...``) beside that of the training data.

    Args:
        history: rows as ``fit`` returns them: one mapping per epoch from names ("epoch", "loss", "val_loss",
            "accuracy", ...) to numbers; or one per so many steps, with "step". Rows need not have the same names.

    One panel per metric; names that are not metrics (epoch, step, seconds, lr) get none. Raises ValueError when there
    is nothing to draw.
    """
    rows = [dict(row) for row in history]
    skipped = ("epoch", "step", "steps", "seconds", "time", "lr", "learning_rate", "samples_per_second")
    axis = "step" if rows and "step" in rows[0] else "epoch"
    names = dict.fromkeys(str(key).removeprefix("val_") for row in rows for key in row)
    metrics = [name for name in names if name not in skipped]
    if not metrics:
        raise ValueError("training_curves: history has no rows with metrics")
    figure = _new_figure(5.0 * len(metrics), 3.6)
    for position, metric in enumerate(metrics):
        ax = figure.add_subplot(1, len(metrics), position + 1)
        for key, label, style in ((metric, "training", "o-"), (f"val_{metric}", "validation", "s--")):
            points = [(row.get(axis, n), row[key]) for n, row in enumerate(rows, 1) if row.get(key) is not None]
            if points:
                ax.plot(*zip(*points, strict=True), style, markersize=3, label=label)
        ax.set_xlabel(axis)
        ax.set_title(metric)
        ax.grid(alpha=0.3)
        ax.legend()
    return figure


def filters(weight: Any, limit: int = 64) -> Figure:
    """The filters of a convolution as pictures: red above zero, blue below.

    Args:
        weight: (out_channels, in_channels, kh, kw), such as ``conv.weight``. One picture per output channel where
            in_channels is 1, else one per pair of channels.
        limit: draws at most that many. Default 64.

    Raises ValueError when weight has no 4 dimensions, TypeError for a Module.
    """
    if isinstance(weight, Module):
        kind = type(weight).__name__
        raise TypeError(f"filters: weight is a {kind}, expected an array; write filters(conv.weight) for a layer conv")
    w = as_float32(getattr(weight, "data", weight), "filters", "weight")
    require_ndim(w, 4, "(out_channels, in_channels, kh, kw)", "filters", "weight")
    if w.size == 0:
        raise ValueError(f"filters: weight of shape {w.shape} is empty")
    pairs = [(o, i) for o in range(w.shape[0]) for i in range(w.shape[1])][: positive_int(limit, "filters", "limit")]
    titles = [str(o) if w.shape[1] == 1 else f"{o}, {i}" for o, i in pairs]
    return _image_grid([w[pair] for pair in pairs], titles, True, f"filters of {w.shape[2]} x {w.shape[3]}")


def feature_maps(model: Module, x: Any, layer: Module, limit: int = 32) -> Figure:
    """What a layer gives for one image: its output channels as pictures.

    Args:
        model: predicts ``x``; its training flag does not matter.
        x: one image (C, H, W) or (1, C, H, W).
        layer: a layer inside the model, such as ``model[0]``, whose output has the shape (1, C, H, W).
        limit: draws at most that many channels. Default 32.

    Raises ValueError when x is not one image, the model does not call the layer, or its output is not (1, C, H, W).
    """
    image = as_float32(x, "feature_maps", "x")
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or image.shape[0] != 1:
        raise ValueError(f"feature_maps: x has shape {np.shape(x)}, expected one image (C, H, W)")
    names = [name for name, module in model.named_modules() if module is layer]
    with evaluation(model):
        graph, shown = record(model, *tensors_of([image]), lenient=True)
    given = [visit.returned for visit in graph.visits if visit.name in names]
    shape = graph.values[given[-1].value].shape if given and isinstance(given[-1], Ref) else ()
    if len(shape) != 4:
        what = f"gave shape {shape}, expected (1, C, H, W)" if given else "was not called by the model"
        raise ValueError(f"feature_maps: the layer {type(layer).__name__} {what}")
    whole = shown[given[-1].value]
    maps = (whole._array if isinstance(whole, Tensor) else whole)[0][: positive_int(limit, "feature_maps", "limit")]
    return _image_grid(list(maps), [str(n) for n in range(len(maps))], False, f"output of {type(layer).__name__}")


def confusion_matrix(y: Any, prediction: Any, labels: Sequence[str] | None = None, ax: Axes | None = None) -> Figure:
    """How often each class was taken for each: rows are the true classes, columns the predicted ones.

    Args:
        y: true classes, integers from 0, (N,).
        prediction: predicted classes (N,), or scores (N, classes) of which the largest counts.
        labels: names of the classes. Default their numbers.
        ax: draws there and returns its figure. Default a new figure.

    Raises ValueError when the lengths differ or a class is negative.
    """
    scores = np.asarray(prediction)
    true = as_indices(y, "confusion_matrix", "y")
    predicted = as_indices(scores.argmax(axis=1) if scores.ndim == 2 else scores, "confusion_matrix", "prediction")
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(f"confusion_matrix: y has shape {true.shape}, prediction {scores.shape}")
    if min(true.min(initial=0), predicted.min(initial=0)) < 0:
        raise ValueError("confusion_matrix: classes must not be negative")
    classes = int(max(true.max(initial=0), predicted.max(initial=0), len(labels or ()) - 1)) + 1
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (true, predicted), 1)
    if ax is None:
        ax = _new_figure(0.45 * classes + 1.8, 0.45 * classes + 1.5).add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            ax.text(column, row, str(count), ha="center", va="center", fontsize=7, color=colour)
    ticks = list(range(classes))
    ax.set_xticks(ticks, labels=labels)
    ax.set_yticks(ticks, labels=labels)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    right = int(np.trace(counts))
    ax.set_title(f"{right} of {len(true)} right ({right / max(len(true), 1):.1%})")
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


# What is drawn, in this order, by the name that only one kind of layer has.
_PANELS = {
    "a": {"a": "before nonlinearity a", "h": "state h"},
    "c": {"i": "input gate i", "f": "forget gate f", "o": "output gate o", "g": "candidate g", "c": "cell c"},
    "r": {"r": "reset gate r", "z": "update gate z", "n": "candidate n", "h": "state h"},
}
_GATES = "iforz"  # between 0 and 1


def _chosen_units(units: Sequence[int] | None, state: npt.NDArray[np.float64]) -> list[int]:
    """The units asked for, or the one whose state varies most."""
    if units is None:
        return [int(state.std(axis=0).argmax())]
    if not isinstance(units, Iterable):
        raise TypeError(f"gate_traces: units is {units!r}, expected numbers of units, such as [0, 1]")
    chosen = [positive_int(unit, "gate_traces", "units", 0) for unit in units]
    if not chosen or max(chosen) >= state.shape[1]:
        raise ValueError(f"gate_traces: units are {chosen}, expected at least one of 0 to {state.shape[1] - 1}")
    return chosen


def _draw_trace(figure: Figure, ax: Axes, name: str, values: npt.NDArray[np.float64]) -> None:
    """Values (T, units) of one gate: few units as curves, more as colours."""
    if values.shape[1] <= 4:
        ax.plot(values, drawstyle="steps-mid", linewidth=1.2)
        ax.axhline(0, color="black", linewidth=0.5)
        ax.set_xlim(-0.5, len(values) - 0.5)
        if name in _GATES:
            ax.set_ylim(-0.05, 1.05)
        return
    top = max(1.0, float(np.abs(values).max()))
    colours, least = ("Blues", 0.0) if name in _GATES else ("RdBu_r", -top)
    picture = ax.imshow(values.T, aspect="auto", cmap=colours, vmin=least, vmax=top, interpolation="nearest")
    figure.colorbar(picture, ax=ax)


def gate_traces(
    model: Module, x: Any, text: str | None = None, units: Sequence[int] | None = None, layer: int = 0
) -> Figure:
    """What a recurrent layer does at each step of a sequence.

    Of an LSTM the gates i, f, o, candidate g and cell c, of a GRU the gates r, z, candidate n and h, of an RNN h and
    what its nonlinearity is given.

    Args:
        model: an nn.RNN, nn.LSTM or nn.GRU, or one of their cells, see ``gates``.
        x: one sequence (T, input_size), such as the embedded characters of a text.
        text: T characters written below the steps. Default none.
        units: which hidden units. Up to 4 are drawn as curves, more as colours, one row per unit. Default
            the unit whose cell, or h, varies most.
        layer: which layer, from 0. Default 0.

    Raises ValueError when text has another length, or x another width, than it should, or there is no such unit;
    TypeError for another Module. Otherwise as ``gates``.
    """
    traces = gates_for("gate_traces", model, x, layer)
    length = len(traces["h"])
    if text is not None and not isinstance(text, str):
        raise TypeError(f"gate_traces: text is a {type(text).__name__}, expected a string of {length} characters")
    if text is not None and len(text) != length:
        raise ValueError(f"gate_traces: text has {len(text)} characters, x {length} steps")
    chosen = _chosen_units(units, traces["c" if "c" in traces else "h"])
    panels = next(panels for name, panels in _PANELS.items() if name in traces)
    figure = _new_figure(min(2.0 + 0.14 * length, 24.0), 1.6 * len(panels))
    names = ", ".join(map(str, chosen[:8])) + (", ..." if len(chosen) > 8 else "")
    figure.suptitle(f"{type(model).__name__} layer {layer}, unit{'s' if len(chosen) > 1 else ''} {names}")
    axes = figure.subplots(len(panels), 1, sharex=True)
    for ax, (name, title) in zip(axes, panels.items(), strict=True):
        _draw_trace(figure, ax, name, traces[name][:, chosen])
        ax.set_ylabel(title)
    axes[-1].set_xlabel("step")
    if text is not None:
        axes[-1].set_xticks(range(length), labels=list(text.translate(_VISIBLE)), fontsize=8, family="monospace")
        axes[-1].set_xlabel("")
    return figure

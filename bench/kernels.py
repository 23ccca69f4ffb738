"""What the bench_*.py suites share: the named rows as cases, timed and checked against a float64 reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn.tools.rivals.peers.fastnn_peer import build
from fastnn.tools.rivals.row import Row
from fastnn.tools.rivals.rows import SETS

TOLERANCE = 1e-4  # relative L2
STEP = 1e-7  # of the central differences, in float64

Reference = Callable[..., Any]


def cases(kind: str) -> list[Any]:
    """(row, mode) of every measured row of that kind."""
    rows = [row for row in SETS["cnn"] if row.kind == kind]
    return [pytest.param(row, mode, id=f"{row.name}, {mode}") for row in rows for mode in row.modes]


def assert_close(ours: Any, want: Any, what: str) -> None:
    assert ours.shape == want.shape
    error = np.linalg.norm(ours - want) / np.linalg.norm(want)
    assert error < TOLERANCE, f"{what} differs by {error:.1e}"


def assert_gradients(reference: Reference, inputs: list[Any], dy: Any, gradients: list[Any]) -> None:
    """Along a random direction the output changes as the gradients say, each alone."""
    rng = np.random.default_rng(5)
    for i, gradient in enumerate(gradients):
        direction = rng.choice([-1.0, 1.0], inputs[i].shape)
        after, before = (
            float((dy * reference(*inputs[:i], inputs[i] + sign * STEP * direction, *inputs[i + 1 :])).sum())
            for sign in (1, -1)
        )
        error = abs((after - before) / (2 * STEP) - float((gradient * direction).sum())) / np.linalg.norm(gradient)
        assert error < 10 * TOLERANCE, f"gradient {i} differs by {error:.1e}"


def check(benchmark: Any, row: Row, mode: str, reference: Reference) -> None:
    """Times the row through fastnn's layer; y and, in training, every gradient must be those of the reference."""
    call = build(row)[mode]
    returned = call()
    parts = returned if isinstance(returned, tuple) else [returned]
    y, *gradients = [np.array(getattr(a, "_array", a), np.float64) for a in parts]
    benchmark(call)
    inputs = [a.astype(np.float64) for a in (row.input(), *row.weights().values())]
    assert_close(y, np.asarray(reference(*inputs)), "y")
    dy = row.gradient(y.shape).astype(np.float64) if y.ndim else 1.0
    assert_gradients(reference, inputs, dy, gradients)

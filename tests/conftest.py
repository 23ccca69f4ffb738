"""Fixtures: every ISA level of the machine through the public API, a seeded generator, and settings put back."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core


@pytest.fixture(params=_core.available_isas())
def isa(request):
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture(autouse=True)
def _restore():
    threads = fnn.get_num_threads()
    fnn.manual_seed(0)
    if "torch" in sys.modules:  # its layers draw their weights from its own generator
        sys.modules["torch"].manual_seed(0)
    yield
    fnn.set_num_threads(threads)


@pytest.fixture
def direct():
    """Convolutions as plain sums for one test."""
    with fnn.conv_algorithm("direct"):
        yield


@pytest.fixture
def path(tmp_path):
    """Where a test may write a model."""
    return tmp_path / "model.safetensors"

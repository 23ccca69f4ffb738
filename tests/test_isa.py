"""The levels of instructions: which are there, how one is chosen, and that all agree."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, run
from check import rel_error

from fastnn import _core

NEEDED = {
    "avx2": {"avx2", "fma", "bmi1", "bmi2"},
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma", "bmi2"},
}


def _import(**environment):
    return subprocess.run(
        [sys.executable, "-c", "from fastnn import _core; print(_core.isa())"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_level_of_this_cpu_is_there():
    lines = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")]
    flags = set(lines[0].split(":")[1].split()) if lines else set()
    expected = ["baseline", *(level for level, needs in NEEDED.items() if needs <= flags)]
    assert _core.available_isas() == expected


@pytest.mark.parametrize("level", _core.available_isas())
def test_chosen_by_the_environment(level):
    done = _import(FASTNN_ISA=level)
    assert done.stdout.strip() == level, done.stderr


def test_the_best_level_is_the_default():
    assert _import(FASTNN_ISA="").stdout.strip() == _core.available_isas()[-1]


@pytest.mark.parametrize("level", ["avx1024", "AVX2", " avx2", "x" * 10000])
def test_unknown_level(level):
    done = _import(FASTNN_ISA=level)
    assert done.returncode == 1
    assert f"FASTNN_ISA: '{level}' is not available on this machine; expected one of baseline" in done.stderr


def test_set_isa():
    before = _core.isa()
    with pytest.raises(ValueError, match="'sse9' is not available"):
        _core.set_isa("sse9")
    assert _core.isa() == before


@pytest.mark.parametrize("name", CASES)
def test_levels_agree(name):
    """Rounding may differ between levels, but by no more than the order of the additions explains."""
    case, before, results = CASES[name], _core.isa(), []
    try:
        for level in _core.available_isas():
            _core.set_isa(level)
            results.append(run(case, case.arrays(np.random.default_rng(5))))
    finally:
        _core.set_isa(before)
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            assert rel_error(one, other) < 2e-6

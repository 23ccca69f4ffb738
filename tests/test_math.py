"""The vector functions of cpp/kernels/core/math.h against float64, over bit patterns of every sign and exponent."""

import numpy as np
import pytest
from reference import activation

from fastnn import _core

ROWS = {name: row for name, row in activation.FUNCTIONS.items() if row.ulps}
# ULP bounds as math.h states them, and of the functions that keep such a bound.
BOUNDS = {"exp": 1.1, "log": 0.9, "erf": 1.2, **{name: row.ulps for name, row in ROWS.items()}}
EXACT = {"exp": np.exp, "log": np.log, "erf": activation.erf}
LIMITS = {  # of nan, inf, -inf, 0, -0
    "exp": [np.nan, np.inf, 0, 1, 1],
    "log": [np.nan, np.inf, np.nan, -np.inf, -np.inf],
    "sigmoid": [np.nan, 1, 0, 0.5, 0.5],
    "tanh": [np.nan, 1, -1, 0.0, -0.0],
    "erf": [np.nan, 1, -1, 0.0, -0.0],
}


def options_of(name):
    """Those of its row, as the kernel takes them."""
    return tuple(ROWS[name].options.values()) if name in ROWS else ()


def exact(name, x):
    return ROWS[name].reference(x, **ROWS[name].options) if name in ROWS else EXACT[name](x)


@pytest.fixture(scope="module", params=BOUNDS)
def sample(request):
    """(name, finite float32 x, f(x) in float64): a million patterns, every exponent, and around the turning points."""
    rng = np.random.default_rng(3)
    count = 100_000 if request.param == "erf" else 400_000
    patterns = [rng.integers(0, 2**32, count, np.uint32)]
    patterns += [
        rng.uniform(low, high, count).astype(np.float32).view(np.uint32) for low, high in ((-5, 5), (-110, 95))
    ]
    for turn in (0.0, 1e-38, 0.70710678, 0.9375, 1.0, 1.41421356, 3.95, 9.0, 87.0, 88.7228, 104.0):
        near = np.float32(turn).view(np.uint32) + np.arange(-200, 200)
        patterns += [near[near >= 0].astype(np.uint32), (near[near >= 0] + 2**31).astype(np.uint32)]
    x = np.concatenate(patterns).view(np.float32)
    x = x[np.isfinite(x)]
    with np.errstate(all="ignore"):
        return request.param, x, exact(request.param, x.astype(np.float64))


def test_ulp(isa, sample):
    name, x, want = sample
    y = _core.activation_forward(name, x, options_of(name))
    with np.errstate(over="ignore"):
        rounded = want.astype(np.float32)
    finite = np.isfinite(rounded)
    assert np.array_equal(y[~finite], rounded[~finite], equal_nan=True)
    ulp = np.abs(y[finite] - want[finite]) / np.spacing(np.abs(rounded[finite])).astype(np.float64)
    worst = int(ulp.argmax())
    assert ulp[worst] <= BOUNDS[name], f"{name}({x[finite][worst]!r}) is off by {ulp[worst]:.2f} ULP"


@pytest.mark.parametrize("name", LIMITS)
def test_limits(isa, name):
    y = _core.activation_forward(name, np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32), options_of(name))
    assert np.array_equal(y, np.array(LIMITS[name], np.float32), equal_nan=True)
    assert np.array_equal(np.signbit(y[1:]), np.signbit(np.array(LIMITS[name])[1:])) or name == "log"


@pytest.mark.parametrize("name", BOUNDS)
def test_every_lane_and_tail(isa, rng, name):
    x = rng.uniform(0.1, 3, 70).astype(np.float32)
    whole = _core.activation_forward(name, x, options_of(name))
    for n in range(40):
        assert np.array_equal(
            _core.activation_forward(name, x[n : n + n % 33], options_of(name)), whole[n : n + n % 33]
        )

"""Every algorithm of conv2d keeps NaN, infinities and huge values where they belong."""

import numpy as np
import pytest
from test_conv2d_nonfinite import (
    ALGORITHMS,
    SHAPES,
    _quiet,  # noqa: F401  (used by all tests)
    exact,
    kinds,
    layouts,
    normal,
    run,
    shape_of_y,
)

from fastnn import _core


def test_every_algorithm_is_asked():
    names, before = set(), _core.isa()
    for level in _core.available_isas():
        _core.set_isa(level)
        for x, w, padding, stride, dilation, groups in SHAPES.values():
            names |= {*_core.conv2d_algorithms(x, w, (stride,) * 2, (padding,) * 4, (dilation,) * 2, groups)}
    _core.set_isa(before)
    if before != "baseline":  # which has no algorithm for groups of few channels
        assert names == ALGORITHMS


@pytest.mark.parametrize("name", SHAPES)
def test_every_algorithm(isa, rng, name):
    """Where the results are NaN, inf and -inf is what plain sums say, whether padding is a zero or left out."""
    x_shape, weight_shape, *options = SHAPES[name]
    for trial, value in enumerate((np.nan, np.inf, -np.inf, 1e30) * 2):
        x, w = normal(rng, x_shape), normal(rng, weight_shape)
        dy = normal(rng, shape_of_y(x, w, options))
        array = (x, dy)[trial // 4]
        corner = (0, rng.integers(array.shape[1]), *(rng.choice([0, -1, s // 2]) for s in array.shape[2:]))
        array[corner] = value
        want, left_out = exact(x, w, dy, *options), exact(x, w, dy, *options, padded=False)
        for image in layouts(x):
            for got, one, other in zip(run(image, w, dy, *options), want, left_out, strict=True):
                finite = np.isfinite(one) & np.isfinite(other)
                assert np.isfinite(got[finite]).all()
                either = [(kinds(got) == kinds(e)) | (np.isnan(got) & np.isnan(e)) for e in (one, other)]
                assert np.all(either[0] | either[1])


@pytest.mark.parametrize("name", SHAPES)
def test_a_weight_reaches_no_other_filter(isa, rng, name):
    x_shape, weight_shape, *options = SHAPES[name]
    groups = options[3]
    for value in (np.nan, np.inf, 1e30):
        x, w = normal(rng, x_shape), normal(rng, weight_shape)
        dy = normal(rng, shape_of_y(x, w, options))
        clean = run(x, w, dy, *options)
        k, c, u, v = (rng.integers(s) for s in weight_shape)
        w[k, c, u, v] = value
        got = run(x, w, dy, *options)
        others = np.arange(weight_shape[0]) != k
        assert np.array_equal(got[0][:, others], clean[0][:, others])
        others = np.arange(x_shape[1]) != k // (weight_shape[0] // groups) * weight_shape[1] + c
        assert np.array_equal(got[1][:, others], clean[1][:, others])
        assert np.array_equal(got[2], clean[2])

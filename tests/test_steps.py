"""Steps that are kept (cpp/ops/steps.h) give the bits of eager calls: every time they run, after what they read has
changed, and after their weights have, once these are prepared again.
"""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core

T, N, INPUTS, H, P = 7, 5, 6, 21, 9
LONG = 4097  # steps of one small sample that take several stretches of the walk
SIZES = {"one": (1, 1), "batch": (T, N), "packed": ([5, 5, 3, 1], None), "long": (LONG, 1)}
CELLS = {"rnn": 1, "gru": 3, "gru_variant": 3, "lstm": 4, "lstm_variant": 4}


class Layer:
    """Arguments of the bindings of one cell, in two directions, and calls of them."""

    def __init__(self, cell, size, rng):
        def random(*shape):
            return rng.standard_normal(shape).astype(np.float32)

        steps, samples = SIZES[size]
        self.cell = cell
        self.sizes = np.array(steps, np.int64) if samples is None else None
        rows = (sum(steps),) if samples is None else (steps, samples)
        n = steps[0] if samples is None else samples
        h = 64 if size == "long" else H
        p = P if cell == "lstm_variant" else h
        width = CELLS[cell] * h
        self.x = random(*rows, INPUTS)
        self.h0, self.c0 = random(2, n, p), random(2, n, h)
        shapes = [(width, INPUTS), (width, p), (width,), (width,)]
        self.weights = [random(*shape) * np.float32(0.3) for shape in shapes * 2]
        mask = (rng.random((2, int(np.prod(rows)), h)) < 0.3).astype(np.float32)
        extras = [random(*shape) for shape in [(p, h), (3, h), (width,), (width,), (h,), (h,)] * 2]
        self.options = {
            "gru_variant": ([mask, None], False),
            "lstm_variant": (extras, [mask, None, None], False, 2.5),
        }.get(cell, ())
        self.states = [self.h0, self.c0] if "lstm" in cell else [self.h0]
        self.dy, self.dh, self.dc = random(*rows, 2 * p), random(2, n, p), random(2, n, h)

    def forward(self):
        last = () if self.cell == "rnn" else (True,)
        options = (False,) if self.cell == "rnn" else self.options
        function = getattr(_core, f"{self.cell}_forward")
        return function(self.x, self.sizes, *self.states, self.weights, *options, *last)

    def backward(self, y, kept):
        gradients = [self.dy, self.dh, self.dc] if "lstm" in self.cell else [self.dy, self.dh]
        wanted = [True] * 8
        function = getattr(_core, f"{self.cell}_backward")
        if self.cell == "rnn":
            return function(self.x, self.sizes, self.h0, self.weights, y, *gradients, False, True, wanted)
        return function(
            self.x, self.sizes, *self.states, self.weights, *self.options, y, kept, *gradients, True, wanted
        )


def arrays_in(result):
    if isinstance(result, np.ndarray):
        return [result]
    return [a for part in result if part is not None for a in arrays_in(part)]


def bits(result):
    return [a.tobytes() for a in arrays_in(result)]


def spoil(result):
    for a in arrays_in(result):
        a.fill(np.nan)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent(isa, rng, cell, size):
    layer = Layer(cell, size, rng)
    with fnn.threads(2):
        expected = layer.forward()
        steps = _core._KeptSteps(layer.forward)
        steps.prepare()
        for _ in range(3):
            spoil(steps.result)
            steps.run()
            assert bits(steps.result) == bits(expected)

        y, kept = expected[0], [] if cell == "rnn" else expected[-1]
        saved = [a.copy() for a in arrays_in(kept)]
        eager = bits(layer.backward(y, kept)) + bits(kept)
        steps = _core._KeptSteps(lambda: layer.backward(y, kept))
        steps.prepare()
        for _ in range(2):  # what was kept becomes gradients: each run begins with it as it was
            spoil(steps.result)
            for a, before in zip(arrays_in(kept), saved, strict=True):
                a[...] = before
            steps.run()
            assert bits(steps.result) + bits(kept) == eager


@pytest.mark.parametrize("cell", CELLS)
def test_inputs_and_weights_change(rng, cell):
    layer = Layer(cell, "batch", rng)
    steps = _core._KeptSteps(layer.forward)
    steps.prepare()
    steps.run()
    layer.x *= np.float32(0.5)
    layer.h0 += np.float32(1)
    steps.run()
    expected = bits(layer.forward())
    assert bits(steps.result) == expected
    for weight in layer.weights:
        weight *= np.float32(-0.7)
    changed = bits(layer.forward())
    assert changed != expected
    steps.prepare()
    steps.run()
    assert bits(steps.result) == changed


def test_subnormal_numbers(rng):
    """Recurrent steps count them as zero, kept ones too; those after them do not."""
    layer = Layer("lstm", "batch", rng)
    layer.x[...], layer.h0[...], layer.c0[...] = 0, np.float32(1e-40), np.float32(1e-40)
    for array in layer.weights:
        array[...] = 0
    steps = _core._KeptSteps(layer.forward)
    steps.prepare()
    steps.run()
    expected = layer.forward()
    assert bits(steps.result) == bits(expected)
    assert not arrays_in(expected)[2].any()
    assert np.float32(1e-40) * np.float32(1) != 0


@pytest.mark.parametrize("fixed", [False, True])
def test_batchnorm(isa, rng, fixed):
    x, dy = (rng.standard_normal((3000, 40)).astype(np.float32) for _ in range(2))
    weight, bias, mean = (rng.standard_normal(40).astype(np.float32) for _ in range(3))
    given = (mean, np.square(bias) + np.float32(1)) if fixed else (None, None)

    def forward():
        return _core.batchnorm_forward(x, weight, bias, *given, 1e-5, True)

    statistics = forward()[1]

    def backward():
        return _core.batchnorm_backward(dy, x, weight, bias, statistics, fixed, True, True, True)

    for function in (forward, backward):
        expected = bits(function())
        steps = _core._KeptSteps(function)
        for _ in range(3):
            spoil(steps.result)
            steps.run()
            assert bits(steps.result) == expected

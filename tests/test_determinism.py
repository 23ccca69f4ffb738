"""Same run, same bits: over repeats, numbers of threads, and ways to cut a batch; forward, backward and ten steps."""

import numpy as np
import pytest
from cases import CASES, run
from training import MODELS, train

import fastnn as fnn

THREADS = (1, 2, 3, 4, 8)


@pytest.mark.parametrize("name", CASES)
def test_ops(isa, name):
    case = CASES[name]
    expected = None
    for n in (*THREADS, 1):
        with fnn.threads(n):
            bits = [r.tobytes() for r in run(case, case.arrays(np.random.default_rng(5)))]
        expected = expected or bits
        assert bits == expected, n


@pytest.mark.parametrize("name", MODELS)
def test_training(name):
    build, *task = MODELS[name]
    expected = None
    for n in (*THREADS, 1):
        fnn.manual_seed(0)
        with fnn.threads(n):
            bits = train(build(), *task)
        expected = expected or bits
        assert bits == expected, n


@pytest.mark.parametrize("name", MODELS)
def test_batch_splits(isa, rng, name):
    """A sample's result does not depend on its neighbours, nor on how many there are."""
    build, shape, _ = MODELS[name]
    model, x = build().eval(), rng.standard_normal(shape).astype(np.float32)
    with fnn.no_grad(), fnn.threads(2):
        whole = model(x).numpy()
        for n in (1, 2, 3, 7, 8, 16, 31, 32):
            assert np.array_equal(model(x[:n]).numpy(), whole[:n])
            assert np.array_equal(model(x[-n:]).numpy(), whole[-n:])
        x[0] = np.nan
        assert np.array_equal(model(x).numpy()[1:], whole[1:])

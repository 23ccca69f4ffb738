"""check_op: one call compares an op, forward and every gradient, with its float64 reference."""

from __future__ import annotations

import inspect

import numpy as np

import fastnn as fnn
from fastnn.ops.op import Op

EPS = 1e-6  # step of the central differences, taken in float64


def _outputs(result):
    return result if isinstance(result, tuple) else (result,)


def rel_error(a, b):
    """||a - b|| / ||b|| in float64; the norm of a where b is zero."""
    a, b = (np.asarray(x.numpy() if isinstance(x, fnn.Tensor) else x, np.float64) for x in (a, b))
    return np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0)


def as_op(run):
    """An op for a test, from its ``run`` alone: every argument by place is an array, every other one an attribute."""
    given = inspect.signature(run)
    signature = given.replace(parameters=[p for p in given.parameters.values() if p.name != "need"])

    def normalise(*arrays, **attributes):
        bound = signature.bind(*arrays, **attributes)
        bound.apply_defaults()
        return bound.args, bound.kwargs

    normalise.__name__, normalise.__doc__, normalise.__signature__ = run.__name__, run.__doc__, signature
    return Op(normalise, shape=lambda *shapes, **attributes: shapes[0], run=run)


def numeric_gradient(function, arrays, index, cotangents, rng, probes):
    """Pairs (direction, derivative of sum(cotangent * output) along it) for arrays[index]; all axes where few."""
    size = arrays[index].size
    if size <= probes:
        directions = np.eye(size)
    else:
        directions = np.concatenate([np.zeros((probes // 2, size)), rng.choice([-1.0, 1.0], (probes // 2, size))])
        directions[np.arange(probes // 2), rng.choice(size, probes // 2, replace=False)] = 1

    def value(array):
        out = _outputs(function(*arrays[:index], array, *arrays[index + 1 :]))
        return sum(float((c * o).sum()) for c, o in zip(cotangents, out, strict=True))

    for direction in directions:
        step = direction.reshape(arrays[index].shape) * EPS
        yield direction, (value(arrays[index] + step) - value(arrays[index] - step)) / (2 * EPS)


@as_op
def weighted_sum(*outputs, cotangents, need):
    """The scalar whose gradient with respect to each output is its cotangent."""
    total = sum(float((c * o).sum()) for c, o in zip(cotangents, outputs, strict=True))
    return np.array(total, np.float32), lambda dy: [dy * c for c in cotangents]


def run(tested, arrays, cotangents, differentiable, options):
    """(outputs, gradients) of the op on Tensors, as plain arrays."""
    tensors = [fnn.Tensor(a, requires_grad=True) if i in differentiable else a for i, a in enumerate(arrays)]
    outputs = _outputs(tested(*tensors, **options))
    weighted_sum(*outputs, cotangents=cotangents).backward()
    return [o.numpy().copy() for o in outputs], [tensors[i].grad.numpy() for i in differentiable]


def check_op(tested, reference, *arrays, rtol=1e-5, differentiable=None, threads=(1, 2, 3), probes=32, **options):
    """Asserts that ``op(*arrays, **options)`` equals ``reference(*float64 arrays, **options)``, and its gradients too.

    The gradient of every array in ``differentiable`` (default: all float arrays) under a random cotangent is compared
    with central differences of the reference. Also asserted: inputs are not modified, the answer is not vacuous (30 %
    of the outputs and some gradient differ from zero), and every number of threads gives the same bits.
    """
    rng = np.random.default_rng(7)
    arrays = [np.asarray(a, np.float32) if a is not None and np.asarray(a).dtype.kind == "f" else a for a in arrays]
    before = [None if a is None else np.array(a) for a in arrays]
    if differentiable is None:
        differentiable = [i for i, a in enumerate(arrays) if a is not None and a.dtype.kind == "f"]
    exact = [a.astype(np.float64) if a is not None and a.dtype.kind == "f" else a for a in arrays]

    def target(*inputs):
        return reference(*inputs, **options)

    expected = _outputs(target(*exact))
    cotangents = [rng.standard_normal(e.shape) for e in expected]
    results = []
    for n in threads:
        with fnn.threads(n):
            results.append(run(tested, arrays, [c.astype(np.float32) for c in cotangents], differentiable, options))
    outputs, gradients = results[0]

    for output, want in zip(outputs, expected, strict=True):
        assert output.dtype == np.float32
        assert output.shape == want.shape
        assert rel_error(output, want) <= rtol, f"forward: {rel_error(output, want):.2e} > {rtol:.0e}"
        assert want.size == 0 or np.count_nonzero(want) >= 0.3 * want.size, "vacuous: most outputs are zero"
    cotangents = [c.astype(np.float32).astype(np.float64) for c in cotangents]
    for i, gradient in zip(differentiable, gradients, strict=True):
        assert gradient.shape == arrays[i].shape
        pairs = list(numeric_gradient(target, exact, i, cotangents, rng, probes))
        numeric = np.array([derivative for _, derivative in pairs])
        ours = np.array([float((d * gradient.astype(np.float64).ravel()).sum()) for d, _ in pairs])
        assert numeric.size == 0 or np.any(numeric != 0), f"vacuous: gradient {i} is zero"
        assert rel_error(ours, numeric) <= 2 * rtol, f"gradient {i}: {rel_error(ours, numeric):.2e} > {2 * rtol:.0e}"
    for array, copy in zip(arrays, before, strict=True):
        assert array is None or np.array_equal(array, copy), "an input was modified"
    for n, (other_outputs, other_gradients) in zip(threads[1:], results[1:], strict=True):
        for one, other in zip(outputs + gradients, other_outputs + other_gradients, strict=True):
            assert np.array_equal(one, other, equal_nan=True), f"{threads[0]} and {n} threads differ"

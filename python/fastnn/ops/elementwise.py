"""``@elementwise``: an op that is a function of each element of one array, with the memory layout of that array."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import itemgetter
from typing import Any, ParamSpec

from fastnn import _core
from fastnn.arrays import FloatArray, dense, laid_out, layout_of
from fastnn.ops.checks import same
from fastnn.ops.op import Normal, Op, Run, op

P = ParamSpec("P")

ELEMENTWISE: list[str] = []  # names of these ops, for the tables of graph/


def elementwise(run: Run | None = None, **rest: Any) -> Callable[[Callable[P, Normal]], Op[P]]:
    """``@elementwise()`` over a normalise makes an Op that the kernel of its name computes, a row of
    cpp/kernels/elementwise/activation.cpp, which is given the attributes in their order. ``run``: another way.
    ``rest``: other options of ``op``."""

    def make(normalise: Callable[P, Normal]) -> Op[P]:
        name = normalise.__name__
        ELEMENTWISE.append(name)
        options = list(inspect.signature(normalise).parameters)[1:]
        return op(shape=same, run=by_kernel(name, options) if run is None else run, **rest)(normalise)

    return make


def values_by_name(names: list[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """A function that gives the values of a dict in the order of ``names``, in little time."""
    if not names:
        return lambda attributes: ()
    if len(names) == 1:
        name = names[0]
        return lambda attributes: (attributes[name],)
    return itemgetter(*names)


def by_kernel(name: str, options: list[str], whole: Callable[[Any], Any] | None = None) -> Run:
    """``run`` of the kernel of that name, given the attributes of these names; the kernel says what it has saved.
    ``whole``: the function of integers, which the kernel refuses."""
    from_output, values_of = _core.activation_from_output(name), values_by_name(options)

    def run(x: FloatArray, *, need: Any, **attributes: Any) -> tuple[FloatArray, Any]:
        x, values = dense(x), values_of(attributes)
        try:
            y = _core.activation_forward(name, x, values)
        except TypeError:
            if whole is None or x.dtype.kind == "f":
                raise
            return whole(x), None
        if not need[0]:
            return y, None
        saved = y if from_output else x

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            return (_core.activation_backward(name, saved, laid_out(dy, layout_of(saved)), values),)

        return y, backward

    return run

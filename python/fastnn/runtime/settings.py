"""Which algorithm convolutions use: a scope of the thread, and what it means for accuracy."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

_NAMES = ("auto", "direct")


class _Thread(threading.local):
    chosen = "auto"
    before: tuple[Any, ...] = ()  # what the scopes that are open found, the innermost first: (chosen, before)


_thread = _Thread()


def check_algorithm(name: str, op: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"{op}: algorithm is {name!r}, expected one of {', '.join(_NAMES)}")
    return name


class conv_algorithm:  # noqa: N801  (reads as a statement)
    """How 3x3 convolutions are computed, forward and backward: ``with fnn.conv_algorithm("direct"): ...``, or as a
    decorator. Per thread, may be nested. A layer may have its own, ``nn.Conv2d(..., algorithm="direct")``.

    "auto" (what is done outside of any scope) uses Winograd's F(4x4, 3x3) where it pays: 3x3 filters, stride 1, no
    dilation, one group, at least 16 channels on both sides, and maps that tiles of 4x4 outputs fit
    (docs/design/0006-winograd.md). It needs a quarter of the multiplications; its rounding error is two to three times
    that of a plain sum, a relative error (L2) of about 1e-6. Where filters are too many for that and maps small, it is
    F(2x2, 3x3), with the error of a plain sum, for the output and the gradient of the input. "direct" always takes
    plain sums. The choice depends on shapes only, never on threads or on the batch; the gradients of what was computed
    in a scope are computed as that says, wherever backward() is called.

    A tile's rounding error is relative to its largest value: beside a value s, an output that does not see it errs by
    at most 2e-6 s times the largest weight. Tiles where s is beyond 65536, infinite or NaN (or where the squares of a
    channel's pixels add up to more than 65536 squared), and filters with such weights, are plain sums, bit for bit
    those of "direct". So NaN, infinities and huge values reach the outputs that see them and no others. The gradient of
    the weights adds such tiles as plain sums too.

    Raises ValueError for another name.

    >>> import fastnn as fnn
    >>> with fnn.conv_algorithm("direct"):
    ...     fnn.get_conv_algorithm()
    'direct'
    >>> fnn.get_conv_algorithm()
    'auto'
    """

    def __init__(self, name: str) -> None:
        self._name = check_algorithm(name, "conv_algorithm")

    def __enter__(self) -> None:
        _thread.before = (_thread.chosen, _thread.before)  # of the thread: one object may be entered in several
        _thread.chosen = self._name

    def __exit__(self, *exc: object) -> None:
        _thread.chosen, _thread.before = _thread.before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call


def get_conv_algorithm() -> str:
    """What the innermost ``conv_algorithm`` of this thread says, "auto" outside of any."""
    return _thread.chosen


def pinned_algorithm() -> dict[str, str]:
    """The attribute of a convolution that pins its algorithm; empty where the kernels choose."""
    return {"algorithm": "plain sums"} if _thread.chosen == "direct" else {}

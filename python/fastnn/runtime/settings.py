"""Which algorithm a convolution uses: the switch, and what it means for accuracy."""

from __future__ import annotations

_NAMES = ("auto", "direct")
_chosen = "auto"


def set_conv_algorithm(name: str) -> None:
    """Chooses how 3x3 convolutions are computed, forward and backward, for the whole process.

    "auto" (default) uses Winograd's F(4x4, 3x3) where it pays: 3x3 filters, stride 1, no dilation, one group, at least
    16 channels on both sides, and maps that tiles of 4x4 outputs fit (docs/design/0006-winograd.md). It needs a quarter
    of the multiplications; its rounding error is two to three times that of a plain sum, a relative error (L2) of about
    1e-6. Where filters are too many for that and maps small, it is F(2x2, 3x3), with the error of a plain sum, for
    the output and the gradient of the input. "direct" always takes plain sums. The choice depends on shapes only, never
    on threads or on the batch.

    A tile's rounding error is relative to its largest value: beside a value s, an output that does not see it errs by
    at most 2e-6 s times the largest weight. Tiles where s is beyond 65536, infinite or NaN (or where the squares of a
    channel's pixels add up to more than 65536 squared), and filters with such weights, are plain sums, bit for bit
    those of "direct". So NaN, infinities and huge values reach the outputs that see them and no others. The gradient of
    the weights adds such tiles as plain sums too.

    Raises ValueError for another name.

    >>> import fastnn as fnn
    >>> fnn.set_conv_algorithm("direct")
    >>> fnn.get_conv_algorithm()
    'direct'
    >>> fnn.set_conv_algorithm("auto")
    """
    if name not in _NAMES:
        raise ValueError(f"set_conv_algorithm: name is {name!r}, expected one of {', '.join(_NAMES)}")
    global _chosen
    _chosen = name


def get_conv_algorithm() -> str:
    """What set_conv_algorithm was given last."""
    return _chosen


def pinned_algorithm() -> dict[str, str]:
    """The attribute of a convolution that pins its algorithm; empty where the kernels choose."""
    return {"algorithm": "plain sums"} if _chosen == "direct" else {}

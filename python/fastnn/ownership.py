"""Whether anybody else can see the memory of a gradient: then it must be copied before it is added to.

Counts of references depend on the version of Python, so what they are for an array that nobody shares is measured once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray


def _references(gradients: Sequence[FloatArray]) -> int:
    """References to a gradient, picked from the results of an op's backward, if there are none elsewhere."""
    gradient = gradients[0]
    return sys.getrefcount(gradient)


def _owner_references(view: FloatArray) -> int:
    """References to the array whose memory a view shows: 0 if it is no view, a large number if it shows a part."""
    owner = view.base
    if not isinstance(owner, np.ndarray):
        return 0
    return sys.getrefcount(owner) if owner.size == view.size and not isinstance(owner.base, np.ndarray) else sys.maxsize


ALONE = _references((np.empty(0, np.float32),))  # sys.getrefcount in that loop
_OWNER_ALONE = _owner_references(np.empty((1, 1), np.float32)[0])


def shows_only_itself(gradient: FloatArray) -> bool:
    """Whether ``gradient`` owns its memory, or is the only view of an array that nobody refers to."""
    return _owner_references(gradient) <= _OWNER_ALONE


def belongs_to_itself(array: npt.NDArray[Any]) -> bool:
    """Whether no other array and no other object (bytes, a mapped file, a tensor of another library) has its memory."""
    base: Any = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    ours = base is None or type(base).__name__ == "PyCapsule"  # a block of the cache
    return ours and shows_only_itself(array)

"""Whether anybody else can see the memory of an array: then it must not be written, or is looked at before it is used.

Counts of references depend on the version of Python, so what they are for an array that nobody shares is measured once.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray


def _owner_references(view: FloatArray) -> int:
    """References to the array whose memory a view shows: 0 if it is no view, a large number if it shows a part."""
    owner = view.base
    if not isinstance(owner, np.ndarray):
        return 0
    return sys.getrefcount(owner) if owner.size == view.size and not isinstance(owner.base, np.ndarray) else sys.maxsize


_OWNER_ALONE = _owner_references(np.empty((1, 1), np.float32)[0])


def shows_only_itself(array: FloatArray) -> bool:
    """Whether ``array`` owns its memory, or is the only view of an array that nobody refers to."""
    return _owner_references(array) <= _OWNER_ALONE


def belongs_to_itself(array: npt.NDArray[Any]) -> bool:
    """Whether no other array and no other object (bytes, a mapped file, a tensor of another library) has its memory."""
    base: Any = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    ours = base is None or type(base).__name__ == "PyCapsule"  # a block of the cache
    return ours and shows_only_itself(array)

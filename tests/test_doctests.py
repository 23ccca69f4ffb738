"""Every example in the docstrings of the package runs and prints what it says."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import fastnn as fnn

APART = ("__main__", ".rivals.peers.")  # commands, and adapters that load other libraries: no examples in them
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(fnn.__path__, "fastnn.") if not any(part in m.name for part in APART)
)
OPTIONAL = {"onnx", "torch"}  # modules that may be absent: what needs them is skipped


@pytest.mark.parametrize("name", ["fastnn", *MODULES])
def test_doctests(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(str(error))
    with np.printoptions(precision=8, threshold=1000):
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0

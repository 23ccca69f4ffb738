"""The Python examples of the README run as they stand, and learn something."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parent.parent / "README.md"


def examples():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec(compile(code, str(README), "exec"), names)
    return names


def test_there_are_two_examples_of_fifteen_lines_or_so():
    assert len(examples()) == 2
    assert all(len([line for line in code.splitlines() if line.strip()]) <= 18 for code in examples())


def test_cnn(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    names = run(examples()[0], tmp_path, monkeypatch)
    assert (names["labels"] == names["digits"].y_test).mean() >= 0.95
    assert "accuracy" in capsys.readouterr().out


def test_lstm(tmp_path, monkeypatch):
    names = run(examples()[1], tmp_path, monkeypatch)
    assert names["loss"].item() < 0.1 * np.var(names["wave"])

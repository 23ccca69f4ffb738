from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core
from fastnn.runtime import report as versions
from fastnn.tools import cli


def test_info(capsys):
    assert cli.main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["fastnn"] == fnn.__version__
    assert lines["NumPy"] == np.__version__
    assert lines["Python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert _core.isa() in lines["ISA"]
    assert lines["threads"] == f"{fnn.get_num_threads()} ({_core.thread_backend()})"


def test_show_versions(capsys):
    fnn.show_versions()
    assert capsys.readouterr().out.splitlines() == [
        f"{name:<15} {value}" for name, value in versions.versions().items()
    ]


def test_openmp_runtimes(tmp_path):
    maps = tmp_path / "maps"
    lines = [
        "/usr/lib/libgomp.so.1.0.0",
        "/opt/a b/libiomp5.so",
        "/usr/lib/libgomp.so.1.0.0",
        "/x/libompl.so",
        "[heap]",
    ]
    maps.write_text("".join(f"7f00-7f01 r-xp 00000000 08:01 12   {line}\n" for line in lines) + "7f02-7f03 r 0 0 0\n")
    assert versions.openmp_runtimes(maps) == ["/opt/a b/libiomp5.so", "/usr/lib/libgomp.so.1.0.0"]
    assert versions.openmp_runtimes(tmp_path / "absent") == []
    if _core.thread_backend() == "openmp" and sys.platform == "linux":
        assert versions.openmp_runtimes() != []


def test_version_and_errors(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"fastnn {fnn.__version__}\n"
    for wrong in ([], ["dance"], ["bench", "--threads", "0"], ["demo", "--threads", "many"]):
        with pytest.raises(SystemExit) as failed:
            cli.main(wrong)
        assert failed.value.code == 2
        assert "usage: fastnn" in capsys.readouterr().err


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "fastnn", "info"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fastnn ")
    assert done.stderr == ""

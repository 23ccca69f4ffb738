"""Saving is all or nothing: whatever fails, the file is the old one or the new one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from models import small_model

import fastnn as fnn
from fastnn import nn


def contents(folder):
    return sorted(file.name for file in folder.iterdir())


class Fault:
    """Makes the nth call of an os function fail."""

    def __init__(self, monkeypatch, name, nth, error):
        self.real, self.left, self.error = getattr(os, name), nth, error
        monkeypatch.setattr(os, name, self)

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(5, "EIO"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("name", "nth"), [("open", 1), ("ftruncate", 1), ("write", 1), ("write", 2), ("fsync", 1), ("replace", 1)]
)
@pytest.mark.parametrize("existing", [True, False], ids=["over_a_file", "new_file"])
def test_a_failing_save_leaves_what_was_there(existing, name, nth, error, path, monkeypatch):
    if existing:
        fnn.save({"x": np.zeros(9)}, path)
    before = path.read_bytes() if existing else None
    with monkeypatch.context() as patch:
        if name == "write":  # a disk that takes a few bytes at a time
            real = os.write
            patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:500]))
        Fault(patch, name, nth, error)
        with pytest.raises(type(error)):
            fnn.save(small_model(), path)
    assert contents(path.parent) == ([path.name] if existing else [])
    assert (path.read_bytes() if existing else None) == before
    fnn.save(small_model(), path)
    assert isinstance(fnn.load(path), nn.Sequential)


def test_a_failing_sync_of_the_folder_is_reported_and_the_file_is_whole(path, monkeypatch):
    with monkeypatch.context() as patch:
        Fault(patch, "fsync", 2, OSError(5, "EIO"))
        with pytest.raises(OSError, match="EIO"):
            fnn.save(small_model(), path)
    assert contents(path.parent) == [path.name]
    assert isinstance(fnn.load(path), nn.Sequential)


def test_short_writes(path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    fnn.save(small_model(), path)
    assert isinstance(fnn.load(path), nn.Sequential)


def test_a_full_disk(path):
    """The kernel's own limit on a file's size, in a process of its own."""
    pytest.importorskip("resource")
    fnn.save({"x": np.zeros(9)}, path)
    before = path.read_bytes()
    code = """
import resource, sys, numpy as np, fastnn as fnn
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    fnn.save({"x": np.zeros(100_000)}, sys.argv[1])
except OSError:
    sys.exit(7)
"""
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 7
    assert path.read_bytes() == before
    assert contents(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["ftruncate", "write", "fsync", "replace"])
def test_killed_while_saving(name, path):
    if not hasattr(os, "fork"):
        pytest.skip("needs SIGKILL")
    fnn.save({"x": np.zeros(9)}, path)
    before = path.read_bytes()
    code = """
import os, signal, sys, numpy as np, fastnn as fnn
setattr(os, sys.argv[2], lambda *args: os.kill(os.getpid(), signal.SIGKILL))
fnn.save({"x": np.ones(100_000)}, sys.argv[1])
"""
    assert subprocess.run([sys.executable, "-c", code, str(path), name], check=False).returncode == -9
    assert path.read_bytes() == before
    fnn.save({"x": np.ones(2)}, path)  # takes the file left behind over
    assert contents(path.parent) == [path.name]
    np.testing.assert_array_equal(fnn.load_state(path)["x"], [1, 1])


def test_saves_at_the_same_time(path):
    """The last one to finish wins, and no file is a mixture."""
    failures = []

    def work(value):
        try:
            for _ in range(10):
                fnn.save({"x": np.full(5000, value)}, path)
                x = fnn.load_state(path)["x"]
                assert (x == x[0]).all()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert contents(path.parent) == [path.name]


def test_links_and_permissions_are_kept(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real"
    fnn.save({"x": np.zeros(3)}, target)
    target.chmod(0o600)
    path.symlink_to(target)
    fnn.save({"x": np.ones(3)}, path)
    assert path.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    np.testing.assert_array_equal(fnn.load_state(target)["x"], [1, 1, 1])


def test_what_cannot_be_saved(path, tmp_path):
    with pytest.raises(ValueError, match="not a regular file"):
        fnn.save(small_model(), tmp_path)
    if os.path.exists("/dev/null"):
        with pytest.raises(ValueError, match="/dev/null is not a regular file"):
            fnn.save(small_model(), "/dev/null")
    with pytest.raises(FileNotFoundError):
        fnn.save(small_model(), tmp_path / "absent" / "x")
    with pytest.raises(TypeError, match="got a list, expected a Module, an Optimizer or a mapping"):
        fnn.save([1, 2], path)
    for value in (np.ones(2, complex), np.array(["a"]), np.array([object()]), np.ones(2, np.longdouble)):
        with pytest.raises(TypeError, match="save: x has dtype"):
            fnn.save({"x": value}, path)
    with pytest.raises(TypeError, match="save: x is a masked array"):
        fnn.save({"x": np.ma.masked_array([1.0, 2.0], [True, False])}, path)
    with pytest.raises(TypeError, match="__metadata__"):
        fnn.save({"__metadata__": np.ones(1)}, path)
    assert contents(tmp_path) == []

"""Files written all or nothing."""

from __future__ import annotations

import contextlib
import os
import stat
import sys


def _open_temporary(path: str) -> int:
    """Opens ``path`` for this writer alone; one left behind by a killed process is taken over.

    The lock is on the file that was opened, which the writer before us may have renamed or removed meanwhile: then
    it is not the file of that name any more, and we start again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if sys.platform != "win32":
            import fcntl

            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    os.ftruncate(descriptor, 0)
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _sync_folder(folder: str) -> None:
    """Makes the new name itself survive a power cut."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file so that at every moment ``path`` is the whole old file or the whole new one.

    The data goes to a hidden file beside it, ``.NAME.tmp``, is synced and renamed; the hidden file is removed when
    anything fails. A link is followed; the permissions of a file that is replaced are kept. Raises OSError as the file
    system does, ValueError when ``path`` is a directory, a device or a pipe.
    """
    target = os.path.realpath(path)
    mode = None
    if os.path.exists(target):
        mode = os.stat(target).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(f"{os.fspath(path)} is not a regular file: it cannot be replaced")
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.tmp")
    descriptor = _open_temporary(temporary)
    try:
        try:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, stat.S_IMODE(mode))
            _write(descriptor, data)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    finally:
        os.close(descriptor)
    _sync_folder(folder)

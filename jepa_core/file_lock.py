"""A file that says "in use" to other programs, and stops saying it when its program dies.

The operating system's own lock on an open file, so that a killed program leaves nothing to clean up. Standard library
only; the lower rooms share it. The lock file itself stays: removing it would let two programs lock two files of one
name.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_POLL_S = 0.05


class Locked(OSError):
    """Another program, or another part of this one, has it."""


class FileLock:
    """Taken by `with`; raises Locked when it is not to be had in time, OSError when the file cannot be made."""

    def __init__(self, path: Path, *, wait_s: float = 0.0) -> None:
        self._path = path
        self._wait_s = wait_s
        self._fd = -1

    def __enter__(self) -> FileLock:
        deadline = time.monotonic() + self._wait_s
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        waiting = threading.Event()
        try:
            while not _take(fd):
                if time.monotonic() >= deadline:
                    raise Locked(errno.EAGAIN, "is in use", str(self._path))
                waiting.wait(_POLL_S)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)  # which also lets go of the lock
        self._fd = -1


def _take(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(fd, 0, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL):
            return True  # a file system without locks (some network volumes): go on without the mark
        raise
    return True

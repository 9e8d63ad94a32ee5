"""What the operating system does to files, in one place: create, write, sync, rename, reserve, lock.

Everything durable goes through a Disk, so that tests can put a blocked, failing or full one in its stead. Needs only
the standard library. Never decides anything: callers choose what to do when a call raises OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""errno values that mean: no space left."""

_LOCK_BYTE = 1 << 62  # Windows locks byte ranges, and forbids reading them; lock one that will never exist
_F_FULLFSYNC = 51  # macOS: fsync only reaches the drive's cache


def is_full(error: OSError) -> bool:
    return error.errno in FULL


class Disk:
    """The real thing. One instance may be shared; it holds no state."""

    def create(self, path: Path) -> int:
        """A new file, open for appending and reading. FileExistsError if it is there already."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)

    def write(self, fd: int, data: bytes) -> None:
        """All of `data`, or OSError; what was written before the error is for the caller to cut back."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def cut_back(self, fd: int, length: int) -> None:
        """Make the file end at `length` and go on writing there."""
        os.ftruncate(fd, length)
        os.lseek(fd, length, os.SEEK_SET)

    def sync(self, fd: int) -> None:
        """Return when the file's bytes are on the medium, as far as the hardware is honest (session format, 2.4)."""
        if sys.platform == "darwin":
            fcntl.fcntl(fd, _F_FULLFSYNC)
        elif sys.platform == "win32":
            os.fsync(fd)  # FlushFileBuffers
        else:
            os.fdatasync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def sync_file(self, path: Path) -> None:
        """Sync a file that somebody else wrote and closed."""
        fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Make a new or renamed name durable. Windows has no such call and keeps names in its journal."""
        if sys.platform == "win32":
            return
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def make_directory(self, path: Path) -> None:
        """Create a folder and those above it, and make their names durable: a new folder can be lost like a file."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            self.sync_directory(folder.parent)

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def free_bytes(self, directory: Path) -> int:
        return shutil.disk_usage(directory).free

    def reserve(self, path: Path, n_bytes: int) -> None:
        """A file that really occupies `n_bytes`, to be removed when the disk is full."""
        self.remove(path)
        fd = self.create(path)
        try:
            if not _allocate(fd, n_bytes):
                block = bytes(1 << 20)
                for start in range(0, n_bytes, len(block)):
                    self.write(fd, block[: n_bytes - start])
        except OSError:
            os.close(fd)
            self.remove(path)
            raise
        os.close(fd)

    def lock(self, fd: int) -> bool:
        """Mark an open file as in use until it is closed or its process dies. False if somebody else has it."""
        try:
            if sys.platform == "win32":
                os.lseek(fd, _LOCK_BYTE, os.SEEK_SET)
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
                os.lseek(fd, 0, os.SEEK_END)
            else:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # anything else is a file system without locks (some network volumes): go on without the mark
            return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
        return True


def is_in_use(path: Path, disk: Disk | None = None) -> bool:
    """Is a recorder or a fold holding this journal right now?"""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return False
    try:
        return not (disk or Disk()).lock(fd)
    finally:
        os.close(fd)


def _allocate(fd: int, n_bytes: int) -> bool:
    """Ask the file system for the space at once; False where it cannot do that."""
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(fd, 0, n_bytes)
    except OSError as error:
        if is_full(error):
            raise
        return False  # some network and copy-on-write file systems refuse; written zeros do the same
    return True

"""A program that folds a journal and is killed: from outside, or by its own disk at the n-th thing it asks of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from sessions.disk import Disk
from sessions.fold import fold


class DeadlyDisk(Disk):
    """Kills its own process just before the n-th operation, counted from 0; −1 never."""

    OPERATIONS = ("create", "write", "sync", "sync_file", "sync_directory", "replace", "remove", "close")

    def __init__(self, fatal: int) -> None:
        self._left = fatal

    def __getattribute__(self, name: str) -> object:
        found = object.__getattribute__(self, name)
        if name not in DeadlyDisk.OPERATIONS:
            return found

        def counted(*arguments: object) -> object:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
            return found(*arguments)

        return counted


def main(journal: Path, fatal: int) -> None:
    os.write(1, b"started\n")
    fold(
        journal,
        disk=DeadlyDisk(fatal),
        progress=lambda fraction: os.write(1, f"{fraction}\n".encode()) and None,
    )
    os.write(1, b"done\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

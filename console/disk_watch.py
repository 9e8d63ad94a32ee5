"""How much room there is where sessions go, while nothing is being recorded. A disk that hangs hangs the worker, never
the window that asks."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil

from console.worker import Worker
from jepa_core.clock import Clock

LOOK_EVERY_NS = 5_000_000_000


class DiskWatch:
    """Remembers the last answer; asks again, on the worker, when it is older than five seconds."""

    def __init__(self, folder: Path, worker: Worker, clock: Clock) -> None:
        self._folder = folder
        self._worker = worker
        self._clock = clock
        self._lock = threading.Lock()
        self._free_bytes = -1
        self._asked_ns = -LOOK_EVERY_NS

    def free_bytes(self) -> int:
        """Free space for this user in bytes, as last seen; -1 before the first answer."""
        now_ns = self._clock.now_ns()
        with self._lock:
            is_due = now_ns - self._asked_ns >= LOOK_EVERY_NS
            if is_due:
                self._asked_ns = now_ns
            free_bytes = self._free_bytes
        if is_due:
            self._worker.submit(self._look)
        return free_bytes

    def _look(self) -> None:
        folder = self._folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent  # the folder is made with the first recording
        free_bytes = psutil.disk_usage(str(folder)).free
        with self._lock:
            self._free_bytes = free_bytes

"""How long the GUI thread keeps people waiting, measured.

A thread named `heartbeat` sends the GUI thread a stamp every 15 ms and the GUI answers when it gets to it. The delay
is what a key press would have waited, the interpreter lock included. A stall can be up to one interval longer than
measured. Stalls over 50 ms go to the log. Owns its thread; never blocks the GUI.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal

log = logging.getLogger(__name__)

INTERVAL_S = 0.015
STALL_MS = 50.0
BIN_MS = 0.1
BINS = 5000  # the last one holds everything from 500 ms up


@dataclass(frozen=True, slots=True)
class Stalls:
    """Delays of the GUI thread since the last reset, milliseconds."""

    beats: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    over_50_ms: int


class Heartbeat(QObject):
    """The meter. Start and stop it on the GUI thread."""

    _beat = Signal(object)  # sent_ns

    def __init__(self, parent: QObject | None = None, interval_s: float = INTERVAL_S) -> None:
        super().__init__(parent)
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._thread: threading.Thread | None = None
        self.reset()
        self._beat.connect(self._answer, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        self._stop.clear()
        self._answered.set()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._answered.set()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def reset(self) -> None:
        self._counts = [0] * BINS
        self._beats = 0
        self._max_ms = 0.0
        self._stalls = 0

    def stalls(self) -> Stalls:
        return Stalls(
            self._beats,
            self._quantile(0.5),
            self._quantile(0.99),
            self._quantile(0.999),
            self._max_ms,
            self._stalls,
        )

    def record(self, delay_ms: float) -> None:
        """Count one measured delay."""
        self._beats += 1
        self._counts[min(int(delay_ms / BIN_MS), BINS - 1)] += 1
        self._max_ms = max(self._max_ms, delay_ms)
        if delay_ms > STALL_MS:
            self._stalls += 1
            log.warning("the GUI thread stalled for %.0f ms", delay_ms)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._answered.wait()
            if self._stop.wait(self._interval_s):
                return
            self._answered.clear()
            self._beat.emit(time.perf_counter_ns())

    def _answer(self, sent_ns: int) -> None:
        self.record((time.perf_counter_ns() - sent_ns) / 1e6)
        self._answered.set()

    def _quantile(self, q: float) -> float:
        """Upper edge of the bin that holds the q-th delay; never more than the true maximum."""
        wanted, seen = q * self._beats, 0
        for index, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min((index + 1) * BIN_MS, self._max_ms) if index < BINS - 1 else self._max_ms
        return 0.0

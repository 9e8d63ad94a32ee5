"""A daemon thread that does one thing after another, and can be left behind when a disk hangs.

For work that a person may have to wait for and the program's end may not: `stop` has a deadline. An exception is never
lost. Knows no Qt.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from jepa_core.errors import Cancelled, ConsoleError

log = logging.getLogger(__name__)

MOST_WAITING = 256  # a person asks for a handful; beyond this something loops, and the newest is refused


class Errands:
    """Starts its thread with the first errand."""

    def __init__(self, name: str, on_fault: Callable[[ConsoleError], None]) -> None:
        self._name = name
        self._on_fault = on_fault
        self._waiting: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def ask(self, errand: Callable[[], object]) -> bool:
        """Do this when what was asked before is done. False after `stop`, or when too much waits."""
        with self._changed:
            if self._is_stopped or len(self._waiting) >= MOST_WAITING:
                log.warning("%s: an errand was refused", self._name)
                return False
            self._waiting.append(errand)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return True

    def stop(self, deadline_s: float) -> bool:
        """Let go of what waits, and wait for what runs. False when it did not end in time."""
        with self._changed:
            self._is_stopped = True
            self._waiting.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        began = time.monotonic()
        thread.join(max(deadline_s, 0.0))
        if thread.is_alive():
            log.warning("%s did not end in %.1f s", self._name, time.monotonic() - began)
        return not thread.is_alive()

    def _run(self) -> None:
        while (errand := self._next()) is not None:
            try:
                errand()
            except Cancelled:
                log.info("%s: called off", self._name)
            except ConsoleError as error:
                log.warning("%s: %s", self._name, error.what, extra={"detail": error.detail})
                self._on_fault(error)
            except Exception as error:  # last resort of this thread: it is told, and the thread lives on
                log.exception("%s: an errand failed", self._name)
                self._on_fault(
                    ConsoleError(
                        "Something failed in a way this program does not know.",
                        "The log has the details; please report it.",
                        repr(error),
                    )
                )

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._waiting and not self._is_stopped:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

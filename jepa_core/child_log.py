"""What a child process would say on stderr, kept for the log of its parent.

The engine process has no log file of its own and a terminal is no place for a library's warnings. Log records and
warnings wait here, bounded, until the child's own thread sends them; they never wait for a pipe themselves.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable

from jepa_core.messages import Said

MOST_WAITING = 256  # newer ones are kept; this many in a second is a flood


class ChildLog(logging.Handler):
    """Collects; `drain` gives what came since. Safe from any thread, also from inside a garbage collection."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._waiting: deque[Said] = deque(maxlen=MOST_WAITING)

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self._waiting.append(Said(record.levelno, record.name, record.getMessage(), trace))

    def drain(self) -> list[Said]:
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found


def listen_to_this_process(own_threads: str, on_thread_died: Callable[[], None]) -> ChildLog:
    """From here on logs, warnings and dying threads of this process are collected instead of printed.

    own_threads         how the names of the threads begin that this process cannot go on without
    on_thread_died      called on such a thread, after what killed it was collected
    """
    collected = ChildLog()
    root = logging.getLogger()
    root.addHandler(collected)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)

    def died(what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread is not None else "a thread"
        root.critical("%s died", name, exc_info=what.exc_value)
        if name.startswith(own_threads):
            on_thread_died()

    threading.excepthook = died
    return collected

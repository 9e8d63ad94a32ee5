"""The pipeline's one thread for slow work: opening, closing and folding files, in the order they were asked for.

An exception of a task is never lost: it becomes a fault that a person is told. Knows no Qt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

from jepa_core.errors import ConsoleError

log = logging.getLogger(__name__)

P = ParamSpec("P")


class Worker:
    """Runs tasks one after another, on a thread of its own, until `stop`."""

    def __init__(self, on_fault: Callable[[ConsoleError], None]) -> None:
        self._on_fault = on_fault
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pipeline-worker")
        self._lock = threading.Lock()  # between looking whether it is over and handing in
        self._is_stopped = False

    def submit(self, task: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do this when what was asked before is done. After `stop` nothing more is taken on."""
        with self._lock:
            if self._is_stopped:
                log.info("after the end: %s is not done", task)
                return
            done = self._pool.submit(task, *args, **kwargs)
        done.add_done_callback(self._done)

    def stop(self) -> None:
        """Finish what was asked for, then end the thread."""
        with self._lock:
            self._is_stopped = True
        self._pool.shutdown(wait=True)

    def _done(self, future: Future[object]) -> None:
        error = future.exception()
        if error is None:
            return
        log.error("a task of the worker failed", exc_info=error)
        if isinstance(error, ConsoleError):
            self._on_fault(error)
        else:
            self._on_fault(
                ConsoleError(
                    "Something failed in a way this program does not know.",
                    "The log has the details; please report it.",
                    repr(error),
                )
            )

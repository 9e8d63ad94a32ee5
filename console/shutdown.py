"""The ordered end: nothing that was confirmed is lost, and nobody waits forever.

Held keys are let go, the layout is kept, then source, recording and engine stop on a thread of their own while the
window still shows how far it is. After the deadline a second close leaves at once: the journal is on disk and is
recovered at the next start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)

DEADLINE_S = 10.0  # for source, recorder and engine together; folding may take longer and may be left


class Stoppable(Protocol):
    def shutdown(self, deadline_s: float = DEADLINE_S) -> None: ...


@dataclass(frozen=True, slots=True)
class Stopped:
    """Everything behind the glass has ended, or its end failed."""

    error: BaseException | None


class Shutdown:
    """Stops a pipeline once. `say` hears Stopped from the thread that did it."""

    def __init__(
        self,
        pipeline: Stoppable,
        say: Callable[[Stopped], None],
        now_s: Callable[[], float] = time.monotonic,
        also: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`also`: what else has to end, after the pipeline, on the same thread."""
        self._pipeline = pipeline
        self._also = also
        self._say = say
        self._now_s = now_s
        self._began_s: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    @property
    def is_overdue(self) -> bool:
        """A person may leave now."""
        return self._began_s is not None and self._now_s() - self._began_s > DEADLINE_S

    def begin(self) -> None:
        """Start stopping. A second call changes nothing."""
        if self._thread is None:
            self._began_s = self._now_s()
            self._thread = threading.Thread(target=self._run, name="shutdown", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """For runs without a loop; True when everything has ended."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            try:
                self._pipeline.shutdown(DEADLINE_S)
            finally:
                for stop in self._also:
                    stop()
        except Exception as error:  # last resort of this thread
            log.exception("the shutdown failed")
            self._say(Stopped(error))
        else:
            self._say(Stopped(None))

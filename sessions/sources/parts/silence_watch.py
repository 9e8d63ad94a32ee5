"""Notices when a live source gives nothing: a read that hangs cannot say so itself.

Started by the source thread for live sources only; ends with its cancel token. Never touches the source.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from jepa_core.clock import CancelToken, Clock

SILENCE_NS = 2_000_000_000  # ARCHITECTURE section 5: a live source without a frame for this long is lost


class SilenceWatch:
    """Calls `on_silence` from its own thread, once for every silence of SILENCE_NS."""

    def __init__(self, name: str, clock: Clock, cancel: CancelToken, on_silence: Callable[[], None]) -> None:
        self._clock = clock
        self._cancel = cancel
        self._on_silence = on_silence
        self._last_ns = clock.now_ns()  # written by the source thread, read by this one; one word, so no lock
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def saw_one(self) -> None:
        """A picture has come just now."""
        self._last_ns = self._clock.now_ns()

    def _run(self) -> None:
        told_ns = -1  # the arrival after which silence was reported
        while True:
            last_ns = self._last_ns
            since_ns = self._clock.now_ns() if told_ns == last_ns else last_ns
            if not self._clock.wait_until(since_ns + SILENCE_NS, self._cancel):
                return
            if self._last_ns == last_ns and told_ns != last_ns:
                told_ns = last_ns
                self._on_silence()

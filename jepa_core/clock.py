"""Where time comes from. Everything that waits or stamps takes a Clock, so that tests move time by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class CancelToken:
    """Says once, to everybody who waits, that the work is over."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], None]] = []

    def cancel(self) -> None:
        self._event.set()
        for call in tuple(self._calls):
            call()

    def on_cancel(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have this called when the work is called off, by whoever does it; at once if it already is.

        For what waits elsewhere than on this token, such as a read from a socket. It may be called twice and from any
        thread, a signal handler included, so it only sets flags and wakes. Returns what takes it back.
        """
        self._calls.append(call)  # one step of the interpreter: a lock would deadlock a signal handler
        if self._event.is_set():
            call()

        def take_back() -> None:
            if call in self._calls:
                self._calls.remove(call)

        return take_back

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if the work was called off."""
        if self._event.is_set():
            from jepa_core.errors import Cancelled

            raise Cancelled

    def wait(self, seconds: float) -> bool:
        """Wait at most this long; True if cancelled."""
        return self._event.wait(seconds)


class Clock(Protocol):
    def now_ns(self) -> int:
        """Monotonic nanoseconds."""
        ...

    def wall_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        ...

    def wait_until(self, t_ns: int, cancel: CancelToken) -> bool:
        """Return at t_ns or when cancelled; True if the time was reached."""
        ...


class SystemClock:
    """CLOCK_MONOTONIC and the wall clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def wait_until(self, t_ns: int, cancel: CancelToken) -> bool:
        while (left := t_ns - time.monotonic_ns()) > 0:
            if cancel.wait(min(left / 1e9, 3600.0)):
                return False
        return not cancel.is_cancelled


class FakeClock:
    """Time that moves only when a test says so. A waiter is released when `advance` passes its moment."""

    def __init__(
        self, start_ns: int = 1_000_000_000, wall_offset_ns: int = 1_700_000_000_000_000_000
    ) -> None:
        self._now_ns = start_ns
        self._wall_offset_ns = wall_offset_ns
        self._moved = threading.Condition()

    def now_ns(self) -> int:
        with self._moved:
            return self._now_ns

    def wall_ns(self) -> int:
        with self._moved:
            return self._now_ns + self._wall_offset_ns

    def advance(self, ns: int) -> None:
        with self._moved:
            self._now_ns += ns
            self._moved.notify_all()

    def jump_wall(self, ns: int) -> None:
        with self._moved:
            self._wall_offset_ns += ns

    def wait_until(self, t_ns: int, cancel: CancelToken) -> bool:
        with self._moved:
            while self._now_ns < t_ns:
                if cancel.is_cancelled:
                    return False
                self._moved.wait(0.05)  # a cancel does not notify; look again soon
        return not cancel.is_cancelled

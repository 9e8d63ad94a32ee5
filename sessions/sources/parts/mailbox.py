"""What others wish of the source thread, between two pictures: play, pause, seek, step, speed, pace.

Filled from any thread, emptied by the source thread. Bounded by construction: a newer wish of one kind replaces the older,
steps add up, and a seek makes earlier steps void. So a person may drag a slider as fast as they like.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from jepa_core.clock import CancelToken
from sessions.sources.base import Pace


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that was wished since the last look. None and 0: nothing of that kind."""

    playing: bool | None = None
    seek: int | None = None
    steps: int = 0
    speed: tuple[float | None] | None = (
        None  # boxed, because None is a speed: as fast as the consumer takes them
    )
    pace: Pace | None = None


NOTHING = Wishes()


class Mailbox:
    """One consumer, any number of senders."""

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._lock = threading.Condition()
        self._wishes = NOTHING
        self._wake = CancelToken()  # ends the consumer's other waits; a new one after every look

    def play(self) -> None:
        self._change(playing=True, steps=0)

    def pause(self) -> None:
        self._change(playing=False)

    def step(self, count: int) -> None:
        with self._lock:
            self._wishes = replace(self._wishes, playing=False, steps=self._wishes.steps + count)
            self._rouse()

    def seek(self, index: int) -> None:
        self._change(seek=index, steps=0)

    def speed(self, speed: float | None) -> None:
        self._change(speed=(speed,))

    def pace(self, pace: Pace) -> None:
        self._change(pace=pace)

    def rouse(self) -> None:
        """End the consumer's wait, whatever it waits for; after the cancel token was set."""
        with self._lock:
            self._rouse()

    def take(self, has_work: Callable[[], bool]) -> Wishes | None:
        """Wait for a wish, or until there is work anyway; all wishes at once. None: the token was set."""
        with self._lock:
            while not (self._cancel.is_cancelled or self._wishes != NOTHING or has_work()):
                self._lock.wait()
            if self._cancel.is_cancelled:
                return None
            wishes, self._wishes = self._wishes, NOTHING
            self._wake = CancelToken()
            return wishes

    def wake_token(self) -> CancelToken | None:
        """A token that the next wish sets; None when one is waiting already."""
        with self._lock:
            is_quiet = self._wishes == NOTHING and not self._cancel.is_cancelled
            return self._wake if is_quiet else None

    def _change(self, **wishes: bool | int | tuple[float | None] | Pace | None) -> None:
        with self._lock:
            self._wishes = replace(self._wishes, **wishes)  # type: ignore[arg-type]  # the callers above are exact
            self._rouse()

    def _rouse(self) -> None:
        self._wake.cancel()
        self._lock.notify_all()

"""The three ways things travel between threads: newest wins, lossless within a budget, never dropped.

Standard library only. Nothing here blocks a producer, except `put_blocking` where a caller asked for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from jepa_core.clock import CancelToken

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Holds one thing; a newer one replaces it and `skipped` grows.

    Used towards the model and the screen, where an old frame is worth nothing. The listener fires only when the slot
    goes from empty to full, so a thousand puts cost one wake-up.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._item: T | None = None
        self._skipped = 0
        self._listener: Callable[[], None] | None = None

    @property
    def skipped(self) -> int:
        with self._lock:
            return self._skipped

    def listen(self, listener: Callable[[], None] | None) -> None:
        """`listener` is called on the producer's thread, at every change from empty to full. It must not block."""
        with self._lock:
            self._listener = listener
            is_full = self._item is not None
        if listener is not None and is_full:
            listener()

    def put(self, item: T) -> None:
        with self._lock:
            was_empty = self._item is None
            if not was_empty:
                self._skipped += 1
            self._item = item
            self._filled.notify()
            listener = self._listener if was_empty else None
        if listener is not None:
            listener()

    def put_blocking(self, item: T, cancel: CancelToken) -> bool:
        """Wait until the slot is empty, then put. For lossless runs only. False when cancelled."""
        with self._lock:
            while self._item is not None:
                if cancel.is_cancelled:
                    return False
                self._emptied.wait(0.05)  # a cancel does not notify; look again soon
            self._item = item
            self._filled.notify()
            listener = self._listener
        if listener is not None:
            listener()
        return True

    def take(self) -> T | None:
        """The newest thing, or None. Never waits."""
        with self._lock:
            return self._take()

    def take_waiting(self, cancel: CancelToken, timeout: float = 3600.0) -> T | None:
        """Wait for something; None when cancelled or after `timeout` seconds."""
        with self._lock:
            waited = 0.0
            while self._item is None:
                if cancel.is_cancelled or waited >= timeout:
                    return None
                self._filled.wait(0.05)
                waited += 0.05
            return self._take()

    def _take(self) -> T | None:
        item, self._item = self._item, None
        if item is not None:
            self._emptied.notify()
        return item


class Weighty(Protocol):
    """A row of a ByteLane: knows what it weighs and how to let go of its payload."""

    @property
    def nbytes(self) -> int: ...

    def without_payload(self) -> Weighty: ...


W = TypeVar("W", bound=Weighty)


class ByteLane(Generic[W]):
    """Lossless in rows, bounded in bytes: when full, a row is accepted without its payload (a gap).

    Order and count of rows are always complete. One consumer.
    """

    def __init__(self, budget: int, name: str = "lane") -> None:
        self.name = name
        self.budget = budget
        self._lock = threading.Lock()
        self._rows: deque[W] = deque()
        self._bytes = 0
        self._gaps = 0
        self._listener: Callable[[], None] | None = None

    @property
    def queued_bytes(self) -> int:
        with self._lock:
            return self._bytes

    @property
    def gaps(self) -> int:
        with self._lock:
            return self._gaps

    def __len__(self) -> int:
        with self._lock:
            return len(self._rows)

    def listen(self, listener: Callable[[], None] | None) -> None:
        with self._lock:
            self._listener = listener

    def put(self, row: W) -> bool:
        """Accept the row; False if its payload had to be let go."""
        with self._lock:
            keeps = self._bytes + row.nbytes <= self.budget
            if not keeps:
                row = row.without_payload()  # type: ignore[assignment]
                self._gaps += 1
            self._bytes += row.nbytes
            self._rows.append(row)
            listener = self._listener
        if listener is not None:
            listener()
        return keeps

    def drain(self, most: int = 1 << 30) -> list[W]:
        """Up to `most` rows, oldest first. Their bytes count as queued until here."""
        with self._lock:
            rows = [self._rows.popleft() for _ in range(min(most, len(self._rows)))]
            self._bytes -= sum(row.nbytes for row in rows)
            return rows


class EventLane(Generic[T]):
    """Small things that must never be dropped. Always served first."""

    def __init__(self, name: str = "events") -> None:
        self.name = name
        self._lock = threading.Lock()
        self._items: deque[T] = deque()
        self._listener: Callable[[], None] | None = None

    def __len__(self) -> int:
        with self._lock:
            return len(self._items)

    def listen(self, listener: Callable[[], None] | None) -> None:
        with self._lock:
            self._listener = listener

    def put(self, item: T) -> None:
        with self._lock:
            self._items.append(item)
            listener = self._listener
        if listener is not None:
            listener()

    def drain(self) -> list[T]:
        with self._lock:
            items = list(self._items)
            self._items.clear()
            return items

"""Measures how old what people see is: ages and rates over the last few seconds. No Qt, any thread."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np


class AgeMeter:
    """Percentiles of the newest ages of one kind."""

    def __init__(self, keep: int = 300) -> None:
        self._lock = threading.Lock()
        self._ages_ns: deque[int] = deque(maxlen=keep)

    def note(self, age_ns: int) -> None:
        with self._lock:
            self._ages_ns.append(age_ns)

    def percentiles(self) -> tuple[int, int] | None:
        """p50 and p95 in nanoseconds; None before the first age."""
        with self._lock:
            ages = np.array(self._ages_ns, dtype=np.int64)
        if not ages.size:
            return None
        p50, p95 = np.percentile(ages, (50, 95))
        return int(p50), int(p95)

    def clear(self) -> None:
        with self._lock:
            self._ages_ns.clear()


class RateMeter:
    """How often something happened in the last seconds, in Hz."""

    def __init__(self, window_ns: int = 3_000_000_000) -> None:
        self._lock = threading.Lock()
        self._window_ns = window_ns
        self._stamps_ns: deque[int] = deque(maxlen=2048)

    def note(self, t_ns: int) -> None:
        with self._lock:
            self._stamps_ns.append(t_ns)

    def rate(self, now_ns: int) -> float:
        with self._lock:
            recent = [t for t in self._stamps_ns if now_ns - t <= self._window_ns]
        if len(recent) < 2 or recent[-1] == recent[0]:
            return 0.0
        return (len(recent) - 1) / ((recent[-1] - recent[0]) / 1e9)

    def clear(self) -> None:
        with self._lock:
            self._stamps_ns.clear()

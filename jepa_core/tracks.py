"""SignalTrack: one curve of the timeline, append-only, with a min/max pyramid so that any zoom is cheap.

Level k of the pyramid holds least and greatest value of every complete block of 4**k samples. A drawn column asks
for its exact extremes in O(log n), so a spike of one sample is never lost, however far one zooms out. Live, one
thread appends while others read; a reader takes a snapshot and never sees a half-written sample. numpy only.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FACTOR = 4

Window = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""t_ns of the first sample of each non-empty column, least and greatest value in it."""


Number = TypeVar("Number", np.int64, np.float64)


class _Growing(Generic[Number]):
    """An array that grows at its end. Filled cells are never written again, so old views stay right."""

    def __init__(self, dtype: type[Number], filled: NDArray[Number] | None = None) -> None:
        self.n = 0 if filled is None else len(filled)
        self.cells: NDArray[Number] = np.empty(max(256, self.n), dtype)
        if filled is not None:
            self.cells[: self.n] = filled

    def append(self, value: float) -> None:
        if self.n == len(self.cells):
            grown = np.empty(2 * self.n, self.cells.dtype)
            grown[: self.n] = self.cells
            self.cells = grown  # a reader may still hold the old one: its filled part stays as it was
        self.cells[self.n] = value
        self.n += 1

    def view(self) -> NDArray[Number]:
        return self.cells[: self.n]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    t_ns: NDArray[np.int64]
    seq: NDArray[np.int64]
    low: tuple[NDArray[np.float64], ...]  # one per level; level 0 is the samples
    high: tuple[NDArray[np.float64], ...]


class SignalTrack:
    """One named signal over time. `t_ns` never decreases; NaN samples are kept and never drawn."""

    def __init__(self, name: str, unit: str = "") -> None:
        self.name = name
        self.unit = unit
        self._lock = threading.Lock()
        self._t = _Growing(np.int64)
        self._seq = _Growing(np.int64)
        self._low = [_Growing(np.float64)]
        self._high = [self._low[0]]  # at level 0 both are the samples

    @classmethod
    def from_arrays(
        cls, name: str, unit: str, t_ns: ArrayLike, values: ArrayLike, seq: ArrayLike
    ) -> SignalTrack:
        """A whole recorded track at once. All (n,), `t_ns` not decreasing; ValueError otherwise."""
        t = np.asarray(t_ns, np.int64)
        v = np.asarray(values, np.float64)
        s = np.asarray(seq, np.int64)
        if not (t.ndim == 1 and t.shape == v.shape == s.shape):
            raise ValueError(f"{name}: shapes differ: t_ns {t.shape}, values {v.shape}, seq {s.shape}")
        if np.any(np.diff(t) < 0):
            raise ValueError(f"{name}: time goes backwards")
        track = cls(name, unit)
        track._t, track._seq = _Growing(np.int64, t), _Growing(np.int64, s)
        track._low = [_Growing(np.float64, v)]
        track._high = [track._low[0]]
        low = high = v
        while len(low) >= FACTOR:
            whole = len(low) // FACTOR * FACTOR
            low = np.fmin.reduce(low[:whole].reshape(-1, FACTOR), axis=1)
            high = np.fmax.reduce(high[:whole].reshape(-1, FACTOR), axis=1)
            track._low.append(_Growing(np.float64, low))
            track._high.append(_Growing(np.float64, high))
        return track

    def __len__(self) -> int:
        with self._lock:
            return self._t.n

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Times of the first and the last sample; None while empty."""
        with self._lock:
            return (int(self._t.cells[0]), int(self._t.cells[self._t.n - 1])) if self._t.n else None

    @property
    def last(self) -> tuple[int, float, int] | None:
        """t_ns, value and seq of the newest sample; None while empty."""
        with self._lock:
            n = self._t.n - 1
            if n < 0:
                return None
            return int(self._t.cells[n]), float(self._low[0].cells[n]), int(self._seq.cells[n])

    def append(self, t_ns: int, value: float, seq: int) -> bool:
        """Add a sample at the end. False, and nothing added, when it is older than the last one."""
        with self._lock:
            n = self._t.n
            if n and t_ns < self._t.cells[n - 1]:
                return False
            self._t.append(t_ns)
            self._seq.append(seq)
            self._low[0].append(value)
            level = 0
            while self._low[level].n % FACTOR == 0:
                self._finish_block(level)
                level += 1
        return True

    def window(self, t0_ns: int, t1_ns: int, columns: int) -> Window:
        """What to draw between two times (both included): at most `columns` pairs of extremes, exact.

        Where there are no more samples than columns, every sample is its own pair. NaN only where a whole column
        is NaN.
        """
        snap = self._snapshot()
        first = int(np.searchsorted(snap.t_ns, t0_ns, "left"))
        end = int(np.searchsorted(snap.t_ns, t1_ns, "right"))
        columns = max(1, int(columns))
        if end - first <= columns:
            values = snap.low[0][first:end].copy()
            return snap.t_ns[first:end].copy(), values, values.copy()
        width = (t1_ns - t0_ns) / columns
        edges_ns = t0_ns + np.ceil(np.arange(1, columns) * width).astype(np.int64)
        inner = np.searchsorted(snap.t_ns, edges_ns, "left")
        edges = np.concatenate(([first], np.clip(inner, first, end), [end]))
        starts, ends = edges[:-1], edges[1:]
        is_filled = ends > starts
        starts, ends = starts[is_filled], ends[is_filled]
        return (
            snap.t_ns[starts].copy(),
            _extremes(snap.low, starts, ends, np.fmin),
            _extremes(snap.high, starts, ends, np.fmax),
        )

    def value_at(self, t_ns: int) -> float:
        """The newest value at or before this time; NaN before the first sample."""
        snap = self._snapshot()
        at = int(np.searchsorted(snap.t_ns, t_ns, "right")) - 1
        return float(snap.low[0][at]) if at >= 0 else float("nan")

    def seq_at(self, t_ns: int) -> int:
        """The frame of the newest sample at or before this time; -1 before the first."""
        snap = self._snapshot()
        at = int(np.searchsorted(snap.t_ns, t_ns, "right")) - 1
        return int(snap.seq[at]) if at >= 0 else -1

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """t_ns, values and seq of every sample so far. Views: do not write."""
        snap = self._snapshot()
        return snap.t_ns, snap.low[0], snap.seq

    def _finish_block(self, level: int) -> None:
        if level + 1 == len(self._low):
            self._low.append(_Growing(np.float64))
            self._high.append(_Growing(np.float64))
        self._low[level + 1].append(float(np.fmin.reduce(self._low[level].view()[-FACTOR:])))
        self._high[level + 1].append(float(np.fmax.reduce(self._high[level].view()[-FACTOR:])))

    def _snapshot(self) -> _Snapshot:
        with self._lock:
            return _Snapshot(
                t_ns=self._t.view(),
                seq=self._seq.view(),
                low=tuple(level.view() for level in self._low),
                high=tuple(level.view() for level in self._high),
            )


def _extremes(
    levels: tuple[NDArray[np.float64], ...],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    pick: np.ufunc,
) -> NDArray[np.float64]:
    """Least or greatest of samples starts[i]..ends[i]-1, for all columns at once; pick is fmin or fmax.

    Climbs the pyramid: at each level the few blocks before the next greater block boundary are taken from both
    ends, then the range is handed up. At most 2 * (FACTOR - 1) vector steps per level.
    """
    found = np.full(len(starts), np.nan)
    a, b = starts.copy(), ends.copy()  # in blocks of the level
    for level in levels:
        is_top = level is levels[-1]
        while True:
            is_left = (a < b) & ((a % FACTOR != 0) | is_top)
            if not is_left.any():
                break
            found[is_left] = pick(found[is_left], level[a[is_left]])
            a[is_left] += 1
        while True:
            is_right = (a < b) & (b % FACTOR != 0)
            if not is_right.any():
                break
            b[is_right] -= 1
            found[is_right] = pick(found[is_right], level[b[is_right]])
        if not (a < b).any():
            break
        a //= FACTOR
        b //= FACTOR
    return found

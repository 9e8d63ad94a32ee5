"""A recorded session as a source: what was recorded, as it was recorded, and nothing made up.

Frame n is row n of the recorded camera stream. Each comes with its recorded number and time, the recorded bytes it was decoded
from, and the looks that ended at it. A row without pixels (a gap) is shown as a plain grey picture marked `is_gap`: never as
the picture before it. The file is opened read-only. Owned by the thread that reads it; the facts of `session` may be asked for
from others once it is open.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, NotSeekable, SourceError
from jepa_core.types import Inspection, SourceInfo, frozen
from sessions.sources.base import Grab
from sessions.sources.parts.options import refuse_unknown
from sessions.sources.parts.paths import readable_file

if TYPE_CHECKING:
    from sessions.reader import SessionReader

GAP_GREY = 96  # sRGB: darker than the middle, so that a gap is not taken for a washed-out picture

LOOK_BACK = 600  # rows: a look that is older was of another scene

_CORRUPT = 1  # bit of `flags`, session-format 4.3


class RecordedFrames(Protocol):
    """What a replay needs of a SessionReader (sessions/reader.py has far more)."""

    @property
    def info(self) -> SourceInfo: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def n_frames(self) -> int: ...
    @property
    def frame_seq(self) -> NDArray[Any]: ...
    @property
    def frame_t_ns(self) -> NDArray[Any]: ...
    @property
    def frame_error_ns(self) -> NDArray[Any]: ...
    @property
    def frame_pts_ns(self) -> NDArray[Any]: ...
    @property
    def frame_flags(self) -> NDArray[Any]: ...
    def frame_encoded(self, row: int) -> bytes | None: ...
    def frame_rgb(self, row: int) -> NDArray[np.uint8]: ...
    def frame_action(self, row: int) -> NDArray[np.float32] | None: ...
    def frame_state(self, row: int) -> NDArray[np.float32] | None: ...
    def steps_for_row(self, row: int) -> Iterable[Any]: ...
    def inspection(self, step: int) -> Inspection: ...
    def close(self) -> None: ...


class SessionFile:
    """One session: a sealed .h5, the first of its parts, or a journal (.wmj) that was never folded."""

    info: SourceInfo

    def __init__(self, path: str | Path, frames: RecordedFrames | None = None) -> None:
        """`frames` stands in for the file in tests; else `open` opens it."""
        self.path = Path(path)
        self._frames = frames
        self._grey: NDArray[np.uint8] | None = None
        self._next = 0
        self._is_sought = False
        self._closing = threading.Event()
        self._using = threading.Lock()  # a reader must not be closed in the middle of a row

    @classmethod
    def from_uri(cls, body: str, options: Mapping[str, str]) -> SessionFile:
        refuse_unknown("session", options, ())
        return cls(readable_file(body, "session"))

    @property
    def session(self) -> SessionReader:
        """The open file: events, tracks, header. Valid between open and close."""
        return self._opened()  # type: ignore[return-value]  # the real reader, or a stand-in of the same shape

    def open(self) -> None:
        """Raises NotASession, NewerSchema or Damaged (SessionError), in words for a person."""
        if self._frames is None:
            from sessions.reader import open_session

            self._frames = open_session(readable_file(str(self.path), "session"))
        recorded = self._frames.info
        self._grey = frozen(np.full((max(1, recorded.height), max(1, recorded.width), 3), GAP_GREY, np.uint8))
        self._next = 0
        self.info = replace(
            recorded,
            name=f"session:{self.path.name}",
            kind="session",
            frames=self._frames.n_frames,
            fps=recorded.fps or _rate(self._frames.frame_t_ns),
            is_live=False,
            is_seekable=True,
            detail={
                **recorded.detail,
                "path": str(self.path),
                "recorded_source": recorded.name,
                "recorded_kind": recorded.kind,
                "problems": list(self._frames.problems),
                **_span(self._frames.frame_t_ns),
            },
        )

    def read(self, cancel: CancelToken) -> Grab | None:
        """The next row. Raises Damaged for one whose picture cannot be decoded; the next read goes on after it."""
        with self._using:
            frames = self._opened()
            cancel.check()
            row = self._next
            if row >= frames.n_frames:
                return None
            self._next = row + 1
            encoded = frames.frame_encoded(row) or None
            assert self._grey is not None
            rgb = self._grey if encoded is None else frozen(frames.frame_rgb(row))
            return Grab(
                index=row,
                rgb=rgb,
                pts_ns=int(frames.frame_pts_ns[row]),
                t_ns=int(frames.frame_t_ns[row]),
                error_ns=int(frames.frame_error_ns[row]),
                seq=int(frames.frame_seq[row]),
                inspections=tuple(frames.inspection(step) for step in self._steps_to_show(frames, row)),
                encoded=encoded,
                action=frames.frame_action(row),
                state=frames.frame_state(row),
                is_gap=encoded is None,
                is_corrupt=bool(int(frames.frame_flags[row]) & _CORRUPT),
            )

    def seek(self, index: int) -> None:
        rows = self._opened().n_frames
        if not 0 <= index < rows:
            raise NotSeekable(f"{self.path.name} has no recorded frame {index}.", f"It has 0 to {rows - 1}.")
        self._next = index
        self._is_sought = True

    def _steps_to_show(self, frames: RecordedFrames, row: int) -> list[int]:
        """The looks that end at this row. After a seek also the last one before it, which was on the screen then."""
        steps = [int(step) for step in frames.steps_for_row(row)]
        is_sought, self._is_sought = self._is_sought, False
        if steps or not is_sought:
            return steps
        for earlier in range(row - 1, max(-1, row - 1 - LOOK_BACK), -1):
            if found := [int(step) for step in frames.steps_for_row(earlier)]:
                return found[-1:]
        return []

    def close(self) -> None:
        """May come from another thread: it waits for the row that is being read, which is never long."""
        self._closing.set()
        with self._using:
            frames, self._frames = self._frames, None
            if frames is not None:
                frames.close()

    def index_at(self, t_ns: int) -> int:
        """The row captured at this moment of the session's clock, or the last before it; 0 before the first."""
        return max(0, int(np.searchsorted(self._opened().frame_t_ns, t_ns, side="right")) - 1)

    def _opened(self) -> RecordedFrames:
        if self._closing.is_set():
            raise Cancelled
        if self._frames is None:
            raise SourceError(f"{self.path.name} is not open.", "Open the source before reading from it.")
        return self._frames


def _span(t_ns: NDArray[np.int64]) -> dict[str, int]:
    """First and last moment of the recording, for a time line; nothing where no frame was recorded."""
    return {"first_t_ns": int(t_ns[0]), "last_t_ns": int(t_ns[-1])} if len(t_ns) else {}


def _rate(t_ns: NDArray[Any]) -> float:
    """Frames per second of a recording that does not say: from the middle interval, so that pauses do not count."""
    steps = np.diff(np.asarray(t_ns, np.int64))
    middle = float(np.median(steps)) if steps.size else 0.0
    return 1e9 / middle if middle > 0 else 0.0

"""ScriptedSource: a source that does exactly what a test says, when it says so. A fake, not a mock: it keeps the protocol.

SessionStandIn: a recording in memory with the shape of a SessionReader.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.cv import cv2
from jepa_core.errors import Cancelled, NotSeekable
from jepa_core.types import Inspection, SourceInfo, frozen
from sessions.sources.base import Grab
from tests.helpers.media import numbered_picture

WAIT_S = 10.0  # real seconds a test waits for another thread before it is called stuck


class ScriptedSource:
    """Numbered pictures at a fixed rate, with blocks and errors where the script puts them.

    blocked   frame numbers whose read waits until `release(number)`, close, or (if it minds it) the cancel token
    errors    frame number → exception its first read raises
    """

    info: SourceInfo

    def __init__(
        self,
        frames: int = 10,
        *,
        fps: float = 10.0,
        pts_ns: Sequence[int] | None = None,
        width: int = 96,
        height: int = 64,
        is_live: bool = False,
        is_seekable: bool = True,
        blocked: Sequence[int] = (),
        errors: Mapping[int, Exception] | None = None,
        minds_cancel: bool = True,
        minds_close: bool = True,
        open_error: Exception | None = None,
    ) -> None:
        self.frames = frames
        self.pts_ns = list(pts_ns) if pts_ns is not None else [round(n * 1e9 / fps) for n in range(frames)]
        self.size = (width, height)
        self.is_live, self.is_seekable, self.fps = is_live, is_seekable, fps
        self.open_error = open_error
        self.blocked = {number: threading.Event() for number in blocked}
        self.errors = dict(errors or {})
        self.minds_cancel, self.minds_close = minds_cancel, minds_close
        self.is_blocking = threading.Event()  # set while a read hangs
        self.closes = 0
        self.seeks: list[int] = []
        self.threads: set[str] = set()  # names of the threads that opened, read or sought
        self._next = 0
        self._closed = threading.Event()

    def open(self) -> None:
        self._note_thread()
        if self.open_error is not None:
            raise self.open_error
        width, height = self.size
        self.info = SourceInfo(
            name="scripted:test",
            kind="video",
            width=width,
            height=height,
            fps=self.fps,
            frames=-1 if self.is_live else self.frames,
            is_live=self.is_live,
            is_seekable=self.is_seekable and not self.is_live,
        )

    def read(self, cancel: CancelToken) -> Grab | None:
        self._note_thread()
        if self._closed.is_set() or (self.minds_cancel and cancel.is_cancelled):
            raise Cancelled
        number = self._next
        if number >= self.frames:
            return None
        if number in self.blocked:
            self._block(self.blocked[number], cancel)
        self._next = number + 1
        if number in self.errors:
            raise self.errors.pop(number)
        pts_ns = -1 if self.is_live else self.pts_ns[number]
        return Grab(index=number, rgb=frozen(numbered_picture(number, *self.size)), pts_ns=pts_ns)

    def seek(self, index: int) -> None:
        self._note_thread()
        if not self.is_seekable or not 0 <= index < self.frames:
            raise NotSeekable(f"The script has no frame {index}.")
        self.seeks.append(index)
        self._next = index

    def close(self) -> None:
        self.closes += 1
        if self.minds_close:
            self._closed.set()

    def release(self, number: int) -> None:
        """Let a blocked read go on."""
        self.blocked[number].set()

    def _block(self, gate: threading.Event, cancel: CancelToken) -> None:
        self.is_blocking.set()
        while not gate.wait(0.005):
            if (self.minds_cancel and cancel.is_cancelled) or self._closed.is_set():
                raise Cancelled
        self.is_blocking.clear()

    def _note_thread(self) -> None:
        self.threads.add(threading.current_thread().name)


@dataclass
class SessionStandIn:
    """Recorded rows in memory: `gaps` have no pixels, `looks` maps a row to the inspections that end there."""

    frames: int = 12
    gaps: frozenset[int] = frozenset()
    looks: Mapping[int, Sequence[Inspection]] = field(default_factory=dict)
    first_seq: int = 100
    is_closed: bool = False
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.n_frames = self.frames
        rows = np.arange(self.frames, dtype=np.int64)
        self.frame_seq = (rows + self.first_seq).astype(np.uint64)
        self.frame_t_ns = (
            5_000_000_000 + rows * 66_000_000 + rows % 3 * 1_000_000
        )  # live clips are not evenly spaced
        self.frame_error_ns = np.full(self.frames, 1_000_000, np.int64)
        self.frame_pts_ns = np.full(self.frames, -1, np.int64)
        self.frame_flags = np.zeros(self.frames, np.uint8)
        self.info = SourceInfo("camera:0", "camera", 192, 144, 15.0, -1, True, False, {"device": "test"})
        self._steps = [(row, look) for row in sorted(self.looks) for look in self.looks[row]]

    def frame_encoded(self, row: int) -> bytes | None:
        if row in self.gaps:
            return None
        ok, data = cv2.imencode(".png", np.ascontiguousarray(numbered_picture(row)[:, :, ::-1]))
        assert ok
        return bytes(data.tobytes())

    def frame_rgb(self, row: int) -> NDArray[np.uint8]:
        assert row not in self.gaps, "a gap has no pixels to decode"
        data: Any = np.frombuffer(self.frame_encoded(row) or b"", np.uint8)
        return frozen(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))

    def frame_action(self, row: int) -> None:
        return None

    def frame_state(self, row: int) -> None:
        return None

    def steps_for_row(self, row: int) -> list[int]:
        return [step for step, (at, _) in enumerate(self._steps) if at == row]

    def inspection(self, step: int) -> Inspection:
        return self._steps[step][1]

    def close(self) -> None:
        self.is_closed = True

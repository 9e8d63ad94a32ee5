"""The source controller: opens one source at a time, plays it, and says what becomes of it.

Owns the source thread. Its callbacks come from that thread; `on_open` comes before the first frame. A thread that had
to be abandoned in a read says nothing any more: what it says belongs to a source that is closed. Knows no Qt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from console.intake import Intake
from console.notices import Notice, SourceClosed, SourceEnded, SourceFailed, SourceOpened, TransportChanged
from jepa_core.clock import Clock
from jepa_core.errors import ConsoleError
from jepa_core.types import SourceInfo
from sessions.reader import SessionReader
from sessions.source_thread import SourceThread
from sessions.sources.base import Pace
from sessions.sources.registry import open_source
from sessions.sources.session_file import SessionFile

log = logging.getLogger(__name__)


class Playing:
    """What is being played, and how."""

    def __init__(
        self,
        *,
        clock: Clock,
        intake: Intake,
        say: Callable[[Notice], None],
        on_open: Callable[[SourceInfo], None],
        on_fault: Callable[[ConsoleError], None],
    ) -> None:
        self.info: SourceInfo | None = None
        self._clock = clock
        self._intake = intake
        self._say = say
        self._on_open = on_open
        self._on_fault = on_fault
        self._thread: SourceThread | None = None
        self._file: SessionFile | None = None
        self._switching = (
            threading.RLock()
        )  # opening and closing come from the window's thread and from the worker

    @property
    def session(self) -> SessionReader | None:
        """The open recording, when that is what is played."""
        return self._file.session if self._file is not None and self.info is not None else None

    @property
    def session_path(self) -> str:
        return str(self._file.path) if self._file is not None else ""

    @property
    def is_alive(self) -> bool:
        """Is there a source whose thread still runs? At its end a file waits to be sought."""
        thread = self._thread
        return thread is not None and thread.is_alive

    def open(self, uri: str, *, every_frame: bool, speed: float | None) -> None:
        """Close what was open, then open this. Returns at once; SourceOpened or SourceFailed follows."""
        with self._switching:
            self._close()
            self._intake.every_frame = every_frame
            try:
                source = open_source(uri)
            except ConsoleError as error:
                self._say(SourceFailed(uri, error))
                return
            self._file = source if isinstance(source, SessionFile) else None
            thread = SourceThread(
                source,
                deliver=self._intake.deliver,
                on_open=lambda info: self._opened(thread, info),
                on_end=lambda: self._ended(thread),
                on_fault=lambda error: self._failed(thread, uri, error),
                on_transport=self._transport_changed,
                clock=self._clock,
                pace=Pace.LOSSLESS if every_frame else Pace.LIVE,
                speed=speed,
            )
            self._thread = thread
            thread.start()

    def close(self) -> None:
        with self._switching:
            self._close()

    def _close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.stop()
        self._intake.end()
        self.info = None
        self._file = None
        self._say(SourceClosed())

    def play(self) -> None:
        if self._thread is not None:
            self._thread.play()

    def pause(self) -> None:
        if self._thread is not None:
            self._thread.pause()

    def step(self, n: int) -> None:
        if self._thread is not None:
            self._thread.step(n)

    def seek(self, index: int) -> None:
        if self._thread is not None:
            self._thread.seek(index)

    def seek_time(self, t_ns: int) -> None:
        """To the frame of a replay that was captured at or just before this moment."""
        if self._file is not None:
            self.seek(self._file.index_at(t_ns))

    def seek_seq(self, seq: int) -> None:
        """To the recorded frame with this number; nothing when it was not recorded."""
        row = self.session.row_of_seq(seq) if self.session is not None else None
        if row is not None and row >= 0:
            self.seek(row)

    def set_speed(self, speed: float) -> None:
        if self._thread is not None:
            self._thread.set_speed(speed)

    def set_every_frame(self, is_on: bool) -> None:
        """Whether the model sees every frame (the clock waits for it) or the newest (the model skips)."""
        self._intake.every_frame = is_on
        if self._thread is not None:
            self._thread.set_pace(Pace.LOSSLESS if is_on else Pace.LIVE)

    # --- on the source thread -----------------------------------------------------------------------------------------

    def _opened(self, thread: SourceThread, info: SourceInfo) -> None:
        if thread is not self._thread:
            return  # closed while it opened; the thread ends by itself
        self._intake.begin(info, thread.cancel)
        self.info = info
        self._on_open(info)
        self._say(SourceOpened(info))

    def _ended(self, thread: SourceThread) -> None:
        info = self.info
        if info is not None and thread is self._thread:
            self._say(SourceEnded(info))

    def _failed(self, thread: SourceThread, uri: str, error: ConsoleError) -> None:
        if thread is not self._thread:
            log.info("after it was closed, %s said: %s", uri, error.what)
            return
        self._on_fault(error)
        self._say(SourceFailed(uri, error))

    def _transport_changed(self, is_playing: bool, speed: float | None, pace: Pace) -> None:
        self._say(TransportChanged(is_playing, speed or 0.0, pace is Pace.LOSSLESS))

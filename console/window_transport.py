"""Play, pause, step, speed and seek: from keys and the transport bar to the pipeline.

Seeks by frame index only, never by time × fps. A live source is never paused: there Space freezes the view.
"""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QInputDialog

from console.notices import TransportChanged
from console.window_desk import Desk
from console.window_live import Live
from widgets.timeline import Timeline
from widgets.transport_bar import TransportBar

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Transport(QObject):
    """Owns no time: it asks, and shows what the pipeline answers."""

    def __init__(self, desk: Desk, live: Live) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._live = live
        self._is_playing = False
        self._speed = 1.0
        self._every_frame = desk.config.source.every_frame
        bar = cast(TransportBar, desk.panels["transport"])
        bar.playRequested.connect(self.play)
        bar.pauseRequested.connect(self.pause)
        bar.stepRequested.connect(self.step)
        bar.seekRequested.connect(self.seek)
        bar.speedRequested.connect(self.set_speed)
        bar.everyFrameToggled.connect(self.set_every_frame)
        timeline = cast(Timeline, desk.panels["timeline"])
        timeline.seekRequested.connect(self.seek_time)
        desk.bridge.on_notice(TransportChanged, "transport", self._changed)

    @property
    def can_seek(self) -> bool:
        info = self._desk.state.source
        return info is not None and info.is_seekable

    def toggle_play(self) -> None:
        info = self._desk.state.source
        if info is None:
            return
        if info.is_live:
            self._live.freeze(not self._live.is_frozen)
        elif self._is_playing:
            self.pause()
        else:
            self.play()

    def play(self) -> None:
        self._live.freeze(False)
        self._desk.pipeline.play()

    def pause(self) -> None:
        info = self._desk.state.source
        if info is not None and info.is_live:
            self._live.freeze(True)
        else:
            self._desk.pipeline.pause()

    def step(self, n: int) -> None:
        if self.can_seek:
            self._desk.pipeline.step(n)

    def step_back(self) -> None:
        self.step(-1)

    def step_on(self) -> None:
        self.step(1)

    def seek(self, index: int) -> None:
        info = self._desk.state.source
        if info is None or not info.is_seekable:
            return
        last = info.frames - 1 if info.frames > 0 else index
        self._desk.pipeline.seek(max(0, min(int(index), last)))

    def seek_time(self, t_ns: int) -> None:
        """The timeline was clicked. Only a session knows which frame belongs to a time."""
        info = self._desk.state.source
        if info is not None and info.kind == "session":
            self._desk.pipeline.seek_time(int(t_ns))

    def _jump(self, seconds: float) -> None:
        """By the source's nominal rate: a count of frames, exact to the frame, not to the second."""
        info, frame = self._desk.state.source, self._live.frame
        if info is None or frame is None or not info.is_seekable:
            return
        frames = max(1, round(abs(seconds) * (info.fps or 25.0)))
        self.seek(frame.index + (frames if seconds > 0 else -frames))

    def back_1s(self) -> None:
        self._jump(-1)

    def on_1s(self) -> None:
        self._jump(1)

    def back_10s(self) -> None:
        self._jump(-10)

    def on_10s(self) -> None:
        self._jump(10)

    def to_start(self) -> None:
        self.seek(0)

    def to_end(self) -> None:
        """Live: follow the newest again. Replay: the last frame."""
        info = self._desk.state.source
        timeline = cast(Timeline, self._desk.panels["timeline"])
        timeline.follow_now()
        if info is None:
            return
        if self._desk.state.screen == "live":
            self._live.freeze(False)
        elif info.frames > 0:
            self.seek(info.frames - 1)

    def shuttle_back(self) -> None:
        self.back_1s()

    def shuttle_stop(self) -> None:
        self.pause()

    def shuttle_on(self) -> None:
        """Play; pressed again, twice as fast."""
        if self._is_playing:
            self.faster()
        else:
            self.play()

    def slower(self) -> None:
        self.set_speed(max((speed for speed in SPEEDS if speed < self._speed), default=SPEEDS[0]))

    def faster(self) -> None:
        self.set_speed(min((speed for speed in SPEEDS if speed > self._speed), default=SPEEDS[-1]))

    def set_speed(self, speed: float) -> None:
        info = self._desk.state.source
        if info is not None and not info.is_live:
            self._speed = speed
            self._desk.pipeline.set_speed(speed)

    def toggle_every_frame(self) -> None:
        self.set_every_frame(not self._every_frame)

    def set_every_frame(self, is_on: bool) -> None:
        self._every_frame = is_on
        self._desk.pipeline.set_every_frame(is_on)

    def ask_frame(self) -> None:
        """Ctrl+J: a frame number."""
        info, frame = self._desk.state.source, self._live.frame
        if info is None or not info.is_seekable or info.frames <= 0:
            self._desk.say(self.tr("This source cannot be sought."), "warning")
            return
        present = frame.index if frame is not None else 0
        number, is_chosen = QInputDialog.getInt(
            self._desk.window,
            self.tr("Go to frame"),
            self.tr("Frame number, 0 to {0}").format(info.frames - 1),
            present,
            0,
            info.frames - 1,
        )
        if is_chosen:
            self.seek(number)

    def _changed(self, notice: TransportChanged) -> None:
        self._is_playing = notice.is_playing
        self._speed = notice.speed or self._speed
        self._every_frame = notice.every_frame

"""Frames and inspections from the bridge to the picture, the curve and the table.

Decides what is on the screen now: the newest frame and the newest look that is not ahead of it. Freezing the view
keeps both as they are; nothing behind the glass notices. Knows live and replay only by AppState.screen.
"""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QObject, QTimer

from console.notices import (
    CheckpointLoaded,
    CheckpointUnloaded,
    SourceClosed,
    SourceEnded,
    SourceFailed,
    SourceOpened,
    TransportChanged,
)
from console.window_desk import Desk
from jepa_core.types import Frame, Inspection, SourceInfo
from widgets.event_list import EventList
from widgets.frame_view import FrameView
from widgets.signal_table import SignalTable
from widgets.source_card import SourceCard
from widgets.timeline import Timeline
from widgets.transport_bar import TransportBar

REFRESH_MS = 66  # the curve is drawn at most 15 times a second
SIGNAL = "surprise"


class Live(QObject):
    """What is on the screen, and how it got there."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._view = cast(FrameView, desk.panels["picture"])
        self._timeline = cast(Timeline, desk.panels["timeline"])
        self._events = cast(EventList, desk.panels["events"])
        self._table = cast(SignalTable, desk.panels["signals"])
        self._bar = cast(TransportBar, desk.panels["transport"])
        self._card = cast(SourceCard, desk.panels["source"])
        self._newest: Frame | None = None
        self._look: Inspection | None = None
        self._is_frozen = False
        self._is_playing = True
        self._opened_ns = 0
        self._refresh = QTimer(self)
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(REFRESH_MS)
        self._refresh.timeout.connect(self._draw_curve)
        bridge = desk.bridge
        bridge.on_frame("picture", self._on_frame)
        bridge.on_inspection("picture", self._on_look)
        bridge.on_notice(SourceOpened, "picture", self._on_opened)
        bridge.on_notice(SourceFailed, "picture", self._on_failed)
        bridge.on_notice(SourceEnded, "picture", self._on_ended)
        bridge.on_notice(SourceClosed, "picture", self._on_closed)
        bridge.on_notice(TransportChanged, "transport", self._on_transport)
        bridge.on_notice(CheckpointLoaded, "picture", self._on_checkpoint)
        bridge.on_notice(CheckpointUnloaded, "picture", self._on_unloaded)
        self._view.framePainted.connect(self._painted)
        desk.state.screenChanged.connect(self._on_screen)

    # what others ask

    @property
    def frame(self) -> Frame | None:
        """The frame on the screen."""
        return self._view.frame

    @property
    def newest_seq(self) -> int:
        return self._newest.seq if self._newest is not None else -1

    @property
    def is_frozen(self) -> bool:
        return self._is_frozen

    def freeze(self, is_frozen: bool) -> None:
        """Keep what is on the screen, or go on with the newest. Capture, model and record go on either way."""
        self._is_frozen = is_frozen
        self._view.set_title(self._title())
        if not is_frozen and self._newest is not None:
            self._on_frame(self._newest)
        self._show_source_state()

    # frames and looks

    def _on_frame(self, frame: Frame) -> None:
        if self._newest is None:
            self._view.show_state("live")
        self._newest = frame
        if self._is_frozen or not self._is_wanted():
            return
        self._view.show_frame(frame)
        shown = self._view.inspection
        if shown is not None and shown.seq > frame.seq:
            self._view.show_inspection(None)  # a jump back: that look was of a later moment
        if self._look is not None and self._look.seq <= frame.seq and self._look is not self._view.inspection:
            self._show_look(self._look)
        self._desk.state.cursor_t_ns = frame.t_ns
        info = self._desk.state.source
        if info is not None:
            self._bar.show_position(frame.index, info.frames, self._position_ns(info, frame))
            if info.kind == "session":
                self._timeline.show_cursor(frame.t_ns)

    def _position_ns(self, info: SourceInfo, frame: Frame) -> int:
        """Of a session from its first frame, of a file from its beginning, of a live source since it was opened."""
        span = self._span(info) if info.kind == "session" else None
        if span is not None:
            return frame.t_ns - span[0]
        return frame.pts_ns if frame.pts_ns >= 0 else max(frame.t_ns - self._opened_ns, 0)

    def _on_look(self, inspection: Inspection) -> None:
        self._look = inspection
        if not self._refresh.isActive():
            self._refresh.start()
        if self._is_frozen or not self._is_wanted():
            return
        frame = self._view.frame
        if frame is not None and inspection.seq <= frame.seq:
            self._show_look(inspection)

    def _show_look(self, inspection: Inspection) -> None:
        shown = self._view.inspection
        is_again = (
            shown is not None and shown.seq == inspection.seq
        )  # another view of it: no older than it was
        if not is_again:
            is_live = self._desk.state.screen == "live"
            age_ms = (self._desk.pipeline.clock.now_ns() - inspection.t_ns) / 1e6 if is_live else None
            self._view.show_ages(age_ms)
        self._view.show_inspection(inspection)
        self._table.show_inspection(inspection)

    def _painted(self, frame: Frame) -> None:
        self._desk.pipeline.shown_now(frame)

    def _draw_curve(self) -> None:
        if self._desk.state.screen == "live":
            self._timeline.refresh(self._desk.pipeline.clock.now_ns())

    # facts about the source

    def _on_opened(self, notice: SourceOpened) -> None:
        info = notice.info
        is_session = info.kind == "session"
        self._newest = self._look = None
        self._is_frozen = False
        self._opened_ns = self._desk.pipeline.clock.now_ns()
        self._desk.state.source = info
        self._desk.state.screen = "replay" if is_session else "live"
        self._view.show_frame(None)
        self._view.show_inspection(None)
        self._view.set_title(self._title())
        if info.kind == "session" and info.frames == 0:
            self._view.show_state(
                "empty",
                self.tr("No frame was recorded."),
                self.tr("What people and the console noted is in the list."),
            )
        else:
            self._view.show_state("busy", self.tr("Waiting for the first frame."))
        self._bar.show_capabilities(info.is_seekable, info.is_live)
        self._show_tracks(info)
        self._show_source_state()

    def _show_tracks(self, info: SourceInfo) -> None:
        tracks = self._desk.pipeline.tracks
        track = tracks.get(SIGNAL)
        self._table.set_tracks(tracks)
        self._timeline.set_track(track, self.tr("Surprise"), "")
        if info.kind == "session":
            self._timeline.set_window(None)
            span = self._span(info)
            if span is not None:
                self._timeline.set_span(*span)
                self._timeline.set_origin(span[0])
                self._events.set_origin(span[0])
            self._timeline.set_empty_text(
                self.tr("This session has no recorded predictions. Recompute makes them.")
            )
        else:
            self._timeline.set_window(self._desk.config.look.timeline_seconds)
            now_ns = self._desk.pipeline.clock.now_ns()
            self._timeline.set_origin(now_ns)
            self._events.set_origin(now_ns)
            self._timeline.set_empty_text(self.tr("The curve begins when a checkpoint looks at the source."))

    def _span(self, info: SourceInfo) -> tuple[int, int] | None:
        """First and last frame time of a session, where it says them."""
        first, last = info.detail.get("first_t_ns"), info.detail.get("last_t_ns")
        return (first, last) if isinstance(first, int) and isinstance(last, int) else None

    def _on_failed(self, notice: SourceFailed) -> None:
        """Said once: on the picture where there is none to look at, on the banner where the last one stays."""
        error = notice.error
        name = notice.uri.rstrip("/").rpartition("/")[2] or notice.uri
        was_open = self._newest is not None
        self._card.show_error(name, self.tr("lost") if was_open else self.tr("not opened"))
        if not was_open:
            self._view.show_state("error", error.what, error.hint, self.tr("Open source"), error.detail)
        if was_open or not self._view.isVisible():
            self._desk.fault(error)
        else:
            self._desk.note_fault(error)

    def _on_ended(self, notice: SourceEnded) -> None:
        self._card.show_source(notice.info, "ended")

    def _on_closed(self, _notice: SourceClosed) -> None:
        if self._desk.pipeline.source_info is not None:
            return  # another one is open already
        self._newest = self._look = None
        self._desk.state.source = None
        self._view.show_frame(None)
        self._view.show_inspection(None)
        self._bar.show_empty()
        self._timeline.set_track(None)
        self._on_screen(self._desk.state.screen)
        self._show_source_state()

    def _on_transport(self, notice: TransportChanged) -> None:
        self._bar.show_transport(notice.is_playing, notice.speed, notice.every_frame)
        self._is_playing = notice.is_playing
        self._desk.actions["every_frame"].setChecked(notice.every_frame)
        self._show_source_state()

    def _on_checkpoint(self, notice: CheckpointLoaded) -> None:
        self._view.set_checkpoint(notice.info)

    def _on_unloaded(self, _notice: CheckpointUnloaded) -> None:
        self._look = None
        self._view.set_checkpoint(None)
        self._view.show_inspection(None)

    # what the screen says

    def _is_wanted(self) -> bool:
        """The screen is the one this source belongs to."""
        info = self._desk.state.source
        return info is not None and (info.kind == "session") == (self._desk.state.screen == "replay")

    def _on_screen(self, screen: str) -> None:
        """Live with a session open, or Replay with a live source: say so instead of showing the wrong thing."""
        info = self._desk.state.source
        if screen in ("start", "models"):
            return
        if self._is_wanted():
            self._view.show_state(
                "live" if self._newest is not None else "busy", self.tr("Waiting for the first frame.")
            )
            if self._newest is not None:
                self._on_frame(self._newest)
            return
        self._view.show_frame(None)
        self._view.show_inspection(None)
        if screen == "replay":
            text = self.tr("No session is open.")
            hint = self.tr("Open a recorded session (.h5), or drop one here.")
            if info is not None:
                hint += " " + self.tr("The live source goes on behind this screen until then.")
            self._view.show_state("empty", text, hint, self.tr("Open session"))
        else:
            text = self.tr("No live source is open.")
            hint = self.tr("Open a video, a folder of images or the embedded world, or drop one here.")
            self._view.show_state("empty", text, hint, self.tr("Open source"))

    def _title(self) -> str:
        if self._desk.state.source is not None and self._desk.state.source.kind == "session":
            return self.tr("RECORDED")
        return self.tr("VIEW FROZEN") if self._is_frozen else ""

    def _show_source_state(self) -> None:
        info = self._desk.state.source
        if info is None:
            self._card.show_source(None, "empty")
        else:
            self._card.show_source(
                info, "live" if info.is_live else "playing" if self._is_playing else "paused"
            )

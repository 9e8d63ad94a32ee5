"""Twice a second: how fresh and how complete everything is, onto the strip at the bottom."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QObject, QTimer

from console.notices import EventFailed, FaultCleared, Faulted, FoldProgress, RecordingStopped
from console.window_desk import Desk
from jepa_core.errors import SessionError
from jepa_core.types import Health
from widgets.health_strip import HealthStrip
from widgets.recording_badge import RecordingBadge

SAMPLE_MS = 500


class HealthSampler(QObject):
    """Samples the pipeline's Health; runs only while a source or a recording gives it something to say."""

    def __init__(self, desk: Desk, badge: RecordingBadge) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._strip = cast(HealthStrip, desk.panels["health"])
        self._badge = badge
        self._recording_since_ns = -1
        self._trouble: set[str] = set()  # codes of what is not kept
        self.latest: Health | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(SAMPLE_MS)
        self._timer.timeout.connect(self.sample)
        desk.state.sourceChanged.connect(self._on_source)
        desk.state.recordingChanged.connect(self._on_recording)
        desk.bridge.on_notice(FoldProgress, "recording badge", self._on_fold)
        desk.bridge.on_notice(Faulted, "recording badge", self._on_fault)
        desk.bridge.on_notice(EventFailed, "recording badge", self._on_fault)
        desk.bridge.on_notice(FaultCleared, "recording badge", self._on_cleared)
        desk.bridge.on_notice(RecordingStopped, "recording badge", self._on_sealed)
        self._strip.show_empty()

    def sample(self) -> None:
        self.latest = self._desk.pipeline.health()
        info = self._desk.state.checkpoint
        self._strip.show_health(self.latest, info.device if info is not None else "")
        if self._desk.state.recording is not None:
            elapsed_ns = self._desk.pipeline.clock.now_ns() - self._recording_since_ns
            if self._trouble:
                self._badge.show_trouble(self.tr("not all is saved"))
            else:
                self._badge.show_recording(elapsed_ns, self.latest.disk_seconds)

    def stop(self) -> None:
        self._timer.stop()

    def _on_recording(self, session_id: str | None) -> None:
        self._trouble.clear()
        if session_id is None:
            self._badge.show_off()
        else:
            self._recording_since_ns = self._desk.pipeline.clock.now_ns()
            self._badge.show_recording(0)

    def _on_fault(self, notice: Faulted | EventFailed) -> None:
        """The light turns red when something that should be on disk is not."""
        is_event = isinstance(notice, EventFailed)
        if self._desk.state.recording is not None and (is_event or isinstance(notice.error, SessionError)):
            self._trouble.add(notice.error.code)
            self.sample()

    def _on_cleared(self, notice: FaultCleared) -> None:
        self._trouble.discard(notice.code)

    def _on_fold(self, notice: FoldProgress) -> None:
        if self._desk.state.recovering is not None:
            return
        if self._desk.state.recording is not None and not self._desk.pipeline.is_recording:
            self._desk.state.recording = None
        if self._desk.state.recording is None:
            self._badge.show_sealing(notice.fraction)

    def _on_sealed(self, _notice: RecordingStopped) -> None:
        self._badge.show_off()

    def _on_source(self, info: object) -> None:
        if info is None:
            self._timer.stop()
            self._strip.show_empty()
        elif not self._timer.isActive():
            self._timer.start()

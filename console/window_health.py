"""Twice a second: how fresh and how complete everything is, onto the strip at the bottom."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QObject, QTimer

from console.window_desk import Desk
from jepa_core.types import Health
from widgets.health_strip import HealthStrip

SAMPLE_MS = 500


class HealthSampler(QObject):
    """Samples the pipeline's Health; runs only while a source or a recording gives it something to say."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._strip = cast(HealthStrip, desk.panels["health"])
        self.latest: Health | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(SAMPLE_MS)
        self._timer.timeout.connect(self.sample)
        desk.state.sourceChanged.connect(self._on_source)
        self._strip.show_empty()

    def sample(self) -> None:
        self.latest = self._desk.pipeline.health()
        info = self._desk.state.checkpoint
        self._strip.show_health(self.latest, info.device if info is not None else "")

    def stop(self) -> None:
        self._timer.stop()

    def _on_source(self, info: object) -> None:
        if info is None:
            self._timer.stop()
            self._strip.show_empty()
        elif not self._timer.isActive():
            self._timer.start()

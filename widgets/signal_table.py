"""The monitor's signals: value, unit, a sparkline, and where the value stands among calibrated ones.

Without a calibration it says so: a percentile of nothing is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from jepa_core.types import Inspection
from widgets.curve import Track, polygon
from widgets.parts import heading, label
from widgets.theme import Theme, current, follow
from widgets.words import number

SPARK_NS = 30_000_000_000
TITLES = {
    "surprise": "Surprise",
    "surprise_top": "Surprise, top 5 %",
    "frame_difference": "Frame difference",
}


class Sparkline(QWidget):
    """The last half minute of one signal, without numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._points: NDArray[np.float64] = np.empty((0, 2))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(48)

    def sizeHint(self) -> QSize:
        return QSize(current().px(90), current().px(20))

    def show_track(self, track: Track | None, now_ns: int) -> None:
        """The newest half minute up to now_ns."""
        self._points = np.empty((0, 2))
        if track is not None and self.width() > 1:
            t0 = now_ns - SPARK_NS
            t, low, high = track.window(t0, now_ns, self.width() // 2)
            good = np.isfinite(low) & np.isfinite(high)
            if good.any():
                x = (t[good] - t0) / SPARK_NS
                self._points = np.stack([x, (low[good] + high[good]) / 2], axis=1)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if len(self._points) < 2:
            return
        theme = current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.color("signal"), 1))  # 1 px is Qt's fast path
        x, y = self._points[:, 0] * self.width(), self._points[:, 1]
        low, high = float(y.min()), float(y.max())
        span = max(high - low, abs(high) * 0.2, 1e-9)
        y = self.height() - 2 - (y - low) / span * (self.height() - 4)
        painter.drawPolyline(polygon(np.stack([x, y], axis=1)))
        painter.end()


class SignalTable(QWidget):
    """One row per signal, in the order they were first seen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tracks: Mapping[str, Track] = {}
        self._rows: dict[str, tuple[QLabel, Sparkline, QLabel, QLabel]] = {}
        self._percentiles: Mapping[str, float] = {}
        self._titles: Mapping[str, str] = {}
        self._empty = label(
            self.tr("No signals yet: they come with the first look of a checkpoint."), "dim", wrap=True
        )
        self._note = label(
            self.tr("Not calibrated: percentiles need a calibration, none is loaded."), "small", wrap=True
        )
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Monitor")))
        self._layout.addWidget(self._empty)
        self._layout.addLayout(self._grid)
        self._layout.addWidget(self._note)
        self._layout.addStretch(1)
        self._note.hide()
        self.setAccessibleName(self.tr("Monitor signals"))
        follow(self, self._restyle)

    def set_tracks(self, tracks: Mapping[str, Track], titles: Mapping[str, str] | None = None) -> None:
        """The signals' curves by name, and what they are called on screen."""
        self._tracks = tracks
        self._titles = titles or self._titles

    def set_percentiles(self, percentiles: Mapping[str, float]) -> None:
        """Where each value stands among calibrated ones, 0..100; empty when nothing is calibrated."""
        self._percentiles = percentiles
        self._note.setVisible(bool(self._rows) and not percentiles)

    def show_inspection(self, inspection: Inspection | None) -> None:
        """The signals of the newest look."""
        if inspection is None:
            for _name, spark, words, rank in self._rows.values():
                words.setText("–")
                rank.setText("")
                spark.show_track(None, 0)
            return
        for name, value in inspection.signals.items():
            self._show(name, float(value), inspection.t_ns)
        self._empty.setVisible(not self._rows)
        self._note.setVisible(bool(self._rows) and not self._percentiles)
        self.setAccessibleDescription(self.description(inspection))

    def description(self, inspection: Inspection) -> str:
        return ", ".join(f"{self._title(name)} {number(float(v))}" for name, v in inspection.signals.items())

    def _title(self, name: str) -> str:
        return self._titles.get(name) or self.tr(TITLES.get(name, name.replace("_", " ").capitalize()))

    def _show(self, name: str, value: float, now_ns: int) -> None:
        if name not in self._rows:
            self._add(name)
        _title, spark, words, rank = self._rows[name]
        track = self._tracks.get(name)
        words.setText(number(value))
        percentile = self._percentiles.get(name)
        rank.setText(f"p{percentile:.3g}" if percentile is not None else "")
        rank.setVisible(percentile is not None)
        words.setToolTip(f"{value:.6g} {getattr(track, 'unit', '')}".strip())
        spark.show_track(track, now_ns)

    def _add(self, name: str) -> None:
        n = len(self._rows)
        title, spark, value, rank = (
            label(self._title(name)),
            Sparkline(),
            label("–", "mono"),
            label("", "small"),
        )
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for column, widget in enumerate((title, spark, value, rank)):
            self._grid.addWidget(widget, n, column)
        self._rows[name] = (title, spark, value, rank)
        self._restyle(current())

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(4))
        self._layout.setSpacing(theme.px(6))
        self._grid.setHorizontalSpacing(theme.px(8))
        self._grid.setVerticalSpacing(theme.px(6))
        for _title, _spark, value, _rank in self._rows.values():
            value.setMinimumWidth(theme.px(44))

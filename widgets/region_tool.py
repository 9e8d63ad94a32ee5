"""Drawing a rectangle on the picture: what is dragged now, and the one that was drawn.

Plain state of a FrameView, in widget pixels while dragging and in frame pixels afterwards.
"""

from __future__ import annotations

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from jepa_core.types import Box
from widgets.overlays.base import Stage

LEAST_SIDE = 4  # widget pixels; less is a click


class RegionTool:
    """In the hand or not."""

    def __init__(self) -> None:
        self.is_on = False
        self.region: Box | None = None  # drawn, frame pixels
        self._drag: tuple[QPointF, QPointF] | None = None

    @property
    def is_dragging(self) -> bool:
        return self._drag is not None

    def take(self, is_on: bool) -> None:
        """Pick it up or put it down; a rectangle half drawn is gone."""
        self.is_on, self._drag = is_on, None

    def press(self, at: QPointF) -> None:
        self._drag = (at, at)

    def move(self, at: QPointF) -> None:
        if self._drag is not None:
            self._drag = (self._drag[0], at)

    def release(self, at: QPointF, stage: Stage) -> Box | None:
        """The rectangle in frame pixels, inside the picture; None when it was only a click."""
        drag, self._drag = self._drag, None
        if drag is None:
            return None
        rect = QRectF(drag[0], at).normalized().intersected(stage.picture)
        if rect.width() < LEAST_SIDE or rect.height() < LEAST_SIDE:
            return None
        first, last = stage.to_frame(rect.topLeft()), stage.to_frame(rect.bottomRight())
        self.region = (first.x(), first.y(), last.x() - first.x(), last.y() - first.y())
        return self.region

    def paint(self, painter: QPainter, stage: Stage) -> None:
        """The rectangle being drawn, or the one that was drawn while the tool is in the hand."""
        rect = None
        if self._drag is not None:
            rect = QRectF(*self._drag).normalized().intersected(stage.picture)
        elif self.region is not None and self.is_on:
            rect = stage.box_to_widget(self.region)
        if rect is None:
            return
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for width, role in ((4.0, "ink_dark"), (2.0, "ink_light")):
            painter.setPen(QPen(stage.theme.color(role), width))
            painter.drawRect(rect)
        painter.drawLine(QLineF(rect.topLeft(), rect.bottomRight()))

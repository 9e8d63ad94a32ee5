"""Which part of the picture the model was not shown: neutral dim, diagonal hatch, black and white double outline.

Drawn as vectors without any hue, so that it survives every colour underneath and every pair of eyes. When the whole
square was hidden (predicting the future), only its rim is hatched: the picture stays readable and the words say it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QBrush, QPainter, QPainterPath, QPen, QPixmap

from jepa_core.types import Inspection, TokenLayout
from widgets.outlines import cells, draw_double, outline
from widgets.overlays.base import Stage, target_map
from widgets.theme import Theme


class MasksOverlay:
    """Outlines the target tokens of the newest time step. Paints nothing where tokens have no place."""

    def __init__(self) -> None:
        self._layout: TokenLayout | None = None
        self._hidden: NDArray[np.bool_] | None = None
        self._cells = QPainterPath()
        self._lines: list[QLineF] = []
        self._tile: tuple[Theme, float, QPixmap] | None = None

    def prepare(self, inspection: Inspection | None) -> None:
        hidden = None if inspection is None else target_map(inspection)
        self._layout = None if inspection is None else inspection.layout
        if hidden is not None and self._hidden is not None and np.array_equal(hidden, self._hidden):
            return
        self._hidden = hidden
        self._cells, self._lines = QPainterPath(), []
        if hidden is not None:
            self._cells, self._lines = cells(hidden), outline(hidden)

    @property
    def covers_all(self) -> bool:
        return self._hidden is not None and bool(self._hidden.all())

    def outline(self) -> list[QLineF]:
        """Boundary of the hidden region in token columns and rows."""
        return self._lines

    def paint(self, painter: QPainter, stage: Stage) -> None:
        if self._hidden is None or self._layout is None or not self._lines:
            return
        transform = stage.token_transform(self._layout)
        region = transform.map(self._cells)
        painter.save()
        if self.covers_all:
            region = _rim(stage.box_to_widget(self._layout.crop), stage.theme.px(10))
        elif not stage.has_raster:
            painter.fillPath(region, stage.theme.color("veil", 0.45))
        painter.fillPath(region, QBrush(self._hatch(stage.theme, 0.42 if stage.has_raster else 0.6)))
        draw_double(painter, stage.theme, [transform.map(line) for line in self._lines])
        painter.restore()

    def _hatch(self, theme: Theme, alpha: float) -> QPixmap:
        """A tile of diagonal lines, white beside black so that one of the two is seen on any ground."""
        if self._tile is not None and self._tile[:2] == (theme, alpha):
            return self._tile[2]
        side = theme.px(10)
        tile = QPixmap(side, side)
        tile.fill(Qt.GlobalColor.transparent)
        painter = QPainter(tile)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for shift, role in ((1.3, "ink_dark"), (0.0, "ink_light")):
            painter.setPen(QPen(theme.color(role, alpha), 1.2))
            for start in (-side, 0, side):
                painter.drawLine(QLineF(start + shift, side, start + side + shift, 0))
        painter.end()
        self._tile = (theme, alpha, tile)
        return tile


def _rim(square: QRectF, width: float) -> QPainterPath:
    path = QPainterPath()
    path.addRect(square)
    inner = QPainterPath()
    inner.addRect(square.adjusted(width, width, -width, -width))
    return path.subtracted(inner)

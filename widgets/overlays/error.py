"""Predicted versus actual error, one flat block per token, over the square the model saw.

The picture of the error has as many pixels as there are tokens; the painter enlarges it without smoothing, because a
smooth map would claim a resolution the model does not have. Values above the scale are hatched, not saturated quietly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QImage, QPainter, QPainterPath

from jepa_core.types import Inspection, TokenLayout
from widgets.colormaps import Scale, color_error
from widgets.overlays.base import Stage, error_map


class ErrorOverlay:
    """Colours errors on a locked scale. Paints nothing for slots and global latents."""

    def __init__(self) -> None:
        self._error: NDArray[np.float32] | None = None
        self._layout: TokenLayout | None = None
        self._key: tuple[Scale, str] | None = None
        self._rgba: NDArray[np.uint8] | None = None
        self._image = QImage()
        self._clipped = QPainterPath()

    def prepare(self, inspection: Inspection | None) -> None:
        self._error = None if inspection is None else error_map(inspection)
        self._layout = None if inspection is None else inspection.layout
        self._key = None

    def image(self, scale: Scale, color_map: str) -> NDArray[np.uint8] | None:
        """(H', W', 4) uint8 RGBA as it is laid over the picture; None when there is no map to show."""
        if self._error is None:
            return None
        self._color(scale, color_map)
        return self._rgba

    def paint(self, painter: QPainter, stage: Stage) -> None:
        if self._error is None or self._layout is None:
            return
        self._color(stage.scale, stage.color_map)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(stage.box_to_widget(self._layout.crop), self._image)
        if not self._clipped.isEmpty():
            path = stage.token_transform(self._layout).map(self._clipped)
            painter.fillPath(path, QBrush(stage.theme.color("ink_dark", 0.55), Qt.BrushStyle.FDiagPattern))
        painter.restore()

    def _color(self, scale: Scale, color_map: str) -> None:
        if self._key == (scale, color_map) or self._error is None:
            return
        self._key = (scale, color_map)
        self._rgba = color_error(self._error, scale, color_map)
        height, width = self._error.shape
        self._image = QImage(self._rgba.data, width, height, width * 4, QImage.Format.Format_RGBA8888)
        self._clipped = QPainterPath()
        with np.errstate(invalid="ignore"):
            rows, columns = np.nonzero(self._error > scale.high)
        for row, column in zip(
            rows.tolist(), columns.tolist(), strict=True
        ):  # the few tokens beyond the scale
            self._clipped.addRect(QRectF(column, row, 1, 1))

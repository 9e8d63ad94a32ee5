"""A small picture with one pixel per token, laid over a box without smoothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter


class Raster:
    """Keeps the pixels as long as the image borrows them. The painter enlarges each token to a flat block, because a
    smooth map would claim a resolution the model does not have."""

    def __init__(self) -> None:
        self.rgba: NDArray[np.uint8] | None = None
        self._image = QImage()

    def set(self, rgba: NDArray[np.uint8] | None) -> None:
        """(H', W', 4) uint8, not premultiplied; None paints nothing."""
        self.rgba = None if rgba is None else np.ascontiguousarray(rgba)
        if self.rgba is None:
            self._image = QImage()
            return
        height, width, _ = self.rgba.shape
        self._image = QImage(self.rgba.data, width, height, width * 4, QImage.Format.Format_RGBA8888)

    def paint(self, painter: QPainter, box: QRectF) -> None:
        if self.rgba is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(box, self._image)
        painter.restore()

"""What the prediction of one chosen object slot looked at: a line to every slot, as thick as the share it got.

Lines run between the middles of the slots' own regions and carry their share in words. Drawn without any hue, so that
it survives every colour underneath. Paints nothing for layouts without slots, or without regions to draw between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from jepa_core.types import Inspection, TokenLayout
from widgets import latent_maps
from widgets.outlines import draw_double, outline
from widgets.overlays.base import Stage

LEAST = 0.01  # a smaller share gets no line; the table has all of them
THICKEST = 16.0  # logical pixels of a share of 1


class AttentionOverlay:
    """Lines from the chosen slot. Prepared once per look."""

    def __init__(self) -> None:
        self._layout: TokenLayout | None = None
        self._shape = (1, 1)
        self._chosen = 0
        self._shares: NDArray[np.float32] | None = None  # (S,)
        self._middles: NDArray[np.float64] | None = None  # (S, 2) columns, rows
        self._lines: list[QLineF] = []

    def prepare(self, inspection: Inspection | None) -> None:
        self._layout = None
        if inspection is None or inspection.attention is None:
            return
        slot, places = latent_maps.chosen_slot(inspection), latent_maps.chosen_places(inspection)
        if slot is None or places is None or inspection.regions is None:
            return
        self._layout, self._shape, self._chosen = inspection.layout, places.shape, slot
        self._shares = inspection.attention[slot]
        self._middles = middles(inspection.regions)
        self._lines = outline(places)

    def links(self) -> list[tuple[int, float]]:
        """(slot, share) of every line that is drawn, in the order of the slots; the chosen slot itself is not one."""
        if self._layout is None or self._shares is None:
            return []
        shares = enumerate(self._shares.tolist())
        return [(slot, share) for slot, share in shares if share >= LEAST and slot != self._chosen]

    def paint(self, painter: QPainter, stage: Stage) -> None:
        if self._layout is None or self._middles is None or self._shares is None:
            return
        transform = stage.cell_transform(self._layout, *self._shape)
        points = [transform.map(QPointF(column, row)) for column, row in self._middles.tolist()]
        painter.save()
        draw_double(painter, stage.theme, [transform.map(line) for line in self._lines])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        links = [(points[slot], share, slot) for slot, share in self.links()]
        for role, more in (("ink_dark", 2.0), ("ink_light", 0.0)):
            for end, share, _ in links:
                pen = QPen(stage.theme.color(role, 0.9), more + max(1.0, THICKEST * share) * stage.theme.zoom)
                pen.setCapStyle(Qt.PenCapStyle.RoundCap)
                painter.setPen(pen)
                painter.drawLine(points[self._chosen], end)
        own = float(self._shares[self._chosen])
        for at, share, slot in [*links, (points[self._chosen], own, self._chosen)]:
            _label(painter, stage, at, _words(slot, share))
        painter.restore()


def middles(regions: NDArray[np.float32]) -> NDArray[np.float64]:
    """(S, h, w) shares → (S, 2) the middle of each slot's region, columns and rows; of an empty one the map's middle."""
    _, rows, columns = regions.shape
    weights = regions.astype(np.float64)
    total = weights.sum(axis=(1, 2))
    column = (weights * (np.arange(columns) + 0.5)).sum(axis=(1, 2))
    row = (weights * (np.arange(rows) + 0.5)[:, None]).sum(axis=(1, 2))
    found = np.tile([columns / 2, rows / 2], (len(regions), 1)).astype(np.float64)
    has_region = total > 0
    found[has_region] = np.stack([column, row], axis=1)[has_region] / total[has_region, None]
    return found


def _label(painter: QPainter, stage: Stage, at: QPointF, words: str) -> None:
    painter.setFont(stage.theme.font("small", bold=True))
    metrics = painter.fontMetrics()
    wide, high = metrics.horizontalAdvance(words) + stage.theme.px(10), metrics.height() + stage.theme.px(4)
    box = QRectF(at.x() - wide / 2, at.y() - high / 2, wide, high)
    room = stage.picture
    box.moveLeft(min(max(box.left(), room.left()), room.right() - wide))
    box.moveTop(min(max(box.top(), room.top()), room.bottom() - high))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(stage.theme.color("ink_dark", 0.8))
    painter.drawRoundedRect(box, 4, 4)
    painter.setPen(stage.theme.color("ink_light"))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)


def _words(slot: int, share: float) -> str:
    text = QCoreApplication.translate("AttentionOverlay", "slot {0} · {1:.0f} %")
    return text.format(slot + 1, 100 * share)

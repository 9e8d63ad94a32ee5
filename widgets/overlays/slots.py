"""Object slots: the outline of every slot's own region, filled by its one error, its number in the middle, and a list.

A region is the patches that a slot explains more of than any other slot does, in flat blocks, because the model knows
no finer ones. The fill is on the locked scale of the error and only there while the error is on. Where regions are not
known there is the list alone; layouts without slots get nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QLineF, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter

from jepa_core.types import Inspection, TokenLayout
from widgets.colormaps import Scale, color_error, table
from widgets.latent_maps import slot_map
from widgets.outlines import cells, draw_double, outline
from widgets.overlays.base import Stage
from widgets.raster import Raster
from widgets.slot_facts import error_places, exchanged, slot_errors
from widgets.words import number

LEAST_ROOM = 220  # logical pixels; a smaller picture has no room for the list


class SlotsOverlay:
    """One look's slots. Outlines and the list follow the look, the fill also the scale."""

    def __init__(self) -> None:
        self._layout: TokenLayout | None = None
        self._slots: NDArray[np.int64] | None = None  # (h, w)
        self._places: NDArray[np.float32] | None = None  # (h, w) errors
        self._errors: NDArray[np.float32] | None = None  # (S,)
        self._exchanged: dict[int, int] = {}
        self._lines: list[QLineF] = []
        self._middles: dict[int, QPointF] = {}
        self._raster = Raster()
        self._key: tuple[Scale, str] | None = None

    def prepare(self, inspection: Inspection | None) -> None:
        self._layout = self._key = None
        if inspection is None or inspection.layout.kind != "slots":
            return
        self._layout = inspection.layout
        self._slots, self._places = slot_map(inspection), error_places(inspection)
        self._errors, self._exchanged = slot_errors(inspection), exchanged(inspection)
        self._lines, self._middles = [], {}
        if self._slots is None:
            return
        for slot in np.unique(self._slots).tolist():
            region = self._slots == slot
            self._lines += outline(region)
            self._middles[slot] = _middle(region)

    def image(self, scale: Scale, color_map: str) -> NDArray[np.uint8] | None:
        """(h, w, 4) uint8 RGBA of the fill; None where there is none."""
        self._color(scale, color_map)
        return self._raster.rgba

    def rows(self) -> list[tuple[int, str, str]]:
        """(slot, its error in words, what is remarkable of it) of every slot."""
        if self._layout is None:
            return []
        rows = []
        for slot in range(self._layout.shape[1]):
            value = "" if self._errors is None else number(float(self._errors[slot]))
            rows.append((slot, value, self._remark(slot)))
        return rows

    def paint(self, painter: QPainter, stage: Stage) -> None:
        if self._layout is None:
            return
        painter.save()
        if self._slots is not None:
            self._paint_places(painter, stage, *self._slots.shape)
        if min(stage.picture.width(), stage.picture.height()) >= stage.theme.px(LEAST_ROOM):
            self._paint_list(painter, stage)
        painter.restore()

    def _paint_places(self, painter: QPainter, stage: Stage, rows: int, columns: int) -> None:
        assert self._layout is not None
        transform = stage.cell_transform(self._layout, rows, columns)
        if "error" in stage.layers and self._places is not None:
            self._color(stage.scale, stage.color_map)
            self._raster.paint(painter, stage.box_to_widget(self._layout.crop))
            with np.errstate(invalid="ignore"):
                beyond = self._places > stage.scale.high
            if beyond.any():  # hatched, not saturated quietly
                hatch = QBrush(stage.theme.color("ink_dark", 0.55), Qt.BrushStyle.FDiagPattern)
                painter.fillPath(transform.map(cells(beyond)), hatch)
        draw_double(painter, stage.theme, [transform.map(line) for line in self._lines], 1.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for slot, middle in self._middles.items():
            _paint_number(painter, stage, transform.map(middle), str(slot + 1))

    def _paint_list(self, painter: QPainter, stage: Stage) -> None:
        """Beside the square where there is room, else in its upper left corner: a line per slot, its colour, its error, and what is remarkable."""
        assert self._layout is not None
        theme, rows = stage.theme, self.rows()
        if not any(value or remark for _, value, remark in rows):
            return
        painter.setFont(theme.font("small"))
        metrics = painter.fontMetrics()
        names = [_tr("slot {0}").format(slot + 1) for slot, _, _ in rows]
        name, value, remark = (
            max((metrics.horizontalAdvance(text) for text in texts), default=0)
            for texts in (names, [row[1] for row in rows], [row[2] for row in rows])
        )
        pad, line, gap = theme.px(8), metrics.height() + theme.px(3), theme.px(8)
        wide = theme.px(10) + gap + name + (gap + value if value else 0) + (gap + remark if remark else 0)
        size = QSizeF(wide + 2 * pad, line * len(rows) + 2 * pad)
        box = _beside(stage.box_to_widget(self._layout.crop), stage.picture, size, theme.px(8))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("ink_dark", 0.86))
        painter.drawRoundedRect(box, theme.px(5), theme.px(5))
        shown = table(stage.color_map)
        for n, (slot, words, extra) in enumerate(rows):
            top, left = box.top() + pad + n * line, box.left() + pad
            swatch = QRectF(left, top + (line - theme.px(10)) / 2, theme.px(10), theme.px(10))
            painter.setPen(theme.color("ink_light", 0.8))
            painter.setBrush(self._swatch(slot, stage.scale, shown))
            painter.drawRect(swatch)
            painter.setPen(theme.color("ink_light"))
            left += theme.px(10) + gap
            for text, room in ((names[n], name), (words, value), (extra, remark)):
                if room:
                    painter.drawText(QRectF(left, top, room + 2, line), Qt.AlignmentFlag.AlignVCenter, text)
                    left += room + gap

    def _swatch(self, slot: int, scale: Scale, colors: NDArray[np.uint8]) -> QBrush:
        """The error's colour at its full strength, as in the colour bar; empty where there is no error."""
        if self._errors is None or not np.isfinite(self._errors[slot]):
            return QBrush(Qt.BrushStyle.NoBrush)
        fraction = float(np.clip(scale.fraction(self._errors[slot : slot + 1])[0], 0.0, 1.0))
        return QBrush(QColor(*(int(part) for part in colors[round(255 * fraction)])))

    def _remark(self, slot: int) -> str:
        if slot in self._exchanged:
            return _tr("predicted as slot {0}").format(self._exchanged[slot] + 1)
        if self._slots is not None and slot not in self._middles:
            return _tr("explains no patch most")
        return ""

    def _color(self, scale: Scale, color_map: str) -> None:
        if self._key == (scale, color_map):
            return
        self._key = (scale, color_map)
        places = self._places if self._layout is not None else None
        self._raster.set(None if places is None else color_error(places, scale, color_map))


def _beside(square: QRectF, picture: QRectF, size: QSizeF, gap: float) -> QRectF:
    """Where the list covers nothing of the square: left of it, right of it; else inside its corner."""
    top = picture.top() + gap
    for left in (square.left() - gap - size.width(), square.right() + gap):
        if left >= picture.left() + gap and left + size.width() <= picture.right() - gap:
            return QRectF(QPointF(left, top), size)
    return QRectF(square.intersected(picture).topLeft() + QPointF(gap, gap), size)


def _middle(region: NDArray[np.bool_]) -> QPointF:
    """The middle of the region's patch that is nearest to the middle of all of them: inside it, whatever its shape."""
    rows, columns = np.nonzero(region)
    nearest = ((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).argmin()
    return QPointF(float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5)


def _paint_number(painter: QPainter, stage: Stage, at: QPointF, words: str) -> None:
    theme = stage.theme
    painter.setFont(theme.font("small", bold=True))
    side = max(painter.fontMetrics().height(), painter.fontMetrics().horizontalAdvance(words)) + theme.px(6)
    disc = QRectF(at.x() - side / 2, at.y() - side / 2, side, side)
    painter.setPen(theme.color("ink_light"))
    painter.setBrush(theme.color("ink_dark", 0.85))
    painter.drawEllipse(disc)
    painter.drawText(disc, Qt.AlignmentFlag.AlignCenter, words)


def _tr(text: str) -> str:
    return QCoreApplication.translate("SlotsOverlay", text)

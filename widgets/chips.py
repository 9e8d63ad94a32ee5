"""Words painted beside and on the picture: bordered chips, a caption in a corner, a dashed square."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from widgets.theme import Theme

Piece = tuple[str, str, bool]
"""Words, colour role, bold."""

_Span = tuple[str, Piece, float]  # what is drawn, of which piece, how wide


def paint_chip(
    painter: QPainter,
    theme: Theme,
    variants: Sequence[list[Piece]],
    width: float,
    middle: float,
    *,
    mono: bool = False,
) -> None:
    """A box at the left edge with the first variant that fits into `width`, or the last one cut; `middle` is its y."""
    left, pad, height = theme.px(12), theme.px(9), theme.px(28)
    room = width - 2 * left - 2 * pad
    spans: list[_Span] = []
    for pieces in variants:
        spans = [(piece[0], piece, _width(painter, theme, piece, mono)) for piece in pieces]
        if sum(span[2] for span in spans) <= room:
            break
    if not spans:
        return
    spans = _cut(painter, theme, spans, room, mono)
    box = QRectF(left, middle - height / 2, sum(span[2] for span in spans) + 2 * pad, height)
    painter.setPen(QPen(theme.color("line"), 1))
    painter.setBrush(theme.color("chip", 0.92))
    painter.drawRoundedRect(box, theme.px(5), theme.px(5))
    x = box.left() + pad
    for text, (_whole, role, bold), wide in spans:
        painter.setFont(theme.font("body", mono=mono, bold=bold))
        painter.setPen(theme.color(role))
        painter.drawText(QRectF(x, box.top(), wide + 2, height), Qt.AlignmentFlag.AlignVCenter, text)
        x += wide


def paint_caption(
    painter: QPainter, theme: Theme, variants: Sequence[str], area: QRectF, inset: float
) -> None:
    """The first of the variants that fits, light on dark in the lower right corner of `area`; nothing if none does."""
    painter.setFont(theme.font("small"))
    metrics = painter.fontMetrics()
    for words in variants:
        wide, high = metrics.horizontalAdvance(words) + theme.px(12), metrics.height() + theme.px(4)
        if wide <= area.width() - 2 * inset:
            box = QRectF(0, 0, wide, high)
            box.moveBottomRight(area.bottomRight() - QPointF(inset, inset))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("ink_dark", 0.7))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(theme.color("ink_light"))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
            return


def paint_sentence(painter: QPainter, theme: Theme, words: str, area: QRectF) -> None:
    """A sentence in the middle of `area`, wrapped, light on dark: in place of a picture."""
    painter.setFont(theme.font("big", bold=True))
    pad = theme.px(16)
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    room = QRectF(0, 0, min(area.width() - 4 * pad, theme.px(460)), area.height() - 4 * pad)
    box = QRectF(painter.fontMetrics().boundingRect(room.toRect(), int(flags), words))
    box.moveCenter(area.center())
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("ink_dark", 0.8))
    painter.drawRoundedRect(box.adjusted(-pad, -pad, pad, pad), theme.px(8), theme.px(8))
    painter.setPen(theme.color("ink_light"))
    painter.drawText(box, int(flags), words)


def paint_dashed(painter: QPainter, theme: Theme, square: QRectF) -> None:
    """A dashed square, white and black in turn so that it is seen on any ground."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for offset, role in ((4, "ink_dark"), (0, "ink_light")):
        pen = QPen(theme.color(role, 0.75), 1)
        pen.setDashPattern([4, 4])
        pen.setDashOffset(offset)
        painter.setPen(pen)
        painter.drawRect(square)


def _width(painter: QPainter, theme: Theme, piece: Piece, mono: bool) -> float:
    painter.setFont(theme.font("body", mono=mono, bold=piece[2]))
    return float(painter.fontMetrics().horizontalAdvance(piece[0]))


def _cut(painter: QPainter, theme: Theme, spans: list[_Span], room: float, mono: bool) -> list[_Span]:
    """As many pieces as there is room for, the last of them with an ellipsis."""
    kept: list[_Span] = []
    for text, piece, wide in spans:
        if wide > room:
            painter.setFont(theme.font("body", mono=mono, bold=piece[2]))
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(max(room, 0)))
            return [*kept, (text, piece, float(painter.fontMetrics().horizontalAdvance(text)))]
        kept.append((text, piece, wide))
        room -= wide
    return kept

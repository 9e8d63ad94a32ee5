"""One shape, colour and word per kind of event, everywhere the same. Shape and word carry the meaning; colour helps.

A mark is hollow until its event is on disk, then solid; crossed when it could not be saved. A note is a ring, which
gets a dot when it is on disk. A flag of the monitor is always hollow: it is not a person's judgement.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath, QPen, QPixmap

from widgets.theme import Theme


@dataclass(frozen=True, slots=True)
class MarkStyle:
    glyph: str  # the same shape as a character, for lists and buttons
    shape: str
    token: str  # colour role of the fill
    text_token: str  # colour role when the shape is written as a character
    word: str
    is_hollow: bool = False


MARKS: dict[str, MarkStyle] = {
    "near_miss": MarkStyle("▲", "triangle", "near_miss", "near_miss_text", "near miss"),
    "override": MarkStyle("◆", "diamond", "override", "override_text", "override"),
    "flag": MarkStyle("△", "triangle", "flag", "flag_text", "flag", is_hollow=True),
    "bookmark": MarkStyle("●", "disc", "bookmark", "accent_text", "bookmark"),
    "note": MarkStyle("○", "disc", "dim", "dim", "note", is_hollow=True),
    "fault": MarkStyle("■", "square", "health", "health_text", "fault"),
    "good": MarkStyle("✓", "tick", "good", "ok", "good"),
    "review": MarkStyle("★", "star", "review", "text", "review verdict"),
    "stop": MarkStyle("■", "square", "near_miss", "near_miss_text", "stop"),
    "incident": MarkStyle("▲", "triangle", "near_miss", "near_miss_text", "incident"),
    "status": MarkStyle("○", "disc", "dim", "dim", "status", is_hollow=True),
    "other": MarkStyle("○", "disc", "dim", "dim", "event", is_hollow=True),
}

_SAME = {  # names of the session format that are shown under another word
    "monitor_alarm": "flag",
    "correction": "note",
    "acknowledgement": "good",
    "blocked_action": "fault",
    "takeover_request": "flag",
    "handover": "note",
}


def mark_of(kind: str) -> MarkStyle:
    """The mark of a kind, by any spelling of the session format ("NEAR_MISS", "monitor_alarm")."""
    key = kind.lower()
    return MARKS.get(_SAME.get(key, key), MARKS["other"])


def word_of(kind: str) -> str:
    return QCoreApplication.translate("marks", mark_of(kind).word)


def shape_path(shape: str, size: float) -> QPainterPath:
    """The outline of a shape around the origin, `size` pixels across."""
    r = size / 2
    path = QPainterPath()
    if shape == "disc":
        path.addEllipse(QPointF(0, 0), r * 0.85, r * 0.85)
    elif shape == "square":
        path.addRect(QRectF(-r * 0.8, -r * 0.8, r * 1.6, r * 1.6))
    elif shape == "tick":
        _polygon(path, [(-0.9, 0.05), (-0.55, -0.3), (-0.2, 0.1), (0.6, -0.8), (0.95, -0.5), (-0.2, 0.75)], r)
    elif shape == "star":
        _polygon(
            path,
            [(0, -1), (0.24, -0.33), (0.95, -0.31), (0.38, 0.13), (0.59, 0.81),
             (0, 0.4), (-0.59, 0.81), (-0.38, 0.13), (-0.95, -0.31), (-0.24, -0.33)],
            r,
        )  # fmt: skip
    elif shape == "diamond":
        _polygon(path, [(0, -1), (1, 0), (0, 1), (-1, 0)], r)
    else:
        _polygon(path, [(0, -0.9), (1, 0.8), (-1, 0.8)], r)
    return path


def _polygon(path: QPainterPath, points: list[tuple[float, float]], r: float) -> None:
    path.moveTo(points[0][0] * r, points[0][1] * r)
    for x, y in points[1:]:
        path.lineTo(x * r, y * r)
    path.closeSubpath()


def draw_mark(
    painter: QPainter,
    kind: str,
    at: QPointF,
    size: float,
    theme: Theme,
    *,
    is_saved: bool = True,
    is_failed: bool = False,
) -> None:
    """Paint the mark of `kind` centred on `at`. The outline keeps it visible on either theme."""
    style = mark_of(kind)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(at)
    path = shape_path(style.shape, size)
    fill = theme.color(style.token)
    if style.is_hollow or not is_saved or is_failed:
        edge = fill if theme.is_dark and not _is_deep(fill) else theme.color(style.text_token)
        painter.setPen(QPen(edge, max(1.5, size / 8)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
    else:
        painter.setPen(QPen(theme.color("mark_outline"), max(1.0, size / 14)))
        painter.setBrush(QBrush(fill))
    painter.drawPath(path)
    if style.is_hollow and style.shape == "disc" and is_saved and not is_failed:
        painter.setBrush(QBrush(painter.pen().color()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(QPointF(0, 0), size * 0.2, size * 0.2)
    if is_failed:
        r = size * 0.62
        painter.setPen(QPen(theme.color("bad"), max(2.0, size / 7)))
        painter.drawLine(QPointF(-r, r), QPointF(r, -r))
        painter.drawLine(QPointF(-r, -r), QPointF(r, r))
    painter.restore()


def _is_deep(color: QColor) -> bool:
    """Too dark to stand as a thin line on the dark theme."""
    return color.lightnessF() < 0.4


def mark_pixmap(kind: str, theme: Theme, *, is_saved: bool = True, is_failed: bool = False) -> QPixmap:
    """The mark as a picture for lists."""
    side, scale = theme.px(16), 2
    made = QPixmap(side * scale, side * scale)
    made.setDevicePixelRatio(scale)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    draw_mark(
        painter, kind, QPointF(side / 2, side / 2), side * 0.75, theme, is_saved=is_saved, is_failed=is_failed
    )
    painter.end()
    return made

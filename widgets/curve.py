"""Curves over time: the axis, the line of a signal, a threshold. Functions that paint into a rectangle.

Nothing here loops over samples: a curve is written into the polygon's memory at once.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF
from shiboken6 import VoidPtr

from widgets.theme import Theme
from widgets.words import clock, number

SECOND = 1_000_000_000
_STEPS_S = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    43200,
    86400,
)

Curve = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""t_ns, least and greatest value of each drawn column."""


class Track(Protocol):
    """What is needed of a SignalTrack to draw it."""

    @property
    def unit(self) -> str: ...

    def window(self, t0: int, t1: int, columns: int) -> Curve:
        """At most `columns` columns between t0 and t1, ns."""
        ...


def highest(curve: Curve) -> float:
    """The greatest finite value, 0 if there is none."""
    high = curve[2]
    return float(np.nanmax(high)) if np.isfinite(high).any() else 0.0


def round_up(value: float) -> float:
    """The next of … 0.1, 0.2, 0.5, 1, 2, 5 … above the value with a little room."""
    if not math.isfinite(value) or value <= 0:
        return 0.1
    value *= 1.08
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0, 20.0) if step * power >= value)


def paint_axis(painter: QPainter, theme: Theme, plot: QRectF, view: tuple[int, int], origin_ns: int) -> None:
    """Hairlines at round times of the clock that starts at `origin_ns`, and the times below the plot."""
    t0, t1 = view
    painter.setFont(theme.font("small", mono=True))
    metrics = painter.fontMetrics()
    least = (
        (t1 - t0) / SECOND * (metrics.horizontalAdvance("00:00:00.0") + theme.px(24)) / max(plot.width(), 1)
    )
    step = next((s for s in _STEPS_S if s >= least), _STEPS_S[-1])
    first, last = math.ceil((t0 - origin_ns) / SECOND / step), math.floor((t1 - origin_ns) / SECOND / step)
    for n in range(first, last + 1):
        since = int(n * step * SECOND)
        x = round(plot.left() + (origin_ns + since - t0) / (t1 - t0) * plot.width()) + 0.5
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        words = clock(since, parts=1 if step < 1 else 0)
        at = QRectF(
            x + theme.px(3),
            plot.bottom() + theme.px(3),
            metrics.horizontalAdvance(words) + 2,
            metrics.height(),
        )
        if at.right() <= plot.right() + theme.px(12):
            painter.setPen(theme.color("dim"))
            painter.drawText(at, Qt.AlignmentFlag.AlignLeft, words)


def paint_curve(
    painter: QPainter, theme: Theme, plot: QRectF, view: tuple[int, int], ceiling: float, curve: Curve
) -> None:
    """The curve between 0 and `ceiling`, and these two numbers in the gutter left of the plot."""
    t, low, high = curve
    t0, t1 = view
    y_of = plot.height() / max(ceiling, 1e-9)
    points = np.empty((len(t) * 2, 2))
    points[0::2, 0] = points[1::2, 0] = plot.left() + (t - t0).astype(np.float64) / (t1 - t0) * plot.width()
    points[0::2, 1], points[1::2, 1] = plot.bottom() - low * y_of, plot.bottom() - high * y_of
    painter.save()
    painter.setClipRect(plot.adjusted(0, -2, 0, 2))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    # A pen of exactly 1 px takes Qt's fast path: 0.2 ms instead of 40 ms at any other width. Thicker is drawn twice.
    painter.setPen(QPen(theme.color("signal"), 1))
    for part in _unbroken(points):
        line = polygon(part)
        for n in range(max(round(theme.zoom), 1)):
            painter.drawPolyline(line.translated(0, n))
    painter.restore()
    painter.setFont(theme.font("small", mono=True))
    painter.setPen(theme.color("dim"))
    gutter = QRectF(0, plot.top() - theme.px(2), plot.left() - theme.px(5), plot.height() + theme.px(4))
    painter.drawText(gutter, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, number(ceiling))
    painter.drawText(gutter, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, "0")


def paint_line(
    painter: QPainter, theme: Theme, plot: QRectF, ceiling: float, value: float, words: str
) -> None:
    """A threshold across the plot, with its words."""
    y = plot.bottom() - value / max(ceiling, 1e-9) * plot.height()
    painter.setPen(QPen(theme.color("flag_text"), 1, Qt.PenStyle.DashLine))
    painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
    painter.drawText(QPointF(plot.left() + theme.px(6), y - theme.px(4)), words)


def polygon(points: NDArray[np.float64]) -> QPolygonF:
    """(n, 2) widget pixels as a QPolygonF, written into its memory at once: a loop would take longer than painting."""
    made = QPolygonF()
    made.resize(len(points))
    if len(points):
        memory: Any = VoidPtr(made.data(), len(points) * 16, True)  # type: ignore[call-arg, arg-type]
        np.frombuffer(memory, dtype=np.float64).reshape(-1, 2)[:] = points
    return made


def _unbroken(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The polyline cut where values are not finite: a gap in the record is a gap in the curve."""
    good = np.isfinite(points).all(axis=1)
    if good.all():
        return [points]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
    return [points[start:end] for start, end in zip(edges[0::2], edges[1::2], strict=True)]

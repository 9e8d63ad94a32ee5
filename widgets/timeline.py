"""The curve of one signal with the marks of what people and monitor did.

Knows a SignalTrack and a list of marks, never a file. Asks the track for at most two points per pixel column, so a
day costs as much as a minute. Colour, shape and word of a mark come from `marks`; hollow means not on disk yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from widgets.curve import SECOND, Curve, Track, highest, paint_axis, paint_curve, paint_line, round_up
from widgets.marks import draw_mark, mark_of, word_of
from widgets.theme import Theme, current, follow
from widgets.words import clock, duration, plural


@dataclass(frozen=True, slots=True)
class EventMark:
    """One event on the timeline."""

    id: str
    t_ns: int
    end_ns: int  # end of the span, -1 for a moment
    kind: str  # a key of marks.MARKS, or the name of an EventKind
    label: str = ""
    is_saved: bool = False
    is_failed: bool = False


class Timeline(QWidget):
    """Click to seek, drag to look back, End to follow again."""

    seekRequested = Signal(object)  # t_ns
    eventActivated = Signal(object)  # id
    followChanged = Signal(bool)  # False while the person looks back

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._track: Track | None = None
        self._title, self._unit = self.tr("Surprise"), ""
        self._marks: tuple[EventMark, ...] = ()
        self._seconds: float | None = 100.0
        self._span: tuple[int, int] | None = None  # of the whole recording, when it is known
        self._origin_ns: int | None = None
        self._now_ns = 0
        self._cursor_ns: int | None = None
        self._back_ns = 0  # how far the person looks back
        self._press: tuple[QPointF, int] | None = None
        self._dragged = False
        self._hover: EventMark | None = None
        self._ceiling = 0.0
        self._line: tuple[float, str] | None = None
        self._empty = self.tr("No surprise yet: it appears with the first look of a checkpoint.")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Timeline"))
        follow(self, self._restyle)

    # what is shown

    def set_track(self, track: Track | None, title: str = "", unit: str = "") -> None:
        """The signal to draw, and what it is called. None empties the timeline."""
        self._track = track
        self._title = title or self._title
        self._unit = unit
        self._ceiling = 0.0
        if track is None:
            self._origin_ns = self._span = self._cursor_ns = None
            self._now_ns = 0
        self.update()

    def refresh(self, now_ns: int) -> None:
        """The track has grown up to `now_ns`."""
        if self._origin_ns is None:
            self._origin_ns = now_ns
        self._now_ns = max(now_ns, self._now_ns) if self._span is None else now_ns
        self.update()

    def set_origin(self, t_ns: int) -> None:
        """The moment that the clock of the axis calls 00:00:00."""
        self._origin_ns = t_ns
        self.update()

    def set_span(self, t0_ns: int, t1_ns: int) -> None:
        """First and last moment of a recording; shown whole while the window is None."""
        self._span = (t0_ns, max(t1_ns, t0_ns + 1))
        self._origin_ns = t0_ns if self._origin_ns is None else self._origin_ns
        self.update()

    def set_window(self, seconds: float | None) -> None:
        """How much is seen at once; None shows everything."""
        self._seconds = seconds
        self._back_ns = 0
        self.update()

    def set_events(self, marks: Sequence[EventMark]) -> None:
        self._marks = tuple(sorted(marks, key=lambda mark: mark.t_ns))
        self.setAccessibleDescription(self.description())
        self.update()

    def set_line(self, value: float | None, text: str = "") -> None:
        """A calibrated threshold with its words; None when there is none."""
        self._line = None if value is None else (value, text)
        self.update()

    def show_cursor(self, t_ns: int | None) -> None:
        """The moment that is on the screen."""
        self._cursor_ns = t_ns
        self.update()

    def set_empty_text(self, text: str) -> None:
        """The sentence shown while there is nothing to draw."""
        self._empty = text
        self.update()

    def follow_now(self) -> None:
        """Stop looking back."""
        self._look_back(0)

    @property
    def is_following(self) -> bool:
        return self._back_ns == 0

    def description(self) -> str:
        counts: dict[str, int] = {}
        for mark in self._marks:
            counts[word_of(mark.kind)] = counts.get(word_of(mark.kind), 0) + 1
        told = ", ".join(plural(n, word) for word, n in counts.items())
        return self.tr("{0} over time. {1}").format(self._title, told or self.tr("No events.")).strip()

    def view_range(self) -> tuple[int, int]:
        """First and last t_ns on screen."""
        if self._seconds is None:
            if self._span is not None:
                return self._span
            start = self._origin_ns if self._origin_ns is not None else self._now_ns - SECOND
            return (start, max(self._now_ns, start + SECOND))
        width = int(self._seconds * SECOND)
        if self._origin_ns is not None and self._now_ns - self._origin_ns < width:
            return (self._origin_ns, self._origin_ns + width)  # not full yet: it grows from the left
        end = self._now_ns - self._back_ns + width // 50  # a little room right of the newest point
        return (end - width, end)

    # geometry

    def sizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(960), theme.px(170))

    def minimumSizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(280), theme.px(120))

    def _plot(self, theme: Theme) -> QRectF:
        """Where the curve is: below the title and the row of marks, above the clock."""
        left, right, top, bottom = theme.px(44), theme.px(12), theme.px(52), theme.px(24)
        return QRectF(self.rect()).adjusted(left, top, -right, -bottom)

    def _x(self, t_ns: int, plot: QRectF) -> float:
        t0, t1 = self.view_range()
        return plot.left() + (t_ns - t0) / (t1 - t0) * plot.width()

    def _t(self, x: float, plot: QRectF) -> int:
        t0, t1 = self.view_range()
        fraction = min(max((x - plot.left()) / max(plot.width(), 1.0), 0.0), 1.0)
        return t0 + int(fraction * (t1 - t0))

    def _restyle(self, _theme: Theme) -> None:
        self.updateGeometry()
        self.update()

    # painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("panel"))
        plot = self._plot(theme)
        curve = self._window(plot)
        self._paint_title(painter, theme)
        if curve is None and not self._marks:
            painter.setFont(theme.font("body"))
            painter.setPen(theme.color("dim"))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(plot.adjusted(0, -theme.px(20), 0, 0), flags, self._empty)
        else:
            origin = self._origin_ns if self._origin_ns is not None else self.view_range()[0]
            paint_axis(painter, theme, plot, self.view_range(), origin)
            self._paint_spans(painter, theme, plot)
            if curve is not None:
                self._paint_curve(painter, theme, plot, curve)
            self._paint_marks(painter, theme, plot)
            self._paint_cursor(painter, theme, plot)
        if self.hasFocus():
            painter.setPen(QPen(theme.color("accent"), theme.px(2)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()

    def _window(self, plot: QRectF) -> Curve | None:
        if self._track is None or plot.width() < 2:
            return None
        t0, t1 = self.view_range()
        t, low, high = self._track.window(t0, t1, int(plot.width()))
        return (t, low, high) if len(t) else None

    def _title_words(self) -> str:
        parts = []
        if self._unit:
            parts.append(self._unit)
        if self._seconds is None:
            t0, t1 = self.view_range()
            parts.append(self.tr("whole session, {0}").format(duration((t1 - t0) / SECOND)))
            parts.append(self.tr("click or drag to seek"))
        elif self.is_following:
            parts.append(self.tr("last {0:g} s").format(self._seconds))
            parts.append(self.tr("drag to look back, live goes on"))
        else:
            parts.append(self.tr("looking back {0}").format(duration(self._back_ns / SECOND)))
            parts.append(self.tr("End follows again"))
        return " · ".join(parts)

    def _paint_title(self, painter: QPainter, theme: Theme) -> None:
        row = QRectF(theme.px(12), theme.px(8), self.width() - theme.px(24), theme.px(20))
        painter.setFont(theme.font("body", bold=True))
        painter.setPen(theme.color("text"))
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, self._title)
        row.setLeft(row.left() + painter.fontMetrics().horizontalAdvance(self._title) + theme.px(8))
        painter.setFont(theme.font("body"))
        painter.setPen(theme.color("dim" if self.is_following else "flag_text"))
        words = painter.fontMetrics().elidedText(
            self._title_words(), Qt.TextElideMode.ElideRight, int(row.width())
        )
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, words)

    def _paint_spans(self, painter: QPainter, theme: Theme, plot: QRectF) -> None:
        for mark in self._marks:
            if mark.end_ns <= mark.t_ns:
                continue
            left = max(self._x(mark.t_ns, plot), plot.left())
            right = min(self._x(mark.end_ns, plot), plot.right())
            if right < left:
                continue
            box = QRectF(left, plot.top(), max(right - left, 2.0), plot.height())
            role = mark_of(mark.kind).token
            painter.fillRect(box, theme.color(role, 0.28))
            painter.setPen(QPen(theme.color(mark_of(mark.kind).text_token, 0.8), 1))
            painter.drawLine(box.topLeft(), box.bottomLeft())
            painter.drawLine(box.topRight(), box.bottomRight())

    def _paint_curve(self, painter: QPainter, theme: Theme, plot: QRectF, curve: Curve) -> None:
        top = highest(curve)
        if self._line is not None:
            top = max(top, self._line[0])
        # The ceiling only grows, in steps of 1-2-5: a scale that breathes makes two moments incomparable.
        self._ceiling = max(self._ceiling, round_up(top))
        paint_curve(painter, theme, plot, self.view_range(), self._ceiling, curve)
        if self._line is not None:
            paint_line(painter, theme, plot, self._ceiling, *self._line)

    def _paint_marks(self, painter: QPainter, theme: Theme, plot: QRectF) -> None:
        size = theme.px(13)
        y = plot.top() - theme.px(11)
        visible = [(self._x(mark.t_ns, plot), mark) for mark in self._marks]
        visible = [(x, mark) for x, mark in visible if plot.left() - size <= x <= plot.right() + size]
        painter.setFont(theme.font("small"))
        metrics = painter.fontMetrics()
        for n, (x, mark) in enumerate(visible):
            painter.setPen(QPen(theme.color(mark_of(mark.kind).text_token, 0.7), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
            draw_mark(
                painter,
                mark.kind,
                QPointF(x, y),
                size,
                theme,
                is_saved=mark.is_saved,
                is_failed=mark.is_failed,
            )
            words = mark.label or word_of(mark.kind)
            if mark.is_failed:
                words = self.tr("{0}, not saved").format(words)
            room = (visible[n + 1][0] if n + 1 < len(visible) else self.width()) - x - 2 * size
            painter.setPen(theme.color("bad" if mark.is_failed else "text" if mark is self._hover else "dim"))
            if metrics.horizontalAdvance(words) <= room:
                painter.drawText(QPointF(x + size * 0.9, y + metrics.ascent() / 2 - 1), words)

    def _paint_cursor(self, painter: QPainter, theme: Theme, plot: QRectF) -> None:
        if self._cursor_ns is None:
            return
        x = round(self._x(self._cursor_ns, plot)) + 0.5
        if plot.left() <= x <= plot.right():
            painter.setPen(QPen(theme.color("text"), max(1.5, 1.5 * theme.zoom)))
            painter.drawLine(QPointF(x, plot.top() - theme.px(4)), QPointF(x, plot.bottom()))

    # the hand

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            mark = self._mark_at(QPointF(event.pos()))
            text = self.mark_words(mark) if mark is not None else ""
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def mark_words(self, mark: EventMark) -> str:
        """A mark in words: kind, label, clock, and whether it is on disk."""
        origin = self._origin_ns or 0
        state = (
            self.tr("could not be saved")
            if mark.is_failed
            else self.tr("on disk")
            if mark.is_saved
            else self.tr("not on disk yet")
        )
        words = [word_of(mark.kind), mark.label, clock(mark.t_ns - origin, parts=3), state]
        return " · ".join(dict.fromkeys(word for word in words if word))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._press = (event.position(), self._back_ns)
            self._dragged = False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._press is None:
            hover = self._mark_at(event.position())
            if hover is not self._hover:
                self._hover = hover
                self.setCursor(Qt.CursorShape.PointingHandCursor if hover else Qt.CursorShape.ArrowCursor)
                self.update()
            return
        moved = event.position().x() - self._press[0].x()
        if abs(moved) < 4 and not self._dragged:
            return
        self._dragged = True
        plot = self._plot(current())
        if self._seconds is None:
            self.seekRequested.emit(self._t(event.position().x(), plot))
            return
        self._look_back(self._press[1] + int(moved / max(plot.width(), 1) * self._seconds * SECOND))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._press = self._press, None
        if pressed is None or event.button() != Qt.MouseButton.LeftButton or self._dragged:
            return
        if (mark := self._mark_at(event.position())) is not None:
            self.eventActivated.emit(mark.id)
            return
        self.seekRequested.emit(self._t(event.position().x(), self._plot(current())))

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        self.follow_now()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_End and not self.is_following:
            self.follow_now()
            return
        super().keyPressEvent(event)

    def _look_back(self, back_ns: int) -> None:
        was = self.is_following
        earliest = self._origin_ns if self._origin_ns is not None else self._now_ns
        self._back_ns = min(max(back_ns, 0), max(self._now_ns - earliest, 0))
        if was != self.is_following:
            self.followChanged.emit(self.is_following)
        self.update()

    def _mark_at(self, at: QPointF) -> EventMark | None:
        theme = current()
        plot = self._plot(theme)
        if not plot.top() - theme.px(22) <= at.y() <= plot.top():
            return None
        near = [(abs(self._x(mark.t_ns, plot) - at.x()), n, mark) for n, mark in enumerate(self._marks)]
        distance, _, mark = min(near, default=(math.inf, 0, None))
        return mark if distance <= theme.px(10) else None

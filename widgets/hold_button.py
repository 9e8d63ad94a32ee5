"""A large painted button for what a person decides: says press and release, not click.

A hold that can no longer be seen being let go (focus lost, hidden, switched off) is let go at once.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QHideEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.marks import mark_of
from widgets.theme import Theme, current, follow


class HoldButton(QWidget):
    """A large painted button with a mark, words and its keys; says press and release, not click."""

    pressed = Signal()
    released = Signal()

    def __init__(self, kind: str, words: str, short: str, keys: tuple[str, ...]) -> None:
        super().__init__()
        self._short = short  # when the words do not fit
        self._kind, self._words, self._keys = kind, words, keys
        self._is_active, self._is_down = False, False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        follow(self, self._restyle)

    def show_active(self, is_active: bool, words: str) -> None:
        """Filled while its action goes on."""
        self._is_active, self._words = is_active, words
        self.setAccessibleDescription(words)
        self.update()

    def sizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(150), theme.px(72))

    def minimumSizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(104), theme.px(72))

    def _restyle(self, _theme: Theme) -> None:
        self.updateGeometry()
        self.update()

    def let_go(self) -> None:
        if self._is_down:
            self._is_down = False
            self.released.emit()

    def _take(self) -> None:
        if not self._is_down and self.isEnabled():
            self._is_down = True
            self.pressed.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._take()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.let_go()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self._take()
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self.let_go()
            return
        super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.let_go()  # a hold nobody can see being let go must not go on
        super().focusOutEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self.let_go()
        super().hideEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.EnabledChange:
            self.let_go()
            self.update()
        super().changeEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        style = mark_of(self._kind)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        edge = theme.color(style.token) if self.isEnabled() else theme.color("line")
        ground = theme.color("raised")
        tint = theme.color(style.token, 0.16 if not self.underMouse() else 0.26)
        painter.setPen(
            QPen(theme.color("accent") if self.hasFocus() else edge, theme.px(3 if self.hasFocus() else 2))
        )
        painter.setBrush(ground)
        painter.drawRoundedRect(box, theme.px(8), theme.px(8))
        painter.setBrush(edge if self._is_active else tint if self.isEnabled() else ground)
        painter.drawRoundedRect(box, theme.px(8), theme.px(8))
        ink = "ink_light" if self._is_active else style.text_token if self.isEnabled() else "dim"
        size = "title"
        painter.setFont(theme.font(size, bold=True))
        words = f"{style.glyph} {self._words}"
        if painter.fontMetrics().horizontalAdvance(words) > box.width() - theme.px(12):
            painter.setFont(theme.font("body", bold=True))
        room = int(box.width() - theme.px(8))
        elide = Qt.TextElideMode.ElideRight
        fitted = painter.fontMetrics().elidedText(words, elide, room)
        if (
            fitted != words and not self._is_active
        ):  # its own measure decides: an advance just within still elides
            fitted = painter.fontMetrics().elidedText(f"{style.glyph} {self._short}", elide, room)
        words = fitted
        painter.setPen(theme.color(ink))
        upper = QRectF(box.left(), box.top() + theme.px(9), box.width(), theme.px(24))
        painter.drawText(upper, Qt.AlignmentFlag.AlignCenter, words)
        self._paint_keys(painter, theme, box, ink)
        painter.end()

    def _paint_keys(self, painter: QPainter, theme: Theme, box: QRectF, ink: str) -> None:
        painter.setFont(theme.font("small", mono=True))
        metrics = painter.fontMetrics()
        widths = [metrics.horizontalAdvance(key) + theme.px(12) for key in self._keys]
        x = box.center().x() - (sum(widths) + theme.px(6) * (len(widths) - 1)) / 2
        for key, width in zip(self._keys, widths, strict=True):
            cap = QRectF(x, box.bottom() - theme.px(28), width, theme.px(19))
            painter.setPen(QPen(theme.color(ink, 0.6), 1))
            painter.setBrush(theme.color("background", 0.0 if self._is_active else 0.7))
            painter.drawRoundedRect(cap, theme.px(4), theme.px(4))
            painter.setPen(
                theme.color("ink_light" if self._is_active else "text" if self.isEnabled() else "dim")
            )
            painter.drawText(cap, Qt.AlignmentFlag.AlignCenter, key)
            x += width + theme.px(6)

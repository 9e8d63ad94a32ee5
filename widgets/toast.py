"""Sentences that come and go by themselves, in the lower right corner of their parent. Errors stay longer."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from widgets import a11y, icons
from widgets.parts import height_for, label, set_look
from widgets.theme import Theme, current, follow

STAY_MS = {"info": 4000, "ok": 4000, "warning": 7000, "error": 10_000}
_ICONS = {
    "info": ("info", "accent"),
    "ok": ("ok", "ok"),
    "warning": ("warning", "flag_text"),
    "error": ("error", "bad"),
}
_KEEP = 4


class Toast(QFrame):
    """One sentence with its icon, details in its tip."""

    closed = Signal(object)  # Toast

    def __init__(self, text: str, level: str, details: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.text = text
        self._level = level if level in _ICONS else "info"
        set_look(self, card={"error": "bad", "warning": "flag"}.get(self._level, "true"))
        self._icon = label()
        self._words = label(text, wrap=True)
        self._details = label(details, "small", wrap=True)
        if not details:
            self._details.hide()  # never show() here: without a parent yet, that would open a window of its own
        self._close = QToolButton()
        self._close.setProperty("role", "flat")
        self._close.clicked.connect(lambda _checked=False: self.closed.emit(self))
        a11y.name(self._close, self.tr("Close"))
        words = QVBoxLayout()
        words.addWidget(self._words)
        words.addWidget(self._details)
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._icon)
        self._layout.addLayout(words, 1)
        self._layout.addWidget(self._close)
        self.setAccessibleName(f"{text} {details}".strip())
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(lambda: self.closed.emit(self))
        self._timer.start(STAY_MS[self._level])
        follow(self, self._restyle)

    def enterEvent(self, event: QEvent) -> None:  # type: ignore[override]
        self._timer.stop()  # whoever reads it may read to the end
        super().enterEvent(event)  # type: ignore[arg-type]

    def leaveEvent(self, event: QEvent) -> None:
        self._timer.start(STAY_MS[self._level] // 2)
        super().leaveEvent(event)

    def _restyle(self, theme: Theme) -> None:
        name, role = _ICONS[self._level]
        self._icon.setPixmap(icons.pixmap(name, theme, role, 18))
        icons.put(self._close, "close", theme, "dim")
        self._layout.setContentsMargins(theme.px(12), theme.px(8), theme.px(8), theme.px(8))
        self._layout.setSpacing(theme.px(10))


class ToastArea(QWidget):
    """The stack of toasts. Lies over its parent without taking its mouse."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._toasts: list[Toast] = []
        self._wanted = -1  # the height that was asked for when the layout was last requested
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.setAccessibleName(self.tr("Messages"))
        if parent is not None:
            parent.installEventFilter(self)
        follow(self, lambda theme: self._place())
        self.hide()

    def show_toast(self, text: str, level: str = "info", details: str = "") -> None:
        """level "info" | "ok" | "warning" | "error". The same sentence twice is one toast."""
        for toast in [toast for toast in self._toasts if toast.text == text]:
            self._remove(toast)
        toast = Toast(text, level, details, self)
        toast.closed.connect(self._remove)
        self._toasts.append(toast)
        self._layout.addWidget(toast)
        for old in self._toasts[:-_KEEP]:
            self._remove(old)
        self.show()
        self.raise_()
        self._place()

    def texts(self) -> tuple[str, ...]:
        """What is shown, the newest last."""
        return tuple(toast.text for toast in self._toasts)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.parent() and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def event(self, event: QEvent) -> bool:
        handled = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest and self._has_other_words():
            self._place()  # words were measured anew, after a change of theme or of the sentence
        return handled

    def _has_other_words(self) -> bool:
        """Do the toasts want another height than at the last request? Placing them anew asks for a layout itself, so
        doing it at every request would never end and take a whole core."""
        before, layout = self._wanted, self._layout
        self._wanted = (
            layout.totalHeightForWidth(self.width())
            if layout.hasHeightForWidth()
            else layout.sizeHint().height()
        )
        return self._wanted != before

    def _remove(self, toast: Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            self._layout.removeWidget(toast)
            toast.hide()
            toast.deleteLater()
        self.setVisible(bool(self._toasts))
        self._place()

    def _place(self) -> None:
        theme = current()
        self._layout.setSpacing(theme.px(8))
        parent = self.parentWidget()
        width = theme.px(380)
        if parent is not None:
            width = min(width, parent.width() - theme.px(24))
        self.resize(width, height_for(self, width))
        self._layout.activate()
        if parent is not None:
            self.move(parent.width() - width - theme.px(16), parent.height() - self.height() - theme.px(48))

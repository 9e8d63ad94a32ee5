"""Faults that stay until they are over or put away: one sentence, one hint, details on request. Never modal."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from widgets import a11y, icons
from widgets.parts import button, label, row, set_look
from widgets.theme import Theme, current, follow

_KEEP = 3  # at most this many at once; older ones wait behind them


class FaultCard(QFrame):
    """One fault."""

    closed = Signal(str)  # code

    def __init__(self, code: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.code = code
        self._level = "error"
        self._icon = label()
        self._icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._title = label(role="strong", wrap=True)
        self._text = label(wrap=True)
        self._hint = label(role="dim", wrap=True)
        self._details = button(self.tr("Details"), "flat")
        self._details.setCheckable(True)
        self._details.toggled.connect(self._toggle)
        self._close = QToolButton()
        self._close.setProperty("role", "flat")
        self._close.clicked.connect(lambda _checked=False: self.closed.emit(self.code))
        a11y.name(self._close, self.tr("Put this message away"))
        a11y.name(self._details, self.tr("Details of this fault"))
        self._more: QPlainTextEdit | None = None  # made when somebody wants to read it: it costs 15 ms
        self._detail = ""
        words = QVBoxLayout()
        for item in (self._title, self._text, self._hint):
            words.addWidget(item)
        head = row(self._icon)
        head.addLayout(words, 1)
        head.addWidget(self._details, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(head)
        follow(self, self._restyle)

    def show_fault(self, title: str, text: str, hint: str, detail: str, level: str) -> None:
        self._level = level
        self._title.setText(title)
        self._text.setText(text)
        self._text.setVisible(bool(text) and text != title)
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))
        self._detail = detail
        if self._more is not None:
            self._more.setPlainText(detail)
        self._details.setVisible(bool(detail))
        set_look(self, card="bad" if level == "error" else "flag")
        set_look(self._title, tone="bad" if level == "error" else "flag")
        self.setAccessibleName(f"{title}. {text} {hint}".strip())
        self._restyle(current())

    def _toggle(self, is_open: bool) -> None:
        if self._more is None:
            self._more = QPlainTextEdit(self._detail)
            self._more.setReadOnly(True)
            self._more.setFixedHeight(current().px(110))
            a11y.name(self._more, self.tr("Details"))
            self._layout.addWidget(self._more)
        self._more.setVisible(is_open)

    def _restyle(self, theme: Theme) -> None:
        is_error = self._level == "error"
        self._icon.setPixmap(
            icons.pixmap("error" if is_error else "warning", theme, "bad" if is_error else "flag_text", 20)
        )
        icons.put(self._close, "close", theme, "dim")
        self._layout.setContentsMargins(theme.px(12), theme.px(8), theme.px(8), theme.px(8))
        if self._more is not None:
            self._more.setFixedHeight(theme.px(110))


class FaultBanner(QWidget):
    """The stack of faults above the picture. The same code twice is one card."""

    dismissed = Signal(str)  # code

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cards: dict[str, FaultCard] = {}
        self._layout = QVBoxLayout(self)
        self.setAccessibleName(self.tr("Faults"))
        follow(self, self._restyle)
        self.hide()

    def show_fault(
        self, code: str, title: str, text: str, hint: str = "", detail: str = "", level: str = "error"
    ) -> None:
        """level "error" red | "warning" amber. A code that is already shown is shown anew."""
        card = self._cards.pop(code, None)
        if card is None:
            card = FaultCard(code)
            card.closed.connect(self._dismiss)
        self._cards[code] = card
        self._layout.insertWidget(0, card)
        card.show_fault(title, text, hint, detail, level)
        self._arrange()

    def clear_fault(self, code: str) -> None:
        """It is over."""
        card = self._cards.pop(code, None)
        if card is not None:
            card.hide()
            card.deleteLater()
        self._arrange()

    def codes(self) -> tuple[str, ...]:
        """What is shown, the newest last."""
        return tuple(self._cards)

    def _dismiss(self, code: str) -> None:
        self.clear_fault(code)
        self.dismissed.emit(code)

    def _arrange(self) -> None:
        for n, card in enumerate(reversed(self._cards.values())):
            card.setVisible(n < _KEEP)
        self.setVisible(bool(self._cards))

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(theme.px(12), theme.px(6), theme.px(12), theme.px(6))
        self._layout.setSpacing(theme.px(6))

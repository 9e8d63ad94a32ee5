"""Something takes longer than a second: what, how far, and a way out."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QProgressBar, QWidget

from widgets import a11y
from widgets.parts import Card, button, label, row
from widgets.theme import Theme, follow


class ProgressCard(Card):
    """A sentence, a bar and Cancel."""

    cancelRequested = Signal()

    def __init__(self, text: str = "", parent: QWidget | None = None, *, can_cancel: bool = True) -> None:
        super().__init__(parent)
        self._words = label(text, wrap=True)
        self._percent = label("", "mono-dim")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._cancel = button(self.tr("Cancel"), "", self.cancelRequested.emit)
        if not can_cancel:
            self._cancel.hide()  # never show() here: without a parent yet, that would open a window of its own
        a11y.name(self._cancel, self.tr("Cancel"), keys="Esc")
        self.body.addLayout(row(self._words, 1, self._percent))
        self.body.addLayout(row(self._bar, 1, self._cancel))
        follow(self, self._restyle_bar)
        self.show_progress(text, -1.0)

    def show_progress(self, text: str, fraction: float) -> None:
        """fraction 0..1, negative when it cannot be known."""
        self._words.setText(text)
        known = fraction >= 0
        self._bar.setRange(0, 1000 if known else 0)
        self._bar.setValue(int(1000 * min(fraction, 1.0)) if known else 0)
        self._percent.setText(f"{100 * min(fraction, 1.0):.0f} %" if known else "")
        self.setAccessibleName(text)
        self._bar.setAccessibleName(text or self.tr("Progress"))

    def _restyle_bar(self, theme: Theme) -> None:
        self._bar.setFixedHeight(theme.px(8))

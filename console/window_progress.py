"""Cards for what takes longer than a second: loading, sealing, recomputing. Each with its cancel where it can be.

They float above the lower left corner of the picture and take no focus.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QVBoxLayout, QWidget

from widgets.progress_card import ProgressCard
from widgets.theme import current


class ProgressStack(QWidget):
    """One card per key, over `host`."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self._cards: dict[str, ProgressCard] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        host.installEventFilter(self)
        self.hide()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._cards)

    def show_progress(
        self, key: str, text: str, fraction: float, on_cancel: Callable[[], None] | None = None
    ) -> None:
        """fraction 0..1, negative where the end is not known."""
        card = self._cards.get(key)
        if card is None:
            card = ProgressCard(can_cancel=on_cancel is not None)
            self._cards[key] = card
            if on_cancel is not None:
                card.cancelRequested.connect(on_cancel)
            self._layout.addWidget(card)
        card.show_progress(text, fraction)
        self._place()

    def hide_progress(self, key: str) -> None:
        card = self._cards.pop(key, None)
        if card is not None:
            self._layout.removeWidget(card)
            card.hide()
            card.deleteLater()
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._host and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        self.setVisible(bool(self._cards))
        if not self._cards:
            return
        margin = current().px(16)
        width = min(current().px(380), self._host.width() - 2 * margin)
        self.setFixedWidth(max(width, 1))
        height = self.sizeHint().height()
        self.setGeometry(margin, self._host.height() - height - margin, width, height)
        self.raise_()

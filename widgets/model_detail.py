"""The card beside a list of checkpoints: what is known of the chosen one, and what can be done with it.

A frame that both pages of the Models screen fill: title, chips, facts, what must be said, and buttons below. Knows no
file and no catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from widgets.facts import Fact, Facts
from widgets.parts import Card, chip, clear, label
from widgets.theme import Theme, follow


class ModelDetail(QFrame):
    """States: nothing chosen, and one checkpoint."""

    def __init__(self, nothing: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", "true")
        self._title = label(role="big", wrap=True)
        self._chips = QHBoxLayout()
        self._chips.setContentsMargins(0, 0, 0, 0)
        self._facts = Facts()
        self._said = label(role="dim", wrap=True)
        self._nothing = label(nothing, "dim", wrap=True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.verdict = Card(spacing=4)
        self.verdict_words = label(role="strong", wrap=True)
        self.verdict_hint = label(role="dim", wrap=True)
        for item in (self.verdict_words, self.verdict_hint):
            self.verdict.body.addWidget(item)
        self._page = QWidget()
        self._inner = QVBoxLayout(self._page)
        self._inner.addWidget(self._title)
        self._inner.addLayout(self._chips)
        self.buttons = (
            QVBoxLayout()
        )  # what can be done comes before what is known: the next step stays in sight
        self._inner.addWidget(self.verdict)
        self._inner.addLayout(self.buttons)
        for widget in (self._facts, self._said, self._nothing):
            self._inner.addWidget(widget)
        self._inner.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(self._page)
        self._page.setAutoFillBackground(False)
        self._whole = QVBoxLayout(self)
        self._whole.addWidget(scroll)
        follow(self, self._restyle)
        self.show_nothing()

    def show_nothing(self) -> None:
        for item in (self._title, self._facts, self._said, self.verdict):
            item.hide()
        clear(self._chips)
        self._nothing.show()

    def show_model(
        self, title: str, chips: Sequence[tuple[str, str]], facts: Sequence[Fact], said: Sequence[str]
    ) -> None:
        """chips   words and their tone; said: sentences, one below the other"""
        self._nothing.hide()
        self._title.setText(title)
        self._title.show()
        clear(self._chips)
        for words, tone in chips:
            self._chips.addWidget(chip(words, tone))
        self._chips.addStretch(1)
        self._facts.set_rows(facts)
        self._facts.show()
        self._said.setText("\n".join(said))
        self._said.setVisible(bool(said))

    def show_verdict(self, words: str, hint: str = "", tone: str = "") -> None:
        """What was found out; "" hides it. tone "ok" | "bad" | "flag" | ""."""
        self.verdict.setVisible(bool(words))
        self.verdict_words.setText(words)
        self.verdict_words.setProperty("tone", tone)
        self.verdict_words.style().unpolish(self.verdict_words)
        self.verdict_words.style().polish(self.verdict_words)
        self.verdict_hint.setText(hint)
        self.verdict_hint.setVisible(bool(hint))
        self.verdict.set_tone(tone if tone in ("bad", "flag") else "")

    def facts_text(self) -> str:
        """What stands on the card, for tests and for copying."""
        return self._facts.text()

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(16)
        self._whole.setContentsMargins(m, theme.px(14), theme.px(10), theme.px(14))
        self._inner.setContentsMargins(0, 0, theme.px(6), 0)
        self._inner.setSpacing(theme.px(10))
        self._chips.setSpacing(theme.px(4))
        self.buttons.setSpacing(theme.px(8))

"""Names and values below each other, as on a card index: what a file is, what a released checkpoint is."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from widgets.parts import label, set_look
from widgets.theme import Theme, follow

Fact = tuple[str, str] | tuple[str, str, str]
"""A name, its value, and where it has one the role of the value ("mono-dim") or its tone ("ok", "bad", "flag")."""

_TONES = frozenset({"ok", "bad", "flag", "accent"})


class Facts(QWidget):
    """Two columns of words; values go on in the next line and can be copied with the mouse."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[QLabel, QLabel]] = []
        self._layout = QGridLayout(self)
        self._layout.setColumnStretch(1, 1)
        follow(self, self._restyle)

    def set_rows(self, facts: Sequence[Fact]) -> None:
        """All rows, in this order; those without a value are left out."""
        shown = [fact for fact in facts if fact[1]]
        while len(self._rows) < len(shown):
            self._add()
        for n, (name, value) in enumerate(self._rows):
            is_used = n < len(shown)
            name.setVisible(is_used)
            value.setVisible(is_used)
            if not is_used:
                continue
            look = shown[n][2] if len(shown[n]) == 3 else ""  # type: ignore[misc]
            name.setText(shown[n][0])
            value.setText(shown[n][1])
            set_look(value, role="" if look in _TONES else look, tone=look if look in _TONES else "")
            value.setAccessibleName(f"{shown[n][0]}: {shown[n][1]}")

    def text(self) -> str:
        """What is shown, one fact a line."""
        return "\n".join(
            f"{name.text()}: {value.text()}" for name, value in self._rows if not name.isHidden()
        )

    def _add(self) -> None:
        name, value = label("", "dim"), label(wrap=True)
        name.setAlignment(Qt.AlignmentFlag.AlignTop)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        at = len(self._rows)
        self._layout.addWidget(name, at, 0)
        self._layout.addWidget(value, at, 1)
        self._rows.append((name, value))

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setHorizontalSpacing(theme.px(14))
        self._layout.setVerticalSpacing(theme.px(3))

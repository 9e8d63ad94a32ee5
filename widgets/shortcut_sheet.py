"""All keys on one sheet, in groups, from the same rows as the palette."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from widgets import a11y
from widgets.command_palette import CommandItem
from widgets.parts import Card, button, heading, key_hint, label, row
from widgets.theme import Theme, current, follow


class ShortcutSheet(QDialog):
    """Groups side by side; typing filters."""

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keys"))
        self._items: tuple[CommandItem, ...] = ()
        self._search = QLineEdit()
        self._search.setPlaceholderText(self.tr("filter"))
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._build)
        self._close = button(self.tr("Close"), "", self.reject)
        a11y.name(self._search, self.tr("Filter keys"))
        a11y.name(self._close, self.tr("Close"), keys="Esc")
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(row(label(self.tr("Keys"), "big"), None, self._search, self._close))
        self._layout.addWidget(self._scroll, 1)
        self.finished.connect(lambda _code: self.closed.emit())
        follow(self, self._restyle)

    def set_commands(self, items: Sequence[CommandItem]) -> None:
        """The commands that have keys; the others are left to the palette."""
        self._items = tuple(item for item in items if item.keys)
        self._build()

    def shown(self) -> list[str]:
        wanted = self._search.text().lower()
        return [item.id for item in self._items if wanted in f"{item.text} {item.keys} {item.group}".lower()]

    def _build(self) -> None:
        shown = set(self.shown())
        groups: dict[str, list[CommandItem]] = {}
        for item in self._items:
            if item.id in shown:
                groups.setdefault(item.group or self.tr("Other"), []).append(item)
        page = QWidget()
        columns = [QVBoxLayout(), QVBoxLayout()]
        filled = [0, 0]
        for name, items in groups.items():
            n = filled.index(min(filled))
            columns[n].addWidget(heading(name))
            columns[n].addWidget(self._group(items))
            filled[n] += len(items) + 2
        if not groups:
            columns[0].addWidget(label(self.tr("No command has these letters."), "dim"))
        theme = current()
        outer = QHBoxLayout(page)
        outer.setContentsMargins(0, 0, theme.px(8), 0)
        outer.setSpacing(theme.px(20))
        for column in columns:
            column.addStretch(1)
            column.setSpacing(theme.px(8))
            outer.addLayout(column, 1)
        self._scroll.setWidget(page)

    def _group(self, items: list[CommandItem]) -> Card:
        card = Card()
        grid = QGridLayout()
        grid.setColumnStretch(0, 1)
        for n, item in enumerate(items):
            words = label(item.text, wrap=True)
            words.setAccessibleName(f"{item.text}: {item.keys}")
            keys = QHBoxLayout()
            for part in item.keys.split(", "):
                keys.addWidget(key_hint(part))
            grid.addWidget(words, n, 0)
            grid.addLayout(keys, n, 1, Qt.AlignmentFlag.AlignRight)
        card.body.addLayout(grid)
        return card

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(16)
        self._layout.setContentsMargins(m, m, m, m)
        self._layout.setSpacing(theme.px(10))
        self.resize(theme.px(820), theme.px(620))

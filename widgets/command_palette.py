"""Every command by typing a few letters of it. Enter runs; a command that cannot run now is shown and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from widgets import a11y
from widgets.parts import label
from widgets.theme import Theme, current, follow

Index = QModelIndex | QPersistentModelIndex
ITEM_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class CommandItem:
    """One row of ACTIONS as the palette and the sheet show it."""

    id: str
    text: str
    keys: str = ""
    group: str = ""
    enabled: bool = True


class _Model(QAbstractListModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._items: list[CommandItem] = []

    def set_items(self, items: Sequence[CommandItem]) -> None:
        self.beginResetModel()
        self._items = list(items)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._items)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        item = self._items[index.row()]
        if role == ITEM_ROLE:
            return item
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{item.group} {item.text} {item.keys}".strip()
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        return flags if self._items[index.row()].enabled else Qt.ItemFlag.ItemIsSelectable


class _Matcher(QSortFilterProxyModel):
    """Every typed word must occur; the words of the command count before its group."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.sort(0)

    def set_words(self, text: str) -> None:
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        item = self.sourceModel().index(source_row, 0, source_parent).data(ITEM_ROLE)
        whole = f"{item.text} {item.group} {item.id} {item.keys}".lower()
        return all(word in whole or _letters_in_order(word, item.text.lower()) for word in self._words)

    def lessThan(self, left: Index, right: Index) -> bool:
        return self._rank(left) < self._rank(right)

    def _rank(self, index: Index) -> tuple[bool, int, int]:
        item = index.data(ITEM_ROLE)
        text = item.text.lower()
        start = text.find(self._words[0]) if self._words else 0
        return (not item.enabled if self._words else False, start if start >= 0 else 99, index.row())


def _letters_in_order(word: str, text: str) -> bool:
    """ "nm" finds "near miss": the initials, or the letters one after the other."""
    rest = iter(text)
    return len(word) >= 2 and all(letter in rest for letter in word)


class _Delegate(QStyledItemDelegate):
    """Group in dim, command in the middle, key at the right."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(current().px(300), current().px(32))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme, item = current(), index.data(ITEM_ROLE)
        rect = QRectF(option.rect)  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.fillRect(rect, theme.color("selection"))
        inner = rect.adjusted(theme.px(12), 0, -theme.px(12), 0)
        if item.keys:
            painter.setFont(theme.font("small", mono=True))
            width = painter.fontMetrics().horizontalAdvance(item.keys) + theme.px(12)
            cap = QRectF(inner.right() - width, rect.center().y() - theme.px(9), width, theme.px(19))
            painter.setPen(theme.color("line"))
            painter.setBrush(theme.color("background"))
            painter.drawRoundedRect(cap, theme.px(4), theme.px(4))
            painter.setPen(theme.color("text" if item.enabled else "dim"))
            painter.drawText(cap, Qt.AlignmentFlag.AlignCenter, item.keys)
            inner.setRight(cap.left() - theme.px(8))
        painter.setFont(theme.font("body"))
        painter.setPen(theme.color("text" if item.enabled else "dim"))
        words = item.text if item.enabled else self.tr("{0} (not now)").format(item.text)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, words)
        painter.setPen(theme.color("dim"))
        painter.setFont(theme.font("small"))
        inner.setLeft(inner.left() + theme.px(16))
        used = theme_width(theme, words)
        if used + theme.px(80) < inner.width():
            painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, item.group)
        painter.restore()


def theme_width(theme: Theme, words: str) -> int:
    """How wide words are in the body type, pixels."""
    return QFontMetrics(theme.font("body")).horizontalAdvance(words)


class CommandPalette(QDialog):
    """Type, arrow keys, Enter."""

    commandChosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Commands"))
        self._model = _Model(self)
        self._matcher = _Matcher(self)
        self._matcher.setSourceModel(self._model)
        self._line = QLineEdit()
        self._line.setPlaceholderText(self.tr("Type a command"))
        self._line.setClearButtonEnabled(True)
        self._line.textChanged.connect(self._typed)
        self._line.installEventFilter(self)
        self._view = QListView()
        self._view.setModel(self._matcher)
        self._view.setItemDelegate(_Delegate(self._view))
        self._view.setUniformItemSizes(True)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._view.clicked.connect(self._run)
        self._none = label(self.tr("No command has these letters."), "dim")
        a11y.name(self._line, self.tr("Command"), self.tr("Type to filter, arrows choose, Enter runs"))
        a11y.name(self._view, self.tr("Commands"))
        self._layout = QVBoxLayout(self)
        for item in (self._line, self._none, self._view):
            self._layout.addWidget(item)
        follow(self, self._restyle)
        self._typed("")

    def set_commands(self, items: Sequence[CommandItem]) -> None:
        """All commands of the present role and screen."""
        self._model.set_items(items)
        self._typed(self._line.text())

    def showEvent(self, event: QShowEvent) -> None:
        """With an empty line, over the upper middle of its window."""
        super().showEvent(event)
        self._line.clear()
        parent = self.parentWidget()
        if parent is not None:
            at = parent.mapToGlobal(parent.rect().topLeft())
            self.move(at.x() + (parent.width() - self.width()) // 2, at.y() + parent.height() // 8)
        self._line.setFocus()

    def shown(self) -> list[str]:
        """Ids of what the letters let through, best first."""
        return [self._matcher.index(n, 0).data(ITEM_ROLE).id for n in range(self._matcher.rowCount())]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._line and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {
                Qt.Key.Key_Down: 1,
                Qt.Key.Key_Up: -1,
                Qt.Key.Key_PageDown: 8,
                Qt.Key.Key_PageUp: -8,
            }.get(Qt.Key(event.key()))
            if step is not None:
                self._move(step)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self._view.currentIndex())
                return True
        return super().eventFilter(watched, event)

    def _typed(self, text: str) -> None:
        self._matcher.set_words(text)
        count = self._matcher.rowCount()
        self._none.setVisible(count == 0)
        if count:
            self._view.setCurrentIndex(self._matcher.index(0, 0))

    def _move(self, step: int) -> None:
        count = self._matcher.rowCount()
        if count:
            row = self._view.currentIndex().row() + step
            row = row % count if abs(step) == 1 else min(max(row, 0), count - 1)
            self._view.setCurrentIndex(self._matcher.index(row, 0))

    def _run(self, index: Index) -> None:
        if not index.isValid():
            return
        item = index.data(ITEM_ROLE)
        if item.enabled:
            self.accept()
            self.commandChosen.emit(item.id)

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, m, m, m)
        self._layout.setSpacing(theme.px(8))
        self.resize(theme.px(560), theme.px(420))
        self._view.doItemsLayout()

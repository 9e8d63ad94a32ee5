"""A list of checkpoints, two lines each: what it is, where it is, how large, and what state it is in.

The library and the catalogue of released checkpoints are both shown by it. Arrows move, Enter opens, letters go to the
filter. Knows rows, not files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QComboBox,
    QLineEdit,
    QListView,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from widgets import a11y
from widgets.parts import label, row
from widgets.state_notice import StateNotice
from widgets.theme import Theme, current, follow

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_COMMANDS = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
)
_TONES = {  # state → colour role of its words and mark
    "ok": "ok",
    "use": "accent_text",
    "flag": "flag_text",
    "bad": "bad",
    "busy": "accent_text",
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One checkpoint as a list shows it."""

    key: str  # its path, or its id in the catalogue
    title: str
    system: str = ""  # exact name; the list can be filtered by it
    detail: str = ""  # second line, in dim
    size: str = ""
    state: str = ""  # "" nothing to say | "ok" | "use" | "flag" | "bad" | "busy"
    state_text: str = ""  # always words, never colour alone
    fraction: float = -1.0  # of a download, 0..1; -1 there is none

    def words(self) -> str:
        return " · ".join(word for word in (self.title, self.detail, self.size, self.state_text) if word)


class _Model(QAbstractListModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.rows: list[ModelRow] = []

    def set_rows(self, rows: Sequence[ModelRow]) -> None:
        """Replace all; rows that only say something new keep their place and the selection."""
        fresh = list(rows)
        if [item.key for item in fresh] == [item.key for item in self.rows]:
            for n, (old, new) in enumerate(zip(self.rows, fresh, strict=True)):
                if old != new:
                    self.rows[n] = new
                    self.dataChanged.emit(self.index(n), self.index(n))
            return
        self.beginResetModel()
        self.rows = fresh
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        item = self.rows[index.row()]
        if role == ROW_ROLE:
            return item
        if role in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.AccessibleTextRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            return item.words()
        return None


class _Filter(QSortFilterProxyModel):
    """By system and by words: every typed word must occur."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._system, self._words = "", [""]

    def set_filter(self, system: str, text: str) -> None:
        self._system, self._words = system, text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        item = self.sourceModel().index(source_row, 0, source_parent).data(ROW_ROLE)
        if self._system and item.system != self._system:
            return False
        whole = f"{item.words()} {item.system} {item.key}".lower()
        return all(word in whole for word in self._words)


class _Delegate(QStyledItemDelegate):
    """Title and size in the first line, detail and state in the second, a download's bar below them."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(current().px(200), current().px(52))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme, item = current(), index.data(ROW_ROLE)
        rect = QRectF(option.rect)  # type: ignore[attr-defined]
        state = option.state  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, theme.color("selection"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.color("raised"))
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(theme.color("accent"), theme.px(1)))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))
        painter.setPen(theme.color("line"))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        inner = rect.adjusted(theme.px(14), theme.px(7), -theme.px(14), -theme.px(7))
        first = QRectF(inner.left(), inner.top(), inner.width(), inner.height() / 2)
        second = first.translated(0, inner.height() / 2)
        self._line(
            painter, first, (item.title, theme.font("body", bold=True), "text"), (item.size, "text"), theme
        )
        tone = _TONES.get(item.state, "dim")
        self._line(painter, second, (item.detail, theme.font("small"), "dim"), (item.state_text, tone), theme)
        if item.fraction >= 0:
            self._bar(painter, theme, rect, item.fraction)
        painter.restore()

    def _line(
        self,
        painter: QPainter,
        box: QRectF,
        left: tuple[str, QFont, str],
        right: tuple[str, str],
        theme: Theme,
    ) -> None:
        """Words at the left, cut where they meet those at the right."""
        small = theme.font("small")
        width = QFontMetrics(small).horizontalAdvance(right[0])
        painter.setFont(small)
        painter.setPen(theme.color(right[1]))
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, right[0])
        room = box.width() - (width + theme.px(16) if right[0] else 0)
        painter.setFont(left[1])
        painter.setPen(theme.color(left[2]))
        cut = QFontMetrics(left[1]).elidedText(left[0], Qt.TextElideMode.ElideMiddle, int(room))
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, cut)

    def _bar(self, painter: QPainter, theme: Theme, rect: QRectF, fraction: float) -> None:
        high = theme.px(3)
        whole = QRectF(rect.left(), rect.bottom() - high, rect.width(), high)
        painter.fillRect(whole, theme.color("line"))
        whole.setWidth(whole.width() * min(max(fraction, 0.0), 1.0))
        painter.fillRect(whole, theme.color("accent"))


class _View(QListView):
    """Enter is taken here: Qt's view would hand it on, to whatever has the focus by then. Letters filter."""

    typed = Signal(str)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_letter = event.text().isprintable() and event.text().strip() and not event.modifiers() & _COMMANDS
        if event.key() in _ENTER and self.currentIndex().isValid():
            if not event.isAutoRepeat():
                self.activated.emit(self.currentIndex())
        elif is_letter:
            self.typed.emit(event.text())
        else:
            super().keyPressEvent(event)


class _Search(QLineEdit):
    """The arrows lead into the list, Enter opens what is chosen there."""

    leftDown = Signal()
    entered = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self.leftDown.emit()
        elif event.key() in _ENTER:
            if not event.isAutoRepeat():
                self.entered.emit()
        else:
            super().keyPressEvent(event)


class ModelList(QWidget):
    """States: rows, nothing that matches the filter, and one sentence with a next step."""

    selected = Signal(str)  # key of the row that is chosen now; "" for none
    activated = Signal(str)  # Enter or a double click
    actionRequested = Signal(str)  # the button of the notice

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model(self)
        self._matcher = _Filter(self)
        self._matcher.setSourceModel(self._model)
        self._view = _View()
        self._view.setModel(self._matcher)
        self._view.setItemDelegate(_Delegate(self._view))
        self._view.setMouseTracking(True)
        self._view.setUniformItemSizes(True)
        self._view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self._view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._view.activated.connect(self._activated)
        self._view.selectionModel().currentChanged.connect(self._moved)
        self._search = _Search()
        self._search.setPlaceholderText(self.tr("filter by name, system, licence …"))
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._refilter)
        self._search.leftDown.connect(self._view.setFocus)
        self._search.entered.connect(self._open_chosen)
        self._view.typed.connect(self._type)
        self._system = QComboBox()
        self._system.addItem(self.tr("all systems"), "")
        self._system.currentIndexChanged.connect(self._refilter)
        a11y.name(self._view, title, self.tr("Enter opens, letters filter"))
        a11y.name(self._search, self.tr("Filter by words"))
        a11y.name(self._system, self.tr("System"))
        self._notice = StateNotice()
        self._notice.actionRequested.connect(self.actionRequested)
        self._nothing = label(self.tr("Nothing matches the filter."), "dim", wrap=True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        pages = QWidget()
        self._pages = QStackedLayout(pages)
        for item in (self._view, self._nothing, _centred(self._notice)):
            self._pages.addWidget(item)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(row(self._search, 1, self._system))
        self._layout.addWidget(pages, 1)
        self._has_notice = False
        follow(self, self._restyle)

    def set_rows(self, rows: Sequence[ModelRow]) -> None:
        """All of them, in their order. The chosen one stays chosen while it is there."""
        kept = self.key
        self._model.set_rows(rows)
        self._show_systems()
        self._has_notice = False
        self._refilter()
        if kept != self.key or not kept:
            self.select(kept)

    def show_notice(self, kind: str, text: str, hint: str, action: str | None = None) -> None:
        """In place of rows: "empty", "busy" or "error", one sentence and what to do."""
        self._model.set_rows([])
        self._has_notice = True
        self._notice.show_state(kind, text, hint, action)
        self._refilter()

    def select(self, key: str) -> bool:
        """Choose this row; the first where there is no such. False where there is nothing to choose."""
        found = [n for n in range(self._matcher.rowCount()) if self._row(n).key == key]
        if not found and self._matcher.rowCount() == 0:
            self.selected.emit("")
            return False
        index = self._matcher.index(found[0] if found else 0, 0)
        self._view.setCurrentIndex(index)
        self._view.scrollTo(index)
        return bool(found)

    @property
    def key(self) -> str:
        """Of the chosen row; "" for none."""
        index = self._view.currentIndex()
        return str(index.data(ROW_ROLE).key) if index.isValid() else ""

    def shown(self) -> list[ModelRow]:
        """What the filter lets through."""
        return [self._row(n) for n in range(self._matcher.rowCount())]

    def set_filter(self, *, system: str = "", words: str = "") -> None:
        """Show only these."""
        self._search.setText(words)
        self._system.setCurrentIndex(max(self._system.findData(system), 0))

    def focus_list(self) -> None:
        """Arrows then move, Enter opens; where there is nothing to move through, the next step is in hand."""
        (self._notice if self._has_notice else self._view).setFocus()

    def _row(self, n: int) -> ModelRow:
        found = self._matcher.index(n, 0).data(ROW_ROLE)
        assert isinstance(found, ModelRow)
        return found

    def _show_systems(self) -> None:
        systems = list(dict.fromkeys(item.system for item in self._model.rows if item.system))
        if systems == [self._system.itemData(n) for n in range(1, self._system.count())]:
            return
        chosen = self._system.currentData()
        self._system.blockSignals(True)
        while self._system.count() > 1:
            self._system.removeItem(1)
        for name in systems:
            self._system.addItem(name, name)
        self._system.setCurrentIndex(max(self._system.findData(chosen), 0))
        self._system.blockSignals(False)

    def _refilter(self, _value: object = None) -> None:
        self._matcher.set_filter(str(self._system.currentData() or ""), self._search.text())
        for item in (self._search, self._system):
            item.setVisible(not self._has_notice)
        if self._has_notice:
            self._pages.setCurrentIndex(2)
            return
        has_rows = self._matcher.rowCount() > 0
        self._pages.setCurrentIndex(0 if has_rows else 1)
        if not self.key:
            self.select("")

    def _activated(self, index: Index) -> None:
        self.activated.emit(index.data(ROW_ROLE).key)

    def _type(self, letters: str) -> None:
        """What is typed over the list goes on in the filter."""
        self._search.setFocus()
        self._search.insert(letters)

    def _open_chosen(self) -> None:
        if self.key:
            self.activated.emit(self.key)

    def _moved(self, index: QModelIndex, _before: QModelIndex) -> None:
        self.selected.emit(index.data(ROW_ROLE).key if index.isValid() else "")

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.px(8))
        self._view.setMinimumHeight(theme.px(96))
        self._view.doItemsLayout()


def _centred(notice: QWidget) -> QWidget:
    """In the middle of whatever room there is, no wider than its words are pleasant to read."""
    holder = QWidget()
    notice.setMaximumWidth(520)
    inner = QVBoxLayout(holder)
    inner.addStretch(1)
    inner.addLayout(row(None, notice, 1, None))
    inner.addStretch(2)
    return holder

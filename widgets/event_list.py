"""Everything that happened, in order: filter by kind, jump to the moment, amend what a person said.

A model and a view; the events themselves are frozen rows made by the owner. A correction never replaces a row: the
old words stand struck through beside the new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QColor, QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import (
    QComboBox,
    QLineEdit,
    QListView,
    QMenu,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from widgets import a11y
from widgets.marks import draw_mark, word_of
from widgets.parts import label, row
from widgets.theme import Theme, current, follow
from widgets.words import clock, grouped

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as it stands after all corrections."""

    id: str
    t_ns: int
    seq: int
    kind: str  # name of the EventKind, any case
    text: str = ""
    actor: str = ""
    is_saved: bool = False
    is_failed: bool = False
    old_text: str = ""  # what stood there before the last correction
    is_amendable: bool = True
    is_retracted: bool = False  # the person took it back; it is never removed

    def words(self) -> str:
        """Kind and text, each once."""
        word = word_of(self.kind)
        return word if not self.text or self.text == word else f"{word} · {self.text}"


class EventModel(QAbstractListModel):
    """Rows in order of time. The clock counts from `origin_ns`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[EventRow] = []
        self.origin_ns = 0

    def set_rows(self, rows: list[EventRow]) -> None:
        """Replace all. When rows were only added at the end, the view keeps its place."""
        keep = len(self._rows)
        if keep and len(rows) >= keep and rows[:keep] == self._rows:
            if len(rows) > keep:
                self.beginInsertRows(QModelIndex(), keep, len(rows) - 1)
                self._rows = rows
                self.endInsertRows()
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        item = self._rows[index.row()]
        if role == ROW_ROLE:
            return item
        if role in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.AccessibleTextRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            return f"{item.words()} · {self.when(item)} · {self.state(item)} · {item.actor}".rstrip(" ·")
        return None

    def when(self, item: EventRow) -> str:
        words = clock(item.t_ns - self.origin_ns, parts=1)
        return f"{words} · {self.tr('frame')} {grouped(item.seq)}" if item.seq >= 0 else words

    def state(self, item: EventRow) -> str:
        if item.is_failed:
            return self.tr("not saved")
        if item.is_retracted:
            return self.tr("taken back")
        return self.tr("on disk") if item.is_saved else self.tr("not on disk")


class _Delegate(QStyledItemDelegate):
    """Two lines and a mark per event."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        theme = current()
        return QSize(theme.px(160), theme.px(44))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme, item = current(), index.data(ROW_ROLE)
        source = index.model()
        model = source.sourceModel() if isinstance(source, QSortFilterProxyModel) else source
        if not isinstance(item, EventRow) or not isinstance(model, EventModel):
            return
        rect = QRectF(option.rect)  # type: ignore[attr-defined]
        state = option.state  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, theme.color("selection"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.color("pressed"))
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(theme.color("accent"), theme.px(1)))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))
        size = theme.px(13)
        at = rect.topLeft() + QPoint(theme.px(16), theme.px(15))
        draw_mark(painter, item.kind, at, size, theme, is_saved=item.is_saved, is_failed=item.is_failed)
        left = rect.left() + theme.px(32)
        first = QRectF(left, rect.top() + theme.px(5), rect.right() - left - theme.px(8), theme.px(19))
        second = first.translated(0, theme.px(17))
        self._words(painter, theme, item, first)
        painter.setFont(theme.font("small", mono=True))
        painter.setPen(theme.color("bad" if item.is_failed else "dim"))
        words = f"{model.when(item)} · {model.state(item)}"
        painter.drawText(
            second,
            Qt.AlignmentFlag.AlignVCenter,
            painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, int(second.width())),
        )
        painter.restore()

    def _words(self, painter: QPainter, theme: Theme, item: EventRow, box: QRectF) -> None:
        """What stands; what no longer does is struck through, before it or in its place."""
        struck, bold = theme.font("body"), theme.font("body", bold=True)
        struck.setStrikeOut(True)
        if item.is_retracted:
            _line(painter, theme.color("dim"), struck, item.words(), box)
            return
        if item.old_text:
            least = min(box.width() / 2, QFontMetricsF(bold).horizontalAdvance(item.words()))
            before = box.adjusted(0, 0, -least - theme.px(6), 0)
            box = box.adjusted(_line(painter, theme.color("dim"), struck, item.old_text, before), 0, 0, 0)
            box.setLeft(box.left() + theme.px(6))
        _line(painter, theme.color("text"), bold, item.words(), box)


def _line(painter: QPainter, color: QColor, font: QFont, words: str, box: QRectF) -> float:
    """One line of words, cut where the box ends. Returns how wide it is."""
    painter.setFont(font)
    painter.setPen(color)
    words = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, int(box.width()))
    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, words)
    return float(painter.fontMetrics().horizontalAdvance(words))


class _Filter(QSortFilterProxyModel):
    """By kind and by words."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._kind, self._words = "", ""

    def set_filter(self, kind: str, words: str) -> None:
        self._kind, self._words = kind, words.lower()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        item = self.sourceModel().index(source_row, 0, source_parent).data(ROW_ROLE)
        if self._kind and word_of(item.kind) != self._kind:
            return False
        return self._words in f"{item.words()} {item.actor}".lower()


class EventList(QWidget):
    """The list with its filter. Enter or double click jumps to the moment."""

    eventActivated = Signal(object)  # id
    amendRequested = Signal(object)  # id

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = EventModel(self)
        self._filter = _Filter(self)
        self._filter.setSourceModel(self._model)
        self._view = QListView()
        self._view.setModel(self._filter)
        self._view.setItemDelegate(_Delegate(self._view))
        self._view.setMouseTracking(True)
        self._view.setUniformItemSizes(True)
        self._view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self._view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._view.activated.connect(self._activated)
        self._view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._view.customContextMenuRequested.connect(self._menu)
        self._kind = QComboBox()
        self._kind.addItem(self.tr("all kinds"), "")
        self._kind.currentIndexChanged.connect(self._refilter)
        self._search = QLineEdit()
        self._search.setPlaceholderText(self.tr("filter"))
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._refilter)
        a11y.name(
            self._view, self.tr("Events"), self.tr("Enter goes to the moment, the menu key offers to amend")
        )
        a11y.name(self._kind, self.tr("Kind of event"))
        a11y.name(self._search, self.tr("Filter events by words"))
        self._nothing = self.tr(
            "Nothing has happened yet. N marks a near miss, O held is an override, B a bookmark."
        )
        self._empty = label(role="dim", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        pages = QWidget()
        self._pages = QStackedLayout(pages)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._view)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(row(self._kind, self._search, 1))
        self._layout.addWidget(pages, 1)
        self.setAccessibleName(self.tr("Events"))
        follow(self, self._restyle)
        self.set_events([])

    def set_events(self, rows: list[EventRow]) -> None:
        """All events, in order of time."""
        at_end = self._is_at_end()
        self._model.set_rows(list(rows))
        kinds = sorted({word_of(item.kind) for item in rows})
        if kinds != [self._kind.itemData(n) for n in range(1, self._kind.count())]:
            chosen = self._kind.currentData()
            self._kind.blockSignals(True)
            while self._kind.count() > 1:
                self._kind.removeItem(1)
            for kind in kinds:
                self._kind.addItem(kind, kind)
            self._kind.setCurrentIndex(max(self._kind.findData(chosen), 0))
            self._kind.blockSignals(False)
        self._refilter()
        if at_end:
            self._view.scrollToBottom()

    def set_origin(self, t_ns: int) -> None:
        """The moment that the clock of the rows calls 00:00:00."""
        self._model.origin_ns = t_ns
        self._view.viewport().update()

    def set_empty_text(self, text: str) -> None:
        """The sentence shown while there are no events; in a recorded session nothing more will happen."""
        self._nothing = text
        self._refilter()

    def select(self, event_id: str) -> None:
        """Show which event we stand at."""
        for n in range(self._filter.rowCount()):
            index = self._filter.index(n, 0)
            if index.data(ROW_ROLE).id == event_id:
                self._view.setCurrentIndex(index)
                self._view.scrollTo(index)
                return

    def shown(self) -> list[EventRow]:
        """What the filter lets through."""
        return [self._filter.index(n, 0).data(ROW_ROLE) for n in range(self._filter.rowCount())]

    def _refilter(self) -> None:
        self._filter.set_filter(str(self._kind.currentData() or ""), self._search.text())
        has_rows = self._filter.rowCount() > 0
        self._empty.setText(
            self._nothing if self._model.rowCount() == 0 else self.tr("No event matches the filter.")
        )
        self._pages.setCurrentIndex(1 if has_rows else 0)

    def _is_at_end(self) -> bool:
        bar = self._view.verticalScrollBar()
        return bar.value() >= bar.maximum() - 4

    def _activated(self, index: Index) -> None:
        self.eventActivated.emit(index.data(ROW_ROLE).id)

    def _menu(self, at: QPoint) -> None:
        index = self._view.indexAt(at)
        if not index.isValid():
            return
        item = index.data(ROW_ROLE)
        menu = QMenu(self)
        go = QAction(self.tr("Go to this moment"), menu)
        go.triggered.connect(lambda: self.eventActivated.emit(item.id))
        amend = QAction(self.tr("Amend …"), menu)
        amend.setEnabled(item.is_amendable)
        amend.triggered.connect(lambda: self.amendRequested.emit(item.id))
        menu.addActions([go, amend])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._view.viewport().mapToGlobal(at))

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(4), m, theme.px(8))
        self._layout.setSpacing(theme.px(6))
        self._view.setMinimumHeight(theme.px(96))
        self._view.doItemsLayout()

"""Published figures, each with its benchmark, model version and source, filtered by version.

A row is never shown without those. Which version a loaded file is, is decided in jepa_core; this only says it.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from jepa_core.claims import Figure, SystemClaims
from jepa_core.claims_match import Belonging
from widgets import a11y
from widgets.parts import label, row, set_look
from widgets.theme import Theme, current, follow
from widgets.words import BREAK, breakable, plural

_HEADS = ("Benchmark", "Metric", "Value", "Model", "Source")
_SHARES = (0.25, 0.35, 0.0, 0.2, 0.2)  # of the room that is left when every column holds its longest word
_VALUE = 2
_PAD = 8  # logical pixels beside the words of a cell
_REPORTERS = {
    "paper": "the paper",
    "repository": "the repository",
    "later paper": "a later paper",
    "third party": "a third party",
}
_ALL = ""
_OWN = "*"  # the versions of the loaded file


class FigureTable(QWidget):
    """States: no figures, all figures, the figures about one version."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._claims: SystemClaims | None = None
        self._place: Belonging | None = None
        self._shown: tuple[Figure, ...] = ()
        self._verdict = label(role="strong", wrap=True)
        self._note = label(role="dim", wrap=True)
        self._filter = _Choice()
        self._filter.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )  # a long version name may not widen the page
        self._filter.setMinimumContentsLength(28)
        self._filter.activated.connect(lambda _index: self._fill())
        self._count = label(role="dim")
        self._none = label(role="dim", wrap=True)
        self._table = _Sheet(len(_HEADS))
        self._table.setHorizontalHeaderLabels([self.tr(head) for head in _HEADS])
        self._table.horizontalHeaderItem(_VALUE).setTextAlignment(
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        )
        a11y.name(self._filter, self.tr("Figures of which model version"))
        a11y.name(self._table, self.tr("Published figures"))
        self._filter_row = row(self._filter, self._count, None)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._verdict)
        self._layout.addLayout(self._filter_row)
        self._layout.addWidget(self._note)
        self._layout.addWidget(self._none)
        self._layout.addWidget(self._table)
        follow(self, self._restyle)

    def show_figures(self, claims: SystemClaims, place: Belonging | None = None) -> None:
        """All figures of a system; with a loaded file, those about its version first."""
        self._claims, self._place = claims, place
        self._filter.clear()
        if place is not None and place.versions:
            self._filter.addItem(self.tr("About this file's version"), _OWN)
        self._filter.addItem(self.tr("All model versions"), _ALL)
        for name in dict.fromkeys(figure.version.id for figure in claims.figures):
            self._filter.addItem(name, name)
        self._say(place)
        self._fill()

    def show_version(self, version_id: str) -> None:
        """The figures of one version only; "" shows all."""
        index = self._filter.findData(version_id)
        if index >= 0:
            self._filter.setCurrentIndex(index)
            self._fill()

    def figures(self) -> tuple[Figure, ...]:
        """What is on the screen."""
        return self._shown

    def verdict(self) -> str:
        return self._verdict.text() if not self._verdict.isHidden() else ""

    def _say(self, place: Belonging | None) -> None:
        names = " or ".join(version.id for version in place.versions) if place is not None else ""
        words, tone = "", ""
        if place is not None and place.is_released:
            words, tone = self.tr("✓ Figures of this file's version: {0}.").format(names), "ok"
        elif place is not None and place.versions:
            words = self.tr("△ Published for {0}; not measured with this file.").format(names)
            tone = "flag"
        elif place is not None and place.kind == "none":
            words = self.tr(
                "○ No published figure belongs to this file. The rows are about released versions."
            )
        self._verdict.setText(words)
        self._verdict.setVisible(bool(words))
        set_look(self._verdict, tone=tone)

    def _fill(self) -> None:
        assert self._claims is not None
        wanted = self._filter.currentData()
        own = {version.id for version in self._place.versions} if self._place is not None else set()
        self._shown = tuple(
            figure
            for figure in self._claims.figures
            if wanted == _ALL or figure.version.id == wanted or (wanted == _OWN and figure.version.id in own)
        )
        notes = {
            v.id: v.note
            for v in self._claims.versions
            if v.note and (v.id == wanted or (wanted == _OWN and v.id in own))
        }
        self._note.setText("\n".join(f"△ {name}: {note}" for name, note in notes.items()))
        self._note.setVisible(bool(notes))
        self._count.setText(plural(len(self._shown), self.tr("figure")))
        has_any = bool(self._claims.figures)
        for item in (self._filter, self._count):
            item.setVisible(has_any)
        self._table.setVisible(bool(self._shown))
        self._none.setVisible(not self._shown)
        self._none.setText(
            self.tr("No figure of this version is known to this console.")
            if has_any
            else self.tr("There is nothing that could have been measured.")
        )
        self._table.show_rows([_cells(figure) for figure in self._shown])

    def _restyle(self, theme: Theme) -> None:
        self._layout.setSpacing(theme.px(8))
        self._filter_row.setSpacing(theme.px(10))


def _cells(figure: Figure) -> list[str]:
    setting = "\n".join(part for part in (figure.setting, _compared(figure)) if part)
    version = figure.version.id if figure.version.is_released else f"{figure.version.id}\n○ no released file"
    unit = "\nunit not stated" if figure.unit == "not stated" else ""
    return [
        figure.benchmark,
        figure.metric + (f"\n{setting}" if setting else ""),
        figure.words + unit,
        version,
        f"{figure.source.ref}\n{figure.where}, by {_REPORTERS[figure.reported_by]}",
    ]


def _compared(figure: Figure) -> str:
    return f"same table: {figure.compared}" if figure.compared else ""


class _Choice(QComboBox):
    """Leaves the wheel to the page: scrolling over it may not change what is shown."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class _Sheet(QTableWidget):
    """A table as high as its rows: the page scrolls, not the table."""

    def __init__(self, columns: int) -> None:
        super().__init__(0, columns)
        self.setProperty("role", "sheet")  # heads with as much room around their words as the cells
        self.setItemDelegate(_Cell(self))
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionsClickable(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setStretchLastSection(True)
        self._rows: Sequence[Sequence[str]] = ()
        self._least = [0] * columns  # pixels
        follow(self, lambda _theme: self._measure())

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """One row per figure, the cells in the order of the heads; lines after the first are written smaller."""
        self._rows = rows
        self.setRowCount(len(rows))
        for n, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(breakable(text))
                item.setData(Qt.ItemDataRole.AccessibleTextRole, text.replace("\n", ", "))
                self.setItem(n, column, item)
        self._measure()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self._height())

    def minimumSizeHint(self) -> QSize:
        return QSize(sum(self._least) + 2 * self.frameWidth(), self._height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()

    def _measure(self) -> None:
        """What every column needs so that no word is cut."""
        theme = current()
        for column, head in enumerate(_HEADS):
            words = {(part, "head") for part in [self.tr(head)]}
            for cells in self._rows:
                first, *rest = breakable(cells[column]).split("\n")
                words |= {(word, "value" if column == _VALUE else "body") for word in _words(first, column)}
                words |= {(word, "small") for line in rest for word in _words(line, column)}
            self._least[column] = 2 * theme.px(_PAD) + max(_wide(theme, *word) for word in words)
        self._fit()

    def _fit(self) -> None:
        spare = max(self.viewport().width() - sum(self._least), 0)
        for column, share in enumerate(_SHARES):
            self.setColumnWidth(column, self._least[column] + int(spare * share))
        self.resizeRowsToContents()
        self.setFixedHeight(self._height())

    def _height(self) -> int:
        frame = 2 * self.frameWidth() + 2
        return self.verticalHeader().length() + self.horizontalHeader().sizeHint().height() + frame


class _Cell(QStyledItemDelegate):
    """Words that wrap: the first line as it is, the others smaller and dim; the value bold and at the right."""

    def sizeHint(self, _option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        theme, table = current(), self.parent()
        assert isinstance(table, QTableWidget)
        width = table.columnWidth(index.column()) - 2 * theme.px(_PAD)
        height = sum(_bound(*line, width) for line in _lines(theme, index))
        return QSize(width, height + 2 * theme.px(6))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        theme = current()
        lines = _lines(theme, index)
        room = QRect(option.rect).adjusted(theme.px(_PAD), 0, -theme.px(_PAD), 0)  # type: ignore[attr-defined]
        heights = [_bound(*line, room.width()) for line in lines]
        side = Qt.AlignmentFlag.AlignRight if index.column() == _VALUE else Qt.AlignmentFlag.AlignLeft
        y = room.top() + theme.px(6)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.fillRect(option.rect, theme.color("selection"))  # type: ignore[attr-defined]
        for (words, font, role), height in zip(lines, heights, strict=True):
            painter.setFont(font)
            painter.setPen(theme.color(role))
            flags = int(side | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
            painter.drawText(QRect(room.left(), y, room.width(), height), flags, words)
            y += height
        painter.restore()


def _lines(theme: Theme, index: QModelIndex | QPersistentModelIndex) -> list[tuple[str, QFont, str]]:
    """(words, font, colour role) of every line of a cell."""
    first, *rest = str(index.data()).split("\n")
    head = (first, theme.font("body", bold=index.column() == _VALUE), "text")
    return [head, *((words, theme.font("small"), "dim") for words in rest)]


def _words(line: str, column: int) -> list[str]:
    """The pieces of a line that stay together; a value stays with its unit."""
    return [line] if column == _VALUE else line.replace(BREAK, " ").split()


def _wide(theme: Theme, words: str, kind: str) -> int:
    small = kind in ("small", "head")
    font = theme.font("small" if small else "body", bold=kind in ("value", "head"))
    return QFontMetrics(font).horizontalAdvance(words) + 2


def _bound(words: str, font: QFont, _role: str, width: int) -> int:
    """Height of wrapped words, pixels."""
    room = QRect(0, 0, max(width, 1), 10_000)
    return QFontMetrics(font).boundingRect(room, int(Qt.TextFlag.TextWordWrap), words).height()

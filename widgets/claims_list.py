"""The list of systems beside their claims: a name, five pips of the evidence ladder, and the step in words."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from jepa_core.claims import LADDER, SystemClaims
from widgets import a11y
from widgets.theme import Theme, current, follow

_NAME, _RUNG = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class SystemList(QListWidget):
    """One system is chosen at a time, by mouse or arrow keys."""

    systemChosen = Signal(str)  # by a person; not when `mark` is called

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegate(_Item(self))
        self.currentItemChanged.connect(self._tell)
        a11y.name(self, self.tr("Systems"), self.tr("Which system's claims are shown"))
        follow(self, self._restyle)

    def show_systems(self, systems: Iterable[SystemClaims]) -> None:
        """In the given order; nothing is chosen yet."""
        was = self.blockSignals(True)
        self.clear()
        for claims in systems:
            item = QListWidgetItem(claims.system)
            step = step_words(claims.rung)
            item.setData(_NAME, claims.system)
            item.setData(_RUNG, claims.rung)
            item.setData(
                Qt.ItemDataRole.AccessibleTextRole,
                self.tr("{0}, {1} of the evidence ladder").format(claims.system, step),
            )
            item.setToolTip(f"{claims.system} · {LADDER[claims.level][0]}")
            self.addItem(item)
        self.blockSignals(was)

    def mark(self, name: str) -> None:
        """Show which one is open."""
        was = self.blockSignals(True)
        for item in self.findItems(name, Qt.MatchFlag.MatchExactly):
            self.setCurrentItem(item)
        self.blockSignals(was)
        self.viewport().update()

    def _tell(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.systemChosen.emit(str(item.data(_NAME)))

    def _restyle(self, theme: Theme) -> None:
        self.setFixedWidth(theme.px(196))
        self.scheduleDelayedItemsLayout()


class _Item(QStyledItemDelegate):
    def sizeHint(self, _option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(0, current().px(48))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        theme = current()
        room = QRectF(option.rect).adjusted(theme.px(4), theme.px(2), -theme.px(4), -theme.px(2))  # type: ignore[attr-defined]
        state = option.state  # type: ignore[attr-defined]
        is_chosen = bool(state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_chosen or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(QPen(theme.color("accent"), 1) if is_chosen else Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("selection" if is_chosen else "pressed"))
            painter.drawRoundedRect(room, theme.px(6), theme.px(6))
        room = room.adjusted(theme.px(8), theme.px(5), -theme.px(8), -theme.px(5))
        painter.setFont(theme.font("body", bold=is_chosen))
        painter.setPen(theme.color("text"))
        painter.drawText(room, Qt.AlignmentFlag.AlignTop, str(index.data()))
        self._paint_step(painter, theme, room, int(index.data(_RUNG)), is_chosen)
        painter.restore()

    def _paint_step(self, painter: QPainter, theme: Theme, room: QRectF, rung: int, is_chosen: bool) -> None:
        side, gap = theme.px(7), theme.px(3)
        y = room.bottom() - side - theme.px(2)
        painter.setPen(QPen(theme.color("accent"), 1))
        for n in range(len(LADDER)):
            painter.setBrush(theme.color("accent") if n < rung else Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(room.left() + n * (side + gap) + 0.5, y, side, side))
        words = QRectF(room)
        words.setLeft(room.left() + len(LADDER) * (side + gap) + theme.px(5))
        painter.setFont(theme.font("small"))
        painter.setPen(theme.color("text" if is_chosen else "dim"))
        painter.drawText(words, Qt.AlignmentFlag.AlignBottom, step_words(rung))


def step_words(rung: int) -> str:
    return f"step {rung} of {len(LADDER)}"

"""Docks from PANELS: which panels there are on which screen, where they stand, and how they come back.

Owns the docks of the main window. A dock's objectName is its panel's id; restoring under another LAYOUT_VERSION is
refused by Qt, and the role's default layout is used.
"""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from console.actions import LOOKING
from console.panels import PANELS, Panel, title_of
from console.settings import LAYOUT_VERSION, Settings
from console.state import AppState
from widgets.theme import current

AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}
WIDTHS = {"left": 300, "right": 348}  # logical pixels of the side columns
SHARES = ((1500, 1.0), (1200, 0.92), (0, 0.8))  # of WIDTHS, from this width of the window on
TABS = (
    ("layers", "scale"),
    ("source", "checkpoint"),
)  # what shares a place when a window is low, in this order
GROWS = frozenset({"events"})  # fills its column; scrolls by itself
LAST = frozenset({"scale"})  # takes what a column has left


class Grip(QWidget):
    """A dock's handle: drag it to move the panel, double-click to let it float. The panels head themselves."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setToolTip(title)
        self.setAccessibleName(title)
        self.setCursor(Qt.CursorShape.SizeAllCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(current().px(40), current().px(6))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("panel"))
        dot, middle = theme.px(2), self.rect().center()
        for step in (-2, -1, 0, 1, 2):
            painter.fillRect(middle.x() + step * dot * 3, middle.y(), dot, dot, theme.color("line"))


class Column(QScrollArea):
    """One panel of a side column: never higher than its content, and scrolled where the window is too low for it."""

    contentChanged = Signal()  # it wants another height

    def __init__(self, panel: QWidget, *, takes_rest: bool) -> None:
        super().__init__()
        self._takes_rest = takes_rest
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._page = QWidget()
        layout = QVBoxLayout(self._page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(panel)
        layout.addStretch(1)
        self.setWidget(self._page)
        self._page.installEventFilter(self)
        self._height = self._least = 0
        self._measure()

    @property
    def content_height(self) -> int:
        return self._height

    def sizeHint(self) -> QSize:
        return QSize(self._page.minimumSizeHint().width(), self._height)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._page.minimumSizeHint().width(), min(self._height, current().px(56)))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._page and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._measure()
        return super().eventFilter(watched, event)

    def _measure(self) -> None:
        layout = self._page.layout()
        width = max(self.viewport().width(), 1)
        height = (
            layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.sizeHint().height()
        )
        least = self._page.minimumSizeHint().width()
        if (height, least) == (self._height, self._least):
            return
        self._height, self._least = height, least
        if not self._takes_rest:
            self.setMaximumHeight(height)
        self.updateGeometry()
        self.contentChanged.emit()


class Docks(QObject):
    """Makes, places, shows and remembers the docks."""

    def __init__(
        self, window: QMainWindow, panels: dict[str, QWidget], state: AppState, settings: Settings
    ) -> None:
        super().__init__(window)
        self._window = window
        self._state = state
        self._settings = settings
        self._role = state.role
        self._fit = QTimer(self)
        self._fit.setSingleShot(True)
        self._fit.setInterval(0)
        self._fit.timeout.connect(self.resize_docks)
        self._is_default, self._tabs = True, 0
        self._default: tuple[object, ...] = ()
        self.docks: dict[str, QDockWidget] = {
            row.id: self._dock(row, panels[row.id]) for row in PANELS.values() if row.area in AREAS
        }
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        window.setCorner(Qt.Corner.TopRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setDockOptions(
            QMainWindow.DockOption.AnimatedDocks
            | QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
        )
        state.screenChanged.connect(self.refresh)
        state.roleChanged.connect(self._change_role)
        state.zoomChanged.connect(self._fit_soon)

    def fit(self) -> None:
        """The window has another size: find the roomiest arrangement of the left column that fits.

        First the timeline runs under the column, as in a tall window; then the column takes the whole height; then,
        in the default layout, two and at last four of its panels share places.
        """
        self._settle(may_relax=True)

    def _content_changed(self) -> None:
        """A panel wants another height: make room, but do not take the room away again until the window changes."""
        self._settle(may_relax=False)

    def _settle(self, *, may_relax: bool) -> None:
        needs_height, tabs = self._left_needs()
        if not may_relax:
            is_whole = self._window.corner(Qt.Corner.BottomLeftCorner) == Qt.DockWidgetArea.LeftDockWidgetArea
            needs_height, tabs = needs_height or is_whole, max(tabs, self._tabs)
        area = (
            Qt.DockWidgetArea.LeftDockWidgetArea if needs_height else Qt.DockWidgetArea.BottomDockWidgetArea
        )
        if self._window.corner(Qt.Corner.BottomLeftCorner) != area:
            self._window.setCorner(Qt.Corner.BottomLeftCorner, area)
        self._notice_changes()
        if self._is_default and tabs != self._tabs:
            self._tabs = tabs
            self.place()
        self._fit_soon()

    def _left_needs(self) -> tuple[bool, int]:
        """(the whole height of the window, how many pairs of TABS must share a place)"""
        theme = current()
        wanted = {
            name: inner.content_height + theme.px(9)
            for name, dock in self.docks.items()
            if PANELS[name].area == "left" and isinstance(inner := dock.widget(), Column)
        }
        bars = self._window.menuWidget().sizeHint().height() + self._window.statusBar().sizeHint().height()
        below = sum(
            dock.widget().sizeHint().height() + 2
            for name, dock in self.docks.items()
            if PANELS[name].area == "bottom"
        )
        room = self._window.height() - bars
        needs_height = sum(wanted.values()) > room - below
        saved = [min(wanted[name] for name in pair) - theme.px(33) for pair in TABS]  # less the row of tabs
        least = sum(wanted.values())
        if least <= room:
            return needs_height, 0
        # a little scrolling is better than a second pair out of sight
        return needs_height, 1 if least - saved[0] <= room + theme.px(80) else 2

    def place(self) -> None:
        """The default layout: every dock in its area, in the order of PANELS."""
        self._is_default = True
        self._default = ()
        for name, dock in self.docks.items():
            dock.setFloating(False)
            self._window.removeDockWidget(dock)
            self._window.addDockWidget(AREAS[PANELS[name].area], dock, Qt.Orientation.Vertical)
        self.refresh()
        shared = TABS[: self._tabs]
        for name, dock in self.docks.items():
            _show_heading(dock, not any(name in pair for pair in shared))  # a tab says it already
        for front, behind in shared:
            self._window.tabifyDockWidget(self.docks[front], self.docks[behind])
            self.docks[front].raise_()
        self._fit_soon()

    def restore(self) -> bool:
        """This role's last layout; False when there is none of this version."""
        state = self._settings.layout(self._state.role)
        is_restored = state is not None and self._window.restoreState(state, LAYOUT_VERSION)
        self._is_default = not is_restored
        if not is_restored:
            self.place()
        self.refresh()
        return is_restored

    def save(self) -> None:
        """Keep it for this role. Other screens hide the docks, so nothing is kept from there; nor is a default
        layout that nobody touched, so that it goes on adapting to the window."""
        self._notice_changes()
        if self._is_default:
            self._settings.save_geometry(self._window.saveGeometry())
        elif self._state.screen in LOOKING:
            state: QByteArray = self._window.saveState(LAYOUT_VERSION)
            self._settings.save_layout(self._role, self._window.saveGeometry(), state)

    def reset(self) -> None:
        self._settings.forget_layout(self._state.role)
        self.place()

    def refresh(self, _value: object = None) -> None:
        """Show the panels of this screen and role."""
        for name, dock in self.docks.items():
            row = PANELS[name]
            is_here = self._state.screen in row.screens and self._state.role in row.roles
            dock.setVisible(is_here)
            dock.toggleViewAction().setVisible(is_here)
        if self._is_default:
            self._fit_soon()

    def _change_role(self, role: str) -> None:
        self.save()
        self._role = role
        self.restore()

    def _dock(self, row: Panel, panel: QWidget) -> QDockWidget:
        dock = QDockWidget(title_of(row), self._window)
        dock.setObjectName(row.id)
        dock.setTitleBarWidget(Grip(title_of(row)) if row.has_title else _nothing())
        is_side = row.area in WIDTHS
        if is_side and row.id not in GROWS:
            column = Column(panel, takes_rest=row.id in LAST)
            column.contentChanged.connect(self._content_changed, Qt.ConnectionType.QueuedConnection)
            dock.setWidget(column)
        else:
            dock.setWidget(panel)
        if row.area == "bottom":
            panel.setMinimumWidth(1)  # the picture decides how narrow the middle may be, not a row of buttons
        if not row.has_title:
            dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        self._window.addDockWidget(AREAS[row.area], dock)
        return dock

    def resize_docks(self) -> None:
        """Side columns as wide as they should be, each panel as high as its content; what is left goes to the last."""
        theme = current()
        for area, width in WIDTHS.items():
            docks = [
                dock
                for name, dock in self.docks.items()
                if PANELS[name].area == area and self._is_there(dock, area)
            ]
            if not docks:
                continue
            if self._is_default:
                share = next(share for least, share in SHARES if self._window.width() >= theme.px(least))
                least = max(dock.minimumSizeHint().width() for dock in docks)
                columns = [max(theme.px(width * share), least)]
                self._window.resizeDocks(docks[:1], columns, Qt.Orientation.Horizontal)
            self._window.resizeDocks(docks, self._heights(docks), Qt.Orientation.Vertical)
        if self._is_default:
            self._default = self._signature()

    def _is_there(self, dock: QDockWidget, area: str) -> bool:
        """It is seen in its own column, and not in front of another panel that a person put there."""
        return dock.isVisible() and not dock.isFloating() and self._window.dockWidgetArea(dock) == AREAS[area]

    def _heights(self, docks: list[QDockWidget]) -> list[int]:
        """What each dock of a column wants. What is left goes to the one that grows; what is missing is taken from
        the highest, so that one panel scrolls and not all of them."""
        wanted = {
            dock: inner.content_height + dock.titleBarWidget().sizeHint().height()
            for dock in docks
            if isinstance(inner := dock.widget(), Column)
        }
        least = sum(dock.minimumSizeHint().height() for dock in docks if dock not in wanted)
        rest = sum(dock.height() for dock in docks) - sum(wanted.values())
        if rest < least and wanted:
            highest = max(wanted, key=lambda dock: wanted[dock])
            wanted[highest] = max(wanted[highest] - (least - rest), current().px(90))
        return [wanted.get(dock, max(rest, dock.minimumSizeHint().height())) for dock in docks]

    def _notice_changes(self) -> None:
        """From the moment a person moves a panel the layout is theirs, and is not arranged any more."""
        if self._is_default and self._default and self._signature() != self._default:
            self._is_default = False

    def _signature(self) -> tuple[object, ...]:
        """Where the panels stand: area, floating, neighbours in the same place."""
        return tuple(
            (
                name,
                self._window.dockWidgetArea(dock),
                dock.isFloating(),
                tuple(sorted(other.objectName() for other in self._window.tabifiedDockWidgets(dock))),
            )
            for name, dock in self.docks.items()
        )

    def _fit_soon(self, _value: object = None) -> None:
        if not self._fit.isActive():
            self._fit.start()


def _show_heading(dock: QDockWidget, is_shown: bool) -> None:
    """The panel's own first heading."""
    for words in dock.widget().findChildren(QLabel):
        if words.property("role") == "heading":
            words.setVisible(is_shown)
            return


def _nothing() -> QWidget:
    """A title bar without height."""
    empty = QWidget()
    layout = QVBoxLayout(empty)
    layout.setContentsMargins(0, 0, 0, 0)
    empty.setFixedHeight(0)
    return empty

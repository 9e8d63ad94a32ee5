"""Docks from PANELS: which panels there are on which screen, where they stand, and how they come back.

Owns the docks of the main window. A dock's objectName is its panel's id; restoring under another LAYOUT_VERSION is
refused by Qt, and the role's default layout is used.
"""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QObject, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from console.panels import PANELS, Panel, title_of
from console.settings import LAYOUT_VERSION, Settings
from console.state import AppState
from widgets.theme import current

AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}
WIDTHS = {"left": 276, "right": 348}  # logical pixels of the side columns
TALL = 860  # logical height from which the timeline runs under the left column, as in the mock


class Grip(QWidget):
    """A dock's handle: drag it to move the panel, double-click to let it float. The panels head themselves."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setToolTip(title)
        self.setAccessibleName(title)
        self.setCursor(Qt.CursorShape.SizeAllCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(current().px(40), current().px(8))

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
    """One panel of a side column: as high as its content, and scrolled where the window is too low for it."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(panel)

    def sizeHint(self) -> QSize:
        return self.widget().sizeHint()

    def minimumSizeHint(self) -> QSize:
        least = self.widget().minimumSizeHint()
        return QSize(least.width(), min(least.height(), current().px(56)))


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
        self.docks: dict[str, QDockWidget] = {
            row.id: self._dock(row, panels[row.id]) for row in PANELS.values() if row.area in AREAS
        }
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setCorner(Qt.Corner.TopRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setDockOptions(
            QMainWindow.DockOption.AnimatedDocks
            | QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
        )
        state.screenChanged.connect(self.refresh)
        state.roleChanged.connect(self._change_role)
        state.zoomChanged.connect(self._resize)

    def fit_corner(self, height: int) -> None:
        """Low windows give the left column the whole height; tall ones let the timeline run under it."""
        is_tall = height >= current().px(TALL)
        area = Qt.DockWidgetArea.BottomDockWidgetArea if is_tall else Qt.DockWidgetArea.LeftDockWidgetArea
        if self._window.corner(Qt.Corner.BottomLeftCorner) != area:
            self._window.setCorner(Qt.Corner.BottomLeftCorner, area)

    def place(self) -> None:
        """The default layout: every dock in its area, in the order of PANELS."""
        for name, dock in self.docks.items():
            dock.setFloating(False)
            area = AREAS[PANELS[name].area]
            self._window.removeDockWidget(dock)
            self._window.addDockWidget(area, dock, Qt.Orientation.Vertical)
        self.refresh()
        self._resize()

    def restore(self) -> bool:
        """This role's last layout; False when there is none of this version."""
        state = self._settings.layout(self._state.role)
        is_restored = state is not None and self._window.restoreState(state, LAYOUT_VERSION)
        if not is_restored:
            self.place()
        self.refresh()
        return is_restored

    def save(self) -> None:
        """Keep it for this role. The start screen hides the docks, so nothing is kept from there."""
        if self._state.screen != "start":
            state: QByteArray = self._window.saveState(LAYOUT_VERSION)
            self._settings.save_layout(self._role, self._window.saveGeometry(), state)

    def reset(self) -> None:
        self._settings.forget_layout(self._state.role)
        for dock in self.docks.values():
            dock.setProperty("closedByPerson", False)
        self.place()

    def refresh(self, _value: object = None) -> None:
        """Show the panels of this screen and role."""
        for name, dock in self.docks.items():
            row = PANELS[name]
            is_here = self._state.screen in row.screens and self._state.role in row.roles
            dock.setVisible(is_here)
            dock.toggleViewAction().setVisible(is_here)

    def _change_role(self, role: str) -> None:
        self.save()
        self._role = role
        self.restore()

    def _dock(self, row: Panel, panel: QWidget) -> QDockWidget:
        dock = QDockWidget(title_of(row), self._window)
        dock.setObjectName(row.id)
        dock.setTitleBarWidget(Grip(title_of(row)) if row.has_title else _nothing())
        is_side = row.area in WIDTHS
        dock.setWidget(Column(panel) if is_side else panel)
        if not row.has_title:
            dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        self._window.addDockWidget(AREAS[row.area], dock)
        return dock

    def _resize(self, _value: object = None) -> None:
        theme = current()
        for area, width in WIDTHS.items():
            docks = [
                dock for name, dock in self.docks.items() if PANELS[name].area == area and dock.isVisible()
            ]
            if not docks:
                continue
            share = 1.0 if self._window.width() >= theme.px(1500) else 0.9
            self._window.resizeDocks(docks, [theme.px(width * share)] * len(docks), Qt.Orientation.Horizontal)
            self._window.resizeDocks(
                docks, [dock.widget().sizeHint().height() for dock in docks], Qt.Orientation.Vertical
            )


def _nothing() -> QWidget:
    """A title bar without height."""
    empty = QWidget()
    layout = QVBoxLayout(empty)
    layout.setContentsMargins(0, 0, 0, 0)
    empty.setFixedHeight(0)
    return empty

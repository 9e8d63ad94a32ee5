"""The bar at the top: brand, screens, the recording light, commands and menu. And the 3-px frame while recording."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QRect, Qt, Signal
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QRegion
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QTabBar,
    QToolButton,
    QWidget,
)

from console.actions import ACTIONS, MENUS, keys_text, tip_of
from widgets import a11y
from widgets.recording_badge import RecordingBadge
from widgets.theme import Theme, current, follow

TABS = ("screen_start", "screen_live", "screen_replay", "screen_models")
FRAME_PX = 3


class TopBar(QFrame):
    """Made of the same QActions as everything else."""

    paletteRequested = Signal()

    def __init__(self, actions: dict[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", "plain")
        self._brand = QLabel("◐ " + self.tr("JEPA Console"))
        self._brand.setProperty("role", "title")
        self._tabs = QTabBar()
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        for name in TABS:
            index = self._tabs.addTab(QCoreApplication.translate("actions", ACTIONS[name].text))
            self._tabs.setTabToolTip(index, tip_of(ACTIONS[name]))
        self._tabs.currentChanged.connect(self._chosen)
        self._actions = actions
        a11y.name(
            self._tabs,
            self.tr("Screens"),
            self.tr("Start, Live, Replay and Models"),
            "Ctrl+0, Ctrl+1, Ctrl+3, Ctrl+6",
        )
        self.badge = RecordingBadge()
        self._commands = QPushButton(
            self.tr("Commands") + "   " + keys_text(ACTIONS["palette"]).split(",")[0]
        )
        self._commands.clicked.connect(actions["palette"].trigger)
        a11y.name(self._commands, self.tr("Commands"), self.tr("Find any command by name"), "Ctrl+K")
        self._menu = QToolButton()
        self._menu.setText(self.tr("Menu"))
        self._menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu.setMenu(make_menu(actions, self))
        a11y.name(self._menu, self.tr("Menu"), self.tr("Every command by group"), "F10")
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._brand)
        self._layout.addSpacing(12)
        self._layout.addWidget(self._tabs)
        self._layout.addStretch(1)
        self._layout.addWidget(self.badge)
        self._layout.addWidget(self._commands)
        self._layout.addWidget(self._menu)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        follow(self, self._restyle)

    def show_screen(self, screen: str) -> None:
        self._tabs.blockSignals(True)
        self._tabs.setCurrentIndex(TABS.index(f"screen_{screen}"))
        self._tabs.blockSignals(False)

    def _chosen(self, index: int) -> None:
        if index >= 0:
            self._actions[TABS[index]].trigger()

    def open_menu(self) -> None:
        self._menu.showMenu()

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(theme.px(12), theme.px(6), theme.px(12), theme.px(6))
        self._layout.setSpacing(theme.px(6))


def make_menu(actions: dict[str, QAction], parent: QWidget) -> QMenu:
    """One submenu per group of ACTIONS."""
    menu = QMenu(parent)
    for group in MENUS:
        sub = menu.addMenu(QCoreApplication.translate("menus", group))
        for row in ACTIONS.values():
            if row.menu == group:
                sub.addAction(actions[row.id])
    return menu


class RecordingFrame(QWidget):
    """A line around the whole window while a recording runs. Masked to the line, so that it costs no repaints."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setAccessibleName(self.tr("Recording"))
        host.installEventFilter(self)
        self.hide()

    def show_recording(self, is_recording: bool) -> None:
        self.setVisible(is_recording)
        if is_recording:
            self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._host and event.type() == QEvent.Type.Resize and self.isVisible():
            self._fit()
        return False

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), current().color("near_miss"))

    def _fit(self) -> None:
        line = current().px(FRAME_PX)
        whole = QRect(self._host.rect())
        self.setGeometry(whole)
        self.setMask(QRegion(whole).subtracted(QRegion(whole.adjusted(line, line, -line, -line))))
        self.raise_()

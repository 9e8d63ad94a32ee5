"""The Models screen: what is on this machine, what was released, and what may be claimed of either.

Three pages behind three tabs. Holds them and passes their wishes on; each page knows its own facts.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from widgets import a11y
from widgets.library_page import LibraryPage
from widgets.parts import button, label
from widgets.released_page import ReleasedPage
from widgets.theme import Theme, follow

PAGES = ("library", "released", "claims")


class ModelsPage(QWidget):
    """One of PAGES is seen at a time."""

    openRequested = Signal()  # choose a file by a dialog
    pageChanged = Signal(str)

    def __init__(self, claims: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.library, self.released, self.claims = LibraryPage(), ReleasedPage(), claims
        self._title = label(self.tr("Models"), "hero")
        self._tabs = QTabBar()
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        self._pages = QStackedWidget()
        for words, page in (
            (self.tr("On this machine"), self.library),
            (self.tr("Released"), self.released),
            (self.tr("What may be claimed"), self.claims),
        ):
            self._tabs.addTab(words)
            self._pages.addWidget(page)
        a11y.name(
            self._tabs,
            self.tr("Pages of the models screen"),
            self.tr("On this machine, released, what may be claimed"),
        )
        self._tabs.currentChanged.connect(self._turned)
        self._open = button(self.tr("Open checkpoint…"), "", self.openRequested.emit)
        a11y.name(
            self._open,
            self.tr("Open a checkpoint"),
            self.tr("First shows what it is; loads nothing"),
            "Ctrl+M",
        )
        self._head = QHBoxLayout()
        self._head.addWidget(self._title)
        self._head.addWidget(self._tabs)
        self._head.addStretch(1)
        self._head.addWidget(self._open)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._head)
        self._layout.addWidget(self._pages, 1)
        self.setAccessibleName(self.tr("Models"))
        follow(self, self._restyle)

    @property
    def page(self) -> str:
        return PAGES[self._tabs.currentIndex()]

    def show_page(self, name: str) -> None:
        self._tabs.setCurrentIndex(PAGES.index(name))

    def focus_first(self) -> None:
        """The list, so that arrows and Enter do something at once."""
        if self.page == "library":
            self.library.list.focus_list()
        elif self.page == "released":
            self.released.list.focus_list()
        else:
            self.claims.setFocus()

    def _turned(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        self.pageChanged.emit(PAGES[index])

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(24)
        self._layout.setContentsMargins(m, theme.px(16), m, theme.px(16))
        self._layout.setSpacing(theme.px(12))
        self._head.setSpacing(theme.px(16))

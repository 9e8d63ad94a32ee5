"""The first screen: what was open, what a crash left behind, whether this computer is ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from widgets import a11y, icons
from widgets.parts import Card, Elided, button, clear, heading, key_hint, label, row
from widgets.theme import Theme, current, follow


@dataclass(frozen=True, slots=True)
class RecentItem:
    """Something that was open before."""

    uri: str
    title: str
    kind: str = "source"  # "source" | "session" | "checkpoint"
    detail: str = ""  # when, how long
    is_missing: bool = False  # the file is not there any more


@dataclass(frozen=True, slots=True)
class RecoveryItem:
    """A recording that was not closed."""

    path: object  # Path of the journal
    title: str
    detail: str = ""  # "0 events lost, 0.8 s of frames lost"


@dataclass(frozen=True, slots=True)
class CheckItem:
    """One line of the quick check."""

    title: str
    state: str  # "ok" | "info" | "warning" | "error" (or "bad") | "busy"
    detail: str = ""


_STATES = {  # state → icon, colour role, word
    "ok": ("ok", "ok", "ready"),
    "info": ("info", "accent", "to know"),
    "warning": ("warning", "flag_text", "look at this"),
    "error": ("error", "bad", "not usable"),
    "bad": ("error", "bad", "not usable"),
    "busy": ("recover", "accent", "checking"),
}
_KINDS = {"source": "video", "session": "session", "checkpoint": "model"}


class _Row(QFrame):
    """One item that can be opened: icon, two lines, and perhaps a button."""

    def __init__(
        self, icon_name: str, title: str, detail: str, act: Callable[[], None] | None, words: str
    ) -> None:
        super().__init__()
        self._icon_name = icon_name
        self._icon = label()
        self._title, self._detail = (
            Elided(title, "strong"),
            Elided(detail, "dim", mode=Qt.TextElideMode.ElideMiddle),
        )
        self._button = button(words, "", act)
        self._button.setEnabled(act is not None)
        a11y.name(self._button, f"{words} {title}")
        text = QVBoxLayout()
        text.setSpacing(0)
        text.addWidget(self._title)
        text.addWidget(self._detail)
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._icon)
        self._layout.addLayout(text, 1)
        self._detail.setVisible(
            bool(detail)
        )  # not before it has a parent: that would open a window of its own
        self._layout.addWidget(self._button)
        follow(self, self._restyle)

    def _restyle(self, theme: Theme) -> None:
        self._icon.setPixmap(icons.pixmap(self._icon_name, theme, "dim", 18))
        self._layout.setContentsMargins(0, theme.px(3), 0, theme.px(3))
        self._layout.setSpacing(theme.px(10))


class StartPage(QWidget):
    """Open, resume, recover. Enter takes the recovery first, as the most urgent."""

    openRequested = Signal(str)  # uri of a recent item
    openSourceRequested = Signal()
    openCheckpointRequested = Signal()
    demoRequested = Signal()
    recoverRequested = Signal(object)  # path
    recoverLaterRequested = Signal(object)  # path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._recovery_card, self._recoveries = Card(spacing=8), QVBoxLayout()
        self._recovery_card.set_tone("flag")
        self._recovery_card.body.addLayout(self._recoveries)
        self._recents, self._checks = QVBoxLayout(), QVBoxLayout()
        self._no_recents = label(
            self.tr("Nothing was open yet. Drop a video, a session or a checkpoint anywhere on this window."),
            "dim",
            wrap=True,
        )
        self._recovery_heading = heading(self.tr("Not closed last time"))
        self._demo = self._command(
            self.tr("Watch the embedded world"), "world", self.demoRequested.emit, "", "primary"
        )
        self._source = self._command(
            self.tr("Open video or session …"), "video", self.openSourceRequested.emit, "Ctrl+O"
        )
        self._model = self._command(
            self.tr("Load checkpoint …"), "model", self.openCheckpointRequested.emit, "Ctrl+M"
        )
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._page = QWidget()
        self._scroll.setWidget(self._page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._scroll)
        self._build()
        self.setAccessibleName(self.tr("Start"))
        follow(self, self._restyle)
        self.show_recents([])
        self.show_recoveries([])
        self.show_checks([])

    def show_recents(self, items: Sequence[RecentItem]) -> None:
        """The newest first."""
        clear(self._recents)
        for item in items:
            words = self.tr("Open") if not item.is_missing else self.tr("Gone")
            detail = item.detail or item.uri
            if item.is_missing:
                detail = self.tr("not found: {0}").format(item.uri)
            act = None if item.is_missing else partial(self.openRequested.emit, item.uri)
            self._recents.addWidget(_Row(_KINDS.get(item.kind, "open"), item.title, detail, act, words))
        self._no_recents.setVisible(not items)

    def show_recoveries(self, items: Sequence[RecoveryItem]) -> None:
        """Recordings that a crash left behind."""
        clear(self._recoveries)
        for n, item in enumerate(items):
            line = _Row(
                "recover", item.title, item.detail, partial(self._recover, item.path), self.tr("Recover")
            )
            self._recoveries.addWidget(line)
            if n == 0:
                line.findChild(type(self._demo)).setProperty("role", "primary")
        self._recovery_card.setVisible(bool(items))
        self._recovery_heading.setVisible(bool(items))

    def show_checks(self, items: Sequence[CheckItem]) -> None:
        """The quick check of this computer."""
        clear(self._checks)
        theme = current()
        for item in items or [CheckItem(self.tr("Quick check"), "busy", self.tr("not run yet"))]:
            name, role, words = _STATES.get(item.state, _STATES["warning"])
            mark = QLabel()
            mark.setPixmap(icons.pixmap(name, theme, role, 16))
            mark.setAccessibleName(self.tr(words))
            text = label(f"{item.title} · {item.detail}" if item.detail else item.title, wrap=True)
            line = QWidget()
            line.setAccessibleName(f"{item.title}: {self.tr(words)}. {item.detail}")
            inner = row(mark, text, 1)
            line.setLayout(inner)
            self._checks.addWidget(line)

    def focus_first(self) -> None:
        """Enter then does the most urgent thing: recover, else watch."""
        target = (
            self._recovery_card.findChild(type(self._demo)) if self._recovery_card.isVisibleTo(self) else None
        )
        (target or self._demo).setFocus()

    def _recover(self, path: object) -> None:
        self.recoverRequested.emit(path)

    def _build(self) -> None:
        left, right = QVBoxLayout(), QVBoxLayout()
        title = label(self.tr("JEPA Console"), "hero")
        self._line = label(
            self.tr("See what a world model expects to happen next, and where it was wrong."),
            "dim",
            wrap=True,
        )
        recents = Card(spacing=2)
        recents.body.addWidget(self._no_recents)
        recents.body.addLayout(self._recents)
        checks = Card(spacing=4)
        checks.body.addLayout(self._checks)
        for item in (self._recovery_heading, self._recovery_card, heading(self.tr("Recent")), recents):
            left.addWidget(item)
        left.addStretch(1)
        right.addWidget(heading(self.tr("Open")))
        for line in (self._demo, self._source, self._model):
            right.addWidget(line)
        right.addSpacing(12)
        right.addWidget(heading(self.tr("This computer")))
        right.addWidget(checks)
        right.addStretch(1)
        self._columns = QHBoxLayout()
        self._columns.addLayout(left, 3)
        self._columns.addLayout(right, 2)
        self._inner = QVBoxLayout(self._page)
        self._inner.addWidget(title)
        self._inner.addWidget(self._line)
        self._inner.addSpacing(12)
        self._inner.addLayout(self._columns, 1)

    def _command(
        self, words: str, icon_name: str, act: Callable[[], None], keys: str, role: str = "row"
    ) -> QPushButton:
        made = button(words, role, act)
        made.setProperty("iconName", icon_name)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        a11y.name(made, words.removesuffix(" …"), keys=keys)
        if keys:
            inner = QHBoxLayout(made)
            inner.setContentsMargins(0, 0, 10, 0)
            inner.addStretch(1)
            hint = key_hint(keys)
            hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            inner.addWidget(hint)
        return made

    def _restyle(self, theme: Theme) -> None:
        for made in (self._demo, self._source, self._model):
            role = "on_accent" if made.property("role") == "primary" else "accent_text"
            icons.put(made, str(made.property("iconName")), theme, role)
            made.setMinimumHeight(theme.px(40))
        m = theme.px(32)
        self._inner.setContentsMargins(m, theme.px(24), m, theme.px(24))
        self._columns.setSpacing(theme.px(28))
        for n in range(self._columns.count()):
            self._columns.itemAt(n).layout().setSpacing(theme.px(8))
        self._inner.setSpacing(theme.px(4))
        self._recents.setSpacing(theme.px(4))
        self._checks.setSpacing(theme.px(6))

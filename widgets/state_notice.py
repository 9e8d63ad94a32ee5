"""What a panel shows when it has nothing to show: one sentence, what to do about it, and a button that does it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QProgressBar, QWidget

from widgets import icons
from widgets.parts import Card, button, height_for, label, row, set_look
from widgets.theme import Theme, current, follow

_ICONS = {"empty": ("info", "dim"), "busy": ("recover", "accent"), "error": ("error", "bad")}


class StateNotice(Card):
    """A centred card for the states empty, busy and error."""

    actionRequested = Signal(str)
    sizeChanged = Signal()  # the details were opened or closed: it may have to be placed anew

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, margin=20, spacing=10)
        self._kind, self._action = "empty", ""
        self._icon = label()
        self._text = label(role="big", wrap=True)
        self._hint = label(role="dim", wrap=True)
        self._details = label(role="mono-small", wrap=True)
        self._details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._more = button(self.tr("Details"), "flat")
        self._more.setCheckable(True)
        self._more.toggled.connect(self._show_details)
        self._progress = QProgressBar()
        self._progress.setRange(0, 0)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(self.tr("Working"))
        self._button = button("", "primary", lambda: self.actionRequested.emit(self._action))
        self._icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(row(self._icon, self._text, 1, spacing=10))
        self.body.addWidget(self._hint)
        self.body.addWidget(self._progress)
        self.body.addLayout(row(self._button, self._more, None))
        self.body.addWidget(self._details)
        follow(self, self._restyle_notice)

    def show_state(
        self, kind: str, text: str, hint: str = "", action: str | None = None, details: str = ""
    ) -> None:
        """kind "empty" | "busy" | "error"; `action` is the text of the button and comes back in actionRequested."""
        self._details.setText(details)
        self._more.setVisible(bool(details))
        self._more.setChecked(False)
        self._details.hide()
        self._kind, self._action = kind, action or ""
        self._text.setText(text)
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))
        self._progress.setVisible(kind == "busy")
        self._button.setVisible(bool(action))
        self._button.setText(self._action)
        self._button.setAccessibleName(self._action)
        self.setAccessibleName(text)
        self.setAccessibleDescription(hint)
        self.set_tone("bad" if kind == "error" else "")
        set_look(self._text, tone="bad" if kind == "error" else "")
        self._restyle_notice(current())

    def fit(self) -> None:
        """Take the height that the words need at this width."""
        self.resize(self.width(), height_for(self, self.width()))
        self.body.activate()

    def _show_details(self, is_open: bool) -> None:
        self._details.setVisible(is_open)
        self.sizeChanged.emit()

    def _restyle_notice(self, theme: Theme) -> None:
        name, role = _ICONS.get(self._kind, _ICONS["empty"])
        self._icon.setPixmap(icons.pixmap(name, theme, role, 20))
        self._progress.setFixedHeight(theme.px(8))
        self.resize(theme.px(420), self.height())

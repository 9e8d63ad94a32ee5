"""Small pieces that every panel is made of: cards, headings, chips, key hints, words that elide.

Looks come from the style sheet through the properties `role`, `tone` and `card`; no piece knows a colour.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from widgets.theme import Theme, follow
from widgets.words import breakable, unbroken


def set_look(widget: QWidget, **properties: str) -> None:
    """Set style properties (`role`, `tone`, `card`) and let the style sheet see them again; "" means none."""
    changed = False
    for key, value in properties.items():
        if (widget.property(key) or "") != value:
            widget.setProperty(key, value)
            changed = True
    if changed:
        widget.style().unpolish(widget)
        widget.style().polish(widget)
        widget.update()


def label(text: str = "", role: str = "", tone: str = "", *, wrap: bool = False) -> QLabel:
    """Words in one of the looks of the style sheet. Plain text only: names from files cannot smuggle in markup."""
    made = Wrapped(text) if wrap else QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setProperty("role", role)
    made.setProperty("tone", tone)
    made.setWordWrap(wrap)
    if wrap:
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        made.setSizePolicy(policy)
    return made


class Wrapped(QLabel):
    """Words that go on in the next line, wherever a path or a hash is too long for one."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(breakable(text))

    def text(self) -> str:
        return unbroken(super().text())


def heading(text: str) -> QLabel:
    """The small capitals above a card."""
    made = label(text.upper(), "heading")
    made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    return made


def key_hint(keys: str) -> QLabel:
    """A key as a little cap. Decoration for the eye: the control beside it already says its key to readers."""
    made = label(keys, "key")
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    if not keys:
        made.hide()  # never show() here: without a parent yet, that would open a window of its own
    return made


def chip(text: str, tone: str = "") -> QLabel:
    made = label(text, "chip", tone)
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return made


def rule() -> QFrame:
    made = QFrame()
    made.setProperty("role", "rule")
    made.setFixedHeight(1)
    return made


def button(text: str, role: str = "", on_click: Callable[[], None] | None = None) -> QPushButton:
    made = QPushButton(text)
    made.setProperty("role", role)
    made.setAutoDefault(False)
    if on_click is not None:
        made.clicked.connect(lambda _checked=False: on_click())
    return made


def row(*items: QWidget | int | None, spacing: int = 8) -> QHBoxLayout:
    """Side by side; None stretches, a number is a stretch factor for the widget before it."""
    return _fill(QHBoxLayout(), items, spacing)  # type: ignore[return-value]


def column(*items: QWidget | int | None, spacing: int = 6) -> QVBoxLayout:
    return _fill(QVBoxLayout(), items, spacing)  # type: ignore[return-value]


def _fill(layout: QBoxLayout, items: tuple[QWidget | int | None, ...], spacing: int) -> QBoxLayout:
    layout.setSpacing(spacing)
    layout.setContentsMargins(0, 0, 0, 0)
    for item in items:
        if item is None:
            layout.addStretch(1)
        elif isinstance(item, int):
            layout.setStretch(layout.count() - 1, item)
        else:
            layout.addWidget(item)
    return layout


def height_for(widget: QWidget, width: int) -> int:
    """The height that `widget` needs at this width, with every word in its final font.

    Labels take their font from the style sheet only when they are polished, which Qt puts off until they are seen,
    and layouts keep what they measured before; so both are done here, inner layouts first.
    """
    for child in (widget, *widget.findChildren(QWidget)):
        child.ensurePolished()
    layout = widget.layout()
    if layout is None:
        return widget.sizeHint().height()
    _forget(layout)
    return layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.sizeHint().height()


def _forget(layout: QLayout) -> None:
    for n in range(layout.count()):
        item = layout.itemAt(n)
        inner = item.layout() or (item.widget().layout() if item.widget() is not None else None)
        if inner is not None:
            _forget(inner)
    layout.invalidate()


def clear(layout: QBoxLayout) -> None:
    """Take every widget and inner layout out and let go of it."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.setParent(None)
            widget.deleteLater()
        elif isinstance(inner := item.layout(), QBoxLayout):
            clear(inner)


def pad_field(box: QAbstractSpinBox, theme: Theme) -> None:
    """Room left of the digits: style sheets do not reach the field inside a spin box."""
    box.lineEdit().setTextMargins(theme.px(6), 0, 0, 0)


class Card(QFrame):
    """A raised block with its content in `body`. Margins follow the zoom."""

    def __init__(self, parent: QWidget | None = None, *, margin: int = 12, spacing: int = 6) -> None:
        super().__init__(parent)
        self.setProperty("card", "true")
        self.body = QVBoxLayout(self)
        self._margin, self._spacing = margin, spacing
        follow(self, self._restyle)

    def set_tone(self, tone: str) -> None:
        """ "" plain, "flag" amber edge, "bad" red edge."""
        set_look(self, card=tone or "true")

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(self._margin)
        self.body.setContentsMargins(m, theme.px(self._margin - 2), m, theme.px(self._margin - 2))
        self.body.setSpacing(theme.px(self._spacing))


class Elided(QLabel):
    """One line that may be too long: shows an ellipsis and keeps the whole in its tip and for screen readers."""

    def __init__(
        self, text: str = "", role: str = "", *, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight
    ) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole, self._mode = "", mode
        self.set_whole(text)

    def set_whole(self, text: str) -> None:
        if text == self._whole and self.text():
            return
        self._whole = text
        self.setAccessibleName(text)
        self._elide()

    def whole(self) -> str:
        return self._whole

    def minimumSizeHint(self) -> QSize:
        return QSize(QFontMetrics(self.font()).horizontalAdvance("MMM…"), super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        width = QFontMetrics(self.font()).horizontalAdvance(self._whole) + 2
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(self._whole, self._mode, max(self.width(), 1))
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")

"""The evidence ladder: five rising steps, the one a system stands on marked by shape, word and colour."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from jepa_core.claims import LADDER, SystemClaims
from widgets.marks import shape_path
from widgets.parts import label, set_look
from widgets.theme import Theme, current, follow

_WORDS = {"below": "below", "reached": "reached", "above": "not shown"}


class ClaimsLadder(QWidget):
    """Knows one system's step. The words stand below the steps, so that colour and height only help."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps = [_Step(n + 1) for n in range(len(LADDER))]
        self._names = [label(wrap=True) for _ in LADDER]
        self._states = [label(role="small") for _ in LADDER]
        self._sentence = label(role="strong", wrap=True)
        self._reason = label(role="dim", wrap=True)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        for n, step in enumerate(self._steps):
            self._grid.addWidget(step, 0, n)
            self._grid.addWidget(self._names[n], 1, n, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(self._states[n], 2, n)
            self._grid.setColumnStretch(n, 1)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(self._grid)
        self._layout.addWidget(self._sentence)
        self._layout.addWidget(self._reason)
        follow(self, self._restyle)

    def show_claims(self, claims: SystemClaims) -> None:
        """The step of a system, and why."""
        for n, (name, _) in enumerate(LADDER.values()):
            state = "reached" if n + 1 == claims.rung else "below" if n + 1 < claims.rung else "above"
            self._steps[n].show_state(state)
            self._names[n].setText(self.tr(name))
            set_look(self._names[n], role="strong" if state == "reached" else "dim")
            self._states[n].setText(("◆ " if state == "reached" else "") + self.tr(_WORDS[state]))
            set_look(self._states[n], tone="accent" if state == "reached" else "")
        name, meaning = LADDER[claims.level]
        step = self.tr("Step {0} of {1}, {2}: {3}.").format(
            claims.rung, len(LADDER), self.tr(name).lower(), self.tr(meaning)
        )
        self._sentence.setText(step)
        self._reason.setText(claims.level_reason)
        self.setAccessibleName(self.tr("Evidence ladder"))
        self.setAccessibleDescription(f"{step} {claims.level_reason}")

    def _restyle(self, theme: Theme) -> None:
        self._grid.setHorizontalSpacing(theme.px(6))
        self._grid.setVerticalSpacing(theme.px(2))
        self._layout.setSpacing(theme.px(4))
        self._grid.setRowMinimumHeight(0, theme.px(64))


class _Step(QWidget):
    """One block, as high as its number. Full with a diamond: reached. Outline: below. Dashed: nothing was shown."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number, self._state = number, "above"
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        follow(self, lambda theme: self.setFixedHeight(theme.px(64)))

    def show_state(self, state: str) -> None:
        """ "below", "reached" or "above"."""
        self._state = state
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        high = self.height() * (0.28 + 0.72 * self._number / len(LADDER)) - 2
        block = QRectF(1, self.height() - high - 1, self.width() - 2, high)
        pen = QPen(theme.color("border" if self._state == "above" else "accent"), theme.px(1))
        if self._state == "above":
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        fill = {"reached": theme.color("accent"), "below": theme.color("selection")}
        painter.setBrush(fill.get(self._state, Qt.BrushStyle.NoBrush))
        painter.drawRoundedRect(block, theme.px(4), theme.px(4))
        is_here = self._state == "reached"
        painter.setFont(theme.font("title", bold=True))
        painter.setPen(theme.color("on_accent" if is_here else "text" if self._state == "below" else "dim"))
        painter.drawText(block, Qt.AlignmentFlag.AlignCenter, str(self._number))
        if is_here:
            painter.translate(block.center().x() - theme.px(20), block.center().y())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("on_accent"))
            painter.drawPath(shape_path("diamond", theme.px(14)))
        painter.end()

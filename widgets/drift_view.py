"""Recorded versus recomputed: the verdict in a sentence, the largest difference, and the table behind it.

Takes the report of `sessions/compare.py` as plain values. Says "reproduced" only when the report does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from jepa_core.types import JSON
from widgets import a11y
from widgets.parts import Card, button, heading, label, row, set_look
from widgets.progress_card import ProgressCard
from widgets.signal_table import TITLES
from widgets.theme import Theme, follow
from widgets.words import grouped

_COLUMNS = {  # key of a table row → heading; other keys are shown under their own name
    "name": "what",
    "field": "what",
    "count": "compared",
    "n": "compared",
    "steps": "looks",
    "max_difference": "largest difference",
    "mean_difference": "mean difference",
    "tolerance": "tolerance",
    "first_differing_seq": "first differing frame",
    "seq": "frame",
    "verdict": "verdict",
}


class DriftView(QWidget):
    """States: empty, running, reproduced, differs, error."""

    recomputeRequested = Signal()
    cancelRequested = Signal()
    frameRequested = Signal(object)  # seq of the first differing frame

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._seq: int | None = None
        self._card = Card()
        self._verdict = label(role="big", wrap=True)
        self._words = label(role="dim", wrap=True)
        self._start = button(self.tr("Recompute …"), "primary", self.recomputeRequested.emit)
        self._show = button(self.tr("Go to the first differing frame"), "", self._go)
        self._progress = ProgressCard()
        self._progress.cancelRequested.connect(self.cancelRequested)
        self._table = QTableWidget(0, 0)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self._table.setShowGrid(False)
        self._table.setAlternatingRowColors(True)
        a11y.name(self._table, self.tr("Differences"))
        a11y.name(
            self._start, self.tr("Recompute"), self.tr("Run the recorded frames through a checkpoint again")
        )
        a11y.name(self._show, self.tr("Go to the first differing frame"))
        for item in (self._verdict, self._words):
            self._card.body.addWidget(item)
        self._card.body.addLayout(row(self._start, self._show, None))
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Recomputed here")))
        self._layout.addWidget(self._card)
        self._layout.addWidget(self._progress)
        self._layout.addWidget(self._table, 1000)  # all the room while it is shown, none while it is not
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Recomputed here"))
        follow(self, self._restyle)
        self.show_empty()

    def show_empty(self) -> None:
        """Nothing was recomputed yet."""
        self._say(
            self.tr("Not recomputed yet"),
            "",
            self.tr("The recorded frames go through a checkpoint again, and every error is compared."),
        )
        self._start.show()

    def show_progress(self, text: str, fraction: float) -> None:
        """It runs; fraction 0..1, negative unknown."""
        self._say(self.tr("Recomputing"), "", "")
        self._progress.show_progress(text, fraction)
        self._progress.show()

    def show_error(self, what: str, hint: str = "") -> None:
        """It could not be done."""
        self._say(f"✗ {what}", "bad", hint)
        self._card.set_tone("bad")
        self._start.show()

    def show_report(self, report: Mapping[str, JSON]) -> None:
        """Keys: verdict "reproduced" | "differs", max_difference, first_differing_seq, tolerance, table (rows), …"""
        verdict = str(report.get("verdict", ""))
        is_same = verdict == "reproduced"
        head = self.tr("✓ reproduced") if is_same else self.tr("✗ differs")
        largest = report.get("max_difference")
        if isinstance(largest, int | float):
            head += self.tr(" · largest difference {0:.3g}").format(float(largest))
        seq = report.get("first_differing_seq")
        self._seq = seq if isinstance(seq, int) and seq >= 0 and not is_same else None
        facts = []
        if isinstance(tolerance := report.get("tolerance"), int | float):
            facts.append(self.tr("tolerance {0:.3g}").format(float(tolerance)))
        if self._seq is not None:
            facts.append(self.tr("first differs at frame {0}").format(grouped(self._seq)))
        facts += [str(report[key]) for key in ("text", "note") if report.get(key)]
        self._say(head, "ok" if is_same else "flag", " · ".join(facts))
        self._start.show()
        self._show.setVisible(self._seq is not None)
        rows = report.get("table") or report.get("rows") or []
        self._fill([item for item in rows if isinstance(item, Mapping)] if isinstance(rows, list) else [])

    def _say(self, verdict: str, tone: str, words: str) -> None:
        self._verdict.setText(verdict)
        set_look(self._verdict, tone=tone)
        self._words.setText(words)
        self._words.setVisible(bool(words))
        self._card.set_tone("")
        self._card.setAccessibleName(f"{verdict}. {words}")
        for item in (self._start, self._show, self._progress, self._table):
            item.hide()

    def _fill(self, rows: Sequence[Mapping[str, JSON]]) -> None:
        keys = list(dict.fromkeys(key for item in rows for key in item))
        self._table.setColumnCount(len(keys))
        self._table.setRowCount(len(rows))
        for column, key in enumerate(keys):
            title = QTableWidgetItem(self.tr(_COLUMNS.get(key, key.replace("_", " "))))
            side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft  # over its numbers
            title.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            self._table.setHorizontalHeaderItem(column, title)
        for n, item in enumerate(rows):
            for column, key in enumerate(keys):
                value = item.get(key)
                cell = QTableWidgetItem(self.tr(TITLES.get(_cell(value), _cell(value))))
                if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._table.setItem(n, column, cell)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self._table.setVisible(bool(rows))

    def _go(self) -> None:
        if self._seq is not None:
            self.frameRequested.emit(self._seq)

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, m)
        self._layout.setSpacing(theme.px(6))
        self._table.verticalHeader().setDefaultSectionSize(theme.px(26))


def _cell(value: JSON) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)

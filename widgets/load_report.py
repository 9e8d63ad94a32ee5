"""Tensor by tensor, how a checkpoint file matched its family. The same report for loaded and refused files."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from jepa_core.types import CheckpointInfo, LoadReport
from widgets import a11y
from widgets.parts import button, label, row, set_look
from widgets.theme import Theme, follow
from widgets.words import grouped, plural, size

_SHOWN = 5000  # rows; a file with more differences is described well enough by its first ones


class LoadReportView(QWidget):
    """A verdict in a sentence, the facts, and the tensors that differ."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._report: LoadReport | None = None
        self._verdict = label(role="big", wrap=True)
        self._facts = label(role="dim", wrap=True)
        self._facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(self.tr("filter by name"))
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._refilter)
        self._table = QTableWidget(0, 2)
        self._table.setHorizontalHeaderLabels([self.tr("State"), self.tr("Tensor or fact")])
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setAlternatingRowColors(True)
        self._table.setShowGrid(False)
        self._table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self._table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._copy = button(self.tr("Copy report"), "", self._copy_text)
        self._empty = label(
            self.tr("Every tensor matched by name and shape; nothing is left over."), "dim", wrap=True
        )
        a11y.name(self._filter, self.tr("Filter tensors by name"))
        a11y.name(self._table, self.tr("Tensors that differ"))
        a11y.name(self._copy, self.tr("Copy the report as text"))
        self._layout = QVBoxLayout(self)
        for item in (self._verdict, self._facts):
            self._layout.addWidget(item)
        self._layout.addLayout(row(self._filter, 1, self._copy, None))
        self._layout.addWidget(self._empty)
        self._layout.addWidget(self._table, 1000)  # all the room while it is shown, none while it is not
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Load report"))
        follow(self, self._restyle)
        self.show_empty()

    def show_empty(self) -> None:
        """No checkpoint has been read."""
        self._report = None
        self._verdict.setText(self.tr("No checkpoint has been read yet."))
        set_look(self._verdict, tone="")
        self._facts.setText(self.tr("The report of the next one appears here, also when it is refused."))
        self._fill([])
        for item in (self._empty, self._table, self._filter, self._copy):
            item.hide()

    def show_report(self, report: LoadReport, info: CheckpointInfo | None = None) -> None:
        """The report of a loaded (`info` given) or refused (None) file."""
        self._report = report
        self._verdict.setText(self.verdict(report, is_loaded=info is not None))
        set_look(self._verdict, tone="ok" if info is not None else "bad")
        self._facts.setText("\n".join(self._fact_lines(report, info)))
        rows = [(self.tr("missing"), name) for name in report.missing]
        rows += [(self.tr("unexpected"), name) for name in report.unexpected]
        rows += [(self.tr("other shape"), name) for name in report.reshaped]
        rows += [(self.tr("ignored by design"), name) for name in report.ignored]
        rows += [(self.tr("absent part"), name) for name in report.absent_parts]
        rows += [(self.tr("assumed"), f"{key} = {value}") for key, value in report.assumed.items()]
        self._empty.setVisible(not rows)
        self._table.setVisible(bool(rows))
        self._filter.setVisible(bool(rows))
        self._copy.show()
        self._fill(rows[:_SHOWN])

    def verdict(self, report: LoadReport, *, is_loaded: bool) -> str:
        total = report.matched + len(report.missing) + len(report.reshaped)
        head = self.tr("✓ Loaded") if is_loaded else self.tr("✗ Refused")
        parts = [
            self.tr("{0} of {1} matched").format(grouped(report.matched), plural(total, self.tr("tensor")))
        ]
        for names, word in (
            (report.missing, self.tr("missing")),
            (report.unexpected, self.tr("unexpected")),
            (report.reshaped, self.tr("of another shape")),
        ):
            if names:
                parts.append(f"{grouped(len(names))} {word}")
        return f"{head}: {', '.join(parts)}"

    def text(self) -> str:
        """The whole report as plain text."""
        if self._report is None:
            return ""
        lines = [self._verdict.text(), self._facts.text(), ""]
        for n in range(self._table.rowCount()):
            lines.append("\t".join(self._table.item(n, c).text() for c in (0, 1)))
        return "\n".join(lines)

    def _fact_lines(self, report: LoadReport, info: CheckpointInfo | None) -> list[str]:
        lines = [
            f"{report.family or self.tr('unknown family')} · {report.variant or self.tr('unknown variant')}",
            self.tr("file {0}, {1}").format(report.path, size(report.file_bytes)),
        ]
        if report.sha256:
            lines.append(f"sha256 {report.sha256}")
        if report.memory_bytes:
            lines.append(
                self.tr("one look needs about {0} of device memory").format(size(report.memory_bytes))
            )
        if info is not None:
            spec = info.input
            lines.append(
                self.tr("input {0} × {0} px, {1} frames at {2:g} fps, tubelet {3}, patch {4}").format(
                    spec.size, spec.frames, spec.fps, spec.tubelet, spec.patch
                )
            )
        return lines

    def _fill(self, rows: list[tuple[str, str]]) -> None:
        self._table.setRowCount(len(rows))
        for n, (state, name) in enumerate(rows):
            for column, words in enumerate((state, name)):
                item = QTableWidgetItem(words)
                item.setToolTip(words)
                self._table.setItem(n, column, item)
        self._refilter()

    def _refilter(self) -> None:
        wanted = self._filter.text().lower()
        for n in range(self._table.rowCount()):
            self._table.setRowHidden(n, wanted not in self._table.item(n, 1).text().lower())

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.text())

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, m, m, m)
        self._layout.setSpacing(theme.px(8))
        self._table.verticalHeader().setDefaultSectionSize(theme.px(26))
        self._table.setMinimumHeight(theme.px(120))

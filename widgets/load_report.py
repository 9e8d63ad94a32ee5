"""Tensor by tensor, how a checkpoint file matched its family. The same report for loaded, examined and refused files.

Grouped by what became of a tensor, and long groups again by the block they belong to, so that 300 names are read as a
dozen lines. Can be filtered, copied and saved; writing a file is its owner's work.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from jepa_core.types import CheckpointInfo, LoadReport
from widgets import a11y, checkpoint_words
from widgets.parts import button, label, row, set_look
from widgets.theme import Theme, follow
from widgets.words import grouped, plural, size

_SHOWN = 5000  # rows; a file with more differences is described well enough by its first ones
_OPEN_BELOW = 40  # a group with fewer rows is open from the beginning
_SPLIT_ABOVE = 12  # a group with more is divided by block
_BLOCK = re.compile(r"^(.*?(?:blocks|block|layer|layers)\.\d+)\.")

Group = tuple[str, Sequence[str]]


class LoadReportView(QWidget):
    """A verdict in a sentence, the facts, and the tensors that differ."""

    saveRequested = Signal()  # write the whole report to a file

    def __init__(self, parent: QWidget | None = None, *, is_compact: bool = False) -> None:
        """is_compact: on a card of somebody who says verdict and facts already"""
        super().__init__(parent)
        self._is_compact = is_compact
        self._groups: list[Group] = []
        self._verdict = label(role="big", wrap=True)
        self._facts = label(role="dim", wrap=True)
        self._facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(self.tr("filter by name"))
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._refilter)
        self._count = label(role="dim")
        self._tree = QTreeWidget()
        self._tree.setHeaderHidden(True)
        self._tree.setAlternatingRowColors(True)
        self._tree.setUniformRowHeights(True)
        self._tree.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self._tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._copy = button(self.tr("Copy report"), "", self._copy_text)
        self._save = button(self.tr("Save as JSON…"), "", self.saveRequested.emit)
        self._empty = label(
            self.tr("Every tensor matched by name and shape; nothing is left over."), "dim", wrap=True
        )
        a11y.name(self._filter, self.tr("Filter tensors by name"))
        a11y.name(self._tree, self.tr("Tensors and facts"), self.tr("Grouped by what became of them"))
        a11y.name(self._copy, self.tr("Copy the report as text"), self.tr("Or the selected rows"))
        a11y.name(self._save, self.tr("Save the report as JSON"))
        copy = QShortcut(QKeySequence.StandardKey.Copy, self._tree)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self._copy_rows)
        self._layout = QVBoxLayout(self)
        if is_compact:
            for item in (self._verdict, self._facts):
                item.setParent(self)
                item.hide()
        else:
            for item in (self._verdict, self._facts):
                self._layout.addWidget(item)
        self._layout.addLayout(row(self._filter, 1, self._count, self._copy, self._save))
        self._layout.addWidget(self._empty)
        self._layout.addWidget(self._tree, 1000)  # all the room while it is shown, none while it is not
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Load report"))
        follow(self, self._restyle)
        self.show_empty()

    def show_empty(self) -> None:
        """No checkpoint has been read."""
        self._verdict.setText(self.tr("No checkpoint has been read yet."))
        set_look(self._verdict, tone="")
        self._facts.setText(self.tr("The report of the next one appears here, also when it is refused."))
        self._groups = []
        self._fill([])
        for item in (self._empty, self._tree, self._filter, self._count, self._copy, self._save):
            item.hide()

    def show_report(
        self, report: LoadReport, info: CheckpointInfo | None = None, *, is_loaded: bool = True
    ) -> None:
        """The report of a refused (`info` None), examined (not `is_loaded`) or loaded file."""
        self._verdict.setText(self.verdict(report, is_ok=info is not None, is_loaded=is_loaded))
        set_look(self._verdict, tone="ok" if info is not None else "bad")
        self._facts.setText("\n".join(self._fact_lines(report, info)))
        taken = [f"{key} = {value}" for key, value in report.assumed.items()]
        groups: list[Group] = [
            (self.tr("missing"), report.missing),
            (self.tr("unexpected"), report.unexpected),
            (self.tr("of another shape"), report.reshaped),
            (self.tr("absent by design"), report.absent_parts),
            (self.tr("ignored by design"), report.ignored),
            (self.tr("taken from elsewhere"), taken),
            (self.tr("how it was recognised"), report.marks),
        ]
        self._groups = [group for group in groups if group[1]]
        if self._is_compact:
            groups = groups[:-2]  # its owner says these two; the copied text has them all the same
        differs = bool(report.missing or report.unexpected or report.reshaped)
        self._empty.setVisible(not differs and report.matched > 0)
        self._fill([group for group in groups if group[1]])
        has_rows = self._tree.topLevelItemCount() > 0
        for item in (self._tree, self._filter, self._count):
            item.setVisible(has_rows)
        self._copy.show()
        self._save.show()

    def verdict(self, report: LoadReport, *, is_ok: bool, is_loaded: bool = True) -> str:
        """ "✓ Loaded: 588 of 588 tensors matched"."""
        head = self.tr("✓ Loaded") if is_loaded else self.tr("✓ Can be loaded")
        return f"{head if is_ok else self.tr('✗ Refused')}: {checkpoint_words.match(report)}"

    def text(self) -> str:
        """The whole report as plain text, whatever the filter shows."""
        if self._copy.isHidden():
            return ""
        lines = [self._verdict.text(), self._facts.text(), ""]
        for name, items in self._groups:
            lines += [f"{name}\t{item}" for item in items]
        return "\n".join(lines)

    def shown(self) -> list[str]:
        """The names that the filter lets through."""
        return [item.text(0) for item in self._leaves() if not item.isHidden()]

    def _fact_lines(self, report: LoadReport, info: CheckpointInfo | None) -> list[str]:
        identity = checkpoint_words.identity(report) or self.tr("unknown family · unknown variant")
        lines = [identity, self.tr("file {0}, {1}").format(report.path, size(report.file_bytes))]
        if report.sha256:
            lines.append(f"sha256 {report.sha256}")
        if report.memory_bytes:
            lines.append(
                self.tr("one look needs about {0} of device memory").format(size(report.memory_bytes))
            )
        if info is not None:
            lines.append(self.tr("input {0}").format(checkpoint_words.input_words(info)))
        return lines

    def _fill(self, groups: list[Group]) -> None:
        self._tree.clear()
        left = _SHOWN
        for name, items in groups:
            top = QTreeWidgetItem(self._tree, [f"{name} · {grouped(len(items))}"])
            top.setFirstColumnSpanned(True)
            for block, members in _by_block(items[: max(left, 0)]):
                parent = top
                if block:
                    parent = QTreeWidgetItem(top, [f"{block} · {plural(len(members), 'tensor')}"])
                parent.addChildren([_leaf(member) for member in members])
            left -= len(items)
            top.setExpanded(top.childCount() < _OPEN_BELOW)
        self._refilter()

    def _tops(self) -> list[QTreeWidgetItem]:
        return _children(self._tree.invisibleRootItem())

    def _leaves(self) -> list[QTreeWidgetItem]:
        found: list[QTreeWidgetItem] = []
        for top in self._tops():
            for child in _children(top):
                found += _children(child) or [child]
        return found

    def _refilter(self) -> None:
        wanted = self._filter.text().lower().split()
        shown = 0
        for top in self._tops():
            of_group = 0
            for child in _children(top):
                inner = _children(child)
                hits = 0
                for leaf in inner or [child]:
                    is_hit = all(word in leaf.text(0).lower() for word in wanted)
                    leaf.setHidden(not is_hit)
                    hits += is_hit
                child.setHidden(hits == 0)
                if inner:
                    child.setExpanded(bool(wanted))
                of_group += hits
            top.setHidden(bool(wanted) and of_group == 0)
            if wanted:
                top.setExpanded(True)
            shown += of_group
        whole = len(self._leaves())
        self._count.setText(
            self.tr("{0} of {1}").format(grouped(shown), grouped(whole)) if wanted else plural(whole, "line")
        )

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.text())

    def _copy_rows(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(item.text(0) for item in self._tree.selectedItems()))

    def _restyle(self, theme: Theme) -> None:
        m = 0 if self._is_compact else theme.px(12)
        self._layout.setContentsMargins(m, m, m, m)
        self._layout.setSpacing(theme.px(8))
        self._tree.setIndentation(theme.px(18))
        self._tree.setMinimumHeight(theme.px(120))


def _by_block(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Names in their order, those of one block together: ("predictor/blocks.12", […]); "" where there is no block.

    A short group stays as it is.
    """
    if len(names) <= _SPLIT_ABOVE:
        return [("", list(names))] if names else [("", [])]
    found: dict[str, list[str]] = {}
    for name in names:
        block = _BLOCK.match(name)
        found.setdefault(block.group(1) if block else "", []).append(name)
    return list(found.items())


def _leaf(name: str) -> QTreeWidgetItem:
    made = QTreeWidgetItem([name])
    made.setToolTip(0, name)
    return made


def _children(item: QTreeWidgetItem) -> list[QTreeWidgetItem]:
    return [child for n in range(item.childCount()) if (child := item.child(n)) is not None]

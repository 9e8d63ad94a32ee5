"""The written part of a system's claims as rows: a name at the left, words at the right, where they are from below.

Each card paints one text document: a page of claims is 150 sentences, and as many labels would stall the window for a
tenth of a second at every change of system. Texts are escaped; what a file says cannot become markup.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QTextDocument
from PySide6.QtWidgets import QSizePolicy, QWidget

from jepa_core.claims import BOUNDARY_TESTS, BoundaryAnswer, Fact, Reference, Remark, SystemClaims
from widgets.parts import Card
from widgets.theme import TYPE_PX, Theme, current, follow

VERDICTS = {  # verdict → mark and word, colour role
    "yes": ("✓ yes", "ok"),
    "no": ("✗ no", "text"),
    "partly": ("◐ partly", "flag_text"),
    "unknown": ("? unknown", "dim"),
    "not_applicable": ("– does not apply", "dim"),
}

_KINDS = {
    "primary_paper": "paper",
    "independent_replication": "third party",
    "own_measurement": "worked out for this console",
    "weak": "weak source",
}
_TITLES = {"ood_tests": "tests away from the training data"}
_NAME_WIDTH = 150  # logical pixels; the same on every card, so that the words line up down the page
_LOOKS = {  # look of a line → colour role, type size, weight
    "": ("text", "body", 400),
    "strong": ("text", "body", 600),
    "dim": ("dim", "body", 400),
    "small": ("dim", "small", 400),
}

Line = tuple[str, str]
"""Words, and a key of _LOOKS."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    lines: tuple[Line, ...]
    role: str = "dim"  # colour role of the name


class RowsCard(Card):
    """A card of rows. Follows the theme."""

    def __init__(self, *, name_width: int = _NAME_WIDTH) -> None:
        super().__init__()
        self._paper = _Paper(name_width)
        self.body.addWidget(self._paper)

    def show_rows(self, rows: Iterable[Row]) -> None:
        self._paper.show_rows(tuple(rows))

    def text(self) -> str:
        """What is to be read, without its looks."""
        return self._paper.accessibleName()


class _Paper(QWidget):
    """A table of two columns, laid out once per width."""

    def __init__(self, name_width: int) -> None:
        super().__init__()
        self._rows: tuple[Row, ...] = ()
        self._name_width = name_width
        self._document = QTextDocument(self)
        self._document.setDocumentMargin(0)
        self._heights: dict[int, int] = {}
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        follow(self, self._write)

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        self._rows = rows
        lines = (f"{row.name}: {' '.join(words for words, _ in row.lines)}" for row in rows)
        self.setAccessibleName("\n".join(line.removeprefix(": ") for line in lines))
        self._write(current())

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        if width not in self._heights:
            if len(self._heights) > 8:  # while somebody drags the window's edge
                self._heights.clear()
            self._document.setTextWidth(width)
            self._heights[width] = math.ceil(self._document.size().height())
        return self._heights[width]

    def minimumSizeHint(self) -> QSize:
        return QSize(current().px(self._name_width + 120), 0)

    def sizeHint(self) -> QSize:
        width = self.width() if self.testAttribute(Qt.WidgetAttribute.WA_Resized) else current().px(600)
        return QSize(width, self.heightForWidth(width))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._document.textWidth() != self.width():
            self._document.setTextWidth(self.width())
        painter = QPainter(self)
        painter.setClipRect(event.rect())
        self._document.drawContents(painter, event.rect())
        painter.end()

    def _write(self, theme: Theme) -> None:
        wide, gap = theme.px(self._name_width), theme.px(8)
        cells = ""
        for n, row in enumerate(self._rows):
            below = gap if n + 1 < len(self._rows) else 0
            name = _span(row.name, row.role, "body", 400 if row.role == "dim" else 600, theme)
            words = "<br>".join(_span(text, *_LOOKS[look], theme) for text, look in row.lines)
            cells += (
                f'<tr><td width="{wide}" style="padding-bottom:{below}px">{name}</td>'
                f'<td style="padding-bottom:{below}px; padding-left:{gap}px">{words}</td></tr>'
            )
        self._document.setDefaultFont(theme.font("body"))
        self._document.setHtml(f'<table width="100%" cellspacing="0" cellpadding="0">{cells}</table>')
        self._heights.clear()
        self.updateGeometry()
        self.update()


def _span(words: str, role: str, size: str, weight: int, theme: Theme) -> str:
    color, px = getattr(theme.tokens, role), theme.px(TYPE_PX[size])
    return f'<span style="color:{color}; font-size:{px}px; font-weight:{weight}">{html.escape(words)}</span>'


def tr(text: str) -> str:
    return QCoreApplication.translate("claims", text)


def said_rows(claims: SystemClaims) -> list[Row]:
    """What may be said, and what may not: the page in six sentences."""
    rows = []
    for words, role, texts in (
        (tr("✓ may be said"), "ok", claims.may_be_said),
        (tr("✗ may not be said"), "bad", claims.may_not_be_said),
    ):
        rows += [Row(words if n == 0 else "", ((text, ""),), role) for n, text in enumerate(texts)]
    return rows


def fact_rows(facts: Sequence[Fact]) -> list[Row]:
    """Stated facts with their source; what nobody stated is named in one row at the end, never left out."""
    rows = [
        Row(_title(fact.name), ((_words(fact), ""), *_cited(fact.source, fact.where)))
        for fact in facts
        if fact.status != "unknown"
    ]
    unknown = [_title(fact.name).lower() for fact in facts if fact.status == "unknown"]
    if unknown:
        words = tr("not stated in the sources read: {0}").format(", ".join(unknown))
        rows.append(Row(tr("Unknown"), ((words, "dim"),)))
    return rows


def remark_rows(remarks: Iterable[Remark], mark: str, role: str) -> list[Row]:
    return [Row(mark, ((r.text, ""), *_cited(r.source, r.where)), role) for r in remarks]


def boundary_rows(answers: Iterable[BoundaryAnswer]) -> list[Row]:
    """The seven boundary tests as question and answer."""
    rows = []
    for answer in answers:
        words, role = VERDICTS[answer.verdict]
        question = tr(BOUNDARY_TESTS[answer.test])
        rows.append(Row(tr(words), ((question, "strong"), (answer.answer, ""), (answer.reason, "dim")), role))
    return rows


def source_rows(sources: Iterable[Reference]) -> list[Row]:
    """Where everything on the page is from, and how it was read."""
    return [
        Row(
            tr(_KINDS.get(source.kind, source.kind.replace("_", " "))),
            ((source.title, ""), (source.ref, "dim"), (tr("read: {0}").format(source.via), "small")),
        )
        for source in sources
    ]


def _title(name: str) -> str:
    return tr(_TITLES.get(name, name.replace("_", " ")).capitalize())


def _words(fact: Fact) -> str:
    """ "no · Targets are latents.": the value the record keeps, where the field has one, and the words."""
    if fact.status == "not_applicable":
        return tr("does not apply · {0}").format(fact.text)
    value = fact.value.replace("_", " ")
    return f"{value} · {fact.text}" if value else fact.text


def _cited(source: Reference | None, where: str) -> tuple[Line, ...]:
    if source is None:
        return ()
    return ((f"{source.ref}, {where}" if where else source.ref, "small"),)

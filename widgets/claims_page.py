"""What may be claimed: one system's evidence, figures and limits, and where a loaded file stands among them.

Takes frozen claims and the loaded checkpoint's identity. Opens no file and decides nothing: `claims_match` says which
published version a file is. Must never show a figure without its benchmark, version and source.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from jepa_core.claims import SystemClaims
from jepa_core.claims_match import Belonging, belonging
from jepa_core.types import CheckpointInfo
from widgets import a11y
from widgets.claims_figures import FigureTable
from widgets.claims_ladder import ClaimsLadder
from widgets.claims_list import SystemList
from widgets.claims_rows import RowsCard, boundary_rows, fact_rows, remark_rows, said_rows, source_rows
from widgets.claims_text import text_of
from widgets.parts import Card, Elided, button, heading, label, row, set_look
from widgets.state_notice import StateNotice
from widgets.theme import Theme, follow

_WIDEST = 1080  # logical pixels; longer lines are hard to read
_TONES = {"released": ("✓", "ok"), "conversion": ("△", "flag"), "like": ("△", "flag")}


class ClaimsPage(QWidget):
    """States: empty (every system can be read), live (a checkpoint is loaded), error (the claims are damaged)."""

    systemChosen = Signal(str)  # exact system name
    textCopied = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._claims: Mapping[str, SystemClaims] = {}
        self._info: CheckpointInfo | None = None
        self._proved = ""
        self._system = ""
        self._shown: SystemClaims | None = None  # whose rows are written
        self._list = SystemList()
        self._list.systemChosen.connect(self._choose)
        self._notice = StateNotice()
        self._file = _FileCard()
        self._file.systemRequested.connect(self.show_system)
        self._title = label(role="hero", wrap=True)
        self._summary = label(role="dim", wrap=True)
        self._copy = button(self.tr("Copy as text"), "", self._copy_text)
        a11y.name(self._copy, self.tr("Copy everything on this page as text"))
        self._ladder, self._figures = ClaimsLadder(), FigureTable()
        self._cards: dict[str, tuple[QLabel, RowsCard]] = {}
        self._scroll = QScrollArea()
        self._build()
        self.setAccessibleName(self.tr("What may be claimed"))
        follow(self, self._restyle)
        self.show_claims({})

    def show_claims(self, claims: Mapping[str, SystemClaims]) -> None:
        """What is known of every system, by exact name. The chosen one stays, or the first is shown."""
        self._claims = dict(claims)
        was = self._system
        self._list.show_systems(claims.values())
        self._set_shown(bool(claims))
        if not claims:
            self._system, self._shown = "", None
            self._notice.show_state(
                "empty",
                self.tr("No claims have been read."),
                self.tr("They come with the console, one file per system."),
            )
            return
        self.show_system(was if was in self._claims else self._start())

    def show_error(self, what: str, hint: str = "") -> None:
        """The claims could not be read; nothing is shown in their place."""
        self.show_claims({})
        self._notice.show_state("error", what, hint)

    def show_checkpoint(self, info: CheckpointInfo | None, proved: str = "") -> None:
        """The loaded checkpoint, whose system comes to the front; None when there is none.

        proved   what `claims_match.proved_id` says of it: the released file it is known to be, or ""
        """
        self._info, self._proved = info, proved
        if info is not None and info.family in self._claims:
            self.show_system(info.family)
        elif self._system:
            self.show_system(self._system)

    def show_system(self, name: str) -> None:
        """One system's page, from its beginning. An unknown name changes nothing."""
        claims = self._claims.get(name)
        if claims is None:
            return
        self._system = name
        self._list.mark(name)
        place = self._place(claims)
        is_known = self._info is None or self._info.family in self._claims
        self._file.show_file(self._info, place, is_known=is_known)
        self._title.setText(claims.system)
        self._summary.setText(claims.summary)
        self._ladder.show_claims(claims)
        self._figures.show_figures(claims, place)
        if claims is not self._shown:
            self._shown = claims
            self._fill(claims)
            self._scroll.verticalScrollBar().setValue(0)

    def system(self) -> str:
        """Whose page is shown; "" in the states without claims."""
        return self._system

    def text(self) -> str:
        """The page as plain text, for a report. Every figure keeps its benchmark, version and source."""
        claims = self._claims.get(self._system)
        return text_of(claims, self._place(claims)) if claims is not None else ""

    def _start(self) -> str:
        """The loaded system, else the first that was trained: an architecture on paper is not the place to begin."""
        if self._info is not None and self._info.family in self._claims:
            return self._info.family
        return next(
            (name for name, found in self._claims.items() if found.rung > 1), next(iter(self._claims))
        )

    def _place(self, claims: SystemClaims) -> Belonging | None:
        if self._info is None:
            return None
        place = belonging(self._info, claims, self._proved)
        return place if place.kind != "other system" else None

    def _choose(self, name: str) -> None:
        self.show_system(name)
        self.systemChosen.emit(name)

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
        self.textCopied.emit()

    def _fill(self, claims: SystemClaims) -> None:
        facts = {
            section: [fact for fact in claims.facts if fact.section == section]
            for section in ("objective", "data", "evaluation_boundary", "model_identity", "action_stack")
        }
        rows = {
            "said": said_rows(claims),
            "limits": remark_rows(claims.not_tested, "○", "text"),
            "faults": remark_rows(claims.faults, "△", "flag_text"),
            "boundary": boundary_rows(claims.boundary),
            "objective": fact_rows(facts["objective"]),
            "data": fact_rows(facts["data"]),
            "tests": fact_rows(facts["evaluation_boundary"]),
            "parts": fact_rows(facts["model_identity"] + facts["action_stack"]),
            "sources": source_rows(claims.sources),
        }
        for key, (title, card) in self._cards.items():
            card.show_rows(rows[key])
            title.setVisible(bool(rows[key]))
            card.setVisible(bool(rows[key]))

    def _set_shown(self, has_claims: bool) -> None:
        self._list.setVisible(has_claims)
        self._scroll.setVisible(has_claims)
        self._notice_room.setVisible(not has_claims)

    def _build(self) -> None:
        ladder = Card()
        ladder.body.addWidget(self._ladder)
        figures = Card()
        figures.body.addWidget(self._figures)
        self._page = QWidget()
        self._page.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._inner = QVBoxLayout(self._page)
        self._inner.addWidget(self._file)
        self._inner.addLayout(row(self._title, 1, self._copy))
        self._inner.addWidget(self._summary)
        self._add(self.tr("Evidence ladder"), ladder)
        self._add_rows("said", self.tr("In words"))
        self._add(self.tr("Published figures"), figures)
        for key, title, width in (
            ("limits", self.tr("Not tested on"), 14),
            ("faults", self.tr("Known faults and deviations"), 14),
            ("boundary", self.tr("Seven boundary tests"), 150),
            ("objective", self.tr("Objective"), 150),
            ("data", self.tr("Data"), 150),
            ("tests", self.tr("How it was tested"), 150),
            ("parts", self.tr("Parts"), 150),
            ("sources", self.tr("Sources"), 150),
        ):
            self._add_rows(key, title, width)
        self._inner.addStretch(1)
        middle = QWidget()
        self._side = QHBoxLayout(middle)
        self._side.setContentsMargins(0, 0, 0, 0)
        self._side.addWidget(self._page, 1000)
        self._side.addStretch(1)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(middle)
        a11y.name(self._scroll, self.tr("Claims of the chosen system"))
        self._notice_room = QWidget()
        room = QVBoxLayout(self._notice_room)
        room.addWidget(self._notice)
        room.addStretch(1)
        self._columns = QHBoxLayout(self)
        self._columns.addWidget(self._list)
        self._columns.addWidget(self._scroll, 1)
        self._columns.addWidget(self._notice_room, 1)

    def _add(self, title: str, card: Card) -> QLabel:
        words = heading(title)
        card.setAccessibleName(title)
        self._inner.addWidget(words)
        self._inner.addWidget(card)
        return words

    def _add_rows(self, key: str, title: str, name_width: int = 150) -> None:
        card = RowsCard(name_width=name_width)
        self._cards[key] = (self._add(title, card), card)

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._columns.setContentsMargins(m, m, 0, m)
        self._columns.setSpacing(m)
        self._page.setMaximumWidth(theme.px(_WIDEST))
        self._inner.setContentsMargins(theme.px(4), 0, m, m)
        self._inner.setSpacing(theme.px(6))
        self._title.setContentsMargins(0, theme.px(6), 0, 0)
        self._notice.setMaximumWidth(theme.px(640))
        for words in self._page.findChildren(QLabel):
            if words.property("role") == "heading" and words.parent() is self._page:
                words.setContentsMargins(0, theme.px(12), 0, 0)


class _FileCard(Card):
    """The loaded file, and where it stands. Hidden while none is loaded."""

    systemRequested = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._family = ""
        self._heading = label(self.tr("This file").upper(), "heading")
        self._name = Elided(role="mono")
        self._verdict = label(role="strong", wrap=True)
        self._how = label(role="dim", wrap=True)
        self._go = button("", "", lambda: self.systemRequested.emit(self._family))
        for item in (self._heading, self._name, self._verdict, self._how):
            self.body.addWidget(item)
        self.body.addLayout(row(self._go, None))
        self.setAccessibleName(self.tr("This file"))

    def show_file(self, info: CheckpointInfo | None, place: Belonging | None, *, is_known: bool) -> None:
        self.setVisible(info is not None)
        if info is None:
            return
        self._family = info.family
        name = info.path.replace("\\", "/").rstrip("/").rpartition("/")[2]
        self._name.set_whole(f"{name} · {info.family} {info.variant}")
        mark, tone = _TONES.get(place.kind if place is not None else "", ("○", ""))
        if place is not None:
            words, how = place.words, place.how
        elif is_known:
            words = self.tr("This page is about another system.")
            how = self.tr("Nothing on it is about the loaded file.")
        else:
            words = self.tr("Nothing is known here about {0}.").format(info.family)
            how = self.tr("No claims file speaks of it, so no figure may be shown for it.")
        self._verdict.setText(f"{mark} {words}")
        set_look(self._verdict, tone=tone)
        self._how.setText(how)
        self._go.setText(self.tr("Show {0}").format(info.family))
        self._go.setAccessibleName(self._go.text())
        self._go.setVisible(place is None and is_known)

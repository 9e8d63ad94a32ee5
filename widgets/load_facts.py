"""The cards of the load sheet: what a file is and how one knows, what it can do, how its tensors matched, what memory
it needs, and what was taken from elsewhere. Each shows a few fields of the report; none asks for anything but a choice.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from jepa_core.catalogue import Identity
from jepa_core.types import CheckpointInfo, LoadReport
from widgets import a11y, checkpoint_words, icons
from widgets.facts import Fact, Facts
from widgets.load_options import LoadChoice
from widgets.parts import Card, button, clear, heading, label, row, set_look
from widgets.theme import Theme, current, follow
from widgets.words import grouped, size


class Section(QWidget):
    """A heading and a card below it."""

    def __init__(self, title: str, *, spacing: int = 6) -> None:
        super().__init__()
        self.card = Card(spacing=spacing)
        self._whole = QVBoxLayout(self)
        self._whole.addWidget(heading(title))
        self._whole.addWidget(self.card)
        self.setAccessibleName(title)
        follow(self, self._restyle_section)

    def _restyle_section(self, theme: Theme) -> None:
        self._whole.setContentsMargins(0, 0, 0, 0)
        self._whole.setSpacing(theme.px(6))


class IdentitySection(Section):
    """Which system, variant and size; and how the console knows."""

    def __init__(self) -> None:
        super().__init__(self.tr("What it is"))
        self._facts = Facts()
        self._how = label(role="strong")
        self._marks = label(role="dim", wrap=True)
        self._how.setText(self.tr("How the console knows"))
        for item in (self._facts, self._how, self._marks):
            self.card.body.addWidget(item)

    def show_identity(
        self, report: LoadReport, info: CheckpointInfo | None, released: Identity | None = None
    ) -> None:
        """`released`: the released checkpoint that this file is, or is named like, and how one knows."""
        rows: list[Fact] = [
            (self.tr("System"), report.family or self.tr("not recognised"), "" if report.family else "bad"),
            (self.tr("Variant"), report.variant),
        ]
        if info is not None:
            rows.append((self.tr("Size"), self.tr("{0} parameters").format(grouped(info.parameters))))
            rows.append((self.tr("Input"), checkpoint_words.input_words(info)))
            rows.append((self.tr("Actions"), checkpoint_words.action_words(info)))
        rows.append((self.tr("File"), size(report.file_bytes) if report.file_bytes else ""))
        rows.append((self.tr("sha256"), report.sha256, "mono-small"))
        if released is not None and released.entry is not None:
            rows.append((self.tr("Released"), released.text, "flag" if released.proof == "differs" else ""))
            licence = released.entry.licence.name if released.proof != "differs" else ""
            rows.append((self.tr("Licence"), licence))
        self._facts.set_rows(rows)
        self._marks.setText("\n".join(f"• {mark}" for mark in report.marks))
        self._how.setVisible(bool(report.marks))
        self._marks.setVisible(bool(report.marks))


class AbleSection(Section):
    """What it can do and what it cannot, each in a sentence."""

    def __init__(self) -> None:
        super().__init__(self.tr("What it can do"), spacing=8)
        self._lines: list[tuple[QLabel, QLabel, QLabel]] = []
        self._notes = label(tone="flag", wrap=True)
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self.card.body.addLayout(self._grid)
        self.card.body.addWidget(self._notes)
        self._marks: list[bool] = []
        follow(self, self._restyle_marks)

    def show_abilities(self, info: CheckpointInfo) -> None:
        said = checkpoint_words.abilities(info)
        while len(self._lines) < len(said):
            self._add()
        self._marks = [able.is_able for able in said]
        for (mark, name, text), able in zip(self._lines, said, strict=True):
            name.setText(self.tr(able.name))
            set_look(name, role="strong" if able.is_able else "dim")
            text.setText(self.tr(able.text))
            mark.setAccessibleName(self.tr("yes") if able.is_able else self.tr("no"))
        self._notes.setText("\n".join(f"△ {note}" for note in info.notes))
        self._notes.setVisible(bool(info.notes))
        self._restyle_marks(current())

    def _add(self) -> None:
        made = (label(), label(), label(role="dim", wrap=True))
        at = 2 * len(self._lines)
        self._grid.addWidget(made[0], at, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(made[1], at, 1)
        self._grid.addWidget(made[2], at + 1, 1)
        self._lines.append(made)

    def _restyle_marks(self, theme: Theme) -> None:
        self._grid.setHorizontalSpacing(theme.px(10))
        self._grid.setVerticalSpacing(theme.px(2))
        for (mark, _name, _text), is_able in zip(self._lines, self._marks, strict=True):
            mark.setPixmap(icons.pixmap("ok" if is_able else "minus", theme, "ok" if is_able else "dim", 16))


class MatchSection(Section):
    """How the tensors of the file matched the system; the whole list is a click away."""

    reportRequested = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Tensors"))
        self._words = label(role="strong", wrap=True)
        self._facts = Facts()
        self._absent = label(role="dim", wrap=True)
        self._report = button(self.tr("Every tensor…"), "flat", self.reportRequested.emit)
        a11y.name(
            self._report, self.tr("Load report"), self.tr("Every tensor by name, to filter, copy and save")
        )
        for item in (self._words, self._facts, self._absent):
            self.card.body.addWidget(item)
        self.card.body.addLayout(row(self._report, None))

    def show_match(self, report: LoadReport) -> None:
        is_exact = report.is_exact and report.matched > 0
        self._words.setText(f"{'✓' if is_exact else '✗'} {checkpoint_words.match(report)}")
        set_look(self._words, tone="ok" if is_exact else "bad")
        self._facts.set_rows(
            [
                (self.tr(word), grouped(number))
                for word, number in checkpoint_words.counts(report)[1:]
                if number
            ]
        )
        self._facts.setVisible(bool(self._facts.text()))
        words = checkpoint_words.absent(report)
        self._absent.setText(self.tr(words) if words else "")
        self._absent.setVisible(bool(words))


class MemorySection(Section):
    """What one look needs on the device beside what is free; other choices, each to be taken with a click."""

    choiceMade = Signal(object)  # Forecast

    def __init__(self) -> None:
        super().__init__(self.tr("Memory"), spacing=8)
        self._words = label(wrap=True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(self.tr("Share of the free memory that is needed"))
        self._others = label(role="small", wrap=True)
        self._others.setText(self.tr("Other choices; press one to examine it so."))
        self._list = QVBoxLayout()
        self.choices: list[QPushButton] = []
        for item in (self._words, self._bar, self._others):
            self.card.body.addWidget(item)
        self.card.body.addLayout(self._list)
        follow(self, self._restyle_list)

    def show_memory(self, report: LoadReport, info: CheckpointInfo, choice: LoadChoice) -> None:
        """`choice`: what is asked for; the checkpoint's own frames where those are fewer"""
        verdict = checkpoint_words.fit(report.memory_bytes, report.device_free_bytes)
        frames = min(choice.clip_frames, info.input.frames)
        side = choice.size or info.input.size
        now = checkpoint_words.Forecast(side, frames, info.dtype, report.memory_bytes)
        what = self.tr("One look at {0}").format(now.words())
        self._words.setText(f"{what} {self.tr(checkpoint_words.memory(report, info.device))}.")
        tone = {"tight": "flag", "too large": "bad"}.get(verdict, "")
        set_look(self._words, tone=tone)
        self.card.set_tone(tone)
        self._bar.setVisible(report.device_free_bytes > 0)
        self._bar.setRange(0, 1000)
        self._bar.setValue(min(1000, 1000 * report.memory_bytes // max(report.device_free_bytes, 1)))
        self._show_others(report, now)

    def _show_others(self, report: LoadReport, now: checkpoint_words.Forecast) -> None:
        clear(self._list)
        self.choices = []
        others = [item for item in checkpoint_words.forecasts(report) if item.words() != now.words()]
        for item in others:
            self._list.addWidget(self._choice(report, item))
        self._others.setVisible(bool(others))

    def _choice(self, report: LoadReport, item: checkpoint_words.Forecast) -> QPushButton:
        verdict = checkpoint_words.fit(item.n_bytes, report.device_free_bytes)
        mark, tone = {"fits": ("✓", "ok"), "tight": ("△", "flag"), "too large": ("✗", "bad")}.get(
            verdict, ("", "")
        )
        made = button(item.words(), "cell", partial(self.choiceMade.emit, item))
        need = label(f"{size(item.n_bytes)} {mark}".strip(), "mono-small", tone)
        need.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        inner = QHBoxLayout(made)
        inner.setContentsMargins(0, 0, 8, 0)
        inner.addStretch(1)
        inner.addWidget(need)
        fits = self.tr(checkpoint_words.FITS.get(verdict, "whether it fits is not known"))
        a11y.name(made, f"{item.words()}: {size(item.n_bytes)}, {fits}")
        self.choices.append(made)
        return made

    def _restyle_list(self, theme: Theme) -> None:
        self._bar.setFixedHeight(theme.px(8))
        self._list.setSpacing(theme.px(3))


class TakenSection(Section):
    """What cannot be known from the file, its value, and where that was taken from instead."""

    def __init__(self) -> None:
        super().__init__(self.tr("Not in the tensors, and where it was taken from"))
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(2, 2)
        self._rows: list[tuple[QLabel, QLabel, QLabel]] = []
        self.card.body.addLayout(self._grid)
        follow(self, self._restyle_taken)

    def show_taken(self, report: LoadReport) -> None:
        """Hidden where nothing had to be taken from elsewhere."""
        said = checkpoint_words.taken(report)
        while len(self._rows) < len(said):
            made = (label("", "dim"), label(wrap=True), label("", "dim", wrap=True))
            for n, item in enumerate(made):
                item.setAlignment(Qt.AlignmentFlag.AlignTop)
                self._grid.addWidget(item, len(self._rows), n)
            self._rows.append(made)
        for n, (what, value, source) in enumerate(self._rows):
            is_used = n < len(said)
            for item in (what, value, source):
                item.setVisible(is_used)
            if is_used:
                what.setText(said[n].what)
                value.setText(said[n].value)
                source.setText(said[n].source)
                source.setVisible(bool(said[n].source))
                self._grid.addWidget(value, n, 1, 1, 1 if said[n].source else 2)
        self.setVisible(bool(said))

    def _restyle_taken(self, theme: Theme) -> None:
        self._grid.setHorizontalSpacing(theme.px(14))
        self._grid.setVerticalSpacing(theme.px(3))

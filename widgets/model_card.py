"""Which checkpoint looks, how completely its file matched, and what must be said about it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from jepa_core.errors import ConsoleError
from jepa_core.types import CheckpointInfo, LoadReport
from widgets import a11y
from widgets.parts import Card, Elided, button, chip, heading, label, row, set_look
from widgets.theme import Theme, follow
from widgets.words import grouped, plural

_ABILITIES = {  # ability → word when present, word when absent (or nothing to say)
    "masked": ("masked", "no masked prediction"),
    "temporal": ("temporal", "single images"),
    "actions": ("actions", "no actions"),
    "slots": ("object slots", ""),
}


class ModelCard(QWidget):
    """States: empty, loading, loaded, refused."""

    openRequested = Signal()
    cancelRequested = Signal()
    detailsRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card()
        self._title = label(role="strong", wrap=True)
        self._identity = Elided(role="mono-dim", mode=Qt.TextElideMode.ElideMiddle)
        self._match = label(wrap=True)
        self._chips = QHBoxLayout()
        self._chips.setContentsMargins(0, 0, 0, 0)
        self._ability_chips = {ability: chip("") for ability in _ABILITIES}
        for made in self._ability_chips.values():
            self._chips.addWidget(made)
        self._chips.addStretch(1)
        self._notes = label(tone="flag", wrap=True)
        self._hint = label(role="dim", wrap=True)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(self.tr("Loading"))
        self._open = button(self.tr("Load checkpoint"), "", self.openRequested.emit)
        self._cancel = button(self.tr("Cancel"), "", self.cancelRequested.emit)
        self._details = button(self.tr("Load report"), "flat", self.detailsRequested.emit)
        self._report = button(
            self.tr("Report"), "flat", self.detailsRequested.emit
        )  # in a line that has room
        a11y.name(self._report, self.tr("Load report"), self.tr("Tensor by tensor, how the file matched"))
        a11y.name(self._open, self.tr("Load checkpoint"), keys="Ctrl+M")
        a11y.name(self._cancel, self.tr("Cancel loading"), keys="Esc")
        a11y.name(self._details, self.tr("Load report"), self.tr("Tensor by tensor, how the file matched"))
        for item in (self._title, self._identity, self._match):
            self._card.body.addWidget(item)
        self._card.body.addLayout(self._chips)
        self._card.body.addWidget(self._notes)
        self._card.body.addLayout(row(self._hint, 1, self._report))
        self._card.body.addWidget(self._progress)
        self._card.body.addLayout(row(self._open, self._cancel, self._details, None))
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Checkpoint")))
        self._layout.addWidget(self._card)
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Checkpoint"))
        follow(self, self._restyle)
        self.show_empty()

    def show_empty(self) -> None:
        """No checkpoint: the picture is shown, nothing is predicted."""
        self._reset()
        self._title.setText(self.tr("No checkpoint is loaded"))
        self._hint.setText(self.tr("The picture plays without predictions until one is loaded."))
        self._open.show()

    def show_loading(self, fraction: float, text: str = "") -> None:
        """fraction 0..1, negative when it cannot be known. Called often while loading, so it touches little."""
        self._hint.setText(text)
        if self._cancel.isHidden():
            self._reset()
            self._title.setText(self.tr("Loading checkpoint"))
        self._progress.setRange(0, 0 if fraction < 0 else 1000)
        self._progress.setValue(int(max(fraction, 0) * 1000))
        self._progress.show()
        self._cancel.show()

    def show_checkpoint(self, info: CheckpointInfo, report: LoadReport | None = None) -> None:
        """What looks at the picture now."""
        self._reset()
        spec = info.input
        said = [info.family, info.variant]
        for words in (self.tr("{0} px").format(spec.size), self.tr("{0} f").format(spec.frames)):
            said += [words] if words not in info.variant else []  # some variants are named by it
        self._title.setText(" · ".join(said))
        self._identity.set_whole(
            self.tr("{0} · sha256 {1}").format(_file_name(info.path), short_hash(info.sha256))
        )
        self._identity.show()
        if report is not None:
            self._show_match(report)
        for ability, (present, absent) in _ABILITIES.items():
            words = present if ability in info.abilities else absent
            self._ability_chips[ability].setText(self.tr(words) if words else "")
            self._ability_chips[ability].setVisible(bool(words))
        self._notes.setText("\n".join(f"△ {note}" for note in info.notes))
        self._notes.setVisible(bool(info.notes))
        self._card.set_tone("flag" if info.notes else "")
        self._hint.setText(
            self.tr("{0} · {1}, {2}").format(parameter_words(info.parameters), info.device, info.dtype)
        )
        self._hint.setVisible(info.parameters > 0)
        self._report.setVisible(report is not None)

    def show_refused(self, error: ConsoleError, report: LoadReport | None = None) -> None:
        """Not loaded; there is no half-loaded model. The banner says why, so here it stands in the tip only."""
        self._reset()
        self._card.set_tone("bad")
        name = _file_name(report.path) if report is not None else ""
        self._title.setText(self.tr("✗ Refused: {0}").format(name) if name else self.tr("✗ Refused"))
        set_look(self._title, tone="bad")
        self._title.setToolTip(f"{error.what}\n{error.hint}".strip())
        self._title.setAccessibleDescription(f"{error.what} {error.hint}".strip())
        if report is not None and report.matched:
            self._match.setText(self._refused_words(report))
            set_look(self._match, tone="")
            self._match.show()
        self._hint.hide()
        self._open.show()
        self._details.setText(self.tr("Load report") if report is not None else self.tr("Why?"))
        self._details.show()

    def _refused_words(self, report: LoadReport) -> str:
        parts = [self.tr("{0} matched").format(grouped(report.matched))]
        for names, word in (
            (report.missing, self.tr("missing")),
            (report.unexpected, self.tr("unexpected")),
            (report.reshaped, self.tr("of another shape")),
        ):
            if names:
                parts.append(f"{grouped(len(names))} {word}")
        return " · ".join(parts)

    def _show_match(self, report: LoadReport) -> None:
        total = report.matched + len(report.missing) + len(report.reshaped)
        percent = 100 * report.matched // max(total, 1)
        words = self.tr("✓ {0} % of {1} matched").format(percent, plural(total, self.tr("tensor")))
        if report.absent_parts:
            words += self.tr(", without {0}").format(", ".join(report.absent_parts).replace("_", " "))
        self._match.setText(words)
        set_look(self._match, tone="ok" if report.is_exact else "bad")
        self._match.show()

    def _reset(self) -> None:
        self._card.set_tone("")
        set_look(self._title, tone="")
        self._title.setToolTip("")
        self._title.setAccessibleDescription("")
        self._details.setText(self.tr("Load report"))
        for item in (
            *self._ability_chips.values(),
            self._identity,
            self._match,
            self._notes,
            self._progress,
            self._open,
            self._cancel,
            self._details,
            self._report,
        ):
            item.hide()
        self._hint.show()

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(4))
        self._layout.setSpacing(theme.px(6))
        self._chips.setSpacing(theme.px(4))
        self._progress.setFixedHeight(theme.px(8))


def short_hash(sha256: str) -> str:
    """The first and last four digits: "9c1e…44b0"."""
    return f"{sha256[:4]}…{sha256[-4:]}" if len(sha256) > 8 else sha256


def parameter_words(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.0f} M parameters"
    return f"{grouped(count)} parameters"


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path

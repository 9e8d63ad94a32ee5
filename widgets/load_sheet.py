"""Before a checkpoint is loaded: what the file is, whether it fits, what it can do. Then Load, or Cancel.

Shown over the window when a file is dropped, opened or picked. The file was only examined: nothing is loaded before a
person says so, and what is loaded stays in use meanwhile. Shows facts and speaks in signals; examines nothing itself.
States: examining, examined, refused, loading.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QFrame,
    QProgressBar,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from jepa_core.catalogue import Identity
from jepa_core.errors import ConfigDiffers, ConsoleError
from jepa_core.types import CheckpointInfo, LoadReport
from widgets import a11y, checkpoint_words, icons
from widgets.checkpoint_words import Forecast
from widgets.load_facts import (
    AbleSection,
    IdentitySection,
    MatchSection,
    MemorySection,
    Section,
    TakenSection,
)
from widgets.load_options import OPEN_KEYS, LoadChoice, LoadOptions, left_open
from widgets.load_report import LoadReportView
from widgets.parts import Elided, button, chip, column, label, row, rule, set_look
from widgets.theme import Theme, current, follow

WIDTH, HEIGHT = 1060, 860  # logical pixels, where there is room
NARROW = 760  # below this the two columns stand under each other


class LoadSheet(QFrame):
    """One file at a time. Enter loads, Esc goes back."""

    loadRequested = Signal()
    cancelRequested = Signal()  # stop what runs, or put the sheet away
    choiceChanged = Signal(object)  # LoadChoice: examine it so
    configRequested = Signal()
    openRequested = Signal()  # choose another file
    saveRequested = Signal()  # write the report to a file
    claimsRequested = Signal(str)  # exact name of a system

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", "sheet")
        self.setAutoFillBackground(True)
        self._state = ""
        self._family, self._in_use = "", ""
        self._found_report: tuple[LoadReport, CheckpointInfo] | None = None
        self.options = LoadOptions()
        self._build_head()
        self._build_facts()
        self._build_foot()
        self._whole = QVBoxLayout(self)
        self._whole.addLayout(self._head)
        self._whole.addWidget(rule())
        self._whole.addWidget(self._pages, 1)
        self._whole.addWidget(rule())
        self._whole.addLayout(self._foot)
        self.setAccessibleName(self.tr("Load a checkpoint"))
        follow(self, self._restyle)

    # what is shown

    def show_file(self, path: str, in_use: str = "") -> None:
        """A new file, of which nothing is known yet. `in_use` names the checkpoint that is loaded, "" for none."""
        self._name.set_whole(path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path)
        self._path.set_whole(path)
        self._in_use, self._family = in_use, ""
        self._pages.setCurrentWidget(self._busy)
        self._back.hide()
        self.show_examining(-1.0, self.tr("opening the file"))

    def show_in_use(self, name: str) -> None:
        """The checkpoint that is loaded now; "" for none."""
        self._in_use = name

    def focus_first(self) -> None:
        """Load where it can be loaded, else the way out."""
        (self._load if self._load.isEnabled() and self._load.isVisibleTo(self) else self._close).setFocus()

    def show_examining(self, fraction: float, text: str) -> None:
        """fraction 0..1, negative where it is not known. What was found before stays on the sheet, greyed."""
        self._set_state("examining")
        self._verdict.setText(self.tr("Reading the file…"))
        self._hint.setText(self._meanwhile(self.tr("Nothing is loaded.")))
        self._show_progress(fraction, text)

    def show_examined(
        self, info: CheckpointInfo, report: LoadReport, released: Identity | None = None
    ) -> None:
        """It matches, and could be loaded as chosen."""
        self._set_state("examined")
        self._family = info.family
        fit = checkpoint_words.fit(report.memory_bytes, report.device_free_bytes)
        self._verdict.setText(f"✓ {checkpoint_words.identity(report)}")
        self._hint.setText(self._meanwhile(self._advice(report, info)))
        set_look(self._verdict, tone="flag" if fit == "too large" else "ok")
        self._chip.setText(self.tr("does not fit") if fit == "too large" else self.tr("can be loaded"))
        set_look(self._chip, tone="flag" if fit == "too large" else "ok")
        self._identity.show_identity(report, info, released)
        self._able.show_abilities(info)
        self._match.show_match(report)
        self._memory.show_memory(report, info, self.options.choice)
        self._taken.show_taken(report)
        self._found_report = (report, info)
        self.options.show_open(left_open(report))
        self.options.show_found(info)
        self._show_parts(is_good=True, report=report)
        self._load.setFocus()

    def show_refused(
        self, error: ConsoleError, report: LoadReport | None, released: Identity | None = None
    ) -> None:
        """It cannot be loaded: why, what to do, and every tensor."""
        self._set_state("refused")
        self._family = report.family if report is not None else ""
        self._verdict.setText(f"✗ {error.what}")
        self._hint.setText(self._meanwhile(checkpoint_words.hint_on_screen(error.hint)))
        set_look(self._verdict, tone="bad")
        self._chip.setText(self.tr("refused"))
        set_look(self._chip, tone="bad")
        self._detail.setText(error.detail)
        if report is not None:
            self._identity.show_identity(report, None, released)
            self._taken.show_taken(report)
            self._names.show_report(report)
        self.options.show_open(OPEN_KEYS[1:3] if "heads" in error.what else left_open(report))
        is_about_config = error.code == ConfigDiffers.code or (report is not None and bool(report.family))
        self._show_parts(is_good=False, report=report, can_retry=is_about_config)
        self._close.setFocus()

    def show_loading(self, fraction: float, text: str) -> None:
        """It is being put onto the device; only Cancel is left to choose."""
        self._set_state("loading")
        before = self.tr("{0} was let go: both at once may not fit the device.").format(self._in_use)
        self._hint.setText(before if self._in_use else "")
        self._show_progress(fraction, text)

    @property
    def state(self) -> str:
        """ "examining" | "examined" | "refused" | "loading"; "" before the first file."""
        return self._state

    def show_page(self, page: QWidget) -> None:
        """Something else about the file, until Back is pressed. The page belongs to the sheet from then on."""
        if self._pages.indexOf(page) < 0:
            self._pages.addWidget(page)
        self._pages.setCurrentWidget(page)
        self._claims.hide()
        self._back.show()
        self._back.setFocus()

    def fit_into(self, width: int, height: int, top: int) -> None:
        """Stand in the middle of a window of this size, below its bar."""
        theme = current()
        edge = theme.px(24) if width > theme.px(900) else theme.px(8)
        wide = min(theme.px(WIDTH), width - 2 * edge)
        high = min(theme.px(HEIGHT), height - top - edge)
        self.setGeometry((width - wide) // 2, top + max(0, (height - top - high) // 3), wide, high)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter anywhere on the sheet is its default button."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._load.isVisibleTo(self):
            self._load.click()
            return
        super().keyPressEvent(event)

    def focusNextPrevChild(self, next: bool) -> bool:
        """Tab stays on the sheet: what lies under it is not to be changed by accident."""
        stops = [each for each in self.findChildren(QWidget) if self._takes_tab(each)]
        stops.sort(key=lambda each: each.mapTo(self, each.rect().topLeft()).toTuple()[::-1])
        if not stops or not self.isVisible():
            return super().focusNextPrevChild(next)
        now = QApplication.focusWidget()
        at = stops.index(now) if now in stops else (-1 if next else 0)
        reason = Qt.FocusReason.TabFocusReason if next else Qt.FocusReason.BacktabFocusReason
        stops[(at + (1 if next else -1)) % len(stops)].setFocus(reason)
        return True

    def _takes_tab(self, control: QWidget) -> bool:
        """It is seen, can be used, and is no part of another control, as the field inside a number box is."""
        is_whole = control.focusProxy() is None
        return is_whole and _by_tab(control) and control.isVisible() and control.isEnabled()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_narrow = self.width() < current().px(NARROW)
        direction = QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight
        if self._columns.direction() != direction:
            self._columns.setDirection(direction)

    # building

    def _build_head(self) -> None:
        self._icon = label()
        self._name = Elided(role="title", mode=Qt.TextElideMode.ElideMiddle)
        self._path = Elided(role="mono-small", mode=Qt.TextElideMode.ElideMiddle)
        self._chip = chip("")
        self._away = button("", "flat", self.cancelRequested.emit)
        a11y.name(self._away, self.tr("Put the sheet away"), keys="Esc")
        self._verdict = label(role="big", wrap=True)
        self._hint = label(role="dim", wrap=True)
        names = column(self._name, self._path, spacing=0)
        line = row(self._icon)
        line.addLayout(names, 1)
        line.addWidget(self._chip)
        line.addWidget(self._away)
        self._head = column(spacing=8)
        self._head.addLayout(line)
        self._head.addWidget(self._verdict)
        self._head.addWidget(self._hint)

    def _build_facts(self) -> None:
        self._identity, self._able = IdentitySection(), AbleSection()
        self._match, self._memory, self._taken = MatchSection(), MemorySection(), TakenSection()
        self._match.reportRequested.connect(self._show_report)
        self._memory.choiceMade.connect(self._choose)
        self.options.changed.connect(self._changed)
        self.options.configRequested.connect(self.configRequested)
        self._report = LoadReportView()
        self._report.saveRequested.connect(self.saveRequested)
        self._detail = label(role="mono-small", wrap=True)
        self._names = LoadReportView(is_compact=True)
        self._names.saveRequested.connect(self.saveRequested)
        self._refusal = Section(self.tr("Every tensor"))
        self._refusal.card.body.addWidget(self._names)
        self._found = Section(self.tr("What was found"))
        self._found.card.body.addWidget(self._detail)
        self._left = column(self._identity, self._able, self._found, self._taken, None, spacing=12)
        self._right = column(self._refusal, 100, self._match, self._memory, self.options, None, spacing=12)
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._columns.addLayout(self._left, 11)
        self._columns.addLayout(self._right, 9)
        page = QWidget()
        self._page = QVBoxLayout(page)
        self._page.addLayout(self._columns, 1)
        self._facts = QScrollArea()
        self._facts.setWidgetResizable(True)
        self._facts.setFrameShape(QFrame.Shape.NoFrame)
        self._facts.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._facts.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._facts.setWidget(page)
        page.setAutoFillBackground(False)  # the sheet's own ground; setWidget gave it another
        self._busy = QWidget()
        words = label(
            self.tr("Its fingerprint, its tensors and the config beside it are read. No code in it is run."),
            "dim",
            wrap=True,
        )
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        inner = QVBoxLayout(self._busy)
        inner.addStretch(1)
        inner.addWidget(words)
        inner.addStretch(1)
        self._pages = QStackedWidget()
        for item in (self._busy, self._facts, self._report):
            self._pages.addWidget(item)

    def _build_foot(self) -> None:
        self._claims = button(self.tr("What may be claimed"), "flat", self._ask_claims)
        self._back = button(self.tr("Back"), "", self._show_facts)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._doing = Elided(role="dim")
        self._other = button(self.tr("Another file…"), "", self.openRequested.emit)
        self._close = button(self.tr("Cancel"), "", self.cancelRequested.emit)
        self._load = button(self.tr("Load"), "primary", self.loadRequested.emit)
        a11y.name(self._claims, self.tr("What may be claimed of this system"))
        a11y.name(self._back, self.tr("Back to the facts"))
        a11y.name(self._other, self.tr("Choose another checkpoint"), keys="Ctrl+M")
        a11y.name(self._close, self.tr("Cancel"), keys="Esc")
        a11y.name(self._load, self.tr("Load the checkpoint"), keys="Enter")
        progress = column(self._doing, self._bar, spacing=4)
        self._foot = row(self._claims, self._back)
        self._foot.addLayout(progress, 1)
        for item in (self._other, self._close, self._load):
            self._foot.addWidget(item)

    # inside

    def _set_state(self, state: str) -> None:
        self._state = state
        is_running = state in ("examining", "loading")
        for item in (self._bar, self._doing):
            item.setVisible(is_running)
        self._claims.setVisible(not is_running and bool(self._family))
        self._load.setVisible(state != "refused")
        self._other.setVisible(state == "refused")
        self._load.setEnabled(state == "examined")
        self._facts.widget().setEnabled(not is_running)
        self._close.setText(self.tr("Close") if state == "refused" else self.tr("Cancel"))
        if is_running:
            self._chip.setText(self.tr("loading") if state == "loading" else self.tr("examining"))
            set_look(self._chip, tone="accent")
            set_look(self._verdict, tone="")

    def _show_progress(self, fraction: float, text: str) -> None:
        self._bar.setRange(0, 0 if fraction < 0 else 1000)
        self._bar.setValue(int(1000 * min(max(fraction, 0.0), 1.0)))
        self._bar.setAccessibleName(text or self.tr("Progress"))
        percent = f" · {100 * min(fraction, 1.0):.0f} %" if fraction > 0 else ""
        self._doing.set_whole(f"{text}{percent}")

    def _show_parts(self, *, is_good: bool, report: LoadReport | None, can_retry: bool = True) -> None:
        """Of a good file everything; of a refused one what is known of it and, in the wider place, every name."""
        is_read = report is not None and bool(report.sha256 or report.family)
        has_names = report is not None and bool(report.missing or report.unexpected or report.reshaped)
        self._able.setVisible(is_good)
        self._match.setVisible(is_good)
        self._memory.setVisible(is_good)
        self._identity.setVisible(is_good or is_read)
        self._found.setVisible(not is_good and bool(self._detail.text()))
        self._refusal.setVisible(has_names and not is_good)
        self._taken.setVisible(report is not None and bool(report.assumed))
        self.options.setVisible(is_good or can_retry)
        place = self._left if has_names and not is_good else self._right
        if place.indexOf(self.options) < 0:  # the names of a refused file take the whole right side
            place.insertWidget(place.count() - 1, self.options)
        self._columns.setStretch(0, 11 if is_good else 9)
        self._columns.setStretch(1, 9 if is_good else 11)
        self._claims.setVisible(bool(self._family))
        self._show_facts()

    def _advice(self, report: LoadReport, info: CheckpointInfo) -> str:
        """Where it will run; or, where it does not fit, what would."""
        where = self.tr("Load puts it on {0} in {1}.").format(info.device, info.dtype)
        if checkpoint_words.fit(report.memory_bytes, report.device_free_bytes) != "too large":
            return where
        other = checkpoint_words.fitting(report)
        words = self.tr("It {0}").format(checkpoint_words.memory(report, info.device))
        if other is None:
            return self.tr("{0}. Close other programs, or choose another device.").format(words)
        return self.tr("{0}. It would fit with {1}.").format(words, other.words())

    def _meanwhile(self, words: str) -> str:
        """These words, and what goes on while the sheet is open."""
        if self._state == "refused":
            nothing = "" if "othing was loaded" in words else self.tr("Nothing was loaded.")
            stays = self.tr("{0} stays in use.").format(self._in_use) if self._in_use else ""
            return " ".join(part for part in (words, nothing, stays) if part)
        stays = self.tr("{0} stays in use until then.").format(self._in_use) if self._in_use else ""
        return f"{words} {stays}".strip()

    def _show_report(self) -> None:
        if self._found_report is not None:  # filled when somebody asks: it may have thousands of lines
            self._report.show_report(*self._found_report, is_loaded=False)
        self.show_page(self._report)

    def _show_facts(self) -> None:
        had_page = not self._back.isHidden()
        self._pages.setCurrentWidget(self._facts)
        self._back.hide()
        self._claims.setVisible(bool(self._family) and self._state not in ("examining", "loading"))
        if had_page:
            self.focus_first()

    def _choose(self, wanted: Forecast) -> None:
        own = self._found_report[1].input.size if self._found_report is not None else 0
        side = 0 if wanted.size == own else wanted.size
        self.options.choose(clip_frames=wanted.frames, dtype=wanted.dtype, size=side)

    def _changed(self, choice: LoadChoice) -> None:
        self.choiceChanged.emit(choice)

    def _ask_claims(self) -> None:
        self.claimsRequested.emit(self._family)

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(16)
        self._whole.setContentsMargins(m, theme.px(12), m, theme.px(12))
        self._whole.setSpacing(theme.px(10))
        self._page.setContentsMargins(0, 0, theme.px(6), 0)
        self._page.setSpacing(theme.px(12))
        self._columns.setSpacing(theme.px(16))
        self._icon.setPixmap(icons.pixmap("model", theme, "accent", 24))
        icons.put(self._away, "close", theme, "dim")
        self._bar.setFixedHeight(theme.px(6))
        self._load.setMinimumWidth(theme.px(120))


def _by_tab(control: QWidget) -> bool:
    return bool(control.focusPolicy() & Qt.FocusPolicy.TabFocus)

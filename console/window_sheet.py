"""The load sheet: a file is examined first, and loaded only when a person says so.

Every way to a checkpoint that is not the command line's ends here: dropped, opened, picked in the library, recent. Joins
the LoadSheet to the pipeline; what is loaded stays in use until Load is pressed. GUI thread only; reads no checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import shiboken6
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget

from console.checkpoint_facts import facts, released
from console.dialogs.open_checkpoint import ask_checkpoint
from console.notices import (
    CheckpointExamined,
    CheckpointExamining,
    CheckpointLoaded,
    CheckpointLoading,
    CheckpointRefused,
    CheckpointUnloaded,
)
from console.window_desk import Desk
from jepa_core import claims_file
from jepa_core.checkpoint_paths import meant_by
from jepa_core.claims_match import proved_id
from jepa_core.design import Choices
from jepa_core.errors import CheckpointError, ConfigError
from jepa_core.messages import EngineOptions
from jepa_core.types import CheckpointInfo, LoadReport
from widgets.claims_page import ClaimsPage
from widgets.load_options import LoadChoice
from widgets.load_sheet import LoadSheet
from widgets.veil import Veil

if TYPE_CHECKING:
    from console.window_models import Models

GPUS = Path("/proc/driver/nvidia/gpus")  # one folder each, where NVIDIA's driver is there


class Sheet(QObject):
    """One file at a time, from a person's hand to Load or Cancel."""

    def __init__(self, desk: Desk, models: Models) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._models = models
        self._path = ""
        self._info: CheckpointInfo | None = None
        self._report: LoadReport | None = None
        self._focus_before: QWidget | None = None
        self._claims: ClaimsPage | None = None  # made when somebody asks
        self._veil = Veil(desk.window)
        self.sheet = LoadSheet(desk.window)
        self.sheet.hide()
        self.sheet.options.set_devices(cuda_names())
        self.sheet.loadRequested.connect(self.load)
        self.sheet.cancelRequested.connect(self.cancel)
        self.sheet.choiceChanged.connect(self._again)
        self.sheet.configRequested.connect(self._ask_config)
        self.sheet.openRequested.connect(self.ask)
        self.sheet.saveRequested.connect(self._ask_save)
        self.sheet.claimsRequested.connect(self._show_claims)
        desk.window.installEventFilter(self)
        desk.state.screenChanged.connect(self._show_veil)
        bridge = desk.bridge
        bridge.on_notice(CheckpointExamining, "sheet", self._examining)
        bridge.on_notice(CheckpointExamined, "sheet", self._examined)
        bridge.on_notice(CheckpointLoading, "sheet", self._loading)
        bridge.on_notice(CheckpointLoaded, "sheet", self._loaded)
        bridge.on_notice(CheckpointRefused, "sheet", self._refused)
        bridge.on_notice(CheckpointUnloaded, "sheet", self._unloaded)

    @property
    def is_open(self) -> bool:
        return self.sheet.isVisibleTo(self._desk.window)

    # what a person does

    def ask(self) -> None:
        """By a dialog: a file or a folder, and a config where it does not lie beside it."""
        loaded = self._desk.state.checkpoint
        choice = ask_checkpoint(self._desk.window, self._path or (loaded.path if loaded is not None else ""))
        if choice is not None:
            self.examine(choice.path, choice.config)

    def examine(self, path: str, config: str | None = None) -> None:
        """Find out what this is, and show it. A folder or a config file stands for the checkpoint in it."""
        if self.is_open and self.sheet.state == "loading":
            self._desk.say(self.tr("A checkpoint is being loaded; Esc cancels it."), "warning")
            return
        meant = meant_by(Path(path))
        found = config or (str(meant.config) if meant.config is not None else "")
        self._path = str(meant.path)
        options = self._desk.pipeline.engine_options
        choice = LoadChoice(options.device, options.dtype, options.clip_frames, config=found)
        self._open()
        self.sheet.options.show_choice(choice)
        self.sheet.show_file(self._path, self._in_use())
        self.sheet.focus_first()
        self._ask_engine(choice)

    def load(self) -> None:
        """Onto the device, as it was examined."""
        choice = self.sheet.options.choice
        self.sheet.show_loading(0.0, self.tr("starting"))
        self._models.load(self._path, choice.config or None, self._options(choice))

    def cancel(self) -> bool:
        """Stop what runs; else put the sheet away. False where there is nothing to cancel."""
        if not self.is_open:
            return False
        if self.sheet.state == "loading":
            self._desk.pipeline.cancel_load()
            return True
        if self.sheet.state == "examining":
            self._desk.pipeline.cancel_examine()
        self._close()
        return True

    # the engine's answers

    def _examining(self, notice: CheckpointExamining) -> None:
        if self.is_open and self.sheet.state != "loading":
            self.sheet.show_examining(notice.fraction, notice.text)

    def _examined(self, notice: CheckpointExamined) -> None:
        if notice.is_cancelled:
            return  # the sheet is away, or another examination runs
        if not self.is_open or self.sheet.state == "loading":
            return
        self._info, self._report = notice.info, notice.report
        if notice.info is not None and notice.report is not None:
            self.sheet.show_examined(notice.info, notice.report, released(notice.report))
        elif notice.error is not None:
            self._desk.note_fault(notice.error)
            found = released(notice.report) if notice.report is not None else None
            self.sheet.show_refused(notice.error, notice.report, found)

    def _loading(self, notice: CheckpointLoading) -> None:
        if self.is_open and self.sheet.state == "loading":
            self.sheet.show_loading(notice.fraction, notice.text)

    def _loaded(self, notice: CheckpointLoaded) -> None:
        if not self.is_open or self.sheet.state != "loading":
            return
        self._close()
        if self._desk.state.screen in ("start", "models"):
            self._desk.state.screen = "live"
        name = f"{notice.info.family} {notice.info.variant}"
        self._desk.say(self.tr("Loaded: {0}.").format(name), "ok")

    def _refused(self, notice: CheckpointRefused) -> None:
        """It could be examined and not be loaded, such as for want of memory."""
        if not self.is_open or self.sheet.state != "loading":
            return
        self._desk.banner_clear(notice.error.code)  # the sheet says it
        report = notice.error.report if isinstance(notice.error, CheckpointError) else self._report
        self._report = report
        self.sheet.show_file(self._path, "")
        self.sheet.show_refused(notice.error, report)

    def _unloaded(self, notice: CheckpointUnloaded) -> None:
        """Loading was called off: back to what was examined."""
        if not self.is_open or self.sheet.state != "loading":
            return
        if self._info is None or self._report is None:
            self._close()
            return
        self.sheet.show_in_use("")
        self.sheet.show_examined(self._info, self._report, released(self._report))

    # inside

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self._desk.window and self.is_open:
            self._place()
        return False

    def _open(self) -> None:
        if not self.is_open:
            self._focus_before = QApplication.focusWidget()
        self._models.is_quiet = True
        self._place()
        self.sheet.show()
        self._show_veil()

    def _show_veil(self, _screen: object = None) -> None:
        """Behind the sheet, and never over a picture."""
        if not self.is_open:
            return
        if self._desk.state.screen in ("live", "replay"):
            self._veil.hide()
        else:
            self._veil.show_over()
        self.sheet.raise_()

    def _close(self) -> None:
        self._models.is_quiet = False
        before, self._focus_before = self._focus_before, None
        is_there = before is not None and shiboken6.isValid(before) and before.isVisible()
        (before if before is not None and is_there else self._desk.window).setFocus()
        self.sheet.hide()  # without the focus: Qt would look for the next control on a sheet that goes
        self._veil.hide()

    def _place(self) -> None:
        window = self._desk.window
        bar = window.menuWidget()  # type: ignore[attr-defined]
        self.sheet.fit_into(window.width(), window.height(), bar.height() if bar is not None else 0)

    def _ask_engine(self, choice: LoadChoice) -> None:
        self._info = self._report = None
        self._desk.pipeline.examine_checkpoint(self._path, choice.config or None, self._options(choice))

    def _again(self, choice: LoadChoice) -> None:
        self.sheet.show_examining(-1.0, self.tr("examining it again"))
        self._ask_engine(choice)

    def _options(self, choice: LoadChoice) -> EngineOptions:
        return replace(
            self._desk.pipeline.engine_options,
            device=choice.device,
            dtype=choice.dtype,
            clip_frames=choice.clip_frames,
            size=choice.size,
            choices=Choices(choice.encoder_heads, choice.predictor_heads, choice.mask_token),
        )

    def _in_use(self) -> str:
        info = self._desk.state.checkpoint
        return f"{info.family} {info.variant}" if info is not None else ""

    def _show_claims(self, system: str) -> None:
        """On the sheet itself, so that the file stays in hand."""
        if self._claims is None:
            self._claims = ClaimsPage()
            try:
                self._claims.show_claims(claims_file.load())
            except ConfigError as error:
                self._desk.note_fault(error)
                self._claims.show_error(error.what, error.hint)
        self._claims.show_checkpoint(self._info, proved_id(self._info) if self._info is not None else "")
        self._claims.show_system(system)
        self.sheet.show_page(self._claims)

    def _ask_config(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._desk.window,
            self.tr("The config it was made with"),
            str(Path(self._path).parent),
            self.tr("Configs") + " (*.yaml *.yml *.json)",
        )
        if path:
            self.sheet.options.choose(config=path)

    def _ask_save(self) -> None:
        if self._report is None:
            return
        name = f"{Path(self._path).name}.report.json"
        path, _ = QFileDialog.getSaveFileName(
            self._desk.window,
            self.tr("Save the load report"),
            str(self._desk.recordings() / name),
            "JSON (*.json)",
        )
        if path:
            text = report_text(self._info, self._report)
            self._desk.off_thread("report", lambda: _write(Path(path), text), self._saved)

    def _saved(self, path: Path) -> None:
        self._desk.say(self.tr("Saved {0}").format(path), "ok")


def report_text(info: CheckpointInfo | None, report: LoadReport) -> str:
    """The object that `main.py checkpoint --json` prints."""
    return json.dumps(facts(info, report), indent=1, allow_nan=False, default=str) + "\n"


def cuda_names(folder: Path = GPUS) -> tuple[str, ...]:
    """Devices to choose from, without asking torch: this process never imports it."""
    try:
        return tuple(f"cuda:{n}" for n, _ in enumerate(folder.iterdir()))
    except OSError:
        return ()


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path

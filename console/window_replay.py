"""Recompute: the recorded frames once more through a checkpoint, in a child process, and how far the numbers drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject

from console.dialogs.drift import DriftDialog
from console.dialogs.open_checkpoint import ask_checkpoint
from console.window_desk import Desk
from jepa_core.clock import CancelToken
from jepa_core.errors import ConsoleError


@dataclass(frozen=True, slots=True)
class RecomputeProgress:
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class RecomputeDone:
    report: Any  # DriftReport as JSON, or None
    error: ConsoleError | None


class Replay(QObject):
    """One recomputation at a time."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._cancel: CancelToken | None = None
        self._checkpoint = ""
        desk.bridge.on_notice(RecomputeProgress, "recompute", self._progressed)
        desk.bridge.on_notice(RecomputeDone, "recompute", self._finished)
        desk.state.sourceChanged.connect(self._refresh)
        self._refresh(None)

    @property
    def is_running(self) -> bool:
        return self._cancel is not None

    def ask_recompute(self) -> None:
        """The checkpoint that is loaded or was used last is offered first."""
        if self._cancel is not None:
            self._desk.say(self.tr("A recomputation is running; Esc cancels it."), "warning")
            return
        loaded = self._desk.state.checkpoint
        recent = self._desk.settings.recents("checkpoint")
        offer = loaded.path if loaded is not None else recent[0].uri if recent else ""
        choice = ask_checkpoint(self._desk.window, offer)
        if choice is not None:
            self.recompute(choice.path)

    def recompute(self, checkpoint: str) -> None:
        self._checkpoint = checkpoint
        bridge = self._desk.bridge
        self._cancel = self._desk.pipeline.recompute(
            checkpoint,
            lambda fraction, text: bridge.post(RecomputeProgress(fraction, text)),
            lambda report, error: bridge.post(RecomputeDone(report, error)),
        )
        self._desk.show_progress("recompute", self.tr("Recomputing…"), -1.0, self.cancel)

    def cancel(self) -> None:
        if self._cancel is not None:
            self._cancel.cancel()

    def _progressed(self, notice: RecomputeProgress) -> None:
        if self._cancel is not None:
            self._desk.show_progress(
                "recompute", self.tr("Recomputing: {0}").format(notice.text), notice.fraction, self.cancel
            )

    def _finished(self, notice: RecomputeDone) -> None:
        self._cancel = None
        self._desk.hide_progress("recompute")
        if notice.error is not None:
            self._desk.fault(notice.error)
        elif notice.report is None:
            self._desk.say(self.tr("Recomputing was cancelled. Nothing was changed."))
        else:
            dialog = DriftDialog(notice.report, self._desk.window)
            dialog.recomputeRequested.connect(self.ask_recompute)
            dialog.frameRequested.connect(self._desk.pipeline.seek_seq)
            dialog.show()

    def _refresh(self, info: object) -> None:
        is_session = getattr(info, "kind", "") == "session"
        self._desk.actions["recompute"].setEnabled(is_session)

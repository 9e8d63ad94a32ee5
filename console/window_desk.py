"""What the parts of the window share: one frozen bundle, handed to each in its `__init__`.

A part is a QObject that joins pipeline facts to widgets for one concern (files, recording, transport, …). Parts speak
to each other only through AppState and through the few methods named here. GUI thread only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from console import faults
from console.bridge import Bridge
from console.config import Config
from console.settings import Settings
from console.state import AppState

if TYPE_CHECKING:
    from console.pipeline import Pipeline
    from console.window_progress import ProgressStack
    from widgets.banner import FaultBanner
    from widgets.toast import ToastArea

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """Work done off the GUI thread came back: exactly one of result and error counts."""

    then: Callable[[Any], None]
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True, weakref_slot=True, eq=False)
class Desk:
    """Owned by the main window; everything here lives as long as it does."""

    window: QWidget
    pipeline: Pipeline
    bridge: Bridge
    state: AppState
    settings: Settings
    config: Config  # replaced as a whole when preferences change
    actions: dict[str, QAction]
    panels: dict[str, QWidget]
    toasts: ToastArea
    banner: FaultBanner
    progress: ProgressStack

    def say(self, text: str, level: str = "info", details: str = "") -> None:
        """A sentence that comes and goes by itself. level "info" | "ok" | "warning" | "error"."""
        self.toasts.show_toast(text, level, details)

    def fault(self, error: BaseException) -> None:
        """A fault stays on the banner until it clears or is put away; the log keeps its detail."""
        known = self.note_fault(error)
        self.banner.show_fault(known.code, known.title, known.text, known.hint, known.detail, known.level)

    def note_fault(self, error: BaseException) -> faults.Fault:
        """Into the log only: the screen says it elsewhere."""
        known = faults.describe(error)
        log.warning("%s", known.text, extra={"code": known.code, "detail": known.detail})
        return known

    def banner_clear(self, code: str) -> None:
        """The fault is over; the banner goes unless it speaks of another one."""
        self.banner.clear_fault(code)

    def show_progress(
        self, key: str, text: str, fraction: float, on_cancel: Callable[[], None] | None = None
    ) -> None:
        """A card with a bar, and a cancel button where the work can be called off."""
        self.progress.show_progress(key, text, fraction, on_cancel)

    def hide_progress(self, key: str) -> None:
        self.progress.hide_progress(key)

    def off_thread(self, name: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run `work` on a thread of its own; `then(result)` follows on the GUI thread, or the banner shows the error."""

        def run() -> None:
            try:
                self.bridge.post(Finished(then, work()))
            except Exception as error:  # last resort of this thread: it is reported on the banner
                log.exception("%s failed", name)
                self.bridge.post(Finished(then, error=error))

        threading.Thread(target=run, name=name, daemon=True).start()

    def finish(self, notice: Finished) -> None:
        """On the GUI thread: hand the result over."""
        if notice.error is not None:
            self.fault(notice.error)
        else:
            notice.then(notice.result)

    def recordings(self) -> Path:
        return self.config.recording.path

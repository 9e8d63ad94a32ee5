"""What the command line asked for, carried out once the window is open: source, checkpoint, recording, screenshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from console.notices import CheckpointLoaded, CheckpointRefused, SourceOpened

if TYPE_CHECKING:
    from console.app import StartRequest
    from console.main_window import MainWindow


class Begin(QObject):
    """Runs one StartRequest. Recording waits for the source, and for the checkpoint where one was named."""

    def __init__(self, window: MainWindow, request: StartRequest, on_failed: Callable[[Path], None]) -> None:
        super().__init__(window)
        self._window = window
        self._request = request
        self._on_failed = on_failed
        self._waits_for = set()
        if request.record_directory is not None:
            self._waits_for = {"source"} | ({"checkpoint"} if request.checkpoint else set())
            bridge = window.bridge
            bridge.on_notice(SourceOpened, "start request", self._source_is_there)
            bridge.on_notice(CheckpointLoaded, "start request", self._checkpoint_is_there)
            bridge.on_notice(CheckpointRefused, "start request", self._checkpoint_is_there)

    def go(self) -> None:
        request, window = self._request, self._window
        if request.checkpoint is not None:
            window.desk.pipeline.load_checkpoint(
                request.checkpoint, request.checkpoint_config, request.options
            )
        if request.source is not None:
            window.files.every_frame = request.every_frame or window.files.every_frame
            window.files.open(request.source)
        else:
            window.state.screen = request.screen
        if request.screenshot is not None:
            QTimer.singleShot(round(request.after_s * 1000), self._take_picture)
        elif request.seconds is not None:
            QTimer.singleShot(round(request.seconds * 1000), window.close)

    def _take_picture(self) -> None:
        path = self._request.screenshot
        if path is not None and not self._window.grab().save(str(path)):
            self._on_failed(path)
        self._window.close()

    def _source_is_there(self, _notice: SourceOpened) -> None:
        self._arrived("source")

    def _checkpoint_is_there(self, _notice: object) -> None:
        self._arrived("checkpoint")

    def _arrived(self, what: str) -> None:
        if what not in self._waits_for:
            return
        self._waits_for.discard(what)
        if not self._waits_for and self._request.record_directory is not None:
            self._window.desk.pipeline.start_recording(self._request.record_directory)

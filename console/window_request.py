"""What the command line asked for, carried out once the window is open: source, checkpoint, recording, screenshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from console.start_request import StartRequest

if TYPE_CHECKING:
    from console.main_window import MainWindow


class Begin(QObject):
    """Runs one StartRequest. Recording waits for the source, and for the checkpoint where one was named."""

    def __init__(self, window: MainWindow, request: StartRequest, on_failed: Callable[[Path], None]) -> None:
        super().__init__(window)
        self._window = window
        self._request = request
        self._on_failed = on_failed

    def go(self) -> None:
        request, window = self._request, self._window
        pipeline = window.desk.pipeline
        if request.source is not None:
            window.files.every_frame = request.every_frame or window.files.every_frame
            window.files.expect(request.source)
            pipeline.watch(
                request.source,
                request.checkpoint,
                config=request.checkpoint_config,
                record_to=request.record_directory,
                every_frame=window.files.every_frame,
            )
        elif request.checkpoint is not None:
            pipeline.load_checkpoint(request.checkpoint, request.checkpoint_config, request.options)
        elif request.path is not None:
            window.files.open(request.path, request.checkpoint_config)
        else:
            window.show_screen(request.screen)
        if request.screenshot is not None:
            QTimer.singleShot(round(request.after_s * 1000), self._take_picture)
        elif request.seconds is not None:
            QTimer.singleShot(round(request.seconds * 1000), window.close)

    def _take_picture(self) -> None:
        path = self._request.screenshot
        if path is not None and not self._window.grab().save(str(path)):
            self._on_failed(path)
        self._window.close()

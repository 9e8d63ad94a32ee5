"""A whole MainWindow over a ScriptedPipeline, shown offscreen, and closed in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shiboken6
from PySide6.QtWidgets import QApplication

from console import config
from console.main_window import MainWindow
from console.settings import Settings
from tests.helpers.pipeline import ScriptedPipeline, make_source


@contextmanager
def open_window(
    qtbot: Any, folder: Path, *, size: tuple[int, int] = (1280, 720), **values: Any
) -> Iterator[tuple[MainWindow, ScriptedPipeline]]:
    """values   settings as section__key, over the defaults"""
    given = {key.replace("__", "."): value for key, value in values.items()}
    given.setdefault("recording.directory", str(folder / "recordings"))
    found = config.load(given, user_file=folder / "config.toml")
    pipeline = ScriptedPipeline(found)
    window = MainWindow(pipeline, found, Settings(folder / "window.ini"))  # type: ignore[arg-type]
    window.resize(*size)
    window.begin()
    window.show()
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window)
    try:
        yield window, pipeline
    finally:
        window.close()
        qtbot.waitUntil(lambda: not window.isVisible())
        shiboken6.delete(window)


def watch(
    qtbot: Any, window: MainWindow, pipeline: ScriptedPipeline, kind: str = "video", **changes: Any
) -> None:
    """A source is open, a checkpoint is loaded, one frame and one look are on the screen."""
    pipeline.script_source(make_source(kind, **changes))
    pipeline.script_checkpoint()
    frame = pipeline.script_frame()
    pipeline.script_look(frame)
    qtbot.waitUntil(lambda: window.live.frame is frame and window.panels["picture"].inspection is not None)

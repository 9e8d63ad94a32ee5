"""Opening things: by dialog, by address, by recent file, by dropping them on the window.

Decides what a path is by its name alone, on the GUI thread; whether it can be opened is for the pipeline to find out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog

from console.dialogs.open_source import ask_source
from console.notices import SourceOpened
from console.verbs_common import DEMO_CHECKPOINT, DEMO_WORLD
from console.window_desk import Desk
from jepa_core.checkpoint_paths import WEIGHTS, is_meant_as_checkpoint
from jepa_core.errors import RequestError, SourceError
from widgets.frame_view import FrameView

SESSIONS = frozenset({".h5", ".wmj"})
SOURCE_CODES = (SourceError.code, *(str(kind.code) for kind in SourceError.__subclasses__()))
VIDEOS = ("mp4", "mkv", "mov", "avi", "webm", "m4v", "mpg", "mpeg", "ts")


def kind_of(uri: str) -> str:
    """ "checkpoint", "session" or "source", by name. A folder of weights or with a config.json is a checkpoint, and so is
    a config file, which stands for what it lies beside."""
    path = Path(uri)
    if path.suffix.lower() in SESSIONS or uri.startswith("session:"):
        return "session"
    if not uri.startswith("world:") and is_meant_as_checkpoint(path):
        return "checkpoint"
    return "source"


class Files(QObject):
    """Source, session and checkpoint files: from a person's hand to the pipeline."""

    def __init__(
        self,
        desk: Desk,
        examine_checkpoint: Callable[[str, str | None], None],
        load_checkpoint: Callable[[str], None],
    ) -> None:
        """`examine_checkpoint` asks before it loads; `load_checkpoint` is for the demo, where nobody has to be asked."""
        super().__init__(desk.window)
        self._desk = desk
        self._examine_checkpoint = examine_checkpoint
        self._load_checkpoint = load_checkpoint
        self._uri = ""
        self.every_frame = desk.config.source.every_frame
        desk.bridge.on_notice(SourceOpened, "files", self._opened)

    def open(self, uri: str, config: str | None = None) -> None:
        """Whatever it is: a source, a session or a checkpoint, which `config` may belong to."""
        kind = kind_of(uri)
        if kind == "checkpoint":
            self._examine_checkpoint(uri, config)
            return
        if kind == "session" and self._desk.pipeline.is_recording:
            self._desk.fault(
                RequestError(
                    self.tr("A recording is running; opening a session would end its source."),
                    self.tr("Stop the recording first: hold Ctrl+R for 1 s."),
                )
            )
            return
        self.expect(uri)
        self._desk.pipeline.open_source(
            uri, every_frame=self.every_frame, speed=self._desk.config.source.speed
        )

    def expect(self, uri: str) -> None:
        """This source is being opened: go to its screen and say so."""
        self._uri = uri
        self._desk.state.screen = "replay" if kind_of(uri) == "session" else "live"
        view = cast(FrameView, self._desk.panels["picture"])
        view.show_state("busy", self.tr("Opening {0}…").format(_short(uri)))

    def ask_file(self) -> None:
        """One dialog for videos, sessions and checkpoints."""
        videos = " ".join(f"*.{suffix}" for suffix in VIDEOS)
        weights = " ".join(f"*{ending}" for ending in WEIGHTS)
        filters = ";;".join(
            (
                self.tr("All that can be opened") + f" ({videos} *.npz *.h5 *.wmj {weights})",
                self.tr("Videos") + f" ({videos})",
                self.tr("Trajectories with actions or states") + " (*.npz)",
                self.tr("Sessions") + " (*.h5 *.wmj)",
                self.tr("Checkpoints") + f" ({weights})",
                self.tr("All files") + " (*)",
            )
        )
        path, _ = QFileDialog.getOpenFileName(
            self._desk.window, self.tr("Open a video, a session or a checkpoint"), self._folder(), filters
        )
        if path:
            self.open(path)

    def ask_source(self) -> None:
        uri = ask_source(self._desk.window, self._uri)
        if uri:
            self.open(uri)

    def open_demo(self) -> None:
        """The embedded world, and the demo checkpoint beside it."""
        self.open(DEMO_WORLD)
        if DEMO_CHECKPOINT.exists() and self._desk.pipeline.checkpoint_info is None:
            self._load_checkpoint(str(DEMO_CHECKPOINT))

    def close_source(self) -> None:
        if self._desk.pipeline.is_recording:
            self._desk.say(self.tr("A recording is running. Stop it first: hold Ctrl+R for 1 s."), "warning")
            return
        self._desk.pipeline.close_source()

    def drag_enter(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls() and any(_path_of(url) for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def drop(self, event: QDropEvent) -> None:
        """A checkpoint and a source may be dropped together."""
        paths = [path for url in event.mimeData().urls() if (path := _path_of(url))]
        if not paths:
            return
        event.acceptProposedAction()
        paths.sort(key=lambda path: kind_of(path) != "checkpoint")
        opened: set[bool] = set()
        for path in paths:
            is_checkpoint = kind_of(path) == "checkpoint"
            if is_checkpoint not in opened:
                opened.add(is_checkpoint)
                self.open(path)

    def _opened(self, notice: SourceOpened) -> None:
        uri = self._uri or str(notice.info.detail.get("path", notice.info.name))
        kind = "session" if notice.info.kind == "session" else "source"
        self._desk.settings.remember(uri, _short(uri), kind)
        for code in SOURCE_CODES:
            self._desk.banner_clear(code)

    def _folder(self) -> str:
        path = Path(self._uri)
        return str(path.parent) if self._uri and path.exists() else ""


def _path_of(url: QUrl) -> str:
    return url.toLocalFile() if url.isLocalFile() else ""


def _short(uri: str) -> str:
    """The last part of a path, for titles; addresses stay whole."""
    return (
        uri
        if "://" in uri or uri.startswith(("world:", "session:", "trajectory:"))
        else Path(uri).name or uri
    )

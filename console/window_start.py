"""The start screen: recent files, what a crash left behind, and quick checks. Looks at the disk off the GUI thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from PySide6.QtCore import QObject

from console.notices import FoldProgress, Recovered
from console.settings import Recent
from console.window_desk import Desk
from console.window_keys import is_typing
from widgets.start_page import CheckItem, RecentItem, RecoveryItem, StartPage
from widgets.words import size

if TYPE_CHECKING:
    from sessions.fold import Unfinished

LOW_DISK = 5 << 30  # bytes; about ten minutes of 1080p JPEG
LOW_MEMORY = 2 << 30


class Start(QObject):
    """Fills the StartPage and carries out what is pressed there."""

    def __init__(
        self, desk: Desk, page: StartPage, open_uri: Callable[[str], None], load_demo: Callable[[], None]
    ) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._page = page
        self._open_uri = open_uri
        page.openRequested.connect(open_uri)
        page.openSourceRequested.connect(desk.actions["open_source"].trigger)
        page.openCheckpointRequested.connect(desk.actions["open_checkpoint"].trigger)
        page.demoRequested.connect(load_demo)
        page.recoverRequested.connect(self.recover)
        desk.bridge.on_notice(Recovered, "start", self._recovered)
        desk.bridge.on_notice(FoldProgress, "start", self._progressed)
        desk.state.screenChanged.connect(self._on_screen)

    def refresh(self) -> None:
        """Recents at once; what is gone, recovery and checks when they have been looked up."""
        recents = self._desk.settings.recents("source", "session", "checkpoint")
        self._page.show_recents([_recent(row) for row in recents])
        self._desk.off_thread(
            "start-recents", lambda: [_looked_up(row) for row in recents], self._show_missing
        )
        folder = self._desk.recordings()
        self._desk.off_thread("start-checks", lambda: quick_checks(folder), self._page.show_checks)
        folders = [folder, *(Path(row.uri) for row in self._desk.settings.recents("folder"))]
        self._desk.off_thread("start-recovery", lambda: unfinished(*folders), self._show_recoveries)

    def _show_missing(self, items: list[RecentItem]) -> None:
        """Only where something is gone: made anew, a list takes the focus from who is in it."""
        if any(item.is_missing for item in items):
            self._page.show_recents(items)

    def _show_recoveries(self, items: list[RecoveryItem]) -> None:
        """What a crash left behind comes first: Enter recovers it."""
        self._page.show_recoveries(items)
        if items and self._desk.state.screen == "start" and not is_typing():
            self._page.focus_first()

    def recover(self, journal: object) -> None:
        self._desk.state.recovering = Path(str(journal)).name
        self._desk.show_progress(
            "recover", self.tr("Recovering {0}…").format(self._desk.state.recovering), -1.0
        )
        self._desk.pipeline.recover(str(journal))

    def _progressed(self, notice: FoldProgress) -> None:
        name = self._desk.state.recovering
        if name is not None:
            self._desk.show_progress("recover", self.tr("Recovering {0}…").format(name), notice.fraction)

    def _recovered(self, notice: Recovered) -> None:
        self._desk.state.recovering = None
        self._desk.hide_progress("recover")
        if notice.error is not None or notice.session is None:
            if notice.error is not None:
                self._desk.fault(notice.error)
            return
        self._desk.settings.remember(str(notice.session), notice.session.name, "session")
        self._desk.say(
            self.tr("Recovered: {0}. Everything that was confirmed is in it.").format(notice.session.name),
            "ok",
        )
        self.refresh()

    def _on_screen(self, screen: str) -> None:
        if screen == "start":
            self.refresh()


def unfinished(*folders: Path) -> list[RecoveryItem]:
    """Journals without a session, newest first, in every folder that was recorded to. Reads the disk: never on the
    GUI thread."""
    there = list(dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir()))
    if not there:
        return []
    from sessions.fold import find_unfinished  # brings h5py: only when there is something to look at

    return [
        RecoveryItem(item.path, item.title or item.path.name, _described(item))
        for folder in there
        for item in find_unfinished(folder)
    ]


def _described(item: Unfinished) -> str:
    """When it began, how large it is, and why it is here."""
    if item.problem:
        return item.problem
    began = _when(item.start_wall_ns) + " · " if item.start_wall_ns > 0 else ""
    why = "closed, not sealed yet" if item.has_end else "was not closed"
    return f"{began}{size(item.n_bytes)} · {why}"


def _recent(row: Recent, *, is_missing: bool = False) -> RecentItem:
    return RecentItem(row.uri, row.title, row.kind, _described_recent(row), is_missing)


def _looked_up(row: Recent) -> RecentItem:
    """Whether a path is still there. May wait for a disk that sleeps: never on the GUI thread."""
    return _recent(row, is_missing=row.uri.startswith("/") and not Path(row.uri).exists())


def _described_recent(row: Recent) -> str:
    """When, and in which folder: two files may have one name."""
    folder = str(Path(row.uri).parent) if row.uri.startswith("/") else ""
    return " · ".join(word for word in (_when(row.t_wall_ns), folder) if word)


def quick_checks(folder: Path) -> list[CheckItem]:
    """Disk, memory, processors, accelerator, display. Facts about this computer, no promise about a run."""
    checks = [_disk(folder), _memory(), _processors(), _accelerator()]
    display = (
        os.environ.get("WAYLAND_DISPLAY")
        or os.environ.get("DISPLAY")
        or os.environ.get("QT_QPA_PLATFORM", "")
    )
    checks.append(CheckItem("Display", "ok", display or "native"))
    return checks


def _disk(folder: Path) -> CheckItem:
    place = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    if folder.exists() and not os.access(folder, os.W_OK):
        return CheckItem("Recording folder", "error", f"{folder}: no right to write there")
    return CheckItem("Disk", "ok" if free > LOW_DISK else "warning", f"{size(free)} free in {folder}")


def _memory() -> CheckItem:
    memory = psutil.virtual_memory()
    state = "ok" if memory.available > LOW_MEMORY else "warning"
    return CheckItem("Memory", state, f"{size(memory.available)} of {size(memory.total)} free")


def _processors() -> CheckItem:
    return CheckItem("Processors", "ok", f"{psutil.cpu_count(logical=True)} logical")


def _accelerator() -> CheckItem:
    """Only whether a driver is there: what it can do is known when the engine has started."""
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return CheckItem("GPU", "ok", "NVIDIA driver found")
    return CheckItem("GPU", "info", "none found: predictions run on the processor, slower")


def _when(t_wall_ns: int) -> str:
    return datetime.fromtimestamp(t_wall_ns / 1e9).strftime("%d %b %H:%M")

"""The Models screen joined to what it shows: the library of this machine, the released checkpoints, what may be claimed.

Owns the ModelsLibrary (whose threads look through folders and download) and the page. Picks nothing by itself: opening
a file leads to the load sheet. GUI thread only; reads no disk here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox

from console.models_library import ModelsLibrary
from console.notices import CheckpointExamined, CheckpointLoaded, CheckpointRefused
from console.notices_models import (
    DownloadChanged,
    DownloadState,
    LibraryEntryChanged,
    LibraryFailed,
    LibraryScanned,
    LibraryScanning,
    RoomMeasured,
)
from console.window_desk import Desk
from jepa_core import claims_file
from jepa_core.claims_match import proved_id
from jepa_core.errors import ConfigError
from jepa_core.types import CheckpointInfo
from widgets.claims_page import ClaimsPage
from widgets.models_page import PAGES, ModelsPage
from widgets.released_page import DownloadView


class Library(QObject):
    """One screen, three pages."""

    def __init__(self, desk: Desk, page: ModelsPage, examine: Callable[[str], None]) -> None:
        """`examine` opens the load sheet on a path."""
        super().__init__(desk.window)
        self._desk = desk
        self._page = page
        self._is_looked_through = False
        self._has_claims = False
        self._library = self._make_library()
        page.openRequested.connect(desk.actions["open_checkpoint"].trigger)
        page.pageChanged.connect(self._turned)
        page.library.openRequested.connect(examine)
        page.library.claimsRequested.connect(self.show_claims_of)
        page.library.releasedRequested.connect(self.show_released)
        page.library.refreshRequested.connect(self.refresh)
        page.library.addFolderRequested.connect(self._ask_folder)
        page.library.removeRequested.connect(self._ask_remove)
        page.released.downloadRequested.connect(self._download)
        page.released.pauseRequested.connect(self._pause)
        page.released.cancelRequested.connect(self._cancel)
        page.released.openRequested.connect(examine)
        page.released.claimsRequested.connect(self.show_claims_of)
        page.released.copyRequested.connect(self._copy)
        bridge = desk.bridge
        bridge.on_notice(LibraryScanning, "library", self._scanning)
        bridge.on_notice(LibraryScanned, "library", self._scanned)
        bridge.on_notice(LibraryEntryChanged, "library", self._entry_changed)
        bridge.on_notice(LibraryFailed, "library", self._failed)
        bridge.on_notice(DownloadChanged, "released", self._download_changed)
        bridge.on_notice(RoomMeasured, "released", self._room)
        bridge.on_notice(CheckpointExamined, "library", self._examined)
        bridge.on_notice(CheckpointLoaded, "library", self._loaded)
        bridge.on_notice(CheckpointRefused, "library", self._refused)
        desk.state.checkpointChanged.connect(self._in_use)
        desk.state.screenChanged.connect(self._on_screen)

    # screens

    def show_library(self) -> None:
        self._show("library")

    def show_released(self) -> None:
        self._show("released")

    def show_claims(self) -> None:
        self._show("claims")

    def show_claims_of(self, system: str) -> None:
        """What may be claimed of one system."""
        self._show("claims")
        self._claims.show_system(system)

    def show(self, name: str) -> bool:
        """A page by its name; False for a name that is no page."""
        if name not in PAGES:
            return False
        self._show(name)
        return True

    def refresh(self) -> None:
        """Look through the folders again."""
        if self._library is not None:
            self._is_looked_through = True
            self._page.library.show_looking(self._library.folders)
            self._library.scan()

    def stop(self) -> None:
        """End its threads; what was downloaded so far stays. May take a moment: not on the GUI thread."""
        if self._library is not None:
            self._library.stop()

    # from the library's threads

    def _scanning(self, notice: LibraryScanning) -> None:
        self._page.library.show_looking(notice.folders, notice.found)

    def _scanned(self, notice: LibraryScanned) -> None:
        self._page.library.show_entries(notice.entries, notice.folders, notice.cache)
        self._page.library.show_problems(notice.problems)
        assert self._library is not None
        self._page.released.show_downloads(
            {key: _view(state) for key, state in self._library.downloads.items()}
        )

    def _entry_changed(self, notice: LibraryEntryChanged) -> None:
        self._page.library.show_entry(notice.entry)

    def _download_changed(self, notice: DownloadChanged) -> None:
        self._page.released.show_download(notice.state.entry_id, _view(notice.state))

    def _room(self, notice: RoomMeasured) -> None:
        self._page.released.show_room(notice.free_bytes, str(notice.folder))

    def _failed(self, notice: LibraryFailed) -> None:
        self._desk.fault(notice.error)

    # from the engine: what it said of a file is remembered

    def _examined(self, notice: CheckpointExamined) -> None:
        if self._library is None or notice.is_cancelled:
            return
        if notice.info is not None and notice.report is not None:
            self._library.judged(notice.path, (notice.info, notice.report))
        elif notice.error is not None:
            self._library.judged(notice.path, notice.error)

    def _loaded(self, notice: CheckpointLoaded) -> None:
        if self._library is not None and notice.info.path:
            self._library.judged(notice.info.path, (notice.info, notice.report))

    def _refused(self, notice: CheckpointRefused) -> None:
        if self._library is not None:
            self._library.judged(notice.path, notice.error)

    # inside

    @property
    def _claims(self) -> ClaimsPage:
        assert isinstance(self._page.claims, ClaimsPage)
        return self._page.claims

    def _make_library(self) -> ModelsLibrary | None:
        """None where the settings or the catalogue cannot be used; the page then says why."""
        try:
            made = ModelsLibrary(self._desk.config)
        except ConfigError as error:
            self._page.released.show_error(error.what, error.hint)
            self._page.library.show_error(error.what, error.hint)
            return None
        made.listen(self._desk.bridge.post)
        self._page.released.show_entries(made.catalogue.entries)
        return made

    def _show(self, page: str) -> None:
        self._page.show_page(page)
        self._desk.state.screen = "models"
        self._turned(page)

    def _on_screen(self, screen: str) -> None:
        if screen == "models":
            self._turned(self._page.page)

    def _turned(self, page: str) -> None:
        """Seen for the first time: look through the folders, read the claims."""
        if self._desk.state.screen != "models":
            return
        if page in ("library", "released") and not self._is_looked_through:
            self.refresh()
        if page == "claims" and not self._has_claims:
            self._has_claims = True
            try:
                self._claims.show_claims(claims_file.load())
            except ConfigError as error:
                self._desk.note_fault(error)
                self._claims.show_error(error.what, error.hint)
            self._show_claimed(self._desk.state.checkpoint)
        self._page.focus_first()

    def _in_use(self, info: CheckpointInfo | None) -> None:
        self._page.library.show_in_use(info.path if info is not None else "")
        if self._has_claims:
            self._show_claimed(info)

    def _show_claimed(self, info: CheckpointInfo | None) -> None:
        self._claims.show_checkpoint(info, proved_id(info) if info is not None else "")

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self._desk.window, self.tr("Look for checkpoints in"))
        if folder and self._library is not None:
            self._library.add_folder(folder)

    def _ask_remove(self, path: str) -> None:
        """Gigabytes that took an hour to come: asked before they go."""
        box = QMessageBox(self._desk.window)
        box.setWindowTitle(self.tr("Remove the download"))
        box.setText(self.tr("Remove {0} from this machine?").format(Path(path).name))
        box.setInformativeText(
            self.tr("{0}\nIt can be downloaded again. Nothing else is touched.").format(path)
        )
        remove = box.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        remove.clicked.connect(lambda: self._remove(path))
        box.open()

    def _remove(self, path: str) -> None:
        if self._library is not None:
            self._library.remove(path)

    def _download(self, entry_id: str) -> None:
        if self._library is not None:
            self._library.download(entry_id)

    def _pause(self, entry_id: str) -> None:
        if self._library is not None:
            self._library.pause(entry_id)

    def _cancel(self, entry_id: str) -> None:
        if self._library is not None:
            self._library.cancel(entry_id)

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._desk.say(self.tr("The address is on the clipboard."), "ok")


def _view(state: DownloadState) -> DownloadView:
    """As the page shows it."""
    return DownloadView(
        state.state,
        state.done_bytes,
        state.total_bytes,
        state.bytes_per_s,
        state.text,
        state.hint,
        state.path,
    )

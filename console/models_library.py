"""The controller of the Models screen: what is on this machine, what was released, and how the one becomes the other.

Looks through the folders, downloads, remembers verdicts, removes downloads. Plain Python with one listener; knows no Qt
and never imports torch. The listener is called from worker threads and must not block. The window, `main.py models` and
`main.py download` use the same.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from console import config as settings
from console.config import Config
from console.errands import Errands
from console.models_downloads import ModelDownloads, download_path
from console.notices_models import (
    DownloadChanged,
    DownloadState,
    LibraryEntryChanged,
    LibraryFailed,
    LibraryScanned,
    LibraryScanning,
    ModelsNotice,
    RoomMeasured,
)
from jepa_core import hub
from jepa_core.catalogue import Catalogue, CatalogueEntry, released
from jepa_core.clock import CancelToken
from jepa_core.downloads import Downloaded, Settings, folder_of, throw_away
from jepa_core.errors import CheckpointError, ConsoleError, RequestError
from jepa_core.library import FolderProblem, LibraryEntry, entry_at, scan
from jepa_core.library_index import Known, LibraryIndex, verdict_of
from jepa_core.part_file import FOLDER
from jepa_core.types import CheckpointInfo, LoadReport

log = logging.getLogger(__name__)

Outcome = tuple[CheckpointInfo, LoadReport] | ConsoleError  # what `checkpoint.examine` returned or raised

SAY_EVERY_S = 0.2  # while looking through folders
ROOM_EVERY_S = 5.0  # while downloading


def download_settings(config: Config) -> Settings:
    """How to download, from the settings and the environment. Raises ConfigError for an address that is none."""
    return Settings(hub=hub.endpoint(config.models.hub), token=hub.token(), stall_s=config.models.stall_s)


def remember_download(index: LibraryIndex, catalogue: Catalogue, done: Downloaded) -> None:
    """Put down how a download was checked, so that the library knows the file without hashing it again."""
    entry, main = entry_at(done.path, catalogue=catalogue), done.main
    known = Known(*entry.stamp, sha256=main.sha256, checked=main.checked, origin=main.origin)
    index.remember(entry.path, known)


def remember_verdict(
    index: LibraryIndex, catalogue: Catalogue, path: Path, outcome: Outcome
) -> LibraryEntry | None:
    """Put down what the loader said of a file; None where the file changed meanwhile or is gone."""
    report = outcome.report if isinstance(outcome, CheckpointError) else None
    report = outcome[1] if isinstance(outcome, tuple) else report
    try:
        entry = entry_at(path, catalogue=catalogue)
        if report is not None and entry.kind == "file" and report.file_bytes not in (0, entry.bytes):
            return None  # it is not what was read
        index.judge(entry.path, verdict_of(outcome, time.time_ns()), entry.stamp)
        return entry_at(path, catalogue=catalogue, index=index)
    except OSError as error:
        log.info("no verdict is kept of %s: %s", path, error)
        return None


class ModelsLibrary:
    """Make one, `listen`, then `scan`. Every call returns at once; what comes of it is said."""

    def __init__(
        self,
        config: Config,
        *,
        catalogue: Catalogue | None = None,
        index: LibraryIndex | None = None,
        download: Settings | None = None,
    ) -> None:
        """Raises ConfigError where the catalogue or the hub's address cannot be used."""
        self.catalogue = catalogue if catalogue is not None else released()
        self._config = config
        self._index = index or LibraryIndex(config.models.index)
        self._listener: Callable[[ModelsNotice], None] = _nobody
        self._errands = Errands("library", self._failed)
        self._downloads = ModelDownloads(
            self.catalogue,
            self.cache,
            download or download_settings(config),
            say=self._download_moved,
            on_done=self._downloaded,
            on_fault=self._failed,
        )
        self._lock = threading.Lock()
        self._entries: dict[Path, LibraryEntry] = {}
        self._scanning: CancelToken | None = None
        self._room_s = 0.0

    def listen(self, listener: Callable[[ModelsNotice], None]) -> None:
        self._listener = listener

    # --- what is known now -------------------------------------------------------------------------------------------

    @property
    def cache(self) -> Path:
        """The folder of downloads."""
        return self._config.models.cache

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that is looked through, the one of downloads last."""
        return self._config.models.library

    @property
    def entries(self) -> tuple[LibraryEntry, ...]:
        """What the last look found."""
        with self._lock:
            return tuple(self._entries.values())

    @property
    def downloads(self) -> dict[str, DownloadState]:
        """Of every released checkpoint, by its id."""
        return self._downloads.states

    # --- what a person does ------------------------------------------------------------------------------------------

    def scan(self) -> None:
        """Look through the folders anew; a look that is under way is called off."""
        cancel = CancelToken()
        with self._lock:
            before, self._scanning = self._scanning, cancel
        if before is not None:
            before.cancel()
        self._errands.ask(lambda: self._scan(cancel))

    def download(self, entry_id: str) -> None:
        """Fetch a released checkpoint, or go on with it. Raises ConfigError for an unknown id."""
        self._downloads.start(entry_id)

    def pause(self, entry_id: str) -> None:
        """Stop its download; what arrived stays."""
        self._downloads.pause(entry_id)

    def cancel(self, entry_id: str) -> None:
        """Stop its download and throw away what arrived."""
        self._downloads.cancel(entry_id)

    def remove(self, path: str | Path) -> None:
        """Delete a finished download. LibraryFailed for what this console did not download itself."""
        self._errands.ask(lambda: self._remove(Path(path)))

    def add_folder(self, folder: str | Path) -> None:
        """Look through another folder too, from now on."""
        added = Path(folder).expanduser().absolute()
        if added not in self._config.models.own_folders:
            self._set_folders((*self._config.models.own_folders, added))

    def drop_folder(self, folder: str | Path) -> None:
        """Do not look through this folder any more; nothing in it is touched."""
        left = tuple(each for each in self._config.models.own_folders if each != Path(folder).expanduser())
        self._set_folders(left)

    def judged(self, path: str | Path, outcome: Outcome) -> None:
        """Remember what the loader said of a file: what `examine` or `load` returned or raised."""
        self._errands.ask(lambda: self._judge(Path(path), outcome))

    def stop(self, deadline_s: float = 2.0) -> None:
        """Pause the downloads and end the threads; a disk that hangs is left behind."""
        with self._lock:
            scanning = self._scanning
        if scanning is not None:
            scanning.cancel()
        began = time.monotonic()
        self._downloads.stop(deadline_s)
        self._errands.stop(max(deadline_s - (time.monotonic() - began), 0.1))

    # --- on the library's thread -------------------------------------------------------------------------------------

    def _scan(self, cancel: CancelToken) -> None:
        cancel.check()
        folders = self.folders
        found: dict[Path, LibraryEntry] = {}
        problems: list[FolderProblem] = []
        said_s = 0.0
        for item in scan(folders, catalogue=self.catalogue, index=self._index, cancel=cancel):
            if isinstance(item, FolderProblem):
                problems.append(item)
            else:
                found[item.path] = item
            if time.monotonic() - said_s > SAY_EVERY_S:
                said_s = time.monotonic()
                self._listener(LibraryScanning(folders, len(found)))
        with self._lock:
            self._entries = found
        self._downloads.take_stock(list(found.values()))
        self._measure_room()
        self._listener(LibraryScanned(tuple(found.values()), tuple(problems), folders, self.cache))

    def _judge(self, path: Path, outcome: Outcome) -> None:
        entry = remember_verdict(self._index, self.catalogue, path, outcome)
        if entry is None:
            return
        with self._lock:
            if entry.path in self._entries:
                self._entries[entry.path] = entry
        self._listener(LibraryEntryChanged(entry))

    def _remove(self, path: Path) -> None:
        entry = self._entry_of(path)
        folder = folder_of(self.cache, entry)
        try:
            throw_away(self.cache, entry)
            names = {file.name for file in entry.files}
            for each in sorted(folder.iterdir()):
                if each.name in names or (entry.is_folder and each.name.startswith("model")):
                    each.unlink()
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            if not any(folder.iterdir()):  # else a person put something of theirs beside it
                folder.rmdir()
        except OSError as error:
            raise RequestError(
                f"{path} cannot be removed ({error.strerror or error}).",
                "Another program may have it open. Unload it here first, then try again.",
                str(error),
            ) from error
        self._index.forget(path)
        log.info("removed %s", folder)
        self.scan()

    def _entry_of(self, path: Path) -> CatalogueEntry:
        """The released checkpoint whose download lies at this path. Raises RequestError where none does."""
        for entry in self.catalogue.entries:
            if path == download_path(entry, self.cache):
                return entry
        raise RequestError(
            f"{path} is no download of this console.", "Remove it with the system's own file manager."
        )

    def _set_folders(self, folders: tuple[Path, ...]) -> None:
        values = {"models.folders": tuple(str(folder) for folder in folders)}
        self._config = settings.changed(self._config, values)
        self._errands.ask(lambda: settings.save_user(values))
        self.scan()

    def _measure_room(self) -> None:
        folder = self.cache
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent  # made with the first download
        try:
            free_bytes = shutil.disk_usage(folder).free
        except OSError:
            free_bytes = -1
        self._listener(RoomMeasured(free_bytes, self.cache))

    # --- on the download's thread --------------------------------------------------------------------------------------

    def _downloaded(self, done: Downloaded) -> None:
        remember_download(self._index, self.catalogue, done)
        self.scan()

    def _download_moved(self, state: DownloadState) -> None:
        self._listener(DownloadChanged(state))
        now_s = time.monotonic()
        if state.state == "running" and now_s - self._room_s > ROOM_EVERY_S:
            self._room_s = now_s
            self._measure_room()

    def _failed(self, error: ConsoleError) -> None:
        self._listener(LibraryFailed(error))


def _nobody(_: ModelsNotice) -> None:
    """Until somebody listens."""

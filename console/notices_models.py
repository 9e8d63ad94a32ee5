"""What the models library tells its listeners: the folders were looked through, a download moved. Small and frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jepa_core.errors import ConsoleError
from jepa_core.library import FolderProblem, LibraryEntry

StateName = Literal["none", "queued", "running", "checking", "paused", "done", "failed", "offline"]


@dataclass(frozen=True, slots=True)
class DownloadState:
    """One released checkpoint: is it here, is it coming, why not."""

    entry_id: str
    state: StateName = "none"
    done_bytes: int = 0
    total_bytes: int = 0  # 0 not known
    bytes_per_s: float = 0.0  # 0 not known
    text: str = ""  # of a failure what happened; of a wait what for; of a finished one how it was checked
    hint: str = ""
    path: str = ""  # of a finished one: what to give to the loader


@dataclass(frozen=True, slots=True)
class DownloadChanged:
    state: DownloadState


@dataclass(frozen=True, slots=True)
class LibraryScanning:
    """The folders are being looked through."""

    folders: tuple[Path, ...]
    found: int


@dataclass(frozen=True, slots=True)
class LibraryScanned:
    """Everything that is there now. A DownloadChanged for every released checkpoint went before."""

    entries: tuple[LibraryEntry, ...]
    problems: tuple[FolderProblem, ...]
    folders: tuple[Path, ...]
    cache: Path  # of these folders, the one of downloads


@dataclass(frozen=True, slots=True)
class LibraryEntryChanged:
    """Something was found out about one file: a verdict."""

    entry: LibraryEntry


@dataclass(frozen=True, slots=True)
class RoomMeasured:
    """Free bytes where downloads go, -1 not known."""

    free_bytes: int
    folder: Path


@dataclass(frozen=True, slots=True)
class LibraryFailed:
    """Something a person asked of the library could not be done."""

    error: ConsoleError


ModelsNotice = (
    DownloadChanged | LibraryScanning | LibraryScanned | LibraryEntryChanged | RoomMeasured | LibraryFailed
)

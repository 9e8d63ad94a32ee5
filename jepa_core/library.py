"""The library: which checkpoints lie in the folders a person named and in the download cache.

Looks at names, sizes and times only; it opens no checkpoint, so a hostile one is as harmless here as any other file.
Standard library only (the window's process scans). A generator: whoever scans takes one entry at a time and may stop.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jepa_core.catalogue import Catalogue, CatalogueEntry, Identity
from jepa_core.clock import CancelToken
from jepa_core.library_index import Known, LibraryIndex, Verdict

ENDINGS = (".pt", ".pth", ".pth.tar", ".ckpt", ".safetensors")
DEEPEST = 12  # folders below a named one; deeper is a loop or somebody's disk
MOST_ENTRIES = 500_000  # names looked at in one scan
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """One checkpoint on this machine: what to give to the loader, and what is known without opening it."""

    path: Path  # a file, or a Hugging Face folder
    kind: str  # "file" | "folder" (config.json and weights together)
    bytes: int  # of its weights
    modified_ns: int  # of its weights, UTC
    identity: Identity  # the released checkpoint it seems to be, and how one knows
    known: Known | None = None  # what was found out earlier: sha256, verdict, origin

    @property
    def verdict(self) -> Verdict | None:
        return self.known.verdict if self.known is not None else None

    @property
    def sha256(self) -> str:
        """Of the weights, empty where nobody counted it yet."""
        return self.known.sha256 if self.known is not None else ""

    @property
    def name(self) -> str:
        """As a list shows it: with its folder where many files are called the same."""
        if self.kind == "folder" or self.path.name not in ("weights.pt", "model.safetensors", "latest.pt"):
            return self.path.name
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def stamp(self) -> tuple[int, int]:
        """(bytes, modification time, ns): as long as these hold, so does what is known."""
        return self.bytes, self.modified_ns


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """A folder that could not be looked through, in one sentence. The scan goes on."""

    path: Path
    text: str


def scan(
    folders: Iterable[Path],
    *,
    catalogue: Catalogue,
    index: LibraryIndex | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[LibraryEntry | FolderProblem]:
    """Every checkpoint below the folders, each once, in the order they are met. Raises Cancelled.

    A folder that does not exist yet is no problem; one that cannot be read is told and left out.
    """
    walk = _Walk(catalogue, index, cancel or CancelToken())
    for folder in folders:
        yield from walk.through(folder.expanduser())


def entry_at(path: Path, *, catalogue: Catalogue, index: LibraryIndex | None = None) -> LibraryEntry:
    """The entry of one file or folder, wherever it lies. Raises OSError where it cannot be looked at."""
    return _entry(path, path.is_dir(), catalogue, index, Path(os.path.realpath(path)))[0]


def _entry(
    path: Path, is_folder: bool, catalogue: Catalogue, index: LibraryIndex | None, real: Path
) -> tuple[LibraryEntry, tuple[int, int]]:
    """The entry, and which file of which disk it is. `real`: the path without links, what the index goes by."""
    weights = _weights_of(path) if is_folder else [path]
    stats = [file.stat() for file in weights]
    if not all(stat.S_ISREG(found.st_mode) for found in stats):
        raise OSError(errno.EINVAL, "is no file", str(path))  # a pipe or a device; opening it could hang
    n_bytes = sum(found.st_size for found in stats)
    modified_ns = max(found.st_mtime_ns for found in stats)
    known = index.known(real, n_bytes, modified_ns) if index is not None else None
    identity = catalogue.entry_for(
        "model.safetensors" if is_folder else path.name,
        n_bytes,
        known.sha256 if known else "",
        _folder_name(path if is_folder else path.parent),
    )
    kind = "folder" if is_folder else "file"
    entry = LibraryEntry(path, kind, n_bytes, modified_ns, identity, known)
    return entry, (stats[0].st_dev, stats[0].st_ino)


class _Walk:
    """One scan: remembers which folders it was in, so that links in a circle end."""

    def __init__(self, catalogue: Catalogue, index: LibraryIndex | None, cancel: CancelToken) -> None:
        self._catalogue = catalogue
        self._index = index
        self._cancel = cancel
        self._seen: set[tuple[int, int]] = set()
        self._given: set[object] = set()
        self._left = MOST_ENTRIES

    def through(self, top: Path) -> Iterator[LibraryEntry | FolderProblem]:
        waiting = [(top, 0)]
        while waiting:
            folder, depth = waiting.pop()
            try:
                files, links, below = self._look(folder)
            except FileNotFoundError:
                continue  # not made yet, or taken away while we looked
            except OSError as error:
                yield FolderProblem(folder, f"{folder} cannot be looked through: {error.strerror or error}.")
                continue
            if self._left <= 0:
                yield FolderProblem(
                    top, f"{top} holds more than {MOST_ENTRIES:,} names; the rest was left out."
                )
                return
            yield from self._entries(folder, files, links)
            if depth < DEEPEST:
                waiting += [(path, depth + 1) for path in sorted(below, reverse=True)]

    def _look(self, folder: Path) -> tuple[list[str], set[str], list[Path]]:
        """Names of the files in a folder, which of them are links, and its subfolders; all empty in one that was
        looked at before."""
        self._cancel.check()
        found = os.stat(folder)
        key = (found.st_dev, found.st_ino)
        if found.st_ino and key in self._seen:
            return [], set(), []
        self._seen.add(key)
        files: list[str] = []
        links: set[str] = set()
        below: list[Path] = []
        with os.scandir(folder) as names:
            for entry in names:
                self._cancel.check()
                self._left -= 1
                if self._left <= 0:
                    break
                if entry.name.startswith("."):
                    continue
                try:
                    is_folder = entry.is_dir()  # follows links: a library may be a folder of links
                except OSError:
                    continue  # a link in a circle, or a name that went away
                if is_folder:
                    below.append(folder / entry.name)
                else:
                    files.append(entry.name)
                    if entry.is_symlink():
                        links.add(entry.name)
        return files, links, below

    def _entries(self, folder: Path, files: list[str], links: set[str]) -> Iterator[LibraryEntry]:
        real = Path(os.path.realpath(folder))  # once per folder: it costs a look at every folder above
        names = set(files)
        is_whole = "config.json" in names and ("model.safetensors" in names or _INDEX in names)
        if is_whole:
            yield from self._made(folder, True, real)
        for name in sorted(files):
            if not name.lower().endswith(ENDINGS):
                continue
            if is_whole and name.endswith(".safetensors"):
                continue  # a part of the folder
            path = folder / name
            yield from self._made(path, False, Path(os.path.realpath(path)) if name in links else real / name)

    def _made(self, path: Path, is_folder: bool, real: Path) -> Iterator[LibraryEntry]:
        try:
            entry, file = _entry(path, is_folder, self._catalogue, self._index, real)
        except OSError:
            return  # a link to nowhere, or a file that went away while we looked
        key = file if file[1] else str(real)  # some network disks number nothing
        if key in self._given:
            return
        self._given.add(key)
        yield entry


def _weights_of(folder: Path) -> list[Path]:
    """The files that make up a folder's weights: one, or the list of shards and the shards."""
    whole = folder / "model.safetensors"
    if whole.exists():
        return [whole]
    return [folder / _INDEX, *sorted(folder.glob("model-*.safetensors"))]


def _folder_name(folder: Path) -> str:
    """A folder's own name, or the repository's in the cache that the hub's own tools make."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name
    return folder.name


def is_of(entry: LibraryEntry, released: CatalogueEntry) -> bool:
    """May this file be called that released checkpoint? Proved by sha256, or at least not contradicted."""
    return entry.identity.entry == released and entry.identity.proof in ("sha256", "size", "name")

"""Fetches a released checkpoint, all its files, into a folder of its own in the download cache.

Runs on the thread of whoever calls `download`; a CancelToken ends every wait at once and keeps what arrived. All files
of a hub repository come from one version of it. Torch-free and Qt-free; reports through a callback.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jepa_core import hub
from jepa_core.catalogue import Catalogue, CatalogueEntry, CatalogueFile
from jepa_core.clock import CancelToken, Clock
from jepa_core.errors import NoRoom, Offline, ServerRefused, UnsafeName
from jepa_core.file_names import below, safe_path
from jepa_core.hub import Refused, Remote
from jepa_core.part_file import FOLDER, STATE_ENDING, arrived, discard, size_words
from jepa_core.transfer import BACK_OFF_S, CHECKS, PASSING, FileProgress, Receipt, Settings, fetch, pause
from jepa_core.web import Web

__all__ = [
    "CHECKS",
    "Downloaded",
    "Progress",
    "Receipt",
    "Settings",
    "Unfinished",
    "download",
    "folder_of",
    "throw_away",
    "unfinished",
]

WHOLE, SHARDS = "model.safetensors", "model.safetensors.index.json"
MOST_SHARDS = 512
LARGEST_LIST = 32 << 20  # bytes of a list of shards
HEAD_TRIES = 3
RATE_WINDOW_NS = 5_000_000_000
SAY_EVERY_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the download of a checkpoint stands, all its files together."""

    entry_id: str
    file: str  # at which one it is
    phase: str  # "asking" the server | "checking" | "fetching" | "waiting" | "verifying"
    done: int  # bytes
    total: int  # bytes; -1 not known
    rate: float = 0.0  # bytes per second over the last seconds, 0 not known
    text: str = ""  # a remark to be kept in sight

    @property
    def fraction(self) -> float:
        """0..1, or -1 where the end is not known."""
        return min(self.done / self.total, 1.0) if self.total > 0 else -1.0

    @property
    def seconds_left(self) -> float:
        """At the present rate; -1 not known."""
        return (self.total - self.done) / self.rate if self.rate > 0 and self.total >= 0 else -1.0


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A checkpoint that is here, complete."""

    entry_id: str
    path: Path  # what to give to the loader: a file, or a folder
    receipts: tuple[Receipt, ...]

    @property
    def main(self) -> Receipt:
        """Of the weights."""
        return self.receipts[-1]

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(remark for receipt in self.receipts for remark in receipt.remarks)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A download that was stopped: what arrived stays until it goes on or is thrown away."""

    entry: CatalogueEntry
    done: int  # bytes that are surely there
    total: int  # -1 not known


def folder_of(cache: Path, entry: CatalogueEntry) -> Path:
    """The folder of one checkpoint in the cache. Raises UnsafeName."""
    return below(cache, entry.id)


def download(
    entry: CatalogueEntry,
    cache: Path,
    *,
    settings: Settings,
    progress: Callable[[Progress], None],
    cancel: CancelToken,
) -> Downloaded:
    """Fetch what is missing of a released checkpoint. Raises a DownloadError kind or Cancelled."""
    web = settings.web()
    take_back = cancel.on_cancel(web.interrupt)
    try:
        return _Download(entry, folder_of(cache, entry), web, settings, progress, cancel).run()
    finally:
        take_back()
        web.close()


def unfinished(cache: Path, catalogue: Catalogue) -> list[Unfinished]:
    """Downloads that were stopped and can go on, in the order of the catalogue."""
    found = []
    for entry in catalogue.entries:
        folder = cache / entry.id
        names = [path.name.removesuffix(STATE_ENDING) for path in (folder / FOLDER).glob(f"*{STATE_ENDING}")]
        states = [state for state in (arrived(folder, name) for name in names) if state.synced > 0]
        if not states:
            continue
        here = sum(_size_of(path) for path in folder.iterdir())
        is_whole_known = min(state.total for state in states) >= 0 and not (folder / SHARDS).exists()
        total = here + sum(state.total for state in states) if is_whole_known else -1
        found.append(Unfinished(entry, here + sum(state.synced for state in states), total))
    return found


def throw_away(cache: Path, entry: CatalogueEntry) -> int:
    """Remove what arrived of an unfinished download; bytes that became free. Finished files stay."""
    folder = folder_of(cache, entry)
    if not (folder / FOLDER).is_dir():
        return 0
    names = {file.name for file in entry.files}
    names |= {path.name.removesuffix(STATE_ENDING) for path in (folder / FOLDER).glob(f"*{STATE_ENDING}")}
    return sum(discard(folder, name) for name in sorted(names))


class _Download:
    def __init__(
        self,
        entry: CatalogueEntry,
        folder: Path,
        web: Web,
        settings: Settings,
        progress: Callable[[Progress], None],
        cancel: CancelToken,
    ) -> None:
        self._entry = entry
        self._folder = folder
        self._web = web
        self._settings = settings
        self._cancel = cancel
        self._said = _Saying(entry.id, progress, settings.clock)
        self._revisions: dict[str, str] = {}  # hub repository → the version all its files come from

    def run(self) -> Downloaded:
        receipts: list[Receipt] = []
        wanted = self._look_up(receipts)
        self._check_room(wanted)
        self._said.expect(_sum([remote.bytes for _, remote in wanted]))
        for file, remote in wanted:
            receipts.append(self._fetch(file, remote))
        path = self._folder if self._entry.is_folder else receipts[-1].path
        return Downloaded(self._entry.id, path, tuple(receipts))

    def _fetch(self, file: CatalogueFile, remote: Remote) -> Receipt:
        receipt = fetch(
            self._web, file, remote, self._folder,
            settings=self._settings, progress=self._said.of_file, cancel=self._cancel,
        )  # fmt: skip
        self._said.finished(receipt.bytes)
        return receipt

    def _look_up(self, receipts: list[Receipt]) -> list[tuple[CatalogueFile, Remote]]:
        """Every file with what the server says of it; shards in place of a whole that is not there."""
        wanted = []
        for file in self._entry.files:
            try:
                wanted.append((file, self._ask(file)))
            except Refused as error:
                if error.status != 404 or file.name != WHOLE or not file.hub:
                    raise
                wanted += self._shards(file, receipts, error)
        return wanted

    def _shards(
        self, whole: CatalogueFile, receipts: list[Receipt], refused: Refused
    ) -> list[tuple[CatalogueFile, Remote]]:
        listing = replace(whole, name=SHARDS, path=_beside(whole.path, SHARDS), sha256="", bytes=0)
        try:
            remote = self._ask(listing)
        except Refused:
            raise refused from None
        if remote.bytes > LARGEST_LIST:
            raise ServerRefused("The list of the model's parts is too large to be one.", "Tell its authors.")
        receipt = self._fetch(listing, remote)
        receipts.append(receipt)
        files = [
            replace(listing, name=name, path=_beside(whole.path, name)) for name in shard_names(receipt.path)
        ]
        return [(file, self._ask(file)) for file in files]

    def _ask(self, file: CatalogueFile) -> Remote:
        self._said.asking(file.name)
        for attempt in range(HEAD_TRIES):
            self._cancel.check()
            try:
                remote = hub.look_up(self._web, file, self._settings.hub, self._revisions.get(file.hub, ""))
            except PASSING as error:
                if isinstance(error, Offline) or attempt == HEAD_TRIES - 1:
                    raise
                pause(error, BACK_OFF_S[attempt], self._settings, self._cancel, self._said.waiting)
            else:
                if file.hub and remote.commit:
                    self._revisions.setdefault(file.hub, remote.commit)
                return remote
        raise AssertionError("unreachable")

    def _check_room(self, wanted: list[tuple[CatalogueFile, Remote]]) -> None:
        """Before anything is fetched: is there room for all of it? Each file asks again for itself."""
        missing = 0
        for file, remote in wanted:
            path = below(self._folder, file.name)
            if remote.bytes > 0 and not path.exists():
                missing += max(remote.bytes - arrived(self._folder, file.name).synced, 0)
        there = self._folder
        while not there.exists() and there != there.parent:
            there = there.parent
        free = shutil.disk_usage(there).free
        if missing and free < missing + self._settings.spare_bytes:
            raise NoRoom(
                f"{self._entry.name} needs {size_words(missing)}, and {there} has {size_words(free)} free.",
                "Make room or set models.downloads to another folder. Nothing was fetched.",
            )


class _Saying:
    """Adds the files up, measures the rate, and says it at most ten times a second."""

    def __init__(self, entry_id: str, progress: Callable[[Progress], None], clock: Clock) -> None:
        self._entry_id = entry_id
        self._progress = progress
        self._clock = clock
        self._before = 0  # bytes of the files that are finished
        self._file = ""
        self._seen: deque[tuple[int, int]] = deque()  # (when, bytes) of the last seconds
        self._last: Progress | None = None
        self._last_ns = 0
        self._total = -1

    def expect(self, missing: int) -> None:
        """So many bytes are still to come, -1 not known."""
        self._total = self._before + missing if missing >= 0 else -1

    def asking(self, name: str) -> None:
        self._file = name
        self._say("asking", 0, "")

    def waiting(self, text: str) -> None:
        self._say("waiting", 0, text)

    def of_file(self, progress: FileProgress) -> None:
        self._file = progress.name
        if progress.phase == "fetching":
            self._measure(self._before + progress.done)
        else:
            self._seen.clear()
        self._say(progress.phase, progress.done, progress.text)

    def finished(self, n_bytes: int) -> None:
        self._before += n_bytes
        self._last = None  # the last word of a file is always said
        self._say("fetching", 0, "")

    def _measure(self, done: int) -> None:
        now_ns = self._clock.now_ns()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # begun again
        self._seen.append((now_ns, done))
        while len(self._seen) > 2 and now_ns - self._seen[0][0] > RATE_WINDOW_NS:
            self._seen.popleft()

    def _rate(self) -> float:
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return 0.0
        return (self._seen[-1][1] - self._seen[0][1]) * 1e9 / (self._seen[-1][0] - self._seen[0][0])

    def _say(self, phase: str, done: int, text: str) -> None:
        now_ns = self._clock.now_ns()
        last = self._last
        is_news = last is None or (last.file, last.phase, last.text) != (self._file, phase, text)
        if not is_news and now_ns - self._last_ns < SAY_EVERY_NS:
            return
        self._last_ns = now_ns
        self._last = Progress(
            self._entry_id, self._file, phase, self._before + done, self._total, self._rate(), text
        )
        self._progress(self._last)


def shard_names(listing: Path) -> list[str]:
    """The files that a list of shards names. Raises ServerRefused or UnsafeName, whatever the list."""
    try:
        found: Any = json.loads(listing.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ServerRefused(
            "The list of the model's parts cannot be read.", "Tell its authors.", str(error)
        ) from error
    table = found.get("weight_map") if isinstance(found, Mapping) else None
    if not isinstance(table, Mapping) or not table:
        raise ServerRefused("The list of the model's parts names none.", "Tell its authors.")
    names = set()
    for name in table.values():
        if not isinstance(name, str) or not name.endswith(".safetensors") or len(safe_path(name).parts) != 1:
            raise UnsafeName(
                f"The list of the model's parts names {ascii(name)[:80]}, which is no part.",
                "Nothing of it was fetched.",
            )
        names.add(name)
    if len(names) > MOST_SHARDS:
        raise ServerRefused(f"The list of the model's parts names {len(names)} of them.", "Tell its authors.")
    return sorted(names)


def _beside(path: str, name: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{name}"


def _sum(sizes: list[int]) -> int:
    return sum(sizes) if sizes and min(sizes) >= 0 else -1


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0

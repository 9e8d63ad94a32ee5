"""Downloads in their order: one at a time, each queued, paused, thrown away, finished, or told why not.

Owns the thread that downloads. Knows no Qt and never imports torch. Listeners are called from that thread and must not
block.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from console.errands import Errands
from console.notices_models import DownloadState
from jepa_core.catalogue import Catalogue, CatalogueEntry
from jepa_core.clock import CancelToken
from jepa_core.downloads import CHECKS, Downloaded, Progress, Settings, download, throw_away, unfinished
from jepa_core.errors import Cancelled, ConsoleError, Offline
from jepa_core.library import LibraryEntry, is_of

log = logging.getLogger(__name__)


class ModelDownloads:
    """What is known of the download of every released checkpoint."""

    def __init__(
        self,
        catalogue: Catalogue,
        cache: Path,
        settings: Settings,
        *,
        say: Callable[[DownloadState], None],
        on_done: Callable[[Downloaded], None],
        on_fault: Callable[[ConsoleError], None],
    ) -> None:
        """`on_done` is called on the download's thread before its state becomes "done"."""
        self._catalogue = catalogue
        self._cache = cache
        self._settings = settings
        self._say = say
        self._on_done = on_done
        self._errands = Errands("download", on_fault)
        self._lock = threading.Lock()
        self._states = {entry.id: DownloadState(entry.id) for entry in catalogue.entries}
        self._cancels: dict[str, CancelToken] = {}  # of what is queued or runs
        self._thrown: set[str] = set()  # of those, what a person let go of

    @property
    def states(self) -> dict[str, DownloadState]:
        """Of every released checkpoint, as of now."""
        with self._lock:
            return dict(self._states)

    # --- what a person does --------------------------------------------------------------------------------------

    def start(self, entry_id: str) -> None:
        """Fetch it, or go on with it, when what was asked before is done. Raises ConfigError for an unknown id."""
        entry = self._catalogue.entry(entry_id)
        with self._lock:
            if entry_id in self._cancels:
                return
            cancel = self._cancels[entry_id] = CancelToken()
        self._change(entry_id, state="queued", text="", hint="", bytes_per_s=0.0)
        if not self._errands.ask(lambda: self._run(entry, cancel)):
            self._forget(entry_id)
            self._change(
                entry_id, state="failed", text="Too many downloads are waiting.", hint="Try again later."
            )

    def pause(self, entry_id: str) -> None:
        """Stop it; what arrived stays."""
        with self._lock:
            cancel = self._cancels.get(entry_id)
        if cancel is not None:
            cancel.cancel()

    def cancel(self, entry_id: str) -> None:
        """Stop it and throw away what arrived."""
        entry = self._catalogue.entry(entry_id)
        with self._lock:
            cancel = self._cancels.get(entry_id)
            if cancel is not None:
                self._thrown.add(entry_id)
        if cancel is not None:
            cancel.cancel()
        else:
            self._errands.ask(lambda: self._throw_away(entry))

    def stop(self, deadline_s: float) -> None:
        """Pause everything; what arrived stays."""
        with self._lock:
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel.cancel()
        self._errands.stop(deadline_s)

    # --- what is here --------------------------------------------------------------------------------------------

    def take_stock(self, entries: list[LibraryEntry]) -> None:
        """Say of every released checkpoint whether it is on this machine or half here. What runs is left alone."""
        halves = {half.entry.id: half for half in unfinished(self._cache, self._catalogue)}
        for entry in self._catalogue.entries:
            here = here_of(entry, entries, self._cache)
            half = halves.get(entry.id)
            with self._lock:
                old = self._states[entry.id]
                if entry.id in self._cancels:
                    continue
            if here is not None and old.state == "done" and old.path == str(here.path):
                new = old  # with what was remarked when it came
            elif here is not None:
                new = DownloadState(
                    entry.id, "done", here.bytes, here.bytes, text=_how_known(here), path=str(here.path)
                )
            elif old.state in ("failed", "offline"):
                new = old
            elif half is not None:
                new = DownloadState(entry.id, "paused", half.done, max(half.total, 0))
            else:
                new = DownloadState(entry.id)
            self._put(new, is_always_said=False)

    # --- on the download's thread ----------------------------------------------------------------------------------

    def _run(self, entry: CatalogueEntry, cancel: CancelToken) -> None:
        outcome: Downloaded | ConsoleError | None = None
        try:
            cancel.check()
            self._change(entry.id, state="running")
            outcome = download(
                entry, self._cache, settings=self._settings, progress=self._moved, cancel=cancel
            )
            self._on_done(outcome)
        except Cancelled:
            pass
        except ConsoleError as error:
            log.warning("%s: %s", entry.id, error.what, extra={"code": error.code, "detail": error.detail})
            outcome = error
        finally:
            is_thrown = self._forget(entry.id)
            if outcome is None and not is_thrown and not cancel.is_cancelled:  # unforeseen; told by Errands
                self._change(
                    entry.id, state="failed", text="It failed in a way this program does not know.",
                    hint="The log has the details; please report it.",
                )  # fmt: skip
        if is_thrown and not isinstance(outcome, Downloaded):
            self._throw_away(entry)
            return
        self._settle(entry, outcome)

    def _settle(self, entry: CatalogueEntry, outcome: Downloaded | ConsoleError | None) -> None:
        if isinstance(outcome, Downloaded):
            n_bytes = sum(receipt.bytes for receipt in outcome.receipts)
            words = f"{CHECKS[outcome.main.checked]}."
            text = " ".join((words[0].upper() + words[1:], *outcome.remarks))
            self._put(
                DownloadState(entry.id, "done", n_bytes, n_bytes, text=text, path=str(outcome.path)),
                is_always_said=True,
            )
            return
        done, total = self._here(entry)
        if outcome is None:
            self._change(
                entry.id, state="paused" if done else "none", done_bytes=done, total_bytes=total,
                bytes_per_s=0.0, text="", hint="",
            )  # fmt: skip
        else:
            self._change(
                entry.id, state="offline" if isinstance(outcome, Offline) else "failed", done_bytes=done,
                total_bytes=total, bytes_per_s=0.0, text=outcome.what, hint=outcome.hint,
            )  # fmt: skip

    def _throw_away(self, entry: CatalogueEntry) -> None:
        with self._lock:
            if entry.id in self._cancels:
                return  # asked for again meanwhile
        freed = throw_away(self._cache, entry)
        log.info("%s: %d bytes thrown away", entry.id, freed)
        self._put(DownloadState(entry.id), is_always_said=True)

    def _here(self, entry: CatalogueEntry) -> tuple[int, int]:
        """Bytes of an unfinished download that are surely there, and of the whole; 0 not known."""
        for half in unfinished(self._cache, self._catalogue):
            if half.entry.id == entry.id:
                return half.done, max(half.total, 0)
        return 0, 0

    def _moved(self, progress: Progress) -> None:
        is_checking = progress.phase in ("checking", "verifying")
        self._change(
            progress.entry_id,
            state="checking" if is_checking else "running",
            done_bytes=progress.done,
            total_bytes=max(progress.total, 0),
            bytes_per_s=progress.rate,
            text=progress.text,
        )

    def _forget(self, entry_id: str) -> bool:
        """It does not run any more. True when a person let go of what arrived."""
        with self._lock:
            self._cancels.pop(entry_id, None)
            is_thrown = entry_id in self._thrown
            self._thrown.discard(entry_id)
            return is_thrown

    def _change(self, entry_id: str, **values: object) -> None:
        with self._lock:
            new = self._states[entry_id] = replace(self._states[entry_id], **values)  # type: ignore[arg-type]
        self._say(new)

    def _put(self, new: DownloadState, *, is_always_said: bool) -> None:
        with self._lock:
            is_news = self._states[new.entry_id] != new
            self._states[new.entry_id] = new
        if is_news or is_always_said:
            self._say(new)


def download_path(entry: CatalogueEntry, cache: Path) -> Path:
    """Where a finished download lies: what to give to the loader."""
    folder = cache / entry.id
    return folder if entry.is_folder else folder / entry.main_file.name


def here_of(entry: CatalogueEntry, found: Sequence[LibraryEntry], cache: Path) -> LibraryEntry | None:
    """The file on this machine that is, or may be, this released checkpoint: a proved one, then the download of it
    (whatever the catalogue once heard of its sha256: authors replace files), then one of that name."""
    rank = {"sha256": 0, "size": 2, "name": 3}
    own = download_path(entry, cache)
    ranked = [(rank[each.identity.proof], each) for each in found if is_of(each, entry)]
    ranked += [(1, each) for each in found if each.path == own]
    return min(ranked, key=lambda pair: pair[0], default=(0, None))[1]


def _how_known(here: LibraryEntry) -> str:
    checked = here.known.checked if here.known is not None else ""
    words = f"When it was downloaded, {CHECKS[checked]}." if checked in CHECKS else ""
    is_other = here.identity.proof == "differs"
    return f"{words} {here.identity.text}".strip() if is_other or not words else words

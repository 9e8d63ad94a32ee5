"""The verbs of the models library: `models` lists what is here and what was released, `download` fetches one of these."""

from __future__ import annotations

import shutil
import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import TextIO

from console.config import Config
from console.models_downloads import here_of
from console.models_library import download_settings, remember_download
from console.progress import Progress as Bar
from console.verbs_common import cancel_on_signals, size_words, wants_json
from console.verbs_output import plain, say, say_json
from jepa_core.catalogue import Catalogue, CatalogueEntry, released
from jepa_core.clock import CancelToken
from jepa_core.downloads import CHECKS, Downloaded, Progress, download, unfinished
from jepa_core.errors import Cancelled
from jepa_core.library import FolderProblem, LibraryEntry, scan
from jepa_core.library_index import LibraryIndex
from jepa_core.types import JSON

BAR_COLUMNS = 38  # of the bar itself, its percentage and the gap
GRACE_S = 3.0  # a name server may answer late; what arrived is safe without it


def models(arguments: Namespace, config: Config) -> int:
    """What is on this machine and what was released, or all that is known of one released checkpoint."""
    catalogue = released()
    if arguments.id is not None:
        entry = catalogue.entry(arguments.id)
        if wants_json(arguments):
            say_json({"released": plain(entry)})
        else:
            _say_entry(entry)
        return 0
    cancel = cancel_on_signals()
    here: list[LibraryEntry] = []
    problems: list[FolderProblem] = []
    index = LibraryIndex(config.models.index)
    for item in scan(config.models.library, catalogue=catalogue, index=index, cancel=cancel):
        if isinstance(item, FolderProblem):
            problems.append(item)
        else:
            here.append(item)
    halves = {half.entry.id: half for half in unfinished(config.models.cache, catalogue)}
    if wants_json(arguments):
        say_json(
            {
                "folders": [str(folder) for folder in config.models.library],
                "here": [_plain_entry(entry) for entry in here],
                "problems": [problem.text for problem in problems],
                "unfinished": {key: {"bytes": half.done, "of": half.total} for key, half in halves.items()},
                "released": [plain(entry) for entry in catalogue.entries],
            }
        )
        return 0
    _say_here(here, problems, config)
    say("")
    say("Released, none of it shipped with this console:")
    width = max(len(entry.id) for entry in catalogue.entries)
    for entry in catalogue.entries:
        state = ""
        if here_of(entry, here, config.models.cache) is not None:
            state = "on this machine"
        elif entry.id in halves:
            state = f"{size_words(halves[entry.id].done)} arrived"
        elif entry.refused:
            state = "not loadable here"
        say(
            f"  {entry.id:<{width}}  {entry.system:<13} {_size(entry):>14}  {entry.licence.name:<28}{state}".rstrip()
        )
    say("")
    say("More of one: main.py models ID. Fetch one: main.py download ID.")
    return 0


def fetch(arguments: Namespace, config: Config) -> int:
    """Download a released checkpoint, or go on with it. Its terms are said before the first byte."""
    catalogue = released()
    entry = catalogue.entry(arguments.id)
    cache = arguments.to.expanduser().absolute() if arguments.to is not None else config.models.cache
    settings = download_settings(config)
    _say_terms(entry, sys.stderr if wants_json(arguments) else sys.stdout)
    cancel = cancel_on_signals()
    bar = Bar()

    def show(progress: Progress) -> None:
        room = shutil.get_terminal_size().columns - BAR_COLUMNS
        words = _words(progress)
        bar.show(progress.fraction, words if len(words) <= room else words[: max(room - 1, 0)] + "…")

    try:
        done = _on_a_thread(
            lambda: download(entry, cache, settings=settings, progress=show, cancel=cancel), cancel
        )
    except Cancelled:
        bar.end()
        sys.stderr.write(f"What arrived is kept; `main.py download {entry.id}` goes on from there.\n")
        raise
    finally:
        bar.end()
    remember_download(LibraryIndex(config.models.index), catalogue, done)
    _say_done(done, catalogue, entry, as_json=wants_json(arguments))
    return 0


def _on_a_thread(work: Callable[[], Downloaded], cancel: CancelToken) -> Downloaded:
    """Run it where Ctrl+C does not have to wait for a name server."""
    outcome: list[Downloaded | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, on the thread that reports
            outcome.append(error)

    thread = threading.Thread(target=run, name="download", daemon=True)
    thread.start()
    while thread.is_alive() and not cancel.is_cancelled:
        thread.join(0.1)
    thread.join(GRACE_S)
    if not outcome:
        raise Cancelled
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _words(progress: Progress) -> str:
    words = f"{progress.file}  {size_words(progress.done)}"
    if progress.total > 0:
        words += f" of {size_words(progress.total)}"
    if progress.phase != "fetching":
        return f"{words}  {progress.text or progress.phase}"
    if progress.rate > 0:
        words += f"  {size_words(int(progress.rate))}/s"
    if progress.seconds_left > 0:
        words += f"  {progress.seconds_left:.0f} s left"
    return f"{words}  {progress.text}".rstrip()


def _say_terms(entry: CatalogueEntry, stream: TextIO) -> None:
    """Whose terms these are, before the first byte comes."""
    lines = [f"{entry.name}, from {entry.address}", f"Licence: {entry.licence.name} ({entry.licence.where})."]
    if entry.licence.non_commercial:
        lines.append("Not for commercial use. The terms are the authors'; downloading means taking them on.")
    lines += [f"Note: {note}." for note in entry.notes]
    if entry.refused:
        lines.append(entry.refused)
    stream.write("\n".join(lines) + "\n")
    stream.flush()


def _say_done(done: Downloaded, catalogue: Catalogue, entry: CatalogueEntry, *, as_json: bool) -> None:
    main = done.main
    identity = catalogue.entry_for(entry.main_file.name, main.bytes, main.sha256, entry.id)
    if as_json:
        say_json(
            {
                "id": entry.id,
                "path": str(done.path),
                "files": [plain(receipt) for receipt in done.receipts],
                "remarks": list(done.remarks),
                "identity": {"proof": identity.proof, "text": identity.text},
            }
        )
        return
    say(str(done.path))
    for receipt in done.receipts:
        was_here = " (was here already)" if receipt.was_here else ""
        say(f"  {receipt.path.name}: {size_words(receipt.bytes)}{was_here}; {CHECKS[receipt.checked]}")
        say(f"  sha256 {receipt.sha256}")
    for text in (*done.remarks, identity.text):
        say(f"  {text}")
    say(f"See what it is: main.py checkpoint {done.path}")


def _say_here(here: list[LibraryEntry], problems: list[FolderProblem], config: Config) -> None:
    say("On this machine:" if here else "No checkpoint is on this machine yet. Looked through:")
    for entry in here:
        say(f"  {entry.path}")
        say(f"    {size_words(entry.bytes)}; {_verdict(entry)}")
    if not here:
        for folder in config.models.library:
            say(f"  {folder}")
    for problem in problems:
        say(f"  {problem.text}")


def _verdict(entry: LibraryEntry) -> str:
    verdict = entry.verdict
    if verdict is not None and verdict.is_exact:
        return f"{verdict.system} {verdict.variant}: matches exactly"
    if verdict is not None:
        return f"refused: {verdict.text}"
    return entry.identity.text or "not examined yet"


def _plain_entry(entry: LibraryEntry) -> JSON:
    known = entry.known
    return {
        "path": str(entry.path),
        "kind": entry.kind,
        "bytes": entry.bytes,
        "modified_ns": entry.modified_ns,
        "sha256": entry.sha256,
        "released": {
            "id": entry.identity.entry.id if entry.identity.entry else "",
            "proof": entry.identity.proof,
            "text": entry.identity.text,
        },
        "checked": known.checked if known else "",
        "origin": known.origin if known else "",
        "verdict": plain(replace(entry.verdict)) if entry.verdict else None,
    }


def _say_entry(entry: CatalogueEntry) -> None:
    rows = [
        ("id", entry.id),
        ("name", entry.name),
        ("system", entry.system),
        ("variant", entry.variant),
        ("abilities", ", ".join(sorted(entry.abilities)) or "features only"),
        ("in the file", ", ".join(entry.parts)),
        ("parameters", f"{entry.encoder_parameters:,} encoder, {entry.predictor_parameters:,} predictor"),
        ("licence", f"{entry.licence.name}: {entry.licence.where}"),
        ("address", entry.address),
        ("size", f"{_size(entry)}{_counted(entry)}"),
        *[("file", file.name) for file in entry.files],
        *[("sha256", f"{file.sha256}, {file.sha256_source}") for file in entry.files if file.sha256],
        *[("note", note) for note in entry.notes],
        *[("not known", text) for text in entry.unknown],
        *([("refused", entry.refused)] if entry.refused else []),
        ("facts from", entry.source),
    ]
    for label, text in rows:
        say(f"{label:<14}{text}")


def _size(entry: CatalogueEntry) -> str:
    if not entry.expected_bytes:
        return "size not known"
    return ("" if entry.is_size_exact else "about ") + size_words(entry.expected_bytes)


def _counted(entry: CatalogueEntry) -> str:
    source = entry.main_file.bytes_source
    return f" ({source})" if source else ""

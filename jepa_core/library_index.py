"""What was found out about checkpoints on this machine, remembered: a small JSON file, keyed by path, size and time.

Hashing and loading a checkpoint of many gigabytes takes minutes; their results are kept here and hold as long as the
file's size and modification time do. Standard library only. A damaged index is put aside and begun anew: everything in
it can be found out again. Safe to use from several threads; two programs add to one file without losing each other's
lines.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from jepa_core.errors import CheckpointError, ConsoleError
from jepa_core.file_lock import FileLock
from jepa_core.types import JSON, CheckpointInfo, LoadReport

log = logging.getLogger(__name__)

SCHEMA = 1
MOST_FILES = 20_000  # lines kept; the oldest go first
MAX_BYTES = 64 << 20  # a larger index is not one of ours


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the loader said of a file, the last time it was asked."""

    is_exact: bool  # False: refused
    system: str  # exact name, empty where none was recognised
    variant: str
    text: str  # of a refusal: its sentence; else empty
    sha256: str = ""
    abilities: tuple[str, ...] = ()
    parameters: int = 0
    wall_ns: int = 0  # when, UTC


@dataclass(frozen=True, slots=True)
class Known:
    """A line of the index: what is known of one file, of that size and time."""

    bytes: int
    modified_ns: int
    sha256: str = ""
    checked: str = ""  # of a download: how it was checked against what was announced (downloads.CHECKS)
    origin: str = ""  # of a download: where it is from
    verdict: Verdict | None = None


def verdict_of(outcome: tuple[CheckpointInfo, LoadReport] | ConsoleError, wall_ns: int = 0) -> Verdict:
    """The verdict in what `checkpoint.examine` returned or raised."""
    if isinstance(outcome, ConsoleError):
        report = outcome.report if isinstance(outcome, CheckpointError) else None
        if report is None:
            return Verdict(False, "", "", outcome.what, wall_ns=wall_ns)
        return Verdict(False, report.family, report.variant, outcome.what, report.sha256, wall_ns=wall_ns)
    info, report = outcome
    return Verdict(
        True, info.family, info.variant, "", report.sha256 or info.sha256, tuple(sorted(info.abilities)),
        info.parameters, wall_ns,
    )  # fmt: skip


class LibraryIndex:
    """Owns one index file. Every change is on disk when the call returns, or logged as not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._files: dict[str, Known] = self._read()

    def known(self, real: Path, n_bytes: int, modified_ns: int) -> Known | None:
        """What is known of the file at this path (without links), if it still has this size and time."""
        with self._lock:
            found = self._files.get(str(real))
        return (
            found
            if found is not None and (found.bytes, found.modified_ns) == (n_bytes, modified_ns)
            else None
        )

    def remember(self, path: Path, known: Known) -> None:
        """Put down what is known of a file, in place of what was."""
        self._change(path, lambda _: known)

    def judge(self, path: Path, verdict: Verdict, stamp: tuple[int, int]) -> None:
        """Put down a verdict; what a download said of the same file stays. `stamp`: (bytes, modification time, ns)."""

        def judged(old: Known | None) -> Known:
            if old is None or (old.bytes, old.modified_ns) != stamp:
                old = Known(*stamp)
            return replace(old, verdict=verdict, sha256=verdict.sha256 or old.sha256)

        self._change(path, judged)

    def forget(self, path: Path) -> None:
        self._change(path, lambda _: None)

    def _change(self, path: Path, change: Callable[[Known | None], Known | None]) -> None:
        """Read what another program added meanwhile, change one line, write all."""
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(self.path.with_name(self.path.name + ".lock"), wait_s=5.0):
                    self._files = self._read() or self._files
                    self._apply(_key(path), change)
                    self._write()
            except OSError as error:  # a full or read-only disk: it is found out again next time
                self._apply(_key(path), change)
                log.warning("the library's index was not written: %s", error)

    def _apply(self, key: str, change: Callable[[Known | None], Known | None]) -> None:
        changed = change(self._files.pop(key, None))
        if changed is not None:
            self._files[key] = changed  # last, so that the oldest lines go first
        while len(self._files) > MOST_FILES:
            del self._files[next(iter(self._files))]

    def _write(self) -> None:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        lines = {key: _plain(known) for key, known in self._files.items()}
        try:
            with draft.open("w", encoding="utf-8") as file:
                json.dump({"schema": SCHEMA, "files": lines}, file, indent=0)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _read(self) -> dict[str, Known]:
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise ValueError("it is too large")
            return parse(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.warning("the library's index cannot be read and is begun anew: %s", error)
            self._put_aside()
            return {}

    def _put_aside(self) -> None:
        try:
            os.replace(self.path, self.path.with_name(self.path.name + ".damaged"))
        except OSError as error:
            log.warning("the damaged index stays where it is: %s", error)


def parse(text: str) -> dict[str, Known]:
    """Lines of an index. A line that is not one is left out; ValueError where the whole is no index."""
    table = json.loads(text)
    if (
        not isinstance(table, dict)
        or table.get("schema") != SCHEMA
        or not isinstance(table.get("files"), dict)
    ):
        raise ValueError("it is no index of this version")
    found = {key: _known(value) for key, value in table["files"].items()}
    return {key: known for key, known in found.items() if known is not None}


def _key(path: Path) -> str:
    """One file, one line, by whichever link it was reached."""
    return os.path.realpath(path)


def _known(value: Any) -> Known | None:
    if not isinstance(value, Mapping):
        return None
    n_bytes, modified_ns = value.get("bytes"), value.get("modified_ns")
    if not (_is_whole(n_bytes) and _is_whole(modified_ns)):
        return None
    return Known(
        n_bytes, modified_ns, _text(value, "sha256"), _text(value, "checked"), _text(value, "origin"),
        _verdict(value.get("verdict")),
    )  # fmt: skip


def _verdict(value: Any) -> Verdict | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("is_exact"), bool):
        return None
    abilities = value.get("abilities")
    parameters, wall_ns = value.get("parameters"), value.get("wall_ns")
    return Verdict(
        value["is_exact"],
        _text(value, "system"),
        _text(value, "variant"),
        _text(value, "text"),
        _text(value, "sha256"),
        tuple(item for item in abilities if isinstance(item, str)) if isinstance(abilities, list) else (),
        parameters if _is_whole(parameters) else 0,
        wall_ns if _is_whole(wall_ns) else 0,
    )


def _plain(known: Known) -> JSON:
    """As JSON says it."""
    return asdict(known)  # type: ignore[return-value]


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < math.inf

"""Journal → verified, sealed session file. Also recovery, which is the same on a journal without an end.

May be killed at any moment and run again: what has its final name is complete, what is not complete ends in
`.partial`. Never touches the journal except, when asked, to delete it after everything else has been verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.clock import CancelToken
from jepa_core.errors import ConsoleError, Damaged, DiskFull, NotASession, SessionError, WriteFailed
from sessions import canonical
from sessions.children import Progress, run_in_child
from sessions.disk import Disk, is_full, is_in_use
from sessions.journal import CRC, HEAD, RECORD_MAGIC
from sessions.scan import JournalScan
from sessions.schema import FORMAT, SCHEMA_VERSION, RecordType

if TYPE_CHECKING:
    from sessions.verify import Verdict

JOURNAL, SESSION, SEAL, PARTIAL, RESERVE = ".wmj", ".h5", ".seal.json", ".partial", ".reserve"
_EVERY = 64  # records between two looks at the cancel token
_SHARE = 0.6  # of the work that is writing; the rest is verifying


class InUse(SessionError):
    """Somebody else is recording into, or folding, this journal."""

    code = "in_use"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A journal that has no session file yet: what the start screen offers to recover."""

    path: Path
    session_id: str
    title: str
    start_wall_ns: int  # -1 unknown
    n_bytes: int
    has_end: bool  # it was closed in order, only not folded
    problem: str  # why it cannot be read at all; empty when it can


def fold(
    journal: str | Path,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    keep_journal: bool = True,
    disk: Disk | None = None,
) -> Path:
    """Fold in this process; returns the session file. A full disk can take an HDF5 writer down: see fold_in_child.

    Raises NotASession, NewerSchema, Damaged, InUse, DiskFull, WriteFailed, Cancelled. The journal stays in every case.
    """
    journal, disk = Path(journal), disk or Disk()
    tell, token = progress or (lambda fraction: None), cancel or CancelToken()
    try:
        with _held(journal, disk):
            session = session_path(journal)
            facts = _finish(journal, session, disk) if session.exists() else None
            if facts is None:
                facts = _write(journal, session, tell, token, disk)
            _write_seal(session, facts, disk)
            _drop_reserve(journal, disk)
            if not keep_journal:
                disk.remove(journal)
                disk.sync_directory(journal.parent)
    except FileNotFoundError as error:
        raise NotASession(f"There is no file {journal}.", "Was it moved?", repr(error)) from error
    except (
        OSError,
        RuntimeError,
    ) as error:  # HDF5 on a full disk raises either, depending on what it was doing
        raise _as_error(error, journal) from error
    tell(1.0)
    return session


def fold_in_child(
    journal: str | Path,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    timeout: float | None = None,
    keep_journal: bool = True,
) -> Path:
    """The same in a process of its own, so that neither HDF5 nor a full disk can take the console down.

    timeout     seconds; default two minutes and one more per gigabyte
    """
    journal = Path(journal)
    if timeout is None:
        timeout = 120.0 + 60.0 * (journal.stat().st_size / 1e9 if journal.exists() else 0.0)
    try:
        result = run_in_child(
            "sessions.fold:_fold_for_parent", str(journal), keep_journal,
            timeout_s=timeout, progress=progress, cancel=cancel, name="fold",
        )  # fmt: skip
    finally:
        _sweep(journal)
    return Path(result)


def recover(
    journal: str | Path,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    timeout: float | None = None,
) -> Path:
    """Fold what a crash left behind. The file says `recovered`, and lists the torn tail."""
    return fold_in_child(journal, progress=progress, cancel=cancel, timeout=timeout)


def find_unfinished(directory: str | Path) -> list[Unfinished]:
    """Journals here that are no sealed session yet and that nobody is writing, newest first."""
    directory = Path(directory)
    try:
        names = sorted(directory.glob(f"*{JOURNAL}"), reverse=True)
    except OSError:
        return []
    found: list[Unfinished] = []
    for path in names:
        if ".review." in path.name or (session_path(path).exists() and seal_path(path).exists()):
            continue
        if is_in_use(path):
            continue
        found.append(_describe(path))
    return found


def session_path(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(JOURNAL) + SESSION)


def seal_path(path: Path) -> Path:
    return path.with_name(re.sub(r"\.(wmj|h5)$", "", path.name) + SEAL)


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- steps ----------------------------------------------------------------------------------------------------------


def _fold_for_parent(journal: str, keep_journal: bool, progress: Progress) -> str:
    return str(fold(journal, progress=progress, keep_journal=keep_journal))


def _write(journal: Path, session: Path, tell: Progress, token: CancelToken, disk: Disk) -> dict[str, Any]:
    """Write the partial file, verify it against the journal's chain, and give it its name."""
    from sessions.verify import verify_file  # brings h5py, which the window's process need not load to record

    partial = session.with_name(session.name + PARTIAL)
    disk.remove(partial)
    try:
        with JournalScan(journal) as scan:
            facts = _write_partial(scan, partial, tell, token)
            verdict = verify_file(
                partial, progress=lambda fraction: tell(_SHARE + (1 - _SHARE) * fraction), cancel=token
            )
            _agree(verdict, scan, facts)
        disk.sync_file(partial)
        disk.replace(partial, session)
        disk.sync_directory(session.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.remove(partial)
        raise
    return facts


def _write_partial(scan: JournalScan, partial: Path, tell: Progress, token: CancelToken) -> dict[str, Any]:
    from sessions.session_file import SessionFile

    file = SessionFile(partial, scan)
    try:
        for number, record in enumerate(scan.records()):
            if number % _EVERY == 0:
                token.check()
                tell(_SHARE * record.offset / max(1, scan.size))
            file.add(record)
        return file.finish()
    finally:
        file.close()


def _agree(verdict: Verdict, scan: JournalScan, facts: dict[str, Any]) -> None:
    """The new file must say exactly what the journal says; a journal that was damaged may, and must, say so too."""
    same = verdict.head == facts["chain_head"] and verdict.n_records == facts["record_count"]
    if same and (verdict.is_valid or (scan.damage and verdict.kind in ("damaged", "altered"))):
        return
    raise WriteFailed(
        f"The session file written from {scan.path.name} does not agree with it: {verdict.text}",
        "The journal is untouched; try again with another disk.",
    )


def _finish(journal: Path, session: Path, disk: Disk) -> dict[str, Any] | None:
    """The session file stands already (killed before the seal, or folded twice): is it this journal's?"""
    if seal_path(session).exists():
        return {}
    from sessions.verify import verify_file

    with JournalScan(journal) as scan:
        counts: dict[int, int] = {}
        first_wall = last_wall = -1
        for record in scan.records():
            counts[record.stream] = counts.get(record.stream, 0) + 1
            first_wall = record.t_wall_ns if first_wall == -1 else first_wall
            last_wall = record.t_wall_ns
        verdict = verify_file(session)
        if verdict.head != scan.head.hex() or verdict.n_records != scan.n_records:
            raise Damaged(
                f"{session.name} exists and is not what {journal.name} holds: {verdict.text}",
                "Move the session file away, then recover the journal again.",
            )
        return {
            "session_id": str(scan.header.get("session_id", "")),
            "chain_head": scan.head.hex(),
            "record_count": scan.n_records,
            "counts_per_stream": {str(number): count for number, count in sorted(counts.items())},
            "first_wall": first_wall,
            "last_wall": last_wall,
            "state": "sealed" if scan.has_end else "recovered",
        }


def _write_seal(session: Path, facts: dict[str, Any], disk: Disk) -> None:
    """The detached seal, written the same way: partial, synced, renamed."""
    seal = seal_path(session)
    if not facts:
        return
    document = {
        "format": f"{FORMAT}-seal",
        "schema_version": SCHEMA_VERSION,
        "file_name": session.name,
        "file_bytes": session.stat().st_size,
        "file_sha256": sha256_of(session),
        "key_id": "",
        "signature": "",
        **facts,
    }
    partial = seal.with_name(seal.name + PARTIAL)
    disk.remove(partial)
    fd = disk.create(partial)
    try:
        disk.write(fd, canonical.encode(document))
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.replace(partial, seal)
    disk.sync_directory(seal.parent)


@contextlib.contextmanager
def _held(journal: Path, disk: Disk) -> Any:
    """Nobody else may fold it meanwhile, and nobody may still be recording it."""
    fd = os.open(journal, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        if not disk.lock(fd):
            raise InUse(
                f"{journal.name} is being recorded or folded by another process.",
                "Wait until it is finished.",
            )
        yield
    finally:
        os.close(fd)


def _sweep(journal: Path) -> None:
    """What a killed child left half written."""
    for path in (session_path(journal), seal_path(journal)):
        partial = path.with_name(path.name + PARTIAL)
        if partial.exists() and not is_in_use(journal):
            with contextlib.suppress(OSError):
                partial.unlink()


def _drop_reserve(journal: Path, disk: Disk) -> None:
    """A crash leaves the reserve file behind; a recording that goes on in another part still needs it."""
    stem = journal.name.removesuffix(JOURNAL).split(".p")[0]
    others = [path for path in journal.parent.glob(f"{stem}*{JOURNAL}") if path != journal]
    if not any(is_in_use(path, disk) for path in others):
        disk.remove(journal.with_name(stem + RESERVE))


def _describe(path: Path) -> Unfinished:
    size = path.stat().st_size
    try:
        with JournalScan(path) as scan:
            header = scan.header
            start = header.get("start_wall_ns", -1)
            return Unfinished(
                path, str(header.get("session_id", "")), str(header.get("title", "")),
                start if isinstance(start, int) else -1, size, _ends_in_order(path, size), "",
            )  # fmt: skip
    except ConsoleError as error:
        return Unfinished(path, "", "", -1, size, False, error.what)
    except OSError as error:
        return Unfinished(path, "", "", -1, size, False, f"{path.name} cannot be read: {error.strerror}.")


def _ends_in_order(path: Path, size: int) -> bool:
    """Is the last record an end record? A glance at the last bytes, for the start screen; the scan decides."""
    with open(path, "rb") as file:
        file.seek(max(0, size - 65536))
        tail = file.read()
    at = tail.rfind(RECORD_MAGIC)
    if at < 0 or len(tail) - at < HEAD.size + CRC.size:
        return False
    _, length, _, _, type_, *_ = HEAD.unpack_from(tail, at)
    return bool(type_ == RecordType.END and at + HEAD.size + length + 2 * CRC.size == len(tail))


def _as_error(error: OSError | RuntimeError, journal: Path) -> ConsoleError:
    errno_is_full = isinstance(error, OSError) and is_full(error)
    if errno_is_full or "No space left" in str(error):  # HDF5 may tell it in words only
        return DiskFull(
            f"There is no space to write the session file of {journal.name}.",
            "Free some space, then recover the journal.",
            repr(error),
        )
    return WriteFailed(
        f"The session file of {journal.name} could not be written: {getattr(error, 'strerror', None) or error}.",
        "The journal is untouched. Check the folder, then recover it.",
        repr(error),
    )

"""Says whether a session is what was recorded: one verdict, and the first bad record by number.

Works from the session file alone (session format, section 6), or on a journal. For any input it gives a verdict; a
damaged HDF5 file can still hang or crash the library, so the first look at a foreign file is `verify_in_child`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, ConsoleError
from jepa_core.types import JSON
from sessions import canonical
from sessions.chain import Findings
from sessions.checks import check_session
from sessions.children import ChildFailed, Progress, run_in_child
from sessions.scan import JournalScan

MEMORY_BYTES = 1 << 30  # on top of the imports: our own 256 MiB and the library's caches

SIGNED = "valid and signed"
UNSIGNED = "valid, unsigned"
REDACTED = "valid with authorised redactions"
DAMAGED = "damaged"
ALTERED = "altered"
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` says. `kind` is one of the six of the session format."""

    kind: str
    text: str  # one or two sentences for a person
    path: Path
    first_bad: int | None = None  # number of the first record that fails
    n_records: int = 0
    head: str = ""  # chain head, hexadecimal
    session_id: str = ""
    state: str = ""  # "sealed" | "recovered" | …; of a journal "journal"
    seal: str = ""  # "agrees" | "missing" | "differs" | "unreadable"
    damage: tuple[str, ...] = ()  # what is bad and where, in words
    notes: tuple[str, ...] = field(default=())

    @property
    def is_valid(self) -> bool:
        return self.kind in (SIGNED, UNSIGNED, REDACTED)

    def to_json(self) -> dict[str, JSON]:
        return {
            "path": str(self.path), "verdict": self.kind, "text": self.text, "first_bad": self.first_bad,
            "records": self.n_records, "chain_head": self.head, "session_id": self.session_id, "state": self.state,
            "seal": self.seal, "damage": list(self.damage), "notes": list(self.notes),
        }  # fmt: skip


def verify(
    path: str | Path, *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> Verdict:
    """Verify a session file (with its seal, where one lies beside it) or a journal, in this process."""
    path = Path(path)
    tell = progress or (lambda fraction: None)
    try:
        if _is_journal(path):
            return verify_journal(path, progress=tell, cancel=cancel)
        verdict = verify_file(path, progress=lambda fraction: tell(0.9 * fraction), cancel=cancel)
        verdict = _with_seal(verdict, path)
    except OSError as error:
        return Verdict(UNREADABLE, f"{path.name} cannot be read: {error.strerror or error}.", path)
    tell(1.0)
    return verdict


def verify_in_child(
    path: str | Path,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    timeout: float | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Verdict:
    """The same in a process of its own, with limits: 60 s and 10 s per gigabyte, unless `timeout` says otherwise."""
    path = Path(path)
    if timeout is None:
        timeout = 60.0 + 10.0 * (path.stat().st_size / 1e9 if path.exists() else 0.0)
    try:
        result = run_in_child(
            "sessions.verify:_verify_for_parent", str(path),
            timeout_s=timeout, memory_bytes=memory_bytes, progress=progress, cancel=cancel, name="verify",
        )  # fmt: skip
    except ChildFailed as error:
        return Verdict(
            UNREADABLE, f"{path.name} could not be examined: {error.what}", path, notes=(error.detail,)
        )
    assert isinstance(result, Verdict)
    return result


def verify_file(
    path: Path, *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> Verdict:
    """The session file alone, without its seal. OSError only where the file cannot be opened for its rights."""
    tell, token = progress or (lambda fraction: None), cancel or CancelToken()
    if not os.access(path, os.R_OK):
        raise PermissionError(
            13, "you have no right to read it" if path.exists() else "there is no such file"
        )
    try:
        with h5py.File(path, "r") as file:
            findings = check_session(file, tell, token)
    except Cancelled:
        raise
    except ConsoleError as error:
        return Verdict(UNREADABLE, f"{error.what} {error.hint}".strip(), path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        # h5py turns damage of the file's own structure into any of these, depending on where it lies
        return Verdict(
            UNREADABLE, f"{path.name} cannot be opened as a session file.", path, notes=(repr(error)[:300],)
        )
    return _judge(findings, path)


def verify_journal(
    path: Path, *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> Verdict:
    tell, token = progress or (lambda fraction: None), cancel or CancelToken()
    try:
        with JournalScan(path) as scan:
            for number, record in enumerate(scan.records()):
                if number % 256 == 0:
                    token.check()
                    tell(record.offset / max(1, scan.size))
            findings = _findings_of(scan)
    except ConsoleError as error:
        return Verdict(UNREADABLE, f"{error.what} {error.hint}".strip(), path)
    return _judge(findings, path)


# --- judging --------------------------------------------------------------------------------------------------------


def _findings_of(scan: JournalScan) -> Findings:
    findings = Findings(
        n_records=scan.n_records, head=scan.head.hex(), state="journal",
        session_id=str(scan.header.get("session_id", "")),
    )  # fmt: skip
    for item in scan.damage:
        findings.note_damage(item.cause, item.byte_first, item.byte_count, item.seq_first, item.seq_count)
    if not scan.has_end:
        findings.notes.append("the journal has no end record: the recording was cut off, or still runs")
    return findings


def _judge(findings: Findings, path: Path) -> Verdict:
    kind, text = UNSIGNED, "Every record is what was recorded."
    if findings.redactions:
        kind = REDACTED
        text = f"{findings.redactions} records were removed with authorisation; every other is what was recorded."
    if findings.damaged:
        first = min(findings.damaged)
        kind, text = DAMAGED, f"Record {first} is the first that is damaged: {findings.damaged[first]}."
    if findings.altered and (not findings.damaged or min(findings.altered) < min(findings.damaged)):
        first = min(findings.altered)
        kind, text = ALTERED, f"Record {first} is the first that fails: {findings.altered[first]}."
    bad = {**findings.damaged, **findings.altered}
    if kind in (UNSIGNED, REDACTED):
        if findings.state == "recovered":
            text += " The recording was cut off and has been recovered."
        text += " There is no signature: who holds an earlier copy of the chain's head can tell an edit, nobody else."
    return Verdict(
        kind, text, path, first_bad=min(bad) if bad else None, n_records=findings.n_records, head=findings.head,
        session_id=findings.session_id, state=findings.state,
        damage=tuple(f"record {seq}: {bad[seq]}" for seq in sorted(bad)[:100]), notes=tuple(findings.notes[:100]),
    )  # fmt: skip


def _with_seal(verdict: Verdict, path: Path) -> Verdict:
    """Compare the whole file with the seal beside it: that finds even what no record covers."""
    seal_path = path.with_name(path.name.removesuffix(".h5") + ".seal.json")
    if not seal_path.exists():
        return replace(verdict, seal="missing")
    try:
        seal = canonical.decode(seal_path.read_bytes()[: 1 << 20])
        stated = {name: seal[name] for name in ("file_sha256", "file_bytes", "chain_head", "record_count")}
    except (OSError, canonical.NotCanonical, KeyError, TypeError):
        return replace(
            verdict, seal="unreadable", notes=(*verdict.notes, "the seal beside it cannot be read")
        )
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = {
        "file_sha256": digest, "file_bytes": path.stat().st_size,
        "chain_head": verdict.head, "record_count": verdict.n_records,
    }  # fmt: skip
    if not verdict.is_valid:
        same = found["file_sha256"] == stated["file_sha256"]
        return replace(verdict, seal="agrees" if same else "differs")
    differing = [name for name, value in stated.items() if found[name] != value]
    if not differing:
        return replace(verdict, seal="agrees")
    return replace(
        verdict, kind=ALTERED, seal="differs",
        text=f"Every record holds, but the file is not the one that was sealed ({', '.join(differing)} differ).",
    )  # fmt: skip


def _is_journal(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"WMJ1"


def _verify_for_parent(path: str, progress: Callable[[float], None]) -> Verdict:
    return verify(path, progress=progress)

"""Reads a journal from the start and says, record by record, what is sound and what is not.

For any input at all: never crashes, never hangs, holds one payload at a time (session format, 2.5). What is not sound
is told as Damage, and reading goes on behind it where a later record proves itself by both of its checksums.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from jepa_core.errors import Damaged, NewerSchema, NotASession
from sessions import canonical
from sessions.journal import (
    CORE,
    CRC,
    FILE_MAGIC,
    HEAD,
    LARGEST_HEADER,
    LARGEST_PAYLOAD,
    RECORD_MAGIC,
    digest_of,
    genesis_of,
    link_of,
)
from sessions.schema import SCHEMA_VERSION, RecordType

_WINDOW = 1 << 20  # bytes searched at a time for the next record
_CANDIDATE_COST = 4096  # what a false start costs of the budget, so that a file full of them ends the search


@dataclass(frozen=True, slots=True)
class Record:
    """One record whose two checksums hold."""

    seq: int
    stream: int
    type: int
    t_mono_ns: int
    t_wall_ns: int
    salt: bytes
    digest: bytes
    link: bytes
    payload: bytes
    offset: int  # of the record in the file
    is_linked: bool  # its link follows from the record before
    is_digest: bool  # its payload is the one that was digested

    @property
    def payload_offset(self) -> int:
        return self.offset + HEAD.size + CRC.size

    @property
    def end(self) -> int:
        return self.payload_offset + len(self.payload) + CRC.size

    @property
    def core(self) -> bytes:
        return CORE.pack(
            self.seq, self.stream, self.type, self.t_mono_ns, self.t_wall_ns, len(self.payload), self.digest
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of bytes, or a record, that failed a check."""

    byte_first: int
    byte_count: int
    seq_first: int
    seq_count: int
    cause: str  # "torn_tail" | "damaged" | "not_linked" | "digest_differs"


class JournalScan:
    """An open journal. `header_json` and `header` are read at once; records come from `records()`, once."""

    def __init__(self, path: str | Path) -> None:
        """Raises NotASession, NewerSchema, Damaged, or OSError where the file cannot be read at all."""
        self.path = Path(path)
        self._file: BinaryIO = open(self.path, "rb")  # noqa: SIM115 - closed by close()
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.header_json = self._read_header()
            self.header = _parse_header(self.header_json, self.path)
        except BaseException:
            self._file.close()
            raise
        self.genesis = genesis_of(self.header_json)
        self.head = self.genesis
        self.start = len(FILE_MAGIC) + 2 * CRC.size + len(self.header_json)
        self.damage: list[Damage] = []
        self.n_records = 0
        self.has_end = False
        self.end_document: dict[str, Any] | None = None
        self._resync_budget = 4 * self.size + (256 << 20)  # payload bytes that may be checked while searching

    def __enter__(self) -> JournalScan:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def records(self) -> Iterator[Record]:
        """Every sound record in order. Fills `damage`, `head`, `has_end` on the way."""
        position, expected = self.start, 0
        while position < self.size:
            record = self._record_at(position, expected)
            if record is None:
                found = self._search(position, expected)  # it may be whole and only not follow in number
                if found is None:
                    self._note_tail(position, expected)
                    return
                self._add(
                    Damage(position, found.offset - position, expected, found.seq - expected, "damaged")
                )
                record = found
            if not record.is_linked:
                self._add(Damage(record.offset, 0, record.seq, 0, "not_linked"))
            if not record.is_digest:
                self._add(Damage(record.offset, 0, record.seq, 0, "digest_differs"))
            self.head = record.link
            self.n_records += 1
            position, expected = record.end, record.seq + 1
            if record.type == RecordType.END:
                self._note_end(record)
            yield record

    def _note_end(self, record: Record) -> None:
        self.has_end = True
        try:
            document = canonical.decode(record.payload)
        except canonical.NotCanonical:
            document = None
        self.end_document = document if isinstance(document, dict) else {}

    def _note_tail(self, position: int, expected: int) -> None:
        cause = "damaged" if self.has_end else "torn_tail"
        self._add(Damage(position, self.size - position, expected, 0, cause))

    def _add(self, damage: Damage) -> None:
        if len(self.damage) < 100_000:  # a hostile file may hold one per 124 bytes; memory stays bounded
            self.damage.append(damage)

    def _record_at(self, offset: int, expected: int | None) -> Record | None:
        """The record that begins here, if it is whole; `expected` is its number, or None for any later one."""
        head_size = HEAD.size + CRC.size
        self._file.seek(offset)
        raw = self._file.read(head_size)
        if len(raw) < head_size or raw[:4] != RECORD_MAGIC:
            return None
        (crc,) = CRC.unpack_from(raw, HEAD.size)
        if zlib.crc32(raw[: HEAD.size]) != crc:
            return None
        _, length, seq, stream, type_, mono_ns, wall_ns, salt, digest, link = HEAD.unpack_from(raw)
        if length > LARGEST_PAYLOAD or length > self.size - offset - head_size - CRC.size:
            return None
        if expected is not None and seq != expected:
            return None
        payload = self._file.read(length)
        tail = self._file.read(CRC.size)
        if len(payload) < length or len(tail) < CRC.size or CRC.unpack(tail)[0] != zlib.crc32(payload):
            self._resync_budget -= length
            return None
        core = CORE.pack(seq, stream, type_, mono_ns, wall_ns, length, digest)
        is_linked = expected is not None and link == link_of(self.head, core)
        is_digest = digest == digest_of(salt, payload)
        return Record(
            seq, stream, type_, mono_ns, wall_ns, salt, digest, link, payload, offset, is_linked, is_digest
        )

    def _search(self, position: int, expected: int) -> Record | None:
        """The first later record that passes both checksums and does not go back in number."""
        while position < self.size and self._resync_budget > 0:
            self._file.seek(position)
            window = self._file.read(_WINDOW)
            if not window:
                return None
            at = window.find(RECORD_MAGIC)
            while at >= 0 and self._resync_budget > 0:
                record = self._record_at(position + at, None)
                if record is not None and record.seq >= expected:
                    return record
                self._resync_budget -= _CANDIDATE_COST
                at = window.find(RECORD_MAGIC, at + 1)
            position += max(1, len(window) - len(RECORD_MAGIC) + 1)
            if len(window) < _WINDOW:
                return None
        return None

    def _read_header(self) -> bytes:
        magic = self._file.read(len(FILE_MAGIC))
        if magic != FILE_MAGIC:
            raise NotASession(
                f"{self.path.name} is not a session journal.", "Choose a .wmj or .h5 file this console wrote."
            )
        raw = self._file.read(CRC.size)
        length = CRC.unpack(raw)[0] if len(raw) == CRC.size else LARGEST_HEADER + 1
        if length > LARGEST_HEADER or length > self.size:
            raise Damaged(f"The header of {self.path.name} is cut off.", "Nothing was recorded after it.")
        header_json = self._file.read(length)
        tail = self._file.read(CRC.size)
        if (
            len(header_json) < length
            or len(tail) < CRC.size
            or CRC.unpack(tail)[0] != zlib.crc32(header_json)
        ):
            raise Damaged(f"The header of {self.path.name} is damaged.", "Its records cannot be interpreted.")
        return header_json


def _parse_header(header_json: bytes, path: Path) -> dict[str, Any]:
    try:
        header = canonical.decode(header_json)
    except canonical.NotCanonical as error:
        raise Damaged(
            f"The header of {path.name} is not readable.", "Its records cannot be interpreted.", str(error)
        ) from error
    if not isinstance(header, dict):
        raise Damaged(f"The header of {path.name} is not readable.", "Its records cannot be interpreted.")
    check_version(header.get("schema_version"), path)
    return header


def check_version(version: object, path: Path) -> None:
    """Raises NewerSchema for another major version (session format, section 8), Damaged for none at all."""
    major = str(version).partition(".")[0]
    if not major.isdigit():
        raise Damaged(
            f"{path.name} does not say which version of the format it has.", "It cannot be interpreted."
        )
    if int(major) > int(SCHEMA_VERSION.partition(".")[0]):
        raise NewerSchema(
            f"{path.name} was written in format {version}; this console reads {SCHEMA_VERSION}.",
            "Open it with a newer version of the console.",
        )

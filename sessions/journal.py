"""The journal: an append-only, checksummed, chained log. The only file open for writing during a session.

Byte for byte as docs/session-format.md, section 2. This module writes; `scan.py` reads. A JournalWriter belongs to
one thread. It never reorders, never rewrites, and after a failed sync never claims anything again.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jepa_core.clock import Clock
from sessions import canonical
from sessions.disk import Disk
from sessions.schema import RecordType

FILE_MAGIC = b"WMJ1\r\n\x1a\n"
RECORD_MAGIC = b"WMR1"
LARGEST_HEADER = 1 << 20
LARGEST_PAYLOAD = 64 << 20

HEAD = struct.Struct("<4sIQHHqq16s32s32s")  # magic, length, seq, stream, type, mono, wall, salt, digest, link
CORE = struct.Struct("<QHHqqI32s")  # seq, stream, type, mono, wall, length, digest
CRC = struct.Struct("<I")
RECORD_OVERHEAD = HEAD.size + 2 * CRC.size


def genesis_of(header_json: bytes) -> bytes:
    return hashlib.sha256(b"wmj1-genesis" + header_json).digest()


def digest_of(salt: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(b"wmr1" + salt + payload).digest()


def link_of(previous: bytes, core: bytes) -> bytes:
    return hashlib.sha256(previous + core).digest()


@dataclass(frozen=True, slots=True)
class Written:
    """Where a record went: survives the death of the program now, and loss of power after the next sync."""

    seq: int
    offset: int  # of its first byte in the file
    t_mono_ns: int
    t_wall_ns: int


class JournalWriter:
    """Appends records to one new file.

    An OSError while appending leaves the file cut back to its last good length, so the next append is sound. After an
    OSError from `sync` the writer is dead: `is_failed` is True and everything raises.
    """

    def __init__(self, path: Path, header_json: bytes, *, clock: Clock, disk: Disk) -> None:
        """Create the file, write the header, sync the file, then its directory. FileExistsError, OSError."""
        if len(header_json) > LARGEST_HEADER:
            raise ValueError(
                f"the session header has {len(header_json)} bytes, at most {LARGEST_HEADER} are allowed"
            )
        self.path = path
        self.genesis = genesis_of(header_json)
        self.head = self.genesis
        self.n_records = 0
        self.counts: Counter[int] = Counter()  # per stream
        self.unsynced_since_ns = (
            -1
        )  # monotonic time of the oldest append that is not known to be on the medium
        self.last_sync_ns = clock.now_ns()
        self.is_failed = False
        self._clock = clock
        self._disk = disk
        self._fd = disk.create(path)
        self._is_open = True
        try:
            disk.lock(self._fd)
            start = FILE_MAGIC + CRC.pack(len(header_json)) + header_json + CRC.pack(zlib.crc32(header_json))
            disk.write(self._fd, start)
            self.size = len(start)
            disk.sync(self._fd)
            disk.sync_directory(path.parent)
        except OSError:
            self.close()
            disk.remove(path)
            raise

    def append(self, stream: int, type_: RecordType, payload: bytes) -> Written:
        """Write one record; when this returns it survives the death of the program. OSError, ValueError."""
        if self.is_failed or not self._is_open:
            raise OSError(f"{self.path.name} can no longer be written")
        if len(payload) > LARGEST_PAYLOAD:
            raise ValueError(f"a record of {len(payload)} bytes is larger than {LARGEST_PAYLOAD}")
        mono_ns, wall_ns = self._clock.now_ns(), self._clock.wall_ns()
        salt = os.urandom(16)
        digest = digest_of(salt, payload)
        core = CORE.pack(self.n_records, stream, type_, mono_ns, wall_ns, len(payload), digest)
        link = link_of(self.head, core)
        head = HEAD.pack(
            RECORD_MAGIC, len(payload), self.n_records, stream, type_, mono_ns, wall_ns, salt, digest, link
        )
        record = b"".join((head, CRC.pack(zlib.crc32(head)), payload, CRC.pack(zlib.crc32(payload))))
        try:
            self._disk.write(self._fd, record)
        except OSError:
            self._cut_back()
            raise
        written = Written(self.n_records, self.size, mono_ns, wall_ns)
        self.size += len(record)
        self.head = link
        self.n_records += 1
        self.counts[stream] += 1
        if self.unsynced_since_ns < 0:
            self.unsynced_since_ns = mono_ns
        return written

    def append_document(self, type_: RecordType, document: object) -> Written:
        return self.append(0, type_, canonical.encode(document))

    def sync(self) -> None:
        """Return when every append so far is on the medium. OSError: this journal is over (session format, 2.4)."""
        if self.is_failed or not self._is_open:
            raise OSError(f"{self.path.name} can no longer be synced")
        try:
            self._disk.sync(self._fd)
        except OSError:
            self.is_failed = True
            raise
        self.unsynced_since_ns = -1
        self.last_sync_ns = self._clock.now_ns()

    def checkpoint(self) -> Written:
        """A checkpoint of everything before it: written, not yet synced."""
        return self.append_document(
            RecordType.CHECKPOINT,
            {
                "seq": self.n_records - 1,
                "link": self.head.hex(),
                "t_wall_ns": self._clock.wall_ns(),
                "bytes": self.size,
            },
        )

    def end(self, reason: str) -> Written:
        counts = {str(stream): count for stream, count in sorted(self.counts.items())}
        return self.append_document(RecordType.END, {"end_reason": reason, "counts": counts})

    def close(self) -> None:
        """May be called twice."""
        if self._is_open:
            self._is_open = False
            self._disk.close(self._fd)

    def _cut_back(self) -> None:
        try:
            self._disk.cut_back(self._fd, self.size)
        except OSError:
            self.is_failed = True  # half a record may stand at the end: the next reader calls it a torn tail

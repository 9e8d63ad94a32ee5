"""A torch zip file opened as data: one pickle, and where the bytes of each storage lie, mapped and never copied.

Only what torch writes is read: entries stored without compression, so nothing can claim more than there is. Torch
writes a check sum of every entry and looks at none of them when it loads; here a storage is checked before its first
number is used.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from jepa_core.mapped import MappedFile
from jepa_core.pickle_machine import BadPickle, Storage

MAX_PICKLE_BYTES = 8_000_000  # a model of 1,000 tensors needs about 0.5 MB
MAX_ENTRIES = 40_000  # files inside the zip
MAX_DIRECTORY_BYTES = 16_000_000  # of the table of contents, which is read at once
_END = struct.Struct("<4s4H2LH")  # end of the table of contents
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")


class TorchArchive:
    """A torch zip file: one pickle, and the bytes of each storage, mapped and never copied.

    Raises BadPickle, zipfile.BadZipFile, OSError or ValueError for a file that is not one.
    """

    def __init__(self, file: Path) -> None:
        self.file = MappedFile(file)
        self._checked: set[str] = set()
        _check_directory(self.file)
        with zipfile.ZipFile(file) as opened, file.open("rb") as stream:
            entries = opened.infolist()
            if len(entries) > MAX_ENTRIES:
                raise BadPickle(f"{len(entries)} files in one checkpoint")
            self._entries = {entry.filename: entry for entry in entries}
            self._check(entries)
            self._starts = {entry.filename: self._start(entry, stream) for entry in entries}
            pickles = [name for name in self._entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                raise BadPickle(f"{len(pickles)} data.pkl in it")
            self._root = pickles[0].removesuffix("data.pkl")
            if self._entries[pickles[0]].file_size > MAX_PICKLE_BYTES:
                raise BadPickle("its object tree is larger than a model's can be")
            self.has_checksums = any(entry.CRC for entry in entries if entry.file_size)
            self._pickle = self._read(pickles[0])
            order = self._entries.get(self._root + "byteorder")
            if order is not None and (order.file_size > 8 or self._read(order.filename) != b"little"):
                raise BadPickle("its numbers are not stored little-endian")

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        """Torch stores without compressing; so what is claimed can never exceed what is there."""
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size
            for entry in entries
        ):
            raise BadPickle("it is compressed, which torch never does")
        if sum(entry.file_size for entry in entries) > self.file.size:
            raise BadPickle("it claims more bytes than it has")
        if len(self._entries) != len(entries):
            raise BadPickle("two of its entries have the same name")

    def pickle(self) -> bytes:
        return self._pickle

    def place(self, claim: Storage) -> tuple[int, int]:
        """(first byte, number of bytes) of one storage."""
        name = f"{self._root}data/{claim.key}"
        if name not in self._entries:
            raise BadPickle(f"the numbers of storage {claim.key[:40]!r} are missing")
        return self._starts[name], self._entries[name].file_size

    def check(self, key: str) -> None:
        """Raise BadPickle where a storage's bytes are not those that were written. Each is looked at once."""
        name = f"{self._root}data/{key}"
        if key not in self._checked and self.has_checksums and not self._is_whole(name):
            raise BadPickle(f"the numbers of storage {key[:40]!r} have changed since they were written")
        self._checked.add(key)

    def _read(self, name: str) -> bytes:
        """One small entry, whole and checked."""
        if self.has_checksums and not self._is_whole(name):
            raise BadPickle(f"its {name.rpartition('/')[2]} has changed since it was written")
        return bytes(self.file.view(self._starts[name], self._entries[name].file_size))

    def _is_whole(self, name: str) -> bool:
        entry = self._entries[name]
        return self.file.checksum(self._starts[name], entry.file_size) == entry.CRC

    def _start(self, entry: zipfile.ZipInfo, stream: BinaryIO) -> int:
        """Where an entry's bytes begin: behind its own header, whose name must be the table's."""
        stream.seek(entry.header_offset)
        head = stream.read(30)
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise BadPickle("its table of contents points nowhere")
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        if stream.read(name_length) not in (entry.filename.encode(), entry.orig_filename.encode()):
            raise BadPickle("its table of contents and its entries have different names")
        start: int = entry.header_offset + 30 + name_length + extra_length
        if start + entry.file_size > self.file.size:
            raise BadPickle("it is cut off")
        return start


def _check_directory(file: MappedFile) -> None:
    """The table of contents is read at once by whoever opens a zip; a file may be nothing but that."""
    tail = bytes(file.view(max(file.size - (1 << 16) - _END.size, 0), (1 << 16) + _END.size))
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise BadPickle("its end is missing")
    size = _END.unpack_from(tail, at)[5]
    locator = at - _LOCATOR_64.size
    if size == 0xFFFFFFFF and locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
        place = _LOCATOR_64.unpack_from(tail, locator)[2]
        head = bytes(file.view(place, _END_64.size)) if place < file.size else b""
        size = _END_64.unpack(head)[8] if len(head) == _END_64.size else size
    if size > MAX_DIRECTORY_BYTES:
        raise BadPickle("its table of contents is larger than a model's can be")

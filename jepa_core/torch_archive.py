"""A torch zip file opened as data: one pickle, and the bytes of each storage, mapped and never copied.

Only what torch writes is read: entries stored without compression, so nothing can claim more than there is.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from pathlib import Path

import torch
from torch import Tensor

from jepa_core import mapped
from jepa_core.pickle_machine import BadPickle, Storage

MAX_PICKLE_BYTES = 8_000_000  # a model of 1,000 tensors needs about 0.5 MB
MAX_ENTRIES = 40_000  # files inside the zip
PIECE = 1 << 24  # bytes checked at once; their pages are given back before the next


class TorchArchive:
    """A torch zip file: one pickle, and the bytes of each storage, mapped and never copied."""

    def __init__(self, file: Path) -> None:
        self.file_bytes = file.stat().st_size
        self._checked: set[str] = set()
        with zipfile.ZipFile(file) as opened:
            entries = opened.infolist()
            if len(entries) > MAX_ENTRIES:
                raise BadPickle(f"{len(entries)} files in one checkpoint")
            self._entries = {entry.filename: entry for entry in entries}
            self._check(entries)
            pickles = [name for name in self._entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                raise BadPickle(f"{len(pickles)} data.pkl in it")
            self._root = pickles[0].removesuffix("data.pkl")
            if self._entries[pickles[0]].file_size > MAX_PICKLE_BYTES:
                raise BadPickle("its object tree is larger than a model's can be")
            self._pickle = opened.read(pickles[0])
            order = self._entries.get(self._root + "byteorder")
            if order is not None and (order.file_size > 8 or opened.read(order) != b"little"):
                raise BadPickle("its numbers are not stored little-endian")
        with file.open("rb") as stream:
            self._bytes = mmap.mmap(
                stream.fileno(), 0, access=mmap.ACCESS_COPY
            )  # ours alone; writes reach no disk

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        """Torch stores without compressing; so what is claimed can never exceed what is there."""
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise BadPickle("it is compressed, which torch never does")
        if sum(entry.file_size for entry in entries) > self.file_bytes:
            raise BadPickle("it claims more bytes than it has")
        if len(self._entries) != len(entries):
            raise BadPickle("two of its entries have the same name")

    def pickle(self) -> bytes:
        return self._pickle

    def storage(self, claim: Storage) -> memoryview:
        """The bytes of one storage, in place."""
        entry = self._entries.get(f"{self._root}data/{claim.key}")
        if entry is None:
            raise BadPickle(f"the numbers of storage {claim.key[:40]!r} are missing")
        head = self._bytes[entry.header_offset : entry.header_offset + 30]
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise BadPickle("its table of contents points nowhere")
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        start = entry.header_offset + 30 + name_length + extra_length
        if start + entry.file_size > self.file_bytes:
            raise BadPickle("it is cut off")
        view = memoryview(self._bytes)[start : start + entry.file_size]
        if claim.key not in self._checked:
            if self._checksum(start, entry.file_size) != entry.CRC:
                raise BadPickle(
                    f"the numbers of storage {claim.key[:40]!r} have changed since they were written"
                )
            self._checked.add(claim.key)
        return view

    def let_go(self, tensor: Tensor) -> None:
        """Give back the pages under a tensor of this file; a tensor that is a copy keeps its own."""
        base = torch.frombuffer(self._bytes, dtype=torch.uint8).data_ptr()
        if base <= tensor.data_ptr() < base + self.file_bytes:
            mapped.let_go(tensor)

    def _checksum(self, start: int, size: int) -> int:
        """CRC-32 of a stretch of the file, of which never more than a piece stands in memory."""
        crc, whole = 0, memoryview(self._bytes)
        for at in range(start, start + size, PIECE):
            end = min(at + PIECE, start + size)
            crc = zlib.crc32(whole[at:end], crc)
            mapped.let_go_of(self._bytes, at, end - at)
        return crc

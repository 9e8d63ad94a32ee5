"""A checkpoint file mapped into memory: its bytes in place, and its pages given back once their numbers were copied.

A page of a mapped file counts as this process's memory from the first look at it. Without giving it back, a loaded
model would stand in memory twice until its file is closed. The mapping is private: nothing written to it reaches the
disk. Owned by the readers of weight files.
"""

from __future__ import annotations

import errno
import math
import mmap
import sys
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

READ_ALONG = 16 * mmap.PAGESIZE  # Linux maps this much of a file around the page that is asked for
PIECE = 1 << 24  # bytes looked at at once where a whole stretch is checked


class MappedFile:
    """The bytes of one file. Raises OSError or ValueError where it cannot be mapped, an empty one among them.

    A machine that has no room for the mapping raises MemoryError: the file is not to blame.
    """

    def __init__(self, file: Path) -> None:
        with file.open("rb") as stream:
            try:
                self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
            except OSError as error:
                if error.errno == errno.ENOMEM:
                    raise MemoryError(f"no room to map {file.name}") from error
                raise
        self.size = len(self._bytes)

    def view(self, start: int, size: int) -> memoryview:
        """Bytes start … start + size, in place. Raises OSError where the file has become shorter since it was opened.

        Looking at bytes that are no longer there would end the process (SIGBUS); between this and the look remains a gap
        that nothing can close.
        """
        if self._bytes.size() < self.size:
            raise OSError("the file became shorter while it was read")
        return memoryview(self._bytes)[start : start + size]

    def tensor(
        self, start: int, dtype: torch.dtype, shape: tuple[int, ...], stride: tuple[int, ...] | None = None
    ) -> Tensor:
        """Numbers that begin at byte `start`, in place; copied only where they stand across their own boundaries.

        The caller has made sure that they lie inside the file.
        """
        if 0 in shape:
            return torch.empty(shape, dtype=dtype)
        if stride is None:
            count = math.prod(shape)
        else:
            count = 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        own: Any = self.view(start, count * dtype.itemsize)
        if torch.frombuffer(own, dtype=torch.uint8).data_ptr() % dtype.itemsize:
            own = bytearray(own)
        flat = torch.frombuffer(own, dtype=dtype, count=count)
        return flat.view(shape) if stride is None else torch.as_strided(flat, shape, stride)

    def checksum(self, start: int, size: int) -> int:
        """CRC-32 of a stretch, of which never more than a piece stands in memory."""
        crc = 0
        for at in range(start, start + size, PIECE):
            length = min(PIECE, start + size - at)
            crc = zlib.crc32(self.view(at, length), crc)
            self.let_go(at, length)
        return crc

    def let_go(self, start: int, size: int) -> None:
        """Drop the pages of a stretch, and those the system read along with them; all can be read again, from the file.

        Nothing is ever written to the mapping, so a neighbour loses nothing. Does nothing where the system has no such
        call, or where it means something else.
        """
        if not hasattr(self._bytes, "madvise") or not sys.platform.startswith("linux"):
            return
        first = start // READ_ALONG * READ_ALONG
        last = min(-(-(start + size) // READ_ALONG) * READ_ALONG, self.size)
        if first < last:
            self._bytes.madvise(mmap.MADV_DONTNEED, first, last - first)

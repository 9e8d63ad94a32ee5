"""The arrays of a .npz file, read without unpickling and within stated bounds.

A .npz is a zip of .npy files: numbers with a short header. Nothing here trusts what it claims: sizes are held against
the file before memory is taken, object arrays are refused by name, and only the members asked for are opened. An
uncompressed array is read row by row from its place in the file; a compressed one has to be unpacked whole.
"""

from __future__ import annotations

import math
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from jepa_core.errors import SourceLost, SourceNotFound

MOST_UNPACKED = 1 << 30  # bytes of a compressed array, which has to stand in memory
MOST_NUMBERS = 64 << 20  # bytes of an array that is not pictures
MOST_MEMBERS = 10_000
HEADER_BYTES = 10_000  # numpy's own bound: its header is a Python literal, and parsing a long one takes long
_LOCAL = struct.Struct("<4s5H3I2H")  # the head of a member, before its name
_BROKEN = (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header of one array says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_column_major: bool
    header_bytes: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Npz:
    """One open file. Raises SourceNotFound, in words for a person, for whatever cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise self._broken(error) from error
        members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            self.close()
            raise SourceNotFound(f"{path.name} holds {len(members)} arrays.", "A trajectory has a few.")
        self._members = {
            item.filename.removesuffix(".npy"): item for item in members if item.filename.endswith(".npy")
        }

    def close(self) -> None:
        self._zip.close()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def shape(self, name: str) -> Shape:
        """From the header alone, and held against the size of the member."""
        item = self._members[name]
        try:
            with self._zip.open(item) as stream:
                found = _header(stream)
        except _BROKEN as error:
            raise self._broken(error, name) from error
        if found.dtype.hasobject:
            raise SourceNotFound(
                f"'{name}' in {self.path.name} holds Python objects, which could run code; it was not opened.",
                "Save plain numbers with numpy.savez.",
            )
        if any(side < 0 for side in found.shape) or found.header_bytes + found.nbytes != item.file_size:
            raise SourceNotFound(
                f"'{name}' in {self.path.name} claims {found.nbytes} bytes and has {item.file_size}.",
                "The file is damaged. Copy it again.",
            )
        return found

    def array(self, name: str, most: int = MOST_NUMBERS) -> NDArray[Any]:
        """The whole array, in memory."""
        found = self.shape(name)
        if found.nbytes > most:
            raise SourceNotFound(
                f"'{name}' in {self.path.name} would take {found.nbytes / 1e9:.1f} GB of memory.",
                f"At most {most / 1e9:.1f} GB are unpacked. Save it with numpy.savez, which does not compress.",
            )
        try:
            with self._zip.open(self._members[name]) as stream:
                stream.read(found.header_bytes)
                data = stream.read(found.nbytes)
        except _BROKEN as error:
            raise self._broken(error, name) from error
        if len(data) != found.nbytes:
            raise self._broken(ValueError("cut off"), name)
        flat = np.frombuffer(data, found.dtype)
        return flat.reshape(found.shape, order="F" if found.is_column_major else "C")

    def rows(self, name: str) -> Rows:
        """The rows of a large array (its first axis), one at a time."""
        found, item = self.shape(name), self._members[name]
        if item.compress_type != zipfile.ZIP_STORED or found.is_column_major:
            return Rows(found, self.array(name, MOST_UNPACKED), self.path.name)
        if item.compress_size != item.file_size or item.flag_bits & 0x1:
            raise self._broken(ValueError("sizes of a stored member differ, or it is encrypted"), name)
        file = self.path.open("rb")
        try:
            file.seek(item.header_offset)
            head = file.read(_LOCAL.size)
            if len(head) != _LOCAL.size or head[:4] != b"PK\x03\x04":
                raise self._broken(ValueError("no local header"), name)
            *_, name_bytes, extra_bytes = _LOCAL.unpack(head)
            first = item.header_offset + _LOCAL.size + name_bytes + extra_bytes + found.header_bytes
            return Rows(found, file, self.path.name, first)
        except BaseException:
            file.close()
            raise

    def _broken(self, error: Exception, name: str = "") -> SourceNotFound:
        what = f"'{name}' in {self.path.name}" if name else self.path.name
        return SourceNotFound(
            f"{what} cannot be read as a .npz file.",
            "Copy it again; numpy.savez writes such files.",
            repr(error),
        )


class Rows:
    """Rows of one array, from memory or from an open file. Used by one thread at a time; `close` from any."""

    def __init__(self, found: Shape, data: NDArray[Any] | IO[bytes], file_name: str, first: int = 0) -> None:
        """first: where the numbers begin in the file."""
        self.shape, self.dtype = found.shape, found.dtype
        self._data = data
        self._file_name = file_name
        self._first = first
        self._row_bytes = math.prod(found.shape[1:]) * found.dtype.itemsize
        self._using = threading.Lock()

    def __getitem__(self, row: int) -> NDArray[Any]:
        """A new array. Raises SourceLost where the file became shorter."""
        if isinstance(self._data, np.ndarray):
            return np.ascontiguousarray(self._data[row])
        with self._using:
            try:
                self._data.seek(self._first + row * self._row_bytes)
                data = self._data.read(self._row_bytes)
            except (OSError, ValueError) as error:
                raise SourceLost(
                    f"{self._file_name} cannot be read any more.",
                    "Is the disk or share still there?",
                    str(error),
                ) from error
        if len(data) != self._row_bytes:
            raise SourceLost(f"{self._file_name} became shorter while it was open.", "Copy it again.")
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])

    def flattened(self) -> Rows:
        """The first two axes as one: (N, T, …) → (N·T, …). This object is not used any more."""
        self.shape = (self.shape[0] * self.shape[1], *self.shape[2:])
        if isinstance(self._data, np.ndarray):
            self._data = self._data.reshape(self.shape)
        self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        return self

    def close(self) -> None:
        if not isinstance(self._data, np.ndarray):
            with self._using:
                self._data.close()


def _header(stream: IO[bytes]) -> Shape:
    """Raises ValueError for what is no .npy."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, is_column_major, dtype = npy.read_array_header_1_0(stream, max_header_size=HEADER_BYTES)
    elif version == (2, 0):
        shape, is_column_major, dtype = npy.read_array_header_2_0(stream, max_header_size=HEADER_BYTES)
    else:
        raise ValueError(f"npy version {version}")
    return Shape(tuple(int(side) for side in shape), dtype, bool(is_column_major), stream.tell())

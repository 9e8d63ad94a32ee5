"""Writes datasets by the rules of session format, section 3: types, filters, chunks, labels, bounded memory.

A Table appends rows and hands whole chunks to HDF5, so that no chunk is compressed twice. Belongs to the fold, which
writes a file once, in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sessions.schema import Column

SMALLEST_CHUNK = 4096
LARGEST_CHUNK = 1 << 20
TEXT_BUFFER = 1 << 20  # bytes of text held back at most; a document may be as large as a payload
TEXT = h5py.string_dtype("utf-8")


class Table:
    """Equally long columns in one group."""

    def __init__(self, group: Any, columns: Sequence[Column], sizes: Mapping[str, int]) -> None:
        self.columns = tuple(columns)
        self.n_rows = 0
        self._columns = [_ColumnWriter(group, column, column.row_shape(sizes)) for column in columns]

    def append(self, row: Mapping[str, Any]) -> None:
        """One row; every column must have its value in `row` (a dict, or a record of a structured array)."""
        for column in self._columns:
            column.append(row[column.name])
        self.n_rows += 1

    def finish(self) -> None:
        for column in self._columns:
            column.finish()


class Blob:
    """Bytes end to end, in one dataset of uint8."""

    FLUSH = 4 << 20

    def __init__(self, group: Any, column: Column) -> None:
        self.n_bytes = 0
        self._dataset = create(group, column, ())
        self._chunk = int(self._dataset.chunks[0])
        self._held = bytearray()
        self._n_written = 0

    def append(self, data: bytes | memoryview) -> int:
        """Where it begins."""
        offset = self.n_bytes
        self.n_bytes += len(data)
        self._held += data
        if len(self._held) >= self.FLUSH:
            self._write(len(self._held) - len(self._held) % self._chunk)
        return offset

    def finish(self) -> None:
        self._write(len(self._held))

    def _write(self, count: int) -> None:
        if count == 0:
            return
        self._dataset.resize(self._n_written + count, axis=0)
        self._dataset[self._n_written :] = np.frombuffer(bytes(memoryview(self._held)[:count]), np.uint8)
        self._n_written += count
        del self._held[:count]


class _ColumnWriter:
    def __init__(self, group: Any, column: Column, row_shape: tuple[int, ...]) -> None:
        self.name = column.name
        self._is_text = column.dtype == "text"
        self._dataset = create(group, column, row_shape)
        self._row_shape = row_shape
        self._chunk = int(self._dataset.chunks[0]) if self._dataset.chunks else 4096
        self._held: list[Any] = []
        self._held_bytes = 0
        self._n_written = 0

    def append(self, value: Any) -> None:
        if self._is_text:
            value = value if isinstance(value, bytes) else str(value).encode("utf-8")
            self._held_bytes += len(value)
        elif self._row_shape:
            value = np.array(value)  # a copy: the row may be a view of a buffer that is used again
        self._held.append(value)
        if len(self._held) >= self._chunk or self._held_bytes > TEXT_BUFFER:
            self.finish()

    def finish(self) -> None:
        count = len(self._held)
        if count == 0:
            return
        end = self._n_written + count
        self._dataset.resize(end, axis=0)
        if 0 not in self._row_shape:
            if self._is_text:
                self._dataset[self._n_written : end] = np.array(self._held, dtype=object)
            else:
                rows: NDArray[Any] = np.array(self._held, self._dataset.dtype)
                self._dataset[self._n_written : end] = rows.reshape(count, *self._row_shape)
        self._n_written = end
        self._held.clear()
        self._held_bytes = 0


def create(group: Any, column: Column, row_shape: tuple[int, ...]) -> Any:
    """An empty, growing dataset with the filters, chunks and labels of its column."""
    shape, most = (0, *row_shape), (None, *row_shape)
    if column.dtype == "text":
        dataset = group.create_dataset(
            column.name, shape, TEXT, maxshape=most, chunks=(chunk_rows(column, 16),)
        )
    elif 0 in row_shape:
        # a dimension of which there is none yet (no signals, no actions): HDF5 cannot chunk it
        dtype = np.dtype(column.dtype).newbyteorder("<")
        wide = tuple(max(1, side) for side in row_shape)
        dataset = group.create_dataset(
            column.name, shape, dtype, maxshape=(None, *(None if side == 0 else side for side in row_shape)),
            chunks=(chunk_rows(column, dtype.itemsize), *wide), fletcher32=True,
        )  # fmt: skip
    else:
        dtype = np.dtype(column.dtype).newbyteorder("<")
        row_bytes = dtype.itemsize * math.prod(row_shape)
        filters: dict[str, Any] = {"fletcher32": True}
        if not column.is_random and column.name != "data":
            filters.update(compression="gzip", compression_opts=1, shuffle=True)
        dataset = group.create_dataset(
            column.name,
            shape,
            dtype,
            maxshape=most,
            chunks=(chunk_rows(column, row_bytes), *row_shape),
            **filters,
        )
    label(dataset, column)
    return dataset


def label(dataset: Any, column: Column) -> None:
    dataset.attrs["units"] = column.units
    dataset.attrs["long_name"] = column.long_name
    if column.vocabulary:
        dataset.attrs["flag_values"] = np.arange(len(column.vocabulary), dtype=np.uint8)
        dataset.attrs["flag_meanings"] = " ".join(column.vocabulary)


def chunk_rows(column: Column, row_bytes: int) -> int:
    """Rows per chunk: what the format states, moved into 4 KiB … 1 MiB."""
    rows = column.chunk
    while rows > 1 and rows * row_bytes > LARGEST_CHUNK:
        rows = (rows + 1) // 2
    while rows * row_bytes < SMALLEST_CHUNK:
        rows *= 2
    return rows


def write_text(group: Any, name: str, text: bytes, long_name: str) -> Any:
    """One UTF-8 text as a scalar dataset."""
    dataset = group.create_dataset(name, (), TEXT, data=np.array(text, dtype=object))
    label(dataset, Column(name, "text", long_name))
    return dataset


def write_texts(group: Any, name: str, texts: Sequence[str], long_name: str) -> Any:
    dataset = group.create_dataset(name, (len(texts),), TEXT, maxshape=(None,), chunks=(256,))
    if texts:
        dataset[:] = np.array([text.encode("utf-8") for text in texts], dtype=object)
    label(dataset, Column(name, "text", long_name))
    return dataset


def write_scale(group: Any, name: str, values: NDArray[Any], units: str, long_name: str) -> Any:
    """A dimension scale; small, so stored in one piece."""
    dataset = group.create_dataset(name, data=values)
    label(dataset, Column(name, str(values.dtype), long_name, units))
    dataset.make_scale(name)
    return dataset


def attach_scales(group: Any, columns: Sequence[Column], scales: Mapping[str, Any]) -> None:
    """Name the dimensions of every column that has more than one."""
    for column in columns:
        for axis, size in enumerate(column.shape, start=1):
            if isinstance(size, str) and size in scales:
                group[column.name].dims[axis].attach_scale(scales[size])

"""Opens one part of a session for reading: a sealed .h5 or a journal, behind one protocol.

Read only. A column that is damaged is read as far as it goes, and `problems` says what is missing. A part belongs to its
SessionReader, which lets one thread at a time in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import Damaged, NotASession
from sessions import canonical, derive
from sessions.derive import StreamPlan
from sessions.scan import JournalScan, check_version
from sessions.schema import FORMAT, RecordType

WIDE = frozenset(
    {"token_error", "token_role", "pooled_predicted", "pooled_target", "pooled_context", "slot_region"}
)
"""Columns of a step that are read one step at a time."""

MOST_ROWS = 50_000_000
"""More than a part can hold: eight gigabytes of rows without a single pixel."""

CANNOT_READ = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)
"""What h5py raises for a damaged file, depending on where the damage lies."""


class PartFile(Protocol):
    """Rows are numbered from 0 within the part."""

    path: Path
    header: Mapping[str, Any]
    state: str  # "sealed" | "recovered" | "journal" | …
    problems: list[str]
    camera: StreamPlan | None
    model: StreamPlan | None
    n_frames: int
    n_steps: int

    def frame_column(self, name: str) -> NDArray[Any]: ...
    def frame_data(self, row: int) -> bytes: ...
    def step_column(self, name: str) -> NDArray[Any]: ...
    def step(self, row: int) -> Mapping[str, Any]: ...
    def samples(self, name: str) -> NDArray[Any] | None:
        """Every row of a numeric stream, (n,) of its columns; None where this part has no such stream."""
        ...

    def documents(self, table: str) -> list[bytes]: ...
    def close(self) -> None: ...


def open_part(path: Path) -> PartFile:
    """Raises NotASession, NewerSchema or Damaged, in words for a person."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except FileNotFoundError as error:
        raise NotASession(f"There is no file {path}.", "Was it moved?") from error
    except OSError as error:
        raise NotASession(
            f"{path} cannot be read: {error.strerror or error}.", "Check its rights."
        ) from error
    return JournalPart(path) if start.startswith(b"WMJ1") else H5Part(path)


class H5Part:
    """A session file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        try:
            self._file: Any = h5py.File(path, "r")
        except CANNOT_READ as error:
            raise _not_hdf5(path, error) from error
        try:
            self._read_head()
        except CANNOT_READ as error:
            self._file.close()
            raise Damaged(
                f"{path.name} cannot be read as a session.",
                "Run verify on it to see what is left.",
                repr(error),
            ) from error
        except BaseException:
            self._file.close()
            raise

    def _read_head(self) -> None:
        attributes = self._file.attrs
        if _text(attributes.get("format", "")) != FORMAT:
            raise NotASession(
                f"{self.path.name} is an HDF5 file, but not a session.", "Choose a file this console wrote."
            )
        check_version(_text(attributes.get("schema_version", "")), self.path)
        self.state = _text(attributes.get("state", ""))
        header = canonical.decode(self._file["/integrity/header_json"][()])
        if not isinstance(header, dict):
            raise Damaged(
                f"The header of {self.path.name} is not readable.", "Run verify on it to see what is left."
            )
        self.header: Mapping[str, Any] = header
        plans = derive.stream_plans(header)
        self.camera = _first(plans, RecordType.FRAME)
        self.model = _first(plans, RecordType.STEP)
        self._numeric = _numeric(plans)
        self.n_frames = self._count(self.camera, "seq")
        self.n_steps = self._count(self.model, "step")
        for row in range(min(20, self._file["/integrity/damage/cause"].shape[0])):
            self.problems.append(f"journal: {_text(self._file['/integrity/damage/cause'][row])}")

    def _count(self, plan: StreamPlan | None, column: str) -> int:
        count = int(self._file[f"/streams/{plan.name}/{column}"].shape[0]) if plan is not None else 0
        if count > MOST_ROWS:
            raise Damaged(f"{self.path.name} claims {count} rows.", "Run verify on it to see what is left.")
        return count

    def frame_column(self, name: str) -> NDArray[Any]:
        assert self.camera is not None
        return self._column(f"/streams/{self.camera.name}/{name}")

    def frame_data(self, row: int) -> bytes:
        assert self.camera is not None
        group = self._file[f"/streams/{self.camera.name}"]
        try:
            offset, length = int(group["data_offset"][row]), int(group["data_length"][row])
            data = bytes(group["data"][offset : offset + length].tobytes())
        except CANNOT_READ as error:
            raise Damaged(
                f"The picture of row {row} cannot be read.",
                "Its row and its times are still shown.",
                repr(error),
            ) from error
        if len(data) != length:
            raise Damaged(f"The picture of row {row} is cut off.", "Its row and its times are still shown.")
        return data

    def step_column(self, name: str) -> NDArray[Any]:
        assert self.model is not None
        return self._column(f"/streams/{self.model.name}/{name}")

    def step(self, row: int) -> Mapping[str, Any]:
        assert self.model is not None
        group = self._file[f"/streams/{self.model.name}"]
        try:
            return {name: group[name][row] for name in self.model.dtype.names or ()}
        except CANNOT_READ as error:
            raise Damaged(
                f"Step {row} cannot be read.", "The other steps are still shown.", repr(error)
            ) from error

    def samples(self, name: str) -> NDArray[Any] | None:
        plan = self._numeric.get(name)
        if plan is None:
            return None
        self._count(plan, "seq")
        columns = {
            column: self._column(f"/streams/{plan.name}/{column}") for column in plan.dtype.names or ()
        }
        rows = np.zeros(min(len(column) for column in columns.values()), plan.dtype)
        for column, values in columns.items():
            rows[column] = values[: len(rows)]
        return rows

    def documents(self, table: str) -> list[bytes]:
        try:
            column = self._file[f"{table}/json"]
            return [column[row] for row in range(column.shape[0])]
        except CANNOT_READ as error:
            self.problems.append(f"{table} cannot be read: {error}")
            return []

    def close(self) -> None:
        self._file.close()

    def _column(self, path: str) -> NDArray[Any]:
        """A whole column; where a chunk is damaged its rows are zero and `problems` says so."""
        dataset = self._file[path]
        try:
            return np.asarray(dataset[:])
        except CANNOT_READ:
            column = np.zeros(dataset.shape, dataset.dtype)
        chunk = dataset.chunks[0] if dataset.chunks else 1
        for first in range(0, dataset.shape[0], chunk):
            try:
                column[first : first + chunk] = dataset[first : first + chunk]
            except CANNOT_READ:
                self.problems.append(
                    f"rows {first} to {min(first + chunk, dataset.shape[0]) - 1} of {path} cannot be read"
                )
        return column


class JournalPart:
    """A journal that was not folded: every record is checked while its index is built, payloads stay on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = "journal"
        self.problems: list[str] = []
        self._documents: dict[str, list[tuple[int, int]]] = {}  # offset and length of each
        self._frames = bytearray()
        self._steps: list[tuple[int, int]] = []  # offset, length of each payload
        self._narrow: list[bytes] = []
        with JournalScan(path) as scan:
            self.header: Mapping[str, Any] = scan.header
            plans = derive.stream_plans(scan.header)
            self.camera = _first(plans, RecordType.FRAME)
            self.model = _first(plans, RecordType.STEP)
            self._numeric = _numeric(plans)
            self._samples = {plan.number: (plan, bytearray()) for plan in self._numeric.values()}
            self._data: list[int] = []  # offset of each picture
            self._index(scan)
            self.problems.extend(f"{item.cause}: bytes from {item.byte_first}" for item in scan.damage[:20])
        self.n_frames, self.n_steps = len(self._data), len(self._steps)
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by close()

    def _index(self, scan: JournalScan) -> None:
        narrow = [name for name in (self.model.dtype.names or ()) if name not in WIDE] if self.model else []
        for record in scan.records():
            if self.camera is not None and (record.stream, record.type) == (
                self.camera.number,
                RecordType.FRAME,
            ):
                if self.camera.fits(len(record.payload)):
                    self._frames += record.payload[: self.camera.dtype.itemsize]
                    self._data.append(record.payload_offset + self.camera.dtype.itemsize)
            elif self.model is not None and (record.stream, record.type) == (
                self.model.number,
                RecordType.STEP,
            ):
                if self.model.fits(len(record.payload)):
                    self._steps.append((record.payload_offset, len(record.payload)))
                    self._narrow.append(_pack(np.frombuffer(record.payload, self.model.dtype, 1), narrow))
            elif record.type == RecordType.SAMPLE and record.stream in self._samples:
                plan, samples = self._samples[record.stream]
                if plan.fits(len(record.payload)):
                    samples += record.payload
            elif record.type in (RecordType.DOCUMENT, RecordType.GAP, RecordType.CHECKPOINT):
                at = derive.Moment(record.seq, record.t_mono_ns, record.t_wall_ns)
                rows = derive.rows_of(record.type, record.payload, at)
                if rows:
                    place = (record.payload_offset, len(record.payload))
                    self._documents.setdefault(rows[0][0], []).append(place)

    def frame_column(self, name: str) -> NDArray[Any]:
        assert self.camera is not None
        return np.ascontiguousarray(np.frombuffer(bytes(self._frames), self.camera.dtype)[name])

    def frame_data(self, row: int) -> bytes:
        assert self.camera is not None
        start = row * self.camera.dtype.itemsize
        one = np.frombuffer(
            bytes(self._frames[start : start + self.camera.dtype.itemsize]), self.camera.dtype
        )[0]
        return self._read(self._data[row], int(one["data_length"]))

    def step_column(self, name: str) -> NDArray[Any]:
        assert self.model is not None
        dtype = _narrow_dtype(self.model.dtype)
        return np.ascontiguousarray(np.frombuffer(b"".join(self._narrow), dtype)[name])

    def step(self, row: int) -> Mapping[str, Any]:
        assert self.model is not None
        one = np.frombuffer(self._read(*self._steps[row]), self.model.dtype, 1)[0]
        return {name: one[name] for name in self.model.dtype.names or ()}

    def samples(self, name: str) -> NDArray[Any] | None:
        plan = self._numeric.get(name)
        return None if plan is None else np.frombuffer(bytes(self._samples[plan.number][1]), plan.dtype)

    def documents(self, table: str) -> list[bytes]:
        return [self._read(offset, length) for offset, length in self._documents.get(table, [])]

    def close(self) -> None:
        self._file.close()

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise Damaged(f"{self.path.name} was cut while it was open.", "Open it again.")
        return data


def _pack(row: NDArray[Any], names: list[str]) -> bytes:
    packed = np.zeros(1, _narrow_dtype(row.dtype))
    for name in names:
        packed[name] = row[name]
    return packed.tobytes()


def _narrow_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    fields: list[Any] = [
        (name, dtype[name].base, dtype[name].shape) for name in dtype.names or () if name not in WIDE
    ]
    return np.dtype(fields)


def _first(plans: list[StreamPlan], record_type: RecordType) -> StreamPlan | None:
    return next((plan for plan in plans if plan.record_type == record_type), None)


def _numeric(plans: list[StreamPlan]) -> dict[str, StreamPlan]:
    """Streams of numbers per frame, by name."""
    wanted = {"seq": 0, "data": 1, "valid": 0}  # dimensions of one row of each
    return {
        plan.name: plan
        for plan in plans
        if plan.record_type == RecordType.SAMPLE
        and all(
            name in (plan.dtype.names or ()) and len(plan.dtype[name].shape) == sides
            for name, sides in wanted.items()
        )
    }


def _not_hdf5(path: Path, error: BaseException) -> NotASession | Damaged:
    with open(path, "rb") as file:
        is_hdf5 = file.read(8) == b"\x89HDF\r\n\x1a\n"
    if is_hdf5:
        return Damaged(
            f"{path.name} is damaged: HDF5 cannot open it.",
            "If its journal (.wmj) is still there, recover that.",
            repr(error),
        )
    return NotASession(
        f"{path.name} is not a session.", "Choose a .h5 or .wmj file this console wrote.", repr(error)
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

"""Builds one session file (.h5) from the records of one journal, in one pass, with bounded memory.

Knows the layout of session format, section 4, and nothing of processes, names or syncs: that is the fold's. Every group
exists in every file; one whose content this session does not have is valid and empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sessions import canonical, derive
from sessions.derive import ClockMap, Moment, StreamPlan
from sessions.h5_write import Blob, Table, attach_scales, write_scale, write_text, write_texts
from sessions.scan import JournalScan, Record
from sessions.schema import (
    FRAME_DATA,
    HEADER_JSON,
    MONITOR_COLUMNS,
    STEP_COLUMNS,
    STREAM_COLUMNS,
    STREAMLESS,
    Column,
    RecordType,
)
from sessions.schema_tables import ROLLOUT_LISTS, TABLES

EMPTY_SIZES = {"horizon": 0, "action_dim": 0, "embed_dim": 0, "n_signals": 0, "n_rules": 0}


class SessionFile:
    """An open, growing session file. `add` every record of the journal, then `finish`."""

    def __init__(self, path: Path, scan: JournalScan) -> None:
        self._scan = scan
        self._header = scan.header
        self._file: Any = h5py.File(path, "w", libver=("v110", "v110"))
        self._tables: dict[str, Table] = {}
        self._clock = ClockMap()
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._counts: dict[int, int] = {}
        self._first: Record | None = None
        self._last: Record | None = None
        self._end_seq = -1
        try:
            self._lay_out()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """May be called twice; without `finish` before it, the file is worthless."""
        if self._file:
            self._file.close()

    def add(self, record: Record) -> None:
        at = Moment(record.seq, record.t_mono_ns, record.t_wall_ns)
        self._tables["/integrity/chain"].append(
            {
                "seq": record.seq, "stream": record.stream, "type": record.type, "t_mono_ns": record.t_mono_ns,
                "t_wall_ns": record.t_wall_ns, "payload_length": len(record.payload),
                "salt": np.frombuffer(record.salt, np.uint8), "digest": np.frombuffer(record.digest, np.uint8),
                "link": np.frombuffer(record.link, np.uint8), "redaction": -1,
            }
        )  # fmt: skip
        if self._clock.is_row(record.t_mono_ns, record.t_wall_ns):
            self._tables["/header/clock"].append(
                {"t_mono_ns": record.t_mono_ns, "t_wall_ns": record.t_wall_ns}
            )
        self._counts[record.stream] = self._counts.get(record.stream, 0) + 1
        self._first = self._first or record
        self._last = record
        self._place(record, at)

    def _place(self, record: Record, at: Moment) -> None:
        stream = self._streams.get((record.stream, record.type))
        if stream is not None and stream.add(record):
            return
        if record.type == RecordType.END and self._end_seq < 0 and _is_text(record.payload):
            self._end_seq = record.seq
            write_text(self._file["integrity"], "end_json", record.payload, "the end record, canonical JSON")
            return
        is_json = record.type in STREAMLESS and record.type != RecordType.END
        rows = derive.rows_of(record.type, record.payload, at) if is_json else None
        if rows is None:
            self._keep_bytes(record)
            return
        for path, row in rows:
            self._tables[path].append(row)

    def _keep_bytes(self, record: Record) -> None:
        """A record this version cannot lay out: its bytes stay, so that the chain can still be checked."""
        offset = self._other.append(record.payload)
        self._tables["/integrity/other"].append(
            {"chain_seq": record.seq, "data_offset": offset, "data_length": len(record.payload)}
        )

    def finish(self) -> dict[str, Any]:
        """Write what is known only at the end, close the file, and return the facts the seal states."""
        scan, file = self._scan, self._file
        for item in scan.damage:
            row = asdict(item)
            row.update({name: min(int(row[name]), 2**64 - 1) for name in row if name != "cause"})
            self._tables["/integrity/damage"].append(row)
        for table in self._tables.values():
            table.finish()
        self._other.finish()
        for stream in self._streams.values():
            stream.finish()
        state = "sealed" if scan.has_end else "recovered"
        end = end_facts(scan.end_document, self._last)
        _set(file, derive.root_attributes(self._header, state))
        _set(file["header"], derive.header_attributes(self._header, end))
        integrity = file["integrity"]
        if self._end_seq < 0:
            write_text(integrity, "end_json", b"", "the end record; empty: the journal had none")
        integrity["end_json"].attrs["chain_seq"] = np.int64(self._end_seq)
        integrity.attrs["genesis"] = np.frombuffer(scan.genesis, np.uint8)
        integrity.attrs["head"] = np.frombuffer(scan.head, np.uint8)
        file.close()
        return {
            "session_id": str(self._header.get("session_id", "")),
            "chain_head": scan.head.hex(),
            "record_count": scan.n_records,
            "counts_per_stream": {str(number): count for number, count in sorted(self._counts.items())},
            "first_wall": self._first.t_wall_ns if self._first is not None else -1,
            "last_wall": self._last.t_wall_ns if self._last is not None else -1,
            "state": state,
        }

    def _lay_out(self) -> None:
        file, header = self._file, self._header
        for path, columns in TABLES.items():
            self._tables[path] = Table(file.require_group(path), columns, EMPTY_SIZES)
        self._other = Blob(
            file["/integrity/other"], Column("data", "uint8", "payloads, end to end", chunk=262144)
        )
        for name in HEADER_JSON:
            write_text(
                file["header"],
                f"{name}_json",
                canonical.encode(header.get(name)),
                f"{name} of the session, canonical JSON",
            )
        write_text(
            file["integrity"],
            "header_json",
            self._scan.header_json,
            "the journal's header, from which genesis is computed",
        )
        for name, text in ROLLOUT_LISTS.items():
            write_texts(file["rollouts"], name, [], text)
        _set(file["privacy"], derive.privacy_attributes(header))
        plans = derive.stream_plans(header)
        for plan in plans:
            group = file.create_group(f"/streams/{plan.name}")
            _set(group, derive.stream_attributes(plan.descriptor))
            self._streams[plan.number, plan.record_type] = _Stream(group, plan)
        self._add_empty_streams({plan.kind for plan in plans}, {plan.name for plan in plans})

    def _add_empty_streams(self, kinds: set[str], names: set[str]) -> None:
        """Streams this session does not have stand there all the same, without rows."""
        for kind, name, columns in (
            ("model", "model", STEP_COLUMNS),
            ("monitor", "monitor", MONITOR_COLUMNS),
        ):
            if kind in kinds or name in names:
                continue
            group = self._file.create_group(f"/streams/{name}")
            group.attrs["kind"] = kind
            scalars = [column for column in columns if kind == "monitor" or not column.shape]
            Table(group, scalars, EMPTY_SIZES).finish()
            if kind == "monitor":
                group.attrs["signal_names"] = np.array([], dtype=h5py.string_dtype("utf-8"))
                group.attrs["rule_json"] = np.array([], dtype=h5py.string_dtype("utf-8"))


class _Stream:
    """The group of one stream while it grows."""

    def __init__(self, group: Any, plan: StreamPlan) -> None:
        self._group = group
        self._plan = plan
        self._columns = stream_columns(plan)
        self._table = Table(group, self._columns, {})
        self._blob = Blob(group, FRAME_DATA) if plan.has_data else None
        self._crop: tuple[float, ...] | None = None

    def add(self, record: Record) -> bool:
        """False where the payload is not a row of this stream."""
        plan = self._plan
        if not plan.fits(len(record.payload)):
            return False
        one = np.frombuffer(record.payload, plan.dtype, 1)[0]
        n_data = len(record.payload) - plan.dtype.itemsize
        if plan.has_data and int(one["data_length"]) != n_data:
            return False
        row = {name: one[name] for name in plan.dtype.names or ()}
        row["chain_seq"] = record.seq
        if self._blob is not None:
            row["data_offset"] = self._blob.append(memoryview(record.payload)[plan.dtype.itemsize :])
        self._table.append(row)
        if self._crop is None and plan.kind == "model" and "crop" in row:
            self._crop = tuple(float(side) for side in row["crop"])
        return True

    def finish(self) -> None:
        self._table.finish()
        if self._blob is not None:
            self._blob.finish()
        if self._plan.kind == "model":
            self._write_scales()

    def _write_scales(self) -> None:
        plan, group = self._plan, self._group
        x, y, width, height = self._crop or (np.nan,) * 4
        rows, columns = plan.size("grid_h"), plan.size("grid_w")
        centre_y = y + (np.arange(rows) + 0.5) * height / max(1, rows)
        centre_x = x + (np.arange(columns) + 0.5) * width / max(1, columns)
        first = np.arange(plan.size("grid_t"), dtype=np.float64) * plan.size("tubelet")
        scales = {
            "grid_t": write_scale(group, "grid_t", first, "1", "first frame of the time step within the clip"),
            "grid_h": write_scale(group, "grid_h", centre_y, "pixel", "vertical centre of the token in the recorded frame"),
            "grid_w": write_scale(group, "grid_w", centre_x, "pixel", "horizontal centre of the token in the recorded frame"),
        }  # fmt: skip
        for name, text in (
            ("embed_dim", "feature index"),
            ("frames_per_clip", "position in the clip"),
            ("n_signals", "index into signal_names"),
        ):
            scales[name] = write_scale(group, name, np.arange(plan.size(name), dtype=np.int64), "1", text)
        known = [
            column
            for column in STEP_COLUMNS
            if column.name in group and _matches(group[column.name], column, scales)
        ]
        attach_scales(group, known, scales)


def stream_columns(plan: StreamPlan) -> list[Column]:
    """The columns of a stream's group: those of its descriptor, labelled where the schema knows them."""
    known = {column.name: column for column in STREAM_COLUMNS.get(plan.kind, ())}
    columns: list[Column] = []
    for name in plan.dtype.names or ():
        field = plan.dtype[name]
        like = known.get(name, Column(name, "", name))
        columns.append(
            Column(
                name,
                str(field.base.newbyteorder("=").name),
                like.long_name,
                like.units,
                field.shape,
                like.chunk,
                like.vocabulary,
            )
        )
    if plan.has_data:
        columns.append(
            known.get("data_offset", Column("data_offset", "uint64", "first byte in data", "byte"))
        )
    columns.append(Column("chain_seq", "uint64", "record number in /integrity/chain"))
    return columns


def end_facts(end_document: Mapping[str, Any] | None, last: Any) -> dict[str, Any]:
    """end_reason and the two clocks of the last record (anything with t_mono_ns and t_wall_ns, or None)."""
    reason = "recovered" if end_document is None else end_document.get("end_reason", "")
    return {
        "end_reason": reason,
        "end_mono_ns": last.t_mono_ns if last is not None else -1,
        "end_wall_ns": last.t_wall_ns if last is not None else -1,
    }


def _matches(dataset: Any, column: Column, scales: Mapping[str, Any]) -> bool:
    sizes = [
        scales[name].shape[0] if isinstance(name, str) and name in scales else None for name in column.shape
    ]
    return len(sizes) == dataset.ndim - 1 and all(
        size is None or size == have for size, have in zip(sizes, dataset.shape[1:])
    )


def _is_text(payload: bytes) -> bool:
    try:
        return "\0" not in payload.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _set(group: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if isinstance(value, list):
            value = np.array(value, dtype=h5py.string_dtype("utf-8"))
        group.attrs[name] = value

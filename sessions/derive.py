"""What follows from a record: the table rows a document becomes, the attributes a header becomes.

Pure functions, used by the fold to write and by the verifier to check, so that a quick column can never say other
than the document it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sessions import canonical, events
from sessions.schema import (
    FIELD_STATES,
    FORMAT,
    HEADER_NUMBERS,
    HEADER_TEXT,
    PRIVACY_TEXT,
    SOURCE_KINDS,
    RecordType,
    row_dtype,
)

UNKNOWN = 255  # of a closed uint8 vocabulary
CLOCK_ROW_NS = 10_000_000_000
CLOCK_STEP_NS = 1_000_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """The head of a record: its number and the two clocks."""

    seq: int
    t_mono_ns: int
    t_wall_ns: int


def rows_of(type_: int, payload: bytes, at: Moment) -> list[tuple[str, Row]] | None:
    """Table rows of a JSON record, the one that keeps its text first; None where it is not text HDF5 can hold."""
    try:
        text = payload.decode("utf-8")
        document = canonical.decode(text)
    except (UnicodeDecodeError, canonical.NotCanonical):
        return None
    if "\0" in text:
        return None
    plain_row: Row = {"chain_seq": at.seq, "json": payload}
    try:
        made = _rows(type_, document, at, plain_row)
    except (events.WrongEvent, KeyError, TypeError, ValueError, OverflowError):
        made = None  # a document of another version, or a broken one: kept as it is
    return made or [("/integrity/documents", plain_row)]


def _rows(type_: int, document: Any, at: Moment, plain_row: Row) -> list[tuple[str, Row]] | None:
    if type_ == RecordType.GAP:
        return [("/integrity/gaps", {**plain_row, **_gap(document)})]
    if type_ == RecordType.CHECKPOINT:
        return [("/integrity/checkpoints", {**plain_row, **_checkpoint(document)})]
    kind = document.get("document")
    if kind == "event":
        return [("/events", {**plain_row, **_event(document, at)})]
    if kind == "record":
        return [("/record", plain_row), *(("/record/fields", _field(row, at)) for row in document["fields"])]
    if kind == "change":
        return [("/changes", {**plain_row, **_change(document)})]
    return None


def _event(document: Mapping[str, Any], at: Moment) -> Row:
    event = events.parse_document(document)
    payload = event.payload
    severity = payload.get("severity_potential", -1)
    return {
        "event_id": text_of(event.id),
        "t_onset_mono_ns": int64(event.t_ns),
        "t_onset_wall_ns": int64(at.t_wall_ns - (at.t_mono_ns - event.t_ns)),
        "t_entered_mono_ns": int64(payload["t_entered_mono_ns"]),
        "kind": int(event.kind),
        "severity_potential": severity if isinstance(severity, int) and 0 <= severity <= 3 else UNKNOWN,
        "actor_id": text_of(payload["actor_id"]),
        "supersedes": text_of(payload.get("supersedes", "")),
    }


def _field(row: Mapping[str, Any], at: Moment) -> Row:
    return {
        "section": text_of(row["section"]),
        "field": text_of(row["field"]),
        "value_json": canonical.encode(row["value"]),
        "status": _index(FIELD_STATES, row["status"]),
        "source_kind": _index(SOURCE_KINDS, row["source_kind"]),
        "source_ref": text_of(row["source_ref"]),
        "asserted_by": text_of(row["asserted_by"]),
        "t_wall_ns": int64(row["t_wall_ns"]),
        "chain_seq": at.seq,
    }


def _change(document: Mapping[str, Any]) -> Row:
    return {
        "change_id": text_of(document["change_id"]),
        "t_wall_ns": int64(document["t_wall_ns"]),
        "component": text_of(document["component"]),
    }


def _gap(document: Mapping[str, Any]) -> Row:
    stream = int(document["stream"])
    if not 0 <= stream < 2**16:
        raise ValueError("stream number out of range")
    return {
        "stream": stream,
        "first_index": uint64(document["first_index"]),
        "last_index": uint64(document["last_index"]),
        "count": uint64(document["count"]),
        "reason": text_of(document["reason"]),
    }


def _checkpoint(document: Mapping[str, Any]) -> Row:
    return {
        "seq": uint64(document["seq"]),
        "link": text_of(document["link"]),
        "t_wall_ns": int64(document["t_wall_ns"]),
        "signature": text_of(document.get("signature", "")),
    }


# --- attributes ------------------------------------------------------------------------------------------------------


def root_attributes(header: Mapping[str, Any], state: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **{name: text_of(header.get(name, "")) for name in ("schema_version", "session_id", "created_utc", "producer", "notice")},
        "state": state,
        "parent_session_id": "",
        "parent_file_sha256": "",
    }  # fmt: skip


def header_attributes(header: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of /header; `end` holds end_reason, end_mono_ns and end_wall_ns."""
    values = {**header, **end}
    result: dict[str, Any] = {name: text_of(values.get(name, "")) for name in HEADER_TEXT}
    result["supervisors_json"] = json_text(header.get("supervisors", []))
    for name, dtype in HEADER_NUMBERS.items():
        number = values.get(name, -1)
        limits = np.iinfo(dtype)
        is_sound = isinstance(number, int) and limits.min <= number <= limits.max
        result[name] = np.dtype(dtype).type(number if is_sound else -1)
    return result


def privacy_attributes(header: Mapping[str, Any]) -> dict[str, Any]:
    privacy = header.get("privacy", {})
    privacy = privacy if isinstance(privacy, dict) else {}
    return {name: text_of(privacy.get(name, "")) for name in PRIVACY_TEXT}


def stream_attributes(stream: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a stream's group, from its line of the stream table."""
    given = stream.get("attributes", {})
    result: dict[str, Any] = {}
    for name, value in (given if isinstance(given, dict) else {}).items():
        name = text_of(name)
        if isinstance(value, str):
            result[name] = text_of(value)
        elif isinstance(value, bool):
            result[name] = np.uint8(value)  # HDF5 would make an enumeration of it
        elif isinstance(value, int):
            # JSON has no float type of its own: 30.0 comes back as 30, so a rate stays a float here
            result[name] = (
                np.float64(value) if name in _FLOATS else np.int64(max(-(2**63), min(value, 2**63 - 1)))
            )
        elif isinstance(value, float):
            result[name] = np.float64(value)
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            result[name] = [text_of(item) for item in value]
        elif isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
            result[name] = np.array(value, np.float64)
        else:
            result[name] = json_text(value)
    return result


_FLOATS = frozenset({"nominal_fps"})


# --- streams ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One line of the stream table, checked."""

    number: int
    name: str  # of its group
    kind: str
    record_type: int
    dtype: np.dtype[Any]  # packed layout of a payload's fixed row
    has_data: bool  # encoded bytes follow the row
    descriptor: Mapping[str, Any]

    def size(self, name: str) -> int:
        value = self.descriptor.get("attributes", {}).get(name, 0)
        return value if isinstance(value, int) else 0

    def fits(self, payload_length: int) -> bool:
        return (
            payload_length >= self.dtype.itemsize if self.has_data else payload_length == self.dtype.itemsize
        )


def stream_plans(header: Mapping[str, Any]) -> list[StreamPlan]:
    """The usable streams of a header. One that cannot be laid out is left out; its records are kept as bytes."""
    plans: list[StreamPlan] = []
    table = header.get("streams", [])
    for stream in table if isinstance(table, list) else []:
        try:
            plan = _plan(stream)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            continue
        if plan.number not in {other.number for other in plans} and plan.name not in {
            other.name for other in plans
        }:
            plans.append(plan)
    return plans


LARGEST_ROW = 64 << 20


def _plan(stream: Mapping[str, Any]) -> StreamPlan:
    n_bytes = 0
    for column in stream["columns"]:
        count = 8
        for side in column["shape"]:
            if not 0 <= int(side) <= LARGEST_ROW:
                raise ValueError("a column is too wide")
            count *= int(side)
        n_bytes += count
        if n_bytes > 8 * LARGEST_ROW:
            raise ValueError("a row is too wide")
    dtype = row_dtype(stream["columns"])
    if not 0 < dtype.itemsize <= LARGEST_ROW:
        raise ValueError("a row is too wide")
    number, name = int(stream["number"]), str(stream["name"])
    if not 0 < number < 2**16:
        raise ValueError("stream number out of range")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        name = f"stream_{number}"
    has_data = "data" in stream
    if has_data and "data_length" not in (dtype.names or ()):
        raise ValueError("a stream with data needs data_length")
    reserved = {"data_offset", "chain_seq"} | ({"data"} if has_data else set())
    if set(dtype.names or ()) & reserved:
        raise ValueError("a reserved column name")
    return StreamPlan(number, name, str(stream["kind"]), int(stream["record_type"]), dtype, has_data, stream)


class ClockMap:
    """Which records become a row of /header/clock: one per 10 s, and one at every step of the wall clock."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._offset = 0

    def is_row(self, t_mono_ns: int, t_wall_ns: int) -> bool:
        offset = t_wall_ns - t_mono_ns
        due = (
            self._last is None
            or t_mono_ns - self._last[0] >= CLOCK_ROW_NS
            or abs(offset - self._offset) > CLOCK_STEP_NS
        )
        if due:
            self._last, self._offset = (t_mono_ns, t_wall_ns), offset
        return due


# --- small -----------------------------------------------------------------------------------------------------------


def text_of(value: Any) -> str:
    """Text HDF5 can hold: no NUL, no half surrogate pair."""
    return canonical.mended(value if isinstance(value, str) else str(value)).replace("\0", "")


def json_text(value: Any) -> str:
    return canonical.encode(canonical.plain(value)).decode("utf-8")


def int64(value: Any) -> int:
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("a time does not fit 64 bits")
    return number


def uint64(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 2**64:
        raise ValueError("a count does not fit 64 bits")
    return number


def _index(vocabulary: tuple[str, ...], word: Any) -> int:
    return vocabulary.index(word) if word in vocabulary else UNKNOWN

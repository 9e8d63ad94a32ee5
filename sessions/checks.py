"""Checks a session file against itself: the chain, every payload, and everything that was derived from them.

Reads in pieces, so that memory stays bounded whatever the file claims. Finds; `verify` judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, Damaged, NotASession
from sessions import canonical, derive
from sessions.chain import BLOCK, MOST_NOTED, Chain, Findings
from sessions.derive import ClockMap, Moment, StreamPlan
from sessions.journal import CORE, genesis_of, link_of
from sessions.payload_checks import Payloads, short
from sessions.scan import check_version
from sessions.schema import FORMAT, HEADER_JSON, Column, RecordType
from sessions.schema_tables import TABLES
from sessions.session_file import end_facts, stream_columns

DOCUMENT_TABLES = (
    "/events",
    "/record",
    "/changes",
    "/integrity/gaps",
    "/integrity/checkpoints",
    "/integrity/documents",
)

Tell = Callable[[float], None]


def check_session(file: Any, tell: Tell, cancel: CancelToken) -> Findings:
    """All checks. Raises Damaged, NotASession or NewerSchema where the file cannot be interpreted at all."""
    if _text(file.attrs.get("format", "")) != FORMAT:
        raise NotASession(
            f"{file.filename} is not a session file.", "Choose a .h5 or .wmj file this console wrote."
        )
    check_version(_text(file.attrs.get("schema_version", "")), Path(file.filename))
    integrity = file["integrity"]
    header_json = _bytes(integrity["header_json"][()])
    try:
        header = canonical.decode(header_json)
        if not isinstance(header, dict):
            raise canonical.NotCanonical("not an object")
    except canonical.NotCanonical as error:
        raise Damaged(
            "The header inside the file is not readable.", "The file was damaged or changed.", str(error)
        ) from error
    findings = Findings(
        state=_text(file.attrs.get("state", "")), session_id=str(header.get("session_id", ""))
    )
    chain = Chain(integrity["chain"])
    findings.n_records = chain.n
    _Checker(file, header, header_json, chain, findings, tell, cancel).run()
    return findings


class _Checker:
    def __init__(
        self,
        file: Any,
        header: dict[str, Any],
        header_json: bytes,
        chain: Chain,
        findings: Findings,
        tell: Tell,
        cancel: CancelToken,
    ) -> None:
        self._file = file
        self._header = header
        self._header_json = header_json
        self._chain = chain
        self._found = findings
        self._tell = tell
        self._cancel = cancel
        self._payloads = Payloads(chain, findings, tell, cancel)
        self._derived: dict[str, _Cursor] = {}

    def run(self) -> None:
        self._guarded("/integrity/damage", self._check_damage_table)
        self._guarded("/integrity/chain", self._check_links)
        for plan in derive.stream_plans(self._header):
            self._guarded(f"/streams/{plan.name}", self._check_stream, plan)
        for path in DOCUMENT_TABLES:
            self._guarded(path, self._check_documents, path)
        self._guarded("/integrity/other", self._check_other)
        end = self._guarded("/integrity/end_json", self._check_end)
        for path, cursor in self._derived.items():
            if cursor.position != cursor.n_rows:
                self._found.alter(0, f"{path} has rows that no document stands behind")
        if end is not None:
            self._guarded("/header", self._check_attributes, end)
        self._guarded("/integrity/chain", self._check_unseen)
        self._guarded("/", self._check_labels)

    def _guarded(self, path: str, check: Callable[..., Any], *arguments: Any) -> Any:
        """A part that cannot be read at all is damage, and the other parts are still checked."""
        try:
            return check(*arguments)
        except (Cancelled, MemoryError):
            raise
        except (
            OSError,
            RuntimeError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            OverflowError,
        ) as error:
            # h5py turns damage of a file's structure into any of these, depending on where it lies
            unseen = np.flatnonzero(~self._payloads.is_seen)
            seq = int(self._chain.seq[unseen[0]]) if len(unseen) else 0
            self._found.damage(seq, f"{path} cannot be read ({short(error)})")
            return None

    # --- the chain ------------------------------------------------------------------------------------------------

    def _check_damage_table(self) -> None:
        table = self._file["/integrity/damage"]
        for row in range(min(table["cause"].shape[0], MOST_NOTED)):
            numbers = [
                int(table[name][row]) for name in ("byte_first", "byte_count", "seq_first", "seq_count")
            ]
            self._found.note_damage(_text(table["cause"][row]), *numbers)

    def _check_links(self) -> None:
        """Recompute every link from genesis; where records were lost the chain can only be taken up again."""
        chain, found = self._chain, self._found
        genesis = genesis_of(self._header_json)
        attributes = self._file["integrity"].attrs
        if bytes(attributes["genesis"]) != genesis:
            found.alter(0, "the header is not the one the chain begins with")
        previous, expected, clock = genesis, 0, ClockMap()
        rows: list[tuple[int, int]] = []
        for row in range(chain.n):
            if row % BLOCK == 0:
                self._cancel.check()
                self._tell(0.2 * row / max(1, chain.n))
            one = chain.at(row)
            seq, link = int(one["seq"]), bytes(one["link"])
            digest = bytes(one["digest"])
            mono, wall = int(one["t_mono_ns"]), int(one["t_wall_ns"])
            core = CORE.pack(seq, one["stream"], one["type"], mono, wall, one["payload_length"], digest)
            if link != link_of(previous, core) and seq not in found.altered:
                if seq == expected:
                    found.alter(seq, "its link does not follow from the record before")
                elif not any(first <= seq for first in found.damaged):
                    found.alter(expected, "records are missing and no damage is stated")
            if clock.is_row(mono, wall):
                rows.append((mono, wall))
            previous, expected = link, seq + 1
        if bytes(attributes["head"]) != previous:
            found.alter(max(0, expected - 1), "the stated head is not the end of the chain")
        found.head = previous.hex()
        self._check_clock(rows)

    def _check_clock(self, rows: Sequence[tuple[int, int]]) -> None:
        table = self._file["/header/clock"]
        stated = list(zip(table["t_mono_ns"][:].tolist(), table["t_wall_ns"][:].tolist()))
        if stated != list(rows):
            self._found.alter(0, "the clock table of the header does not follow from the records")

    # --- payloads ---------------------------------------------------------------------------------------------------

    def _check_stream(self, plan: StreamPlan) -> None:
        path = f"/streams/{plan.name}"
        group = self._file.get(path)
        if group is None:
            self._found.alter(0, f"{path} is missing")
            return
        self._same_attributes(group.attrs, derive.stream_attributes(plan.descriptor), path)
        self._payloads.check_stream(plan, group, path)

    def _check_documents(self, path: str) -> None:
        group, columns = self._file[path], TABLES[path]
        if len({group[column.name].shape[0] for column in columns}) != 1:
            self._found.alter(0, f"the columns of {path} have different lengths")
            return
        for row in range(group["json"].shape[0]):
            try:
                stored = _row(group, columns, row)
            except (OSError, RuntimeError) as error:
                self._found.damage(
                    self._payloads.seq_at(group, row), f"row {row} of {path} cannot be read ({short(error)})"
                )
                self._payloads.mark(group, row, row + 1)
                continue
            seq = int(stored["chain_seq"])
            payload = stored["json"]
            if self._payloads.check(seq, None, payload, f"{path} row {row}"):
                self._check_derived(path, stored, seq, payload)

    def _check_derived(self, path: str, stored: Mapping[str, Any], seq: int, payload: bytes) -> None:
        one = self._chain.at(self._chain.row_of(seq))
        at = Moment(seq, int(one["t_mono_ns"]), int(one["t_wall_ns"]))
        rows = derive.rows_of(int(one["type"]), payload, at) or []
        if not rows or rows[0][0] != path:
            self._found.alter(seq, f"it does not belong into {path}")
            return
        if not _same_row(stored, rows[0][1]):
            self._found.alter(seq, f"a column of {path} says other than the document")
        for other, row in rows[1:]:
            cursor = self._derived.setdefault(other, _Cursor(self._file[other], TABLES[other]))
            if not cursor.matches(row):
                self._found.alter(seq, f"a row of {other} says other than the document")

    def _check_other(self) -> None:
        group = self._file["/integrity/other"]
        for row in range(group["chain_seq"].shape[0]):
            seq, offset, length = (
                int(group[name][row]) for name in ("chain_seq", "data_offset", "data_length")
            )
            data = self._payloads.read_data(group["data"], offset, length, seq, "/integrity/other")
            if data is not None:
                self._payloads.check(seq, None, data, "/integrity/other")

    def _check_end(self) -> dict[str, Any]:
        dataset = self._file["/integrity/end_json"]
        payload, seq = _bytes(dataset[()]), int(dataset.attrs["chain_seq"])
        last = None
        if self._chain.n:
            one = self._chain.at(self._chain.n - 1)
            last = Moment(int(one["seq"]), int(one["t_mono_ns"]), int(one["t_wall_ns"]))
        if seq < 0:
            return end_facts(None, last)
        document: Any = {}
        if self._payloads.check(seq, RecordType.END, payload, "the end record"):
            try:
                document = canonical.decode(payload)
            except canonical.NotCanonical:
                document = {}
        return end_facts(document if isinstance(document, dict) else {}, last)

    def _check_unseen(self) -> None:
        """A record without payload must have an authorised redaction."""
        for row in np.flatnonzero(~self._payloads.is_seen)[:MOST_NOTED]:
            one = self._chain.at(int(row))
            redaction = int(one["redaction"])
            if 0 <= redaction < self._file["/privacy/redactions/redaction_id"].shape[0]:
                self._found.redactions += 1
            else:
                self._found.alter(int(one["seq"]), "its payload is gone and no redaction accounts for it")

    # --- what stands outside the records ----------------------------------------------------------------------------

    def _check_attributes(self, end: Mapping[str, Any]) -> None:
        header, file = self._header, self._file
        state = _text(file.attrs.get("state", ""))
        if state in ("sealed", "recovered"):
            state = "recovered" if end["end_reason"] == "recovered" else "sealed"
        self._same_attributes(file.attrs, derive.root_attributes(header, state), "/")
        self._same_attributes(file["header"].attrs, derive.header_attributes(header, end), "/header")
        self._same_attributes(file["privacy"].attrs, derive.privacy_attributes(header), "/privacy")
        for name in HEADER_JSON:
            if _bytes(file[f"/header/{name}_json"][()]) != canonical.encode(header.get(name)):
                self._found.alter(0, f"/header/{name}_json says other than the header")

    def _same_attributes(self, have: Any, want: Mapping[str, Any], path: str) -> None:
        for name, value in want.items():
            stored = have.get(name)
            if isinstance(value, list):
                same = stored is not None and [_text(item) for item in np.atleast_1d(stored)] == value
            elif isinstance(value, str):
                same = stored is not None and _text(stored) == value
            else:
                same = stored is not None and np.array_equal(stored, value)
            if not same:
                self._found.alter(0, f"the attribute {name} of {path} says other than the header")

    def _check_labels(self) -> None:
        """Units and names are not in the chain, but the schema knows what they must be."""
        for path, columns in TABLES.items():
            for column in columns:
                attributes = self._file[path][column.name].attrs
                if (
                    _text(attributes.get("units", "")) != column.units
                    or _text(attributes.get("long_name", "")) != column.long_name
                ):
                    self._found.alter(0, f"the labels of {path}/{column.name} were changed")
        for plan in derive.stream_plans(self._header):
            for column in stream_columns(plan):
                attributes = self._file[f"/streams/{plan.name}"][column.name].attrs
                if _text(attributes.get("units", "")) != column.units:
                    self._found.alter(0, f"the units of /streams/{plan.name}/{column.name} were changed")


class _Cursor:
    """Walks a derived table beside the documents that its rows come from."""

    def __init__(self, group: Any, columns: Sequence[Column]) -> None:
        self._group = group
        self._columns = columns
        self.position = 0
        self.n_rows = min(group[column.name].shape[0] for column in columns)
        self._piece: dict[str, Any] = {}
        self._first = -1

    def matches(self, row: Mapping[str, Any]) -> bool:
        if self.position >= self.n_rows:
            return False
        first = self.position - self.position % 256
        if first != self._first:
            self._piece = {c.name: self._group[c.name][first : first + 256] for c in self._columns}
            self._first = first
        stored = {name: values[self.position - first] for name, values in self._piece.items()}
        self.position += 1
        return _same_row(stored, row)


def _row(group: Any, columns: Sequence[Column], row: int) -> dict[str, Any]:
    return {column.name: group[column.name][row] for column in columns}


def _same_row(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    for name, value in wanted.items():
        have = stored[name]
        if isinstance(have, bytes):
            value = value if isinstance(value, bytes) else str(value).encode("utf-8")
            if have != value:
                return False
        elif int(have) != int(value):
            return False
    return True


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

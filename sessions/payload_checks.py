"""Checks payloads: rebuilt from columns, digested with their salt, compared with their record.

Knows how a stream's rows and its encoded bytes become payloads again. What HDF5's own checksums refuse is narrowed down
to the first bad row, so that a verdict can name a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jepa_core.clock import CancelToken
from sessions.chain import Chain, Findings
from sessions.derive import StreamPlan
from sessions.journal import LARGEST_PAYLOAD, digest_of
from sessions.session_file import stream_columns

PIECE_BYTES = 8 << 20  # payload bytes read together

UNREADABLE = (OSError, RuntimeError)
"""What h5py raises for a chunk or a text it cannot read."""


class Payloads:
    """Which records have been accounted for, and what was wrong with them."""

    def __init__(
        self, chain: Chain, found: Findings, tell: Callable[[float], None], cancel: CancelToken
    ) -> None:
        self.chain = chain
        self.found = found
        self.is_seen = np.zeros(chain.n, bool)
        self._tell = tell
        self._cancel = cancel
        self._n_seen = 0

    def check(self, seq: int, type_: int | None, payload: bytes, where: str) -> bool:
        """Check one rebuilt payload against its record; True if it is what was recorded."""
        row = self.chain.row_of(seq)
        if row < 0 or self.is_seen[row]:
            self.found.alter(
                seq, f"{where} names a record that {'has another payload' if row >= 0 else 'is not there'}"
            )
            return False
        one = self.chain.at(row)
        self.is_seen[row] = True
        self._n_seen += 1
        if self._n_seen % 1024 == 0:
            self._cancel.check()
            self._tell(0.2 + 0.8 * self._n_seen / max(1, self.chain.n))
        if int(one["redaction"]) >= 0:
            self.found.redactions += 1
            return False
        if type_ is not None and int(one["type"]) != type_:
            self.found.alter(seq, f"{where} holds a record of another type")
            return False
        if int(one["payload_length"]) != len(payload) or digest_of(bytes(one["salt"]), payload) != bytes(
            one["digest"]
        ):
            self.found.alter(seq, f"{where} is not what was recorded")
            return False
        return True

    def mark(self, group: Any, first: int, last: int) -> None:
        """Records behind rows that cannot be read are damaged, not missing."""
        for row in range(first, last):
            at = self.chain.row_of(self.seq_at(group, row))
            if at >= 0:
                self.is_seen[at] = True

    def seq_at(self, group: Any, row: int) -> int:
        try:
            return int(group["chain_seq"][row])
        except UNREADABLE:
            return 0

    def check_stream(self, plan: StreamPlan, group: Any, path: str) -> None:
        """Every row of one stream."""
        names = [column.name for column in stream_columns(plan)]
        n_rows = {group[name].shape[0] for name in names}
        if len(n_rows) != 1:
            self.found.alter(0, f"the columns of {path} have different lengths")
            return
        step = max(1, min(2048, PIECE_BYTES // plan.dtype.itemsize))
        offset = 0
        for first, last in _pieces(n_rows.pop(), step):
            columns = self._read_rows(group, names, first, last, path)
            if columns is None:
                continue
            offset = self._check_rows(plan, group, columns, offset, path)

    def _read_rows(
        self, group: Any, names: Sequence[str], first: int, last: int, path: str
    ) -> dict[str, Any] | None:
        """Columns of some rows; what HDF5's own checksum refuses is narrowed down to the first bad row."""
        try:
            return {name: group[name][first:last] for name in names}
        except UNREADABLE as error:
            for row in range(first, last):
                for name in names:
                    try:
                        group[name][row]
                    except UNREADABLE:
                        self.found.damage(
                            self.seq_at(group, row),
                            f"row {row} of {path}/{name} cannot be read ({short(error)})",
                        )
                        self.mark(group, row, last)
                        return None
            return None

    def _check_rows(
        self, plan: StreamPlan, group: Any, columns: Mapping[str, Any], offset: int, path: str
    ) -> int:
        rows = np.zeros(len(columns["chain_seq"]), plan.dtype)
        for name in plan.dtype.names or ():
            rows[name] = columns[name]
        for row, seq in enumerate(columns["chain_seq"]):
            payload = rows[row : row + 1].tobytes()
            if plan.has_data:
                length = int(columns["data_length"][row])
                if int(columns["data_offset"][row]) != offset:
                    self.found.alter(seq, f"{path}/data_offset does not follow from the rows before")
                data = self.read_data(group["data"], offset, length, int(seq), path)
                offset += length
                if data is None:
                    continue
                payload += data
            self.check(int(seq), plan.record_type, payload, f"{path} row")
        return offset

    def read_data(self, data: Any, offset: int, length: int, seq: int, path: str) -> bytes | None:
        if length > LARGEST_PAYLOAD or offset + length > data.shape[0]:
            self.found.alter(seq, f"{path}/data is shorter than its rows say")
            return None
        try:
            return bytes(data[offset : offset + length].tobytes())
        except UNREADABLE as error:
            self.found.damage(seq, f"its bytes in {path}/data cannot be read ({short(error)})")
            if (row := self.chain.row_of(seq)) >= 0:
                self.is_seen[row] = True
            return None


def short(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _pieces(count: int, step: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, step):
        yield first, min(first + step, count)

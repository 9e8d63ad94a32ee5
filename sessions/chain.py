"""The chain of a session file, read in blocks, and what a check of it found.

Plain data for `checks.py`, which looks, and `verify.py`, which judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import Damaged

BLOCK = 16384  # chain rows looked at together
MOST_NOTED = 10_000


@dataclass(slots=True)
class Findings:
    """Everything found, by record number."""

    n_records: int = 0
    head: str = ""
    state: str = ""
    session_id: str = ""
    redactions: int = 0
    damaged: dict[int, str] = field(default_factory=dict)
    altered: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def alter(self, seq: int, why: str) -> None:
        if len(self.altered) < MOST_NOTED:
            self.altered.setdefault(int(seq), why)

    def damage(self, seq: int, why: str) -> None:
        if len(self.damaged) < MOST_NOTED:
            self.damaged.setdefault(int(seq), why)

    def note_damage(
        self, cause: str, byte_first: int, byte_count: int, seq_first: int, seq_count: int
    ) -> None:
        """One row of /integrity/damage, or of a scan."""
        where = f"bytes {byte_first} to {byte_first + max(1, byte_count) - 1} of the journal"
        if cause == "torn_tail":
            self.notes.append(
                f"{where} were cut off in the middle of a record (torn tail); nothing confirmed was in them"
            )
        elif cause == "damaged":
            self.damage(seq_first, f"{where} are damaged, {seq_count} records lost")
        elif cause == "not_linked":
            self.alter(seq_first, "its link does not follow from the record before")
        else:
            self.alter(seq_first, "its payload is not the one that was digested")


class Chain:
    """/integrity/chain, read in blocks."""

    def __init__(self, group: Any) -> None:
        self._columns = {
            name: group[name]
            for name in (
                "seq",
                "stream",
                "type",
                "t_mono_ns",
                "t_wall_ns",
                "payload_length",
                "salt",
                "digest",
                "link",
                "redaction",
            )
        }
        lengths = {dataset.shape[0] for dataset in self._columns.values()}
        if len(lengths) != 1:
            raise Damaged("The columns of the chain have different lengths.", "The file was changed or cut.")
        self.n = int(lengths.pop())
        self.seq: NDArray[np.uint64] = self._columns["seq"][:]
        if self.n and not np.all(self.seq[1:] > self.seq[:-1]):
            raise Damaged("The record numbers of the chain do not grow.", "The file was changed.")
        self._block = -1
        self._rows: dict[str, NDArray[Any]] = {}

    def row_of(self, seq: int) -> int:
        """Row of a record number, −1 when there is none."""
        row = int(np.searchsorted(self.seq, np.uint64(seq)))
        return row if row < self.n and int(self.seq[row]) == seq else -1

    def at(self, row: int) -> dict[str, Any]:
        """One row; neighbours come from memory."""
        block, offset = divmod(row, BLOCK)
        if block != self._block:
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            self._rows = {name: dataset[part] for name, dataset in self._columns.items()}
            self._block = block
        return {name: values[offset] for name, values in self._rows.items()}

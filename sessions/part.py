"""One journal while it is being written: counts rows, maps frame numbers to rows, reports what was lost.

Belongs to the recorder thread. A row that could not be kept is never silent: `lose` counts it into a run, and the run
becomes a gap record.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.clock import Clock
from jepa_core.types import JSON
from sessions import canonical, codec, derive
from sessions.disk import Disk
from sessions.header import SessionHeader
from sessions.journal import JournalWriter
from sessions.record_fields import record_document
from sessions.schema import ACTION_STREAM, CAMERA_STREAM, MODEL_STREAM, STATE_STREAM, RecordType

if TYPE_CHECKING:
    from sessions.rows import FrameRow, StepRow

ROWS_REMEMBERED = 65536  # frame numbers whose row is known; a clip reaches back seconds, not hours


@dataclass(slots=True)
class _Run:
    """Consecutive losses of one stream for one reason."""

    first: int
    last: int
    count: int
    reason: str


class Part:
    """Writes the rows of one part. OSErrors of the journal pass through to the recorder, which decides."""

    def __init__(
        self, path: Path, header: SessionHeader, *, clock: Clock, disk: Disk, previous: Part | None = None
    ) -> None:
        """Create the journal and its first document. OSError, and then no file stays.

        previous    the part before, whose losses that no gap record told of are told here
        """
        self.path = path
        self.header = header
        self.model = header.model
        self.journal = JournalWriter(path, header.to_bytes(), clock=clock, disk=disk)
        self.frames = 0
        self.steps = 0
        self.lost = 0  # rows without payload, and frames without a row
        self.last_checkpoint_ns = clock.now_ns()
        self._clock = clock
        self._row_of_seq: OrderedDict[int, int] = OrderedDict()
        goes_on = previous is not None and previous.header.camera == header.camera
        self._last_index: int | None = previous._last_index if previous is not None and goes_on else None
        self._runs: dict[int, _Run] = dict(previous._runs) if previous is not None and goes_on else {}
        plans = derive.stream_plans(header.to_json())
        self._dtypes = {plan.number: plan.dtype for plan in plans}
        try:
            self.journal.append_document(RecordType.DOCUMENT, record_document(header, clock.wall_ns()))
            self.journal.sync()
        except OSError:
            self.journal.close()
            disk.remove(path)
            raise

    def write_frame(self, row: FrameRow) -> None:
        self._note_jump(row.index)
        if not row.encoded:
            self._count(CAMERA_STREAM, row.index, "queue_full")
        else:
            self._report(CAMERA_STREAM)
        self.journal.append(CAMERA_STREAM, RecordType.FRAME, self._frame_payload(row))
        self._write_numbers(row)
        self._last_index = row.index
        self._row_of_seq[row.seq] = self.frames
        if len(self._row_of_seq) > ROWS_REMEMBERED:
            self._row_of_seq.popitem(last=False)
        self.frames += 1

    def write_step(self, row: StepRow) -> None:
        assert self.model is not None
        payload = codec.step_row(
            self._dtypes[MODEL_STREAM], row.inspection, step=self.steps, row_of_seq=self._row_of_seq,
            signal_names=self.model.signal_names, has_payload=row.has_payload,
        )  # fmt: skip
        if not row.has_payload:
            self._count(MODEL_STREAM, row.inspection.step, "queue_full")
        else:
            self._report(MODEL_STREAM)
        self.journal.append(MODEL_STREAM, RecordType.STEP, payload.tobytes())
        self.steps += 1

    def lose(self, row: FrameRow | StepRow, reason: str) -> None:
        """A row that will not be written at all. The gap record follows when the run ends, or at the next sync."""
        inspection = getattr(row, "inspection", None)
        if inspection is not None:
            self._count(MODEL_STREAM, inspection.step, reason)
            return
        index = int(row.index)  # type: ignore[union-attr]
        self._note_jump(index)
        self._count(CAMERA_STREAM, index, reason)
        self._last_index = index

    def report_gaps(self) -> None:
        """Write a gap record for every run so far. OSError leaves what is not written for the next time."""
        for stream in list(self._runs):
            self._report(stream)

    def checkpoint(self) -> None:
        self.last_checkpoint_ns = self._clock.now_ns()
        self.report_gaps()
        self.journal.checkpoint()

    def end(self, reason: str) -> None:
        """The last records, on the medium when this returns."""
        self.report_gaps()
        self.journal.end(reason)
        self.journal.sync()

    def _frame_payload(self, row: FrameRow) -> bytes:
        fixed = np.zeros(1, self._dtypes[CAMERA_STREAM])
        one = fixed[0]
        mono_ns, wall_ns = self._clock.now_ns(), self._clock.wall_ns()
        one["seq"], one["capture_index"] = row.seq, row.index
        one["t_capture_mono_ns"], one["t_capture_wall_ns"] = row.t_ns, wall_ns - (mono_ns - row.t_ns)
        one["t_capture_error_ns"], one["t_received_mono_ns"] = row.error_ns, row.received_ns
        one["source_pts_ns"], one["flags"] = row.pts_ns, row.flags
        one["data_length"], one["decoded_crc32"] = len(row.encoded), row.decoded_crc32
        return fixed.tobytes() + row.encoded

    def _write_numbers(self, row: FrameRow) -> None:
        """What the source tells of the body at this frame: a row in each stream of it, also where it tells nothing."""
        for stream, values in ((ACTION_STREAM, row.action), (STATE_STREAM, row.state)):
            if stream not in self._dtypes:
                continue
            fixed = np.zeros(1, self._dtypes[stream])
            one = fixed[0]
            is_known = values is not None and values.shape == one["data"].shape
            one["t_mono_ns"], one["seq"], one["valid"] = row.t_ns, row.seq, is_known
            one["data"] = values if is_known else np.nan
            self.journal.append(stream, RecordType.SAMPLE, fixed.tobytes())

    def _note_jump(self, index: int) -> None:
        """Frames of the source between the last row and this one were never handed over."""
        if self._last_index is not None and index > self._last_index + 1:
            self._report(CAMERA_STREAM)
            missing = index - self._last_index - 1
            self.lost += missing
            self._runs[CAMERA_STREAM] = _Run(self._last_index + 1, index - 1, missing, "not_received")
            self._last_index = index - 1  # told once, even if writing this frame fails and it is lost too

    def _count(self, stream: int, index: int, reason: str) -> None:
        self.lost += 1
        run = self._runs.get(stream)
        if run is not None and run.reason == reason:
            run.last, run.count = index, run.count + 1
            return
        if run is not None:
            self._report(stream)
        self._runs[stream] = _Run(index, index, 1, reason)

    def _report(self, stream: int) -> None:
        run = self._runs.get(stream)
        if run is None:
            return
        document: dict[str, JSON] = {
            "stream": stream,
            "first_index": run.first,
            "last_index": run.last,
            "count": run.count,
            "reason": run.reason,
        }
        self.journal.append(0, RecordType.GAP, canonical.encode(document))
        del self._runs[stream]

"""What travels to the recorder and what it says of itself: rows, settings, status.

Frozen, and free of files and threads. A row knows what it weighs and how to let go of its payload, so that a full
queue costs pixels and never rows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jepa_core.types import Inspection
from sessions.streams import CameraStream, ModelStream


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """How a recording behaves. Times in seconds, sizes in bytes."""

    queue_bytes: int = 256 << 20  # pixels and looks that may wait for the disk
    sync_s: float = 0.5  # streams are on the medium at most twice this after they were written
    checkpoint_s: float = 5.0
    part_s: float = 3600.0
    part_bytes: int = 8 << 30
    reserve_bytes: int = 64 << 20
    start_s: float = 600.0  # refuse to start with less space than this lasts
    warn_s: float = 600.0
    stop_frames_s: float = 120.0
    fallback_directory: Path | None = None  # where a recording goes on when its own volume fails
    deadline_s: float = 10.0


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame as it is recorded: its row, and the picture file everybody saw decoded."""

    seq: int
    index: int
    t_ns: int
    received_ns: int
    error_ns: int
    pts_ns: int
    encoded: bytes
    decoded_crc32: int
    flags: int = 0
    action: NDArray[np.float32] | None = None  # as in Frame
    state: NDArray[np.float32] | None = None

    @property
    def nbytes(self) -> int:
        return len(self.encoded)  # its numbers weigh nothing beside it, and stay with the row

    def without_payload(self) -> FrameRow:
        return dataclasses.replace(self, encoded=b"")


@dataclass(frozen=True, slots=True)
class StepRow:
    """One look as it is recorded; without payload its tokens are let go and its scalars stay."""

    inspection: Inspection
    has_payload: bool = True

    @property
    def nbytes(self) -> int:
        look = self.inspection
        regions = look.regions.nbytes if look.regions is not None else 0
        return 5 * look.error.size + look.pooled.nbytes + regions if self.has_payload else 0

    def without_payload(self) -> StepRow:
        return dataclasses.replace(self, has_payload=False)


@dataclass(frozen=True, slots=True)
class NewStreams:
    """From here on the recording has these streams: a new part, at this place in the order of rows."""

    camera: CameraStream | None  # None: as before
    model: ModelStream | None
    keeps_model: bool = False

    @property
    def nbytes(self) -> int:
        return 0

    def without_payload(self) -> NewStreams:
        return self


Row = FrameRow | StepRow | NewStreams


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """Numbers of now, gathered without asking the disk."""

    session_id: str
    journal: Path
    part: int  # from 1
    state: str  # "idle" | "recording" | "frames_stopped" | "failed" | "stopped"
    frames: int
    steps: int
    events: int
    gaps: int  # rows without payload and frames without a row
    bytes: int
    queue_bytes: int
    queue_rows: int
    unsaved_events: int
    synced_age_ns: (
        int  # since everything that waits or was written was last known to be on the medium, -1 idle
    )
    disk_free: int
    disk_seconds: float  # until the disk is full at the present rate, -1 unknown

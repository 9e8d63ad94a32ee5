"""What the pipeline tells its listeners. Plain facts, small and frozen; the window and the headless run hear the same.

Frames and inspections do not travel here: they wait in the pipeline's LatestSlots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jepa_core.errors import ConsoleError, GaveWay
from jepa_core.types import JSON, CheckpointInfo, Event, LoadReport, MaskRule, SourceInfo


@dataclass(frozen=True, slots=True)
class SourceOpened:
    info: SourceInfo


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """It could not be opened, or it was lost."""

    uri: str
    error: ConsoleError


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A file came to its end; it can still be sought."""

    info: SourceInfo


@dataclass(frozen=True, slots=True)
class SourceClosed:
    pass


@dataclass(frozen=True, slots=True)
class TransportChanged:
    is_playing: bool
    speed: float
    every_frame: bool


@dataclass(frozen=True, slots=True)
class CheckpointExamining:
    path: str
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class CheckpointExamined:
    """Exactly one of info and error, or cancelled. The error of a refused file carries its report too."""

    path: str
    info: CheckpointInfo | None
    report: LoadReport | None
    error: ConsoleError | None = None
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class CheckpointLoading:
    path: str
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class CheckpointLoaded:
    info: CheckpointInfo
    report: LoadReport


@dataclass(frozen=True, slots=True)
class CheckpointRefused:
    path: str
    error: ConsoleError  # CheckpointError.report says why, tensor by tensor


@dataclass(frozen=True, slots=True)
class CheckpointUnloaded:
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class MaskChanged:
    rule: MaskRule


@dataclass(frozen=True, slots=True)
class EngineLost:
    reason: str


@dataclass(frozen=True, slots=True)
class EngineRestored:
    seconds: float


@dataclass(frozen=True, slots=True)
class SteppedDown:
    """The device had no room: one thing was given up, and stays given up until a person loads the checkpoint again."""

    error: GaveWay  # what changed, in words
    info: CheckpointInfo | None  # as it is now; None while it is still being loaded


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    session_id: str
    journal: Path


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    journal: Path
    session: Path | None  # the sealed file, once folded; None while folding or when folding failed
    summary: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class FoldProgress:
    fraction: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """A journal that a crash left behind is a session again, or the error says why not."""

    journal: Path
    session: Path | None
    error: ConsoleError | None


@dataclass(frozen=True, slots=True)
class EventMade:
    """Hollow on screen: not on disk yet (or never, when nothing is being recorded)."""

    event: Event
    is_recording: bool


@dataclass(frozen=True, slots=True)
class EventSaved:
    """Solid on screen: synced to the journal."""

    event_id: str


@dataclass(frozen=True, slots=True)
class EventFailed:
    event_id: str
    error: ConsoleError


@dataclass(frozen=True, slots=True)
class Faulted:
    """Something broke and the program lives on. Goes to the banner, the log and, while recording, the file."""

    error: ConsoleError


@dataclass(frozen=True, slots=True)
class FaultCleared:
    code: str


Notice = (
    SourceOpened
    | SourceFailed
    | SourceEnded
    | SourceClosed
    | TransportChanged
    | CheckpointExamining
    | CheckpointExamined
    | CheckpointLoading
    | CheckpointLoaded
    | CheckpointRefused
    | CheckpointUnloaded
    | MaskChanged
    | EngineLost
    | EngineRestored
    | SteppedDown
    | RecordingStarted
    | RecordingStopped
    | FoldProgress
    | Recovered
    | EventMade
    | EventSaved
    | EventFailed
    | Faulted
    | FaultCleared
)

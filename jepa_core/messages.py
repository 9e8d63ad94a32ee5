"""Everything that crosses the pipe between the window's process and the engine process.

Small frozen objects; pixels never travel here, only the number of the ring slot they lie in. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jepa_core.design import Choices
from jepa_core.errors import ConsoleError
from jepa_core.projection import Basis
from jepa_core.types import CheckpointInfo, Frame, Inspection, LatentView, LoadReport, MaskRule


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How looks are made. Set once per load; the mask rule and the view can change at any time."""

    device: str = "auto"  # "auto" | "cpu" | "cuda:N"
    dtype: str = "auto"  # "auto" | "float32" | "bfloat16" | "float16"
    clip_frames: int = 16  # at most; the checkpoint's own number where that is smaller
    stride: int = 0  # source frames between looks, 0 = the tubelet
    size: int = 0  # side of the input, pixels; 0 = the checkpoint's own
    metric: str = "auto"  # "auto": the checkpoint's own | "l1" | "l2" | "smooth_l1" | "cosine"
    mask: MaskRule = field(default_factory=MaskRule)
    view: LatentView = field(default_factory=LatentView)  # what is shown of the latents; changes no number
    axes: tuple[Basis, ...] = ()  # of colours, fitted before the engine had to be restarted
    threads: int = 0  # torch intra-op threads, 0 = torch's default
    delay_ms: tuple[int, int] = (0, 0)  # drill: wait this long at random (seeded) before every look
    room: int = 0  # drill: tokens of a look, times bytes of a number, that fit the device; 0 = whatever fits
    reads_barcode: bool = False  # drill: decode the barcode of the newest frame into signals["barcode"]
    choices: Choices = field(default_factory=Choices)  # what the file leaves open and a person chose


# --- to the engine -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadCheckpoint:
    path: str
    config: str | None  # params.yaml or config.json; None = look beside the file
    options: EngineOptions


@dataclass(frozen=True, slots=True)
class CancelLoad:
    pass


@dataclass(frozen=True, slots=True)
class ExamineCheckpoint:
    """Say what this file is and what it needs; load nothing. What is loaded stays in use meanwhile."""

    path: str
    config: str | None
    options: EngineOptions


@dataclass(frozen=True, slots=True)
class CancelExamine:
    pass


@dataclass(frozen=True, slots=True)
class UnloadCheckpoint:
    pass


@dataclass(frozen=True, slots=True)
class AttachRing:
    """Pixels of the coming frames lie in this shared memory. A new source may bring a new ring."""

    name: str
    slots: int
    slot_bytes: int


@dataclass(frozen=True, slots=True)
class FrameHere:
    """A frame lies in a ring slot. The engine answers Released(slot) when it no longer needs the pixels."""

    slot: int
    shape: tuple[int, int, int]
    seq: int
    index: int
    t_ns: int
    received_ns: int
    error_ns: int
    pts_ns: int
    source: str
    must_answer: bool = False  # lossless: look if one is due, then answer FrameDone(seq)
    action: NDArray[np.float32] | None = None  # as in Frame
    state: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, frame: Frame, slot: int, *, must_answer: bool) -> FrameHere:
        return cls(
            slot=slot,
            shape=frame.rgb.shape,
            seq=frame.seq,
            index=frame.index,
            t_ns=frame.t_ns,
            received_ns=frame.received_ns,
            error_ns=frame.error_ns,
            pts_ns=frame.pts_ns,
            source=frame.source,
            must_answer=must_answer,
            action=frame.action,
            state=frame.state,
        )


@dataclass(frozen=True, slots=True)
class SetMask:
    rule: MaskRule


@dataclass(frozen=True, slots=True)
class SetView:
    view: LatentView


@dataclass(frozen=True, slots=True)
class ResetClip:
    """The source changed or jumped: forget the frames so far."""


@dataclass(frozen=True, slots=True)
class StopEngine:
    pass


# --- from the engine ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadProgress:
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    info: CheckpointInfo
    report: LoadReport


@dataclass(frozen=True, slots=True)
class Refused:
    error: ConsoleError  # a CheckpointError carries its report


@dataclass(frozen=True, slots=True)
class LoadCancelled:
    pass


@dataclass(frozen=True, slots=True)
class Examining:
    """How far the examination is."""

    path: str
    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class Examined:
    """The answer to ExamineCheckpoint: exactly one of info and error; an error of a refused file carries its report."""

    path: str
    info: CheckpointInfo | None
    report: LoadReport | None
    error: ConsoleError | None = None
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class LookedAgain:
    """The last look with another view: for the screen, not for the record, which has it already."""

    inspection: Inspection


@dataclass(frozen=True, slots=True)
class AxesFitted:
    """All axes of the latents' colours so far: a restarted engine goes on with them."""

    axes: tuple[Basis, ...]


@dataclass(frozen=True, slots=True)
class FrameDone:
    seq: int


@dataclass(frozen=True, slots=True)
class Released:
    slot: int


@dataclass(frozen=True, slots=True)
class Beat:
    """Once a second, from a thread of its own: a slow look is not a dead engine."""

    rss_bytes: int
    device_bytes: int
    clip_frames: int  # frames in the clip now
    looks_let_go: int = 0  # due and never made, since the checkpoint was loaded


@dataclass(frozen=True, slots=True)
class EngineFault:
    """The engine lives on; this look or this load did not."""

    error: ConsoleError


@dataclass(frozen=True, slots=True)
class SteppedDown:
    """The device had no room, and one thing was given up (`ladder`). It stays given up until a person loads again."""

    what: str  # "candidates" | "resolution" | "frames" | "precision"
    before: str  # "384 px"
    after: str
    kept: Mapping[str, int | str]  # the EngineOptions that hold from now on
    info: CheckpointInfo | None = None  # as it is now; None while it is still being loaded


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the log: the engine's process has none of its own."""

    level: int  # as in `logging`
    logger: str
    text: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class EngineDown:
    """Said by the supervisor, in the window's process: the engine process died or fell silent."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineBack:
    """Said by the supervisor: a new engine process holds the same checkpoint again."""

    seconds: float  # since EngineDown

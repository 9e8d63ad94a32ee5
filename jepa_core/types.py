"""The nouns that travel between rooms.

Every one is frozen and every array in it is C-contiguous and read-only, so handing one to another thread is safe and
copying is never needed. Times are integer nanoseconds of one monotonic clock. Needs numpy and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

JSON = str | int | float | bool | None | list[Any] | dict[str, Any]

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels of the recorded frame."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The same values, C-contiguous and read-only. Copies only when the layout asks for it."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def freeze_arrays(noun: Any) -> Any:
    """Make every array of a dataclass read-only again, after it came through a pipe (pickle forgets the flag)."""
    for item in fields(noun):
        value = getattr(noun, item.name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        elif isinstance(value, tuple):
            for part in value:
                if isinstance(part, np.ndarray):
                    part.setflags(write=False)
    return noun


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one source."""

    seq: int  # counter of this run, one for all sources, never reused
    index: int  # counter of its source; of a file, its frame number
    t_ns: int  # monotonic capture time
    received_ns: int  # when the program got it
    error_ns: int  # stated bound on t_ns, -1 unknown
    pts_ns: int  # position in the source file, -1 for live
    rgb: NDArray[np.uint8]  # (H, W, 3), sRGB
    source: str  # "camera:0", "video:clip.mp4", "session:…", "world:cell"
    action: NDArray[np.float32] | None = None  # (A,), the action leaving this frame, ActionSpec units
    state: NDArray[np.float32] | None = None  # (P,), proprioception at this frame
    is_gap: bool = False  # a recorded row whose pixels were not kept: rgb is plain grey, not a picture

    @property
    def media_ns(self) -> int:
        """Position on the source's own time line: of a file its pts, of a live source the capture time."""
        return self.pts_ns if self.pts_ns >= 0 else self.t_ns


@dataclass(frozen=True, slots=True)
class MotionSpec:
    """What a source tells of a body beside its pictures; () where it tells nothing. A unit of "" is not known."""

    action_names: tuple[str, ...] = ()  # one per number of Frame.action
    action_units: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()  # one per number of Frame.state
    state_units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself once it is open."""

    name: str  # the value of Frame.source
    kind: str  # "video" | "images" | "trajectory" | "world" | "session"
    width: int
    height: int
    fps: float  # nominal, 0.0 unknown
    frames: int  # -1 unknown or endless
    is_live: bool  # a live source cannot be paused or sought
    is_seekable: bool
    detail: Mapping[str, JSON] = field(default_factory=dict)  # container, codec, seed, sha256 of the file, …
    motion: MotionSpec | None = None  # of a source that tells actions or states


@dataclass(frozen=True, slots=True)
class TokenLayout:
    """How the tokens of one look tile its clip."""

    kind: str  # "grid" patches | "slots" objects | "global" one per frame
    shape: tuple[int, int, int]  # (T', H', W'); (T', S, 1) for slots; (T', 1, 1) for global
    tubelet: int  # frames per latent time step
    crop: Box  # what the model saw, in frame pixels

    @property
    def n_tokens(self) -> int:
        t, h, w = self.shape
        return t * h * w


@dataclass(frozen=True, slots=True)
class MaskRule:
    """How the masks of a look are chosen: what the operator set, not what came of it."""

    kind: str = "future"  # "future" | "multiblock" | "region"
    predict_steps: int = 2  # future: how many newest time steps are predicted
    generator: str = "short"  # multiblock: "short" (8 small blocks) | "long" (2 large) | "picture" (I-JEPA's)
    region: Box | None = None  # region: the rectangle drawn on the picture, frame pixels
    seed: int = 0  # of the first look; look k uses seed + k


@dataclass(frozen=True, slots=True)
class MaskSet:
    """The tokens a look was given and the tokens it had to predict."""

    context: NDArray[np.int32]  # (Nc,), T'·H'·W' order, time slowest
    targets: tuple[NDArray[np.int32], ...]  # each (Nt,)
    seed: int  # same seed, same masks; -1 for a drawn region
    generator: str = ""  # of a multi-block mask, as in MaskRule; some systems have a placeholder for each


@dataclass(frozen=True, slots=True)
class LatentView:
    """What is shown of the latents themselves: what a person set, not what came of it."""

    kind: str = "none"  # "none" | "pca" colours of a fixed basis | "similarity" to one token | "attention" of one slot
    of: str = "target"  # "target" | "predicted"
    level: int = -1  # level of features of a family that has several (V-JEPA 2.1), -1 = the last
    at: tuple[float, float] | None = None  # the place that was clicked, frame pixels
    slot: int = -1  # of object slots: the one that was clicked
    fit: int = 0  # which fit of the axes is wanted; another number than before fits them anew


@dataclass(frozen=True, slots=True)
class LatentBasis:
    """The fixed axes that PCA colours are drawn in. Fitted once, so that a colour means the same in every look."""

    id: str  # first hex digits of the sha256 of its arrays
    explained: tuple[float, float, float]  # share of the variance of the looks it was fitted on, per axis
    fitted_on: int  # tokens
    level: int  # level of features, -1 = the last
    frames: tuple[int, int] = (
        -1,
        -1,
    )  # seq of the newest frame of the first and the last look it was fitted on


@dataclass(frozen=True, slots=True)
class Inspection:
    """One look of one checkpoint at one clip."""

    seq: int  # of the newest frame in the clip
    t_ns: int
    clip: tuple[int, ...]  # seq of every frame the model saw, in order
    layout: TokenLayout
    masks: MaskSet
    error: NDArray[np.float32]  # (N,), NaN where nothing was predicted
    metric: str  # "l1" | "l2" | "smooth_l1" | "cosine"
    signals: Mapping[str, float]  # {"surprise": …}; names from signals.py
    pooled: NDArray[np.float32]  # (3, D), means over tokens: predicted, target, context
    colors: NDArray[np.uint8] | None  # (N, 3) latent projection
    start_ns: int  # clip complete
    end_ns: int  # result on the host
    checkpoint: str  # CheckpointInfo.id
    step: int = 0  # number of this look since the checkpoint was loaded
    note: str = ""  # why nothing was predicted, in one sentence; "" where something was
    view: LatentView | None = None  # what `colors` and `similarity` show
    basis: LatentBasis | None = None  # of `colors`
    similarity: NDArray[np.float32] | None = None  # (N,) cosine to the chosen token, -1 … 1
    regions: NDArray[np.float32] | None = None  # (S, h, w) slots: share of each patch of the newest frame
    attention: NDArray[np.float32] | None = (
        None  # (S, S) slots: row = predicted slot, column = what it looks at
    )
    assignment: tuple[int, ...] = ()  # slots: which predicted slot fits each real one, newest predicted frame

    @property
    def surprise(self) -> float:
        return float(self.signals.get("surprise", float("nan")))


class RunStatus(enum.Enum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Candidate actions and what the model believes would follow."""

    id: str
    seq: int  # of the frame it started from
    t_ns: int
    actions: NDArray[np.float32]  # (K, horizon, A)
    energy: NDArray[np.float32]  # (K, steps_done)
    best: int  # row of `actions` with least final energy
    goal: str | None  # "frame:1042", "file:…", "session:…", with its hash
    planner: Mapping[str, JSON]  # sampler, samples, iterations, elites, seed, cost
    status: RunStatus


class EventKind(enum.IntEnum):
    """Kinds of session-format 4.8, same names and numbers. On screen a MONITOR_ALARM is called a flag."""

    NOTE = 0
    OVERRIDE = 1
    NEAR_MISS = 2
    STOP = 3
    INCIDENT = 4
    ACKNOWLEDGEMENT = 5
    MONITOR_ALARM = 6
    BLOCKED_ACTION = 7
    TAKEOVER_REQUEST = 8
    HANDOVER = 9
    FAULT = 10
    BOOKMARK = 11
    CORRECTION = 12
    STATUS = 13


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and must not be forgotten. Never edited; a correction is a new event."""

    id: str  # UUID version 7
    t_ns: int  # onset, monotonic
    seq: int  # frame on the screen when it happened, -1 none
    kind: EventKind
    actor: str  # "operator:ada", "monitor", "recorder", "console"
    payload: Mapping[str, JSON]  # the JSON of session-format 4.8, built only by sessions/events.py


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a checkpoint wants to be shown."""

    size: int  # side of the square input, pixels
    frames: int  # frames per clip it was built for
    fps: float  # frames per second it was trained at
    tubelet: int  # frames per latent time step
    patch: int  # pixels per token side
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet, on the 0..1 scale
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: int = 3  # of its pictures; other than 3 they are not colours, and no source here gives them
    fit: str = (
        "crop"  # how a frame becomes the square: "crop" | "square" | "square_antialiased" (preprocess.FITS)
    )


@dataclass(frozen=True, slots=True)
class ActionSpec:
    names: tuple[str, ...]
    units: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    state: tuple[
        str, ...
    ] = ()  # what must be known of the body at every frame to begin a rollout; often nothing
    is_from_state: bool = False  # past actions are the changes of the state; the source need not tell them


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """Identity of a loaded (or refused) checkpoint."""

    id: str  # first 16 hex digits of sha256 and the device dtype, "9c1e…:float32"
    family: str  # exact system name: "V-JEPA 2", …
    variant: str  # "ViT-L/16", …
    path: str
    sha256: str
    input: InputSpec
    action: ActionSpec | None
    abilities: frozenset[str]  # {"masked", "temporal", "actions", "slots"}
    device: str = "cpu"
    dtype: str = "float32"
    parameters: int = 0
    embed_dim: int = 0
    notes: tuple[str, ...] = ()  # to be said on screen: "untrained demo weights", "no EMA target"
    multiblock: str = (
        "clips"  # how its training drew blocks: "clips" (short and long range) | "pictures" (I-JEPA)
    )
    layout: str = (
        "grid"  # what its latents are, as TokenLayout.kind: only a "grid" can be drawn over the picture
    )
    levels: int = 1  # levels of features that its latents can be shown at (V-JEPA 2.1: 4), low first
    sizes: tuple[int, ...] = ()  # sides in pixels it can be shown instead, largest first; () = only its own
    slots: int = 0  # objects per frame of a "slots" layout
    metric: str = "l1"  # its own distance of a predicted to an actual latent, as Inspection.metric
    cannot_see: str = ""  # why it cannot be shown pictures, in one sentence; "" where it can


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Tensor by tensor, how a file matched its family. Exists for refused files too."""

    path: str
    family: str
    variant: str
    matched: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()  # "name: expected (a, b), file has (c, d)"
    ignored: tuple[str, ...] = ()
    absent_parts: tuple[str, ...] = ()  # whole parts absent by design: "predictor", "target_encoder"
    assumed: Mapping[str, str] = field(default_factory=dict)  # what the file leaves open → value, source
    sha256: str = ""
    file_bytes: int = 0
    memory_bytes: int = 0  # forecast of device memory for one look
    forecasts: Mapping[str, int] = field(
        default_factory=dict
    )  # the same for other choices: "16 frames, float32" → bytes
    device_free_bytes: int = -1  # free on that device when the file was examined, -1 unknown
    marks: tuple[str, ...] = ()  # how the system was recognised: what was found in the file, in words

    @property
    def is_exact(self) -> bool:
        return not (self.missing or self.unexpected or self.reshaped)


@dataclass(frozen=True, slots=True)
class Health:
    """How fresh and how complete everything is, measured."""

    ages_ns: Mapping[str, tuple[int, int]]  # p50, p95 of "shown", "model" (both from capture), "overlay"
    rates: Mapping[str, float]  # "capture", "model", "shown", Hz
    skipped: Mapping[str, int]  # per LatestSlot
    gaps: int
    queue_bytes: int
    disk_free: int  # bytes
    device_bytes: int
    seq: int = -1  # newest captured frame
    synced_age_ns: int = -1  # since the journal was last known to be on disk, -1 not recording
    disk_seconds: float = -1.0  # until the disk is full at the present rate, -1 unknown

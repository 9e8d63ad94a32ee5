"""Recorded versus recomputed: run the recorded frames through a checkpoint again and measure every difference.

Decodes what was recorded, prepares it as the live path does, uses the recorded masks, and compares token by token.
Never changes a record; a recomputation stands beside it and says so. Imports torch, so only when it is asked to run.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jepa_core.clip import ClipMotion, motion_of
from jepa_core.clock import CancelToken, SystemClock
from jepa_core.errors import Damaged, RequestError
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, Box, Inspection
from sessions import codec
from sessions.reader import SessionReader, open_session

if TYPE_CHECKING:
    from jepa_core.engine import Engine
    from jepa_core.families.base import JepaModel

Progress = Callable[[float, str], None]
REPRODUCED, DIFFERS = "reproduced", "differs"
_LOADING = 0.2  # share of the work that is loading the checkpoint
_CROPS_KEPT = 128
_LAYOUTS = {"grid": "a grid of patches", "slots": "object slots", "global": "one latent per frame"}


class NothingToRecompute(RequestError):
    """No look of the session has all its pixels."""

    code = "nothing_to_recompute"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What a recomputation found."""

    verdict: str  # "reproduced" | "differs"
    max_difference: float  # of a token error; inf where one is a number and the other is not
    tolerance: float
    first_differing_seq: int | None  # newest frame of the first look beyond the tolerance
    steps_compared: int
    steps_differing: int
    skipped: dict[str, int] = field(default_factory=dict)  # reason → looks
    signals: dict[str, float] = field(default_factory=dict)  # name → largest difference
    is_same_checkpoint: bool = True
    is_same_device: bool = True  # same device kind and dtype
    pictures_differing: int = 0  # decoded otherwise on this machine than where they were recorded

    @property
    def text(self) -> str:
        looks = f"{self.steps_compared} looks compared"
        if self.verdict == REPRODUCED:
            return f"{looks}, every token error within {self.tolerance:g} of the record."
        return f"{looks}, {self.steps_differing} beyond {self.tolerance:g}; the first ends at frame {self.first_differing_seq}."

    @property
    def note(self) -> str:
        notes = []
        if not self.is_same_checkpoint:
            notes.append("this is another checkpoint than the one that was recorded")
        if not self.is_same_device:
            notes.append("the device or number type is another one, so the wider tolerance applies")
        if self.pictures_differing:
            notes.append(f"{self.pictures_differing} pictures decode otherwise on this machine")
        return "; ".join(notes)

    def to_json(self) -> dict[str, JSON]:
        table: list[JSON] = [
            {"name": "token error", "steps": self.steps_compared, "max_difference": _finite(self.max_difference), "tolerance": self.tolerance}
        ]  # fmt: skip
        table.extend(
            {"name": name, "steps": self.steps_compared, "max_difference": _finite(value), "tolerance": None}
            for name, value in self.signals.items()
        )
        table.extend(
            {"name": f"skipped: {reason}", "steps": count, "max_difference": None, "tolerance": None}
            for reason, count in self.skipped.items()
        )
        return {
            "verdict": self.verdict,
            "max_difference": _finite(self.max_difference),
            "tolerance": self.tolerance,
            "first_differing_seq": self.first_differing_seq,
            "steps_compared": self.steps_compared,
            "steps_differing": self.steps_differing,
            "skipped": dict(self.skipped),
            "is_same_checkpoint": self.is_same_checkpoint,
            "is_same_device": self.is_same_device,
            "pictures_differing": self.pictures_differing,
            "text": self.text,
            "note": self.note,
            "table": table,
        }


def recompute_file(
    session: str | Path,
    checkpoint: str | Path,
    *,
    config: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> DriftReport:
    """Open both files and recompute. Raises SessionError and CheckpointError kinds, NothingToRecompute, Cancelled."""
    from jepa_core import checkpoint as checkpoints

    tell = progress or (lambda fraction, text: None)
    with open_session(session) as reader:
        if reader.n_steps == 0:
            raise NothingToRecompute("This session holds no looks.", "It was recorded without a checkpoint.")
        recorded = reader.checkpoint_info
        if dtype == "auto" and recorded is not None and recorded.dtype:
            dtype = recorded.dtype
        model = checkpoints.load(
            checkpoint, config=config, device=device, dtype=dtype, clip_frames=_longest_clip(reader),
            progress=lambda fraction, text: tell(_LOADING * fraction, text), cancel=cancel,
        )  # fmt: skip
        return recompute(
            reader, model, cancel=cancel,
            progress=lambda fraction, text: tell(_LOADING + (1 - _LOADING) * fraction, text),
        )  # fmt: skip


def recompute(
    session: SessionReader,
    model: JepaModel,
    *,
    options: EngineOptions | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> DriftReport:
    """Run every recorded look again whose frames all have pixels. Raises NothingToRecompute, Cancelled."""
    tell, token = progress or (lambda fraction, text: None), cancel or CancelToken()
    run = _Run(session, model, options)
    for step in range(session.n_steps):
        token.check()
        tell(step / max(1, session.n_steps), f"look {step + 1} of {session.n_steps}")
        run.compare(step)
    tell(1.0, "done")
    return run.report()


class _Run:
    """The running comparison: crops of the newest frames, largest differences so far."""

    def __init__(self, session: SessionReader, model: JepaModel, options: EngineOptions | None) -> None:
        self._session = session
        self._model = model
        self._options = options
        self._engines: dict[str, Engine] = {}
        self._crops: OrderedDict[int, tuple[NDArray[np.uint8], Box]] = OrderedDict()
        self._largest = 0.0
        self._tolerance = 0.0
        self._first_differing: int | None = None
        self._n_compared = self._n_differing = self._n_pictures = 0
        self._skipped: Counter[str] = Counter()
        self._signals: dict[str, float] = {}
        recorded = session.checkpoint_info
        info = model.info
        self._is_same_checkpoint = recorded is not None and recorded.sha256 == info.sha256
        self._is_same_device = recorded is not None and (_kind(recorded.device), recorded.dtype) == (
            _kind(info.device),
            info.dtype,
        )

    def compare(self, step: int) -> None:
        recorded = self._session.inspection(step)
        if not (recorded.masks.context.size and recorded.masks.targets):
            is_seen = bool(recorded.masks.context.size)
            self._skipped["nothing was predicted" if is_seen else "its tokens were not recorded"] += 1
            return
        self._use_size_of(recorded)
        self._check_kind(recorded)
        try:
            prepared = [self._crop(seq) for seq in recorded.clip]
        except _NotThere as error:
            self._skipped[str(error)] += 1
            return
        crops = np.stack([crop for crop, _ in prepared])
        again = self._engine(recorded.metric).look(
            crops, recorded.masks, frames=recorded.clip, seq=recorded.seq, t_ns=recorded.t_ns,
            box=prepared[-1][1], step=recorded.step, motion=self._motion(recorded.clip),
        )  # fmt: skip
        if again.note:
            self._skipped[again.note] += 1
            return
        self._note(step, recorded, again)

    def _use_size_of(self, recorded: Inspection) -> None:
        """The same checkpoint may have looked at smaller pictures for a while, where its device had no more room."""
        from jepa_core import footing

        info = self._model.info
        _, rows, columns = recorded.layout.shape
        side = columns * info.input.patch
        if self._is_same_checkpoint and info.sizes and rows == columns and side != info.input.size:
            footing.resized(self._model, side)
            self._crops.clear()

    def _check_kind(self, recorded: Inspection) -> None:
        """Raise RequestError where this checkpoint could never answer for that look: other tokens, or no predictor."""
        info = self._model.info
        if info.cannot_see:
            raise RequestError(
                f"{info.family} {info.variant}: {info.cannot_see}",
                "Name the checkpoint it was recorded with.",
            )
        if not info.abilities & {"masked", "actions", "slots"}:
            raise RequestError(
                f"{info.family} {info.variant} predicts nothing; this session holds predictions.",
                "Name the checkpoint it was recorded with.",
            )
        if info.layout != recorded.layout.kind:
            raise RequestError(
                f"{info.family} {info.variant} has {_LAYOUTS[info.layout]}; this session was recorded with"
                f" {_LAYOUTS.get(recorded.layout.kind, 'others')}.",
                "Name the checkpoint it was recorded with.",
            )
        length = len(recorded.clip)
        grid = tuple(self._model.grid(length)) if length % info.input.tubelet == 0 else ()
        if grid != recorded.layout.shape:
            ours = "×".join(str(n) for n in grid) or "no whole number of"
            theirs = "×".join(str(n) for n in recorded.layout.shape)
            raise RequestError(
                f"{info.family} {info.variant} makes {ours} tokens of {length} frames; this session was recorded with {theirs}.",
                "Name the checkpoint it was recorded with, or one of the same size.",
            )

    def report(self) -> DriftReport:
        if self._n_compared == 0:
            reasons = ", ".join(f"{count} because {reason}" for reason, count in self._skipped.items())
            raise NothingToRecompute("No look of this session can be recomputed.", f"Skipped: {reasons}.")
        return DriftReport(
            verdict=REPRODUCED if self._n_differing == 0 else DIFFERS,
            max_difference=self._largest,
            tolerance=self._tolerance,
            first_differing_seq=self._first_differing,
            steps_compared=self._n_compared,
            steps_differing=self._n_differing,
            skipped=dict(self._skipped),
            signals=dict(self._signals),
            is_same_checkpoint=self._is_same_checkpoint,
            is_same_device=self._is_same_device,
            pictures_differing=self._n_pictures,
        )

    def _note(self, step: int, recorded: Inspection, again: Inspection) -> None:
        difference = largest_difference(recorded.error, again.error)
        same, other = self._session.tolerance(step)
        dtype = recorded.checkpoint.partition(":")[
            2
        ]  # of this look: it may have been made coarser on the way
        is_same = self._is_same_device and dtype in ("", self._model.info.dtype)
        tolerance = same if is_same else other
        self._tolerance = max(self._tolerance, tolerance)
        self._n_compared += 1
        self._largest = max(self._largest, difference)
        if difference > tolerance:
            self._n_differing += 1
            if self._first_differing is None:
                self._first_differing = recorded.seq
        for name, value in recorded.signals.items():
            if name in again.signals:
                delta = largest_difference(np.array([value]), np.array([again.signals[name]]))
                self._signals[name] = max(self._signals.get(name, 0.0), delta)

    def _crop(self, seq: int) -> tuple[NDArray[np.uint8], Box]:
        """The frame as the model saw it, and what of it: (S, S, 3) uint8. Raises _NotThere."""
        if seq in self._crops:
            self._crops.move_to_end(seq)
            return self._crops[seq]
        from jepa_core.preprocess import fit_frame

        row = self._session.row_of_seq(seq)
        if row is None:
            raise _NotThere("a frame was not recorded")
        try:
            encoded = self._session.frame_encoded(row)
            if encoded is None:
                raise _NotThere("a frame was recorded without pixels")
            rgb = codec.decode(encoded)
        except Damaged as error:
            raise _NotThere("a picture is damaged") from error
        if codec.crc32_of(rgb) != int(self._session.frame_crc32[row]):
            self._n_pictures += 1
        spec = self._model.info.input
        self._crops[seq] = fit_frame(rgb, spec.size, spec.fit)
        if len(self._crops) > _CROPS_KEPT:
            self._crops.popitem(last=False)
        return self._crops[seq]

    def _motion(self, clip: tuple[int, ...]) -> ClipMotion:
        """What was recorded of the body over this clip, put together as the live path does."""
        rows = [self._session.row_of_seq(seq) for seq in clip]
        known = [row for row in rows if row is not None]
        if self._model.info.action is None or len(known) != len(rows):
            return ClipMotion(None, None)
        spans = [[self._session.frame_action(row) for row in range(a, b)] for a, b in pairwise(known)]
        return motion_of(spans, [self._session.frame_state(row) for row in known])

    def _engine(self, metric: str) -> Engine:
        if metric not in self._engines:
            from jepa_core.engine import Engine

            options = self._options or EngineOptions(metric=metric, clip_frames=_longest_clip(self._session))
            self._engines[metric] = Engine(self._model, options, SystemClock())
        return self._engines[metric]


class _NotThere(Exception):
    """A frame a look needs cannot be had; the text is the reason."""


def largest_difference(recorded: NDArray[np.floating], again: NDArray[np.floating]) -> float:
    """Largest |Δ| of two arrays; inf where their shapes differ or only one of them has a number."""
    if recorded.shape != again.shape or not np.array_equal(np.isfinite(recorded), np.isfinite(again)):
        return math.inf
    both = np.isfinite(recorded)
    if not both.any():
        return 0.0
    return float(np.max(np.abs(recorded[both].astype(np.float64) - again[both].astype(np.float64))))


def _longest_clip(session: SessionReader) -> int:
    return max(1, session.longest_clip)


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

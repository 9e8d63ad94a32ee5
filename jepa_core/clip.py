"""ClipBuffer: the newest frames at the model's own frame rate, whatever the source's rate is.

The rule is deterministic and looks backwards only, so the same frames give the same clip however they arrived:

    Take the newest frame. Then again and again the newest frame that is older than the last pick, in media time, by
    at least the model's period less half the interval to the frame that follows it (that is: the frame nearest to
    the wanted moment). A source slower than the model gives consecutive frames. No frame is taken twice.

A family whose actions come in blocks wants every n-th source frame instead (`set_step`), because a block is exactly
what was done in n source frames; a frame that is missing there empties the buffer, since its action is missing too.

Stamps of files are rounded to a millisecond by some containers; one millisecond of slack makes ties fall the same
way every time (30 frames/s at 4 per second: every 7th frame, as the official sampler does). Owned by one Engine,
which locks around it. Holds crops, never whole frames; numpy only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from jepa_core.types import JSON, InputSpec, frozen

TIE_NS = 1_000_000
MAX_FRAMES = (
    2048  # bound of the buffer whatever the stamps say: 400 MB of 256-pixel crops, 4 s at 500 frames/s
)


@dataclass(frozen=True, slots=True)
class ClipFrame:
    """One preprocessed frame."""

    crop: NDArray[np.uint8]  # (S, S, 3), read-only
    seq: int
    t_ns: int
    media_ns: int
    barcode: int | None = None  # drill: the number painted into the whole frame
    index: int = -1  # counter of the source
    action: NDArray[np.float32] | None = None  # (a,) leaving this frame
    state: NDArray[np.float32] | None = None  # (P,) at this frame


@dataclass(frozen=True, slots=True)
class ClipMotion:
    """What was done, and how the body stood, at the frames of one clip."""

    actions: (
        NDArray[np.float32] | None
    )  # (T - 1, A): the actions of all source frames from one to the next, in a row
    states: NDArray[np.float32] | None  # (T, P)


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames of one look, oldest first."""

    frames: tuple[ClipFrame, ...]
    motion: ClipMotion = ClipMotion(None, None)

    @property
    def newest(self) -> ClipFrame:
        return self.frames[-1]

    @property
    def seqs(self) -> tuple[int, ...]:
        return tuple(frame.seq for frame in self.frames)

    def crops(self) -> NDArray[np.uint8]:
        """(T, S, S, 3) uint8, a new array."""
        return np.stack([frame.crop for frame in self.frames])


class ClipBuffer:
    """Bounded: forgets what no later clip can need."""

    def __init__(self, spec: InputSpec, clip_frames: int) -> None:
        """At most `clip_frames` frames or what the checkpoint was built for, whichever is less, in whole tubelets."""
        self.tubelet = spec.tubelet
        self.period_ns = round(1e9 / spec.fps) if spec.fps > 0 else 0  # a still-image model takes what comes
        most = max(min(clip_frames, spec.frames), spec.tubelet)
        self.most_frames = most - most % spec.tubelet
        self.frame_step = 0  # source frames from one frame of the clip to the next, 0 = by time
        self._frames: deque[ClipFrame] = deque()

    def set_step(self, frame_step: int) -> None:
        """Every `frame_step`-th source frame from now on; 0 = by time again. A change empties the buffer."""
        if frame_step != self.frame_step:
            self.frame_step = frame_step
            self.reset()

    def shorten(self, frames: int) -> None:
        """Clips of at most these many frames from now on; the frames there are stay."""
        self.most_frames = max(frames - frames % self.tubelet, self.tubelet)
        self._forget()

    @property
    def rule(self) -> dict[str, JSON]:
        """The rule in words and numbers, for the header of a session."""
        return {
            "rule": "nearest frame at the model's period, newest first, no frame twice",
            "period_ns": self.period_ns,
            "tie_ns": TIE_NS,
            "frames": self.most_frames,
            "tubelet": self.tubelet,
        }

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: ClipFrame) -> None:
        """The next frame of the source. Media time that goes backwards empties the buffer first."""
        if self._frames and (frame.media_ns < self._frames[-1].media_ns or self._is_torn(frame)):
            self.reset()
        self._frames.append(frame)
        self._forget()

    def reset(self) -> None:
        self._frames.clear()

    def clip(self) -> Clip | None:
        """The clip that ends at the newest frame; None while there is not one whole tubelet."""
        picked = self._picks()
        whole = len(picked) - len(picked) % self.tubelet
        if whole == 0:
            return None
        chosen = picked[:whole][::-1]
        return Clip(tuple(self._frames[at] for at in chosen), self._motion(chosen))

    @property
    def clip_frames(self) -> int:
        """Frames the newest clip has."""
        picked = len(self._picks())
        return picked - picked % self.tubelet

    def _picks(self) -> list[int]:
        """Positions in the buffer, newest first, at most `most_frames`."""
        if not self._frames:
            return []
        if self.frame_step:
            return list(range(len(self._frames) - 1, -1, -self.frame_step))[: self.most_frames]
        frames = list(self._frames)
        picked = [len(frames) - 1]
        last_ns = follower_ns = frames[-1].media_ns
        for at in range(len(frames) - 2, -1, -1):
            if len(picked) == self.most_frames:
                break
            media_ns = frames[at].media_ns
            # Twice everything: half an interval stays a whole number.
            if 2 * (last_ns - media_ns) + (follower_ns - media_ns) >= 2 * (self.period_ns - TIE_NS):
                picked.append(at)
                last_ns = media_ns
            follower_ns = media_ns
        return picked

    def _is_torn(self, frame: ClipFrame) -> bool:
        """Is a frame missing before this one, and does that matter?"""
        return self.frame_step > 0 and frame.index != self._frames[-1].index + 1

    def _motion(self, chosen: list[int]) -> ClipMotion:
        """Of the frames at these positions, oldest first."""
        frames = list(self._frames)
        spans = [[frames[at].action for at in range(first, last)] for first, last in pairwise(chosen)]
        return motion_of(spans, [frames[at].state for at in chosen])

    def _forget(self) -> None:
        """Drop what no later clip can take.

        The k-th pick of a later clip is never older than the k-th pick of an earlier one (the condition gets easier
        as the last pick gets newer), so nothing older than the oldest pick of a full clip is ever needed again.
        """
        picked = self._picks()
        if len(picked) == self.most_frames:
            for _ in range(picked[-1]):
                self._frames.popleft()
        while len(self._frames) > MAX_FRAMES:
            self._frames.popleft()


Known = NDArray[np.float32] | None


def motion_of(spans: Sequence[Sequence[Known]], states: Sequence[Known]) -> ClipMotion:
    """Of a clip: the actions of the source frames from each of its frames to the next, and the body at each.

    None where one of them is not known, or one is longer than another.
    """
    return ClipMotion(_stacked([_joined(span) for span in spans]), _stacked(states))


def _joined(span: Sequence[Known]) -> Known:
    """The actions of neighbouring source frames in a row; None where one is not known."""
    known = [action for action in span if action is not None]
    return np.concatenate(known) if known and len(known) == len(span) else None


def _stacked(rows: Sequence[Known]) -> Known:
    """(rows, width) float32; None where there are none, one is not known, or one is longer than another."""
    known = [row for row in rows if row is not None]
    if not known or len(known) != len(rows) or len({row.shape for row in known}) != 1:
        return None
    return frozen(np.stack(known).astype(np.float32))

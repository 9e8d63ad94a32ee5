"""A recorded trajectory as a source: pictures, and what the body did and how it stood at each of them (.npz).

The arrays, by these names (the first of each row that is there); nothing else in the file is opened:

    observations, rgb, frames, pixels   uint8 (T, H, W, 3), or (1, T, H, W, 3) as V-JEPA 2-AC's example has it
    states, state, proprio              numbers (T, P): how the body stands at each frame
    actions, action                     numbers (T, A) or (T - 1, A): what was done from each frame to the next
    fps                                 frames per second; else ?fps=, else 4
    state_names, action_names, state_units, action_units    one text per number

Several trajectories in one file, (N, T, …), are opened one at a time: ?episode=2. Owned by the thread that reads it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, NotSeekable, SourceError, SourceNotFound
from jepa_core.types import MotionSpec, SourceInfo, frozen
from sessions.sources.base import Grab
from sessions.sources.parts.fingerprint import fingerprint
from sessions.sources.parts.npz import Npz, Rows
from sessions.sources.parts.options import number, refuse_unknown, whole
from sessions.sources.parts.paths import readable_file

FRAMES = ("observations", "rgb", "frames", "pixels")
STATES = ("states", "state", "proprio")
ACTIONS = ("actions", "action")
DEFAULT_FPS = 4.0  # of V-JEPA 2-AC's training data; said in the info as assumed
LARGEST_SIDE = 8192  # pixels
MOST_NUMBERS = 4096  # per frame

Numbers = NDArray[np.float32]


class Trajectory:
    """One trajectory of one file. Pictures are read when they are asked for where the file allows it."""

    info: SourceInfo

    def __init__(self, path: str | Path, fps: float | None = None, episode: int | None = None) -> None:
        self.path = Path(path)
        self._asked_fps = fps
        self._episode = episode
        self._closing = threading.Event()
        self._pictures: Rows | None = None
        self._first = 0  # row of the episode's first picture
        self._states: Numbers | None = None
        self._actions: Numbers | None = None
        self._fps = DEFAULT_FPS
        self._count = 0
        self._next = 0

    @classmethod
    def from_uri(cls, body: str, options: Mapping[str, str]) -> Trajectory:
        refuse_unknown("trajectory", options, ("fps", "episode"))
        fps = number(options, "fps", DEFAULT_FPS, 0.01, 1000.0) if "fps" in options else None
        episode = whole(options, "episode", 0, 0, 10**9) if "episode" in options else None
        return cls(readable_file(body, "trajectory"), fps, episode)

    def open(self) -> None:
        """Read everything but the pictures. Raises SourceNotFound, Cancelled."""
        npz = Npz(readable_file(str(self.path), "trajectory"))
        try:
            episode, height, width = self._open_pictures(npz)
            self._states = self._numbers(npz, STATES, episode)
            self._actions = self._numbers(npz, ACTIONS, episode)
            self._fps, is_assumed = self._rate(npz)
            motion = self._motion(npz)
        finally:
            npz.close()
        self._next = 0
        self.info = SourceInfo(
            name=f"trajectory:{self.path.name}",
            kind="trajectory",
            width=width,
            height=height,
            fps=self._fps,
            frames=self._count,
            is_live=False,
            is_seekable=True,
            detail={
                "path": str(self.path),
                "is_fps_assumed": is_assumed,
                "episode": episode,
                **fingerprint(self.path, self._closing.is_set),
            },
            motion=motion,
        )

    def read(self, cancel: CancelToken) -> Grab | None:
        if self._closing.is_set():
            raise Cancelled
        cancel.check()
        if self._pictures is None:
            raise SourceError(f"{self.path.name} is not open.", "Open the source before reading from it.")
        index = self._next
        if index >= self._count:
            return None
        rgb = self._picture(index)
        self._next = index + 1
        return Grab(
            index=index,
            rgb=frozen(rgb),
            pts_ns=self.pts_ns_of(index),
            action=_row(self._actions, index),
            state=_row(self._states, index),
        )

    def seek(self, index: int) -> None:
        if not 0 <= index < self._count:
            raise NotSeekable(
                f"{self.path.name} has no frame {index}.", f"It has frames 0 to {self._count - 1}."
            )
        self._next = index

    def close(self) -> None:
        """May come from another thread: a read that is under way ends first; it is one picture long."""
        self._closing.set()
        if self._pictures is not None:
            self._pictures.close()

    def index_at(self, pts_ns: int) -> int:
        """The frame number shown at this position."""
        index = max(0, min(self._count - 1, round(pts_ns * self._fps / 1e9)))
        while index > 0 and self.pts_ns_of(index) > pts_ns:
            index -= 1
        return index

    def pts_ns_of(self, index: int) -> int:
        return round(index * 1e9 / self._fps)

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open_pictures(self, npz: Npz) -> tuple[int, int, int]:
        """Find the pictures of the episode: (its number, height, width)."""
        name = next((name for name in FRAMES if name in npz.names), None)
        if name is None:
            there = ", ".join(sorted(npz.names)[:8]) or "nothing"
            raise SourceNotFound(
                f"{self.path.name} holds no pictures under {', '.join(FRAMES[:-1])} or {FRAMES[-1]}.",
                f"It holds {there}.",
            )
        found = npz.shape(name)
        if found.dtype != np.uint8 or len(found.shape) not in (4, 5) or found.shape[-1] != 3:
            raise SourceNotFound(
                f"'{name}' in {self.path.name} is {found.dtype} {found.shape}; pictures are uint8 (frames, height, width, 3).",
                "Convert it and save it again with numpy.savez.",
            )
        *batch, count, height, width, _ = found.shape
        if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE) or count < 1:
            raise SourceNotFound(
                f"'{name}' in {self.path.name} has {count} pictures of {width}×{height}.",
                "There is nothing to show.",
            )
        episode = self._which(batch[0] if batch else 1)
        rows = npz.rows(name)  # of the first axis: pictures, or whole episodes
        if batch:
            rows = rows.flattened()
        self._pictures, self._first, self._count = rows, episode * count, count
        return episode, height, width

    def _which(self, episodes: int) -> int:
        episode = self._episode or 0
        if episode >= episodes or episodes < 1:
            raise SourceNotFound(
                f"{self.path.name} has no trajectory {episode}.", f"It has {episodes}, counted from 0."
            )
        return episode

    def _numbers(self, npz: Npz, names: tuple[str, ...], episode: int) -> Numbers | None:
        """(T, n) float32; a last action that is not there is NaN. None where the file has none."""
        name = next((name for name in names if name in npz.names), None)
        if name is None:
            return None
        found = npz.shape(name)
        is_batch = len(found.shape) == 3
        if (
            found.dtype.kind not in "fiu"
            or len(found.shape) not in (2, 3)
            or not 0 < found.shape[-1] <= MOST_NUMBERS
        ):
            raise SourceNotFound(
                f"'{name}' in {self.path.name} is {found.dtype} {found.shape}; it should be numbers (frames, n).",
                "Convert it and save it again with numpy.savez.",
            )
        if is_batch and episode >= found.shape[0]:
            raise SourceNotFound(
                f"'{name}' in {self.path.name} has {found.shape[0]} trajectories, none of number {episode}.",
                "The file is incomplete.",
            )
        values = npz.array(name)
        rows = np.asarray(values[episode] if is_batch else values, np.float32)
        short = self._count - len(rows)
        if short not in (0, 1) or (short and names is not ACTIONS):
            raise SourceNotFound(
                f"'{name}' in {self.path.name} has {len(rows)} rows for {self._count} pictures.",
                "There is one per picture; of actions the last may be missing.",
            )
        if short:
            rows = np.concatenate((rows, np.full((1, rows.shape[1]), np.nan, np.float32)))
        return np.asarray(rows)

    def _rate(self, npz: Npz) -> tuple[float, bool]:
        if self._asked_fps is not None:
            return self._asked_fps, False
        if "fps" not in npz.names:
            return DEFAULT_FPS, True
        fps = npz.array("fps")
        value = float(fps.reshape(-1)[0]) if fps.size == 1 and fps.dtype.kind in "fiu" else math.nan
        if not 0.01 <= value <= 1000.0:
            raise SourceNotFound(
                f"'fps' in {self.path.name} is no frame rate.", "Give one number, 0.01 to 1000, or use ?fps=."
            )
        return value, False

    def _motion(self, npz: Npz) -> MotionSpec | None:
        if self._states is None and self._actions is None:
            return None
        return MotionSpec(
            *self._words(npz, "action", self._actions), *self._words(npz, "state", self._states)
        )

    def _words(self, npz: Npz, what: str, values: Numbers | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names and units of every number of a row, where the file says them."""
        if values is None:
            return (), ()
        width = values.shape[1]
        names = self._texts(npz, f"{what}_names", width) or tuple(f"{what} {i + 1}" for i in range(width))
        return names, self._texts(npz, f"{what}_units", width) or ("",) * width

    def _texts(self, npz: Npz, name: str, width: int) -> tuple[str, ...]:
        if name not in npz.names:
            return ()
        texts = npz.array(name, 1 << 20)
        if texts.dtype.kind != "U" or texts.shape != (width,):
            raise SourceNotFound(
                f"'{name}' in {self.path.name} is not {width} texts.", "Give one per number, or leave it out."
            )
        return tuple(str(text)[:80] for text in texts)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _picture(self, index: int) -> NDArray[np.uint8]:
        assert self._pictures is not None
        picture: NDArray[Any] = self._pictures[self._first + index]
        return picture


def _row(values: Numbers | None, index: int) -> Numbers | None:
    """None where the file says nothing of this frame (the action after the last one)."""
    if values is None or np.isnan(values[index]).all():
        return None
    return frozen(values[index].copy())

"""The embedded world as a source: "world:cell", a table with a few sliding pieces and, now and then, something impossible.

For demonstrations, drills and tests without any file or camera. Deterministic: seed, size and frame number decide every
pixel, so it can be sought like a file. It knows its own ground truth (`Grab.truth`, `events_until`), which the screen never
shows and a model never gets. It does not pace itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, NotSeekable, SourceError, SourceNotFound
from jepa_core.types import JSON, SourceInfo, frozen
from sessions.sources.base import Grab
from sessions.sources.parts.options import number, refuse_unknown, switch, whole
from sessions.sources.parts.scene import KINDS, SHORT_SIDE, Scene, SceneState, WorldEvent
from sessions.sources.parts.scene_paint import ScenePainter

WORLDS = ("cell",)
TRUTH_NAMES = ("event_code", "body", "x_px", "y_px", "width_px", "height_px", "seconds_since")
OPTIONS = ("seed", "barcode", "fps", "frames", "width", "height", "bodies", "band", "events", "event_every")
MOST_SNAPSHOTS = 512  # of a run that never ends; then every second one is forgotten


class World:
    """One seeded world. Owned by the thread that reads it; `close` may come from any thread."""

    info: SourceInfo

    def __init__(
        self,
        *,
        seed: int = 1,
        has_barcode: bool = False,
        fps: float = 15.0,
        frames: int = -1,
        width: int = 640,
        height: int = 480,
        bodies: int | None = None,
        has_band: bool | None = None,
        event_every_s: float = 6.0,
    ) -> None:
        """`frames` -1: it never ends. `event_every_s` 0: nothing impossible happens."""
        self.seed = seed
        self.fps = fps
        self.frames = frames
        self._has_barcode = has_barcode
        self._width, self._height = width, height
        self._scale = min(width, height) / SHORT_SIDE  # pixels per unit
        self._scene = Scene(
            seed=seed,
            fps=fps,
            width=width / self._scale,
            height=height / self._scale,
            bodies=bodies,
            has_band=has_band,
            event_every_s=event_every_s,
        )
        self._painter: ScenePainter | None = None
        self._state = self._scene.start()
        self._snapshots: dict[int, SceneState] = {0: self._state}
        self._spacing = 64  # frames between two snapshots
        self._next = 0
        self._closing = threading.Event()

    @classmethod
    def from_uri(cls, body: str, options: Mapping[str, str]) -> World:
        """ "world:cell?seed=1&barcode=1&fps=15&frames=300&width=640&height=480&bodies=3&band=0&events=1&event_every=6"."""
        if body not in WORLDS:
            raise SourceNotFound(f"There is no embedded world '{body}'.", f"There is: {', '.join(WORLDS)}.")
        refuse_unknown("world", options, OPTIONS)
        every_s = number(options, "event_every", 6.0, 0.5, 3600.0)
        return cls(
            seed=whole(options, "seed", 1, 0, 2**31 - 1),
            has_barcode=switch(options, "barcode", False),
            fps=number(options, "fps", 15.0, 1.0, 240.0),
            frames=whole(options, "frames", -1, 1, 10**9) if "frames" in options else -1,
            width=whole(options, "width", 640, 96, 3840),
            height=whole(options, "height", 480, 96, 2160),
            bodies=whole(options, "bodies", 3, 1, 5) if "bodies" in options else None,
            has_band=switch(options, "band", True) if "band" in options else None,
            event_every_s=every_s if switch(options, "events", True) else 0.0,
        )

    def open(self) -> None:
        self._painter = ScenePainter(
            self._scene.layout, width=self._width, height=self._height, seed=self.seed
        )
        self._next = 0
        detail: dict[str, JSON] = {
            "seed": self.seed,
            "has_barcode": self._has_barcode,
            "bodies": len(self._state.bodies),
            "has_band": self._scene.layout.band is not None,
            "event_every_s": self._scene.event_every_s,
            "truth_names": list(TRUTH_NAMES),
            "event_codes": list(KINDS),
        }
        self.info = SourceInfo(
            name=f"world:{WORLDS[0]}",
            kind="world",
            width=self._width,
            height=self._height,
            fps=self.fps,
            frames=self.frames,
            is_live=False,
            is_seekable=True,
            detail=detail,
        )

    def read(self, cancel: CancelToken) -> Grab | None:
        if self._painter is None:
            raise SourceError("The embedded world is not open.", "Open the source before reading from it.")
        if self._closing.is_set():
            raise Cancelled
        cancel.check()
        index = self._next
        if 0 <= self.frames <= index:
            return None
        state = self._state_at(index, cancel)
        rgb = self._painter.paint(state)
        if self._has_barcode:
            from jepa_core import barcode

            barcode.paint(rgb, index)
        self._next = index + 1
        return Grab(index=index, rgb=frozen(rgb), pts_ns=self.pts_ns_of(index), truth=self._truth(state))

    def seek(self, index: int) -> None:
        if index < 0 or 0 <= self.frames <= index:
            last = f"0 to {self.frames - 1}" if self.frames >= 0 else "0 and up"
            raise NotSeekable(f"The embedded world has no frame {index}.", f"It has frames {last}.")
        self._next = index

    def close(self) -> None:
        self._closing.set()

    def index_at(self, pts_ns: int) -> int:
        """The frame number shown at this position."""
        index = max(0, round(pts_ns * self.fps / 1e9))
        while index > 0 and self.pts_ns_of(index) > pts_ns:
            index -= 1
        return index if self.frames < 0 else min(index, self.frames - 1)

    def pts_ns_of(self, index: int) -> int:
        return round(index * 1e9 / self.fps)

    def events_until(self, index: int, cancel: CancelToken | None = None) -> list[WorldEvent]:
        """Ground truth: everything impossible up to this frame, without painting anything. Leaves the source as it is."""
        state, found = self._scene.start(), []
        while state.index < index:
            if cancel is not None:
                cancel.check()
            state = self._scene.after(state)
            if state.last is not None and state.last.index == state.index:
                found.append(state.last)
        return found

    # -- inside -----------------------------------------------------------------------------------------------------

    def _state_at(self, index: int, cancel: CancelToken) -> SceneState:
        """Step forward from the state at hand, or from the nearest snapshot before the frame."""
        if self._state.index > index or index - self._state.index > self._spacing:
            nearest = max(i for i in self._snapshots if i <= index)
            if self._state.index > index or nearest > self._state.index:
                self._state = self._snapshots[nearest]
        while self._state.index < index:
            if self._closing.is_set():
                raise Cancelled
            cancel.check()
            self._state = self._scene.after(self._state)
            if self._state.index % self._spacing == 0:
                self._keep(self._state)
        return self._state

    def _keep(self, state: SceneState) -> None:
        self._snapshots[state.index] = state
        if len(self._snapshots) > MOST_SNAPSHOTS:
            self._spacing *= 2
            self._snapshots = {i: s for i, s in self._snapshots.items() if i % self._spacing == 0}

    def _truth(self, state: SceneState) -> NDArray[np.float32]:
        """(7,) float32, named by TRUTH_NAMES: the event this frame begins, where to look for it, time since the last one."""
        event = state.last
        if event is None:
            return frozen(np.array([0, -1, 0, 0, 0, 0, -1], np.float32))
        is_new = event.index == state.index
        side = 2 * event.radius * self._scale
        x, y = (event.after[0] - event.radius) * self._scale, (event.after[1] - event.radius) * self._scale
        code = KINDS.index(event.kind) if is_new else 0
        since_s = (state.index - event.index) / self.fps
        return frozen(np.array([code, event.body, x, y, side, side, since_s], np.float32))

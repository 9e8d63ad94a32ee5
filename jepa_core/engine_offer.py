"""A frame on its way to the engine, and the states an engine is in, as the window's side keeps its books of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from jepa_core.frame_ring import FrameRing
from jepa_core.messages import FrameHere
from jepa_core.types import Frame


class State(Enum):
    EMPTY = "empty"  # no checkpoint wanted
    LOADING = "loading"  # the first load of the wanted checkpoint
    READY = "ready"
    DOWN = "down"  # it was ready; the engine died and is on its way back
    GONE = "gone"  # it died too often, or it was stopped


@dataclass(slots=True, eq=False)
class Offer:
    """A frame on its way to the engine, and what holds its pixels."""

    here: FrameHere
    frame: Frame | None  # LocalEngine: the pixels themselves
    ring: FrameRing | None  # EngineProcess: where the slot is to be released
    is_done: bool = False

    def let_go(self) -> None:
        if self.ring is not None:
            self.ring.release(self.here.slot)
        self.frame = None

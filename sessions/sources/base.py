"""What every source must answer: pictures in, one at a time, from whatever it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.types import Inspection, SourceInfo


class Pace(enum.Enum):
    """LIVE lets the model skip frames; LOSSLESS waits until every frame was looked at (never for a camera)."""

    LIVE = "live"
    LOSSLESS = "lossless"


@dataclass(frozen=True, slots=True)
class Grab:
    """One picture as the source gave it, before the program numbered it."""

    index: int  # the source's own frame number
    rgb: NDArray[np.uint8]  # (H, W, 3) sRGB, C-contiguous, read-only
    pts_ns: int = -1  # position in the source, -1 for live
    t_ns: int = -1  # capture time on the monotonic clock, -1: stamp it on arrival
    error_ns: int = -1  # stated bound on t_ns
    seq: int = -1  # recorded frame number of a session, -1: number it now
    action: NDArray[np.float32] | None = None  # (A,) leaving this frame, as SourceInfo.motion names it
    state: NDArray[np.float32] | None = None  # (P,) of the body at this frame
    truth: NDArray[np.float32] | None = None  # what only tests and drills may know (the embedded world)
    inspections: tuple[Inspection, ...] = ()  # recorded looks that end at this frame (sessions only)
    encoded: bytes | None = None  # the recorded picture file this was decoded from (sessions only)
    is_gap: bool = (
        False  # a recorded row whose pixels were let go: `rgb` is a plain grey stand-in (sessions only)
    )
    is_corrupt: bool = False  # the decoder had to guess parts of the picture


class Source(Protocol):
    """Opened, read and closed by one thread; `close` may come from another and unblocks a read."""

    info: SourceInfo  # valid after open()

    def open(self) -> None:
        """Raises SourceNotFound, SourceLost or another SourceError, in words for a person."""
        ...

    def read(self, cancel: CancelToken) -> Grab | None:
        """The next picture; None at the end. `index` and `pts_ns` (a session's `t_ns`) grow between seeks.

        Raises SourceError for one picture that cannot be given (the next read goes on after it), SourceLost when the rest
        is gone, Cancelled when the token was set or the source was closed meanwhile.
        """
        ...

    def seek(self, index: int) -> None:
        """The next read gives the frame with this number, exactly. Raises NotSeekable."""
        ...

    def close(self) -> None:
        """May be called twice, and from another thread."""
        ...

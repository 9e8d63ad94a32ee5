"""Where a picture becomes a frame: numbered, stamped, encoded once, laid into the ring, handed to everyone.

Runs on the source thread. Never waits, except in lossless runs where waiting is the point. Knows no Qt.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken, Clock
from jepa_core.frame_ring import FrameRing
from jepa_core.lanes import LatestSlot
from jepa_core.types import Frame, Inspection, SourceInfo
from sessions import codec
from sessions.sources.base import Grab

if TYPE_CHECKING:
    from sessions.recorder import Recorder

RING_BYTES = 256 << 20  # upper bound of the shared memory one source may take
CORRUPT = 1  # flag of session-format 4.3
LOSSLESS_BACKLOG = 32 << 20  # bytes the recorder may lag behind before a lossless source waits for it


class FrameNumbers:
    """The one frame counter of a run, for all its sources; a number is never reused."""

    def __init__(self) -> None:
        self._counter = itertools.count()
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            return next(self._counter)


class FrameSink(Protocol):
    """The part of an engine that the intake needs; EngineProcess and LocalEngine both are one."""

    def attach_ring(self, ring: FrameRing) -> None: ...

    def offer(self, frame: Frame, slot: int) -> None: ...

    def offer_and_wait(self, frame: Frame, slot: int, cancel: CancelToken) -> bool: ...

    def reset_clip(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RecordingTap:
    """What the intake needs while a recording runs."""

    recorder: Recorder
    jpeg_quality: int


class Intake:
    """Owned by the pipeline; `deliver` belongs to the source thread.

    While a recording runs the picture is encoded first and everyone, the model included, sees it decoded again
    (session-format 4.3, model_input): what is recorded is what was seen.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        numbers: FrameNumbers,
        shown: LatestSlot[Frame],
        engine: FrameSink,
        on_frame: Callable[[Frame], None],
        on_recorded_look: Callable[[Inspection], None],
    ) -> None:
        self._clock = clock
        self._numbers = numbers
        self._shown = shown
        self._engine = engine
        self._on_frame = on_frame
        self._on_recorded_look = on_recorded_look
        self._info: SourceInfo | None = None
        self._ring: FrameRing | None = None
        self._cancel = CancelToken()
        self.tap: RecordingTap | None = None  # swapped whole by the pipeline; read once per frame
        self.has_model = False
        self.every_frame = False
        self.without_slot = 0  # frames the ring had no room for: shown and recorded, not sent to the model

    def begin(self, info: SourceInfo, cancel: CancelToken) -> None:
        """A source was opened: fit the ring to its pictures."""
        self._info = info
        self._cancel = cancel
        self._fit_ring(max(1, info.width * info.height * 3))

    def end(self) -> None:
        """The source was closed. Pixels still on the screen live on until they are let go."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.close()

    def deliver(self, grab: Grab, is_jump: bool) -> None:
        """Hand one picture to the screen, the model and the recorder."""
        received_ns = self._clock.now_ns()
        tap = self.tap
        picture, encoded = self._as_recorded(grab, tap)
        slot, pixels = self._into_ring(picture)
        frame = self._frame(grab, pixels, received_ns)
        if is_jump:
            self._engine.reset_clip()
        if tap is not None:
            self._record(tap, frame, encoded, grab.is_corrupt)
        self._on_frame(frame)
        self._shown.put(frame)
        if self._info is not None and self._info.kind == "session":
            for inspection in grab.inspections:
                self._on_recorded_look(inspection)
        elif self.has_model:
            self._to_model(frame, slot)

    def _to_model(self, frame: Frame, slot: int | None) -> None:
        if slot is None:
            self.without_slot += 1
        elif self.every_frame:
            self._engine.offer_and_wait(frame, slot, self._cancel)
        else:
            self._engine.offer(frame, slot)

    def _as_recorded(self, grab: Grab, tap: RecordingTap | None) -> tuple[NDArray[np.uint8], bytes]:
        if tap is None:
            return grab.rgb, b""
        encoded = codec.encode_jpeg(grab.rgb, tap.jpeg_quality)
        return codec.decode(encoded), encoded

    def _into_ring(self, picture: NDArray[np.uint8]) -> tuple[int | None, NDArray[np.uint8]]:
        if self._ring is None or picture.nbytes > self._ring.slot_bytes:
            self._fit_ring(picture.nbytes)
        assert self._ring is not None
        held = self._ring.write(picture)
        while held is None and self.every_frame and not self._cancel.wait(0.002):
            held = self._ring.write(picture)  # lossless: a slot comes free as soon as the screen moves on
        return (None, picture) if held is None else (held.slot, held.rgb)

    def _frame(self, grab: Grab, pixels: NDArray[np.uint8], received_ns: int) -> Frame:
        assert self._info is not None
        return Frame(
            seq=grab.seq if grab.seq >= 0 else self._numbers.next(),
            index=grab.index,
            t_ns=grab.t_ns if grab.t_ns >= 0 else received_ns,
            received_ns=received_ns,
            error_ns=grab.error_ns,
            pts_ns=grab.pts_ns,
            rgb=pixels,
            source=self._info.name,
            action=grab.action,
            state=grab.state,
            is_gap=grab.is_gap,
        )

    def _record(self, tap: RecordingTap, frame: Frame, encoded: bytes, is_corrupt: bool) -> None:
        from sessions.recorder import FrameRow

        if self.every_frame:
            while _is_behind(tap.recorder) and not self._cancel.wait(0.002):
                pass
        tap.recorder.frame(
            FrameRow(
                seq=frame.seq,
                index=frame.index,
                t_ns=frame.t_ns,
                received_ns=frame.received_ns,
                error_ns=frame.error_ns,
                pts_ns=frame.pts_ns,
                encoded=encoded,
                decoded_crc32=codec.crc32_of(frame.rgb),
                flags=CORRUPT if is_corrupt else 0,
                action=frame.action,
                state=frame.state,
            )
        )

    def _fit_ring(self, slot_bytes: int) -> None:
        old = self._ring
        slots = max(8, min(24, RING_BYTES // slot_bytes))
        self._ring = FrameRing.create(slots, slot_bytes)
        self._engine.attach_ring(self._ring)
        if old is not None:
            old.close()


def _is_behind(recorder: Recorder) -> bool:
    """Does the disk need a moment? A recorder that has given up takes nothing any more, and is not waited for."""
    status = recorder.status()
    return status.state in ("recording", "frames_stopped") and status.queue_bytes > LOSSLESS_BACKLOG

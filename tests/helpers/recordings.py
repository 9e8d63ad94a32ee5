"""Builders of recordings: small frames, looks and headers, a Disk that fails or blocks when told, and whole sessions."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import Clock, FakeClock
from jepa_core.types import (
    CheckpointInfo,
    InputSpec,
    Inspection,
    LoadReport,
    MaskSet,
    SourceInfo,
    TokenLayout,
    frozen,
)
from sessions import codec, events, fold
from sessions.disk import Disk
from sessions.header import ModelStream, SessionHeader, build_header
from sessions.recorder import FrameRow, Recorder, RecorderSettings

WIDTH, HEIGHT, DIM = 64, 48, 6
FRAME_NS = 33_000_000
SMALL = RecorderSettings(start_s=0.0, warn_s=0.0, stop_frames_s=0.0, reserve_bytes=1 << 20)
"""Settings that do not ask for gigabytes."""


def make_source(**changes: Any) -> SourceInfo:
    return replace(
        SourceInfo("world:cell", "world", WIDTH, HEIGHT, 30.0, -1, False, True, {"seed": 1}), **changes
    )


def make_checkpoint(**changes: Any) -> CheckpointInfo:
    info = CheckpointInfo(
        id="aaaa000000000000:float32",
        family="V-JEPA 2",
        variant="ViT-tiny/16",
        path="/models/tiny.pt",
        sha256="aa" * 32,
        input=InputSpec(size=32, frames=8, fps=10.0, tubelet=2, patch=16),
        action=None,
        abilities=frozenset({"masked", "temporal"}),
        parameters=1234,
        embed_dim=DIM,
        notes=("untrained",),
    )
    return replace(info, **changes)


def make_header(clock: Clock, *, has_model: bool = True, **fields: Any) -> SessionHeader:
    checkpoint = make_checkpoint() if has_model else None
    model = ModelStream.of(checkpoint, signal_names=("surprise", "surprise_top")) if checkpoint else None
    return build_header(
        source=fields.pop("source", make_source()),
        checkpoint=checkpoint,
        model=model,
        report=LoadReport("/models/tiny.pt", "V-JEPA 2", "ViT-tiny/16", 10, file_bytes=99)
        if has_model
        else None,
        title="a test",
        operator="ada",
        config={"jpeg_quality": 95},
        clock=clock,
        **fields,
    )


def make_rgb(number: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, different for every number."""
    across = np.arange(WIDTH, dtype=np.uint16)[None, :, None] * 3 + number * 7
    down = np.arange(HEIGHT, dtype=np.uint16)[:, None, None] * 5
    return frozen(((across + down + np.array([0, 60, 120], np.uint16)) % 256).astype(np.uint8))


def make_row(number: int, clock: Clock, *, seq: int | None = None, **changes: Any) -> FrameRow:
    encoded = codec.encode_jpeg(make_rgb(number))
    row = FrameRow(
        seq=1000 + number if seq is None else seq,
        index=number,
        t_ns=clock.now_ns(),
        received_ns=clock.now_ns() + 5,
        error_ns=-1,
        pts_ns=number * FRAME_NS,
        encoded=encoded,
        decoded_crc32=codec.crc32_of(codec.decode(encoded)),
    )
    return replace(row, **changes)


def make_look(number: int, clock: Clock, *, n_frames: int = 8, step: int = 0, **changes: Any) -> Inspection:
    """A look whose newest frame is `number`, with errors that tell looks apart."""
    layout = TokenLayout("grid", (n_frames // 2, 2, 2), 2, (8.0, 0.0, 48.0, 48.0))
    half = layout.n_tokens // 2
    error = np.full(layout.n_tokens, np.nan, np.float32)
    error[half:] = np.linspace(0.1, 0.9, layout.n_tokens - half, dtype=np.float32) + number / 1000
    look = Inspection(
        seq=1000 + number,
        t_ns=clock.now_ns(),
        clip=tuple(range(1000 + number - n_frames + 1, 1001 + number)),
        layout=layout,
        masks=MaskSet(
            frozen(np.arange(half, dtype=np.int32)),
            (frozen(np.arange(half, layout.n_tokens, dtype=np.int32)),),
            step,
        ),
        error=frozen(error),
        metric="l1",
        signals={"surprise": 0.5 + number / 7, "surprise_top": 0.9},
        pooled=frozen(np.full((3, DIM), number, np.float32)),
        colors=None,
        start_ns=clock.now_ns() - 10,
        end_ns=clock.now_ns(),
        checkpoint=make_checkpoint().id,
        step=step,
    )
    return replace(look, **changes)


class Listener:
    """Hears what a recorder says; a test waits for a fact instead of for time."""

    def __init__(self) -> None:
        self._heard = threading.Condition()
        self.acks: list[str] = []
        self.failed: list[tuple[str, Exception]] = []
        self.faults: list[Any] = []

    def ack(self, event_id: str) -> None:
        self._note(self.acks, event_id)

    def fail(self, event_id: str, error: Exception) -> None:
        self._note(self.failed, (event_id, error))

    def fault(self, error: Exception) -> None:
        self._note(self.faults, error)

    def wait_for(self, count: int, of: str = "acks", timeout: float = 20.0) -> bool:
        with self._heard:
            return self._heard.wait_for(lambda: len(getattr(self, of)) >= count, timeout)

    def _note(self, where: list[Any], fact: Any) -> None:
        with self._heard:
            where.append(fact)
            self._heard.notify_all()


def make_recorder(
    directory: Path,
    clock: Clock,
    listener: Listener | None = None,
    *,
    header: SessionHeader | None = None,
    settings: RecorderSettings = SMALL,
    disk: Disk | None = None,
    **more: Any,
) -> Recorder:
    listener = listener or Listener()
    return Recorder(
        directory,
        header or make_header(clock),
        clock=clock,
        on_ack=listener.ack,
        on_event_failed=listener.fail,
        on_fault=listener.fault,
        settings=settings,
        disk=disk,
        **more,
    )


def record(
    directory: Path, *, n_frames: int = 24, n_events: int = 3, header: SessionHeader | None = None
) -> Path:
    """A journal, closed in order: frames, a look every other frame, events in between."""
    clock = FakeClock()
    listener = Listener()
    recorder = make_recorder(directory, clock, listener, header=header or make_header(clock))
    recorder.start()
    for number in range(n_frames):
        clock.advance(FRAME_NS)
        recorder.frame(make_row(number, clock))
        if number >= 3 and number % 2:
            recorder.step(make_look(number, clock, n_frames=min(8, number + 1), step=number // 2))
    for number in range(n_events):
        recorder.event(
            events.near_miss(t_ns=clock.now_ns() + number, seq=1000 + number, actor="operator:ada")
        )
    assert listener.wait_for(n_events)
    return recorder.stop()


def record_and_fold(directory: Path, **how: Any) -> Path:
    return fold.fold(record(directory, **how))


class TroubledDisk(Disk):
    """A disk that blocks, fails or fills up when a test says so. Keeps a log of what was asked of it."""

    def __init__(self) -> None:
        self.may_sync = threading.Event()
        self.may_write = threading.Event()
        self.may_sync.set()
        self.may_write.set()
        self.syncing = threading.Event()  # somebody is waiting in sync
        self.writing = threading.Event()
        self.sync_error: OSError | None = None
        self.synced_fds: list[int] = []
        self.room = 1 << 40  # bytes that still fit, the reserve aside
        self._reserved: dict[Path, int] = {}

    def sync(self, fd: int) -> None:
        self.syncing.set()
        self.may_sync.wait()
        self.syncing.clear()
        if self.sync_error is not None:
            error, self.sync_error = self.sync_error, None
            raise error
        self.synced_fds.append(fd)
        super().sync(fd)

    def write(self, fd: int, data: bytes) -> None:
        self.writing.set()
        self.may_write.wait()
        self.writing.clear()
        if len(data) > self.room:
            super().write(fd, data[: self.room])  # half a record reaches the disk, as on a real one
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(data)
        super().write(fd, data)

    def free_bytes(self, directory: Path) -> int:
        return self.room

    def reserve(self, path: Path, n_bytes: int) -> None:
        if n_bytes > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().reserve(path, 0)
        self.room -= n_bytes
        self._reserved[path] = n_bytes

    def remove(self, path: Path) -> None:
        self.room += self._reserved.pop(path, 0)
        super().remove(path)

"""The same pipeline without Qt: `score`, `live --headless` and the headless half of `demo`.

A run either gives a session file or an error, and where it can both: what was seen before something broke is kept.

Law 2: what runs here gives the same numbers as the window, because it is the same pipeline.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

from console.config import Config
from console.notices import (
    CheckpointLoaded,
    CheckpointLoading,
    CheckpointRefused,
    Faulted,
    FoldProgress,
    Notice,
    RecordingStarted,
    RecordingStopped,
    SourceEnded,
    SourceFailed,
    SteppedDown,
)
from console.pipeline import Pipeline
from console.progress import Progress
from jepa_core.clock import CancelToken
from jepa_core.errors import (
    Cancelled,
    ConsoleError,
    DeviceError,
    DiskFull,
    NotAble,
    RequestError,
    SessionError,
    SourceError,
    SourceLost,
    WriteFailed,
)
from jepa_core.types import JSON

N = TypeVar("N")

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.1  # at a cancel token, which wakes nobody
ONLY_WARNED = ("disk_low", "disk_back")  # the record is whole as long as nothing else follows


class Ear:
    """Listens to a pipeline and lets the main thread wait for what it hears."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._heard: list[Notice] = []
        self._changed = threading.Condition()
        pipeline.listen(self._hear)

    def _hear(self, notice: Notice) -> None:
        with self._changed:
            self._heard.append(notice)
            self._changed.notify_all()

    def all(self, kind: type[N]) -> list[N]:
        with self._changed:
            return [cast("N", notice) for notice in self._heard if isinstance(notice, kind)]

    def wait(
        self,
        *kinds: type,
        cancel: CancelToken,
        seconds: float = math.inf,
        meanwhile: Callable[[], None] | None = None,
    ) -> Notice | None:
        """The first notice of these kinds not taken yet; None after `seconds` or when cancelled."""
        until_s = time.monotonic() + seconds
        while not cancel.is_cancelled:
            with self._changed:
                for index, notice in enumerate(self._heard):
                    if isinstance(notice, kinds):
                        del self._heard[index]
                        return notice
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(min(LOOK_AGAIN_S, left_s))
            if meanwhile is not None:
                meanwhile()
        return None


@dataclass(frozen=True, slots=True)
class HeadlessRequest:
    """What to run. `seconds` None: until the source ends."""

    source: str
    checkpoint: str
    out: Path
    checkpoint_config: str | None = None
    every_frame: bool = True
    speed: float | None = None  # None = as fast as the model takes the frames
    seconds: float | None = None
    is_engine_local: bool = True


@dataclass(frozen=True, slots=True)
class HeadlessResult:
    session: Path
    summary: dict[str, JSON] = field(default_factory=dict)
    error: ConsoleError | None = (
        None  # what is wrong with it: a source that broke off, a full disk, no look at all
    )


def run(config: Config, request: HeadlessRequest, progress: Progress, cancel: CancelToken) -> HeadlessResult:
    """Play a source through a checkpoint into a sealed session file.

    Raises ConsoleError when the checkpoint is refused, the source cannot be opened or nothing can be recorded, and
    Cancelled when it was stopped before anything was recorded. A later cancel (Ctrl+C) ends the recording in good
    order; the session holds what was seen until then.
    """
    pipeline = Pipeline(config, is_engine_local=request.is_engine_local)
    ear = Ear(pipeline)
    try:
        _load(pipeline, ear, request, progress, cancel)
        _begin(pipeline, ear, request, cancel)
        errors = _play(pipeline, ear, request, progress, cancel)
        result = _finish(pipeline, ear, progress, errors)
        if result.error is None and request.every_frame and not cancel.is_cancelled:
            return replace(result, error=_nothing_seen(result))
        return result
    finally:
        progress.end()
        pipeline.shutdown()


def _load(
    pipeline: Pipeline, ear: Ear, request: HeadlessRequest, progress: Progress, cancel: CancelToken
) -> None:
    def show() -> None:
        loading = ear.all(CheckpointLoading)
        if loading:
            progress.show(loading[-1].fraction, f"loading the checkpoint: {loading[-1].text}")

    pipeline.load_checkpoint(request.checkpoint, request.checkpoint_config)
    loaded = ear.wait(CheckpointLoaded, CheckpointRefused, Faulted, cancel=cancel, meanwhile=show)
    if isinstance(loaded, CheckpointRefused | Faulted):
        raise loaded.error
    if isinstance(loaded, CheckpointLoaded) and loaded.info.cannot_see:
        raise NotAble(loaded.info.cannot_see, "Choose a checkpoint that takes pictures.")
    cancel.check()


def _begin(pipeline: Pipeline, ear: Ear, request: HeadlessRequest, cancel: CancelToken) -> None:
    """Open the source; its first frame is recorded."""
    pipeline.open_source(
        request.source, every_frame=request.every_frame, speed=request.speed, record_to=str(request.out)
    )
    started = ear.wait(RecordingStarted, SourceFailed, Faulted, cancel=cancel)
    if isinstance(started, SourceFailed | Faulted):
        raise started.error
    if started is None:
        pipeline.close_source()  # after this no recording begins any more
        if not pipeline.is_recording:
            raise Cancelled


def _play(
    pipeline: Pipeline, ear: Ear, request: HeadlessRequest, progress: Progress, cancel: CancelToken
) -> list[ConsoleError]:
    """Until the source ends, the time is over or somebody stops it. What went wrong meanwhile, oldest first.

    A source says of each damaged picture that it was left out, and goes on: that does not end the run.
    """
    errors: list[ConsoleError] = []
    until_s = time.monotonic() + (math.inf if request.seconds is None else request.seconds)
    while (left_s := until_s - time.monotonic()) > 0 and not cancel.is_cancelled:
        heard = ear.wait(
            SourceEnded,
            SourceFailed,
            Faulted,
            cancel=cancel,
            seconds=min(left_s, 1.0),
            meanwhile=lambda: _show_position(pipeline, progress),
        )
        if isinstance(heard, SourceFailed | Faulted):
            log.warning(
                "%s", heard.error.what, extra={"code": heard.error.code, "detail": heard.error.detail}
            )
            if heard.error.code in ONLY_WARNED:
                continue
            errors.append(heard.error)
            if request.every_frame and isinstance(heard.error, DiskFull | WriteFailed):
                break  # it is no longer recorded: no use in looking at the rest
        elif isinstance(heard, SourceEnded) or (heard is None and not pipeline.is_source_alive):
            break
    pipeline.close_source()
    return errors


def _show_position(pipeline: Pipeline, progress: Progress) -> None:
    info = pipeline.source_info
    if info is None:
        return
    done = pipeline.position
    if info.frames > 0:
        progress.show((done + 1) / info.frames, f"frame {done + 1} of {info.frames}")
    else:
        progress.show(-1.0, f"frame {done + 1}")


def _finish(pipeline: Pipeline, ear: Ear, progress: Progress, errors: list[ConsoleError]) -> HeadlessResult:
    def show() -> None:
        folding = ear.all(FoldProgress)
        if folding:
            progress.show(folding[-1].fraction, "writing the session file")

    pipeline.stop_recording("source_ended" if not errors else "error")
    stopped = ear.wait(RecordingStopped, cancel=CancelToken(), meanwhile=show)
    assert isinstance(stopped, RecordingStopped)
    late = [fault.error for fault in ear.all(Faulted)]
    errors = errors + [error for error in late if error.code not in ONLY_WARNED]
    if stopped.session is None:
        last = errors[-1] if errors else SessionError("The session could not be written.")
        kind = DiskFull if isinstance(last, DiskFull) else SessionError
        raise kind(
            last.what, f"The journal is kept; with room: main.py recover {stopped.journal}", last.detail
        )
    given_up: list[JSON] = [notice.error.what for notice in ear.all(SteppedDown)]
    summary = dict(stopped.summary) | ({"given_up": given_up} if given_up else {})
    return HeadlessResult(stopped.session, summary, _in_one(errors))


def _in_one(errors: list[ConsoleError]) -> ConsoleError | None:
    """The sentence of the run: what ended it, or the first of what was left out and how often."""
    if not errors:
        return None
    for error in reversed(errors):
        if isinstance(error, SourceLost | SessionError | DeviceError):
            return error
    first = errors[0]
    if len(errors) == 1:
        return first
    return SourceError(first.what, f"So it went {len(errors)} times. {first.hint}", first.detail)


def _nothing_seen(result: HeadlessResult) -> ConsoleError | None:
    """A whole source without a single look is not what was asked for, even though nothing failed."""
    frames, steps = result.summary.get("frames", 0), result.summary.get("steps", 0)
    if steps or not frames:
        return None
    return RequestError(
        f"{frames} frames were recorded, but no look could be made of them.",
        "A look needs at least two time steps of frames: a longer source, or more --clip-frames.",
    )

"""The same pipeline without Qt: `score`, `live --headless` and the headless half of `demo`.

Law 2: what runs here gives the same numbers as the window, because it is the same pipeline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
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
)
from console.pipeline import Pipeline
from console.progress import Progress
from jepa_core.clock import CancelToken
from jepa_core.errors import ConsoleError, SessionError
from jepa_core.types import JSON

N = TypeVar("N")


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
        seconds: float = 1e9,
        meanwhile: Callable[[], None] | None = None,
    ) -> Notice | None:
        """The first notice of these kinds not taken yet; None after `seconds` or when cancelled."""
        waited = 0.0
        while not cancel.is_cancelled and waited < seconds:
            with self._changed:
                for index, notice in enumerate(self._heard):
                    if isinstance(notice, kinds):
                        del self._heard[index]
                        return notice
                self._changed.wait(min(0.1, seconds - waited))
            waited += 0.1
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
    error: ConsoleError | None = None  # the source broke off; what came before it is in the session


def run(config: Config, request: HeadlessRequest, progress: Progress, cancel: CancelToken) -> HeadlessResult:
    """Play a source through a checkpoint into a sealed session file.

    Raises ConsoleError when the checkpoint is refused, the source cannot be opened or nothing can be recorded. A
    cancel (Ctrl+C) ends the recording in good order; the session holds what was seen until then.
    """
    pipeline = Pipeline(config, is_engine_local=request.is_engine_local)
    ear = Ear(pipeline)
    try:
        _load(pipeline, ear, request, progress, cancel)
        pipeline.open_source(
            request.source, every_frame=request.every_frame, speed=request.speed, record_to=str(request.out)
        )
        started = ear.wait(RecordingStarted, SourceFailed, Faulted, cancel=cancel)
        if isinstance(started, SourceFailed | Faulted):
            raise started.error
        ended = ear.wait(
            SourceEnded,
            SourceFailed,
            cancel=cancel,
            seconds=request.seconds or 1e9,
            meanwhile=lambda: _show_position(pipeline, progress),
        )
        error = ended.error if isinstance(ended, SourceFailed) else None
        pipeline.close_source()
        return _finish(pipeline, ear, progress, error)
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
    if cancel.is_cancelled:
        raise KeyboardInterrupt


def _show_position(pipeline: Pipeline, progress: Progress) -> None:
    info = pipeline.source_info
    if info is None:
        return
    done = pipeline.position
    if info.frames > 0:
        progress.show((done + 1) / info.frames, f"frame {done + 1} of {info.frames}")
    else:
        progress.show(-1.0, f"frame {done + 1}")


def _finish(pipeline: Pipeline, ear: Ear, progress: Progress, error: ConsoleError | None) -> HeadlessResult:
    def show() -> None:
        folding = ear.all(FoldProgress)
        if folding:
            progress.show(folding[-1].fraction, "writing the session file")

    pipeline.stop_recording("source_ended" if error is None else "error")
    stopped = ear.wait(RecordingStopped, cancel=CancelToken(), meanwhile=show)
    assert isinstance(stopped, RecordingStopped)
    if stopped.session is None:
        faults = ear.all(Faulted)
        raise (
            faults[-1].error
            if faults
            else SessionError(
                "The session could not be written; its journal is complete.",
                f"Free some space, then: main.py recover {stopped.journal}",
            )
        )
    return HeadlessResult(stopped.session, dict(stopped.summary), error)

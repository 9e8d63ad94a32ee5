"""The recording controller: starts and stops the recorder, and turns what a person did into events on disk.

Owns the Recorder (whose thread owns the journal). Slow work (opening, closing, folding) runs on the pipeline's worker,
never on the caller's thread. Knows no Qt.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.config import Config
from console.notices import (
    EventFailed,
    EventMade,
    EventSaved,
    Faulted,
    FoldProgress,
    Notice,
    RecordingStarted,
    RecordingStopped,
    Recovered,
)
from console.worker import Worker
from jepa_core.clock import CancelToken, Clock
from jepa_core.errors import ConsoleError, RequestError
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, CheckpointInfo, Event, Inspection, LoadReport, SourceInfo
from sessions import events, fold, header
from sessions.header import CameraStream
from sessions.recorder import FrameRow, Recorder, RecorderSettings, RecorderStatus

OnRecorder = Callable[[Recorder | None], None]  # hears who takes the frames from now on; None: nobody


@dataclass(frozen=True, slots=True)
class Scene:
    """What is being looked at, by what: the facts a session header needs."""

    source: SourceInfo
    checkpoint: CheckpointInfo | None
    report: LoadReport | None
    options: EngineOptions


class Recording:
    """One person's record of one run: at most one journal open at a time."""

    def __init__(
        self, *, clock: Clock, worker: Worker, say: Callable[[Notice], None], config: Config
    ) -> None:
        self._clock = clock
        self._worker = worker
        self._say = say
        self._config = config
        self._operator = config.person.name
        self._lock = threading.Lock()
        self._life = threading.Lock()  # held while a recorder begins or is taken away, never while it folds
        self._recorder: Recorder | None = None
        self._events: list[Event] = []
        self._open_override: Event | None = None
        self._noted: tuple[Recorder | None, str] = (None, "")  # of the last look, and in which recording

    # --- state ----------------------------------------------------------------------------------------------------

    @property
    def recorder(self) -> Recorder | None:
        return self._recorder

    @property
    def is_recording(self) -> bool:
        return self._recorder is not None

    @property
    def events(self) -> list[Event]:
        """Every event of this run, oldest first."""
        with self._lock:
            return list(self._events)

    def status(self) -> RecorderStatus | None:
        recorder = self._recorder
        return recorder.status() if recorder is not None else None

    # --- life of a journal ----------------------------------------------------------------------------------------

    def start(self, directory: Path, scene: Scene, on_ready: OnRecorder) -> None:
        """Open a journal on the worker; `on_ready` hands the recorder to the intake before anything is confirmed."""
        self._worker.submit(self.start_now, directory, scene, on_ready)

    def start_now(self, directory: Path, scene: Scene, on_ready: OnRecorder) -> None:
        """The same on the caller's thread: for a source thread that must not lose its first frame."""
        with self._life:
            self._start(directory, scene, on_ready)

    def _start(self, directory: Path, scene: Scene, on_ready: OnRecorder) -> None:
        if self._recorder is not None:
            return
        try:
            recorder = Recorder(
                directory,
                self._header(scene),
                clock=self._clock,
                on_ack=lambda event_id: self._say(EventSaved(event_id)),
                on_event_failed=lambda event_id, error: self._say(EventFailed(event_id, error)),
                on_fault=lambda error: self._say(Faulted(error)),
                on_part=lambda part: self._worker.submit(self._fold, part),
                settings=RecorderSettings(
                    queue_bytes=self._config.recording.budget_bytes,
                    part_s=self._config.recording.roll_seconds,
                    part_bytes=self._config.recording.roll_bytes,
                    reserve_bytes=self._config.recording.reserve_bytes,
                ),
            )
            journal = recorder.start()
        except ConsoleError as error:
            self._say(Faulted(error))
            return
        self._recorder = recorder
        on_ready(recorder)
        self._say(RecordingStarted(recorder.session_id, journal))

    def scene_changed(self, scene: Scene, then: Callable[[], None] | None = None) -> None:
        """The source or the checkpoint changed during a recording: go on in a new part, `then` with the rest."""
        self._worker.submit(self._reconfigure, scene, then)

    def scene_changed_now(self, scene: Scene) -> None:
        """The same on the caller's thread: for a source thread whose next frame is of the new scene."""
        self._reconfigure(scene, None)

    def _reconfigure(self, scene: Scene, then: Callable[[], None] | None) -> None:
        recorder = self._recorder
        try:
            if recorder is not None:
                fresh = self._header(scene)
                recorder.reconfigure(camera=fresh.camera, model=fresh.model)
        finally:
            if then is not None:
                then()

    def stop(self, reason: str, on_taken: OnRecorder) -> None:
        """Close the journal and fold it, on the worker. RecordingStopped follows, if anything was being recorded.

        on_taken    hears None when the recorder takes no more frames: a start that waited for the worker before this
                    stop had handed it out
        """
        self._worker.submit(self._stop, reason, on_taken)

    def _stop(self, reason: str, on_taken: OnRecorder) -> None:
        with self._life:
            recorder, self._recorder = self._recorder, None
            if recorder is None:
                return
            on_taken(None)
        session: Path | None = None
        try:
            recorder.stop(reason)
            for part in recorder.parts:  # one that rolled over during a shutdown has found no worker any more
                if part is recorder.parts[-1] or not fold.session_path(part).exists():
                    session = self._fold(part)
        except ConsoleError as error:
            self._say(Faulted(error))
        finally:  # whoever waits for this notice must get it, whatever went wrong
            status = recorder.status()
            summary: dict[str, JSON] = {
                "frames": status.frames,
                "steps": status.steps,
                "events": status.events,
                "gaps": status.gaps,
                "bytes": status.bytes,
            }
            self._say(RecordingStopped(status.journal, session, summary))

    def _fold(self, journal: Path) -> Path | None:
        """The sealed file of one finished part; None when it has to be tried again. The journal stays."""
        try:
            return fold.fold_in_child(journal, progress=lambda fraction: self._say(FoldProgress(fraction)))
        except ConsoleError as error:
            self._say(Faulted(error))
            return None

    def recover(self, journal: Path) -> None:
        """Fold what a crash left behind, on the worker. Recovered follows."""
        self._worker.submit(self._recover, journal)

    def _recover(self, journal: Path) -> None:
        try:
            session = fold.recover(
                journal, progress=lambda f: self._say(FoldProgress(f)), cancel=CancelToken()
            )
        except ConsoleError as error:
            self._say(Recovered(journal, None, error))
            return
        self._say(Recovered(journal, session, None))

    def _header(self, scene: Scene) -> header.SessionHeader:
        return header.build_header(
            source=scene.source,
            checkpoint=scene.checkpoint,
            report=scene.report,
            options=scene.options,
            operator=self._operator,
            config=self._config.as_dict(),
            camera=CameraStream.of(scene.source, quality=self._config.recording.jpeg_quality),
            clock=self._clock,
        )

    # --- what the pipeline hands over --------------------------------------------------------------------------------

    def frame(self, row: FrameRow) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.frame(row)

    def look(self, inspection: Inspection) -> None:
        """A look of which nothing could be predicted says why; the record keeps the sentence, once per change."""
        recorder = self._recorder
        if recorder is None:
            return
        if (recorder, inspection.note) != self._noted and (inspection.note or self._noted[0] is recorder):
            self.status_event("prediction_note", inspection.seq, note=inspection.note)
        self._noted = (recorder, inspection.note)
        recorder.step(inspection)

    # --- what a person did --------------------------------------------------------------------------------------------

    def override_start(self, t_ns: int, seq: int, inspection: Inspection | None) -> Event:
        """The press, at the moment it happened (section 7 of the architecture: stamped at once)."""
        event = events.override_start(
            t_ns=t_ns, seq=seq, actor=self._actor, proposed_action={"signals": _finite(inspection)}
        )
        self._open_override = event
        return self._keep(event)

    def override_end(self, t_ns: int, seq: int) -> Event | None:
        """The release; None when nothing was being held."""
        begun, self._open_override = self._open_override, None
        if begun is None:
            return None
        return self._keep(events.override_end(begun, t_end_ns=t_ns))

    def near_miss(self, t_ns: int, seq: int, inspection: Inspection | None) -> Event:
        return self._keep(
            events.near_miss(t_ns=t_ns, seq=seq, actor=self._actor, detail={"signals": _finite(inspection)})
        )

    def note(self, t_ns: int, seq: int, text: str) -> Event:
        return self._keep(events.note(text, t_ns=t_ns, seq=seq, actor=self._actor))

    def bookmark(self, t_ns: int, seq: int) -> Event:
        return self._keep(events.bookmark(t_ns=t_ns, seq=seq, actor=self._actor))

    def amend(self, event_id: str, **changes: JSON) -> Event:
        """A correction: a new event that points at the old one, which stays as it is."""
        now_ns = self._clock.now_ns()
        return self._keep(events.correction(event_id, t_ns=now_ns, seq=-1, actor=self._actor, **changes))

    # --- what the console itself reports --------------------------------------------------------------------------------

    def fault(self, code: str, what: str, seq: int, **detail: Any) -> None:
        """Into the record, when there is one."""
        if self._recorder is not None:
            self._keep(events.fault(code, what, t_ns=self._clock.now_ns(), seq=seq, **detail))

    def status_event(self, subtype: str, seq: int, **detail: Any) -> None:
        """Into the record, when there is one."""
        if self._recorder is not None:
            self._keep(events.status(subtype, t_ns=self._clock.now_ns(), seq=seq, **detail))

    @property
    def _actor(self) -> str:
        return f"operator:{self._operator}"

    def _keep(self, event: Event) -> Event:
        recorder = self._recorder
        with self._lock:
            self._events.append(event)
        self._say(EventMade(event, recorder is not None))
        if recorder is not None:
            recorder.event(event)
        return event

    def set_operator(self, operator: str) -> None:
        self._operator = operator


def no_record_of_a_record() -> RequestError:
    return RequestError(
        "A replay is not recorded again.",
        "Open a video or a live source; to compare with a checkpoint: main.py replay SESSION --recompute.",
    )


def _finite(inspection: Inspection | None) -> dict[str, JSON]:
    """The live signals at this instant, without what is not a number."""
    if inspection is None:
        return {}
    return {name: float(value) for name, value in inspection.signals.items() if math.isfinite(value)}

"""The recording controller: starts and stops the recorder, and turns what a person did into events on disk.

Owns the Recorder (whose thread owns the journal). Slow work (opening, closing, folding) runs on the pipeline's worker,
never on the caller's thread. Knows no Qt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

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
from jepa_core.clock import CancelToken, Clock
from jepa_core.errors import ConsoleError
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, CheckpointInfo, Event, EventKind, Inspection, LoadReport, SourceInfo
from sessions import events, fold, header
from sessions.recorder import FrameRow, Recorder, RecorderStatus


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
        self, *, clock: Clock, worker: Executor, say: Callable[[Notice], None], config: Config
    ) -> None:
        self._clock = clock
        self._worker = worker
        self._say = say
        self._config = config
        self._operator = config.person.name
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._events: list[Event] = []
        self._open_override: Event | None = None

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

    def start(self, directory: Path, scene: Scene, on_ready: Callable[[Recorder], None]) -> None:
        """Open a journal on the worker; `on_ready` hands the recorder to the intake before anything is confirmed."""
        self._worker.submit(self._start, directory, scene, on_ready)

    def _start(self, directory: Path, scene: Scene, on_ready: Callable[[Recorder], None]) -> None:
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
            )
            journal = recorder.start()
        except ConsoleError as error:
            self._say(Faulted(error))
            return
        self._recorder = recorder
        on_ready(recorder)
        self._say(RecordingStarted(recorder.session_id, journal))

    def scene_changed(self, scene: Scene) -> None:
        """The source or the checkpoint changed during a recording: go on in a new part."""
        if self._recorder is not None:
            self._worker.submit(self._reconfigure, scene)

    def _reconfigure(self, scene: Scene) -> None:
        recorder = self._recorder
        if recorder is not None:
            fresh = self._header(scene)
            recorder.reconfigure(camera=fresh.camera, model=fresh.model)

    def stop(self, reason: str = "operator") -> None:
        """Close the journal and fold it, on the worker. RecordingStopped follows."""
        self._worker.submit(self._stop, reason)

    def _stop(self, reason: str) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        try:
            journal = recorder.stop(reason)
        except ConsoleError as error:
            self._say(Faulted(error))
            return
        status = recorder.status()
        summary: dict[str, JSON] = {
            "frames": status.frames,
            "steps": status.steps,
            "events": status.events,
            "gaps": status.gaps,
            "bytes": status.bytes,
        }
        session: Path | None = None
        try:
            for part in recorder.parts:
                session = fold.fold_in_child(part, progress=lambda f: self._say(FoldProgress(f)))
        except ConsoleError as error:
            session = None
            self._say(Faulted(error))
        self._say(RecordingStopped(journal, session, summary))

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
            clock=self._clock,
        )

    # --- what the pipeline hands over --------------------------------------------------------------------------------

    def frame(self, row: FrameRow) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.frame(row)

    def look(self, inspection: Inspection) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.step(inspection)

    # --- what a person did --------------------------------------------------------------------------------------------

    def override_start(self, t_ns: int, seq: int, inspection: Inspection | None) -> Event:
        event = self._person(
            EventKind.OVERRIDE,
            t_ns,
            seq,
            phase="start",
            subtype="manual_takeover",
            proposed_action={"signals": _finite(inspection)},
        )
        self._open_override = event
        return event

    def override_end(self, t_ns: int, seq: int) -> Event:
        """The release repeats the record and names its start, so the two count as one override."""
        begun = self._open_override
        self._open_override = None
        onset = begun.t_ns if begun is not None else t_ns
        return self._person(
            EventKind.OVERRIDE,
            onset,
            begun.seq if begun is not None else seq,
            phase="end",
            subtype="manual_takeover",
            t_end_mono_ns=t_ns,
            supersedes=begun.id if begun is not None else "",
        )

    def near_miss(self, t_ns: int, seq: int, inspection: Inspection | None) -> Event:
        return self._person(EventKind.NEAR_MISS, t_ns, seq, signals=_finite(inspection))

    def note(self, t_ns: int, seq: int, text: str) -> Event:
        return self._person(EventKind.NOTE, t_ns, seq, reason_text=text)

    def bookmark(self, t_ns: int, seq: int) -> Event:
        return self._person(EventKind.BOOKMARK, t_ns, seq)

    def amend(self, event_id: str, **fields: JSON) -> Event:
        """A correction: a new event that points at the old one, which stays as it is."""
        now_ns = self._clock.now_ns()
        return self._person(EventKind.CORRECTION, now_ns, -1, supersedes=event_id, **fields)

    def console_event(self, kind: EventKind, subtype: str, seq: int, **fields: JSON) -> Event:
        """A fault or a status: the console's own report."""
        event = events.new_event(
            kind,
            t_ns=self._clock.now_ns(),
            seq=seq,
            actor="console",
            clock=self._clock,
            subtype=subtype,
            initiated_by="external",
            **fields,
        )
        return self._keep(event)

    def _person(self, kind: EventKind, t_ns: int, seq: int, **fields: JSON) -> Event:
        event = events.new_event(
            kind,
            t_ns=t_ns,
            seq=seq,
            actor=f"operator:{self._operator}",
            clock=self._clock,
            initiated_by="operator",
            **fields,
        )
        return self._keep(event)

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


def _finite(inspection: Inspection | None) -> dict[str, JSON]:
    """The live signals at this instant, without what is not a number."""
    if inspection is None:
        return {}
    return {name: value for name, value in inspection.signals.items() if value == value}

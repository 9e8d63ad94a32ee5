"""The whole live pipeline without the glass: source, engine, recorder, and what a person does.

The window and the headless run hold one of these and hear the same notices. Owns the source thread, the engine and the
recorder; knows no Qt and never imports torch. Every listener is called from a worker thread and must not block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from console import recompute
from console.ages import AgeMeter, RateMeter
from console.config import Config
from console.intake import FrameNumbers, Intake, RecordingTap
from console.notices import (
    CheckpointLoaded,
    CheckpointLoading,
    CheckpointRefused,
    CheckpointUnloaded,
    EngineLost,
    EngineRestored,
    Faulted,
    MaskChanged,
    Notice,
    SourceClosed,
    SourceEnded,
    SourceFailed,
    SourceOpened,
    TransportChanged,
)
from console.recording import Recording, Scene
from jepa_core import messages
from jepa_core.clock import CancelToken, Clock, SystemClock
from jepa_core.engine_process import EngineProcess, LocalEngine
from jepa_core.errors import ConsoleError, RequestError
from jepa_core.lanes import LatestSlot
from jepa_core.messages import EngineOptions
from jepa_core.signals import SIGNALS
from jepa_core.tracks import SignalTrack
from jepa_core.types import (
    CheckpointInfo,
    Event,
    EventKind,
    Frame,
    Health,
    Inspection,
    LoadReport,
    MaskRule,
    SourceInfo,
)
from sessions.recorder import Recorder
from sessions.source_thread import SourceThread
from sessions.sources.base import Pace
from sessions.sources.registry import open_source

Listener = Callable[[Notice], None]


class Pipeline:
    """Everything between a source and what is seen and kept of it."""

    def __init__(
        self,
        config: Config,
        *,
        options: EngineOptions | None = None,
        clock: Clock | None = None,
        is_engine_local: bool = False,
    ) -> None:
        self.shown: LatestSlot[Frame] = LatestSlot("shown")
        self.looks: LatestSlot[Inspection] = LatestSlot("looks")
        self.tracks: dict[str, SignalTrack] = {}
        self.source_info: SourceInfo | None = None
        self.checkpoint_info: CheckpointInfo | None = None
        self.checkpoint_report: LoadReport | None = None
        self.clock = clock or SystemClock()
        self._options = options or config.engine_options()
        self._listeners: list[Listener] = []
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pipeline-worker")
        self._jpeg_quality = config.recording.jpeg_quality
        self.recording = Recording(clock=self.clock, worker=self._worker, say=self._say, config=config)
        self._engine: EngineProcess | LocalEngine = (
            LocalEngine(self._on_engine)
            if is_engine_local
            else EngineProcess(self._on_engine, heartbeat_deadline=config.model.heartbeat_deadline_s)
        )
        self._engine_started = False
        self._intake = Intake(
            clock=self.clock,
            numbers=FrameNumbers(),
            shown=self.shown,
            engine=self._engine,
            on_frame=self._on_frame,
            on_recorded_look=self.looks.put,
        )
        self._thread: SourceThread | None = None
        self._source_cancel = CancelToken()
        self._uri = ""
        self._checkpoint_path = ""
        self._newest: Frame | None = None
        self._latest_look: Inspection | None = None
        self._lock = threading.Lock()
        self._ages = {name: AgeMeter() for name in ("shown", "model", "overlay")}
        self._rates = {name: RateMeter() for name in ("capture", "model", "shown")}
        self._device_bytes = 0

    # --- listeners --------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def _say(self, notice: Notice) -> None:
        for listener in list(self._listeners):
            listener(notice)

    # --- source and transport ----------------------------------------------------------------------------------------

    def open_source(
        self, uri: str, *, every_frame: bool = False, speed: float | None = 1.0, is_playing: bool = True
    ) -> None:
        """Open a file, folder, world or session. Returns at once; SourceOpened or SourceFailed follows."""
        self.close_source()
        self._uri = uri
        self._source_cancel = CancelToken()
        self._intake.every_frame = every_frame
        try:
            source = open_source(uri)
        except ConsoleError as error:
            self._say(SourceFailed(uri, error))
            return
        self._thread = SourceThread(
            source,
            deliver=self._intake.deliver,
            on_open=self._on_source_open,
            on_end=self._on_source_end,
            on_fault=self._on_source_fault,
            on_transport=self._on_transport,
            clock=self.clock,
            pace=Pace.LOSSLESS if every_frame else Pace.LIVE,
            speed=speed,
            is_playing=is_playing,
        )
        self._thread.start()

    def close_source(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._source_cancel.cancel()
        thread.stop()
        self._intake.end()
        self.source_info = None
        self._say(SourceClosed())

    def play(self) -> None:
        if self._thread is not None:
            self._thread.play()

    def pause(self) -> None:
        if self._thread is not None:
            self._thread.pause()

    def step(self, n: int) -> None:
        if self._thread is not None:
            self._thread.step(n)

    def seek(self, index: int) -> None:
        if self._thread is not None:
            self._thread.seek(index)

    def set_speed(self, speed: float) -> None:
        if self._thread is not None:
            self._thread.set_speed(speed)

    def set_every_frame(self, is_on: bool) -> None:
        """Whether the model sees every frame (the clock waits for it) or the newest (the model skips)."""
        self._intake.every_frame = is_on
        if self._thread is not None:
            self._thread.set_pace(Pace.LOSSLESS if is_on else Pace.LIVE)

    def _on_source_open(self, info: SourceInfo) -> None:
        """On the source thread, before its first frame."""
        self._intake.begin(info, self._source_cancel)
        self.source_info = info
        self._latest_look = None
        self._fill_tracks(info)
        for meter in (*self._ages.values(), *self._rates.values()):
            meter.clear()
        self._say(SourceOpened(info))
        if self.recording.is_recording:
            self.recording.scene_changed(self._scene(info))
            self.recording.console_event(EventKind.STATUS, "source_opened", self.seq, reason_text=info.name)

    def _fill_tracks(self, info: SourceInfo) -> None:
        """Live: empty curves that grow. Replay: the recorded ones, whole."""
        session = getattr(self._thread.source, "session", None) if self._thread is not None else None
        if info.kind == "session" and session is not None:
            self.tracks = {name: session.track(name) for name in session.track_names}
        else:
            self.tracks = {name: SignalTrack(name, signal.unit) for name, signal in SIGNALS.items()}

    def _on_source_end(self) -> None:
        if self.source_info is not None:
            self._say(SourceEnded(self.source_info))

    def _on_source_fault(self, error: ConsoleError) -> None:
        if self.recording.is_recording:
            self.recording.console_event(EventKind.FAULT, error.code, self.seq, reason_text=error.what)
        self._say(SourceFailed(self._uri, error))

    def _on_transport(self, is_playing: bool, speed: float | None, pace: Pace) -> None:
        self._say(TransportChanged(is_playing, speed or 0.0, pace is Pace.LOSSLESS))

    def _on_frame(self, frame: Frame) -> None:
        self._newest = frame
        self._rates["capture"].note(frame.received_ns)

    # --- model --------------------------------------------------------------------------------------------------------

    def load_checkpoint(
        self, path: str, config: str | None = None, options: EngineOptions | None = None
    ) -> None:
        """Load it in the engine process; CheckpointLoading…, then Loaded or Refused follow."""
        if options is not None:
            self._options = options
        self._intake.has_model = False
        self._checkpoint_path = path
        self._start_engine()
        self._say(CheckpointLoading(path, 0.0, "starting"))
        self._engine.load(path, config, self._options)

    def _start_engine(self) -> None:
        with self._lock:
            if not self._engine_started:
                self._engine.start()
                self._engine_started = True

    def cancel_load(self) -> None:
        self._engine.cancel_load()

    def unload_checkpoint(self) -> None:
        self._intake.has_model = False
        self._engine.unload()
        self.checkpoint_info = self.checkpoint_report = None
        self._say(CheckpointUnloaded())
        self._scene_changed()

    def set_mask(self, rule: MaskRule) -> None:
        """A change of the mask rule is a status event and does not roll the file (session-format 4.4)."""
        self._options = replace(self._options, mask=rule)
        self._engine.set_mask(rule)
        if self.recording.is_recording:
            self.recording.console_event(
                EventKind.STATUS,
                "mask_changed",
                self.seq,
                reason_text=_words_of(rule),
                mask_rule=_fields_of(rule),
            )
        self._say(MaskChanged(rule))

    @property
    def mask_rule(self) -> MaskRule:
        return self._options.mask

    def _on_engine(self, message: object) -> None:
        """Every answer of the engine, on its supervisor's thread."""
        match message:
            case messages.Looked(inspection):
                self._on_look(inspection)
            case messages.Beat(_, device_bytes, _):
                self._device_bytes = device_bytes
            case messages.LoadProgress(fraction, text):
                self._say(CheckpointLoading(self._checkpoint_path, fraction, text))
            case messages.Loaded(info, report):
                self._on_loaded(info, report)
            case messages.Refused(error):
                self._on_refused(error)
            case messages.LoadCancelled():
                self.checkpoint_info = self.checkpoint_report = None
                self._say(CheckpointUnloaded(is_cancelled=True))
            case messages.EngineFault(error):
                self._fault(error)
            case messages.EngineDown(reason):
                self._on_engine_down(reason)
            case messages.EngineBack(seconds):
                self._say(EngineRestored(seconds))
            case _:
                pass  # Released and FrameDone are the engine's own business

    def _on_look(self, inspection: Inspection) -> None:
        self._latest_look = inspection
        self._ages["model"].note(inspection.end_ns - inspection.t_ns)
        self._rates["model"].note(inspection.end_ns)
        self.recording.look(inspection)
        for name, track in self.tracks.items():
            if name in inspection.signals:
                track.append(inspection.t_ns, inspection.signals[name], inspection.seq)
        self.looks.put(inspection)

    def _on_loaded(self, info: CheckpointInfo, report: LoadReport) -> None:
        is_same = self.checkpoint_info is not None and self.checkpoint_info.id == info.id
        self.checkpoint_info, self.checkpoint_report = info, report
        if not is_same:  # a restarted engine with the same checkpoint does not roll the file
            self._scene_changed()
        if self.recording.is_recording:
            self.recording.console_event(
                EventKind.STATUS, "checkpoint_loaded", self.seq, reason_text=f"{info.family} {info.variant}",
                checkpoint_sha256=info.sha256,
            )  # fmt: skip
        self._intake.has_model = "masked" in info.abilities
        self._say(CheckpointLoaded(info, report))

    def _on_refused(self, error: ConsoleError) -> None:
        self._intake.has_model = False
        self.checkpoint_info = self.checkpoint_report = None
        if self.recording.is_recording:
            self.recording.console_event(
                EventKind.STATUS, "checkpoint_refused", self.seq, reason_text=error.what
            )
        self._say(CheckpointRefused(self._checkpoint_path, error))

    def _on_engine_down(self, reason: str) -> None:
        if self.recording.is_recording:
            self.recording.console_event(EventKind.FAULT, "engine_restarted", self.seq, reason_text=reason)
        self._say(EngineLost(reason))

    def _fault(self, error: ConsoleError) -> None:
        if self.recording.is_recording:
            self.recording.console_event(EventKind.FAULT, error.code, self.seq, reason_text=error.what)
        self._say(Faulted(error))

    # --- record -------------------------------------------------------------------------------------------------------

    @property
    def is_recording(self) -> bool:
        return self.recording.is_recording

    @property
    def is_replay(self) -> bool:
        return self.source_info is not None and self.source_info.kind == "session"

    def start_recording(self, directory: str) -> None:
        """Open a journal there. RecordingStarted or Faulted follows."""
        info = self.source_info
        if info is None:
            self._say(
                Faulted(RequestError("There is nothing to record yet.", "Open a source first (Ctrl+O)."))
            )
            return
        if info.kind == "session":
            self._say(
                Faulted(RequestError("A replay is not recorded again.", "Open a live source or a video."))
            )
            return
        self.recording.start(Path(directory), self._scene(info), self._tap)

    def _tap(self, recorder: Recorder) -> None:
        self._intake.tap = RecordingTap(recorder, self._jpeg_quality)

    def stop_recording(self, reason: str = "operator") -> None:
        """End and fold the session. Returns at once; RecordingStopped follows."""
        self._intake.tap = None
        self.recording.stop(reason)

    def recover(self, journal: str) -> None:
        """Make a session of what a crash left behind. Recovered follows."""
        self.recording.recover(Path(journal))

    def _scene(self, info: SourceInfo) -> Scene:
        return Scene(info, self.checkpoint_info, self.checkpoint_report, self._options)

    def _scene_changed(self) -> None:
        if self.recording.is_recording and self.source_info is not None:
            self.recording.scene_changed(self._scene(self.source_info))

    def recompute(
        self, checkpoint: str, on_progress: Callable[[float, str], None], on_done: recompute.OnDone
    ) -> CancelToken:
        """Run the open session's frames through a checkpoint, in a child process."""
        path = str(self.source_info.detail.get("path", "")) if self.source_info is not None else ""
        return recompute.recompute_in_child(path, checkpoint, on_progress, on_done)

    # --- what a person did --------------------------------------------------------------------------------------------

    def override_start(self, t_ns: int, seq: int) -> Event:
        return self.recording.override_start(t_ns, seq, self._latest_look)

    def override_end(self, t_ns: int, seq: int) -> Event:
        return self.recording.override_end(t_ns, seq)

    def near_miss(self, t_ns: int, seq: int) -> Event:
        return self.recording.near_miss(t_ns, seq, self._latest_look)

    def note(self, t_ns: int, seq: int, text: str) -> Event:
        return self.recording.note(t_ns, seq, text)

    def bookmark(self, t_ns: int, seq: int) -> Event:
        return self.recording.bookmark(t_ns, seq)

    def amend(self, event_id: str, **fields: str | int) -> Event:
        return self.recording.amend(event_id, **fields)

    @property
    def events(self) -> list[Event]:
        """Live: what happened in this run. Replay: what was recorded."""
        session = getattr(self._thread.source, "session", None) if self._thread is not None else None
        if self.is_replay and session is not None:
            return list(session.events())
        return self.recording.events

    # --- how fresh, how complete --------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """Number of the newest frame, -1 before the first."""
        return self._newest.seq if self._newest is not None else -1

    @property
    def position(self) -> int:
        """The newest frame's number in its own source, -1 before the first."""
        return self._newest.index if self._newest is not None else -1

    def shown_now(self, frame: Frame) -> None:
        """The view painted this frame just now."""
        now_ns = self.clock.now_ns()
        if not self.is_replay:
            self._ages["shown"].note(now_ns - frame.t_ns)
            if self._latest_look is not None:
                self._ages["overlay"].note(now_ns - self._latest_look.t_ns)
        self._rates["shown"].note(now_ns)

    def health(self) -> Health:
        now_ns = self.clock.now_ns()
        status = self.recording.status()
        return Health(
            ages_ns={
                name: found
                for name, meter in self._ages.items()
                if (found := meter.percentiles()) is not None
            },
            rates={name: meter.rate(now_ns) for name, meter in self._rates.items()},
            skipped={"shown": self.shown.skipped, "model": self._engine.skipped + self._intake.without_slot},
            gaps=status.gaps if status is not None else 0,
            queue_bytes=status.queue_bytes if status is not None else 0,
            disk_free=status.disk_free if status is not None else -1,
            device_bytes=self._device_bytes,
            seq=self.seq,
            synced_age_ns=status.synced_age_ns if status is not None else -1,
            disk_seconds=status.disk_seconds if status is not None else -1.0,
        )

    # --- the end ------------------------------------------------------------------------------------------------------

    def shutdown(self, deadline_s: float = 10.0) -> None:
        """Close the source, end the journal and fold it, stop the engine. In this order, so that nothing is lost."""
        self.close_source()
        self.stop_recording("operator")
        self._worker.shutdown(wait=True)
        if self._engine_started:
            self._engine.stop(deadline=deadline_s)


def _words_of(rule: MaskRule) -> str:
    if rule.kind == "future":
        return f"predict the newest {rule.predict_steps} time steps"
    if rule.kind == "multiblock":
        return f"multi-block, {rule.generator}, seed {rule.seed}"
    return "a region drawn on the picture"


def _fields_of(rule: MaskRule) -> dict[str, object]:
    return {
        "kind": rule.kind,
        "predict_steps": rule.predict_steps,
        "generator": rule.generator,
        "region": list(rule.region) if rule.region is not None else None,
        "seed": rule.seed,
    }

"""The whole live pipeline without the glass: source, engine, recorder, and what a person does.

The window and the headless run hold one of these and hear the same notices. The source belongs to `Playing`, the engine
to `Checkpoints`, the recorder to `Recording`. Knows no Qt, never imports torch. Listeners, on worker threads, must not block.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from console import recompute
from console.checkpoints import Checkpoints
from console.config import Config
from console.disk_watch import DiskWatch
from console.intake import FrameNumbers, Intake, RecordingTap
from console.notices import Faulted, Notice
from console.playing import Playing
from console.recording import Recording, Scene, no_record_of_a_record
from console.vitals import Vitals
from console.worker import Worker
from jepa_core.clock import CancelToken, Clock, SystemClock
from jepa_core.errors import ConsoleError, RequestError
from jepa_core.lanes import LatestSlot
from jepa_core.messages import EngineOptions
from jepa_core.signals import SIGNALS
from jepa_core.tracks import SignalTrack
from jepa_core.types import (
    CheckpointInfo,
    Event,
    Frame,
    Health,
    Inspection,
    LatentView,
    LoadReport,
    MaskRule,
    SourceInfo,
)
from sessions.recorder import Recorder

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
        self.clock = clock or SystemClock()
        self._listeners: list[Listener] = []
        self._worker = Worker(on_fault=lambda error: self._say(Faulted(error)))
        self._jpeg_quality = config.recording.jpeg_quality
        self._vitals = Vitals(self.clock)
        self._disk = DiskWatch(config.recording.path, self._worker, self.clock)
        self.recording = Recording(clock=self.clock, worker=self._worker, say=self._say, config=config)
        self._checkpoints = Checkpoints(
            config,
            options=options,
            is_engine_local=is_engine_local,
            say=self._say,
            recording=self.recording,
            vitals=self._vitals,
            on_look=self._on_look,
            on_look_again=self.looks.put,
            on_settled=self._on_model_settled,
        )
        self._intake = Intake(
            clock=self.clock,
            numbers=FrameNumbers(),
            shown=self.shown,
            engine=self._checkpoints.engine,
            on_frame=self._vitals.captured,
            on_recorded_look=self.looks.put,
        )
        self._playing = Playing(
            clock=self.clock,
            intake=self._intake,
            say=self._say,
            on_open=self._on_source_open,
            on_fault=self._on_source_fault,
        )
        self._record_to: str | None = None
        self._when_loaded: Callable[[], None] | None = None
        self._is_over = False

    # --- listeners --------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def _say(self, notice: Notice) -> None:
        for listener in list(self._listeners):
            listener(notice)

    # --- source and transport ----------------------------------------------------------------------------------------

    def watch(
        self,
        uri: str,
        checkpoint: str | None,
        *,
        config: str | None = None,
        record_to: str | None = None,
        every_frame: bool = False,
        speed: float | None = 1.0,
    ) -> None:
        """Open a source with a checkpoint.

        With every frame to be looked at, the first frame waits for the model; otherwise the picture shows at once, and
        a recording begins as soon as the model is there (or was refused).
        """
        if checkpoint is None:
            self.open_source(uri, every_frame=every_frame, speed=speed, record_to=record_to)
        elif every_frame:
            self._when_loaded = lambda: self.open_source(
                uri, every_frame=True, speed=speed, record_to=record_to
            )
            self.load_checkpoint(checkpoint, config)
        else:
            self.open_source(uri, speed=speed)
            if record_to is not None:
                self._when_loaded = lambda: self.start_recording(record_to)
            self.load_checkpoint(checkpoint, config)

    def open_source(
        self, uri: str, *, every_frame: bool = False, speed: float | None = 1.0, record_to: str | None = None
    ) -> None:
        """Open a file, folder, world or session. Returns at once; SourceOpened or SourceFailed follows.

        record_to   a folder: record from the very first frame on
        """
        if self._is_over:
            return
        self._when_loaded = None  # what waited for a checkpoint belonged to the source before
        self._record_to = record_to
        self._playing.open(uri, every_frame=every_frame, speed=speed)

    def close_source(self) -> None:
        self._when_loaded = self._record_to = None
        self._playing.close()

    def play(self) -> None:
        self._playing.play()

    def pause(self) -> None:
        self._playing.pause()

    def step(self, n: int) -> None:
        self._playing.step(n)

    def seek(self, index: int) -> None:
        self._playing.seek(index)

    def seek_time(self, t_ns: int) -> None:
        self._playing.seek_time(t_ns)

    def seek_seq(self, seq: int) -> None:
        self._playing.seek_seq(seq)

    def set_speed(self, speed: float) -> None:
        self._playing.set_speed(speed)

    def set_every_frame(self, is_on: bool) -> None:
        self._playing.set_every_frame(is_on)

    @property
    def source_info(self) -> SourceInfo | None:
        return self._playing.info

    @property
    def is_source_alive(self) -> bool:
        """Can the open source still give pictures, or be sought?"""
        return self._playing.is_alive

    @property
    def is_replay(self) -> bool:
        info = self._playing.info
        return info is not None and info.kind == "session"

    def _on_source_open(self, info: SourceInfo) -> None:
        """On the source thread, before its first frame, which a recording asked for with the source must not miss."""
        self._vitals.clear()
        self._fill_tracks()
        record_to, self._record_to = self._record_to, None
        if info.kind == "session":
            if record_to is not None:
                self._say(Faulted(no_record_of_a_record()))
            if self.recording.is_recording:
                self.stop_recording()  # the frames to come were captured at another time
        elif self.recording.is_recording:
            self.recording.scene_changed_now(self._scene(info))
            self.recording.status_event("source_opened", self.seq, source=info.name)
        elif record_to is not None:
            self.recording.start_now(Path(record_to), self._scene(info), self._tap)

    def _fill_tracks(self) -> None:
        """Live: empty curves that grow. Replay: the recorded ones, whole."""
        session = self._playing.session
        if session is not None:
            self.tracks = {name: session.track(name) for name in session.track_names}
        else:
            self.tracks = {name: SignalTrack(name, signal.unit) for name, signal in SIGNALS.items()}

    def _on_source_fault(self, error: ConsoleError) -> None:
        self.recording.fault(error.code, error.what, self.seq)

    # --- model --------------------------------------------------------------------------------------------------------

    def load_checkpoint(
        self, path: str, config: str | None = None, options: EngineOptions | None = None
    ) -> None:
        """Load it in the engine; CheckpointLoading…, then CheckpointLoaded or CheckpointRefused follow."""
        self._intake.has_model = False
        self._checkpoints.load(path, config, options)

    def examine_checkpoint(
        self, path: str, config: str | None = None, options: EngineOptions | None = None
    ) -> None:
        """Ask what a file is, load nothing: CheckpointExamining…, then CheckpointExamined."""
        self._checkpoints.examine(path, config, options)

    def cancel_examine(self) -> None:
        self._checkpoints.cancel_examine()

    @property
    def engine_options(self) -> EngineOptions:
        """How the next checkpoint would be loaded, unless other options are given with it."""
        return self._checkpoints.options

    def cancel_load(self) -> None:
        self._checkpoints.cancel_load()

    def unload_checkpoint(self) -> None:
        self._checkpoints.unload()

    def set_mask(self, rule: MaskRule) -> None:
        self._checkpoints.set_mask(rule, self.seq)

    def set_view(self, view: LatentView) -> None:
        """What is shown of the latents of looks from now on; changes no number."""
        self._checkpoints.set_view(view, self.seq)

    @property
    def mask_rule(self) -> MaskRule:
        return self._checkpoints.options.mask

    @property
    def checkpoint_info(self) -> CheckpointInfo | None:
        return self._checkpoints.info

    @property
    def engine_pid(self) -> int | None:
        """Of the engine's own process; None where there is none."""
        return self._checkpoints.engine.pid

    @property
    def checkpoint_report(self) -> LoadReport | None:
        return self._checkpoints.report

    def _on_model_settled(self, is_other_model: bool) -> None:
        """A load came to its end. The record gets a new part before the first look of another model reaches it."""
        info = self.source_info
        if is_other_model and self.recording.is_recording and info is not None:
            self.recording.scene_changed(self._scene(info), then=self._go_on_with_model)
        else:
            self._go_on_with_model()

    def _go_on_with_model(self) -> None:
        self._intake.has_model = self._checkpoints.can_look
        waiting, self._when_loaded = self._when_loaded, None
        if waiting is not None:
            self._worker.submit(waiting)  # not on the engine's thread: it opens and closes things

    def _on_look(self, inspection: Inspection) -> None:
        self.recording.look(inspection)
        for name, track in self.tracks.items():
            if name in inspection.signals:
                track.append(inspection.t_ns, inspection.signals[name], inspection.seq)
        self.looks.put(inspection)

    @property
    def recorded_checkpoint(self) -> CheckpointInfo | None:
        """Whose predictions an open session holds; None when none is open or it has none."""
        session = self._playing.session
        return session.checkpoint_info if session is not None else None

    # --- record -------------------------------------------------------------------------------------------------------

    @property
    def is_recording(self) -> bool:
        return self.recording.is_recording

    def start_recording(self, directory: str) -> None:
        """Open a journal there. RecordingStarted or Faulted follows."""
        info = self.source_info
        if info is None:
            self._say(
                Faulted(RequestError("There is nothing to record yet.", "Open a source first (Ctrl+O)."))
            )
        elif info.kind == "session":
            self._say(Faulted(no_record_of_a_record()))
        else:
            self.recording.start(Path(directory), self._scene(info), self._tap)

    def _tap(self, recorder: Recorder | None) -> None:
        self._intake.tap = None if recorder is None else RecordingTap(recorder, self._jpeg_quality)

    def stop_recording(self, reason: str = "operator") -> None:
        """End and fold the session. Returns at once; RecordingStopped follows."""
        self._record_to = None
        self._intake.tap = None
        self.recording.stop(reason, self._tap)

    def recover(self, journal: str) -> None:
        """Make a session of what a crash left behind. Recovered follows."""
        self.recording.recover(Path(journal))

    def _scene(self, info: SourceInfo) -> Scene:
        return Scene(info, self.checkpoint_info, self.checkpoint_report, self._checkpoints.options)

    def recompute(
        self, checkpoint: str, on_progress: Callable[[float, str], None], on_done: recompute.OnDone
    ) -> CancelToken:
        """Run the open session's frames through a checkpoint, in a child process."""
        return recompute.recompute_in_child(self._playing.session_path, checkpoint, on_progress, on_done)

    # --- what a person did --------------------------------------------------------------------------------------------

    def override_start(self, t_ns: int, seq: int) -> Event:
        return self.recording.override_start(t_ns, seq, self._vitals.latest_look)

    def override_end(self, t_ns: int, seq: int) -> Event | None:
        return self.recording.override_end(t_ns, seq)

    def near_miss(self, t_ns: int, seq: int) -> Event:
        return self.recording.near_miss(t_ns, seq, self._vitals.latest_look)

    def note(self, t_ns: int, seq: int, text: str) -> Event:
        return self.recording.note(t_ns, seq, text)

    def bookmark(self, t_ns: int, seq: int) -> Event:
        return self.recording.bookmark(t_ns, seq)

    def amend(self, event_id: str, **changes: str | int | bool) -> Event:
        return self.recording.amend(event_id, **changes)

    @property
    def events(self) -> list[Event]:
        """Live: what happened in this run. Replay: what was recorded."""
        session = self._playing.session
        return list(session.events()) if session is not None else self.recording.events

    # --- how fresh, how complete --------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """Number of the newest frame, -1 before the first."""
        newest = self._vitals.newest
        return newest.seq if newest is not None else -1

    @property
    def position(self) -> int:
        """The newest frame's number in its own source, -1 before the first."""
        newest = self._vitals.newest
        return newest.index if newest is not None else -1

    def shown_now(self, frame: Frame) -> None:
        """The view painted this frame just now."""
        self._vitals.painted(frame, self.is_replay)

    def health(self) -> Health:
        """Cheap; sampled twice a second."""
        unseen = (
            self._checkpoints.engine.skipped + self._intake.without_slot
        )  # frames that never reached the clip
        model_skipped = unseen + self._vitals.looks_let_go
        return self._vitals.health(
            skipped={"shown": self.shown.skipped, "model": model_skipped},
            recorder=self.recording.status(),
            disk_free=self._disk.free_bytes(),
        )

    # --- the end ------------------------------------------------------------------------------------------------------

    def shutdown(self, deadline_s: float = 10.0) -> None:
        """Close the source, end the journal and fold it, stop the engine. In this order, so that nothing is lost."""
        self._is_over = True  # nothing that still waits for a checkpoint begins now
        self.close_source()
        self.stop_recording("operator")
        self._worker.stop()
        self._checkpoints.stop(deadline_s)

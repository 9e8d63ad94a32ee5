"""The recorder thread: turns lanes into a journal on disk.

Owns the open journal. Documents go first, and are confirmed only after the sync that holds them; frames and steps
follow as the disk allows. Never blocks a producer, never touches Qt, never says recorded of what may be lost.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jepa_core.clock import Clock
from jepa_core.errors import ConsoleError, DiskFull, WriteFailed
from jepa_core.lanes import ByteLane
from jepa_core.types import Event, Inspection
from sessions import events
from sessions.disk import Disk, is_full
from sessions.documents import Documents
from sessions.header import CameraStream, ModelStream, SessionHeader, stream_of_inspection
from sessions.part import Part
from sessions.rows import FrameRow, NewStreams, RecorderSettings, RecorderStatus, Row, StepRow
from sessions.space import Space
from sessions.succession import Succession, as_error

log = logging.getLogger(__name__)

SECOND_NS = 1_000_000_000

__all__ = ["FrameRow", "Recorder", "RecorderSettings", "RecorderStatus"]


_KEEP: Any = object()


class Recorder:
    """Records one session into one directory, from `start` to `stop`.

    `frame`, `step`, `event` and `reconfigure` may be called from any thread and return at once. The callbacks come
    from the recorder thread and must not block.
    """

    def __init__(
        self,
        directory: str | Path,
        header: SessionHeader,
        *,
        clock: Clock,
        on_ack: Callable[[str], None] = lambda event_id: None,
        on_event_failed: Callable[[str, ConsoleError], None] = lambda event_id, error: None,
        on_fault: Callable[[ConsoleError], None] = lambda error: None,
        on_part: Callable[[Path], None] = lambda journal: None,
        settings: RecorderSettings | None = None,
        disk: Disk | None = None,
    ) -> None:
        """on_part is told of every finished part but the last, so that it can be folded while the next records."""
        self.settings = settings or RecorderSettings()
        self.session_id = header.session_id
        self.directory = Path(directory)
        self._file_id = header.file_id
        self._clock = clock
        self._on_fault, self._on_part = on_fault, on_part
        self._rows: ByteLane[Row] = ByteLane(self.settings.queue_bytes, "recorder")
        self._wake = threading.Event()
        self._rows.listen(self._wake.set)
        self._stop_reason: str | None = None
        self._stop_by_ns = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._state = "idle"
        self._last_disk_look_ns = 0
        self._disk = disk = disk or Disk()
        self._space = Space(self.directory, disk, self.settings, header)
        self._parts = Succession(
            self.directory,
            header,
            clock=clock,
            disk=disk,
            settings=self.settings,
            make_room=self._disk_is_full,
            report=self._report,
            tell=lambda error: self._tell(self._on_fault, error),
            on_part=lambda path: self._tell(self._on_part, path),
        )
        self._documents = Documents(
            self._parts,
            make_room=self._disk_is_full,
            on_saved=lambda event_id: self._tell(on_ack, event_id),
            on_failed=lambda event_id, error: self._tell(on_event_failed, event_id, error),
        )
        self._documents.listen(self._wake.set)

    # --- from any thread --------------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Path, ...]:
        """Every journal of this session, oldest first."""
        return self._parts.paths

    def start(self) -> Path:
        """Create the first journal and start. Raises DiskFull (too little space) or WriteFailed, and then nothing stays."""
        try:
            self._disk.make_directory(self.directory)
            self._space.check_start()
            self._space.take_reserve(self._file_id)
            first = self._parts.begin()
        except OSError as error:
            self._space.give_reserve()
            raise as_error(error, self.directory) from error
        self._state = "recording"
        self._thread.start()
        return first.path

    def frame(self, row: FrameRow) -> bool:
        """Take one frame; False if its pixels had to be let go (the row stays)."""
        return self._rows.put(row)

    def step(self, inspection: Inspection) -> bool:
        """Take one look; False if its tokens had to be let go (the row stays)."""
        return self._rows.put(StepRow(inspection))

    def event(self, event: Event) -> None:
        """Take one event. `on_ack` follows once it is on the medium, or `on_event_failed`."""
        self._documents.put(event)

    def reconfigure(self, *, camera: CameraStream | None = None, model: ModelStream | None = _KEEP) -> None:
        """What the stream table states changes here: later rows go into a new part. `model=None`: none any more."""
        keeps = model is _KEEP
        self._rows.put(NewStreams(camera, None if keeps else model, keeps))

    def status(self) -> RecorderStatus:
        part, totals, now_ns = self._parts.now, self._parts.totals, self._clock.now_ns()
        journal = part.journal if part is not None else None
        is_behind = len(self._rows) + len(self._documents) > 0
        is_behind = is_behind or (journal is not None and journal.unsynced_since_ns >= 0)
        synced_ns = journal.last_sync_ns if journal is not None and is_behind else now_ns
        paths = self._parts.paths
        return RecorderStatus(
            session_id=self.session_id,
            journal=paths[-1] if paths else self.directory,
            part=len(paths),
            state=self._state_in_words(),
            frames=totals.frames,
            steps=totals.steps,
            events=self._documents.n_saved,
            gaps=totals.lost,
            bytes=totals.n_bytes,
            queue_bytes=self._rows.queued_bytes,
            queue_rows=len(self._rows),
            unsaved_events=len(self._documents),
            synced_age_ns=-1 if journal is None else max(0, now_ns - synced_ns),
            disk_free=self._space.free_bytes,
            disk_seconds=self._space.seconds_left,
        )

    def _state_in_words(self) -> str:
        if self._state == "recording" and self._parts.is_failed:
            return "failed"
        if self._state == "recording" and self._space.is_full:
            return "frames_stopped"
        return self._state

    def stop(self, reason: str = "operator") -> Path:
        """Write what waits, end the journal, sync, close. Returns the last journal within the deadline.

        After the deadline (a disk that no longer answers) the journal stays without its end, and can be recovered.
        """
        if not self._parts.paths:
            raise WriteFailed("Nothing is being recorded.", "Start a recording first.")
        if self._stop_reason is None:
            self._stop_by_ns = self._clock.now_ns() + int(self.settings.deadline_s * SECOND_NS)
            self._stop_reason = reason
            self._wake.set()
        self._thread.join(self.settings.deadline_s + 2.0)
        if self._thread.is_alive():
            self._on_fault(
                WriteFailed(
                    f"The disk did not answer within {self.settings.deadline_s:.0f} s; {self._parts.paths[-1].name} has no end.",
                    "What was confirmed is on disk. Recover the session when the disk answers again.",
                )
            )
        return self._parts.paths[-1]

    # --- the recorder thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._stop_reason is None:
                self._wake.wait(0.05)  # a FakeClock moves without a word; look again soon
                self._wake.clear()
                self._serve()
            self._finish()
        except Exception as error:  # the thread's last resort: it must be heard, whatever it is
            log.exception("recorder stopped")
            self._state = "failed"
            stopped = WriteFailed("The recorder stopped.", "Start a new recording.", repr(error))
            self._documents.fail(stopped)
            self._tell(self._on_fault, stopped)
        finally:
            if self._parts.now is not None:
                self._parts.now.journal.close()
            self._space.give_reserve()
            if self._state != "failed":
                self._state = "stopped"

    def _serve(self) -> None:
        """One round: all documents, then rows in small batches, looking for new documents in between."""
        self._documents.save()
        while not self._is_late() and (rows := self._rows.drain(8)):
            for row in rows:
                self._write_row(row)
            self._documents.save()
            self._keep_time()
        self._keep_time()

    def _is_late(self) -> bool:
        return self._stop_reason is not None and self._clock.now_ns() > self._stop_by_ns

    def _write_row(self, row: Row, *, may_move: bool = True) -> None:
        if self._parts.now is None and not self._parts.reopen():
            self._parts.note_lost(1)
            return
        if isinstance(row, NewStreams):
            self._apply(row)
            return
        part = self._part_for(row)
        if part is None:
            self._parts.note_lost(1)
            return
        try:
            if self._space.is_full:
                part.lose(row, "disk_full")
            elif isinstance(row, FrameRow):
                part.write_frame(row)
            else:
                part.write_step(row)
        except OSError as error:
            if is_full(error) and not part.journal.is_failed:
                self._disk_is_full()
                part.lose(row, "disk_full")
            elif self._move_on(error) and may_move:
                self._write_row(row, may_move=False)

    def _part_for(self, row: FrameRow | StepRow) -> Part | None:
        """The part this row goes into: a look whose shape the stream table does not have begins a new one."""
        part = self._parts.now
        if part is None or isinstance(row, FrameRow):
            return part
        look = row.inspection
        if part.model is None:
            self._parts.roll(part.header.camera, stream_of_inspection(look))
        elif not part.model.holds(look):
            self._parts.roll(part.header.camera, part.model.widened(look))
        return self._parts.now

    def _apply(self, change: NewStreams) -> None:
        part = self._current()
        camera = change.camera or part.header.camera
        model = part.header.model if change.keeps_model else change.model
        if (camera, model) != (part.header.camera, part.header.model):
            self._parts.roll(camera, model)

    def _move_on(self, error: OSError) -> bool:
        part = self._current()
        return self._parts.move_on(error, part.header.camera, part.header.model)

    def _current(self) -> Part:
        part = self._parts.now
        assert part is not None, "no journal is open"
        return part

    def _keep_time(self) -> None:
        """What is due by the clock: sync, checkpoint, a look at the disk, a new part."""
        part, now_ns = self._parts.now, self._clock.now_ns()
        if part is None:
            return
        settings, journal = self.settings, part.journal
        try:
            if now_ns - part.last_checkpoint_ns >= settings.checkpoint_s * SECOND_NS:
                part.checkpoint()
                journal.sync()
            elif (
                journal.unsynced_since_ns >= 0
                and now_ns - journal.unsynced_since_ns >= settings.sync_s * SECOND_NS
            ):
                part.report_gaps()
                journal.sync()
        except OSError as error:
            if is_full(error) and not journal.is_failed:
                self._disk_is_full()
                part.last_checkpoint_ns = now_ns  # try again when the next one is due
            else:
                self._move_on(error)
            return
        if now_ns - self._last_disk_look_ns >= SECOND_NS:
            self._last_disk_look_ns = now_ns
            self._look_at_disk(now_ns)
        if (
            now_ns - part.header.start_mono_ns >= settings.part_s * SECOND_NS
            or journal.size >= settings.part_bytes
        ):
            self._parts.roll(part.header.camera, part.header.model)

    def _look_at_disk(self, now_ns: int) -> None:
        fault = self._space.look(self._parts.totals.n_bytes, now_ns)
        if fault is not None:
            self._report(fault)

    def _disk_is_full(self) -> bool:
        """Stop frames, loudly and once, and let the reserve go. True if that made room."""
        is_new = not self._space.is_full
        made_room = self._space.fill()
        if is_new:
            self._report(
                DiskFull(
                    "The disk is full: frames and looks are no longer recorded.",
                    "Free some space. Events are still recorded; the gap is in the record.",
                )
            )
        return made_room

    # --- telling ----------------------------------------------------------------------------------------------------

    def _report(self, error: ConsoleError) -> None:
        """Tell whoever listens, and put it into the record."""
        event = events.fault(
            error.code, error.what, t_ns=self._clock.now_ns(), actor="recorder", hint=error.hint
        )
        self._documents.put_own(event)
        self._tell(self._on_fault, error)

    def _tell(self, listener: Callable[..., None], *facts: object) -> None:
        """A listener that raises must not end a recording."""
        try:
            listener(*facts)
        except Exception:
            log.exception("a listener of the recorder raised")

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Write what waits as long as the deadline allows, tell of the rest, and end the journal."""
        while (len(self._rows) or len(self._documents)) and not self._is_late():
            self._serve()
        part = self._parts.now
        if part is None:
            self._documents.fail(
                WriteFailed("The recording had failed.", "Choose another folder and record anew.")
            )
            return
        for row in self._rows.drain():
            if not isinstance(row, NewStreams):
                part.lose(row, "deadline")
        reason = self._stop_reason or "operator"
        if self._space.is_full and reason == "operator":
            reason = "disk_full"
        try:
            self._parts.end(part, reason)
        except OSError as error:
            self._tell(self._on_fault, as_error(error, self.directory))

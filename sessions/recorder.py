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
from jepa_core.lanes import ByteLane, EventLane
from jepa_core.types import Event, Inspection
from sessions import events
from sessions.disk import Disk, is_full
from sessions.header import CameraStream, ModelStream, SessionHeader, stream_of_inspection
from sessions.part import Part
from sessions.rows import FrameRow, NewStreams, RecorderSettings, RecorderStatus, Row, StepRow
from sessions.schema import RecordType
from sessions.space import Space

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
        self._first_header = header
        self._clock = clock
        self._on_ack, self._on_event_failed = on_ack, on_event_failed
        self._on_fault, self._on_part = on_fault, on_part
        self._disk = disk or Disk()
        self._rows: ByteLane[Row] = ByteLane(self.settings.queue_bytes, "recorder")
        self._documents: EventLane[Event] = EventLane("documents")
        self._wake = threading.Event()
        self._rows.listen(self._wake.set)
        self._documents.listen(self._wake.set)
        self._stop_reason: str | None = None
        self._stop_by_ns = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._parts: list[Path] = []
        self._part: Part | None = None
        self._state = "idle"
        self._events = 0
        self._done = [0, 0, 0, 0]  # frames, steps, gaps, bytes of finished parts
        self._unsaved: list[Event] = []
        self._own: set[str] = set()  # ids of the recorder's own fault events, confirmed to nobody
        self._pending_header = header  # of the part to open when writing failed
        self._left: Part | None = None  # the part before, for what it had not yet told
        self._retry_ns = 0
        self._last_disk_look_ns = 0
        self._space = Space(self.directory, self._disk, self.settings, header)

    # --- from any thread --------------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Path, ...]:
        """Every journal of this session, oldest first."""
        return tuple(self._parts)

    def start(self) -> Path:
        """Create the first journal and start. Raises DiskFull (too little space) or WriteFailed, and then nothing stays."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._space.check_start()
            self._space.take_reserve(self._first_header.file_id)
            self._part = self._open_part(self._first_header)
        except OSError as error:
            self._space.give_reserve()
            raise _as_error(error, self.directory) from error
        self._state = "recording"
        self._thread.start()
        return self._part.path

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
        part, now_ns = self._part, self._clock.now_ns()
        journal = part.journal if part is not None else None
        has_unsynced = len(self._rows) + len(self._documents) > 0 or (
            journal is not None and journal.unsynced_since_ns >= 0
        )
        synced_ns = journal.last_sync_ns if journal is not None else now_ns
        return RecorderStatus(
            session_id=self.session_id,
            journal=self._parts[-1] if self._parts else self.directory,
            part=len(self._parts),
            state="frames_stopped" if self._state == "recording" and self._space.is_full else self._state,
            frames=self._done[0] + (part.frames if part is not None else 0),
            steps=self._done[1] + (part.steps if part is not None else 0),
            events=self._events,
            gaps=self._done[2] + (part.lost if part is not None else 0),
            bytes=self._done[3] + (journal.size if journal is not None else 0),
            queue_bytes=self._rows.queued_bytes,
            queue_rows=len(self._rows),
            unsaved_events=len(self._documents) + len(self._unsaved),
            synced_age_ns=-1 if journal is None else max(0, now_ns - synced_ns) if has_unsynced else 0,
            disk_free=self._space.free_bytes,
            disk_seconds=self._space.seconds_left,
        )

    def stop(self, reason: str = "operator") -> Path:
        """Write what waits, end the journal, sync, close. Returns the last journal within the deadline.

        After the deadline (a disk that no longer answers) the journal stays without its end, and can be recovered.
        """
        if not self._parts:
            raise WriteFailed("Nothing is being recorded.", "Start a recording first.")
        if self._stop_reason is None:
            self._stop_by_ns = self._clock.now_ns() + int(self.settings.deadline_s * SECOND_NS)
            self._stop_reason = reason
            self._wake.set()
        self._thread.join(self.settings.deadline_s + 2.0)
        if self._thread.is_alive():
            self._on_fault(
                WriteFailed(
                    f"The disk did not answer within {self.settings.deadline_s:.0f} s; {self._parts[-1].name} has no end.",
                    "What was confirmed is on disk. Recover the session when the disk answers again.",
                )
            )
        return self._parts[-1]

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
            self._unsaved.extend(self._documents.drain())
            self._fail_events(stopped)
            self._tell(self._on_fault, stopped)
        finally:
            if self._part is not None:
                self._part.journal.close()
            self._space.give_reserve()
            if self._state != "failed":
                self._state = "stopped"

    def _serve(self) -> None:
        """One round: all documents, then rows in small batches, looking for new documents in between."""
        self._write_documents()
        while not self._is_late() and (rows := self._rows.drain(8)):
            for row in rows:
                self._write_row(row)
            self._write_documents()
            self._keep_time()
        self._keep_time()

    def _is_late(self) -> bool:
        return self._stop_reason is not None and self._clock.now_ns() > self._stop_by_ns

    def _write_documents(self) -> None:
        self._unsaved.extend(self._documents.drain())
        if not self._unsaved:
            return
        if self._part is None and not self._reopen():
            self._fail_events(
                WriteFailed(
                    "The event is not on disk: the recording has failed.",
                    "Choose another folder and record anew.",
                )
            )
            return
        self._try_documents(may_move=True)

    def _try_documents(self, *, may_move: bool) -> None:
        """Append and sync what waits, then confirm it. Only a sync that returned confirms anything."""
        assert self._part is not None
        n_appended = 0
        try:
            for event in self._unsaved:
                self._append_document(event)
                n_appended += 1
            self._part.journal.sync()
            self._confirm(n_appended)
        except OSError as error:
            if is_full(error) and not self._part.journal.is_failed:
                self._confirm_what_fits(n_appended)
                self._fail_events(_as_error(error, self.directory))
            elif may_move and self._move_on(error):
                self._try_documents(may_move=False)
            else:
                self._fail_events(_as_error(error, self.directory))

    def _confirm_what_fits(self, n_appended: int) -> None:
        """The disk became full in the middle: the documents before that are written, and can still be synced."""
        assert self._part is not None
        try:
            self._part.journal.sync()
            self._confirm(n_appended)
        except OSError as error:
            self._move_on(error)

    def _confirm(self, count: int) -> None:
        saved, self._unsaved = self._unsaved[:count], self._unsaved[count:]
        self._events += count
        for event in saved:
            if event.id in self._own:
                self._own.discard(event.id)
            else:
                self._tell(self._on_ack, event.id)

    def _append_document(self, event: Event) -> None:
        """On a full disk the reserve is let go, once, and the document is tried again."""
        assert self._part is not None
        payload = events.build_document(event)
        try:
            self._part.journal.append(0, RecordType.DOCUMENT, payload)
        except OSError as error:
            if not is_full(error) or not self._disk_is_full():
                raise
            self._part.journal.append(0, RecordType.DOCUMENT, payload)

    def _write_row(self, row: Row) -> None:
        if self._part is None and not self._reopen():
            self._done[2] += 1
            return
        part = self._part
        assert part is not None
        if isinstance(row, NewStreams):
            self._apply(row)
            return
        if isinstance(row, StepRow) and (part.model is None or not part.model.holds(row.inspection)):
            model = _stream_for(part.model, row.inspection)
            self._roll(part.header.camera, model)
            part = self._part
            if part is None:
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
            else:
                self._move_on(error)

    def _apply(self, change: NewStreams) -> None:
        assert self._part is not None
        now = self._part.header
        camera = change.camera or now.camera
        model = now.model if change.keeps_model else change.model
        if (camera, model) != (now.camera, now.model):
            self._roll(camera, model)

    def _keep_time(self) -> None:
        """What is due by the clock: sync, checkpoint, a look at the disk, a new part."""
        part, now_ns = self._part, self._clock.now_ns()
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
            self._roll(part.header.camera, part.header.model)

    def _look_at_disk(self, now_ns: int) -> None:
        assert self._part is not None
        fault = self._space.look(self._done[3] + self._part.journal.size, now_ns)
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

    # --- parts ----------------------------------------------------------------------------------------------------------

    def _open_part(self, header: SessionHeader, directory: Path | None = None) -> Part:
        number = len(self._parts) + 1
        suffix = "" if number == 1 else f".p{number}"
        path = (directory or self.directory) / f"{self._first_header.file_id}{suffix}.wmj"
        part = Part(path, header, clock=self._clock, disk=self._disk, previous=self._left)
        self._parts.append(path)
        return part

    def _roll(self, camera: CameraStream, model: ModelStream | None) -> None:
        """End this part and go on in the next, without losing a row."""
        part = self._part
        assert part is not None
        try:
            self._end(part, "rolled")
        except OSError as error:
            self._move_on(error, camera, model)
            return
        part.journal.close()
        following = self._next_header(part, camera, model)
        self._leave(part)
        try:
            self._part = self._open_part(following)
        except OSError as error:
            self._lost(error, following)
            return
        self._tell(self._on_part, part.path)

    def _end(self, part: Part, reason: str) -> None:
        """The end record, into the reserve if need be."""
        try:
            part.end(reason)
        except OSError as error:
            if part.journal.is_failed or not (is_full(error) and self._disk_is_full()):
                raise
            part.end(reason)

    def _next_header(self, part: Part, camera: CameraStream, model: ModelStream | None) -> SessionHeader:
        now = (self._clock.now_ns(), self._clock.wall_ns())
        return part.header.continued(part.path, part.journal.head, now, camera=camera, model=model)

    def _move_on(
        self, error: OSError, camera: CameraStream | None = None, model: ModelStream | None = _KEEP
    ) -> bool:
        """A write or a sync failed for good: this journal is over. Go on in a new one, elsewhere if need be."""
        part = self._part
        assert part is not None
        log.error("journal %s failed: %s", part.path.name, error)
        header = self._next_header(
            part, camera or part.header.camera, part.header.model if model is _KEEP else model
        )
        part.journal.close()
        self._leave(part)
        self._lost(error, header)
        return self._part is not None

    def _lost(self, error: OSError, header: SessionHeader) -> None:
        """Try to open the next part; say what happened either way."""
        self._pending_header = header
        self._part = None
        if self._reopen():
            name = self._parts[-1].name
            self._report(
                WriteFailed(
                    f"Writing to the disk failed ({error.strerror or error}); the recording goes on in {name}.",
                    "Up to a second of frames before this moment may be missing. Check the disk.",
                    repr(error),
                )
            )
        else:
            self._tell(self._on_fault, _as_error(error, self.directory))

    def _reopen(self) -> bool:
        now_ns = self._clock.now_ns()
        if self._state == "failed" and now_ns < self._retry_ns:
            return False
        for directory in (self.directory, self.settings.fallback_directory):
            if directory is None:
                continue
            try:
                directory.mkdir(parents=True, exist_ok=True)
                self._part = self._open_part(self._pending_header, directory)
            except OSError as error:
                log.error("no new journal in %s: %s", directory, error)
                continue
            self._state = "recording"
            return True
        self._state = "failed"
        self._retry_ns = now_ns + 5 * SECOND_NS
        return False

    def _leave(self, part: Part) -> None:
        for position, count in enumerate((part.frames, part.steps, part.lost, part.journal.size)):
            self._done[position] += count
        self._left = part
        self._part = None

    def _fail_events(self, error: ConsoleError) -> None:
        failed, self._unsaved = self._unsaved, []
        for event in failed:
            if event.id not in self._own:
                self._tell(self._on_event_failed, event.id, error)

    def _report(self, error: ConsoleError) -> None:
        """Tell whoever listens, and put it into the record."""
        event = events.fault(
            error.code, error.what, t_ns=self._clock.now_ns(), actor="recorder", hint=error.hint
        )
        self._own.add(event.id)
        self._documents.put(event)
        self._tell(self._on_fault, error)

    def _tell(self, listener: Callable[..., None], *facts: object) -> None:
        """A listener that raises must not end a recording."""
        try:
            listener(*facts)
        except Exception:
            log.exception("a listener of the recorder raised")

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        while (len(self._rows) or len(self._documents)) and not self._is_late():
            self._serve()
        part = self._part
        if part is None:
            self._unsaved.extend(self._documents.drain())
            self._fail_events(
                WriteFailed("The recording had failed.", "Choose another folder and record anew.")
            )
            return
        for row in self._rows.drain():
            if not isinstance(row, NewStreams):
                part.lose(row, "deadline")
        reason = "disk_full" if self._space.is_full and self._stop_reason == "operator" else self._stop_reason
        try:
            self._end(part, reason or "operator")
        except OSError as error:
            self._tell(self._on_fault, _as_error(error, self.directory))


def _stream_for(model: ModelStream | None, inspection: Inspection) -> ModelStream:
    return stream_of_inspection(inspection) if model is None else model.widened(inspection)


def _as_error(error: OSError, directory: Path) -> ConsoleError:
    if is_full(error):
        return DiskFull(
            f"There is no space left in {directory}.",
            "Free some space, or choose another folder.",
            repr(error),
        )
    return WriteFailed(
        f"{directory} cannot be written: {error.strerror or error}.",
        "Choose a folder you may write to.",
        repr(error),
    )

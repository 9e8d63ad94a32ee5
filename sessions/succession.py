"""Which journal is being written now, and what comes after it: rolling, and going on when a disk fails.

Belongs to the recorder thread, except for the plain numbers that `totals` and `paths` give to anybody. A journal that
failed is never written again; the next one names it and where its chain stood.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jepa_core.clock import Clock
from jepa_core.errors import ConsoleError, DiskFull, WriteFailed
from sessions.disk import Disk, is_full
from sessions.header import CameraStream, ModelStream, SessionHeader
from sessions.part import Part
from sessions.rows import RecorderSettings

log = logging.getLogger(__name__)

RETRY_NS = 5_000_000_000
"""Between two tries to open a journal when the last one could not be opened."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all parts."""

    frames: int = 0
    steps: int = 0
    lost: int = 0
    n_bytes: int = 0

    def plus(self, part: Part) -> Totals:
        return Totals(
            self.frames + part.frames,
            self.steps + part.steps,
            self.lost + part.lost,
            self.n_bytes + part.journal.size,
        )


class Succession:
    """The parts of one recording, one after the other. `now` is None while none can be written."""

    def __init__(
        self,
        directory: Path,
        header: SessionHeader,
        *,
        clock: Clock,
        disk: Disk,
        settings: RecorderSettings,
        make_room: Callable[[], bool],
        report: Callable[[ConsoleError], None],
        tell: Callable[[ConsoleError], None],
        on_part: Callable[[Path], None],
    ) -> None:
        """
        make_room   the disk is full: True if something could be let go
        report      tell of a fault and record it; tell: only tell, because nothing can be recorded
        on_part     a part was ended in order and another one has begun
        """
        self.now: Part | None = None
        self.is_failed = False
        self.paths: tuple[Path, ...] = ()
        self._directory = directory
        self._file_id = header.file_id
        self._next = header  # of the part to open next
        self._clock, self._disk, self._settings = clock, disk, settings
        self._make_room, self._report, self._tell, self._on_part = make_room, report, tell, on_part
        self._done = Totals()
        self._left: Part | None = None  # the part before, for the losses it had not told of
        self._retry_ns = 0

    @property
    def totals(self) -> Totals:
        part = self.now
        return self._done if part is None else self._done.plus(part)

    def note_lost(self, count: int) -> None:
        """Rows that came while no journal could be written."""
        done = self._done
        self._done = Totals(done.frames, done.steps, done.lost + count, done.n_bytes)

    def begin(self) -> Part:
        """The first part. OSError."""
        self.now = self._open(self._directory)
        return self.now

    def roll(self, camera: CameraStream, model: ModelStream | None) -> None:
        """End this part and go on in the next, without losing a row."""
        part = self._current()
        try:
            self.end(part, "rolled")
        except OSError as error:
            self.move_on(error, camera, model)
            return
        self._leave(part, camera, model)
        try:
            self.now = self._open(self._directory)
        except OSError as error:
            self._go_on_after(error)
            return
        self._on_part(part.path)

    def end(self, part: Part, reason: str) -> None:
        """Its last records, into the reserve if need be. OSError."""
        try:
            part.end(reason)
        except OSError as error:
            if part.journal.is_failed or not (is_full(error) and self._make_room()):
                raise
            part.end(reason)

    def move_on(self, error: OSError, camera: CameraStream, model: ModelStream | None) -> bool:
        """A write or a sync failed for good: this journal is over. True if another one could be opened."""
        part = self._current()
        log.error("journal %s failed: %s", part.path.name, error)
        self._leave(part, camera, model)
        self._go_on_after(error)
        return self.now is not None

    def reopen(self) -> bool:
        """Try to open the next part, here or in the other folder; not more often than every few seconds."""
        now_ns = self._clock.now_ns()
        if self.is_failed and now_ns < self._retry_ns:
            return False
        for directory in (self._directory, self._settings.fallback_directory):
            if directory is None:
                continue
            try:
                self._disk.make_directory(directory)
                self.now = self._open(directory)
            except OSError as error:
                log.error("no new journal in %s: %s", directory, error)
                continue
            self.is_failed = False
            return True
        self.is_failed = True
        self._retry_ns = now_ns + RETRY_NS
        return False

    def in_words(self, error: OSError) -> ConsoleError:
        return as_error(error, self._directory)

    def _go_on_after(self, error: OSError) -> None:
        if not self.reopen():
            self._tell(self.in_words(error))
            return
        self._report(
            WriteFailed(
                f"Writing to the disk failed ({error.strerror or error}); the recording goes on in {self.paths[-1].name}.",
                "Up to a second of frames before this moment may be missing. Check the disk.",
                repr(error),
            )
        )

    def _open(self, directory: Path) -> Part:
        number = len(self.paths) + 1
        path = directory / (f"{self._file_id}.wmj" if number == 1 else f"{self._file_id}.p{number}.wmj")
        part = Part(path, self._next, clock=self._clock, disk=self._disk, previous=self._left)
        self.paths = (*self.paths, path)
        return part

    def _leave(self, part: Part, camera: CameraStream, model: ModelStream | None) -> None:
        moment = (self._clock.now_ns(), self._clock.wall_ns())
        self._next = part.header.continued(part.path, part.journal.head, moment, camera=camera, model=model)
        part.journal.close()
        self._done = self._done.plus(part)
        self._left = part
        self.now = None

    def _current(self) -> Part:
        assert self.now is not None, "asked to leave a part when none is open"
        return self.now


def as_error(error: OSError, directory: Path) -> ConsoleError:
    """What the operating system said, for a person."""
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

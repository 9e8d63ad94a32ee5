"""Events on their way to the medium: appended, synced, and only then confirmed.

Belongs to the recorder thread; only `put` and `len` are for others. What cannot be written is failed out loud, never
forgotten and never confirmed.
"""

from __future__ import annotations

from collections.abc import Callable

from jepa_core.errors import ConsoleError, WriteFailed
from jepa_core.lanes import EventLane
from jepa_core.types import Event
from sessions import events
from sessions.disk import is_full
from sessions.journal import JournalWriter
from sessions.schema import RecordType
from sessions.succession import Succession


class Documents:
    """The queue of events, and those that were written but not yet confirmed."""

    def __init__(
        self,
        parts: Succession,
        *,
        make_room: Callable[[], bool],
        on_saved: Callable[[str], None],
        on_failed: Callable[[str, ConsoleError], None],
    ) -> None:
        self.n_saved = 0
        self._parts = parts
        self._make_room, self._on_saved, self._on_failed = make_room, on_saved, on_failed
        self._lane: EventLane[Event] = EventLane("documents")
        self._unsaved: list[Event] = []
        self._own: set[str] = set()  # the recorder's own fault events: nobody waits for their confirmation

    def __len__(self) -> int:
        return len(self._lane) + len(self._unsaved)

    def listen(self, listener: Callable[[], None]) -> None:
        self._lane.listen(listener)

    def put(self, event: Event) -> None:
        self._lane.put(event)

    def put_own(self, event: Event) -> None:
        self._own.add(event.id)
        self._lane.put(event)

    def save(self) -> None:
        """Write, sync and confirm everything that waits."""
        self._unsaved.extend(self._lane.drain())
        if not self._unsaved:
            return
        if self._parts.now is None and not self._parts.reopen():
            self.fail(
                WriteFailed(
                    "The event is not on disk: the recording has failed.",
                    "Choose another folder and record anew.",
                )
            )
            return
        self._try(may_move=True)

    def fail(self, error: ConsoleError) -> None:
        """None of those that wait can be saved."""
        self._unsaved.extend(self._lane.drain())
        failed, self._unsaved = self._unsaved, []
        for event in failed:
            if event.id not in self._own:
                self._on_failed(event.id, error)

    def _try(self, *, may_move: bool) -> None:
        """Append and sync. Only a sync that returned confirms anything."""
        part = self._parts.now
        assert part is not None, "no journal is open"
        n_appended = 0
        try:
            for event in self._unsaved:
                self._append(part.journal, event)
                n_appended += 1
            part.journal.sync()
            self._confirm(n_appended)
        except OSError as error:
            if is_full(error) and not part.journal.is_failed:
                self._confirm_what_fits(part.journal, n_appended)
                self.fail(self._parts.in_words(error))
            elif may_move and self._parts.move_on(error, part.header.camera, part.header.model):
                self._try(may_move=False)
            else:
                self.fail(self._parts.in_words(error))

    def _append(self, journal: JournalWriter, event: Event) -> None:
        """On a full disk the reserve is let go, once, and the document is tried again."""
        payload = events.build_document(event)
        try:
            journal.append(0, RecordType.DOCUMENT, payload)
        except OSError as error:
            if not is_full(error) or not self._make_room():
                raise
            journal.append(0, RecordType.DOCUMENT, payload)

    def _confirm_what_fits(self, journal: JournalWriter, n_appended: int) -> None:
        """The disk became full in the middle: the documents before that are written, and can still be synced."""
        try:
            journal.sync()
        except OSError:
            return  # they are failed with the rest; the next write finds the journal dead and moves on
        self._confirm(n_appended)

    def _confirm(self, count: int) -> None:
        saved, self._unsaved = self._unsaved[:count], self._unsaved[count:]
        for event in saved:
            if event.id in self._own:
                self._own.discard(event.id)
            else:
                self.n_saved += 1
                self._on_saved(event.id)

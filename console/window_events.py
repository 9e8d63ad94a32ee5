"""Events onto the timeline and into the list, hollow until they are on disk; and jumping from one to the next.

What stands after corrections is decided by sessions/events.py, not here. Keeps which events are saved and which
failed; never edits one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QInputDialog

from console.notices import EventFailed, EventMade, EventSaved, RecordingStarted, SourceClosed, SourceOpened
from console.window_desk import Desk
from jepa_core.types import JSON, EventKind
from sessions.events import Resolved, resolve
from widgets.event_list import EventList, EventRow
from widgets.timeline import EventMark, Timeline

REDRAW_MS = 30  # a burst of notices is one redraw
ON_TIMELINE = frozenset(
    {
        EventKind.NOTE, EventKind.OVERRIDE, EventKind.NEAR_MISS, EventKind.STOP, EventKind.INCIDENT,
        EventKind.MONITOR_ALARM, EventKind.FAULT, EventKind.BOOKMARK,
    }
)  # fmt: skip


class Events(QObject):
    """The marks of this run, or of the session that is open."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._timeline = cast(Timeline, desk.panels["timeline"])
        self._list = cast(EventList, desk.panels["events"])
        self._saved: set[str] = set()
        self._failed: set[str] = set()
        self._items: list[Resolved] = []
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(REDRAW_MS)
        self._redraw.timeout.connect(self.redraw)
        bridge = desk.bridge
        bridge.on_notice(EventMade, "events", self._made)
        bridge.on_notice(EventSaved, "events", self._on_disk)
        bridge.on_notice(EventFailed, "events", self._not_on_disk)
        for kind in (SourceOpened, SourceClosed, RecordingStarted):
            bridge.on_notice(kind, "events", self._changed)
        self._timeline.eventActivated.connect(self.jump_to)
        self._list.eventActivated.connect(self.jump_to)
        self._list.amendRequested.connect(self.amend)

    def previous(self) -> None:
        self._neighbour(-1)

    def next(self) -> None:
        self._neighbour(1)

    def jump_to(self, event_id: str) -> None:
        """Seek to an event where the source can be sought."""
        item = next((item for item in self._items if item.event.id == event_id), None)
        info = self._desk.state.source
        if item is None or info is None:
            return
        self._timeline.show_cursor(item.event.t_ns)
        if info.kind == "session":
            self._desk.pipeline.seek_time(item.event.t_ns)
        else:
            self._desk.say(
                self.tr("Live goes on; record, then open the session to look at this moment again.")
            )

    def amend(self, event_id: str) -> None:
        """Ask for words and make a correction that points at the event; the event itself stays."""
        if self._desk.state.screen == "replay":
            self._desk.say(
                self.tr("A recorded session is read only; its events are never edited."), "warning"
            )
            return
        text, is_given = QInputDialog.getText(
            self._desk.window,
            self.tr("Amend"),
            self.tr("What should stand there (the event itself is kept):"),
        )
        if is_given and text.strip():
            self._desk.pipeline.amend(event_id, reason_text=text.strip())

    def redraw(self) -> None:
        """Marks and rows from what the pipeline holds."""
        is_replay = self._desk.pipeline.is_replay
        self._items = resolve(self._desk.pipeline.events)
        marks, rows = [], []
        for item in self._items:
            event = item.event
            is_saved = is_replay or event.id in self._saved
            if event.kind in ON_TIMELINE and not item.is_retracted:
                marks.append(
                    EventMark(
                        event.id, event.t_ns, item.end_ns, event.kind.name.lower(), label_of(item), is_saved,
                        event.id in self._failed,
                    )
                )  # fmt: skip
            rows.append(self._row(item, is_saved))
        self._list.set_empty_text(
            self.tr("Nobody marked anything in this session.")
            if is_replay
            else self.tr(
                "Nothing has happened yet. N marks a near miss, O held is an override, B a bookmark."
            )
        )
        self._timeline.set_events(marks)
        self._list.set_events(rows)

    def _row(self, item: Resolved, is_saved: bool) -> EventRow:
        event = item.event
        return EventRow(
            id=event.id,
            t_ns=event.t_ns,
            seq=event.seq,
            kind=event.kind.name.lower(),
            text=label_of(item),
            actor=event.actor,
            is_saved=is_saved,
            is_failed=event.id in self._failed,
            old_text=_before(item),
            is_retracted=item.is_retracted,
            is_amendable=not self._desk.pipeline.is_replay and event.kind in ON_TIMELINE,
        )

    def _neighbour(self, direction: int) -> None:
        here = self._desk.state.cursor_t_ns
        people = [item for item in self._items if item.event.kind in ON_TIMELINE]
        if direction > 0:
            later = [item for item in people if item.event.t_ns > here]
            found = later[0] if later else None
        else:
            earlier = [item for item in people if item.event.t_ns < here]
            found = earlier[-1] if earlier else None
        if found is None:
            self._desk.say(self.tr("There is no further event in that direction."))
        else:
            self.jump_to(found.event.id)

    def _made(self, _notice: EventMade) -> None:
        self._changed(None)

    def _on_disk(self, notice: EventSaved) -> None:
        self._saved.add(notice.event_id)
        self._failed.discard(notice.event_id)
        self._changed(None)

    def _not_on_disk(self, notice: EventFailed) -> None:
        self._failed.add(notice.event_id)
        self._changed(None)

    def _changed(self, _notice: object) -> None:
        if not self._redraw.isActive():
            self._redraw.start()


def _before(item: Resolved) -> str:
    """What a person had said before the newest correction, where it was something else than what stands now."""
    payload = dict(item.event.payload)
    for earlier in item.corrections[:-1]:
        changes = earlier.payload.get("changes")
        payload.update(changes if isinstance(changes, dict) else {})
    before, now = _said(payload), _said(item.payload)
    return before if item.corrections and before != now else ""


def _noted(payload: Mapping[str, JSON]) -> str:
    """What a person wrote in a note or beside a bookmark."""
    detail = payload.get("detail")
    return str(detail.get("text", "")) if isinstance(detail, dict) else ""


def _said(payload: Mapping[str, JSON]) -> str:
    """Severity, reason and words, as far as they were given."""
    words = []
    severity = payload.get("severity_potential")
    if isinstance(severity, int) and severity >= 0:
        words.append(f"sev {severity}")
    reason = str(payload.get("reason_code", "") or "")
    if reason not in ("", "not_given"):
        words.append(reason.replace("_", " "))
    text = str(payload.get("reason_text", "") or payload.get("text", "") or _noted(payload))
    if text:
        words.append(text)
    return " · ".join(words)


def label_of(item: Resolved) -> str:
    """A few words beside a mark: what the event says of itself, never more."""
    span = f"{(item.end_ns - item.event.t_ns) / 1e9:.1f} s" if item.end_ns > 0 else ""
    words = [part for part in (span, _said(item.payload)) if part]
    if not words and item.event.kind in (EventKind.FAULT, EventKind.STATUS) and item.payload.get("subtype"):
        subtype = str(item.payload["subtype"])
        words.append(_status_words(subtype, item.payload))
    return " · ".join(words)


def _status_words(subtype: str, payload: Mapping[str, JSON]) -> str:
    if subtype == "view_changed":
        return _view_words(payload)
    detail = payload.get("detail")
    if subtype == "prediction_note" and isinstance(detail, dict):
        return str(detail.get("note", "")) or "predicted again"
    return subtype.replace("_", " ")


VIEWS = {"none": "off", "pca": "PCA colours"}


def _view_words(payload: Mapping[str, JSON]) -> str:
    """What was shown of the latents from then on, and in which axes: "latents: PCA colours · basis 3fa9…"."""
    detail = payload.get("detail")
    told = detail if isinstance(detail, dict) else {}
    kind = str(told.get("view", ""))
    words = [f"latents: {VIEWS.get(kind, kind)}"]
    if told.get("of") == "predicted":
        words.append("as predicted")
    if isinstance(level := told.get("level"), int) and level >= 0:
        words.append(f"level {level + 1}")
    if isinstance(basis := told.get("basis"), dict):
        words.append(f"basis {basis.get('id', '')}")
    return " · ".join(words)

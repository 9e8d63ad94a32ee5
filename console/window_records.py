"""Recording, and what a person does: override, near miss, bookmark, note.

Stamps the moment first, then tells the pipeline; the screen says "on disk" only when EventSaved came back. Asks for
reason and severity afterwards. Knows no journal.
"""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QInputDialog

from console.notices import EventFailed, EventSaved, FoldProgress, RecordingStarted, RecordingStopped
from console.window_desk import Desk
from console.window_keys import KeyRouter
from console.window_live import Live
from jepa_core.types import Event
from widgets.override_bar import REASONS, SEVERITIES, OverrideBar
from widgets.words import duration, plural, size


class Records(QObject):
    """Joins keys, the override bar and the pipeline's record of a person's doings."""

    def __init__(self, desk: Desk, live: Live, keys: KeyRouter) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._live = live
        self._keys = keys
        self._bar = cast(OverrideBar, desk.panels["decide"])
        self._last: Event | None = None  # whose way to the disk the bar follows
        self._last_words, self._last_state = "", ""
        self._marked: list[tuple[str, str]] = []  # id and words of a person's own marks in this recording
        self._taken_back: list[tuple[str, str]] = []
        self._is_overriding = False
        self._began_ns = 0
        keys.overridePressed.connect(self._key_pressed)
        keys.overrideReleased.connect(self._key_released)
        keys.recordPressed.connect(self.start)
        keys.stopHoldBegan.connect(self._hold_began)
        keys.stopHoldEnded.connect(self._hold_ended)
        self._bar.overridePressed.connect(self.override_start)
        self._bar.overrideReleased.connect(self.override_end)
        self._bar.nearMissPressed.connect(self._near_miss_at_time)
        self._bar.reasonChosen.connect(self._reason)
        self._bar.severityChosen.connect(self._severity)
        self._bar.questionClosed.connect(self._not_answered)
        keys.take_digit = self._bar.choose_digit
        bridge = desk.bridge
        bridge.on_notice(RecordingStarted, "recording", self._started)
        bridge.on_notice(RecordingStopped, "recording", self._stopped)
        bridge.on_notice(FoldProgress, "recording", self._folding)
        bridge.on_notice(EventSaved, "override bar", self._saved)
        bridge.on_notice(EventFailed, "override bar", self._failed)
        desk.state.sourceChanged.connect(self.refresh)
        desk.state.screenChanged.connect(self.refresh)
        desk.state.roleChanged.connect(self.refresh)
        desk.state.recordingChanged.connect(self.refresh)

    # recording

    def start(self) -> None:
        if self._desk.pipeline.is_recording:
            self._desk.say(self.tr("Keep Ctrl+R pressed for 1 s to stop the recording."))
            return
        self._desk.pipeline.start_recording(str(self._desk.recordings()))

    def stop(self) -> None:
        """From the menu, the palette or the held key: never from a single key press."""
        if self._desk.pipeline.is_recording:
            self._desk.say(self.tr("Ending the recording. It is then checked and sealed."))
            self._desk.pipeline.stop_recording()

    def _hold_began(self) -> None:
        self._desk.say(self.tr("Keep Ctrl+R pressed for 1 s to stop the recording."))

    def _hold_ended(self, is_long: bool) -> None:
        if is_long:
            self.stop()

    def _started(self, notice: RecordingStarted) -> None:
        self._forget_marks()
        self._desk.state.recording = notice.session_id
        self._desk.settings.remember(str(notice.journal.parent), notice.journal.parent.name, "folder")
        self._desk.say(self.tr("Recording to {0}").format(notice.journal), "ok")

    def _folding(self, notice: FoldProgress) -> None:
        if self._desk.state.recovering is not None:
            return  # that fold is of an older journal
        self._desk.show_progress("fold", self.tr("Checking and sealing the session…"), notice.fraction)

    def _forget_marks(self) -> None:
        """An amendment belongs into the file of its event: what was marked outside it cannot be taken back in it."""
        self._marked.clear()
        self._taken_back.clear()
        self.refresh()

    def _stopped(self, notice: RecordingStopped) -> None:
        self._forget_marks()
        self._desk.state.recording = None
        self._desk.hide_progress("fold")
        if notice.session is None:
            self._desk.say(
                self.tr("The recording ended and is kept as {0}.").format(notice.journal.name), "warning"
            )
            return
        self._desk.settings.remember(str(notice.session), notice.session.name, "session")
        count = notice.summary.get
        self._desk.say(
            self.tr("Session sealed: {0}").format(notice.session.name),
            "ok",
            f"{notice.session}\n"
            + " · ".join(
                (
                    plural(_int(count("frames")), self.tr("frame")),
                    plural(_int(count("events")), self.tr("event")),
                    plural(_int(count("gaps")), self.tr("gap")),
                    size(_int(count("bytes"))),
                )
            ),
        )

    # override

    def _key_pressed(self, t_ns: int) -> None:
        self._bar.press(t_ns)
        self.override_start(t_ns)

    def _key_released(self, t_ns: int) -> None:
        self._bar.release(t_ns)
        self.override_end(t_ns)

    def override_start(self, t_ns: int) -> None:
        if self._is_overriding or self._desk.state.source is None:
            return
        self._is_overriding = True
        self._began_ns = t_ns
        self._last = self._desk.pipeline.override_start(t_ns, self._seq())
        self._show_last(self.tr("override, held"))

    def override_end(self, t_ns: int) -> None:
        if not self._is_overriding:
            return
        self._is_overriding = False
        begun = self._last
        ended = self._desk.pipeline.override_end(t_ns, self._seq())
        if ended is None:
            return
        self._mark(
            ended,
            self.tr("override, {0}").format(duration((t_ns - self._began_ns) / 1e9)),
            root=begun or ended,
        )
        if begun is not None:
            self._bar.ask_reason(begun.id)

    # near miss, bookmark, note

    def near_miss(self) -> None:
        """The newest frame, also while the view is frozen."""
        self._make_near_miss(self._desk.pipeline.clock.now_ns(), self._live.newest_seq)

    def near_miss_at_cursor(self) -> None:
        """The frame on the screen."""
        frame = self._live.frame
        if frame is not None:
            self._make_near_miss(frame.t_ns, frame.seq)

    def _near_miss_at_time(self, t_ns: int) -> None:
        self._make_near_miss(t_ns, self._live.newest_seq)

    def _make_near_miss(self, t_ns: int, seq: int) -> None:
        if self._desk.state.source is None:
            return
        event = self._desk.pipeline.near_miss(t_ns, seq)
        self._mark(event, self.tr("near miss"))
        self._bar.ask_severity(event.id)

    def bookmark(self) -> None:
        if self._desk.state.source is not None:
            event = self._desk.pipeline.bookmark(self._desk.pipeline.clock.now_ns(), self._seq())
            self._mark(event, self.tr("bookmark"))

    def ask_note(self) -> None:
        """The moment is the key press, not the end of the typing."""
        if self._desk.state.source is None:
            return
        t_ns, seq = self._desk.pipeline.clock.now_ns(), self._seq()
        text, is_given = QInputDialog.getText(
            self._desk.window, self.tr("Note"), self.tr("Note at frame {0}:").format(seq)
        )
        if is_given and text.strip():
            self._mark(self._desk.pipeline.note(t_ns, seq, text.strip()), self.tr("note"))

    def _reason(self, event_id: str, code: str) -> None:
        words = dict(REASONS).get(code, code)
        self._answer(self._desk.pipeline.amend(event_id, reason_code=code), event_id, words)

    def _severity(self, event_id: str, severity: int) -> None:
        words = self.tr("severity {0}, {1}").format(severity, SEVERITIES[severity][1])
        self._answer(self._desk.pipeline.amend(event_id, severity_potential=int(severity)), event_id, words)

    def _answer(self, event: Event, of: str, words: str) -> None:
        """The answer is an event of its own, and is on disk only when it is."""
        self._last = event
        self._show_last(f"{dict(self._marked).get(of, '')} · {words}".removeprefix(" · "))

    def _not_answered(self, event_id: str) -> None:
        if self._last is not None and event_id in (self._last.id, self._last.payload.get("supersedes")):
            state = self._last_state
            self._show_last(self._last_words + " · " + self.tr("no answer given"))
            self._say_last(state)

    # taking back

    def undo(self) -> None:
        """The newest own mark is taken back: by an amendment, for nothing that was recorded is ever removed."""
        if self._is_overriding:
            self._desk.say(self.tr("Let the override go first."))
        elif self._marked:
            event_id, words = self._marked.pop()
            self._bar.drop_question(event_id)
            self._taken_back.append((event_id, words))
            self._last = self._desk.pipeline.amend(event_id, retracted=True)
            self._show_last(self.tr("{0} · taken back").format(words))
            self.refresh()

    def redo(self) -> None:
        """What was taken back last stands again, by a further amendment."""
        if self._taken_back:
            event_id, words = self._taken_back.pop()
            self._marked.append((event_id, words))
            self._last = self._desk.pipeline.amend(event_id, retracted=False)
            self._show_last(self.tr("{0} · stands again").format(words))
            self.refresh()

    def _mark(self, event: Event, words: str, *, root: Event | None = None) -> None:
        """A person marked something: it is followed to the disk, and can be taken back."""
        self._last = event
        self._marked.append(((root or event).id, words))
        self._taken_back.clear()
        self._show_last(words)
        self.refresh()

    def close_question(self) -> bool:
        """Esc: the record keeps "not given". True if one was open."""
        is_open = self._bar.asking is not None
        self._bar.close_question()
        return is_open

    # what is shown

    def _show_last(self, text: str) -> None:
        self._last_words = text
        self._say_last("saving" if self._desk.pipeline.is_recording else "not recorded")

    def _say_last(self, state: str) -> None:
        self._last_state = state
        self._bar.show_last(self._last_words, state)

    def _saved(self, notice: EventSaved) -> None:
        if self._last is not None and notice.event_id == self._last.id:
            self._say_last("on disk")

    def _failed(self, notice: EventFailed) -> None:
        if self._last is not None and notice.event_id == self._last.id:
            self._say_last("failed")
        self._desk.fault(notice.error)

    def _seq(self) -> int:
        frame = self._live.frame
        return frame.seq if frame is not None else -1

    def refresh(self, _value: object = None) -> None:
        """What can be done now: commands and keys."""
        state = self._desk.state
        info = state.source
        can = (
            state.screen == "live"
            and state.role == "operator"
            and info is not None
            and info.kind != "session"
        )
        is_recording = state.recording is not None
        self._keys.can_override = can
        self._keys.can_record = can and not is_recording
        self._keys.is_recording = is_recording
        if not can and self._is_overriding:
            self._keys.let_go()
        for name in ("near_miss", "near_miss_at", "bookmark", "note", "override"):
            self._action(name).setEnabled(can)
        self._action("undo").setEnabled(can and bool(self._marked))
        self._action("redo").setEnabled(can and bool(self._taken_back))
        self._action("record").setEnabled(can and not is_recording)
        self._action("record_stop").setEnabled(is_recording)
        self._bar.set_can_act(can)

    def _action(self, name: str) -> QAction:
        return self._desk.actions[name]


def _int(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0

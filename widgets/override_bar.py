"""What the person decides, set apart from what the machine thinks: hold to override, near miss, and why.

Stamps the moment of a press at once, from the clock it was given. Asks for reason and severity only afterwards, in
one key press each, and closes by itself when nobody answers. Never says that something is on disk before it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import (
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import QGridLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from widgets import a11y
from widgets.hold_button import HoldButton
from widgets.parts import button, heading, label, row, set_look
from widgets.theme import Theme, follow

REASONS = (  # session-format 4.8, in its order; the first nine have a digit
    ("unexpected_motion", "unexpected motion"),
    ("person_in_zone", "person in zone"),
    ("object_in_zone", "object in zone"),
    ("model_surprise", "model surprise"),
    ("wrong_goal", "wrong goal"),
    ("perception_error", "perception error"),
    ("planner_error", "planner error"),
    ("sensor_fault", "sensor fault"),
    ("latency", "latency"),
    ("contact_or_force", "contact or force"),
    ("operator_preference", "operator preference"),
    ("test", "test"),
    ("other", "other"),
)
SEVERITIES = (  # what it could have come to, 0..3: short for a button, and in the words of session-format 4.8
    ("none", "none"),
    ("property only", "property or process only"),
    ("reversible injury", "reversible injury"),
    ("irreversible injury", "irreversible injury or death"),
)
ASK_MS = 6000


class OverrideBar(QWidget):
    """Override, near miss, the question after them, and what became of the last one."""

    overridePressed = Signal(object)  # t_ns
    overrideReleased = Signal(object)  # t_ns
    nearMissPressed = Signal(object)  # t_ns
    reasonChosen = Signal(object, object)  # event_id, reason code
    severityChosen = Signal(object, int)  # event_id, 0..3
    questionClosed = Signal(object)  # event_id: nobody answered

    def __init__(
        self, parent: QWidget | None = None, *, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        super().__init__(parent)
        self._now_ns = now_ns
        self._held_since: int | None = None
        self._asking: tuple[str, str] | None = None  # "reason" | "severity", event id
        self._override = HoldButton("override", self.tr("Hold to override"), self.tr("Override"), ("O",))
        self._near_miss = HoldButton("near_miss", self.tr("Near miss"), self.tr("Near miss"), ("N",))
        a11y.name(
            self._override,
            self.tr("Hold to override"),
            self.tr("Your action in place of the model's, while held"),
            "O",
        )
        a11y.name(
            self._near_miss,
            self.tr("Near miss"),
            self.tr("Marks this moment as a near miss: a person's judgement, never the monitor's"),
            "N",
        )
        self._override.pressed.connect(self._override_down)
        self._override.released.connect(self._override_up)
        self._near_miss.pressed.connect(lambda: self.nearMissPressed.emit(self._now_ns()))
        self._question = QWidget()
        self._question_words = label(role="strong", wrap=True)
        self._question_hint = label(role="small", wrap=True)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        inner = QVBoxLayout(self._question)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._question_words)
        inner.addLayout(self._grid)
        inner.addWidget(self._question_hint)
        self._last_dot = label("○", "dim")
        self._last = label(role="dim", wrap=True)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Your call")))
        self._layout.addLayout(row(self._override, self._near_miss))
        self._layout.addLayout(row(self._last_dot, self._last, 1, spacing=6))
        self._layout.addWidget(self._question)
        self._layout.addStretch(1)
        self._last_dot.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(ASK_MS)
        self._timer.timeout.connect(self.close_question)
        self._second = QTimer(self)  # counts the held seconds, 1 Hz, only while held
        self._second.setInterval(1000)
        self._second.timeout.connect(lambda: self.show_held(self._now_ns()))
        self._digits = [self._digit(n) for n in range(10)]
        self._escape = self._shortcut(Qt.Key.Key_Escape, self.close_question)
        self._arm(())
        self._question.hide()
        self.setAccessibleName(self.tr("Your call"))
        self.show_last("", "")
        follow(self, self._restyle)

    # held

    def press(self, t_ns: int) -> None:
        """Draw the override as held since t_ns, whoever started it (key, pedal, mouse)."""
        if self._held_since is not None:
            return
        self._held_since = t_ns
        self._second.start()
        self.show_held(t_ns)

    def release(self, t_ns: int) -> None:
        """Draw the override as over."""
        if self._held_since is None:
            return
        self._held_since = None
        self._second.stop()
        self._override.show_active(False, self.tr("Hold to override"))

    def show_held(self, now_ns: int) -> None:
        """The running time of the hold."""
        if self._held_since is not None:
            seconds = max(now_ns - self._held_since, 0) // 1_000_000_000
            self._override.show_active(True, self.tr("OVERRIDE {0} s").format(seconds))

    @property
    def is_held(self) -> bool:
        return self._held_since is not None

    def set_can_act(self, can_act: bool) -> None:
        """False in replay: what was decided then is not decided again."""
        self._override.setEnabled(can_act)
        self._near_miss.setEnabled(can_act)
        if not can_act:
            self.close_question()

    # questions

    def ask_reason(self, event_id: str) -> None:
        """Ask why, for six seconds; digits 1-9 answer."""
        choices = [(n + 1, self.tr(words), self.tr(words)) for n, (_code, words) in enumerate(REASONS[:9])]
        self._ask("reason", event_id, self.tr("◆ Why the override?"), choices)

    def ask_severity(self, event_id: str) -> None:
        """Ask how bad it could have been, for six seconds; digits 0-3 answer."""
        choices = [(n, self.tr(short), self.tr(words)) for n, (short, words) in enumerate(SEVERITIES)]
        self._ask("severity", event_id, self.tr("▲ How severe could it have become?"), choices)

    def choose_digit(self, digit: int) -> bool:
        """Answer the open question by a digit, from a pedal or gamepad too. False when it means nothing now."""
        if self._asking is None:
            return False
        kind, event_id = self._asking
        if kind == "reason" and 1 <= digit <= 9:
            self._answer_reason(event_id, REASONS[digit - 1][0])
            return True
        if kind == "severity" and 0 <= digit <= 3:
            self._end_question()
            self._last.setText(self.tr("severity {0}, {1}").format(digit, self.tr(SEVERITIES[digit][1])))
            self.severityChosen.emit(event_id, digit)
            return True
        return False

    def close_question(self) -> None:
        """Nobody answered: the record keeps "not given"."""
        if self._asking is None:
            return
        kind, event_id = self._asking
        self._end_question()
        self._last.setText(
            self.tr("reason: not given") if kind == "reason" else self.tr("severity: not given")
        )
        self.questionClosed.emit(event_id)

    def drop_question(self, event_id: str) -> None:
        """What was asked about is taken back: nothing is left to answer."""
        if self._asking is not None and self._asking[1] == event_id:
            self._end_question()

    @property
    def asking(self) -> tuple[str, str] | None:
        """("reason" | "severity", event id) while a question is open."""
        return self._asking

    def show_last(self, text: str, state: str) -> None:
        """What became of the last event: state "saving" | "on disk" | "failed" | "not recorded"."""
        if not text:
            self._last_dot.setText("○")
            self._last.setText(self.tr("Nothing marked yet."))
            set_look(self._last_dot, tone="")
            return
        dot, tone, words = {
            "saving": ("○", "", self.tr("saving")),
            "on disk": ("●", "ok", self.tr("on disk")),
            "failed": ("✗", "bad", self.tr("could not be saved")),
            "not recorded": ("○", "flag", self.tr("not recorded: start recording to keep it")),
        }.get(state, ("○", "", state))
        self._last_dot.setText(dot)
        set_look(self._last_dot, tone=tone)
        set_look(self._last, tone="bad" if state == "failed" else "")
        self._last.setText(self.tr("Last: {0} · {1}").format(text, words))

    # inside

    def _override_down(self) -> None:
        t_ns = self._now_ns()
        self.press(t_ns)
        self.overridePressed.emit(t_ns)

    def _override_up(self) -> None:
        t_ns = self._now_ns()
        self.release(t_ns)
        self.overrideReleased.emit(t_ns)

    def _digit(self, n: int) -> QShortcut:
        return self._shortcut(Qt.Key(Qt.Key.Key_0 + n), lambda: self.choose_digit(n))

    def _shortcut(self, key: Qt.Key, act: Callable[[], object]) -> QShortcut:
        """A key of this panel alone; the window routes the same keys from everywhere to `choose_digit`."""
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)
        return shortcut

    def _arm(self, digits: tuple[int, ...]) -> None:
        """Digits are keys only while a question is open."""
        for n, shortcut in enumerate(self._digits):
            shortcut.setEnabled(n in digits)
        self._escape.setEnabled(bool(digits))

    def _ask(self, kind: str, event_id: str, words: str, choices: list[tuple[int, str, str]]) -> None:
        if self._asking is not None:
            self.close_question()
        self._asking = (kind, event_id)
        self._question_words.setText(words)
        self._question_hint.setText(self.tr('Closes by itself in 6 s; the record then says "not given".'))
        self._empty_grid()
        columns = 2
        for n, (digit, short, whole) in enumerate(choices):
            self._grid.addWidget(self._choice(digit, short, whole), n // columns, n % columns)
        if kind == "reason":
            n = len(choices)
            self._grid.addWidget(self._more(event_id), n // columns, n % columns)
        self._question.show()
        self._arm(tuple(digit for digit, _, _ in choices))
        self._timer.start()

    def _choice(self, digit: int, short: str, whole: str) -> QPushButton:
        made = button(f"{digit}  {short}", "flat", partial(self._chosen, digit))
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        a11y.name(made, whole, keys=str(digit))
        return made

    def _chosen(self, digit: int) -> None:
        self.choose_digit(digit)

    def _more(self, event_id: str) -> QPushButton:
        made = button(self.tr("more …"), "flat")
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        a11y.name(made, self.tr("More reasons"))
        menu = QMenu(made)
        for code, words in REASONS[9:]:
            menu.addAction(self.tr(words)).triggered.connect(
                lambda _checked=False, chosen=code: self._answer_reason(event_id, chosen)
            )
        menu.aboutToShow.connect(self._timer.stop)
        menu.aboutToHide.connect(self._timer.start)
        made.setMenu(menu)
        return made

    def _answer_reason(self, event_id: str, code: str) -> None:
        self._end_question()
        self._last.setText(self.tr("reason: {0}").format(self.tr(dict(REASONS)[code])))
        self.reasonChosen.emit(event_id, code)

    def _end_question(self) -> None:
        self._asking = None
        self._timer.stop()
        self._arm(())
        self._question.hide()

    def _empty_grid(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(8))
        self._layout.setSpacing(theme.px(8))
        self._grid.setHorizontalSpacing(theme.px(4))
        self._grid.setVerticalSpacing(theme.px(2))

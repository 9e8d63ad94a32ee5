"""The key router: what Qt's shortcuts cannot say.

A held key needs its release; a recording stops only after its key was held for 1 s; single letters never fire while
somebody types; a focused control keeps the keys it lives by. An event filter on the application, owned by the window.
Knows keys, not pipelines.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QWidget,
)

from widgets.hold_button import HoldButton

HOLD_TO_STOP_MS = 1000
REPEAT_MS = 60  # a repeat's press follows its release within this, also on a loaded machine
SAME_MS = 2  # a repeat's release and press carry the same time of the X server

_TEXT = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)
_MOVES_BY_ARROWS = (QAbstractItemView, QAbstractSlider, QComboBox, QTabBar, QMenu)
_ARROWS = frozenset(
    {
        Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End,
        Qt.Key.Key_PageUp, Qt.Key.Key_PageDown,
    }
)  # fmt: skip
_ENTER = frozenset({Qt.Key.Key_Return, Qt.Key.Key_Enter})
_BARE = Qt.KeyboardModifier.NoModifier
_BENIGN = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier


class KeyRouter(QObject):
    """Tells presses from holds, and commands from typing."""

    overridePressed = Signal(object)  # t_ns of the press
    overrideReleased = Signal(object)  # t_ns of the release, or of the moment the keyboard was lost
    recordPressed = Signal()  # Ctrl+R while nothing is recorded
    stopHoldBegan = Signal()
    stopHoldEnded = Signal(object)  # bool: held long enough
    cancelPressed = Signal()  # Esc that no open question took first

    def __init__(self, window: QWidget, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(window)
        self._window = window
        self._now_ns = now_ns
        self.has_bare_keys = True
        self.can_override = False
        self.can_record = False
        self.is_recording = False
        self.take_digit: Callable[[int], bool] = _nobody  # True when an open question took it
        self._is_overriding = False
        self._is_stopping = False
        self._is_spent = False  # Ctrl+R did what it does and is still down
        self._lifted: tuple[int, int, int] | None = (
            None  # key, X time and t_ns of a release that may be a repeat
        )
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(REPEAT_MS)
        self._settle.timeout.connect(self._take_release)
        self._hold = QTimer(self)
        self._hold.setSingleShot(True)
        self._hold.setInterval(HOLD_TO_STOP_MS)
        self._hold.timeout.connect(self._held_long_enough)

    @property
    def is_overriding(self) -> bool:
        return self._is_overriding

    def let_go(self) -> None:
        """Release what is held: the window lost the keyboard, and a release would never arrive."""
        self._take_release()
        if self._is_overriding:
            self._is_overriding = False
            self.overrideReleased.emit(self._now_ns())
        self._end_hold()
        self._is_spent = False

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._pressed(event)
        if kind == QEvent.Type.KeyRelease and isinstance(event, QKeyEvent):
            return self._released(event)
        if kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            return self._belongs_to_focus(event)
        if kind == QEvent.Type.WindowDeactivate and watched is self._window:
            self.let_go()
        return False

    def _pressed(self, event: QKeyEvent) -> bool:
        if not self._is_mine():
            return False
        if self._is_repeat(event):
            return True
        if _is_override(event) and self.has_bare_keys and (self._is_overriding or self.can_override):
            if is_typing():
                return False
            if not event.isAutoRepeat() and not self._is_overriding:
                self._is_overriding = True
                self.overridePressed.emit(self._now_ns())
            return True
        if _is_record(event) and (self.can_record or self.is_recording):
            if not event.isAutoRepeat():
                self._record_pressed()
            return True
        if event.key() == Qt.Key.Key_Escape and event.modifiers() == _BARE and not event.isAutoRepeat():
            self.cancelPressed.emit()
            return True
        is_plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        focus = QApplication.focusWidget()
        if is_plain and event.key() in _ENTER and isinstance(focus, QAbstractButton) and focus.isEnabled():
            if not event.isAutoRepeat():
                focus.click()  # outside dialogs Qt itself lets only Space press a button
            return True
        if is_plain and Qt.Key.Key_0 <= event.key() <= Qt.Key.Key_9 and not is_typing():
            return not event.isAutoRepeat() and self.take_digit(event.key() - int(Qt.Key.Key_0))
        return False

    def _record_pressed(self) -> None:
        if self._is_stopping or self._is_spent:
            return  # a repeat that X did not mark as one: nothing begins anew before the key was let go
        if not self.is_recording:
            self._is_spent = True
            self.recordPressed.emit()
            return
        self._is_stopping = True
        self._hold.start()
        self.stopHoldBegan.emit()

    def _released(self, event: QKeyEvent) -> bool:
        """A release counts only when no repeat follows it at once: a loaded X server does not always mark repeats."""
        key = event.key()
        is_override = key == Qt.Key.Key_O and self._is_overriding
        is_stop = (self._is_stopping or self._is_spent) and key in (
            Qt.Key.Key_R,
            Qt.Key.Key_Control,
            Qt.Key.Key_Meta,
        )
        if (is_override or is_stop) and not event.isAutoRepeat():
            self._take_release()
            self._lifted = (int(key), event.timestamp(), self._now_ns())
            self._settle.start()
        return is_override or (
            is_stop and key == Qt.Key.Key_R
        )  # else its way through the widgets is seen as more

    def _is_repeat(self, event: QKeyEvent) -> bool:
        """Whether this press takes back the release before it: the same key, pressed in the same millisecond."""
        if self._lifted is None:
            return False
        if self._lifted[0] != int(event.key()):
            self._take_release()
            return False
        if event.isAutoRepeat() or abs(event.timestamp() - self._lifted[1]) <= SAME_MS:
            self._lifted = None
            self._settle.stop()
            return True
        self._take_release()
        return False

    def _take_release(self) -> None:
        """The release was one. It happened when the key went up, not now."""
        lifted, self._lifted = self._lifted, None
        self._settle.stop()
        if lifted is None:
            return
        if lifted[0] == int(Qt.Key.Key_O):
            if self._is_overriding:
                self._is_overriding = False
                self.overrideReleased.emit(lifted[2])
        else:
            self._is_spent = False
            self._end_hold()

    def _held_long_enough(self) -> None:
        self._is_stopping, self._is_spent = False, True
        self.stopHoldEnded.emit(True)

    def _end_hold(self) -> None:
        if self._is_stopping:
            self._is_stopping = False
            self._hold.stop()
            self.stopHoldEnded.emit(False)

    def _belongs_to_focus(self, event: QKeyEvent) -> bool:
        """Accepting a ShortcutOverride gives the key to the focused control instead of to a shortcut."""
        if self._lifted is not None and self._lifted[0] != int(event.key()):
            self._take_release()  # what follows must find the release done
        focus = QApplication.focusWidget()
        is_plain = not event.modifiers() & ~_BENIGN
        keeps = False
        if is_typing():
            keeps = is_plain
        elif isinstance(focus, (QAbstractButton, HoldButton)):
            keeps = is_plain and event.key() == Qt.Key.Key_Space
        elif isinstance(focus, _MOVES_BY_ARROWS):
            keeps = event.modifiers() == _BARE and event.key() in _ARROWS
        if keeps:
            event.accept()
        return keeps

    def _is_mine(self) -> bool:
        """The keyboard is with the window or one of its floating panels, and no dialog or menu is open."""
        if QApplication.activeModalWidget() is not None or QApplication.activePopupWidget() is not None:
            return False
        active = QApplication.activeWindow()
        return active is not None and (active is self._window or self._window.isAncestorOf(active))


def _nobody(_digit: int) -> bool:
    return False


def is_typing() -> bool:
    """Whether the focus is in a field that takes text."""
    focus = QApplication.focusWidget()
    if isinstance(focus, QComboBox):
        return focus.isEditable()
    if isinstance(focus, (QLineEdit, QTextEdit, QPlainTextEdit)):
        return not focus.isReadOnly()
    return isinstance(focus, _TEXT)


def _is_override(event: QKeyEvent) -> bool:
    return event.key() == Qt.Key.Key_O and event.modifiers() == _BARE


def _is_record(event: QKeyEvent) -> bool:
    return event.key() == Qt.Key.Key_R and event.modifiers() == Qt.KeyboardModifier.ControlModifier

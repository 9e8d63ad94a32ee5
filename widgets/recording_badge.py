"""REC, for how long, and until when the disk holds. Says it with a word and a shape, not with red alone."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from widgets.parts import label, set_look
from widgets.theme import Theme, follow
from widgets.words import clock, duration


class RecordingBadge(QFrame):
    """States: off (hidden), recording, trouble, sealing. The dot blinks once a second while recording."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", "bad")
        self._dot = label("●", tone="near_miss")
        self._words = label("", "strong", "near_miss")
        self._time = label("", "mono")
        self._layout = QHBoxLayout(self)
        for item in (self._dot, self._words, self._time):
            self._layout.addWidget(item)
        self._blink = QTimer(self)
        self._blink.setInterval(1000)
        self._blink.timeout.connect(self._toggle)
        follow(self, self._restyle)
        self.show_off()

    def show_off(self) -> None:
        """Nothing is being recorded."""
        self._blink.stop()
        self.hide()

    def show_recording(self, elapsed_ns: int, disk_seconds: float = -1.0) -> None:
        """elapsed since the recording began; disk_seconds until the disk is full, -1 unknown."""
        self._say(self.tr("REC"), "near_miss", clock(elapsed_ns))
        if disk_seconds >= 0:
            self.setToolTip(
                self.tr("Recording. Disk full in {0}. Hold Ctrl+R for 1 s to stop.").format(
                    duration(disk_seconds)
                )
            )
        if not self._blink.isActive():
            self._blink.start()

    def show_trouble(self, text: str) -> None:
        """Still recording, but something is not kept; the sentence says what."""
        self._say(self.tr("REC {0}").format(text), "bad", "")

    def show_sealing(self, fraction: float = -1.0) -> None:
        """The recording ended and is being checked."""
        self._blink.stop()
        percent = f"{100 * fraction:.0f} %" if fraction >= 0 else ""
        self._say(self.tr("sealing"), "", percent)

    def _say(self, words: str, tone: str, time_words: str) -> None:
        self._words.setText(words)
        self._time.setText(time_words)
        self._time.setVisible(bool(time_words))
        for item in (self._words, self._dot):
            set_look(item, tone=tone)
        if not self._blink.isActive():
            self._dot.setText("●")
        self.setAccessibleName(f"{words} {time_words}".strip())
        self.show()

    def _toggle(self) -> None:
        self._dot.setText("○" if self._dot.text() == "●" else "●")

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(theme.px(10), theme.px(3), theme.px(10), theme.px(3))
        self._layout.setSpacing(theme.px(6))

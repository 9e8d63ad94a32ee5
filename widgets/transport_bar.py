"""Play, pause, step, speed and seek. Knows positions and times, not sessions."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QSlider, QToolButton, QWidget

from widgets import a11y, icons
from widgets.parts import label
from widgets.theme import Theme, current, follow
from widgets.words import clock, grouped

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class TransportBar(QWidget):
    """One row: buttons, seek bar, position in words, speed, and which clock runs."""

    playRequested = Signal()
    pauseRequested = Signal()
    stepRequested = Signal(int)  # frames, negative is back
    seekRequested = Signal(object)  # index: int
    speedRequested = Signal(float)
    everyFrameToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_playing, self._is_live, self._is_seekable, self._has_source = False, False, False, False
        self._every_frame = False
        self._has_end = False  # an endless source has nothing to slide along
        self._long = self._short = self.tr("no source")
        self._is_narrow = False
        self._play = self._tool(self._toggle)
        self._back = self._tool(lambda: self.stepRequested.emit(-1))
        self._on = self._tool(lambda: self.stepRequested.emit(1))
        self._seek = QSlider(Qt.Orientation.Horizontal)
        self._seek.sliderMoved.connect(self._seek_moved)
        self._seek.actionTriggered.connect(self._seek_stepped)
        self._words = label(role="mono")
        self._speed = QComboBox()
        for speed in SPEEDS:
            self._speed.addItem(speed_words(speed), speed)
        self._speed.setCurrentIndex(SPEEDS.index(1.0))
        self._speed.activated.connect(lambda n: self.speedRequested.emit(float(self._speed.itemData(n))))
        self._every = QCheckBox(self.tr("every frame"))
        self._every.clicked.connect(self.everyFrameToggled)
        a11y.name(self._play, self.tr("Play"), keys="Space")
        a11y.name(self._back, self.tr("One frame back"), keys="←")
        a11y.name(self._on, self.tr("One frame on"), keys="→")
        a11y.name(self._seek, self.tr("Seek"), self.tr("Drag to go to a frame"))
        a11y.name(self._speed, self.tr("Speed"), keys="< >")
        a11y.name(
            self._every,
            self.tr("Every frame"),
            self.tr(
                "The clock waits until the model has looked at every frame; otherwise real time, and frames are skipped"
            ),
        )
        self._layout = QHBoxLayout(self)
        self._layout.setSizeConstraint(
            QHBoxLayout.SizeConstraint.SetNoConstraint
        )  # `_fit` hides what has no room
        for tool in (self._back, self._play, self._on):
            self._layout.addWidget(tool)
        self._layout.addWidget(self._seek, 1)
        self._layout.addStretch(0)
        for item in (self._words, self._speed, self._every):
            self._layout.addWidget(item)
        follow(self, self._restyle)
        self.show_empty()

    def show_empty(self) -> None:
        """No source is open."""
        self._has_source = self._has_end = False
        self._long = self._short = self.tr("no source")
        self._words.setMinimumWidth(0)
        self._say()
        self._enable()

    def show_capabilities(self, is_seekable: bool, is_live: bool) -> None:
        """What the open source can do. Live: the buttons freeze the view only, capture goes on."""
        self._has_source, self._is_seekable, self._is_live = True, is_seekable, is_live
        self._enable()
        self._name_play()

    def show_transport(self, is_playing: bool, speed: float, every_frame: bool) -> None:
        """What the clock does now."""
        self._is_playing, self._every_frame = is_playing, every_frame
        nearest = min(range(len(SPEEDS)), key=lambda n: abs(SPEEDS[n] - (speed or 1.0)))
        self._speed.setCurrentIndex(nearest)
        self._every.setChecked(every_frame)
        self._name_play()
        self._enable()

    def show_position(self, index: int, frames: int, t_ns: int, span: tuple[int, int] | None = None) -> None:
        """Where we are: frame `index` of `frames` (-1 endless), t_ns on the source's own line, its first and last."""
        start = span[0] if span else 0
        place = self.tr("frame {0}").format(grouped(index))
        if (frames > 0) != self._has_end:
            self._has_end = frames > 0
            self._enable()
        if frames > 0:
            place = self.tr("file frame {0} / {1}").format(grouped(index), grouped(frames - 1))
            if not self._seek.isSliderDown():
                self._seek.blockSignals(True)
                self._seek.setRange(0, frames - 1)
                self._seek.setPageStep(max(1, frames // 20))
                self._seek.setValue(index)
                self._seek.blockSignals(False)
        self._long = f"{place} · {clock(t_ns - start, parts=3)}"
        self._short = f"{grouped(index)} / {grouped(frames - 1)}" if frames > 0 else grouped(index)
        self._words.setToolTip(self._long)
        self._say()

    def _say(self) -> None:
        """The row must not jump when digits come and go: the words only ever ask for more room."""
        self._words.setText(self._short if self._is_narrow else self._long)
        need = self._words.sizeHint().width()
        if need > self._words.minimumWidth():
            self._words.setMinimumWidth(need)
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(300), super().minimumSizeHint().height())

    def _fit(self) -> None:
        """When room is short, say less, then hide what the menu has too: the buttons and the seek bar stay."""
        metrics = self._words.fontMetrics()
        gap = self._layout.spacing()
        room = self.width() - self._layout.contentsMargins().left() * 2 - self._seek.minimumWidth() - gap
        room -= sum(tool.sizeHint().width() + gap for tool in (self._back, self._play, self._on))
        extras = [item.sizeHint().width() + gap for item in (self._speed, self._every)]
        is_narrow = room < metrics.horizontalAdvance(self._long) + gap + sum(extras)
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            self._words.setMinimumWidth(0)
            self._words.setText(self._short if is_narrow else self._long)
        room -= metrics.horizontalAdvance(self._words.text()) + gap
        self._every.setVisible(room >= sum(extras))
        self._speed.setVisible(room >= extras[0])
        self._words.setVisible(room >= 0)

    def _toggle(self) -> None:
        (self.pauseRequested if self._is_playing else self.playRequested).emit()

    def _seek_moved(self, index: int) -> None:
        self.seekRequested.emit(int(index))

    def _seek_stepped(self, _action: int) -> None:
        if not self._seek.isSliderDown():
            self.seekRequested.emit(int(self._seek.sliderPosition()))

    def _tool(self, on_click: object) -> QToolButton:
        made = QToolButton()
        made.clicked.connect(lambda _checked=False: on_click())  # type: ignore[operator]
        return made

    def _enable(self) -> None:
        self._play.setEnabled(self._has_source)
        can_step = self._has_source and not self._is_live
        self._back.setEnabled(can_step and self._is_seekable)
        self._on.setEnabled(can_step)
        self._seek.setEnabled(can_step and self._is_seekable and self._has_end)
        self._seek.setVisible(self._has_end or not self._has_source)
        self._speed.setEnabled(can_step and not self._every_frame)
        self._every.setEnabled(can_step)

    def _name_play(self) -> None:
        if self._is_live:
            words = (
                self.tr("Freeze the view, capture goes on")
                if self._is_playing
                else self.tr("Follow live again")
            )
        else:
            words = self.tr("Pause") if self._is_playing else self.tr("Play")
        a11y.name(self._play, words, keys="Space")
        icons.put(self._play, "pause" if self._is_playing else "play", current())

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self._layout.setSpacing(theme.px(8))
        for tool, name in ((self._back, "step_back"), (self._on, "step_on")):
            icons.put(tool, name, theme)
        self._words.setMinimumWidth(0)
        self._seek.setMinimumWidth(theme.px(80))
        self._name_play()
        self._fit()


def speed_words(speed: float) -> str:
    """1.0 → "1×", 0.5 → "½×"."""
    return {0.5: "½×", 0.25: "¼×"}.get(speed, f"{speed:g}×")

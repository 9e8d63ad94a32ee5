"""What is looked at: the open source in words, or how to open one."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from jepa_core.types import SourceInfo
from widgets import a11y
from widgets.parts import Card, Elided, button, heading, label, row, set_look
from widgets.theme import Theme, follow
from widgets.words import duration, grouped

_KINDS = {
    "video": "video file",
    "images": "folder of images",
    "trajectory": "trajectory",
    "world": "embedded world, simulated",
    "session": "recorded session",
    "camera": "camera",
}


class SourceCard(QWidget):
    """States: empty, opening, live, playing, paused, ended, error."""

    openRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card()
        self._name = Elided(role="strong")
        self._state = label()
        self._facts = label(role="dim", wrap=True)
        self._open = button(self.tr("Open source"), "", self.openRequested.emit)
        a11y.name(
            self._open,
            self.tr("Open source"),
            self.tr("Video, images, recorded session or embedded world"),
            "Ctrl+O",
        )
        self._card.body.addLayout(row(self._name, 1, self._state))
        self._card.body.addWidget(self._facts)
        self._card.body.addLayout(row(self._open, None))
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Source")))
        self._layout.addWidget(self._card)
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Source"))
        follow(self, self._restyle)
        self.show_source(None)

    def show_source(self, info: SourceInfo | None, state: str = "") -> None:
        """The source and what it does now: "opening", "live", "playing", "paused", "ended", or an error sentence."""
        self._card.set_tone("")
        self._facts.setVisible(True)
        if info is None:
            self._name.set_whole(self.tr("Opening …") if state == "opening" else self.tr("No source is open"))
            self._facts.setText(
                self.tr("Reading the first frame.")
                if state == "opening"
                else self.tr("Open a video, a folder of images, a recorded session or the embedded world.")
            )
            self._state.setText("")
            self._open.setVisible(state != "opening")
            return
        self._open.setVisible(False)
        self._name.set_whole(_short_name(info))
        self._facts.setText(" · ".join(source_facts(info, self.tr(_KINDS.get(info.kind, info.kind)))))
        dot, tone, words = {
            "live": ("●", "ok", self.tr("live")),
            "playing": ("▶", "ok", self.tr("playing")),
            "paused": ("○", "", self.tr("paused")),
            "ended": ("■", "", self.tr("at its end")),
            "opening": ("○", "", self.tr("opening")),
            "": ("●", "ok", self.tr("live") if info.is_live else self.tr("open")),
        }.get(state, ("✗", "bad", state))
        self._state.setText(f"{dot} {words}")
        set_look(self._state, tone=tone)

    def show_error(self, name: str, words: str) -> None:
        """What could not be opened, or was lost. Why stands on the picture or the banner, not a second time here."""
        self._card.set_tone("bad")
        self._name.set_whole(name)
        self._state.setText(f"✗ {words}")
        set_look(self._state, tone="bad")
        self._facts.setText("")
        self._facts.setVisible(False)
        self._open.setVisible(True)

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(4))
        self._layout.setSpacing(theme.px(6))


def source_facts(info: SourceInfo, kind: str) -> list[str]:
    """The source in a few words: kind, size, rate, length."""
    facts = [kind, f"{info.width} × {info.height}"]
    if info.fps > 0:
        facts.append(f"{info.fps:.4g} fps")
    if info.frames > 0:
        facts.append(f"{grouped(info.frames)} frames")
        if info.fps > 0:
            facts.append(duration(info.frames / info.fps))
    if info.motion is not None:
        told = [
            f"{len(names)} {what}"
            for names, what in ((info.motion.action_names, "actions"), (info.motion.state_names, "states"))
            if names
        ]
        facts.append(f"with {' and '.join(told)} per frame")
    facts += [str(info.detail[key]) for key in ("codec", "serial") if info.detail.get(key)]
    if "seed" in info.detail:
        facts.append(f"seed {info.detail['seed']}")
    return facts


def _short_name(info: SourceInfo) -> str:
    """ "video:clip.mp4" → "clip.mp4"."""
    return info.name.partition(":")[2] or info.name

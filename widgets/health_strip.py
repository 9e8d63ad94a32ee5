"""The bottom strip: how fresh and how complete everything on the screen is. Measured numbers, or a dash."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from jepa_core.types import Health
from widgets.parts import label, set_look
from widgets.theme import Theme, current, follow
from widgets.words import NONE, duration, grouped, size


class _Item(QWidget):
    """A dim word and a number beside it."""

    def __init__(self, words: str, tip: str, priority: int) -> None:
        super().__init__()
        self.priority = priority  # 0 stays longest when room is short
        self.words, self.value = label(words, "dim"), label(NONE, "mono")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self.value)
        layout.setSpacing(5)
        self.setToolTip(tip)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self._least = 0

    def show_value(self, text: str, tone: str = "") -> None:
        self.value.setText(text)
        set_look(self.value, tone=tone)
        self.setAccessibleName(f"{self.words.text()} {text}")
        self._least = max(self._least, self.value.sizeHint().width())
        self.value.setMinimumWidth(
            self._least
        )  # numbers change twice a second and must not push their neighbours

    def forget_width(self) -> None:
        self._least = 0
        self.value.setMinimumWidth(0)


class HealthStrip(QWidget):
    """Shows a Health, sampled by its owner. Hides the least urgent items when the window is narrow."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = label("●", "dim")
        t = self.tr
        self._items: dict[str, _Item] = {
            "capture": _Item(t("capture"), t("frames per second that arrive from the source"), 1),
            "model": _Item(t("model"), t("looks per second of the checkpoint"), 2),
            "shown_rate": _Item(t("shown"), t("frames per second painted on this screen"), 7),
            "skipped": _Item(
                t("skipped by model"), t("frames the model was too busy for; they are still recorded"), 4
            ),
            "gaps": _Item(t("gaps in record"), t("recorded rows whose pixels had to be let go"), 3),
            "frame": _Item(t("frame"), t("number of the newest captured frame"), 8),
            "shown": _Item(
                t("camera → shown"),
                t("age of the picture when it was painted, half of them below, 95 % below"),
                5,
            ),
            "overlay": _Item(
                t("prediction age"), t("age of the prediction when it was painted, half below, 95 % below"), 0
            ),
            "device": _Item(t("memory"), t("held by the model on its device"), 9),
            "disk": _Item(t("disk full in"), t("at the present rate of recording"), 6),
            "synced": _Item(
                t("journal synced"), t("since the recording was last known to be on the disk"), 3
            ),
        }
        self._layout = QHBoxLayout(self)
        self._layout.addWidget(self._state)
        for key in ("capture", "model", "shown_rate", "skipped", "gaps", "frame", "shown", "overlay"):
            self._layout.addWidget(self._items[key])
        self._layout.addStretch(1)
        for key in ("device", "disk", "synced"):
            self._layout.addWidget(self._items[key])
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(t("Health"))
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        follow(self, self._restyle)
        self.show_empty()

    def show_empty(self) -> None:
        """Nothing runs."""
        for item in self._items.values():
            item.show_value(NONE)
        set_look(self._state, tone="")
        self._fit()

    def show_health(self, health: Health, device: str = "") -> None:
        """device   "cpu", "cuda:0", … as the memory is called."""
        items = self._items
        for key, rate in (("capture", "capture"), ("model", "model"), ("shown_rate", "shown")):
            value = health.rates.get(rate, 0.0)
            items[key].show_value(f"{value:.1f} Hz" if value > 0 else NONE)
        items["skipped"].show_value(
            grouped(int(sum(n for k, n in health.skipped.items() if k in {"model", "live", "engine"})))
        )
        items["gaps"].show_value(grouped(health.gaps), "bad" if health.gaps else "")
        items["frame"].show_value(grouped(health.seq) if health.seq >= 0 else NONE)
        items["shown"].show_value(age_words(health, "shown"))
        overlay = "overlay" if "overlay" in health.ages_ns else "model"
        items["overlay"].show_value(age_words(health, overlay), _age_tone(health, overlay))
        items["device"].words.setText(device or self.tr("memory"))
        items["device"].show_value(size(health.device_bytes) if health.device_bytes > 0 else NONE)
        low = 0 <= health.disk_seconds < 600
        items["disk"].words.setText(
            self.tr("disk full in") if health.disk_seconds >= 0 else self.tr("disk free")
        )
        items["disk"].show_value(
            self._disk_words(health),
            "bad" if low else "",
        )
        items["synced"].words.setText(
            self.tr("journal synced") if health.synced_age_ns >= 0 else self.tr("not recording")
        )
        late = health.synced_age_ns > 2_000_000_000
        items["synced"].show_value(
            self.tr("{0} ago").format(duration(health.synced_age_ns / 1e9))
            if health.synced_age_ns >= 0
            else "",
            "bad" if late else "",
        )
        set_look(
            self._state,
            tone="bad" if health.gaps or low or late else "ok" if health.rates.get("capture") else "",
        )
        self._state.setAccessibleName(
            self.tr("attention") if health.gaps or low or late else self.tr("running")
        )
        self.setAccessibleDescription(self.description())
        self._fit()

    def _disk_words(self, health: Health) -> str:
        if health.disk_seconds >= 0:
            return duration(health.disk_seconds)
        return size(health.disk_free) if health.disk_free >= 0 else NONE

    def description(self) -> str:
        return ", ".join(item.accessibleName() for item in self._items.values())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Hide what has no room, the least urgent first; the tip of the strip still says all of it."""
        theme = current()
        room = self.width() - theme.px(24) - self._state.sizeHint().width()
        for item in sorted(self._items.values(), key=lambda item: item.priority):
            room -= item.sizeHint().width() + theme.px(18)
            item.setVisible(room >= 0)
        hidden = [item.accessibleName() for item in self._items.values() if not item.isVisibleTo(self)]
        self.setToolTip("\n".join(hidden))

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(theme.px(12), theme.px(5), theme.px(12), theme.px(5))
        self._layout.setSpacing(theme.px(18))
        for item in self._items.values():
            item.forget_width()
        self._fit()


def age_words(health: Health, name: str) -> str:
    """ "38 ms p95 46", or a dash when it was not measured."""
    if name not in health.ages_ns:
        return NONE
    p50, p95 = health.ages_ns[name]
    if p50 < 0:
        return NONE
    return f"{p50 / 1e6:.0f} ms p95 {p95 / 1e6:.0f}"


def _age_tone(health: Health, name: str) -> str:
    """Amber once the prediction is usually older than a second: the picture has moved on."""
    return "flag" if health.ages_ns.get(name, (0, 0))[0] > 1_000_000_000 else ""

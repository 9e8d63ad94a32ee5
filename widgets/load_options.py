"""What may still be chosen before a checkpoint is loaded: device, precision, frames, config, and what the file leaves
open. Says what was chosen; examining the file again is somebody else's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QGridLayout, QSpinBox, QVBoxLayout, QWidget

from jepa_core.types import CheckpointInfo, LoadReport
from widgets import a11y
from widgets.parts import Card, Elided, button, heading, label, pad_field, row
from widgets.theme import Theme, follow

SETTLE_MS = 400  # after the last turn of a number, until it counts as chosen
DTYPES = ("auto", "float32", "bfloat16", "float16")
AS_FOUND = -1  # in a number box: leave it to the file and what lies beside it
OPEN_KEYS = ("encoder heads", "ViT heads", "predictor heads", "mask token")  # of LoadReport.assumed


@dataclass(frozen=True, slots=True)
class LoadChoice:
    """How a checkpoint is to be loaded. None of it changes the file."""

    device: str = "auto"
    dtype: str = "auto"
    clip_frames: int = 16
    size: int = 0  # side of the pictures it is shown, pixels; 0 = its own
    config: str = ""  # path; "" = what lies beside the file
    encoder_heads: int | None = None  # None = as found
    predictor_heads: int | None = None
    mask_token: int | None = None


class LoadOptions(QWidget):
    """Every change is told once, as a whole LoadChoice."""

    changed = Signal(object)  # LoadChoice
    configRequested = Signal()  # a person wants to choose another config file

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choice = LoadChoice()
        self._sizes: tuple[int, ...] = ()
        self._device, self._dtype = QComboBox(), QComboBox()
        for name in DTYPES:
            self._dtype.addItem(self.tr("automatic") if name == "auto" else name, name)
        self._size = QComboBox()
        self._size_name = label(self.tr("Picture size"), "dim")
        self._frames = self._number(1, 64)
        self._encoder, self._predictor = self._number(AS_FOUND, 256), self._number(AS_FOUND, 256)
        self._token = self._number(AS_FOUND, 63)
        for box in (self._encoder, self._predictor, self._token):
            box.setSpecialValueText(self.tr("as found"))
        self._config = Elided(mode=Qt.TextElideMode.ElideMiddle)
        self._choose = button(self.tr("Choose…"), "flat", self.configRequested.emit)
        self._drop = button(self.tr("Beside the file"), "flat", self._forget_config)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._tell)
        for combo in (self._device, self._dtype, self._size):
            combo.currentIndexChanged.connect(self._tell)
        for box in (self._frames, self._encoder, self._predictor, self._token):
            box.valueChanged.connect(self._settle.start)
        a11y.name(self._device, self.tr("Device"), self.tr("Where the model runs"))
        a11y.name(self._dtype, self.tr("Precision"), self.tr("Of the weights on the device"))
        a11y.name(
            self._size, self.tr("Picture size"), self.tr("Smaller pictures need less memory and show less")
        )
        a11y.name(self._frames, self.tr("Frames per clip"), self.tr("At most; fewer need less memory"))
        a11y.name(self._choose, self.tr("Choose a config file"), self.tr("params.yaml or config.json"))
        a11y.name(self._drop, self.tr("Use the config beside the file"))
        a11y.name(self._encoder, self.tr("Encoder heads"), self.tr("Only where the file does not say it"))
        a11y.name(self._predictor, self.tr("Predictor heads"), self.tr("Only where the file does not say it"))
        a11y.name(self._token, self.tr("Mask token"), self.tr("Number of the learned placeholder, from 0"))
        self._card = Card()
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Load as")))
        self._layout.addWidget(self._card)
        self._build()
        self.setAccessibleName(self.tr("How it is loaded"))
        follow(self, self._restyle)
        self.set_devices(())
        self.show_choice(self._choice)
        self.show_open(())

    def set_devices(self, names: Sequence[str]) -> None:
        """The devices of this computer beside "auto" and "cpu": "cuda:0", …"""
        kept = self._choice.device
        self._device.blockSignals(True)
        self._device.clear()
        for name in dict.fromkeys(("auto", "cpu", *names, kept)):
            self._device.addItem(self.tr("automatic") if name == "auto" else name, name)
        self._device.setCurrentIndex(self._device.findData(kept))
        self._device.blockSignals(False)

    def show_choice(self, choice: LoadChoice) -> None:
        """What is chosen now. Tells nobody."""
        self._choice = choice
        controls = (
            self._device, self._dtype, self._size, self._frames, self._encoder, self._predictor, self._token,
        )  # fmt: skip
        for control in controls:
            control.blockSignals(True)
        if self._device.findData(choice.device) < 0:
            self._device.addItem(choice.device, choice.device)
        self._device.setCurrentIndex(self._device.findData(choice.device))
        self._dtype.setCurrentIndex(self._dtype.findData(choice.dtype))
        self._show_sizes(self._sizes)
        self._frames.setValue(choice.clip_frames)
        for box, value in (
            (self._encoder, choice.encoder_heads),
            (self._predictor, choice.predictor_heads),
            (self._token, choice.mask_token),
        ):
            box.setValue(AS_FOUND if value is None else value)
        for control in controls:
            control.blockSignals(False)
        self._config.set_whole(choice.config or self.tr("what lies beside the file"))
        self._drop.setVisible(bool(choice.config))

    def show_open(self, keys: Sequence[str]) -> None:
        """Offer numbers that the file leaves open: some of OPEN_KEYS."""
        for names, widgets in self._open.items():
            is_shown = any(name in keys for name in names)
            for widget in widgets:
                widget.setVisible(is_shown)
        self._open_words.setVisible(bool(keys))

    def show_found(self, info: CheckpointInfo) -> None:
        """What "automatic" came to, and how many frames this checkpoint can take."""
        self._device.setItemText(0, self.tr("automatic: {0}").format(info.device))
        is_auto = self._choice.dtype == "auto"
        self._dtype.setItemText(
            0, self.tr("automatic: {0}").format(info.dtype) if is_auto else self.tr("automatic")
        )
        if self._choice.device != "auto":
            self._device.setItemText(0, self.tr("automatic"))
        self._sizes = info.sizes
        self._size.blockSignals(True)
        self._show_sizes(info.sizes)
        self._size.blockSignals(False)
        self._frames.blockSignals(True)
        self._frames.setMaximum(max(info.input.frames, self._choice.clip_frames))
        self._frames.setEnabled(info.input.frames > 1)
        self._frames.blockSignals(False)

    def _show_sizes(self, sizes: Sequence[int]) -> None:
        """The checkpoint's own first; hidden where it has no other."""
        self._size.clear()
        own = sizes[0] if sizes else 0
        self._size.addItem(self.tr("its own: {0} px").format(own) if own else self.tr("its own"), 0)
        for side in dict.fromkeys((*sizes[1:], self._choice.size)):
            if side:
                self._size.addItem(self.tr("{0} px").format(side), side)
        self._size.setCurrentIndex(max(self._size.findData(self._choice.size), 0))
        for item in (self._size, self._size_name):
            item.setVisible(self._size.count() > 1)

    @property
    def choice(self) -> LoadChoice:
        return self._choice

    def choose(self, **changes: object) -> None:
        """As if a person had changed these."""
        self.show_choice(replace(self._choice, **changes))  # type: ignore[arg-type]
        self.changed.emit(self._choice)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        self._grid = grid
        self._open_words = label(
            self.tr("Not in the file. A wrong number gives wrong results without an error."),
            "small",
            wrap=True,
        )
        names = [
            label(words, "dim") for words in (self.tr("Device"), self.tr("Precision"), self.tr("Frames"))
        ]
        for n, (name, control) in enumerate(
            zip(names, (self._device, self._dtype, self._frames), strict=True)
        ):
            name.setBuddy(control)
            grid.addWidget(name, n, 0)
            grid.addWidget(control, n, 1)
        self._size_name.setBuddy(self._size)
        grid.addWidget(self._size_name, 3, 0)
        grid.addWidget(self._size, 3, 1)
        grid.addWidget(label(self.tr("Config"), "dim"), 4, 0)
        grid.addLayout(row(self._config, 1, self._drop, self._choose), 4, 1)
        grid.addWidget(self._open_words, 5, 0, 1, 2)
        self._open: dict[tuple[str, ...], tuple[QWidget, ...]] = {}
        for n, (keys, words, box) in enumerate(
            (
                (OPEN_KEYS[:2], self.tr("Encoder heads"), self._encoder),
                (OPEN_KEYS[2:3], self.tr("Predictor heads"), self._predictor),
                (OPEN_KEYS[3:], self.tr("Mask token"), self._token),
            )
        ):
            name = label(words, "dim")
            name.setBuddy(box)
            grid.addWidget(name, 6 + n, 0)
            grid.addWidget(box, 6 + n, 1)
            self._open[keys] = (name, box)
        self._card.body.addLayout(grid)

    def _number(self, low: int, high: int) -> QSpinBox:
        box = QSpinBox()
        box.setRange(low, high)
        box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.UpDownArrows)
        return box

    def _forget_config(self) -> None:
        self.choose(config="")

    def _tell(self, _value: object = None) -> None:
        self._settle.stop()
        found = {
            "encoder_heads": self._encoder,
            "predictor_heads": self._predictor,
            "mask_token": self._token,
        }
        least = {"mask_token": 0}
        numbers = {
            name: None if box.value() < least.get(name, 1) else box.value() for name, box in found.items()
        }
        choice = replace(
            self._choice,
            device=str(self._device.currentData()),
            dtype=str(self._dtype.currentData()),
            clip_frames=self._frames.value(),
            size=int(self._size.currentData() or 0),
            **numbers,  # type: ignore[arg-type]
        )
        if choice != self._choice:
            self._choice = choice
            self.changed.emit(choice)

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.px(6))
        self._grid.setHorizontalSpacing(theme.px(14))
        self._grid.setVerticalSpacing(theme.px(6))
        for box in (self._frames, self._encoder, self._predictor, self._token):
            pad_field(box, theme)


def left_open(report: LoadReport | None) -> tuple[str, ...]:
    """Which of OPEN_KEYS this file leaves open: those whose value was taken neither from its config nor from itself."""
    if report is None:
        return ()
    alone = "0 of 1:"  # there is no other mask token to choose
    stated = (alone, ".yaml", ".yml", ".json", "object")
    return tuple(
        key
        for key in OPEN_KEYS
        if key in report.assumed and not any(word in report.assumed[key] for word in stated)
    )

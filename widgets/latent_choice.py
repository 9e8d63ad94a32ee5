"""What is shown of the latents: off, colours, likeness to a patch, what a slot looked at; which latents, which level.

A row of the layers card. Emits only what a person chose; knows no engine.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from jepa_core.types import CheckpointInfo, LatentView
from widgets import a11y
from widgets.parts import key_hint, label, row
from widgets.theme import Theme, follow


def predicts(info: CheckpointInfo) -> bool:
    """False for an encoder alone, and for a predictor of latents that its file cannot make. Slots leave it open."""
    return bool(info.abilities & {"masked", "actions", "slots"})


class LatentChoice(QWidget):
    """Which layer of latents, of what, on which level."""

    layerChosen = Signal(str)  # name of the overlay, "" = off
    ofChosen = Signal(str)  # "target" | "predicted"
    levelChosen = Signal(int)  # as LatentView.level

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer = QComboBox()
        self._of = QComboBox()
        self._of.addItem(self.tr("actual"), "target")
        self._of.addItem(self.tr("predicted"), "predicted")
        self._level = QComboBox()
        self._has_predictions = True
        for box in (self._layer, self._of, self._level):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(5)
        self._layer.activated.connect(lambda n: self.layerChosen.emit(str(self._layer.itemData(n))))
        self._of.activated.connect(lambda n: self.ofChosen.emit(str(self._of.itemData(n))))
        self._level.activated.connect(lambda n: self.levelChosen.emit(int(self._level.itemData(n))))
        a11y.name(self._layer, self.tr("Latents shown on the picture"), keys="P, S")
        a11y.name(
            self._of,
            self.tr("Which latents"),
            self.tr("Those of what was seen, or those that were predicted for it; in the same colours"),
        )
        a11y.name(
            self._level,
            self.tr("Level of features"),
            self.tr("This checkpoint has several; low ones tell of shape, high ones of meaning"),
        )
        self._more = QWidget()
        self._more_layout = row(self._of, 1, self._level, 1)
        self._more.setLayout(self._more_layout)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(row(label(self.tr("Latents")), self._layer, 1, key_hint("P"), key_hint("S")))
        self._layout.addWidget(self._more)
        self.show_checkpoint(None)
        self.show_layer("")
        follow(self, self._restyle)

    @property
    def layer(self) -> str:
        return str(self._layer.currentData())

    def show_layer(self, layer: str) -> None:
        """Which layer is on; a key may have chosen it."""
        self._layer.setCurrentIndex(max(self._layer.findData(layer), 0))
        self._show_more()

    def show_view(self, view: LatentView) -> None:
        self._of.setCurrentIndex(max(self._of.findData(view.of), 0))
        self._level.setCurrentIndex(max(self._level.findData(view.level), 0))

    def show_checkpoint(self, info: CheckpointInfo | None) -> None:
        """Levels only where there are several, attention only where there are slots."""
        chosen = self.layer if self._layer.count() else ""
        self._layer.clear()
        for layer, words in self._layer_words(has_slots=info is not None and info.layout == "slots"):
            self._layer.addItem(words, layer)
        self._layer.setCurrentIndex(max(self._layer.findData(chosen), 0))
        self._level.clear()
        levels = 1 if info is None else info.levels
        for level in range(levels):
            is_last = level == levels - 1
            words = self.tr("level {0} of {1}").format(level + 1, levels)
            self._level.addItem(words, -1 if is_last else level)
        self._level.setCurrentIndex(levels - 1)
        self._has_predictions = info is None or predicts(info)
        self._show_more()

    def _layer_words(self, *, has_slots: bool) -> list[tuple[str, str]]:
        found = [
            ("", self.tr("off")),
            ("projection", self.tr("colours")),
            ("similarity", self.tr("similarity")),
        ]
        return [*found, ("attention", self.tr("attention"))] if has_slots else found

    def _show_more(self) -> None:
        is_on = self.layer in ("projection", "similarity")
        has_levels = self._level.count() > 1
        self._of.setVisible(is_on and self._has_predictions)
        self._level.setVisible(is_on and has_levels)
        self._more.setVisible(is_on and (self._has_predictions or has_levels))

    def _restyle(self, theme: Theme) -> None:
        self._layout.setSpacing(theme.px(6))
        self._more_layout.setSpacing(theme.px(6))

"""The legend of what colours the picture now: the scale of the error, or what the colours of the latents mean.

One of the two at a time, as at most one layer colours the picture.
"""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from widgets.color_scale import ColorScale
from widgets.latent_legend import LatentLegend


class Legend(QWidget):
    """Holds both legends; shows the one that counts."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error = ColorScale()
        self.latents = LatentLegend()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.error)
        layout.addWidget(self.latents)
        self.setAccessibleName(self.tr("Colours"))
        self.show_layer("")

    def show_layer(self, layer: str, instead: str = "") -> None:
        """The layer of latents that is on, "" = none: the error's scale. `instead` as in LatentLegend."""
        self.error.setVisible(not layer)
        self.latents.setVisible(bool(layer))
        if layer:
            self.latents.show_layer(layer, instead)

"""How alike each place's latent is to the one that was clicked: one flat block per token, on a fixed scale.

The scale is 0 to 1 and nothing moves it; a cosine below 0 is drawn as 0, and the legend says so. What was clicked is
outlined. Paints nothing where latents have no place in the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF
from PySide6.QtGui import QPainter

from jepa_core.types import Inspection, TokenLayout
from widgets import latent_maps
from widgets.colormaps import color_similarity
from widgets.outlines import draw_double, outline
from widgets.overlays.base import Stage
from widgets.raster import Raster


class SimilarityOverlay:
    """Likeness to one token of the newest time step."""

    def __init__(self) -> None:
        self._raster = Raster()
        self._layout: TokenLayout | None = None
        self._shape = (1, 1)
        self._lines: list[QLineF] = []

    def prepare(self, inspection: Inspection | None) -> None:
        self._layout, self._lines = None, []
        self._raster.set(None)
        if inspection is None or inspection.similarity is None:
            return
        cosine = latent_maps.place_map(inspection, inspection.similarity)
        if cosine is None:
            return
        self._layout, self._shape = inspection.layout, cosine.shape
        self._raster.set(color_similarity(cosine))
        chosen = latent_maps.chosen_places(inspection)
        self._lines = [] if chosen is None else outline(chosen)

    def image(self) -> NDArray[np.uint8] | None:
        """(H', W', 4) uint8 RGBA as it is laid over the picture; None when there is no map to show."""
        return self._raster.rgba

    def outline(self) -> list[QLineF]:
        """Border of what was clicked, in columns and rows of the map."""
        return self._lines

    def paint(self, painter: QPainter, stage: Stage) -> None:
        if self._layout is None:
            return
        painter.save()
        self._raster.paint(painter, stage.box_to_widget(self._layout.crop))
        transform = stage.cell_transform(self._layout, *self._shape)
        draw_double(painter, stage.theme, [transform.map(line) for line in self._lines])
        painter.restore()

"""Latents as colours, one flat block per token: the three fixed axes of the look's basis as red, green and blue.

No composite of three colours is safe for every pair of eyes, so the first axis alone is told beside it in one map
(the legend). Paints nothing where latents have no place in the picture, and nothing where nothing was predicted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QPainter

from jepa_core.types import Inspection, TokenLayout
from widgets import latent_maps
from widgets.overlays.base import Stage
from widgets.raster import Raster

ALPHA = 199  # of 255, 0.78 as the strongest error: edges of the picture stay visible


class ProjectionOverlay:
    """Colours of the newest time step, or of the newest predicted one."""

    def __init__(self) -> None:
        self._raster = Raster()
        self._layout: TokenLayout | None = None

    def prepare(self, inspection: Inspection | None) -> None:
        self._layout = None if inspection is None else inspection.layout
        self._raster.set(None if inspection is None else colored_map(inspection))

    def image(self) -> NDArray[np.uint8] | None:
        """(H', W', 4) uint8 RGBA as it is laid over the picture; None when there is no map to show."""
        return self._raster.rgba

    def paint(self, painter: QPainter, stage: Stage) -> None:
        if self._layout is not None:
            self._raster.paint(painter, stage.box_to_widget(self._layout.crop))


def colored_map(inspection: Inspection, alpha: int = ALPHA) -> NDArray[np.uint8] | None:
    """(H', W', 4) uint8 RGBA of the latents' colours, transparent where there is no latent; None without places."""
    if inspection.colors is None:
        return None
    opaque = latent_maps.known(inspection).astype(np.uint8) * np.uint8(alpha)  # (N,)
    return latent_maps.place_map(inspection, np.concatenate([inspection.colors, opaque[:, None]], axis=1))

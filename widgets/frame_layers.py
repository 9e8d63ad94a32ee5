"""The layers over one picture: every overlay of the registry, made once, prepared and painted while it is on.

Owned by a FrameView. Adding an overlay is a file and a line in `overlays.base.OVERLAYS`; nothing here changes.
"""

from __future__ import annotations

import importlib
from typing import cast

from PySide6.QtGui import QPainter

from jepa_core.types import Inspection
from widgets.overlays.base import OVERLAYS, Overlay, Stage
from widgets.overlays.masks import MasksOverlay


class FrameLayers:
    """What lies over the picture now. An overlay that is off costs nothing."""

    def __init__(self, names: frozenset[str]) -> None:
        self._made: dict[str, Overlay] = {name: _make(name) for name in OVERLAYS}
        self._inspection: Inspection | None = None
        self.names: frozenset[str] = frozenset()
        self.set_names(names)

    def set_names(self, names: frozenset[str]) -> None:
        """Which overlays are on; names that are no overlay are kept and paint nothing."""
        fresh = names - self.names
        self.names = names
        for name, overlay in self._made.items():
            if name in fresh:
                overlay.prepare(self._inspection)

    def prepare(self, inspection: Inspection | None) -> None:
        """The newest look, once, outside painting."""
        self._inspection = inspection
        for name, overlay in self._made.items():
            if name in self.names:
                overlay.prepare(inspection)

    def paint(self, painter: QPainter, stage: Stage) -> None:
        """In the order of the registry, so that outlines lie over colours."""
        for name, overlay in self._made.items():
            if name in self.names:
                overlay.paint(painter, stage)

    @property
    def hides_all(self) -> bool:
        """Are masked regions shown, and is all of the square masked? Its outline then stands there already."""
        masks = self._made["masks"]
        return "masks" in self.names and isinstance(masks, MasksOverlay) and masks.covers_all


def _make(name: str) -> Overlay:
    module, _, kind = OVERLAYS[name].partition(":")
    return cast(Overlay, getattr(importlib.import_module(module), kind)())

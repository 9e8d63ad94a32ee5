"""What an overlay is: something that turns an Inspection into paint over the picture.

An overlay gets a painter in frame pixels already mapped to the widget through `Stage`, and must be right for every
token layout: a layout without places in the picture (slots, one latent per frame) is never given made-up ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter, QTransform

from jepa_core.types import Inspection, TokenLayout
from widgets.colormaps import Scale
from widgets.theme import Theme

OVERLAYS: dict[str, str] = {
    "error": "widgets.overlays.error:ErrorOverlay",
    "projection": "widgets.overlays.projection:ProjectionOverlay",
    "similarity": "widgets.overlays.similarity:SimilarityOverlay",
    "slots": "widgets.overlays.slots:SlotsOverlay",
    "masks": "widgets.overlays.masks:MasksOverlay",
    "attention": "widgets.overlays.attention:AttentionOverlay",
}  # painted in this order

RASTERS = frozenset({"error", "projection", "similarity"})
"""Overlays that colour the whole picture. At most one is on: two would mix, and each costs more than the picture."""
ALONE = RASTERS | {"attention"}
"""Overlays that share one legend: at most one is on."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the picture lies in the widget, and how it looks."""

    picture: QRectF  # widget pixels
    frame_size: tuple[int, int]  # width, height of the frame, pixels
    theme: Theme
    scale: Scale
    color_map: str
    layers: frozenset[str]

    @property
    def has_raster(self) -> bool:
        """Is the picture already coloured?"""
        return bool(self.layers & RASTERS)

    def to_widget(self) -> QTransform:
        """Frame pixels → widget pixels."""
        width, height = self.frame_size
        transform = QTransform.fromTranslate(self.picture.x(), self.picture.y())
        return transform.scale(self.picture.width() / width, self.picture.height() / height)

    def token_transform(self, layout: TokenLayout) -> QTransform:
        """Token columns and rows → widget pixels, through the crop the model saw."""
        _, rows, columns = layout.shape
        return self.cell_transform(layout, rows, columns)

    def cell_transform(self, layout: TokenLayout, rows: int, columns: int) -> QTransform:
        """Columns and rows of any map over the square the model saw → widget pixels."""
        x, y, w, h = layout.crop
        return QTransform(self.to_widget()).translate(x, y).scale(w / columns, h / rows)

    def box_to_widget(self, box: tuple[float, float, float, float]) -> QRectF:
        return self.to_widget().mapRect(QRectF(*box))

    def to_frame(self, at: QPointF) -> QPointF:
        inverse, _ok = self.to_widget().inverted()
        return inverse.map(at)


def settled(layers: frozenset[str], before: frozenset[str]) -> frozenset[str]:
    """The layers with at most one that stands alone: of several the one that was just turned on."""
    alone = layers & ALONE
    if len(alone) <= 1:
        return layers
    fresh = (alone - before) or alone
    kept = next(name for name in OVERLAYS if name in fresh)
    return layers - alone | {kept}


class Overlay(Protocol):
    """Paints one aspect of a look. Keeps a cache of the newest inspection only."""

    def prepare(self, inspection: Inspection | None) -> None:
        """Take what is needed from a new look, once, outside painting."""
        ...

    def paint(self, painter: QPainter, stage: Stage) -> None: ...


def newest_step(inspection: Inspection) -> int | None:
    """The newest latent time step in which anything was predicted; None if nothing was."""
    by_step = inspection.error.reshape(inspection.layout.shape[0], -1)  # (T', H'·W')
    has_value = np.isfinite(by_step).any(axis=1)
    return int(np.flatnonzero(has_value)[-1]) if has_value.any() else None


def error_map(inspection: Inspection) -> NDArray[np.float32] | None:
    """(H', W') errors of the newest predicted time step of a grid; None for layouts that have no places."""
    step = newest_step(inspection)
    if inspection.layout.kind != "grid" or step is None:
        return None
    shown: NDArray[np.float32] = inspection.error.reshape(inspection.layout.shape)[step]
    return shown


def step_frames(inspection: Inspection, step: int) -> tuple[int, ...]:
    """seq of the frames that latent time step `step` covers."""
    tubelet = inspection.layout.tubelet
    return inspection.clip[step * tubelet : (step + 1) * tubelet]


def predicted_frames(inspection: Inspection) -> tuple[int, ...]:
    """seq of every frame of which something was predicted, in order; empty if nothing was."""
    by_step = inspection.error.reshape(inspection.layout.shape[0], -1)  # (T', H'·W')
    steps = np.flatnonzero(np.isfinite(by_step).any(axis=1))
    return tuple(seq for step in steps for seq in step_frames(inspection, int(step)))


def given_frames(inspection: Inspection) -> tuple[int, ...]:
    """seq of every frame that the model was shown something of, in order."""
    per_step = max(inspection.layout.shape[1] * inspection.layout.shape[2], 1)
    steps = np.unique(inspection.masks.context // per_step)
    return tuple(seq for step in steps for seq in step_frames(inspection, int(step)))


def target_map(inspection: Inspection) -> NDArray[np.bool_] | None:
    """(H', W') True where a token of the newest step with targets had to be predicted; None without places."""
    layout = inspection.layout
    if layout.kind != "grid" or not inspection.masks.targets:
        return None
    hidden = np.zeros(layout.n_tokens, dtype=bool)
    for target in inspection.masks.targets:
        hidden[target] = True
    by_step = hidden.reshape(layout.shape)  # (T', H', W')
    steps = np.flatnonzero(by_step.any(axis=(1, 2)))
    return by_step[steps[-1]] if len(steps) else None


def region_words(row: float, column: float) -> str:
    """Place in a unit square as words of a compass without north: "upper left" … "centre" … "lower right"."""
    vertical = ("upper", "", "lower")[min(int(row * 3), 2)]
    horizontal = ("left", "centre", "right")[min(int(column * 3), 2)]
    return f"{vertical} {horizontal}".strip()


def strongest_words(inspection: Inspection) -> str:
    """Where the error is largest: a region of the square, an object slot, or "" where there is no place."""
    if not np.isfinite(inspection.error).any():
        return ""
    if inspection.layout.kind == "slots":
        step = newest_step(inspection)
        by_slot = inspection.error.reshape(inspection.layout.shape[0], -1)[step]  # (S,)
        return f"slot {int(np.nanargmax(by_slot)) + 1}"
    shown = error_map(inspection)
    if shown is None:
        return ""
    row, column = np.unravel_index(int(np.nanargmax(shown)), shown.shape)
    return region_words((float(row) + 0.5) / shown.shape[0], (float(column) + 0.5) / shown.shape[1])

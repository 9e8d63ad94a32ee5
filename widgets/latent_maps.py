"""Where the latents of a look lie in the picture: token values as a map of places, for layouts that have places.

A patch grid is its own map. Object slots lie where the model's own region of each slot says, every place belonging to
the slot with the largest share. One latent per frame lies nowhere, and gets no made-up place. Arrays only, no Qt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.latent_views import cell_at
from jepa_core.types import Inspection, LatentView

NO_VIEW = LatentView()


def view_of(inspection: Inspection) -> LatentView:
    return inspection.view or NO_VIEW


def shown_step(inspection: Inspection) -> int | None:
    """The latent time step that is mapped: the newest; of predicted latents the newest that was predicted, or None."""
    if view_of(inspection).of != "predicted":
        return inspection.layout.shape[0] - 1
    steps = np.flatnonzero(known(inspection).reshape(inspection.layout.shape[0], -1).any(axis=1))
    return int(steps[-1]) if len(steps) else None


def known(inspection: Inspection) -> NDArray[np.bool_]:
    """(N,) which tokens have a latent in this view: all; of predicted latents those that were predicted."""
    n = inspection.layout.n_tokens
    if view_of(inspection).of != "predicted":
        return np.ones(n, bool)
    has_latent = np.zeros(n, bool)
    for target in inspection.masks.targets:
        has_latent[target] = True
    return has_latent


def place_map(inspection: Inspection, values: NDArray[Any]) -> NDArray[Any] | None:
    """(N, …) of the tokens → (H', W', …) of the places in the step that is shown; None where there is no place."""
    step = shown_step(inspection)
    if step is None:
        return None
    if inspection.layout.kind == "grid":
        of_grid: NDArray[Any] = values.reshape(*inspection.layout.shape, *values.shape[1:])[step]
        return of_grid
    slots = slot_map(inspection)
    if slots is None:
        return None
    steps, n_slots, _ = inspection.layout.shape
    of_slots: NDArray[Any] = values.reshape(steps, n_slots, *values.shape[1:])[step][slots]
    return of_slots


def slot_map(inspection: Inspection) -> NDArray[np.int64] | None:
    """(h, w) which slot each place of the newest frame belongs to; None for other layouts and unknown regions."""
    if inspection.layout.kind != "slots" or inspection.regions is None:
        return None
    return inspection.regions.argmax(axis=0)


def map_shape(inspection: Inspection) -> tuple[int, int] | None:
    """Rows and columns of the map over the square; None where there is none."""
    if inspection.layout.kind == "grid":
        return inspection.layout.shape[1:]
    if inspection.layout.kind == "slots" and inspection.regions is not None:
        _, rows, columns = inspection.regions.shape
        return rows, columns
    return None


def chosen_places(inspection: Inspection) -> NDArray[np.bool_] | None:
    """(H', W') True at what was clicked: one patch, or all places of one slot. None where nothing is chosen."""
    view, shape = view_of(inspection), map_shape(inspection)
    if shape is None:
        return None
    if inspection.layout.kind == "slots":
        slot, slots = chosen_slot(inspection), slot_map(inspection)
        return None if slot is None or slots is None else slots == slot
    place = cell_at(view.at, inspection.layout, *shape)
    if place is None:
        return None
    flags = np.zeros(shape, bool)
    flags[place] = True
    return flags


def chosen_slot(inspection: Inspection) -> int | None:
    """The slot that was chosen by number, or whose region was clicked; None for other layouts."""
    view, slots = view_of(inspection), slot_map(inspection)
    if inspection.layout.kind != "slots":
        return None
    if view.slot >= 0:
        return view.slot if view.slot < inspection.layout.shape[1] else None
    place = None if slots is None else cell_at(view.at, inspection.layout, *slots.shape)
    return None if place is None or slots is None else int(slots[place])

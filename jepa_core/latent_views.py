"""What a person asked to see of the latents, made for one look after another: colours in fixed axes, or likeness.

Owned by one Engine and used on its look thread only. Keeps one set of axes per level of features for as long as the
checkpoint is loaded; a look costs nothing here while the view is "none". Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import NotFinite
from jepa_core.projection import Basis, BasisFit, cosine_to
from jepa_core.types import LatentBasis, LatentView, MaskSet, TokenLayout, frozen

Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Latents:
    """The latents of one look, at the level that is wanted, on the host."""

    target: Floats  # (N, D) of every token of the clip, as they were
    predicted: (
        Floats | None
    )  # (sum of Nt, D) of the target tokens, in their order, as predicted; None: not at this level
    layout: TokenLayout
    masks: MaskSet
    regions: NDArray[np.float32] | None  # as Inspection.regions
    seq: int  # of the newest frame

    @property
    def has_predictions(self) -> bool:
        return self.predicted is not None and any(len(mask) for mask in self.masks.targets)


@dataclass(frozen=True, slots=True)
class Shown:
    """What goes into the Inspection. All None: there is nothing to show yet, or nothing was asked for."""

    colors: NDArray[np.uint8] | None = None  # (N, 3); of predicted latents black where nothing was predicted
    basis: LatentBasis | None = None
    similarity: NDArray[np.float32] | None = None  # (N,) -1 … 1, NaN where there is no latent


NOTHING = Shown()


class LatentViewer:
    """Makes Shown of Latents."""

    def __init__(self, axes: tuple[Basis, ...] = (), fit: int = 0) -> None:
        """`axes` were fitted before, for the view with this number of a fit."""
        self._bases = {basis.facts.level: basis for basis in axes}  # level → axes
        self._fits: dict[int, BasisFit] = {}  # levels whose axes wait for more tokens
        self._fit = fit

    @property
    def axes(self) -> tuple[Basis, ...]:
        """Those that are fitted."""
        return tuple(self._bases.values())

    def show(self, view: LatentView, latents: Latents) -> Shown:
        """What `view` asks for of these latents. Raises NotFinite for a latent that is no number."""
        if view.kind not in ("pca", "similarity") or (view.of == "predicted" and not latents.has_predictions):
            return NOTHING
        if not np.isfinite(latents.target.sum()):  # one that is no number carries over to the sum
            raise NotFinite(
                f"The latents of frame {latents.seq} hold values that are not numbers.",
                "Try --dtype float32; if it stays, the checkpoint is damaged.",
            )
        return self._similar(view, latents) if view.kind == "similarity" else self._colored(view, latents)

    def _colored(self, view: LatentView, latents: Latents) -> Shown:
        basis = self._basis(view, latents)
        if basis is None:
            return NOTHING
        wanted, has_latent = _wanted(view, latents)
        colors = basis.colors(wanted)
        if not has_latent.all():
            colors = frozen(np.where(has_latent[:, None], colors, 0).astype(np.uint8))
        return Shown(colors=colors, basis=basis.facts)

    def _basis(self, view: LatentView, latents: Latents) -> Basis | None:
        """The axes of this level; None while there are too few tokens. Always fitted on what was, never on what was
        predicted, so that the two can be held against each other."""
        if view.fit != self._fit:
            self._fit = view.fit
            self._bases.clear()
            self._fits.clear()
        if view.level not in self._bases:
            fit = self._fits.setdefault(view.level, BasisFit(view.level))
            fit.add(latents.target, latents.seq)
            if not fit.is_enough:
                return None
            self._bases[view.level] = fit.basis()
            del self._fits[view.level]
        return self._bases[view.level]

    def _similar(self, view: LatentView, latents: Latents) -> Shown:
        token = token_at(view, latents.layout, latents.regions)
        if token is None:
            return NOTHING
        wanted, has_latent = _wanted(view, latents)
        cosine = cosine_to(wanted, latents.target[token])
        return Shown(similarity=frozen(np.where(has_latent, cosine, np.float32(np.nan))))


def token_at(view: LatentView, layout: TokenLayout, regions: NDArray[np.float32] | None) -> int | None:
    """The token of the newest time step that was chosen; None where no such token is.

    Of a grid the one under the place; of slots the one chosen by number, or whose region holds the place; of one
    latent per frame the newest, wherever the click was.
    """
    steps, rows, columns = layout.shape
    first = (steps - 1) * rows * columns
    if layout.kind == "global":
        return first
    if layout.kind == "slots":
        slot = view.slot if view.slot >= 0 or regions is None else _slot_at(view.at, layout, regions)
        return first + slot if slot is not None and 0 <= slot < rows else None
    place = cell_at(view.at, layout, rows, columns)
    return None if place is None else first + place[0] * columns + place[1]


def cell_at(
    at: tuple[float, float] | None, layout: TokenLayout, rows: int, columns: int
) -> tuple[int, int] | None:
    """Row and column, of `rows` × `columns` over the square the model saw, under a place in frame pixels."""
    x, y, width, height = layout.crop
    if at is None or width <= 0 or height <= 0:
        return None
    row = int(np.floor((at[1] - y) / height * rows))
    column = int(np.floor((at[0] - x) / width * columns))
    return (row, column) if 0 <= row < rows and 0 <= column < columns else None


def _slot_at(at: tuple[float, float] | None, layout: TokenLayout, regions: NDArray[np.float32]) -> int | None:
    place = cell_at(at, layout, *regions.shape[1:])
    return None if place is None else int(regions[:, place[0], place[1]].argmax())


def _wanted(view: LatentView, latents: Latents) -> tuple[Floats, NDArray[np.bool_]]:
    """(N, D) latents of every token, as they were or as they were predicted, and (N,) whether there is one.

    A token that several masks predicted is averaged, as its error is.
    """
    n = latents.layout.n_tokens
    if view.of != "predicted" or latents.predicted is None:
        return latents.target, np.ones(n, bool)
    spread = np.zeros((n, latents.target.shape[1]), np.float32)
    counts = np.zeros(n, np.int64)
    first = 0
    for mask in latents.masks.targets:  # within one mask no token stands twice
        spread[mask] += latents.predicted[first : first + len(mask)]
        counts[mask] += 1
        first += len(mask)
    has_latent = counts > 0
    spread[has_latent] /= counts[has_latent, None]
    return spread, has_latent

"""Latents as colours in fixed axes, and their likeness to one of them. Pure functions of arrays; numpy only.

The axes are the first three principal components of the latents they were fitted on, fitted once: afterwards the same
latent has the same colour in every look, and a colour never changes because another thing came into the picture. The
fit is deterministic: the same latents give the same axes in whichever portions they came, each axis turned so that its
largest loading is positive, each channel stretched between fixed percentiles of the fit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.types import LatentBasis, frozen

LEAST_TOKENS = 256  # a fit on fewer would follow single tokens; looks are gathered until there are as many
MOST_TOKENS = 509  # of more, as many are taken, evenly spaced, so that a fit costs no more than a look; a prime, so that
# the spacing fits into no grid and every row and column is met
SHOWN_PERCENTILES = (2.0, 98.0)  # of the fit: the ends of a colour channel
AXES = 3
ID_DIGITS = 12
_NOISE = 1e-9  # share of the variance below which an axis says nothing

Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Basis:
    """Three axes in latent space, with the range of each that spans its colour channel."""

    mean: NDArray[np.float32]  # (D,)
    axes: NDArray[np.float32]  # (D, 3), unit length; zero where the latents vary in fewer directions
    low: NDArray[np.float32]  # (3,) on the axes
    high: NDArray[np.float32]  # (3,)
    facts: LatentBasis

    def place(self, latents: Floats) -> NDArray[np.float32]:
        """(N, D) latents → (N, 3) float32: where they lie on the axes, 0 at `low` and 1 at `high`, not clipped."""
        along = latents.astype(np.float32, copy=False) @ self.axes  # (N, 3); the mean goes with the low ends
        low = (self.mean.astype(np.float64) @ self.axes + self.low).astype(np.float32)
        width = self.high - self.low
        placed = np.full(along.shape, 0.5, np.float32)  # an axis that says nothing is neutral
        np.divide(along - low, width, out=placed, where=width > 0)
        return placed

    def colors(self, latents: Floats) -> NDArray[np.uint8]:
        """(N, D) latents → (N, 3) uint8: first axis red, second green, third blue."""
        return frozen(np.rint(np.clip(self.place(latents), 0.0, 1.0) * 255).astype(np.uint8))


class BasisFit:
    """Gathers latents until there are enough to fit axes on. Owned by whoever looks."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._parts: list[Floats] = []
        self._seqs: list[int] = []

    @property
    def tokens(self) -> int:
        return sum(len(part) for part in self._parts)

    @property
    def is_enough(self) -> bool:
        return self.tokens >= LEAST_TOKENS

    def add(self, latents: Floats, seq: int) -> None:
        """(N, D) latents of the look that ended with frame `seq`. A look that is made again does not count twice."""
        if seq in self._seqs:
            return
        self._parts.append(np.array(latents, np.float32))  # a copy: the caller's array may be written again
        self._seqs.append(seq)

    def basis(self) -> Basis:
        """The axes of what was gathered."""
        return fit_basis(np.concatenate(self._parts), self._level, (min(self._seqs), max(self._seqs)))


def fit_basis(latents: Floats, level: int = -1, frames: tuple[int, int] = (-1, -1)) -> Basis:
    """The axes of these latents, (N, D) with N ≥ 1.

    level   of the features, for the record
    frames  seq of the newest frame of the first and of the last look they came from, for the record
    """
    chosen = np.arange(min(len(latents), MOST_TOKENS)) * len(latents) // min(len(latents), MOST_TOKENS)
    taken = np.asarray(latents[chosen], np.float64)  # (n, D), n ≤ MOST_TOKENS
    mean = taken.mean(axis=0)
    centred = taken - mean
    axes, explained = _principal(centred)
    along = centred @ axes  # (n, 3)
    low, high = np.percentile(along, SHOWN_PERCENTILES, axis=0)
    # single precision: the last bits of a decomposition depend on how many threads made it, and the id must not
    single = [frozen(part.astype(np.float32)) for part in (mean, axes, low, high)]
    digest = hashlib.sha256(b"".join(part.astype("<f4").tobytes() for part in single)).hexdigest()
    facts = LatentBasis(
        id=digest[:ID_DIGITS],
        explained=(float(explained[0]), float(explained[1]), float(explained[2])),
        fitted_on=len(taken),
        level=level,
        frames=frames,
    )
    return Basis(single[0], single[1], single[2], single[3], facts)


def cosine_to(latents: Floats, reference: Floats) -> NDArray[np.float32]:
    """(N, D) latents, (D,) reference → (N,) float32, -1 … 1: the plain cosine, nothing subtracted before.

    NaN for a latent without length, which points nowhere.
    """
    rows = latents.astype(np.float32, copy=False)
    wanted = reference.astype(np.float32, copy=False)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows)) * np.linalg.norm(wanted)  # no copy of a large look
    cosine = np.full(len(rows), np.nan, np.float32)
    np.divide(rows @ wanted, lengths, out=cosine, where=lengths > 0)
    return frozen(np.clip(cosine, -1.0, 1.0))


def _principal(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, D) → the first three principal axes (D, 3) and their share of the variance (3,).

    Through the smaller of the two Gram matrices. Directions without variance are zero.
    """
    n, width = centred.shape
    through_tokens = n < width
    gram = centred @ centred.T if through_tokens else centred.T @ centred
    powers, vectors = np.linalg.eigh(gram)  # ascending
    count = min(AXES, len(powers))
    powers, vectors = powers[::-1][:count], vectors[:, ::-1][:, :count]
    total = float(np.square(centred).sum())
    says = powers > _NOISE * max(total, np.finfo(np.float64).tiny)
    axes = np.zeros((width, AXES))
    explained = np.zeros(AXES)
    for k in np.flatnonzero(says):
        axis = centred.T @ vectors[:, k] if through_tokens else vectors[:, k]
        axis /= np.linalg.norm(axis)
        axes[:, k] = axis * _sign(axis)
        explained[k] = powers[k] / total
    return axes, explained


def _sign(axis: NDArray[np.float64]) -> float:
    """+1 or -1: what makes the largest loading positive. Of several equally large ones the first counts."""
    sizes = np.abs(axis)
    first = int(np.flatnonzero(sizes >= sizes.max() * (1 - 1e-6))[0])
    return 1.0 if axis[first] > 0 else -1.0

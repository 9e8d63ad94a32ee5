"""Which colour map shows which meaning. One map per meaning, safe for colour-blind eyes, with locked ranges.

No rainbow can be reached from here: an unknown name raises. The tables are pyqtgraph's, fetched when first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ERROR = "inferno"
ERROR_COLOR_SAFE = "cividis"
ENERGY = "viridis"
DIFFERENCE = "CET-CBD1"

TITLES = {
    ERROR: "inferno",
    ERROR_COLOR_SAFE: "cividis (colour-safe)",
    ENERGY: "viridis (low is good)",
    DIFFERENCE: "blue–yellow, zero centred",
}
ERROR_MAPS = (ERROR, ERROR_COLOR_SAFE)


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at the two ends of an error colour bar. Locked: nothing rescales it but a person."""

    low: float = 0.0
    high: float = 1.0

    def fraction(self, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """0 at `low`, 1 at `high`, not clipped. Same shape as `value`."""
        return (value - np.float32(self.low)) / np.float32(max(self.high - self.low, 1e-12))


@lru_cache(maxsize=8)
def table(name: str) -> NDArray[np.uint8]:
    """(256, 3) uint8, read-only, low to high."""
    if name not in TITLES:
        raise ValueError(f"no colour map {name!r}; there are {sorted(TITLES)}")
    from pyqtgraph import colormap  # heavy, so only when a picture is coloured for the first time

    made = np.ascontiguousarray(colormap.get(name).getLookupTable(nPts=256, alpha=False), dtype=np.uint8)
    made.setflags(write=False)
    return made


@lru_cache(maxsize=8)
def error_table(name: str) -> NDArray[np.uint8]:
    """(256, 4) uint8 RGBA, not premultiplied, for laying over a picture: what was expected is transparent.

    Alpha is 0 up to 6 % of the scale and reaches 0.78 at half of it, so low errors leave the picture alone and high
    ones still let its edges through.
    """
    fraction = np.linspace(0.0, 1.0, 256)
    alpha = np.clip((fraction - 0.06) / 0.44, 0.0, 1.0) * 0.78
    made = np.concatenate([table(name), np.round(alpha * 255).astype(np.uint8)[:, None]], axis=1)
    made.setflags(write=False)
    return made


def color_error(error: NDArray[np.float32], scale: Scale, name: str = ERROR) -> NDArray[np.uint8]:
    """(H', W') float32 error, NaN where nothing was predicted → (H', W', 4) uint8 RGBA, transparent where NaN."""
    fraction = scale.fraction(error)  # (H', W')
    known = np.isfinite(fraction)
    index = np.clip(np.where(known, fraction, 0.0) * 255, 0, 255).astype(np.uint8)
    colored = error_table(name)[index].copy()  # (H', W', 4)
    colored[~known] = 0
    return colored

"""Which colour map shows which meaning. One map per meaning, safe for colour-blind eyes, with locked ranges.

No rainbow can be reached from here: an unknown name raises. The tables are pyqtgraph's, read when first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ERROR = "inferno"
ERROR_COLOR_SAFE = "cividis"
ENERGY = "viridis"
DIFFERENCE = "CET-CBD1"
SIMILARITY = "CET-L6"  # one hue whose lightness rises, told from the error's by any eyes
FIRST_AXIS = "viridis"  # of PCA colours, beside the composite that is not safe for every pair of eyes

TITLES = {
    ERROR: "inferno",
    ERROR_COLOR_SAFE: "cividis (colour-safe)",
    ENERGY: "viridis (low is good)",
    DIFFERENCE: "blue–yellow, zero centred",
    SIMILARITY: "blue–cyan",
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
    stops = _read(_folder() / f"{name}.csv")  # (n, 3), 0..1
    where = np.linspace(0.0, 1.0, len(stops))
    fraction = np.linspace(0.0, 1.0, 256)
    columns = [np.interp(fraction, where, stops[:, channel]) for channel in range(3)]
    made = np.ascontiguousarray(np.stack(columns, axis=1) * 255 + 0.5, dtype=np.uint8)
    made.setflags(write=False)
    return made


def _folder() -> Path:
    """pyqtgraph's tables. Only its files are needed: importing it would hold the first painted error for 200 ms."""
    spec = find_spec("pyqtgraph")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("pyqtgraph is not installed; its colour tables are needed")
    return Path(spec.submodule_search_locations[0]) / "colors" / "maps"


def _read(path: Path) -> NDArray[np.float64]:
    """The rows of a table, (n, 3) 0..1; lines that begin with ";" and words after one are comments."""
    lines = (line.split(";")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return np.array([[float(part) for part in line.split(",")[:3]] for line in lines if line.count(",") >= 2])


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


@lru_cache(maxsize=1)
def similarity_table() -> NDArray[np.uint8]:
    """(256, 4) uint8 RGBA, not premultiplied: what is not alike lets the picture through, as an expected error does."""
    fraction = np.linspace(0.0, 1.0, 256)
    alpha = 0.25 + np.clip(fraction / 0.6, 0.0, 1.0) * 0.53
    made = np.concatenate([table(SIMILARITY), np.round(alpha * 255).astype(np.uint8)[:, None]], axis=1)
    made.setflags(write=False)
    return made


def color_similarity(cosine: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H', W') float32 cosine, NaN where there is no latent → (H', W', 4) uint8 RGBA on the fixed scale 0 … 1.

    Below 0 is drawn as 0; transparent where NaN.
    """
    is_known = np.isfinite(cosine)
    index = np.rint(np.clip(np.where(is_known, cosine, 0.0), 0.0, 1.0) * 255).astype(np.uint8)
    colored = similarity_table()[index].copy()  # (H', W', 4)
    colored[~is_known] = 0
    return colored

"""Which files of a case hold weights, and what counts where several do: every one of them must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jepa_core.errors import UnreadableCheckpoint
from jepa_core.weight_folder import files_of

Arrays = Mapping[str, np.ndarray]
TORCH = (".pt", ".pth", ".pth.tar", ".ckpt")
HUGGING_FACE = (".safetensors", ".bin")


def torch_files(folder: Path) -> list[Path]:
    """Every torch file of a case; one at least."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(TORCH))
    assert found, f"{folder.name} holds no weights"
    return found


def hugging_face_files(folder: Path) -> list[Path]:
    """The folder itself where it is complete, and every further file of weights that is no piece of it."""
    try:
        pieces = files_of(folder)
    except UnreadableCheckpoint:
        pieces = ()
    further = sorted(path for path in folder.iterdir() if path.suffix in HUGGING_FACE)
    return ([folder] if pieces else []) + [path for path in further if path not in pieces]


def worst_of(
    paths: list[Path], compute: Callable[[Path], Mapping[str, np.ndarray]], arrays: Arrays
) -> dict[str, np.ndarray]:
    """What each file gives, and of every array the one that lies farthest from its reference."""
    out: dict[str, np.ndarray] = {}
    for path in paths:
        for name, ours in compute(path).items():
            if name not in out or _distance(ours, arrays[name]) > _distance(out[name], arrays[name]):
                out[name] = ours
    return out


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours.astype(np.float64) - theirs).max()) if ours.size else 0.0

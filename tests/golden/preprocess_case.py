"""The preprocessing routes against their references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from jepa_core import preprocess

_INPUT = re.compile(r"frames_uint8(_\w+)?")
ONE_STEP = (
    1 / 255 / min(preprocess.STD) * 1.01
)  # another resize library may round single pixels the other way
FLOAT = {"full_stretch": 1e-5}  # no rounding to uint8 in this route


ROUTES: Mapping[str, Callable[[np.ndarray, int], Tensor]] = {
    "video_numpy": preprocess.video_numpy,
    "video_tensor": preprocess.video_tensor,
    "image_pil": lambda frames, size: preprocess.image(frames[0], size),
    "full_stretch": preprocess.full_stretch,
    "hf_video": preprocess.hugging_face_video,
    "hf_ijepa_image": lambda frames, size: preprocess.hugging_face_ijepa_image(frames[0], size),
}


def inputs_among(arrays: Mapping[str, np.ndarray]) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return frozenset(name for name in arrays if _INPUT.fullmatch(name))


def routes(folder: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every route on the case's frames, at the size its references have; further frames by the end of their name."""
    out = {}
    for name, array in arrays.items():
        for route, make in ROUTES.items():
            suffix = name.removeprefix(route)
            if name.startswith(route) and (not suffix or suffix.startswith("_")):
                frames = arrays.get(f"frames_uint8{suffix}", arrays["frames_uint8"])
                out[name] = make(frames, array.shape[-1]).numpy()
    return out


def tolerance_of(array: str) -> float:
    return next((value for route, value in FLOAT.items() if array.startswith(route)), ONE_STEP)

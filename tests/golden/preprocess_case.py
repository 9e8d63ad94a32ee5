"""The preprocessing routes against their references."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jepa_core import preprocess

INPUTS = frozenset({"frames_uint8"})
ONE_STEP = (
    1 / 255 / min(preprocess.STD) * 1.01
)  # another resize library may round single pixels the other way
FLOAT = {"full_stretch": 1e-5}  # no rounding to uint8 in this route


def routes(folder: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every route on the case's frames, at the size its references have."""
    frames = arrays["frames_uint8"]
    make = {
        "video_numpy": lambda size: preprocess.video_numpy(frames, size),
        "video_tensor": lambda size: preprocess.video_tensor(frames, size),
        "image_pil": lambda size: preprocess.image(frames[0], size),
        "full_stretch": lambda size: preprocess.full_stretch(frames, size),
        "hf_video": lambda size: preprocess.hugging_face_video(frames, size),
        "hf_ijepa_image": lambda size: preprocess.hugging_face_ijepa_image(frames[0], size),
    }
    return {name: route(arrays[name].shape[-1]).numpy() for name, route in make.items() if name in arrays}


def tolerance_of(array: str) -> float:
    return FLOAT.get(array, ONE_STEP)

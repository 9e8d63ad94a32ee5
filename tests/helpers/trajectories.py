"""Writes .npz trajectories: a disc that is pushed about, the pushes that were made and where the body stood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core import poses


def pictures(frames: int = 24, height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """(T, H, W, 3): a bright disc on a grained ground, moving as `pushes` say."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(40, 90, (height, width, 3), dtype=np.uint8)
    rows, columns = np.indices((height, width))
    made = np.repeat(ground[None], frames, axis=0)
    at = np.array([height / 2, width / 2])
    for t, push in enumerate(pushes(frames, seed=seed)):
        made[t][(rows - at[0]) ** 2 + (columns - at[1]) ** 2 < 49] = (230, 120, 60)
        at = np.clip(at + push, 8, [height - 8, width - 8])
    return made


def pushes(frames: int = 24, width: int = 2, seed: int = 0) -> NDArray[np.float32]:
    """(T, width) what was done from each frame to the next."""
    steps = np.random.default_rng(seed + 1).normal(0.0, 1.0, (frames, width))
    return (steps.cumsum(0) * 0.1 + steps * 0.5).clip(-3, 3).astype(np.float32)


def arm_states(frames: int = 24, seed: int = 0) -> NDArray[np.float32]:
    """(T, 7) poses of an arm, in metres, radians and closedness."""
    rng = np.random.default_rng(seed + 2)
    track = np.array([0.5, 0.0, 0.3, -3.0, 0.0, -1.9, 0.5]) + rng.normal(0, 0.02, (frames, 7)).cumsum(0)
    track[:, 6] = track[:, 6].clip(0, 1)
    return track.astype(np.float32)


def body_states(frames: int = 24, width: int = 4, seed: int = 0) -> NDArray[np.float32]:
    """(T, width) proprioception in standard deviations."""
    return np.random.default_rng(seed + 3).normal(0, 0.7, (frames, width)).astype(np.float32)


def write(path: Path, *, is_compressed: bool = False, **arrays: Any) -> Path:
    """A trajectory of these arrays; 24 pictures under `observations` where none are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (np.savez_compressed if is_compressed else np.savez)(path, **{"observations": pictures(), **arrays})
    return path


def write_arm(path: Path, frames: int = 24) -> Path:
    """As V-JEPA 2-AC's example: a batch of one, states without actions; four frames per second."""
    return write(
        path,
        observations=pictures(frames)[None],
        states=arm_states(frames)[None],
        fps=np.float64(4.0),
        state_names=np.array(poses.NAMES),
        state_units=np.array(poses.UNITS),
    )


def write_pushed(path: Path, frames: int = 40) -> Path:
    """As Push-T data: an action of two numbers at every frame, four numbers of the body; ten frames per second."""
    return write(
        path,
        observations=pictures(frames),
        actions=pushes(frames),
        states=body_states(frames),
        fps=np.float64(10.0),
    )

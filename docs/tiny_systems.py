"""Write a tiny checkpoint of every system, and trajectories to show it: for the pictures, which must need no download.

Run as `.venv/bin/python docs/tiny_systems.py FOLDER`; prints one line per system: name, checkpoint, source. All weights
are seeded random numbers, so what the pictures show is the way of showing, and no result of any system.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 400


def main(folder: Path) -> int:
    sys.path.insert(0, str(ROOT))
    pushed, arm = trajectories(folder)
    for name, (write, is_pushed) in systems().items():
        checkpoint = write(folder / name)
        sys.stdout.write(f"{name}\t{checkpoint}\t{pushed if is_pushed else arm}\n")
    return 0


def systems() -> dict[str, tuple[Callable[[Path], Path], bool]]:
    """Name → who writes its checkpoint, and whether it wants to know the pushes (else an arm's poses)."""
    from tests.helpers import checkpoints, leveled_checkpoints, lewm_checkpoints, table_checkpoints

    return {
        "ijepa": (table_checkpoints.write_ijepa, False),
        "vjepa": (table_checkpoints.write_vjepa, False),
        "vjepa2": (checkpoints.write, False),
        "vjepa2ac": (fine_arm, False),
        "vjepa21": (leveled_checkpoints.write, False),
        "lewm": (lewm_checkpoints.write, True),
        "cjepa": (fine_slots, True),
    }


def fine_arm(folder: Path) -> Path:
    """V-JEPA 2-AC with 12 x 12 patches; its positions are rotary, so only its config says so."""
    from tests.helpers import ac_checkpoints as made

    settings = made.params()
    settings["architecture"]["img_size"] = [96, 96]
    return made.write(folder, settings=settings)


def fine_slots(folder: Path) -> Path:
    """C-JEPA with 14 x 14 patches, as the released ones have."""
    from tests.helpers import cjepa_checkpoints as made

    assert made.WHOLE.vit is not None
    reading = replace(made.WHOLE, size=112, vit=replace(made.WHOLE.vit, table_rows=197))
    return made.write(folder, made.content(reading, seed=33), made.config(reading))


def trajectories(folder: Path) -> tuple[Path, Path]:
    """Ten frames a second with pushes and a body; four frames a second with an arm's poses."""
    from tests.helpers import trajectories as made

    pictures, pushes = scene()
    pushed = made.write(
        folder / "pushed.npz",
        observations=pictures,
        actions=pushes,
        states=made.body_states(FRAMES),
        fps=np.float64(10.0),
    )
    arm = made.write(
        folder / "arm.npz",
        observations=pictures[::3][None],
        states=made.arm_states(len(pictures[::3]))[None],
        fps=4.0,
    )
    return pushed, arm


def scene(height: int = 240, width: int = 320) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(T, H, W, 3) a pushed disc and a drifting square on a smooth ground; (T, 2) the pushes."""
    random = np.random.default_rng(0)
    rows, columns = np.indices((height, width))
    ground = np.stack(
        [
            90 + 40 * np.sin(columns / 60),
            100 + 30 * np.cos(rows / 50),
            110 + 20 * np.sin((rows + columns) / 80),
        ],
        -1,
    )
    ground = np.clip(ground + random.normal(0, 4, (height, width, 1)), 0, 255).astype(np.uint8)
    pictures = np.repeat(ground[None], FRAMES, axis=0)
    pushes = random.normal(0.0, 1.0, (FRAMES, 2)).clip(-3, 3).astype(np.float32)
    disc, square = np.array([120.0, 160.0]), np.array([60.0, 80.0])
    speed, drift = np.array([2.0, 3.0]), np.array([1.5, -1.0])
    for t, picture in enumerate(pictures):
        picture[(rows - disc[0]) ** 2 + (columns - disc[1]) ** 2 < 900] = (230, 120, 60)
        picture[(abs(rows - square[0]) < 22) & (abs(columns - square[1]) < 22)] = (60, 160, 220)
        speed = speed * 0.97 + pushes[t] * 0.5
        for at, going in ((disc, speed), (square, drift)):
            at += going
            far = np.array([height, width]) - 30.0
            going[(at < 30) | (at > far)] *= -1
            np.clip(at, 30, far, out=at)
    return pictures, pushes


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""What the cell checkpoint learns from: nominal scenes of the embedded world, as the console would show them to it.

Every scene is seeded, painted by the world's own painter, and cropped by the live path's own `fit_frame`, so that what
is learnt here is what the demo shows. Nothing impossible happens in it. Made anew in minutes, never shipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jepa_core.preprocess import fit_frame
from sessions.sources.parts.scene import SHORT_SIDE, Scene, SceneState
from sessions.sources.parts.scene_paint import ScenePainter

SIZE = 64  # pixels, of the crop
PATCH = 8
FPS = 15.0
SCENE_FRAMES = 40
CLIP_FRAMES = 12
TUBELET = 2
PICTURES = ((640, 480), (320, 240))  # what the demo shows, and a quarter of it, three times as fast to paint
LARGE_SHARE = 1 / 3
MARGIN_PX = 1.0  # around a moving piece: its soft edge and shadow


@dataclass(frozen=True, slots=True)
class Scenes:
    """Nominal scenes, frame by frame."""

    crops: NDArray[np.uint8]  # (scenes, SCENE_FRAMES, 64, 64, 3)
    moving: NDArray[np.bool_]  # (scenes, SCENE_FRAMES, 8, 8): a piece that moves lies in this patch

    def clips(self, scene: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(B, CLIP_FRAMES, 64, 64, 3)"""
        return self.crops[scene[:, None], start[:, None] + np.arange(CLIP_FRAMES)]

    def moving_tokens(self, scene: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(B, 6·8·8): the same for tokens, in the order of a clip's tokens."""
        frames = self.moving[scene[:, None], start[:, None] + np.arange(CLIP_FRAMES)]  # (B, 12, 8, 8)
        pairs = frames.reshape(len(scene), CLIP_FRAMES // TUBELET, TUBELET, *frames.shape[2:])
        return pairs.any(axis=2).reshape(len(scene), -1)


def make_scenes(count: int, seed: int, say: Callable[[float, str], None] | None = None) -> Scenes:
    """`count` scenes; scene n of a seed is the same whatever the count."""
    side = SIZE // PATCH
    crops = np.empty((count, SCENE_FRAMES, SIZE, SIZE, 3), np.uint8)
    moving = np.zeros((count, SCENE_FRAMES, side, side), bool)
    for number in range(count):
        _film(seed * 1_000_003 + number, crops[number], moving[number])
        if say is not None and number % 20 == 19:
            say((number + 1) / count, f"{number + 1} of {count} scenes painted")
    return Scenes(crops, moving)


def _film(seed: int, crops: NDArray[np.uint8], moving: NDArray[np.bool_]) -> None:
    draw = np.random.Generator(np.random.PCG64([seed, 77]))
    width, height = PICTURES[0] if draw.random() < LARGE_SHARE else PICTURES[1]
    scale = min(width, height) / SHORT_SIDE
    scene = Scene(
        seed=seed, fps=FPS, width=width / scale, height=height / scale, bodies=int(draw.integers(1, 6)),
        event_every_s=0.0,
    )  # fmt: skip
    painter = ScenePainter(scene.layout, width=width, height=height, seed=seed)
    state = scene.start()
    for _ in range(int(draw.integers(0, 60))):  # begin anywhere: pieces in mid-flight, after collisions
        state = scene.after(state)
    for at in range(len(crops)):
        crops[at], box = fit_frame(painter.paint(state), SIZE)
        moving[at] = moving_patches(state, box, scale)
        state = scene.after(state)


def moving_patches(
    state: SceneState, box: tuple[float, float, float, float], scale: float
) -> NDArray[np.bool_]:
    """(8, 8): patches that a moving piece in sight touches. `box`: frame pixels of the crop; `scale`: pixels per unit."""
    edges = np.arange(SIZE // PATCH) * PATCH
    touched = np.zeros((len(edges), len(edges)), bool)
    for body in state.bodies:
        if not body.is_there or body.speed == 0.0:
            continue
        to_crop = SIZE / box[2]
        x, y = (body.x * scale - box[0]) * to_crop, (body.y * scale - box[1]) * to_crop
        reach = body.radius * scale * to_crop + MARGIN_PX
        dx = x - np.clip(x, edges, edges + PATCH)  # to the nearest point of each column
        dy = y - np.clip(y, edges, edges + PATCH)
        touched |= dy[:, None] ** 2 + dx[None] ** 2 <= reach**2
    return touched

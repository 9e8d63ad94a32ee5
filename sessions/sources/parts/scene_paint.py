"""Draws the embedded world: table, rim, soft shadows, raised pieces, the grey cover, light that breathes, camera noise.

Owned by the world source's thread. Same seed, size and state give the same pixels. What does not move is painted once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.cv import cv2
from jepa_core.types import frozen
from sessions.sources.parts.scene import RIM, SHORT_SIDE, Body, Layout, SceneState

Image = NDArray[np.float32]

# sRGB, 0-255. Muted tables, clear pieces: told apart by lightness as well as by hue.
TABLES = ((132, 122, 108), (88, 110, 122), (108, 118, 108), (98, 102, 126))
PIECES = ((214, 96, 77), (236, 186, 82), (92, 176, 160), (232, 232, 224), (92, 140, 206), (176, 112, 168))
COVER = (134, 138, 142)
RIM_COLOR = (38, 42, 48)

_SHADOW_AT = (1.0, 1.3)  # units: the light stands at the upper left
_SHADOW_SOFT = 0.9  # units
_SHADOW_DEPTH = 0.42
_FLICKER = 0.010  # demo-world: at most 2 %
_NOISE_BANK = 8  # noise pictures, used in an order of the seed's at shifts of their own


class ScenePainter:
    """Paints states of one scene at one size."""

    def __init__(self, layout: Layout, *, width: int, height: int, seed: int) -> None:
        self._layout = layout
        self._width, self._height = width, height
        self._scale = min(width, height) / SHORT_SIDE  # pixels per unit
        self._seed = seed
        draw = np.random.Generator(np.random.PCG64([seed, 11]))
        self._light = float(draw.uniform(0.93, 1.07))  # demo-world: ±10 %
        self._phase = float(draw.uniform(0, 2 * math.pi))
        self._table = self._paint_table(TABLES[seed % len(TABLES)], draw)
        self._cover = self._paint_cover(draw)
        sigma = float(draw.uniform(1.5, 2.6))  # demo-world: 1.5 to 4 of 255
        bank = draw.normal(0.0, sigma, (_NOISE_BANK, height + 32, width + 32, 1)).round()
        self._noise_up = np.repeat(np.clip(bank, 0, 255).astype(np.uint8), 3, axis=-1)
        self._noise_down = np.repeat(np.clip(-bank, 0, 255).astype(np.uint8), 3, axis=-1)

    def paint(self, state: SceneState) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, writeable: the caller may still put a barcode on it."""
        canvas = self._table.copy()
        there = [body for body in state.bodies if body.is_there]
        masks = [self._mask(body) for body in there]
        for x, y, alpha in masks:
            self._cast_shadow(canvas, x, y, alpha)
        for body, (x, y, alpha) in zip(there, masks, strict=True):
            self._lay_piece(canvas, x, y, alpha, np.array(PIECES[body.color], np.float32))
        if self._cover is not None:
            left, color, alpha = self._cover
            window = canvas[:, left : left + color.shape[1]]
            window += (color - window) * alpha
        return self._photograph(canvas, state.index)

    # -- what moves -------------------------------------------------------------------------------------------------

    def _mask(self, body: Body) -> tuple[int, int, Image]:
        """Left, top and coverage 0..1 of a piece, anti-aliased, at its exact place."""
        scale = self._scale
        reach = math.ceil(body.radius * scale * 1.35) + 2
        cx, cy = body.x * scale, body.y * scale
        left, top = math.floor(cx) - reach, math.floor(cy) - reach
        side = 2 * reach + 1
        fine = 4  # painted four times as large and averaged: cv2's own anti-aliasing has visible steps on slow motion
        big = np.zeros((side * fine, side * fine), np.uint8)
        at = np.array([(cx - left) * fine, (cy - top) * fine])
        radius = body.radius * scale * fine
        if body.shape == "disc":
            cv2.circle(big, _fixed(at), round(radius * 16), 255, -1, cv2.LINE_8, 4)
        else:
            self._rounded_square(big, at, radius * math.sqrt(math.pi) / 2, body.angle)
        alpha = cv2.resize(big, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        return left, top, alpha

    def _rounded_square(self, big: NDArray[np.uint8], at: NDArray[Any], half: float, angle: float) -> None:
        """A filled square with round corners: an inner square and a thick outline."""
        corner = half * 0.28
        inner = half - corner
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        for reach in ((inner, half), (half, inner)):
            points = at + (signs * reach) @ turn.T
            cv2.fillConvexPoly(big, np.round(points * 16).astype(np.int32), 255, cv2.LINE_8, 4)
        for point in at + (signs * inner) @ turn.T:
            cv2.circle(big, _fixed(point), round(corner * 16), 255, -1, cv2.LINE_8, 4)

    def _cast_shadow(self, canvas: Image, left: int, top: int, alpha: Image) -> None:
        soft = self._scale * _SHADOW_SOFT
        pad = math.ceil(soft * 2.5)
        spread = cv2.GaussianBlur(
            cv2.copyMakeBorder(alpha, pad, pad, pad, pad, cv2.BORDER_CONSTANT), (0, 0), soft
        )
        dx, dy = round(_SHADOW_AT[0] * self._scale), round(_SHADOW_AT[1] * self._scale)
        window, part = _overlap(canvas, spread, left - pad + dx, top - pad + dy)
        window *= 1.0 - _SHADOW_DEPTH * part[:, :, None]

    def _lay_piece(self, canvas: Image, left: int, top: int, alpha: Image, color: Image) -> None:
        """A piece with a soft bevel: its edge towards the light is brighter, the other darker."""
        soft = max(0.6, self._scale * 0.35)
        height = cv2.GaussianBlur(alpha, (0, 0), soft)
        slope = cv2.Sobel(height, cv2.CV_32F, 1, 0) + cv2.Sobel(
            height, cv2.CV_32F, 0, 1
        )  # rises away from the light
        side = len(alpha)
        ramp = np.linspace(0.06, -0.06, side, dtype=np.float32)
        shade = 1.0 + np.clip(slope * soft * 0.11, -0.34, 0.34) + ramp[:, None] + ramp[None, :] * 0.6
        piece = color * shade[:, :, None]
        window, part = _overlap(canvas, np.dstack([piece, alpha]), left, top)
        window += (part[:, :, :3] - window) * part[:, :, 3:]

    def _photograph(self, canvas: Image, index: int) -> NDArray[np.uint8]:
        """Light and sensor: a slow flicker, then noise of the frame's own."""
        draw = np.random.Generator(np.random.PCG64([self._seed, 12, index]))
        flicker = 0.7 * math.sin(index * 0.37 + self._phase) + 0.3 * float(draw.uniform(-1, 1))
        picture = cv2.convertScaleAbs(canvas, alpha=self._light * (1.0 + _FLICKER * flicker))
        bank, dy, dx = int(draw.integers(_NOISE_BANK)), int(draw.integers(32)), int(draw.integers(32))
        window = (bank, slice(dy, dy + self._height), slice(dx, dx + self._width))
        picture = cv2.add(picture, self._noise_up[window])
        noisy: NDArray[np.uint8] = cv2.subtract(picture, self._noise_down[window])
        return noisy

    # -- what stands still ------------------------------------------------------------------------------------------

    def _paint_table(self, tint: tuple[int, int, int], draw: np.random.Generator) -> Image:
        """(H, W, 3) float32: a tinted, lit, faintly woven surface with a raised dark rim."""
        height, width, scale = self._height, self._width, self._scale
        x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
        y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        light = 1.20 - 0.26 * x - 0.22 * y
        texture = np.zeros((height, width), np.float32)
        for size, depth in (
            (9.0, 0.030),
            (3.0, 0.022),
            (0.8, 0.020),
        ):  # clouds, grain, weave: units, share of light
            grain = cv2.GaussianBlur(
                draw.normal(0, 1, (height, width)).astype(np.float32), (0, 0), max(size * scale / 3, 0.5)
            )
            texture += depth * grain / max(float(grain.std()), 1e-6)
        fibre = cv2.GaussianBlur(
            draw.normal(0, 1, (height, width)).astype(np.float32),
            (0, 0),
            sigmaX=3.0 * scale,
            sigmaY=max(0.12 * scale, 0.4),
        )
        texture += 0.014 * fibre / max(float(fibre.std()), 1e-6)
        table = np.array(tint, np.float32) * (light * (1.0 + texture))[:, :, None]
        table *= self._rim_shadow()[:, :, None]
        return np.ascontiguousarray(self._with_rim(table), dtype=np.float32)

    def _rim_distance(self) -> Image:
        """(H, W): distance of every pixel to the rim's inner edge, units; negative on the rim."""
        xs = (np.arange(self._width, dtype=np.float32)[None, :] + 0.5) / self._scale
        ys = (np.arange(self._height, dtype=np.float32)[:, None] + 0.5) / self._scale
        corner = 3.0  # inner corners are round
        dx = np.maximum(RIM + corner - xs, xs - (self._layout.width - RIM - corner))
        dy = np.maximum(RIM + corner - ys, ys - (self._layout.height - RIM - corner))
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        distance: Image = corner - outside - np.minimum(np.maximum(dx, dy), 0)
        return distance

    def _rim_shadow(self) -> Image:
        """The rim's own shadow on the table: deepest at the upper left, where it stands between light and table."""
        distance = self._rim_distance()
        moved = np.roll(distance, (round(1.2 * self._scale), round(0.9 * self._scale)), axis=(0, 1))
        return (1.0 - 0.38 * np.exp(-np.maximum(np.minimum(distance, moved), 0) / 1.6)).astype(np.float32)

    def _with_rim(self, table: Image) -> Image:
        distance = self._rim_distance()
        cover = np.clip(0.5 - distance * self._scale, 0, 1)[:, :, None]
        edge = np.exp(-((distance + 0.35) ** 2) / 0.08)  # a thin worn edge that catches the light
        color = np.array(RIM_COLOR, np.float32) * (1.0 + 0.25 * np.clip(-distance / RIM, 0, 1))[:, :, None]
        color = color + 34.0 * edge[:, :, None]
        mixed: Image = table * (1 - cover) + color * cover
        return mixed

    def _paint_cover(self, draw: np.random.Generator) -> tuple[int, Image, Image] | None:
        """Left edge, colour (H, w, 3) and coverage (H, w, 1) of the grey band and the shadow it casts; None: no band."""
        if self._layout.band is None:
            return None
        scale, height = self._scale, self._height
        reach = 3.2  # units of shadow beside the band
        left = max(0, math.floor((self._layout.band[0] - reach) * scale))
        right = min(self._width, math.ceil((self._layout.band[1] + reach) * scale))
        xs = (np.arange(left, right, dtype=np.float32) + 0.5) / scale
        inside = np.minimum(xs - self._layout.band[0], self._layout.band[1] - xs)  # units, negative outside
        solid = np.clip(inside * scale + 0.5, 0, 1)
        beside = np.where(
            xs > sum(self._layout.band) / 2, 0.40 * np.exp(inside / 1.1), 0.16 * np.exp(inside / 0.6)
        )
        alpha = np.maximum(solid, np.where(inside < 0, beside, 0.0))
        grain = cv2.GaussianBlur(
            draw.normal(0, 1, (height, len(xs))).astype(np.float32), (0, 0), sigmaX=0.5, sigmaY=2.5 * scale
        )
        grain = 1.0 + 0.020 * grain / max(float(grain.std()), 1e-6)
        round_top = 1.0 - 0.10 * (
            2 * (xs - self._layout.band[0]) / (self._layout.band[1] - self._layout.band[0]) - 1
        )
        edges = 1.0 + 0.16 * np.exp(-((inside - 0.25) ** 2) / 0.05) * (xs < sum(self._layout.band) / 2)
        fall = np.linspace(1.06, 0.90, height, dtype=np.float32)[:, None]
        color = np.array(COVER, np.float32) * (grain * (round_top * edges)[None, :] * fall)[:, :, None]
        color *= (solid > 0)[None, :, None]  # beside the band the "colour" is black: a shadow
        on_table = np.clip(
            self._rim_distance()[:, left:right] * scale + 0.5, 0, 1
        )  # the band lies inside the rim
        return (
            left,
            frozen(color.astype(np.float32)),
            frozen((alpha[None, :] * on_table)[:, :, None].astype(np.float32)),
        )


def _fixed(point: NDArray[Any]) -> tuple[int, int]:
    """cv2's sub-pixel coordinates: four binary places."""
    return round(float(point[0]) * 16), round(float(point[1]) * 16)


def _overlap(canvas: Image, patch: Image, left: int, top: int) -> tuple[Image, Image]:
    """The parts of canvas and patch that lie on each other when the patch is put at (left, top)."""
    height, width = canvas.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = max(x0, min(left + patch.shape[1], width)), max(y0, min(top + patch.shape[0], height))
    return canvas[y0:y1, x0:x1], patch[y0 - top : y1 - top, x0 - left : x1 - left]

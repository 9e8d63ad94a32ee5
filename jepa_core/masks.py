"""Which tokens a look is given and which it must predict: the future, multi-block as in training, or a drawn region.

Numpy only, so the window can preview a rule. Every mask is a pure function of rule, layout and the look's number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import NotAble
from jepa_core.types import MaskRule, MaskSet, TokenLayout, frozen

UNUSED, CONTEXT, TARGET, BOTH = 0, 1, 2, 3
"""Roles of a token in a mask, as the session file keeps them."""


@dataclass(frozen=True, slots=True)
class BlockGenerator:
    """One of the multi-block generators of training (V-JEPA and V-JEPA 2 alike, section 8.2)."""

    blocks: int
    spatial_scale: tuple[float, float]
    aspect: tuple[float, float] = (0.75, 1.5)  # height / width
    temporal_scale: tuple[float, float] = (1.0, 1.0)


GENERATORS = {
    "short": BlockGenerator(blocks=8, spatial_scale=(0.15, 0.15)),
    "long": BlockGenerator(blocks=2, spatial_scale=(0.7, 0.7)),
}
MAX_DRAWS = 100  # of a mask that leaves no context; the released generators need two at the very most


def make_masks(rule: MaskRule, layout: TokenLayout, look: int) -> MaskSet:
    """The masks of look number `look` (0, 1, 2, …): seed = rule.seed + look; a drawn region has seed -1.

    Raises NotAble where the layout leaves nothing to predict from, or is no patch grid and the rule needs one.
    """
    if rule.kind == "future":
        return _future(rule, layout, look)
    if layout.kind != "grid":
        raise NotAble(
            f"A {rule.kind} mask needs a patch grid; these tokens are {layout.kind}.", "Mask the future."
        )
    if rule.kind == "multiblock":
        return _multiblock(rule, layout, look)
    if rule.kind == "region":
        return _region(rule, layout)
    raise NotAble(f"There is no mask rule {rule.kind!r}.", "Use future, multiblock or region.")


def roles_of(masks: MaskSet, layout: TokenLayout) -> NDArray[np.uint8]:
    """What each token was used for: (T', H', W') uint8 of UNUSED, CONTEXT, TARGET or BOTH."""
    roles = np.zeros(layout.n_tokens, dtype=np.uint8)
    roles[masks.context] |= CONTEXT
    for target in masks.targets:
        roles[target] |= TARGET
    return frozen(roles.reshape(layout.shape))


def masks_from_roles(roles: NDArray[np.uint8], seed: int = -1) -> MaskSet:
    """The masks a recorded role map stands for, targets as one set; for recomputing."""
    flat = roles.reshape(-1)
    return _mask_set((flat & CONTEXT) > 0, (flat & TARGET) > 0, seed)


# --- the rules ---------------------------------------------------------------------------------------------------


def _future(rule: MaskRule, layout: TokenLayout, look: int) -> MaskSet:
    """Context = the first time steps, targets = the newest `predict_steps`; at least one step of each."""
    steps = layout.shape[0]
    if steps < 2:
        raise NotAble(
            "A clip of one time step has no future to predict.", "Wait for more frames or use multi-block."
        )
    predicted = min(max(rule.predict_steps, 1), steps - 1)
    is_target = np.zeros(layout.shape, dtype=bool)
    is_target[steps - predicted :] = True
    return _mask_set(~is_target, is_target, rule.seed + look)


def _multiblock(rule: MaskRule, layout: TokenLayout, look: int) -> MaskSet:
    """Blocks are targets, what no block covers is context. Block size drawn once, places per block (section 8.2)."""
    if rule.generator not in GENERATORS:
        raise NotAble(f"There is no mask generator {rule.generator!r}.", f"Use {' or '.join(GENERATORS)}.")
    generator = GENERATORS[rule.generator]
    steps, rows, columns = layout.shape
    random = np.random.default_rng((rule.seed + look) % 2**63)
    size = block_size(generator, layout.shape, random)
    for _ in range(MAX_DRAWS):
        is_target = np.zeros(layout.shape, dtype=bool)
        for _ in range(generator.blocks):
            t, r, c = (
                int(random.integers(0, n - k + 1)) for n, k in zip((steps, rows, columns), size, strict=True)
            )
            is_target[t : t + size[0], r : r + size[1], c : c + size[2]] = True
        if not is_target.all():
            return _mask_set(~is_target, is_target, rule.seed + look)
    raise NotAble(
        f"The {rule.generator}-range mask covers all of a {rows} x {columns} grid.",
        "Use the other generator.",
    )


def block_size(
    generator: BlockGenerator, shape: tuple[int, int, int], random: np.random.Generator
) -> tuple[int, int, int]:
    """(time steps, rows, columns) of one look's blocks: three independent draws, never larger than the grid."""
    steps, rows, columns = shape
    scale_t, scale_s, aspect = (
        low + random.random() * (high - low)
        for low, high in (generator.temporal_scale, generator.spatial_scale, generator.aspect)
    )
    t = max(1, int(steps * scale_t))
    keep = int(rows * columns * scale_s)
    height = round(float(np.sqrt(keep * aspect)))
    width = round(float(np.sqrt(keep / aspect)))
    return t, max(1, min(height, rows)), max(1, min(width, columns))


def _region(rule: MaskRule, layout: TokenLayout) -> MaskSet:
    """Every token that the rectangle touches, at every time step, is hidden and predicted."""
    if rule.region is None:
        raise NotAble("No region is drawn.", "Draw a rectangle on the picture.")
    _, rows, columns = layout.shape
    x, y, w, h = rule.region
    crop_x, crop_y, crop_w, crop_h = layout.crop
    if crop_w <= 0 or crop_h <= 0:
        raise NotAble("What the model sees of the picture is not known yet.", "Wait for the first look.")
    left, right = _touched(x - crop_x, x + w - crop_x, crop_w, columns)
    top, bottom = _touched(y - crop_y, y + h - crop_y, crop_h, rows)
    is_target = np.zeros(layout.shape, dtype=bool)
    is_target[:, top:bottom, left:right] = True
    if not is_target.any():
        raise NotAble("The region lies outside what the model sees.", "Draw it inside the model's crop.")
    if is_target.all():
        raise NotAble(
            "The region covers all that the model sees: nothing is left to predict from.", "Draw it smaller."
        )
    return _mask_set(~is_target, is_target, -1)


def _touched(low: float, high: float, extent: float, cells: int) -> tuple[int, int]:
    """Cells [first, last) of an axis that [low, high) in pixels touches; merely meeting an edge is not touching."""
    low, high = min(low, high), max(low, high)
    cell = extent / cells
    first = int(np.floor(low / cell + 1e-9))
    last = int(np.ceil(high / cell - 1e-9))
    if high > low:
        last = max(last, first + 1)
    return min(max(first, 0), cells), min(max(last, 0), cells)


def _mask_set(is_context: NDArray[np.bool_], is_target: NDArray[np.bool_], seed: int) -> MaskSet:
    context = np.flatnonzero(is_context).astype(np.int32)
    target = np.flatnonzero(is_target).astype(np.int32)
    return MaskSet(frozen(context), (frozen(target),), seed)

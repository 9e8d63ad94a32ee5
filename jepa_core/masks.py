"""Which tokens a look is given and which it must predict: the future, multi-block as in training, or a drawn region.

Numpy only, so the window can preview a rule. Every mask is a pure function of rule, layout and the look's number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import NotAble
from jepa_core.types import CheckpointInfo, MaskRule, MaskSet, TokenLayout, frozen

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


@dataclass(frozen=True, slots=True)
class PictureGenerator:
    """I-JEPA's multi-block masks (section 8.1): each block is predicted alone, from a context that shows none of them."""

    blocks: int = 4
    scale: tuple[float, float] = (0.15, 0.2)  # share of the picture
    aspect: tuple[float, float] = (0.75, 1.5)  # height / width, drawn together with the scale
    context_scale: tuple[float, float] = (0.85, 1.0)  # its aspect is 1
    min_keep: int = 10  # fewer context tokens are drawn again
    tries: int = 20  # then one block after another may lie in the context


PICTURE_GENERATORS = {"picture": PictureGenerator()}
TRAINED_WITH = {
    "clips": tuple(GENERATORS),
    "pictures": tuple(PICTURE_GENERATORS),
}  # CheckpointInfo.multiblock
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


def rule_for(rule: MaskRule, info: CheckpointInfo) -> MaskRule:
    """The rule a checkpoint follows when it is told `rule`.

    A picture has no future: blocks of it are hidden instead. What has no masked predictor, or tokens without places, is
    shown the past and asked for the future. And a checkpoint draws blocks as it was trained, so a generator it does not
    know gives way to its own first one.
    """
    if info.layout != "grid" or ("masked" not in info.abilities and "actions" in info.abilities):
        return replace(rule, kind="future")  # it predicts what comes next, and nothing else
    if rule.kind == "future" and "temporal" not in info.abilities:
        rule = replace(rule, kind="multiblock")
    generators = TRAINED_WITH.get(info.multiblock, tuple(GENERATORS))
    return rule if rule.generator in generators else replace(rule, generator=generators[0])


def restored(masks: MaskSet, layout: TokenLayout, info: CheckpointInfo) -> MaskSet:
    """Recorded masks as they were drawn, for recomputing: the single blocks, and by which generator.

    A record keeps each token's role and the seed. What it leaves out is drawn again from the seed and believed only
    where it gives the same roles; otherwise the masks stay as recorded.
    """
    if masks.seed < 0 or masks.generator or len(masks.targets) != 1 or layout.kind != "grid":
        return masks
    roles = roles_of(masks, layout)
    for generator in TRAINED_WITH.get(info.multiblock, ()):
        try:
            drawn = make_masks(MaskRule("multiblock", generator=generator, seed=masks.seed), layout, 0)
        except NotAble:
            continue
        if np.array_equal(roles_of(drawn, layout), roles):
            return drawn
    return masks


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


def future_steps(masks: MaskSet, shape: tuple[int, int, int]) -> int:
    """How many of the newest time steps these masks ask for, where they hide those whole and nothing else.

    Raises NotAble for any other masks: who predicts frame after frame has no answer to them.
    """
    steps, per_step = shape[0], shape[1] * shape[2]
    context, targets = masks.context, masks.targets
    first = len(context) // per_step
    wanted = np.arange(first * per_step, steps * per_step)
    is_future = (
        0 < first < steps
        and np.array_equal(context, np.arange(first * per_step))
        and len(targets) == 1
        and np.array_equal(targets[0], wanted)
    )
    if not is_future:
        raise NotAble("This system predicts whole frames to come, not hidden regions.", "Mask the future.")
    return steps - first


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
    if rule.generator in PICTURE_GENERATORS:
        return _picture_blocks(rule, layout, look)
    if rule.generator not in GENERATORS:
        known = " or ".join((*GENERATORS, *PICTURE_GENERATORS))
        raise NotAble(f"There is no mask generator {rule.generator!r}.", f"Use {known}.")
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
            return _mask_set(~is_target, is_target, rule.seed + look, rule.generator)
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


def _picture_blocks(rule: MaskRule, layout: TokenLayout, look: int) -> MaskSet:
    """Four target blocks of one size, which may overlap, and a large square context without them (section 8.1).

    Where `min_keep` is more than half of the context square (tiny grids, which no released model has), half counts.
    """
    steps, rows, columns = layout.shape
    if steps != 1 or min(rows, columns) < 2:
        raise NotAble(
            f"The {rule.generator} generator hides blocks of one picture; this clip has {steps} time steps of "
            f"{rows} x {columns} tokens.",
            "Use the short- or long-range generator.",
        )
    generator = PICTURE_GENERATORS[rule.generator]
    random = np.random.default_rng((rule.seed + look) % 2**63)
    size = picture_block_size(generator.scale, generator.aspect, rows, columns, random)
    context_size = picture_block_size(generator.context_scale, (1.0, 1.0), rows, columns, random)
    targets = [_placed(size, rows, columns, random) for _ in range(generator.blocks)]
    least = min(generator.min_keep, context_size[0] * context_size[1] // 2)
    is_context, tries = np.zeros((rows, columns), dtype=bool), 0
    while is_context.sum() <= least:
        is_context = _placed(context_size, rows, columns, random)
        for is_target in targets[: max(generator.blocks - tries // generator.tries, 0)]:
            is_context &= ~is_target
        tries += 1
    context, *blocks = (np.flatnonzero(tokens).astype(np.int32) for tokens in (is_context, *targets))
    return MaskSet(
        frozen(context), tuple(frozen(block) for block in blocks), rule.seed + look, rule.generator
    )


def picture_block_size(
    scale: tuple[float, float],
    aspect: tuple[float, float],
    rows: int,
    columns: int,
    random: np.random.Generator,
) -> tuple[int, int]:
    """(rows, columns) of a block: one number draws area and aspect alike, so large blocks are tall. Smaller than the grid."""
    drawn = random.random()
    area = int(rows * columns * (scale[0] + drawn * (scale[1] - scale[0])))
    ratio = aspect[0] + drawn * (aspect[1] - aspect[0])
    height, width = round(float(np.sqrt(area * ratio))), round(float(np.sqrt(area / ratio)))
    return max(1, min(height, rows - 1)), max(1, min(width, columns - 1))


def _placed(size: tuple[int, int], rows: int, columns: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """A block somewhere on the grid; the last possible row and column are never drawn, as in training."""
    top, left = (int(random.integers(0, n - k)) for n, k in zip((rows, columns), size, strict=True))
    tokens = np.zeros((rows, columns), dtype=bool)
    tokens[top : top + size[0], left : left + size[1]] = True
    return tokens


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


def _mask_set(
    is_context: NDArray[np.bool_], is_target: NDArray[np.bool_], seed: int, generator: str = ""
) -> MaskSet:
    context = np.flatnonzero(is_context).astype(np.int32)
    target = np.flatnonzero(is_target).astype(np.int32)
    return MaskSet(frozen(context), (frozen(target),), seed, generator)

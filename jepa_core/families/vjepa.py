"""V-JEPA (the first): masked prediction in clips, in latent space. Sin-cos positions in time, rows and columns.

Official files hold context encoder, target encoder and predictor. Each mask generator of its training has a mask
token of its own. Sections mean `specs/ijepa-vjepa-vjepa2.md`; the surprise procedure of section 8.5 is in
`jepa_core.surprise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from jepa_core import marks
from jepa_core.design import Choices, Design, WeightFile
from jepa_core.errors import ConfigDiffers
from jepa_core.latents import check_mask_token, mask_token_norms
from jepa_core.masked import MaskedModel, Settings
from jepa_core.masked_design import (
    Parts,
    count,
    empty_modules,
    make_design,
    read_parts,
    rebuilt_tables,
)
from jepa_core.masks import GENERATORS
from jepa_core.nn.positions import Grid, resample_2d, resample_3d, sincos_2d, sincos_3d
from jepa_core.nn.vit import TableRule
from jepa_core.transformer_facts import (
    RELEASED,
    Keys,
    Reading,
    TransformerFacts,
    arch,
    has_table,
    is_plain_transformer,
    names_of,
    patch_shape,
    system_named,
)
from jepa_core.types import CheckpointInfo, LoadReport
from jepa_core.votes import MOST_BLOCKS

NAME = "V-JEPA"
FOREIGN = ("mask_token", "action_encoder", "state_encoder", "img_mod_embed", "video_mod_embed", "norms_block")
KEYS = Keys(
    model_name=("model", "model_name"),
    patch=(("data", "patch_size"),),
    tubelet=(("data", "tubelet_size"),),
    predictor_width=(("model", "pred_embed_dim"),),
    predictor_depth=(("model", "pred_depth"),),
    size=(("data", "crop_size"),),
)
SOURCE_FPS = (
    30.0  # of the videos it was trained on, most of them; files state only that every 4th frame was taken
)
FRAME_STEP = 4  # data.sampling_rate of the released configs, section 7
TABLE_ROUNDING = 1e-4  # a stored table that differs from the formula by more was not made by it


class VJepa(MaskedModel):
    """One loaded V-JEPA checkpoint."""

    SYSTEM = NAME

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """What config or name say; else a wrapped or clip encoder with a position table, and not V-JEPA 2's."""
        names = names_of(keys)
        if not is_plain_transformer(names, FOREIGN):
            return False
        if system := system_named(config):
            return system == NAME
        shape, wrappers = patch_shape(config), config.get("checkpoint_wrappers")
        n_mask_tokens = sum(name.startswith("mask_tokens.") for name in names)
        is_vjepa2 = n_mask_tokens in (6, 10) or (len(shape) == 5 and shape[0] == 1408)
        is_wrapped = isinstance(wrappers, Sequence) and "backbone." in wrappers
        return has_table(names) and not is_vjepa2 and (n_mask_tokens > 0 or is_wrapped or len(shape) == 5)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return marks.masked(keys, config)

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        parts = read_parts(file)
        reading = _read(file, parts, choices)
        settings, mask_tokens = _settings(file, parts, reading, choices)
        by_name = system_named({**file.config.values, "checkpoint_file": file.name})
        known = (file.config.source or f"file name {file.name}") if by_name else "a clip encoder with a table"
        assumed = {"system": f"{NAME} ({known})", "other input sizes": OTHER_SIZES}
        return make_design(
            NAME,
            file,
            parts,
            reading,
            _modules(parts, reading),
            settings,
            sources=parts.tensors,
            assumed={**assumed, **mask_tokens},
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> VJepa:
        return cls(design.settings, modules, info, report)


# --- what files do not say ---------------------------------------------------------------------------------------

OTHER_SIZES = (
    "features: the stored table interpolated, as the official encoder does; looks: encoder and predictor as if built "
    "for that size (sin-cos computed anew, a shorter clip takes the first rows), as the official evaluation does"
)


def _read(file: WeightFile, parts: Parts, choices: Choices) -> Reading:
    """Every fact that the shapes do not give. Raises ConfigDiffers where config and tensors contradict each other."""
    facts = TransformerFacts(
        file, parts.shapes, parts.shapes_p, choices, keys=KEYS, published=RELEASED[NAME].get(file.name)
    )
    if "mask_token" in parts.predictor:
        raise ConfigDiffers(
            f"{file.name}: {NAME} numbers its mask tokens, this predictor has I-JEPA's single one.",
            "The config or the name belongs to another checkpoint. Choose the right one with --config.",
        )
    depth = facts.encoder_depth()
    size, frames, native, uniform_power = _clip(facts, parts)
    heads = facts.heads(depth)
    facts.check_mlp(depth)
    return Reading(
        size=size,
        frames=frames,
        fps=_frame_rate(facts, frames),
        depth=depth,
        heads=heads,
        native=native,
        predictor_native=native,
        predictor_depth=facts.predictor_depth(),
        predictor_heads=facts.predictor_heads_as_encoder(heads),
        mask_tokens=_count_mask_tokens(facts),
        has_rope=False,
        uniform_power=uniform_power,
        assumed=facts.assumed,
        refusal=facts.refusal,
    )


def _clip(facts: TransformerFacts, parts: Parts) -> tuple[int, int, Grid, bool]:
    """(pixels, frames, tokens, uniform_power): config, published name, or the table that the formula reproduces."""
    patch, tubelet = facts.shapes.patch, facts.shapes.tubelet
    size, frames = facts.find(*KEYS.size), facts.find(("data", "num_frames"))
    if facts.published:
        size = size or (facts.published.size, facts.by_file_name())
        frames = frames or (facts.published.frames, facts.by_file_name())
    found = facts.config.get("model", "uniform_power")
    uniform_power = True if found is None else bool(found)  # the default of its training code, section 3.1
    if size is None or (frames is None and tubelet):
        native, uniform_power = _table_split(facts, parts)
        why = "the grid whose sin-cos table the file holds"
        size, frames = (native[1] * patch, why), (native[0] * max(tubelet, 1), why)
    side = facts.whole(size[0], "side in pixels", size[1], least=patch)
    n_frames = (
        facts.whole(frames[0], "number of frames", frames[1], least=tubelet) if tubelet and frames else 1
    )
    native = (max(n_frames // max(tubelet, 1), 1), side // patch, side // patch)
    facts.assumed["input size"] = f"{side} px ({size[1]})"
    if tubelet and frames:
        facts.assumed["clip length"] = f"{n_frames} frames ({frames[1]})"
    stored = {"position table rows": facts.shapes.table_tokens}
    if facts.shapes_p is not None:
        stored["predictor position table rows"] = facts.shapes_p.table_tokens
    for what, rows in stored.items():
        if rows and rows != count(native):
            raise facts.contradiction(what, count(native), rows, size[1])
    return side, n_frames, native, uniform_power


def _table_split(facts: TransformerFacts, parts: Parts) -> tuple[Grid, bool]:
    """(tokens, uniform_power) by which the formula gives the stored table; unknown where none does (section 3)."""
    table = next((t["pos_embed"] for t in parts.tensors.values() if "pos_embed" in t), None)
    if table is not None and len(table.shape) == 3:
        stored = table.read().float()
        for grid, uniform in _splits(table.shape[1], facts.shapes.tubelet > 0):
            fresh = _fresh(grid, table.shape[2], uniform)
            if fresh.shape == stored.shape and (fresh - stored).abs().max() < TABLE_ROUNDING:
                return grid, uniform
    raise facts.unknown("clip length and input size", "data.num_frames, data.crop_size")


def _splits(tokens: int, is_clip: bool) -> Iterator[tuple[Grid, bool]]:
    """Every T'·g·g of that many tokens, largest picture first, with both ways to share the channels."""
    for g in range(math.isqrt(tokens), 0, -1):
        if tokens % (g * g) == 0 and (is_clip or g * g == tokens):
            yield (tokens // (g * g), g, g), True
            yield (tokens // (g * g), g, g), False


def _fresh(grid: Grid, width: int, uniform_power: bool) -> Tensor:
    if grid[0] == 1:
        return sincos_2d(grid[1], grid[2], width)
    return sincos_3d(grid, width, uniform_power=uniform_power)


def _frame_rate(facts: TransformerFacts, frames: int) -> float:
    """Frames per second the clips were taken at: stated in seconds of clip, or as a step through the source."""
    if not facts.shapes.tubelet:
        return 0.0
    duration = facts.find(("data", "clip_duration"))
    if duration is not None:
        rate = frames / facts.positive(duration[0], "duration in seconds", duration[1])
        facts.assumed["frame rate"] = f"{rate:g} per second ({duration[1]})"
        return rate
    step = facts.find(("data", "sampling_rate"))
    every = facts.whole(step[0], "frame step", step[1]) if step else FRAME_STEP
    origin = step[1] if step else "published default"
    rate = SOURCE_FPS / every
    facts.assumed["frame rate"] = (
        f"{rate:g} per second (one frame in {every}, {origin}; sources taken as 30 per second)"
    )
    return rate


def _count_mask_tokens(facts: TransformerFacts) -> int:
    """One for each mask generator of its training. Raises ConfigDiffers where it was trained without any."""
    if facts.shapes_p is None:
        return 0
    uses = facts.config.get("model", "use_mask_tokens")
    if uses is False and facts.shapes_p.mask_tokens:
        raise facts.contradiction("use_mask_tokens", False, f"{facts.shapes_p.mask_tokens} mask tokens")
    if uses is False:
        raise ConfigDiffers(
            f"{facts.file.name} was trained to predict from noised targets, without mask tokens "
            f"({facts.config.says('model', 'use_mask_tokens')}).",
            "That variant draws at random and is not supported.",
        )
    exact = facts.find(*arch("num_mask_tokens"))
    if exact is not None:
        return facts.whole(exact[0], "number of mask tokens", exact[1], most=MOST_BLOCKS)
    masks = facts.config.get("mask")
    if isinstance(masks, list) and masks:
        return min(len(masks), MOST_BLOCKS)
    if facts.published:
        return facts.published.mask_tokens
    return max(facts.shapes_p.mask_tokens, 1)


def _settings(
    file: WeightFile, parts: Parts, reading: Reading, choices: Choices
) -> tuple[Settings, dict[str, str]]:
    """Which mask token predicts what (section 5), and what the load report says of it."""
    n = reading.mask_tokens
    number, by_generator, said = 0, {}, {}
    if n:
        listed = ", ".join(f"{norm:.3g}" for norm in mask_token_norms(parts.predictor, n))
        if choices.mask_token is not None:
            check_mask_token(choices.mask_token, n)
            number = choices.mask_token
            rule = f"{number} of {n}: chosen explicitly"
        else:
            by_generator = {name: _place(file, name, place) % n for place, name in enumerate(GENERATORS)}
            each = ", ".join(f"{token} for {name}-range blocks" for name, token in by_generator.items())
            rule = f"{each}, 0 for the future or a region (as the published surprise procedure)"
        said = {"mask token": f"{rule} (norms {listed})"}
    settings = Settings(
        native=reading.native,
        frames_per_step=max(parts.shapes.tubelet, 1),
        mask_token=number,
        token_of_generator=by_generator,
        look_tables=rebuilt_tables(reading.native, parts.shapes.width, uniform_power=reading.uniform_power),
    )
    return settings, said


def _place(file: WeightFile, generator: str, published: int) -> int:
    """Where a generator stands in this run's list: by its number of blocks, else where the released configs have it."""
    masks: Any = file.config.get("mask")
    blocks = GENERATORS[generator].blocks
    for place, mask in enumerate(masks if isinstance(masks, list) else []):
        if isinstance(mask, Mapping) and mask.get("num_blocks") == blocks:
            return place
    return published


# --- building ----------------------------------------------------------------------------------------------------


def _modules(parts: Parts, reading: Reading) -> dict[str, nn.Module]:
    width = parts.shapes_p.width if parts.shapes_p else 0
    return empty_modules(
        parts,
        reading,
        encoder_tables=_encoder_tables(reading.native),
        predictor_tables=rebuilt_tables(reading.native, width, uniform_power=reading.uniform_power),
    )


def _encoder_tables(native: Grid) -> TableRule:
    """The stored table at the built size; interpolated for any other, shorter clips too (4.3)."""

    def fit(table: Tensor, grid: Grid) -> Tensor:
        if grid == native:
            return table
        if native[0] == 1 and grid[0] == 1:
            return resample_2d(table, native[1:], grid[1:])
        return resample_3d(table, native, grid)

    return fit

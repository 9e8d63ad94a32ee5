"""V-JEPA 2: masked prediction in latent space, 3-D rotary (or sin-cos) positions, clips or pictures.

Reads what a file says, builds encoder, target encoder and predictor, and answers JepaModel. Everything here follows
`specs/ijepa-vjepa-vjepa2.md`; numbers of sections below mean that document.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from jepa_core import marks
from jepa_core import vjepa2_facts as facts
from jepa_core.design import Choices, Design, Stored, WeightFile
from jepa_core.latents import choose_mask_token, normalise_target
from jepa_core.masked import MaskedModel, Settings
from jepa_core.masked_design import (
    Parts,
    count,
    empty_modules,
    make_design,
    read_parts,
    rebuilt_tables,
)
from jepa_core.nn.positions import Grid, resample_2d, resample_3d
from jepa_core.nn.vit import TableRule
from jepa_core.transformer_facts import (
    Reading,
    has_table,
    is_plain_transformer,
    names_of,
    patch_shape,
    system_named,
)
from jepa_core.types import CheckpointInfo, LoadReport

__all__ = ["NAME", "VJepa2", "encoder_tables", "normalise_target"]

NAME = "V-JEPA 2"
FOREIGN = (  # of other systems on the same blocks
    "mask_token",
    "action_encoder",
    "state_encoder",
    "img_mod_embed",
    "video_mod_embed",
    "norms_block",
)


class VJepa2(MaskedModel):
    """One loaded V-JEPA 2 checkpoint."""

    SYSTEM = NAME

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """A V-JEPA 2 encoder, alone or with its masked predictor. Section 3, family detection."""
        names = names_of(keys)
        if not is_plain_transformer(names, FOREIGN):
            return False
        if system := system_named(config):
            return system == NAME
        shape = patch_shape(config)
        if not has_table(names):
            return len(shape) != 4  # of the released systems only this one keeps no table
        n_mask_tokens = sum(name.startswith("mask_tokens.") for name in names)
        return n_mask_tokens in (6, 10) or (len(shape) == 5 and shape[0] == 1408)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return marks.masked(keys, config)

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        parts = read_parts(file)
        reading = facts.read(file, parts.shapes, parts.shapes_p, choices)
        sources, ignored = _sort_tables(parts.tensors, reading)
        n_tokens = parts.shapes_p.mask_tokens if parts.shapes_p else 0
        mask_token, assumed = choose_mask_token(parts.predictor, n_tokens, choices)
        settings = Settings(
            native=reading.native,
            frames_per_step=max(parts.shapes.tubelet, 1),
            mask_token=mask_token,
            square_split=choices.square_split,
        )
        return make_design(
            NAME,
            file,
            parts,
            reading,
            _modules(parts, reading),
            settings,
            sources=sources,
            ignored=tuple(ignored),
            assumed=assumed,
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> VJepa2:
        return cls(design.settings, modules, info, report)


def _modules(parts: Parts, reading: Reading) -> dict[str, nn.Module]:
    width = parts.shapes_p.width if parts.shapes_p else 0
    return empty_modules(
        parts,
        reading,
        encoder_tables=encoder_tables(reading.native),
        predictor_tables=rebuilt_tables(reading.predictor_native, width, uniform_power=reading.uniform_power),
    )


def encoder_tables(native: Grid) -> TableRule:
    """Stored table at the built size; its first steps for a shorter clip of that size; else interpolated (4.3)."""

    def fit(table: Tensor, grid: Grid) -> Tensor:
        if grid == native:
            return table
        if grid[1:] == native[1:] and grid[0] < native[0]:
            return table[:, : count(grid)]
        if native[0] == 1:
            return resample_2d(table, native[1:], grid[1:])
        return resample_3d(table, native, grid)

    return fit


def _sort_tables(
    parts: Mapping[str, Mapping[str, Stored]], reading: Reading
) -> tuple[dict[str, dict[str, Stored]], list[str]]:
    """Leave out position tables that a rotary model does not use; they are listed as ignored (section 2)."""
    stray = {"pos_embed", "predictor_pos_embed"} if reading.has_rope else set()
    sources = {part: {n: t for n, t in tensors.items() if n not in stray} for part, tensors in parts.items()}
    ignored = [f"{part}/{name}" for part, tensors in parts.items() for name in tensors if name in stray]
    return sources, ignored

"""I-JEPA: blocks of one picture predicted from the rest of it, in latent space. Sin-cos positions, pictures only.

Official files hold context encoder, target encoder and predictor; Hugging Face folders and timm files the context
encoder alone. Shown a video, every look is at the newest frame. Sections mean `specs/ijepa-vjepa-vjepa2.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from jepa_core import marks
from jepa_core.design import Choices, Design, WeightFile
from jepa_core.errors import ConfigDiffers, NotAble
from jepa_core.families.base import Motion, Prediction
from jepa_core.latents import check_mask_token, normalise_target, token_numbers
from jepa_core.masked import MaskedModel, Settings
from jepa_core.masked_design import Parts, empty_modules, make_design, read_parts
from jepa_core.nn.attention import gather_tokens
from jepa_core.nn.positions import Grid, resample_2d
from jepa_core.nn.vit import TableRule
from jepa_core.transformer_facts import (
    RELEASED,
    Keys,
    Reading,
    TransformerFacts,
    has_table,
    is_plain_transformer,
    names_of,
    patch_shape,
    system_named,
)
from jepa_core.types import CheckpointInfo, LoadReport, MaskSet

NAME = "I-JEPA"
FOREIGN = ("action_encoder", "state_encoder", "img_mod_embed", "video_mod_embed", "norms_block")
KEYS = Keys(
    model_name=("meta", "model_name"),
    patch=(("patch_size",), ("mask", "patch_size")),
    predictor_width=(("meta", "pred_emb_dim"),),
    predictor_depth=(("meta", "pred_depth"),),
    hidden=(("intermediate_size",),),
    size=(("image_size",), ("data", "crop_size")),
)


class IJepa(MaskedModel):
    """One loaded I-JEPA checkpoint."""

    SYSTEM = NAME

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """Its predictor's single mask token; else what config or name say; else a picture encoder with a table."""
        names = names_of(keys)
        if "mask_token" in names and has_table(names):
            return not {name.split(".")[0] for name in names} & set(FOREIGN)
        if not is_plain_transformer(names, FOREIGN):
            return False
        if system := system_named(config):
            return system == NAME
        wrappers = config.get("checkpoint_wrappers")
        is_wrapped = isinstance(wrappers, Sequence) and "backbone." in wrappers  # the clip families' own
        has_others = "cls_token" in names or any(name.startswith("mask_tokens.") for name in names)
        return has_table(names) and len(patch_shape(config)) == 4 and not (is_wrapped or has_others)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return marks.masked(keys, config)

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        parts = read_parts(file)
        reading = _read(file, parts, choices)
        if choices.mask_token is not None:
            check_mask_token(choices.mask_token, 1)
        can_predict = parts.shapes_p is not None
        assumed = {"system": f"{NAME} ({_how_known(file, parts)})", "other input sizes": OTHER_SIZES}
        if can_predict:
            assumed["mask token"] = "the only one of this system"
        return make_design(
            NAME,
            file,
            parts,
            reading,
            _modules(parts, reading),
            Settings(native=reading.native, frames_per_step=1),
            sources=parts.tensors,
            assumed=assumed,
            notes=(ONE_PICTURE, *((BLOCKS,) if can_predict else ())),
            multiblock="pictures",
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> IJepa:
        return cls(design.settings, modules, info, report)

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """As MaskedModel.predict; target blocks of one size go through the predictor together."""
        if len({len(target) for target in masks.targets}) != 1:
            return super().predict(clip, masks)
        picture = self._fitting(clip)
        B, device = len(picture), picture.device
        keep = token_numbers(masks.context, device).expand(B, -1)
        blocks = [token_numbers(target, device).expand(B, -1) for target in masks.targets]
        context, predicted, wanted = self.predict_blocks(picture, [keep], blocks)
        P = len(blocks)
        return Prediction(_by_picture(predicted, P), _by_picture(wanted, P), context)

    def predict_blocks(
        self, pictures: Tensor, contexts: Sequence[Tensor], blocks: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Every target block from every context, as a training step does it, in the official order of rows (section 5).

        pictures  (B, 3, H, W) normalised
        contexts  n_enc masks, each (B, Kc); blocks: n_pred masks, each (B, Kt)
        returns   context latents (n_enc·B, Kc, D), row e·B + b; predicted and target latents (n_pred·n_enc·B, Kt, D),
                  row (p·n_enc + e)·B + b. Raises NotAble off the built size, or without a predictor.
        """
        pictures = self._fitting(pictures)
        patches, grid = self.context_encoder.patch_embed.patches(pictures)
        n_enc, n_pred = len(contexts), len(blocks)
        context = torch.cat([self.context_encoder.encode_patches(patches, grid, keep) for keep in contexts])
        keep = torch.cat(list(contexts))  # (n_enc·B, Kc)
        ask = torch.cat([block.repeat(n_enc, 1) for block in blocks])  # (n_pred·n_enc·B, Kt)
        predicted = self.predict_tokens(context.repeat(n_pred, 1, 1), keep.repeat(n_pred, 1), ask, grid)
        target = normalise_target(self.target_encoder.encode_patches(patches, grid))  # (B, N, D)
        return context, predicted, gather_tokens(target.repeat(n_pred * n_enc, 1, 1), ask)


def _by_picture(rows: Tensor, n_blocks: int) -> Tensor:
    """(P·B, K, D), row p·B + b → (B, P·K, D), blocks one after another."""
    return rows.unflatten(0, (n_blocks, -1)).transpose(0, 1).flatten(1, 2)


# --- what files do not say ---------------------------------------------------------------------------------------

ONE_PICTURE = "sees single pictures: of a video, each look is at the newest frame"
BLOCKS = "has no future to predict: blocks of the picture are hidden instead, as in training"
OTHER_SIZES = (
    "features by bicubic interpolation of the stored table, as Hugging Face does (extrapolated); "
    "predictions at the built size only"
)


def _read(file: WeightFile, parts: Parts, choices: Choices) -> Reading:
    """Every fact that the shapes do not give. Raises ConfigDiffers where config and tensors contradict each other."""
    if parts.shapes.tubelet:
        raise ConfigDiffers(
            f"{file.name}: {NAME} embeds pictures, these tensors embed clips.",
            "The config or the name belongs to another checkpoint. Choose the right one with --config.",
        )
    facts = TransformerFacts(
        file, parts.shapes, parts.shapes_p, choices, keys=KEYS, published=RELEASED[NAME].get(file.name)
    )
    depth = facts.encoder_depth()
    size = _size(facts)
    side = size // parts.shapes.patch
    heads = facts.heads(depth)
    facts.check_mlp(depth)
    facts.check_activation()
    return Reading(
        size=size,
        frames=1,
        fps=0.0,
        depth=depth,
        heads=heads,
        native=(1, side, side),
        predictor_native=(1, side, side),
        predictor_depth=facts.predictor_depth(),
        predictor_heads=facts.predictor_heads_as_encoder(heads),
        mask_tokens=1,
        has_rope=False,
        uniform_power=False,
        eps=facts.layer_norm_eps(),
        assumed=facts.assumed,
        refusal=facts.refusal,
    )


def _size(facts: TransformerFacts) -> int:
    """Side of the input in pixels: config, published name, or the side of the stored table, which is square."""
    patch, rows = facts.shapes.patch, facts.shapes.table_tokens
    found = facts.find(*KEYS.size)
    if found is None and facts.published:
        found = facts.published.size, facts.by_file_name()
    if found is None and rows and math.isqrt(rows) ** 2 == rows:
        found = math.isqrt(rows) * patch, f"position table of {math.isqrt(rows)} x {math.isqrt(rows)} tokens"
    if found is None:
        raise facts.unknown("input size", "data.crop_size")
    size = facts.whole(found[0], "side in pixels", found[1], least=patch)
    side = size // patch
    facts.assumed["input size"] = f"{size} px ({found[1]})"
    stored = {"position table rows": rows}
    if facts.shapes_p is not None:
        stored["predictor position table rows"] = facts.shapes_p.table_tokens
    for what, there in stored.items():
        if there and there != side * side:
            raise facts.contradiction(what, side * side, there, found[1])
    return size


def _how_known(file: WeightFile, parts: Parts) -> str:
    if "mask_token" in parts.predictor:
        return "its predictor's single mask token"
    if system_named({**file.config.values, "checkpoint_file": file.name}):
        return file.config.source or f"file name {file.name}"
    return "a picture encoder with a position table and no class token"


# --- building ----------------------------------------------------------------------------------------------------


def _modules(parts: Parts, reading: Reading) -> dict[str, nn.Module]:
    return empty_modules(
        parts,
        reading,
        encoder_tables=_encoder_tables(reading.native),
        predictor_tables=_predictor_tables(reading),
        has_single_mask_token=True,
    )


def _encoder_tables(native: Grid) -> TableRule:
    """The stored table at the built size, else bicubic to the true rows and columns (4.3).

    The official code returns the table unchanged for any shape with as many tokens, which misplaces them, and fails
    for every other; this is Hugging Face's rule.
    """

    def fit(table: Tensor, grid: Grid) -> Tensor:
        return table if grid == native else resample_2d(table, native[1:], grid[1:])

    return fit


def _predictor_tables(reading: Reading) -> TableRule:
    """The predictor's table is never interpolated (4.3)."""
    side = reading.native[1]

    def fit(table: Tensor, grid: Grid) -> Tensor:
        if grid != reading.native:
            raise NotAble(
                f"{NAME} predicts only pictures of {side} x {side} tokens; this one has {grid[1]} x {grid[2]}.",
                f"Give it {reading.size} x {reading.size} pixels.",
            )
        return table

    return fit

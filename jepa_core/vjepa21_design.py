"""From what is known of a V-JEPA 2.1 file to empty modules and its words on screen.

Reads no weight. The family's own file holds what the model does; sections mean `specs/vjepa2-ac-vjepa2.1.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from jepa_core import vjepa21_facts as facts
from jepa_core.design import LookSize, Stored, WeightFile
from jepa_core.nn.leveled import (
    N_LEVELS,
    LeveledPredictor,
    LeveledPredictorSpec,
    LeveledTransformer,
    LeveledVitSpec,
)
from jepa_core.nn.positions import Grid
from jepa_core.shapes import EncoderShapes, PredictorShapes

# whose features and targets: the first that is there (C)
TARGETS = ("ema_encoder", "target_encoder", "encoder")
CONTEXTS = ("encoder", "ema_encoder", "target_encoder")
DISTILLED = (
    "no target in this file: it was distilled from a larger teacher, whose latents its predictor speaks of"
)
TUBELET = 2  # of every published 2.1 encoder, where a damaged file cannot say


@dataclass(frozen=True, slots=True)
class Settings:
    """What the modules themselves do not hold."""

    native: Grid  # tokens of the clip the checkpoint was built for
    mask_token: int
    square_split: bool
    levels: int  # that its predictor reads and writes; 1 = the last alone
    has_target: bool  # does the predictor speak of latents this file can make


def with_kernel(parts: list[Mapping[str, Stored]]) -> list[Mapping[str, Stored]]:
    """Where no part has a whole clip kernel, the picture tokenizer's tells the patch, so that the lost one is named."""
    name, other = "patch_embed.proj.weight", "patch_embed_img.proj.weight"
    if any(name in part and _is_kernel(part[name].shape) for part in parts):
        return parts
    for part in parts:
        if other in part and _is_kernel(part[other].shape):
            D, C, _, p, _ = part[other].shape
            return [*parts, {name: replace(part[other], shape=(D, C, TUBELET, p, p))}]
    return parts


def _is_kernel(shape: tuple[int, ...]) -> bool:
    return len(shape) == 5 and shape[-1] == shape[-2] and shape[1] == 3


def empty_modules(
    shapes: EncoderShapes, shapes_p: PredictorShapes | None, reading: facts.Reading, encoders: list[str]
) -> dict[str, nn.Module]:
    """Every part that the file has, on the meta device."""
    vit = LeveledVitSpec(
        width=shapes.width,
        depth=reading.depth,
        heads=reading.heads,
        hidden=shapes.hidden,
        patch=shapes.patch,
        tubelet=shapes.tubelet,
        is_gated=shapes.is_gated,
        has_modality=reading.has_modality,
        has_pictures=reading.has_pictures,
        scales_positions=reading.scales_positions,
    )
    modules: dict[str, nn.Module] = {}
    with torch.device("meta"):
        for part in encoders:
            modules[part] = LeveledTransformer(vit)
        if shapes_p is not None:
            predictor = LeveledPredictorSpec(
                encoder_width=shapes.width,
                width=shapes_p.width,
                depth=reading.predictor_depth,
                heads=reading.predictor_heads,
                hidden=shapes_p.hidden,
                mask_tokens=reading.mask_tokens,
                levels=reading.levels,
                output_width=reading.output_width,
                is_gated=shapes_p.is_gated,
                has_modality=reading.has_modality,
                has_context_head=reading.has_context_head,
                scales_positions=reading.predictor_scales,
            )
            modules["predictor"] = LeveledPredictor(predictor)
    return modules


def variant(shapes: EncoderShapes, reading: facts.Reading) -> str:
    """ "ViT-g/16, 384 px, 64 frames" """
    name = f"ViT-{reading.released.letter}" if reading.released else f"ViT {shapes.width}x{reading.depth}"
    return f"{name}/{shapes.patch}, {reading.size} px, {reading.frames} frames"


def absent(file: WeightFile, has_target: bool) -> tuple[str, ...]:
    """Whole parts that are absent by design. A distilled file holds neither a student nor its teacher."""
    has_predictor = bool(file.parts.get("predictor"))
    absent = [] if file.parts.get("encoder") else ["encoder"]
    if not (file.parts.get("target_encoder") or file.parts.get("ema_encoder")):
        absent.append("target_encoder")
    if not has_predictor:
        absent.append("predictor")
    elif not has_target:
        absent.append("teacher")
    return tuple(absent)


def encoder_rule(encoders: Mapping[str, object]) -> dict[str, str]:
    target = next(part for part in TARGETS if part in encoders)
    context = next(part for part in CONTEXTS if part in encoders)
    return {"features and targets": f"the part {target}", "context": f"the part {context}"}


def notes(file: WeightFile, reading: facts.Reading, has_target: bool) -> tuple[str, ...]:
    if not file.parts.get("predictor"):
        return ("no predictor in this file: nothing can be predicted",)
    notes = [] if has_target else [DISTILLED]
    if has_target and not file.parts.get("encoder"):
        notes.append("no context encoder in this file: its EMA target encoder gives the context")
    if has_target and not (file.parts.get("target_encoder") or file.parts.get("ema_encoder")):
        notes.append("no EMA target in this file: its context encoder gives the targets")
    if has_target and reading.levels == N_LEVELS:
        notes.append("error is the mean over its four levels of features")
    return tuple(notes)


def look_size(
    shapes: EncoderShapes, shapes_p: PredictorShapes | None, settings: Settings
) -> Callable[[int, int], LookSize]:
    def of(frames: int, size: int) -> LookSize:
        side = size // shapes.patch
        steps = max(frames // shapes.tubelet, 1)
        return LookSize(
            tokens=steps * side * side,
            width=shapes.width,
            hidden=shapes.hidden,
            input_values=3 * max(frames, 1) * size * size,
            steps=steps,
            latent_width=shapes.width * (settings.levels if settings.has_target else N_LEVELS),
            levels=N_LEVELS,
            predictor_width=shapes_p.width if shapes_p and settings.has_target else 0,
        )

    return of

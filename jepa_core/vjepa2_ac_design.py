"""From what is known of a V-JEPA 2-AC file to empty modules and its words on screen.

Compares the encoder's twins; reads no other weight. The family's own file holds what the model does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from jepa_core import vjepa2_ac_facts as facts
from jepa_core.design import LookSize, Stored, WeightFile
from jepa_core.families.vjepa2 import encoder_tables
from jepa_core.nn.ac_predictor import AcPredictor, AcPredictorSpec
from jepa_core.nn.vit import VisionTransformer, VitSpec
from jepa_core.shapes import EncoderShapes, PredictorShapes
from jepa_core.transformer_facts import LETTERS, MODELS_BY_SIZE


def no_square(reading: facts.Reading) -> str:
    height, width = reading.rows * reading.patch, reading.columns * reading.patch
    return f"It was built for pictures of {height} x {width} px, and this console shows a model squares only."


def empty_modules(
    shapes: EncoderShapes, shapes_p: PredictorShapes, reading: facts.Reading
) -> dict[str, nn.Module]:
    """Encoder and predictor on the meta device."""
    rows = reading.table[0] * reading.table[1] * reading.table[2]
    vit = VitSpec(
        width=shapes.width,
        depth=reading.depth,
        heads=reading.heads,
        hidden=shapes.hidden,
        patch=shapes.patch,
        tubelet=shapes.tubelet,
        is_gated=shapes.is_gated,
        has_rope=reading.encoder_has_rope,
        table_tokens=0 if reading.encoder_has_rope else rows,
    )
    predictor = AcPredictorSpec(
        encoder_width=shapes.width,
        width=shapes_p.width,
        depth=reading.predictor_depth,
        heads=reading.predictor_heads,
        hidden=shapes_p.hidden,
        action_size=reading.action_size,
        is_gated=shapes_p.is_gated,
        has_rope=reading.predictor_has_rope,
        uses_camera=reading.uses_camera,
    )
    with torch.device("meta"):
        return {
            "encoder": VisionTransformer(vit, encoder_tables(reading.table)),
            "predictor": AcPredictor(predictor),
        }


def sort(
    file: WeightFile, encoders: Mapping[str, Mapping[str, Stored]], own: str, *, has_rope: bool
) -> tuple[dict[str, Mapping[str, Stored]], list[str]]:
    """Which tensor goes where. A rotary encoder's stray position table is listed as ignored, and so is the twin."""
    stray = {"pos_embed"} if has_rope else set()
    used = {part: {n: t for n, t in tensors.items() if n not in stray} for part, tensors in encoders.items()}
    ignored = [f"{part}/{name}" for part, tensors in encoders.items() for name in tensors if name in stray]
    sources: dict[str, Mapping[str, Stored]] = {"encoder": used[own], "predictor": file.parts["predictor"]}
    if own == "encoder" and "target_encoder" in used:
        sources["target_encoder"] = used["target_encoder"]
        ignored.append("target_encoder (the same frozen weights again)")
    elif own == "target_encoder":
        sources["target_encoder"] = used[own]
    return sources, ignored


def encoder_rule(encoders: Mapping[str, Mapping[str, Stored]], own: str) -> str:
    if own == "target_encoder":
        return "the part target_encoder: frozen in training, so equal to the encoder that this file lacks"
    return "the file's own, for context and targets alike: it was frozen in training"


def differing(encoders: Mapping[str, Mapping[str, Stored]]) -> tuple[str, ...]:
    """The twins must be equal; where their norms (small, and moved by any training) are not, a person is told."""
    if len(encoders) < 2:
        return ()
    first, second = encoders.values()
    for name in first.keys() & second.keys():
        if "norm" not in name or first[name].shape != second[name].shape:
            continue
        if not torch.equal(first[name].read(), second[name].read()):
            return (f"encoder and target encoder differ in this file ({name}); the encoder is used",)
    return ()


def variant(shapes: EncoderShapes, reading: facts.Reading) -> str:
    """ "ViT-g/16, 256 px, 8 frames" """
    known = (shapes.width, reading.depth) in MODELS_BY_SIZE and shapes.width in LETTERS
    size = f"ViT-{LETTERS[shapes.width]}" if known else f"ViT {shapes.width}x{reading.depth}"
    height, width = reading.rows * reading.patch, reading.columns * reading.patch
    pixels = f"{height} px" if height == width else f"{height} x {width} px"
    return f"{size}/{shapes.patch}, {pixels}, {reading.frames} frames"


def look_size(shapes: EncoderShapes, reading: facts.Reading, frames: int) -> LookSize:
    tokens = frames * reading.rows * reading.columns
    values = 3 * shapes.tubelet * tokens * shapes.patch**2
    return LookSize(tokens, shapes.width, shapes.hidden, values, steps=frames)

"""What a V-JEPA 2 file does not say about itself: the keys, tables and rules of this family.

What all masked transformers are asked, and in which order, is in `transformer_facts`. Section numbers mean
`specs/ijepa-vjepa-vjepa2.md`.
"""

from __future__ import annotations

import math
from typing import Any

from jepa_core.design import Choices, WeightFile
from jepa_core.errors import ConfigDiffers
from jepa_core.shapes import EncoderShapes, PredictorShapes
from jepa_core.transformer_facts import HEADS_BY_SIZE as COMMON_HEADS
from jepa_core.transformer_facts import (
    LETTERS,
    MODELS,
    MODELS_BY_SIZE,
    RELEASED,
    Keys,
    Reading,
    TransformerFacts,
    arch,
    variant,
)
from jepa_core.votes import MOST_BLOCKS

__all__ = [
    "HEADS_BY_SIZE",
    "LETTERS",
    "MODELS",
    "MODELS_BY_SIZE",
    "Reading",
    "read",
    "variant",
]

HEADS_BY_SIZE = COMMON_HEADS | {(1408, 40): 22}  # V-JEPA 2's giant is the xformers one
PRETRAIN_FPS = 4.0  # frames per second of V-JEPA 2 pre-training, section 7
KEYS = Keys(
    model_name=("model", "model_name"),
    patch=(("patch_size",), ("data", "patch_size")),
    tubelet=(("tubelet_size",), ("data", "tubelet_size")),
    predictor_width=(("pred_hidden_size",), ("model", "pred_embed_dim")),
    predictor_depth=(("pred_num_hidden_layers",), ("model", "pred_depth")),
    predictor_heads=(("pred_num_attention_heads",), ("model", "pred_num_heads")),
)


def read(
    file: WeightFile, shapes: EncoderShapes, shapes_p: PredictorShapes | None, choices: Choices
) -> Reading:
    """Collect every fact with its source. Raises ConfigDiffers where config and tensors contradict each other."""
    facts = TransformerFacts(
        file,
        shapes,
        shapes_p,
        choices,
        keys=KEYS,
        published=RELEASED["V-JEPA 2"].get(file.name),
        heads_by_size=HEADS_BY_SIZE,
    )
    is_gated = facts.config.get("model", "use_silu")
    if is_gated is not None and bool(is_gated) != shapes.is_gated:
        raise facts.contradiction("use_silu", bool(is_gated), shapes.is_gated, "model.use_silu")
    depth = facts.encoder_depth()
    has_rope = _rope(facts)
    size, frames, encoder_frames = _input_size(facts)
    tubelet = max(shapes.tubelet, 1)
    side = size // shapes.patch
    native = (max(encoder_frames // tubelet, 1), side, side)
    predictor_native = (max(frames // tubelet, 1), side, side)
    if not has_rope:
        facts.assumed["other input sizes"] = (
            "the encoder's table is interpolated, the predictor's computed anew; shorter clips take the first rows"
        )
        facts.check("position table rows", math.prod(native), shapes.table_tokens, "data")
        if shapes_p is not None:
            facts.check(
                "predictor position table rows", math.prod(predictor_native), shapes_p.table_tokens, "data"
            )
    heads = facts.heads(depth)
    facts.check_mlp(depth)
    facts.check_activation()
    return Reading(
        size=size,
        frames=encoder_frames,
        fps=facts.frame_rate(PRETRAIN_FPS, "V-JEPA 2 pre-training"),
        depth=depth,
        heads=heads,
        native=native,
        predictor_native=predictor_native,
        predictor_depth=facts.predictor_depth(),
        predictor_heads=_predictor_heads(facts, heads),
        mask_tokens=_mask_tokens(facts),
        has_rope=has_rope,
        uniform_power=bool(file.config.get("model", "uniform_power")),
        eps=facts.layer_norm_eps(),
        assumed=facts.assumed,
        refusal=facts.refusal,
    )


def _predictor_heads(facts: TransformerFacts, encoder_heads: int) -> int:
    if facts.shapes_p is None:
        return 0
    has_yaml = facts.config.get("model") is not None
    if facts.choices.predictor_heads is not None:
        found: tuple[Any, str] | None = (facts.choices.predictor_heads, "chosen explicitly")
    else:
        found = facts.find(*KEYS.predictor_heads)
    if found is None and has_yaml:
        found = encoder_heads, f"{facts.config.source} gives no model.pred_num_heads: as the encoder"
    if found is None and facts.published:
        found = facts.published.predictor_heads, facts.by_file_name()
    if found is None and facts.shapes_p.width == 384:
        found = 12, "table of released sizes, by predictor width"
    if found is None:
        raise facts.unknown("number of predictor heads", "model.pred_num_heads")
    return facts.dividing(found, facts.shapes_p.width, "predictor heads")


def _mask_tokens(facts: TransformerFacts) -> int:
    """At least as many as the config counts: released files hold more than their published YAML implies."""
    if facts.shapes_p is None:
        return 0
    exact = facts.find(("pred_num_mask_tokens",), *arch("num_mask_tokens"))
    if exact is not None:
        return facts.whole(exact[0], "number of mask tokens", exact[1], most=MOST_BLOCKS)
    if facts.published:
        return facts.published.mask_tokens
    masks, fpcs = facts.config.get("mask"), facts.config.get("data", "dataset_fpcs")
    counted = len(masks) * len(fpcs) if isinstance(masks, list) and isinstance(fpcs, list) else 1
    return max(facts.shapes_p.mask_tokens, min(counted, MOST_BLOCKS))


def _rope(facts: TransformerFacts) -> bool:
    """Rotary or table. Tables in a rotary checkpoint are stray and unused."""
    has_table = bool(facts.shapes.table_tokens)
    configured = facts.config.get("model", "use_rope")
    name = facts.config.get("model", "model_name")
    if isinstance(name, str) and name.endswith("_rope"):
        configured = True
    if configured is not None:
        if not configured and not has_table:
            raise facts.contradiction("use_rope false", "", "no pos_embed, so rotary", "model.use_rope")
        facts.assumed["positions"] = (
            f"{'rotary' if configured else 'table'} ({facts.config.says('model', 'use_rope')})"
        )
        return bool(configured)
    if not has_table:
        facts.assumed["positions"] = "rotary (the file holds no position table)"
        return True
    if facts.config.get("data", "dataset_fpcs") is not None:
        facts.assumed["positions"] = f"table ({facts.config.source} gives no model.use_rope: false)"
        return False
    facts.assumed["positions"] = "rotary (all released V-JEPA 2 files are; their tables are stray)"
    return True


def _input_size(facts: TransformerFacts) -> tuple[int, int, int]:
    """(pixels, frames of the predictor's clip, frames of the encoder's clip)"""
    size = facts.find(("crop_size",), ("data", "crop_size"))
    if size is None and facts.published:
        size = facts.published.size, facts.by_file_name()
    if size is None:
        size = (384 if "384" in facts.file.name else 256), "published default; the file does not say"
    frames = facts.find(("frames_per_clip",), ("data", "dataset_fpcs"))
    if frames is not None and isinstance(frames[0], list) and frames[0]:
        frames = max(frames[0]), frames[1]
    if frames is None:
        count = 1 if not facts.shapes.tubelet else 64
        frames = count, "published default; the file does not say"
    side, count = (
        facts.whole(size[0], "side in pixels", size[1]),
        facts.whole(frames[0], "number of frames", frames[1]),
    )
    own = facts.find(*arch("encoder_num_frames"))
    encoder_frames = facts.whole(own[0], "number of frames", own[1]) if own else count
    if not facts.shapes.tubelet:
        count = encoder_frames = 1
    if side < facts.shapes.patch or encoder_frames < facts.shapes.tubelet:
        raise ConfigDiffers(
            f"{facts.config.source}: {side} px and {encoder_frames} frames hold not one token.",
            "Mend the config.",
        )
    facts.assumed["input size"] = f"{side} px ({size[1]})"
    facts.assumed["clip length"] = f"{encoder_frames} frames ({own[1] if own else frames[1]})"
    return side, count, encoder_frames

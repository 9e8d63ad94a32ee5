"""Which checkpoint families exist: name → "module:Class", as strings, so that importing this imports nothing heavy.

The order is the order of asking in `checkpoint`. `DRILL_FAMILIES` are for tests and drills: they load by name, are
never recognised in a file and never offered to a user.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

FAMILIES: dict[str, str] = {
    "ijepa": "jepa_core.families.ijepa:IJepa",
    "vjepa": "jepa_core.families.vjepa:VJepa",
    "vjepa2": "jepa_core.families.vjepa2:VJepa2",
    "vjepa2_ac": "jepa_core.families.vjepa2_ac:VJepa2Ac",
    "vjepa21": "jepa_core.families.vjepa21:VJepa21",
    "lewm": "jepa_core.families.lewm:LeWorldModel",
    "cjepa": "jepa_core.families.cjepa:CJepa",
    "ebjepa": "jepa_core.families.ebjepa:EbJepa",
    "jepawm": "jepa_core.families.jepawm:JepaWm",
}
EXTRAS = frozenset({"ebjepa", "jepawm"})  # load too, beside the systems this console is for

DRILL_FAMILIES: dict[str, str] = {
    "toy": "jepa_core.families.toy:ToyModel",
}


def family(name: str) -> Any:
    """The class behind a family's name. Imports torch; call it in the engine's process only."""
    target = FAMILIES.get(name) or DRILL_FAMILIES[name]
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def systems() -> tuple[str, ...]:
    """Exact names of the systems this console is for, each from its family's file. Imports torch, as `family` does."""
    return tuple(_exact_name(name) for name in FAMILIES if name not in EXTRAS)


def extras() -> tuple[str, ...]:
    """Exact names of what loads beside them."""
    return tuple(_exact_name(name) for name in FAMILIES if name in EXTRAS)


def _exact_name(name: str) -> str:
    return str(importlib.import_module(FAMILIES[name].partition(":")[0]).NAME)


_MARKS = (  # (exact system name, is it there?): first match wins; tensor names as checkpoint sorts them
    ("JEPA-WM", ("predictor/predictor_blocks.0.adaLN_modulation.1.weight",)),
    ("DINO-WM", ("predictor/pos_embedding", "predictor/transformer.layers.0.0.to_qkv.weight")),
    ("V-JEPA 2-AC", ("predictor/action_encoder.weight", "predictor/predictor_embed.weight")),
    ("V-JEPA 2.1", ("encoder/norms_block.0.weight",)),
    ("V-JEPA 2.1", ("ema_encoder/norms_block.0.weight",)),
    ("I-JEPA", ("predictor/mask_token",)),
    ("I-JEPA", ("/embeddings.position_embeddings",)),
    ("LeWorldModel", ("/encoder.embeddings.cls_token", "/predictor.pos_embedding")),
    ("C-JEPA", ("/mask_token", "/id_projector.weight")),
    ("C-JEPA", ("/model.predictor.id_projector.weight",)),
    ("C-JEPA (its VideoSAUR encoder)", ("/processor.module.corrector.to_k.weight", "/initializer.log_std")),
    ("EB-JEPA", ("/encoder.stack_blocks.0.initial_conv.weight",)),
    ("V-JEPA", ("encoder/pos_embed", "predictor/mask_tokens.0")),
    ("a JEPA encoder with a position table", ("encoder/pos_embed", "encoder/patch_embed.proj.weight")),
)


def looks_like(keys: frozenset[str], config: Mapping[str, object]) -> str:
    """Which system a file that no family recognised seems to belong to; empty where nothing can be said."""
    for name, marks in _MARKS:
        if all(mark in keys for mark in marks):
            return name
    model_type = config.get("model_type")
    return f"a Hugging Face '{model_type}' model" if isinstance(model_type, str) else ""

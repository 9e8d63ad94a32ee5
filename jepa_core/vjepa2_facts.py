"""What a V-JEPA 2 file does not say about itself, and where each such fact is taken from instead.

The order is the spec's (section 3): an explicit choice, the config beside the file, the file's name, the table of
released sizes. Every fact taken so is written down with its source; a config that contradicts the tensors is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jepa_core.asking import Sources
from jepa_core.design import Choices, WeightFile
from jepa_core.errors import ConfigDiffers
from jepa_core.nn.positions import Grid
from jepa_core.shapes import EncoderShapes, PredictorShapes, depth_of

# model_name → (width, depth, heads, mlp ratio). The two gigantic factories of the official code misspell the ratio,
# so theirs is the default 4, not 64/13.
MODELS: dict[str, tuple[int, int, int, float]] = {
    "vit_tiny": (192, 12, 3, 4.0),
    "vit_small": (384, 12, 6, 4.0),
    "vit_base": (768, 12, 12, 4.0),
    "vit_large": (1024, 24, 16, 4.0),
    "vit_huge": (1280, 32, 16, 4.0),
    "vit_giant": (1408, 40, 16, 48 / 11),
    "vit_giant_xformers": (1408, 40, 22, 48 / 11),
    "vit_gigantic": (1664, 48, 16, 4.0),
    "vit_gigantic_xformers": (1664, 48, 26, 4.0),
}
# (width, depth) → heads where nothing else says; V-JEPA 2's giant is the xformers one. The gigantic is ambiguous: ask.
HEADS_BY_SIZE = {(192, 12): 3, (384, 12): 6, (768, 12): 12, (1024, 24): 16, (1280, 32): 16, (1408, 40): 22}
LETTERS = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1408: "g", 1664: "G"}


@dataclass(frozen=True, slots=True)
class Released:
    """One published checkpoint."""

    model_name: str
    size: int
    frames: int = 64
    predictor_width: int = 384
    predictor_depth: int = 12
    predictor_heads: int = 12
    mask_tokens: int = 10


RELEASED = {
    "vitl.pt": Released("vit_large", 256),
    "vith.pt": Released("vit_huge", 256),
    "vitg.pt": Released("vit_giant_xformers", 256),
    "vitg-384.pt": Released("vit_giant_xformers", 384),
}
PRETRAIN_FPS = 4.0  # frames per second of V-JEPA 2 pre-training, section 7
ARCHITECTURE_SECTIONS = ("architecture", "golden_arch")  # own sections for widths no model_name stands for


@dataclass(frozen=True, slots=True)
class Reading:
    """Every fact that shapes alone do not give."""

    size: int
    frames: int
    fps: float
    depth: int
    heads: int
    native: Grid  # of the encoder
    predictor_native: Grid
    predictor_depth: int
    predictor_heads: int
    mask_tokens: int
    has_rope: bool
    uniform_power: bool
    assumed: Mapping[str, str] = field(default_factory=dict)


def released(file_name: str) -> Released | None:
    """The published checkpoint of that file name, if it is one."""
    return RELEASED.get(file_name)


def is_vjepa2_config(config: Mapping[str, Any]) -> bool:
    """Does this config name V-JEPA 2: Hugging Face's model type, or keys only its training has (section 3.1)?"""
    if config.get("model_type") == "vjepa2":
        return True
    data, model = config.get("data"), config.get("model")
    return (isinstance(data, Mapping) and "dataset_fpcs" in data) or (
        isinstance(model, Mapping) and ("use_rope" in model or "pred_num_heads" in model)
    )


def variant(shapes: EncoderShapes, reading: Reading) -> str:
    """ "ViT-L/16, 256 px, 64 frames" """
    known = MODELS_BY_SIZE.get((shapes.width, reading.depth))
    size = (
        f"ViT-{LETTERS[shapes.width]}/{shapes.patch}"
        if known
        else f"ViT {shapes.width}x{reading.depth}/{shapes.patch}"
    )
    frames = f"{reading.frames} frames" if shapes.tubelet else "pictures"
    return f"{size}, {reading.size} px, {frames}"


MODELS_BY_SIZE = {(width, depth): name for name, (width, depth, _, _) in MODELS.items()}


def read(
    file: WeightFile, shapes: EncoderShapes, shapes_p: PredictorShapes | None, choices: Choices
) -> Reading:
    """Collect every fact with its source. Raises ConfigDiffers where config and tensors contradict each other."""
    facts = _Facts(file, shapes, shapes_p, choices)
    depth = facts.encoder_depth()
    has_rope = facts.rope()
    size, frames, encoder_frames = facts.input_size()
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
    return Reading(
        size=size,
        frames=encoder_frames,
        fps=facts.fps(),
        depth=depth,
        heads=heads,
        native=native,
        predictor_native=predictor_native,
        predictor_depth=facts.predictor_depth(),
        predictor_heads=facts.predictor_heads(heads),
        mask_tokens=facts.mask_tokens(),
        has_rope=has_rope,
        uniform_power=bool(file.config.get("model", "uniform_power")),
        assumed=facts.assumed,
    )


class _Facts(Sources):
    """Asks the sources in order and keeps what each answer rests on."""

    def __init__(
        self, file: WeightFile, shapes: EncoderShapes, shapes_p: PredictorShapes | None, choices: Choices
    ) -> None:
        super().__init__(file, choices)
        self.shapes = shapes
        self.shapes_p = shapes_p
        self.published = released(file.name)
        name = self.config.get("model", "model_name")
        self.model_name = name.removesuffix("_rope") if isinstance(name, str) else None
        self.is_hf = self.config.get("model_type") == "vjepa2"
        self.check("patch", self.configured(("patch_size",), ("data", "patch_size")), shapes.patch)
        tubelet = self.configured(("tubelet_size",), ("data", "tubelet_size"))
        if shapes.tubelet:
            self.check("tubelet", tubelet, shapes.tubelet)
        self.check("width", self.configured(("hidden_size",), *_arch("embed_dim")), shapes.width)
        if self.model_name in MODELS:
            self.check(
                f"width of {self.model_name}", MODELS[self.model_name][0], shapes.width, "model.model_name"
            )
        if shapes_p is not None:
            width = self.configured(("pred_hidden_size",), ("model", "pred_embed_dim"))
            self.check("predictor width", width, shapes_p.width)
        is_gated = self.config.get("model", "use_silu")
        if is_gated is not None and bool(is_gated) != shapes.is_gated:
            raise self.contradiction("use_silu", bool(is_gated), shapes.is_gated, "model.use_silu")

    # --- the facts -----------------------------------------------------------------------------------------------

    def encoder_depth(self) -> int:
        """Depth by config; by tensors only where the config is silent, so that a lost last block is missed."""
        found = self.find(("num_hidden_layers",), *_arch("depth"))
        if found is None and self.model_name in MODELS:
            found = MODELS[self.model_name][1], self.config.says("model", "model_name")
        if found is None and self.published:
            found = MODELS[self.published.model_name][1], f"file name {self.file.name}"
        if found is None:
            return self.shapes.depth
        depths = {
            depth_of(self.file.parts[p]) for p in ("encoder", "target_encoder") if self.file.parts.get(p)
        }
        if found[0] not in depths:
            raise self.contradiction("depth", found[0], " and ".join(map(str, sorted(depths))))
        return self.whole(*_with(found, "depth"))

    def heads(self, depth: int) -> int:
        if self.choices.encoder_heads is not None:
            found: tuple[Any, str] | None = (self.choices.encoder_heads, "chosen explicitly")
        else:
            found = self.find(("num_attention_heads",), *_arch("num_heads"))
        if found is None and self.model_name in MODELS:
            found = (
                MODELS[self.model_name][2],
                f"{self.model_name} in {self.config.says('model', 'model_name')}",
            )
        if found is None and self.published:
            found = MODELS[self.published.model_name][2], f"file name {self.file.name}"
        if found is None and (self.shapes.width, depth) in HEADS_BY_SIZE:
            found = HEADS_BY_SIZE[(self.shapes.width, depth)], "table of released sizes, by width and depth"
        if found is None:
            raise self.unknown("number of attention heads", "architecture.num_heads")
        return self.dividing(found, self.shapes.width, "encoder heads")

    def predictor_depth(self) -> int:
        if self.shapes_p is None:
            return 0
        found = self.find(("pred_num_hidden_layers",), ("model", "pred_depth"))
        if found is not None and found[0] != self.shapes_p.depth:
            raise self.contradiction("predictor depth", found[0], self.shapes_p.depth)
        if found is None and self.published and self.published.predictor_depth != self.shapes_p.depth:
            raise ConfigDiffers(
                f"{self.file.name}: the published predictor has {self.published.predictor_depth} blocks, "
                f"this file has {self.shapes_p.depth}.",
                "The file is incomplete, or another file under a published name. Rename it and give its config.",
            )
        return self.shapes_p.depth

    def predictor_heads(self, encoder_heads: int) -> int:
        if self.shapes_p is None:
            return 0
        has_yaml = self.config.get("model") is not None
        if self.choices.predictor_heads is not None:
            found: tuple[Any, str] | None = (self.choices.predictor_heads, "chosen explicitly")
        else:
            found = self.find(("pred_num_attention_heads",), ("model", "pred_num_heads"))
        if found is None and has_yaml:
            found = encoder_heads, f"{self.config.source} gives no model.pred_num_heads: as the encoder"
        if found is None and self.published:
            found = self.published.predictor_heads, f"file name {self.file.name}"
        if found is None and self.shapes_p.width == 384:
            found = 12, "table of released sizes, by predictor width"
        if found is None:
            raise self.unknown("number of predictor heads", "model.pred_num_heads")
        return self.dividing(found, self.shapes_p.width, "predictor heads")

    def mask_tokens(self) -> int:
        """At least as many as the config counts: released files hold more than their published YAML implies."""
        if self.shapes_p is None:
            return 0
        exact = self.find(("pred_num_mask_tokens",), *_arch("num_mask_tokens"))
        if exact is not None:
            return self.whole(*_with(exact, "number of mask tokens"))
        if self.published:
            return self.published.mask_tokens
        masks, fpcs = self.config.get("mask"), self.config.get("data", "dataset_fpcs")
        counted = len(masks) * len(fpcs) if isinstance(masks, list) and isinstance(fpcs, list) else 1
        return max(self.shapes_p.mask_tokens, counted)

    def rope(self) -> bool:
        """Rotary or table. Tables in a rotary checkpoint are stray and unused."""
        has_table = bool(self.shapes.table_tokens)
        configured = self.config.get("model", "use_rope")
        name = self.config.get("model", "model_name")
        if isinstance(name, str) and name.endswith("_rope"):
            configured = True
        if configured is not None:
            if not configured and not has_table:
                raise self.contradiction("use_rope false", "", "no pos_embed, so rotary", "model.use_rope")
            self.assumed["positions"] = (
                f"{'rotary' if configured else 'table'} ({self.config.says('model', 'use_rope')})"
            )
            return bool(configured)
        if not has_table:
            self.assumed["positions"] = "rotary (the file holds no position table)"
            return True
        if self.config.get("data", "dataset_fpcs") is not None:
            self.assumed["positions"] = f"table ({self.config.source} gives no model.use_rope: false)"
            return False
        self.assumed["positions"] = "rotary (all released V-JEPA 2 files are; their tables are stray)"
        return True

    def input_size(self) -> tuple[int, int, int]:
        """(pixels, frames of the predictor's clip, frames of the encoder's clip)"""
        size = self.find(("crop_size",), ("data", "crop_size"))
        if size is None and self.published:
            size = self.published.size, f"file name {self.file.name}"
        if size is None:
            size = (384 if "384" in self.file.name else 256), "published default; the file does not say"
        frames = self.find(("frames_per_clip",), ("data", "dataset_fpcs"))
        if frames is not None and isinstance(frames[0], list) and frames[0]:
            frames = max(frames[0]), frames[1]
        if frames is None:
            count = 1 if not self.shapes.tubelet else 64
            frames = count, "published default; the file does not say"
        side, count = (
            self.whole(*_with(size, "side in pixels")),
            self.whole(*_with(frames, "number of frames")),
        )
        own = self.find(*_arch("encoder_num_frames"))
        encoder_frames = self.whole(*_with(own, "number of frames")) if own else count
        if not self.shapes.tubelet:
            count = encoder_frames = 1
        if side < self.shapes.patch or encoder_frames < self.shapes.tubelet:
            raise ConfigDiffers(
                f"{self.config.source}: {side} px and {encoder_frames} frames hold not one token.",
                "Mend the config.",
            )
        self.assumed["input size"] = f"{side} px ({size[1]})"
        self.assumed["clip length"] = f"{encoder_frames} frames ({own[1] if own else frames[1]})"
        return side, count, encoder_frames

    def fps(self) -> float:
        return self.frame_rate(PRETRAIN_FPS, "V-JEPA 2 pre-training")

    def check_mlp(self, depth: int) -> None:
        """The configured ratio against the hidden width; int(), not round() (trap 15)."""
        found = self.find(("mlp_ratio",), *_arch("mlp_ratio"))
        if found is None and self.model_name in MODELS:
            found = MODELS[self.model_name][3], self.config.says("model", "model_name")
        if found is None or not isinstance(found[0], int | float):
            return
        hidden = int(
            self.shapes.width * found[0] + 1e-6
        )  # a ratio printed with too few digits must not lose one
        wide = math.ceil(int(2 * hidden / 3) / 8) * 8
        fitting = {hidden, wide} if self.shapes.is_gated else {hidden}
        if self.shapes.hidden not in fitting:
            raise self.contradiction("hidden width", hidden, self.shapes.hidden)


def _arch(key: str) -> tuple[tuple[str, ...], ...]:
    return tuple((section, key) for section in ARCHITECTURE_SECTIONS)


def _with(found: tuple[Any, str], what: str) -> tuple[Any, str, str]:
    return found[0], what, found[1]

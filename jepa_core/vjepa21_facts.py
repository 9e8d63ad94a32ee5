"""What a V-JEPA 2.1 file does not say about itself, and where each such fact is taken from instead.

Explicit choice, config, published configuration, in this order; parts B and C of `specs/vjepa2-ac-vjepa2.1.md`. A
config that contradicts the tensors is refused, and so is a predictor shorter than its size was published with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jepa_core.asking import Sources, another_depth
from jepa_core.design import Choices, Stored, WeightFile
from jepa_core.errors import CheckpointError, ConfigDiffers
from jepa_core.nn.leveled import LEVELS, N_LEVELS
from jepa_core.shapes import EncoderShapes, PredictorShapes, depth_of
from jepa_core.transformer_facts import MODELS
from jepa_core.votes import MOST_BLOCKS

SIZE, FRAMES, FPS = 384, 64, 4.0  # of the released files
PREDICTOR_WIDTH, PREDICTOR_HEADS, MASK_TOKENS = 384, 12, 8  # of every released predictor
SECTIONS = ("architecture", "tiny_arch")  # own sections for sizes no model_name stands for


@dataclass(frozen=True, slots=True)
class Released:
    """One published size."""

    letter: str
    heads: int
    hidden: int
    predictor_depth: int
    levels: int  # of its predictor
    output_width: int  # of one predicted level: its teacher's width where it was distilled


RELEASED = {  # (width, depth) →, section B1
    (768, 12): Released("B", 12, 3072, 12, 1, 1664),
    (1024, 24): Released("L", 16, 4096, 12, 1, 1664),
    (1408, 40): Released("g", 22, 6144, 24, 4, 1408),
    (1664, 48): Released("G", 26, 8192, 24, 4, 1664),
}
FILES = {  # published file name → (width, depth); vitg and vitG differ in nothing but case
    "vjepa2_1_vitb_dist_vitG_384.pt": (768, 12),
    "vjepa2_1_vitl_dist_vitG_384.pt": (1024, 24),
    "vjepa2_1_vitg_384.pt": (1408, 40),
    "vjepa2_1_vitG_384.pt": (1664, 48),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """Every fact that shapes alone do not give."""

    size: int
    frames: int
    fps: float
    depth: int
    heads: int
    has_modality: bool
    has_pictures: bool
    scales_positions: bool
    predictor_depth: int
    predictor_heads: int
    mask_tokens: int
    levels: int
    output_width: int
    has_context_head: bool
    predictor_scales: bool
    released: Released | None
    refusal: CheckpointError | None  # as Design.refusal
    assumed: Mapping[str, str]


def read(
    file: WeightFile,
    shapes: EncoderShapes,
    shapes_p: PredictorShapes | None,
    encoders: Iterable[str],
    choices: Choices,
) -> Reading:
    """Collect every fact with its source. `encoders`: the parts that hold one. Raises ConfigDiffers."""
    facts = _Facts(file, shapes, shapes_p, tuple(encoders), choices)
    depth = facts.depth()
    size, frames = facts.input_size()
    scales = facts.encoder_scaling()
    levels, output_width = facts.output() if shapes_p else (N_LEVELS, shapes.width)
    return Reading(
        size=size,
        frames=frames,
        fps=facts.frame_rate(FPS, "V-JEPA 2.1 training"),
        depth=depth,
        heads=facts.heads(depth),
        has_modality=facts.part("modality_embedding", ("img_mod_embed", "video_mod_embed")),
        has_pictures=facts.part("img_temporal_dim_size", ("patch_embed_img",)),
        scales_positions=scales,
        predictor_depth=facts.predictor_depth() if shapes_p else 0,
        predictor_heads=facts.predictor_heads() if shapes_p else 0,
        mask_tokens=facts.mask_tokens() if shapes_p else 0,
        levels=levels,
        output_width=output_width,
        has_context_head=facts.context_head(),
        predictor_scales=facts.predictor_scaling() if shapes_p else scales,
        released=facts.released,
        refusal=facts.refusal,
        assumed=facts.assumed,
    )


class _Facts(Sources):
    def __init__(
        self,
        file: WeightFile,
        shapes: EncoderShapes,
        shapes_p: PredictorShapes | None,
        encoders: tuple[str, ...],
        choices: Choices,
    ) -> None:
        super().__init__(file, choices)
        self.shapes = shapes
        self.shapes_p = shapes_p
        self.encoders = encoders
        self.predictor: Mapping[str, Stored] = file.parts.get("predictor", {})
        self.released = RELEASED.get((shapes.width, shapes.depth))
        name = self.config.get("model", "model_name")
        self.model_name = name.removesuffix("_rope") if isinstance(name, str) else None
        if self.model_name in MODELS:
            width = MODELS[self.model_name][0]
            self.check(f"width of {self.model_name}", width, shapes.width, "model.model_name")
        self.check("patch", self.config.get("data", "patch_size"), shapes.patch, "data.patch_size")
        self.check("tubelet", self.config.get("data", "tubelet_size"), shapes.tubelet, "data.tubelet_size")
        self.check("width", self.configured(*_arch("encoder", "embed_dim")), shapes.width)
        ratio = self.configured(*_arch("encoder", "mlp_ratio"))
        self.check_hidden("hidden width", shapes.width, ratio, shapes.hidden, is_gated=shapes.is_gated)
        if shapes_p is not None:
            width = self.config.get("model", "pred_embed_dim")
            self.check("predictor width", width, shapes_p.width, "model.pred_embed_dim")
            ratio = self.configured(*_arch("predictor", "mlp_ratio"))
            self.check_hidden(
                "predictor hidden width", shapes_p.width, ratio, shapes_p.hidden, is_gated=shapes_p.is_gated
            )
            is_gated = self.config.get("model", "use_pred_silu")
            self.check("SwiGLU predictor", is_gated, shapes_p.is_gated, "model.use_pred_silu")
        named = FILES.get(file.name)
        if named is not None and named != (shapes.width, shapes.depth):
            self.assumed["size"] = (
                f"by its tensors; its name is that of ViT-{RELEASED[named].letter}. vitg and vitG differ only in case"
            )

    # --- the encoder -----------------------------------------------------------------------------------------------

    def depth(self) -> int:
        found = self.configured(*_arch("encoder", "depth"))
        if found is None and self.model_name in MODELS:
            found = MODELS[self.model_name][1]
        depths = {depth_of(self.file.parts[part]) for part in self.encoders}
        if found is not None and found not in depths:
            raise self.contradiction("depth", found, " and ".join(map(str, sorted(depths))))
        depth = self.shapes.depth if found is None else self.whole(found, "depth", "encoder depth")
        if depth not in LEVELS:
            raise ConfigDiffers(
                f"{self.file.name}: an encoder of {depth} blocks; V-JEPA 2.1 takes its levels after stated blocks of "
                f"{', '.join(map(str, LEVELS))} only.",
                "The file is incomplete, or of a system this console does not know.",
            )
        return depth

    def heads(self, depth: int) -> int:
        found: tuple[Any, str] | None = None
        if self.choices.encoder_heads is not None:
            found = self.choices.encoder_heads, "chosen explicitly"
        found = found or self.find(*_arch("encoder", "num_heads"))
        if found is None and self.model_name in MODELS:
            where = self.config.says("model", "model_name")
            found = MODELS[self.model_name][2], f"{self.model_name} in {where}"
        if found is None and self.released:
            found = self.released.heads, "table of released sizes, by width and depth"
        if found is None:
            raise self.unknown("number of attention heads", "architecture.encoder.num_heads")
        return self.dividing(found, self.shapes.width, "encoder heads")

    def encoder_scaling(self) -> bool:
        found = self.find(("model", "interpolate_rope"))
        scales = bool(found[0]) if found else True
        self.assumed["encoder positions"] = (
            f"{'scaled to a 16 x 16 grid' if scales else 'as counted'} ({found[1] if found else 'as released'})"
        )
        return scales

    def part(self, setting: str, layers: tuple[str, ...]) -> bool:
        """Is this optional part of the network there: by config where it says, else by any of its tensors."""
        model = self.config.get("model")
        if isinstance(model, Mapping) and setting in model:
            return bool(model[setting])
        parts = (*self.encoders, "predictor")
        names = {name for part in parts for name in self.file.parts.get(part, {})}
        return self.released is not None or any(name.split(".")[0] in layers for name in names)

    def input_size(self) -> tuple[int, int]:
        size = self.find(*_arch("img_size"), ("data", "crop_size")) or (SIZE, "as released")
        frames = self.find(*_arch("num_frames"), ("data", "dataset_fpcs")) or (FRAMES, "as released")
        if isinstance(frames[0], list) and frames[0]:
            frames = max(frames[0]), frames[1]
        side = self.whole(size[0], "side in pixels", size[1], 2 * self.shapes.patch)
        count = self.whole(frames[0], "number of frames", frames[1], self.shapes.tubelet)
        self.assumed["input size"] = f"{side} px ({size[1]})"
        self.assumed["clip length"] = f"{count} frames ({frames[1]})"
        return side, count

    # --- the predictor ---------------------------------------------------------------------------------------------

    def predictor_depth(self) -> int:
        """By config, else by the published size. A lenient loader would fill the missing half with random weights."""
        assert self.shapes_p is not None
        depth, published = self.shapes_p.depth, self.released.predictor_depth if self.released else None
        is_published_width = self.shapes_p.width == PREDICTOR_WIDTH
        found = self.config.get("model", "pred_depth")
        if found is None:
            if published is None or published == depth or not is_published_width:
                return depth
            self.refusal = ConfigDiffers(
                f"{self.file.name}: the predictor published with this encoder has {published} blocks, this file has "
                f"{depth}.",
                "The file is incomplete, or of another training: give its config with --config.",
            )
            return published
        where = self.config.says("model", "pred_depth")
        wanted = self.whole(found, "predictor depth", where, most=MOST_BLOCKS)
        if wanted != depth:
            self.refusal = self.contradiction("predictor depth", wanted, depth, "model.pred_depth")
            self.refusal.hint = another_depth(wanted, depth)
            if depth == published and is_published_width and self.released:
                self.refusal.hint = (
                    f"The released ViT-{self.released.letter} has {depth} blocks; its official config says otherwise "
                    "by mistake. Load the file without that config."
                )
        return wanted

    def predictor_heads(self) -> int:
        assert self.shapes_p is not None
        found: tuple[Any, str] | None = None
        if self.choices.predictor_heads is not None:
            found = self.choices.predictor_heads, "chosen explicitly"
        found = found or self.find(("model", "pred_num_heads"))
        if found is None and self.shapes_p.width == PREDICTOR_WIDTH:
            found = PREDICTOR_HEADS, "as released, by predictor width"
        if found is None:
            raise self.unknown("number of predictor heads", "model.pred_num_heads")
        return self.dividing(found, self.shapes_p.width, "predictor heads")

    def mask_tokens(self) -> int:
        assert self.shapes_p is not None
        found = self.find(*_arch("predictor", "num_mask_tokens"))
        if found is not None:
            return self.whole(found[0], "number of mask tokens", found[1], most=MOST_BLOCKS)
        if self.released and self.shapes_p.width == PREDICTOR_WIDTH and not self.config.source:
            return MASK_TOKENS
        return max(self.shapes_p.mask_tokens, 1)

    def output(self) -> tuple[int, int]:
        """(levels, width of one predicted level) by the vote of the tensors that carry them."""
        is_leveled = any(re.match(r"predictor_embed\.[02]\.", name) for name in self.predictor)
        levels = N_LEVELS if is_leveled else 1
        heads = ("predictor_proj", "predictor_proj_context")
        rows = Counter(
            self.predictor[name].shape[0]
            for name in (f"{head}.{kind}" for head in heads for kind in ("weight", "bias"))
            if name in self.predictor and self.predictor[name].shape
        )
        width = rows.most_common(1)[0][0] // levels if rows else self.shapes.width
        self.check("width of its teacher", self.configured(*_arch("predictor", "teacher_embed_dim")), width)
        return levels, width

    def context_head(self) -> bool:
        loss = self.config.get("loss")
        if isinstance(loss, Mapping) and "predict_all" in loss:
            return bool(loss["predict_all"])
        return self.released is not None or any("predictor_proj_context." in name for name in self.predictor)

    def predictor_scaling(self) -> bool:
        """The sources contradict each other (B3): training scales, the published builder does not. Training decides."""
        if self.choices.predictor_scaling is not None:
            scales, why = self.choices.predictor_scaling, "chosen explicitly"
        else:
            found = self.find(*_arch("predictor", "interpolate_rope"), ("model", "interpolate_rope"))
            scales = bool(found[0]) if found else True
            why = found[1] if found else "as in training; the published builder says otherwise"
        self.assumed["predictor positions"] = (
            f"{'scaled to a 16 x 16 grid' if scales else 'as counted'} ({why})"
        )
        return scales


def _arch(*keys: str) -> tuple[tuple[str, ...], ...]:
    return tuple((section, *keys) for section in SECTIONS)

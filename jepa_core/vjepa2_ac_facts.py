"""What a V-JEPA 2-AC file does not say about itself, and where each such fact is taken from instead.

Explicit choice, config, file name, published configuration, in this order; section C of
`specs/vjepa2-ac-vjepa2.1.md`. A config that contradicts the tensors is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jepa_core import poses
from jepa_core.asking import Sources, another_depth
from jepa_core.design import Choices, Stored, WeightFile
from jepa_core.errors import CheckpointError, ConfigDiffers
from jepa_core.nn.positions import Grid
from jepa_core.shapes import EncoderShapes, PredictorShapes, depth_of
from jepa_core.transformer_facts import MODELS
from jepa_core.vjepa2_facts import HEADS_BY_SIZE
from jepa_core.votes import MOST_BLOCKS

RELEASED_FILE = "vjepa2-ac-vitg.pt"  # the one official file
RELEASED_MODEL = "vit_giant_xformers"
SIZE, CLIP_FRAMES, FPS = 256, 8, 4.0  # of its training config
LIMIT_FRAMES = 32  # frames its predictor was built for: hub num_frames 64, tubelet 2
PREDICTOR_DEPTH = {1024: 24}  # predictor width → blocks, where no config says
PREDICTOR_HEADS = {1024: 16}
SECTIONS = ("architecture", "tiny_arch")  # own sections for sizes no model_name stands for


@dataclass(frozen=True, slots=True)
class Reading:
    """Every fact that shapes alone do not give."""

    rows: int
    columns: int
    patch: int
    frames: int  # of a training clip
    fps: float
    limit: int  # frames the predictor can be given
    depth: int
    heads: int
    predictor_depth: int
    predictor_heads: int
    action_size: int
    encoder_has_rope: bool
    table: Grid  # of the encoder's stored position table
    predictor_has_rope: bool
    uses_camera: bool
    normalises: bool
    refusal: CheckpointError | None  # as Design.refusal
    assumed: Mapping[str, str]


def read(
    file: WeightFile, shapes: EncoderShapes, shapes_p: PredictorShapes, encoder: str, choices: Choices
) -> Reading:
    """Collect every fact with its source. `encoder`: the part that holds it. Raises ConfigDiffers."""
    facts = _Facts(file, shapes, shapes_p, choices)
    depth = facts.depth(encoder)
    rows, columns = facts.grid()
    encoder_has_rope = facts.encoder_rope()
    limit = facts.limit()
    table = (limit, rows, columns)
    if not encoder_has_rope:
        facts.check("position table rows", limit * rows * columns, shapes.table_tokens, "img_size and frames")
    return Reading(
        rows=rows,
        columns=columns,
        patch=shapes.patch,
        frames=facts.clip_frames(),
        fps=facts.frame_rate(FPS, "published training config"),
        limit=limit,
        depth=depth,
        heads=facts.heads(depth),
        predictor_depth=facts.predictor_depth(),
        predictor_heads=facts.predictor_heads(),
        action_size=facts.action_size(),
        encoder_has_rope=encoder_has_rope,
        table=table,
        predictor_has_rope=facts.flag(("model", "use_rope"), True, "predictor positions", "rotary", "none"),
        uses_camera=facts.flag(("model", "use_extrinsics"), False, "camera poses", "used", "unused"),
        normalises=facts.flag(("loss", "normalize_reps"), True, "latents", "layer-normed", "as encoded"),
        refusal=facts.refusal,
        assumed=facts.assumed,
    )


class _Facts(Sources):
    def __init__(
        self, file: WeightFile, shapes: EncoderShapes, shapes_p: PredictorShapes, choices: Choices
    ) -> None:
        super().__init__(file, choices)
        self.shapes = shapes
        self.shapes_p = shapes_p
        self.is_released = file.name == RELEASED_FILE
        name = self.config.get("model", "model_name")
        self.model_name = name.removesuffix("_rope") if isinstance(name, str) else None
        if self.model_name is None and self.is_released:
            self.model_name = RELEASED_MODEL
        self.check("patch", self.config.get("data", "patch_size"), shapes.patch, "data.patch_size")
        self.check("tubelet", self.config.get("data", "tubelet_size"), shapes.tubelet, "data.tubelet_size")
        self.check("width", self.configured(*_arch("encoder", "embed_dim")), shapes.width, "embed_dim")
        self.check(
            "predictor width",
            self.config.get("model", "pred_embed_dim"),
            shapes_p.width,
            "model.pred_embed_dim",
        )
        self.check(
            "SwiGLU predictor",
            self.config.get("model", "use_pred_silu"),
            shapes_p.is_gated,
            "model.use_pred_silu",
        )
        if self.model_name in MODELS:
            width, _, _, ratio = MODELS[self.model_name]
            self.check(f"width of {self.model_name}", width, shapes.width)
            self.check_hidden("hidden width", shapes.width, ratio, shapes.hidden, is_gated=shapes.is_gated)
        ratio = self.configured(*_arch("encoder", "mlp_ratio"))
        self.check_hidden("hidden width", shapes.width, ratio, shapes.hidden, is_gated=shapes.is_gated)
        ratio = self.configured(*((section, "predictor_mlp_ratio") for section in SECTIONS)) or 4.0
        self.check_hidden(
            "predictor hidden width", shapes_p.width, ratio, shapes_p.hidden, is_gated=shapes_p.is_gated
        )
        if self.config.get("model", "pred_is_frame_causal") is False:
            raise ConfigDiffers(
                f"{file.name}: {self.config.says('model', 'pred_is_frame_causal')} is false; the published "
                "predictor exists only with its frame-causal mask.",
                "Choose the right config with --config.",
            )

    def depth(self, encoder: str) -> int:
        found = self.configured(*_arch("encoder", "depth"))
        if found is None and self.model_name in MODELS:
            found = MODELS[self.model_name][1]
        depth = depth_of(self.file.parts[encoder])
        self.check("depth", found, depth)
        return depth

    def heads(self, depth: int) -> int:
        found: tuple[Any, str] | None = None
        if self.choices.encoder_heads is not None:
            found = self.choices.encoder_heads, "chosen explicitly"
        found = found or self.find(*_arch("encoder", "num_heads"))
        if found is None and self.model_name in MODELS:
            where = (
                f"file name {self.file.name}" if self.is_released else self.config.says("model", "model_name")
            )
            found = MODELS[self.model_name][2], f"{self.model_name}, {where}"
        if found is None and (self.shapes.width, depth) in HEADS_BY_SIZE:
            found = HEADS_BY_SIZE[self.shapes.width, depth], "table of released sizes, by width and depth"
        if found is None:
            raise self.unknown("number of attention heads", "architecture.encoder.num_heads")
        return self.dividing(found, self.shapes.width, "encoder heads")

    def predictor_depth(self) -> int:
        """By config, else by the published size: a predictor that lost its last blocks is refused, not filled up."""
        depth = self.shapes_p.depth
        configured = self.config.get("model", "pred_depth")
        if configured is not None:
            where = self.config.says("model", "pred_depth")
            wanted = self.whole(configured, "predictor depth", where, most=MOST_BLOCKS)
            if wanted != depth:
                self.refusal = self.contradiction("predictor depth", wanted, depth, "model.pred_depth")
                self.refusal.hint = another_depth(wanted, depth)
            return wanted
        published = PREDICTOR_DEPTH.get(self.shapes_p.width)
        if published is None or published == depth:
            return depth
        self.refusal = ConfigDiffers(
            f"{self.file.name}: the published predictor of width {self.shapes_p.width} has {published} blocks, "
            f"this file has {depth}.",
            "The file is incomplete, or of another training: give its config with --config.",
        )
        return published

    def predictor_heads(self) -> int:
        found: tuple[Any, str] | None = None
        if self.choices.predictor_heads is not None:
            found = self.choices.predictor_heads, "chosen explicitly"
        found = found or self.find(("model", "pred_num_heads"))
        if found is None and self.shapes_p.width in PREDICTOR_HEADS:
            found = PREDICTOR_HEADS[self.shapes_p.width], "published configuration, by predictor width"
        if found is None:
            raise self.unknown("number of predictor heads", "model.pred_num_heads")
        return self.dividing(found, self.shapes_p.width, "predictor heads")

    def action_size(self) -> int:
        """Numbers per action and pose, by the vote of the three condition layers."""
        votes: Counter[int] = Counter()
        predictor: Mapping[str, Stored] = self.file.parts["predictor"]
        for name, more in (("action_encoder", 0), ("state_encoder", 0), ("extrinsics_encoder", 1)):
            tensor = predictor.get(f"{name}.weight")
            if tensor is not None and len(tensor.shape) == 2:
                votes[tensor.shape[1] + more] += 1
        size = votes.most_common(1)[0][0] if votes else poses.SIZE
        if size != poses.SIZE:
            raise ConfigDiffers(
                f"{self.file.name} takes actions of {size} numbers; V-JEPA 2-AC's have {poses.SIZE}: "
                f"{', '.join(poses.NAMES)}.",
                "This is another robot's model, whose poses this console cannot integrate.",
            )
        return size

    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches: the built image size, not the crop of the training data."""
        found = self.find(*((section, "img_size") for section in SECTIONS), ("data", "crop_size"))
        if found is None:
            found = SIZE, f"file name {self.file.name}" if self.is_released else "published configuration"
        value, where = found
        sides = value if isinstance(value, list) and len(value) == 2 else [value, value]
        height, width = (self.whole(side, "side in pixels", where, self.shapes.patch) for side in sides)
        self.assumed["input size"] = f"{height} x {width} px ({where})"
        return height // self.shapes.patch, width // self.shapes.patch

    def limit(self) -> int:
        found = self.find(*((section, "max_num_frames") for section in SECTIONS))
        if found is None:
            self.assumed["longest rollout"] = f"{LIMIT_FRAMES} frames (published builder)"
            return LIMIT_FRAMES
        frames = (
            self.whole(found[0], "number of frames", found[1], self.shapes.tubelet) // self.shapes.tubelet
        )
        self.assumed["longest rollout"] = f"{frames} frames ({found[1]})"
        return frames

    def clip_frames(self) -> int:
        found = self.find(("data", "dataset_fpcs"))
        if found is None or not isinstance(found[0], list) or not found[0]:
            found = [CLIP_FRAMES], "published training config"
        frames = max(self.whole(count, "number of frames", found[1]) for count in found[0])
        self.assumed["clip length"] = f"{frames} frames ({found[1]})"
        return frames

    def encoder_rope(self) -> bool:
        found = self.find(*_arch("encoder", "use_rope"), ("model", "use_rope"))
        has_rope = bool(found[0]) if found else True
        if not has_rope and not self.shapes.table_tokens:
            raise self.contradiction("use_rope false", "", "no pos_embed, so rotary", "use_rope")
        why = found[1] if found else "the released encoder is; a position table would be stray"
        self.assumed["encoder positions"] = f"{'rotary' if has_rope else 'table'} ({why})"
        return has_rope

    def flag(self, path: tuple[str, str], default: bool, what: str, yes: str, no: str) -> bool:
        found = self.find(path)
        value = bool(found[0]) if found else default
        self.assumed[what] = f"{yes if value else no} ({found[1] if found else 'published configuration'})"
        return value


def _arch(*keys: str) -> tuple[tuple[str, ...], ...]:
    return tuple((section, *keys) for section in SECTIONS)

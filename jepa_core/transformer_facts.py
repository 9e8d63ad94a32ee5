"""What a masked transformer's file does not say about itself: heads, depth, input size, and the table of known sizes.

Shared by I-JEPA, V-JEPA and V-JEPA 2; each brings its own keys and its own rules. The order of asking is the spec's
(section 3): an explicit choice, the config beside the file, the file's name, the table of released sizes. Reads no
weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jepa_core.asking import Sources, another_depth
from jepa_core.design import Choices, WeightFile
from jepa_core.errors import CheckpointError, ConfigDiffers
from jepa_core.nn.attention import NORM_EPS
from jepa_core.nn.positions import Grid
from jepa_core.shapes import EncoderShapes, PredictorShapes, depth_of
from jepa_core.votes import MOST_BLOCKS

# model_name → (width, depth, heads, mlp ratio). The two gigantic factories of the official code misspell the ratio,
# so theirs is the default 4, not 64/13.
MODELS: dict[str, tuple[int, int, int, float]] = {
    "vit_synthetic": (1, 1, 1, 4.0),  # for timing the training loop only
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
MODELS_BY_SIZE = {(width, depth): name for name, (width, depth, _, _) in MODELS.items()}
# (width, depth) → heads where nothing else says; V-JEPA 2 has another giant. The gigantic is ambiguous: ask.
HEADS_BY_SIZE = {(192, 12): 3, (384, 12): 6, (768, 12): 12, (1024, 24): 16, (1280, 32): 16, (1408, 40): 16}
LETTERS = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1408: "g", 1664: "G"}
ARCHITECTURE_SECTIONS = ("architecture", "golden_arch")  # own sections for widths no model_name stands for

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """One published checkpoint."""

    model_name: str
    size: int  # pixels
    patch: int
    tubelet: int  # 0 = a picture model
    frames: int
    predictor_depth: int
    predictor_heads: int
    mask_tokens: int
    predictor_width: int = 384

    @property
    def native(self) -> Grid:
        side = self.size // self.patch
        return max(self.frames // max(self.tubelet, 1), 1), side, side


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a family's configs say what: paths into the YAML and into Hugging Face's config.json."""

    model_name: Path
    patch: tuple[Path, ...]
    predictor_width: tuple[Path, ...]
    predictor_depth: tuple[Path, ...]
    predictor_heads: tuple[Path, ...] = ()
    tubelet: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    size: tuple[Path, ...] = (("crop_size",), ("data", "crop_size"))


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
    eps: float = NORM_EPS  # of the networks' layer norms
    assumed: Mapping[str, str] = field(default_factory=dict)
    refusal: CheckpointError | None = None  # as Design.refusal


RELEASED: dict[str, dict[str, Released]] = {  # system → file name → what it holds; sections 2 and 3
    "I-JEPA": {
        "IN1K-vit.h.14-300e.pth.tar": Released("vit_huge", 224, 14, 0, 1, 12, 16, 1),
        "IN1K-vit.h.16-448px-300e.pth.tar": Released("vit_huge", 448, 16, 0, 1, 12, 16, 1),
        "IN22K-vit.h.14-900e.pth.tar": Released("vit_huge", 224, 14, 0, 1, 12, 16, 1),
        "IN22K-vit.g.16-600e.pth.tar": Released("vit_giant", 224, 16, 0, 1, 16, 16, 1),
    },
    "V-JEPA": {
        "vitl16.pth.tar": Released("vit_large", 224, 16, 2, 16, 12, 16, 2),
        "vith16.pth.tar": Released("vit_huge", 224, 16, 2, 16, 12, 16, 2),
        "vith16-384.pth.tar": Released("vit_huge", 384, 16, 2, 16, 12, 16, 2),
    },
    "V-JEPA 2": {
        "vitl.pt": Released("vit_large", 256, 16, 2, 64, 12, 12, 10),
        "vith.pt": Released("vit_huge", 256, 16, 2, 64, 12, 12, 10),
        "vitg.pt": Released("vit_giant_xformers", 256, 16, 2, 64, 12, 12, 10),
        "vitg-384.pt": Released("vit_giant_xformers", 384, 16, 2, 64, 12, 12, 10),
    },
}


def system_named(config: Mapping[str, Any]) -> str:
    """The system that a file's config or published name says it is of; empty where neither says (section 3.1).

    config  as `recognises` gets it: the config's values, and the file's name as "checkpoint_file"
    """
    return named_by(config)[0]


def named_by(config: Mapping[str, Any]) -> tuple[str, str]:
    """(system, what says so): ("V-JEPA 2", "data.dataset_fpcs in params.yaml"); two empty texts where nothing does."""
    source = config.get("checkpoint_config") or "the config"
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        system = {"ijepa": "I-JEPA", "vjepa2": "V-JEPA 2"}.get(model_type, "")
        return system, f"model_type {model_type[:40]!r} in {source}"
    data, model, mask, meta = (_section(config, name) for name in ("data", "model", "mask", "meta"))
    for section, name, key in (
        (data, "data", "dataset_fpcs"),
        (model, "model", "use_rope"),
        (model, "model", "pred_num_heads"),
    ):
        if key in section:
            return "V-JEPA 2", f"{name}.{key} in {source}"
    if "num_frames" in data and isinstance(config.get("mask"), list):
        return "V-JEPA", f"data.num_frames and a list of masks in {source}"
    for section, name, key in ((mask, "mask", "num_pred_masks"), (meta, "meta", "pred_emb_dim")):
        if key in section:
            return "I-JEPA", f"{name}.{key} in {source}"
    if "ijepa" in str(_section(config, "pretrained_cfg").get("tag", "")):
        return "I-JEPA", f"pretrained_cfg.tag in {source}"  # timm's config.json
    file_name = config.get("checkpoint_file")
    system = next((system for system, files in RELEASED.items() if file_name in files), "")
    return system, f"the file's published name, {file_name}" if system else ""


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, Mapping) else {}


def variant(shapes: EncoderShapes, reading: Reading) -> str:
    """ "ViT-L/16, 256 px, 64 frames" """
    known = (shapes.width, reading.depth) in MODELS_BY_SIZE and shapes.width in LETTERS
    size = (
        f"ViT-{LETTERS[shapes.width]}/{shapes.patch}"
        if known
        else f"ViT {shapes.width}x{reading.depth}/{shapes.patch}"
    )
    frames = f"{reading.frames} frames" if shapes.tubelet else "pictures"
    return f"{size}, {reading.size} px, {frames}"


class TransformerFacts(Sources):
    """What every masked transformer is asked, for one file. A family's own questions are functions that take this."""

    def __init__(
        self,
        file: WeightFile,
        shapes: EncoderShapes,
        shapes_p: PredictorShapes | None,
        choices: Choices,
        *,
        keys: Keys,
        published: Released | None,
        heads_by_size: Mapping[tuple[int, int], int] = HEADS_BY_SIZE,
    ) -> None:
        """Raises ConfigDiffers where config and tensors contradict each other on what both say."""
        super().__init__(file, choices)
        self.shapes = shapes
        self.shapes_p = shapes_p
        self.keys = keys
        self.published = published
        self.heads_by_size = heads_by_size
        name = self.config.get(*keys.model_name)
        self.model_name = name.removesuffix("_rope") if isinstance(name, str) else None
        self.check("patch", self.configured(*keys.patch), shapes.patch)
        if shapes.tubelet:
            self.check("tubelet", self.configured(*keys.tubelet), shapes.tubelet)
        self.check("width", self.configured(("hidden_size",), *arch("embed_dim")), shapes.width)
        if self.model_name in MODELS:
            self.check(
                f"width of {self.model_name}",
                MODELS[self.model_name][0],
                shapes.width,
                ".".join(keys.model_name),
            )
        if shapes_p is not None:
            self.check("predictor width", self.configured(*keys.predictor_width), shapes_p.width)

    def by_file_name(self) -> str:
        """How to name the published file's name as an origin."""
        return f"file name {self.file.name}"

    # --- the facts every family asks for -------------------------------------------------------------------------

    def encoder_depth(self) -> int:
        """Depth by config; by tensors only where the config is silent, so that a lost last block is missed."""
        found = self.find(("num_hidden_layers",), *arch("depth"))
        if found is None and self.model_name in MODELS:
            found = MODELS[self.model_name][1], self.config.says(*self.keys.model_name)
        if found is None and self.published:
            found = MODELS[self.published.model_name][1], self.by_file_name()
        if found is None:
            return self.shapes.depth
        depths = {
            depth_of(self.file.parts[p]) for p in ("encoder", "target_encoder") if self.file.parts.get(p)
        }
        depth = self.whole(found[0], "depth", found[1])
        if depth not in depths:
            raise self.contradiction("depth", depth, " and ".join(map(str, sorted(depths))))
        return depth

    def heads(self, depth: int) -> int:
        """Encoder heads: no shape tells them, and a wrong number gives wrong results without an error."""
        if self.choices.encoder_heads is not None:
            found: tuple[Any, str] | None = (self.choices.encoder_heads, "chosen explicitly")
        else:
            found = self.find(("num_attention_heads",), *arch("num_heads"))
        if found is None and self.model_name in MODELS:
            found = (
                MODELS[self.model_name][2],
                f"{self.model_name} in {self.config.says(*self.keys.model_name)}",
            )
        if found is None and self.published:
            found = MODELS[self.published.model_name][2], self.by_file_name()
        if found is None and (self.shapes.width, depth) in self.heads_by_size:
            found = (
                self.heads_by_size[(self.shapes.width, depth)],
                "table of released sizes, by width and depth",
            )
        if found is None:
            raise self.unknown("number of attention heads", "architecture.num_heads")
        return self.dividing(found, self.shapes.width, "encoder heads")

    def predictor_depth(self) -> int:
        """By config or published name; by tensors only where both are silent.

        Where the tensors say another depth the file is refused, with the report that names every block too few.
        """
        if self.shapes_p is None:
            return 0
        depth = self.shapes_p.depth
        found = self.find(*self.keys.predictor_depth)
        if found is not None:
            wanted = self.whole(found[0], "predictor depth", found[1], most=MOST_BLOCKS)
            if wanted != depth:
                self.refusal = self.contradiction("predictor depth", wanted, depth)
                self.refusal.hint = another_depth(wanted, depth)
            return wanted
        if self.published and self.published.predictor_depth != depth:
            self.refusal = ConfigDiffers(
                f"{self.file.name}: the published predictor has {self.published.predictor_depth} blocks, "
                f"this file has {depth}.",
                "The file is incomplete, or another file under a published name. Rename it and give its config.",
            )
            return self.published.predictor_depth
        return depth

    def predictor_heads_as_encoder(self, encoder_heads: int) -> int:
        """I-JEPA and V-JEPA: the predictor has as many heads as its encoder (section 3)."""
        if self.shapes_p is None:
            return 0
        found = (encoder_heads, "as the encoder, in every checkpoint of this system")
        if self.choices.predictor_heads is not None:
            found = (self.choices.predictor_heads, "chosen explicitly")
        return self.dividing(found, self.shapes_p.width, "predictor heads")

    def layer_norm_eps(self) -> float:
        """As a Hugging Face config states it, else as published; no tensor has it. Written down where it is another."""
        found = self.find(("layer_norm_eps",))
        if found is None or found[0] == NORM_EPS:
            return NORM_EPS
        eps = self.positive(found[0], "layer norm eps", found[1])
        self.assumed["layer norm eps"] = f"{eps:g} ({found[1]}); {NORM_EPS:g} in every official file"
        return eps

    def check_activation(self) -> None:
        """Raise ConfigDiffers for a Hugging Face config with another activation than these blocks have."""
        activation = self.config.get("hidden_act")
        if activation not in (None, "gelu"):
            raise ConfigDiffers(
                f"{self.file.name}: {self.config.says('hidden_act')} is {str(activation)[:40]!r}; these blocks have exact"
                " GELU.",
                "This is another model. Choose the right config with --config.",
            )

    def check_mlp(self, depth: int) -> None:
        """The configured ratio or hidden width against the tensors; int(), not round() (trap 15)."""
        exact = self.find(*self.keys.hidden)
        if exact is not None:
            self.check("hidden width", exact[0], self.shapes.hidden)
        found = self.find(("mlp_ratio",), *arch("mlp_ratio"))
        if found is None and self.model_name in MODELS:
            found = MODELS[self.model_name][3], self.config.says(*self.keys.model_name)
        if found is None:
            return
        ratio = self.positive(found[0], "MLP ratio", found[1])
        hidden = int(
            self.shapes.width * ratio + 1e-6
        )  # a ratio printed with too few digits must not lose one
        wide = math.ceil(int(2 * hidden / 3) / 8) * 8
        fitting = {hidden, wide} if self.shapes.is_gated else {hidden}
        if self.shapes.hidden not in fitting:
            raise self.contradiction("hidden width", hidden, self.shapes.hidden)


def arch(key: str) -> tuple[Path, ...]:
    """Where the sections that describe a size no model_name stands for would say this."""
    return tuple((section, key) for section in ARCHITECTURE_SECTIONS)


def names_of(keys: Iterable[str]) -> set[str]:
    """Tensor names of encoder, target encoder and predictor, the part left out: "encoder/norm.bias" → "norm.bias"."""
    parts = ("encoder/", "target_encoder/", "predictor/")
    return {key.partition("/")[2] for key in keys if key.startswith(parts)}


def is_plain_transformer(names: Iterable[str], foreign: Iterable[str]) -> bool:
    """Is there an encoder of the shared kind (its first block and patch embedding), and nothing of `foreign`?"""
    names = set(names)
    has_blocks = any(name.startswith("blocks.0.attn.qkv") for name in names)
    has_patches = any(name.startswith("patch_embed.proj") for name in names)
    return has_blocks and has_patches and not {name.split(".")[0] for name in names} & set(foreign)


def has_table(names: Iterable[str]) -> bool:
    """Does a stored position table lie in the file, used or stray?"""
    return bool({"pos_embed", "predictor_pos_embed"} & set(names))


def patch_shape(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape of the patch embedding's weight as `checkpoint` tells it to `recognises`: 4 axes for pictures, 5 for clips."""
    return tuple(config.get("checkpoint_patch_shape", ()))

"""What a LeWorldModel file and the config beside it say: sizes by shapes, heads by config, and where each came from.

The config is a Hydra tree that names classes (`_target_`); those names are compared with a fixed list and never
imported. Follows specs/lewm-cjepa.md, sections 1.2 to 1.5. Reads no weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jepa_core.action_stats import Statistics, read_statistics
from jepa_core.asking import Sources
from jepa_core.design import Choices, Stored, WeightFile
from jepa_core.errors import ConfigDiffers
from jepa_core.nn.adaln import AdaLnSpec
from jepa_core.nn.cls_vit import ClsVitSpec
from jepa_core.preprocess import FITS
from jepa_core.votes import count_blocks, vote

VIT_EPS = 1e-12  # of the transformers library's ViT; no config of this family states it
SIZES = {  # builder's presets: width, layers, heads; MLP 4 x width
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}
PUBLISHED_HEAD = 64  # width of a predictor head in every published file: 16 heads, 1024 inside
FRAMESKIP = 5  # environment steps in one action block, in every published setting
RATE = 2.0  # latent steps per second
FIT = "square_antialiased"
CLASSES = frozenset(  # last word of every `_target_` seen in the project's and the hub's configs
    ["LeWM", "JEPA", "vit_hf", "Predictor", "ARPredictor", "Embedder", "MLP", "BatchNorm1d"]
)

Tensors = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is known of one file."""

    vit: ClsVitSpec
    predictor: AdaLnSpec
    action: int  # numbers in one action block
    smoothed: int
    action_hidden: int
    projector_hidden: int
    pred_hidden: int
    size: int  # pixels
    fps: float
    statistics: Statistics | None  # of an action block, where somebody wrote them down
    assumed: Mapping[str, str]


def read(file: WeightFile, choices: Choices) -> Reading:
    """Raises ConfigDiffers where config and tensors contradict each other, or nothing says the heads."""
    facts = Sources(file, choices)
    _check_classes(facts)
    vit, size = _vit(facts, file.parts["encoder"])
    predictor = _predictor(facts, file.parts)
    acts = file.parts["action_encoder"]
    action = vote(acts, ("patch_embed.weight", 1)) or _configured(facts, "action_encoder", "input_dim") or 1
    facts.check(
        "action block", facts.configured(("action_encoder", "input_dim")), action, "action_encoder.input_dim"
    )
    statistics = read_statistics(facts, "action", action)
    facts.assumed["frameskip"] = (
        f"{FRAMESKIP} environment steps in one action block (published; no file says it)"
    )
    facts.assumed["picture"] = FITS[FIT]
    facts.assumed["layer norm eps"] = f"{VIT_EPS:g} in the ViT (the transformers library's; no file says it)"
    return Reading(
        vit=vit,
        predictor=predictor,
        action=action,
        smoothed=vote(
            acts, ("patch_embed.bias", 0), ("patch_embed.weight", 0), ("embed.0.weight", 1), default=10
        ),
        action_hidden=vote(
            acts, ("embed.0.bias", 0), ("embed.0.weight", 0), ("embed.2.weight", 1), default=1
        ),
        projector_hidden=_hidden(facts, "projector"),
        pred_hidden=_hidden(facts, "pred_proj"),
        size=size,
        fps=facts.frame_rate(
            RATE, "five environment steps of 0.1 s; the file does not say its environment's rate"
        ),
        statistics=statistics,
        assumed=facts.assumed,
    )


def _vit(facts: Sources, tensors: Tensors) -> tuple[ClsVitSpec, int]:
    width = vote(
        tensors,
        ("cls_token", 2),
        ("position_embeddings", 2),
        ("norm.weight", 0),
        ("blocks.#.norm1.weight", 0),
        ("blocks.#.norm2.bias", 0),
        default=1,
    )
    hidden = vote(
        tensors,
        ("blocks.#.mlp.fc1.bias", 0),
        ("blocks.#.mlp.fc1.weight", 0),
        ("blocks.#.mlp.fc2.weight", 1),
        default=1,
    )
    depth = count_blocks(tensors, "blocks")
    patch = vote(tensors, ("patches.weight", 2)) or _configured(facts, "encoder", "patch_size") or 14
    image = facts.find(("encoder", "image_size"))
    rows = vote(tensors, ("position_embeddings", 1))
    if not rows:
        rows = 1 + (facts.whole(image[0], "side in pixels", image[1]) // patch) ** 2 if image else 257
    side = round((rows - 1) ** 0.5)
    if side < 1 or side * side != rows - 1:
        raise ConfigDiffers(
            f"{facts.file.name}: its position table has {rows} rows, which is no square of patches and one CLS.",
            "The file is damaged, or no LeWorldModel.",
        )
    size = side * patch
    preset = _preset(facts)
    facts.check("patch size", facts.configured(("encoder", "patch_size")), patch, "encoder.patch_size")
    facts.check("image size", image[0] if image else None, size, "encoder.image_size")
    facts.check("ViT width", _either(facts, "hidden_size", preset, 0), width, "encoder")
    facts.check("ViT depth", _either(facts, "num_hidden_layers", preset, 1), depth, "encoder")
    heads = _encoder_heads(facts, width, preset)
    facts.assumed["input size"] = f"{size} px ({'position table' if image is None else image[1]})"
    return ClsVitSpec(width, depth, heads, hidden, patch, rows, VIT_EPS), size


def _predictor(facts: Sources, parts: Mapping[str, Tensors]) -> AdaLnSpec:
    tensors, layer = parts["predictor"], "transformer.layers.#."
    inner = vote(
        tensors,
        ("transformer.norm.weight", 0),
        ("transformer.norm.bias", 0),
        (f"{layer}attn.norm.weight", 0),
        (f"{layer}mlp.net.0.weight", 0),
        (f"{layer}mlp.net.4.bias", 0),
        default=1,
    )
    width = vote(
        {f"{part}/{name}": t for part in parts for name, t in parts[part].items()},
        ("predictor/pos_embedding", 2),
        ("projector/net.3.bias", 0),
        ("pred_proj/net.3.bias", 0),
        ("action_encoder/embed.2.bias", 0),
        default=1,
    )
    has_output = any(name.startswith("transformer.output_proj.") for name in tensors)
    outputs = ("transformer.output_proj.bias", 0), ("transformer.output_proj.weight", 0)
    # the output's own layer is absent only where one head is as wide as all: then q, k, v are each `inner` wide
    thirds = vote(tensors, (f"{layer}attn.to_qkv.weight", 0)) // 3
    inside = vote(tensors, (f"{layer}attn.to_out.0.weight", 1)) or thirds or inner
    if thirds and thirds != inside and vote(tensors, (f"{layer}attn.to_qkv.weight", 0)) % 3 == 0:
        inside = thirds
    has_attention_output = any(".attn.to_out.0." in name for name in tensors)
    hidden = vote(
        tensors,
        (f"{layer}mlp.net.1.bias", 0),
        (f"{layer}mlp.net.1.weight", 0),
        (f"{layer}mlp.net.4.weight", 1),
        default=1,
    )
    depth = count_blocks(tensors, "transformer.layers")
    history = vote(tensors, ("pos_embedding", 1)) or _configured(facts, "predictor", "num_frames") or 3
    for what, key, found in (
        ("history", "num_frames", history),
        ("predictor depth", "depth", depth),
        ("predictor width", "hidden_dim", inner),
        ("predictor MLP", "mlp_dim", hidden),
        ("latent width", "input_dim", width),
    ):
        facts.check(what, facts.configured(("predictor", key)), found, f"predictor.{key}")
    heads = 1 if not has_attention_output and inside == inner else _predictor_heads(facts, inside)
    head_dim = facts.configured(("predictor", "dim_head"))
    facts.check(
        "heads x head width", None if head_dim is None else heads * head_dim, inside, "predictor.dim_head"
    )
    return AdaLnSpec(
        width=width,
        inner=inner,
        out=vote(tensors, *outputs, default=inner) if has_output else inner,
        history=history,
        depth=depth,
        heads=heads,
        head_dim=inside // heads,
        hidden=hidden,
    )


def _hidden(facts: Sources, part: str) -> int:
    found = vote(
        facts.file.parts[part],
        ("net.0.bias", 0),
        ("net.1.weight", 0),
        ("net.1.running_mean", 0),
        ("net.3.weight", 1),
        default=1,
    )
    facts.check(f"{part} width", facts.configured((part, "hidden_dim")), found, f"{part}.hidden_dim")
    return found


def _preset(facts: Sources) -> tuple[int, int, int] | None:
    size = facts.configured(("encoder", "size"))
    if size is None:
        return None
    if size not in SIZES:
        raise ConfigDiffers(
            f"{facts.config.says('encoder', 'size')} is {size!r}, not one of {', '.join(SIZES)}.",
            "Mend the config.",
        )
    return SIZES[size]


def _either(facts: Sources, key: str, preset: tuple[int, int, int] | None, place: int) -> Any:
    """A key that overrides the named size, else the size's own number."""
    own = facts.configured(("encoder", key))
    return own if own is not None else (preset[place] if preset else None)


def _encoder_heads(facts: Sources, width: int, preset: tuple[int, int, int] | None) -> int:
    chosen = facts.choices.encoder_heads
    found: tuple[Any, str] | None = (chosen, "chosen explicitly") if chosen is not None else None
    found = found or facts.find(("encoder", "num_attention_heads"))
    if found is None and preset is not None:
        found = preset[2], f"{facts.config.says('encoder', 'size')}: {facts.configured(('encoder', 'size'))}"
    found = _with_stated(facts, found, ".num_attention_heads", "ViT heads")
    if found is None:
        heads = next((size[2] for size in SIZES.values() if size[0] == width), None)
        found = (heads, "table of the builder's sizes, by width; the file does not say") if heads else None
    if found is None:
        raise _unknown(facts, "number of ViT heads", "encoder.num_attention_heads")
    return facts.dividing(found, width, "ViT heads")


def _predictor_heads(facts: Sources, inside: int) -> int:
    chosen = facts.choices.predictor_heads
    found: tuple[Any, str] | None = (chosen, "chosen explicitly") if chosen is not None else None
    found = _with_stated(facts, found or facts.find(("predictor", "heads")), ".attn.heads", "predictor heads")
    if found is None and inside == 16 * PUBLISHED_HEAD:
        found = 16, "the published size; the file does not say"
    if found is None:
        raise _unknown(facts, "number of predictor heads", "predictor.heads")
    return facts.dividing(found, inside, "predictor heads")


def _with_stated(
    facts: Sources, found: tuple[Any, str] | None, ending: str, what: str
) -> tuple[Any, str] | None:
    """What a pickled object says of itself: the answer where there is no other, a contradiction where there is."""
    said = {value for name, value in facts.file.stated.items() if name.endswith(ending)}
    if not said:
        return found
    if len(said) > 1 or (found is not None and found[0] not in said):
        own = ", ".join(str(value) for value in sorted(said))
        raise ConfigDiffers(
            f"{facts.file.name}: its own objects say {what} {own}"
            + (f", {found[1]} says {found[0]}." if found else ", which cannot all be right."),
            "Choose the config this file was made with, or leave it out.",
        )
    return found or (said.pop(), "the pickled object itself")


def _unknown(facts: Sources, what: str, key: str) -> ConfigDiffers:
    return ConfigDiffers(
        f"{facts.file.name} does not say its {what}, and a wrong one would give wrong results without an error.",
        f"Put the config.json it was published with beside it ({key}), or give it with --config.",
    )


def _configured(facts: Sources, *path: str) -> int | None:
    value = facts.configured(path)
    return None if value is None else facts.whole(value, "whole number", facts.config.says(*path))


def _check_classes(facts: Sources) -> None:
    """`_target_` names code. It is read as a word: the known ones are allowed, any other refuses the config."""
    for name in _targets(facts.config.values, 0):
        if not isinstance(name, str) or name.rpartition(".")[2] not in CLASSES:
            raise ConfigDiffers(
                f"{facts.config.source} names {str(name)[:80]!r}, which is no part of a LeWorldModel. It was not run.",
                "Choose the config.json this checkpoint was published with.",
            )


def _targets(values: Any, depth: int) -> Iterator[Any]:
    if depth > 8 or not isinstance(values, Mapping):
        return
    for key, value in values.items():
        if key == "_target_":
            yield value
        else:
            yield from _targets(value, depth + 1)

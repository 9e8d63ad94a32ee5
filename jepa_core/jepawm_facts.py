"""What a file of JEPA-WMs says of its predictor, and what only its config, its size or the published setting can say.

The visual encoder is never inside such a file. Two predictors are known, JEPA-WM's and DINO-WM's; which one it is
stands in the tensors. Follows specs/lewm-cjepa.md, sections 3 and 5. Reads no weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jepa_core.asking import Sources
from jepa_core.design import Choices, Stored, WeightFile
from jepa_core.errors import ConfigDiffers, KeysDiffer
from jepa_core.nn.patch_predictor import PatchPredictorSpec
from jepa_core.votes import count_blocks, vote

MODULATED, APPENDING = "JEPA-WM", "DINO-WM"
HEADS = 16  # of every published predictor
SIDES = (16, 14)  # patches each way: 224 px by 14, or 256 px by 16; 196 px by 14 of older DINO-WM
PATCH = 14  # pixels; only the absent encoder knows
WINDOW = 2  # frames and actions of the published unroll
ALPHA = 0.1  # weight of proprio in the published energy of simulated environments; 0 for the robot
RATE = 4.0  # latent steps per second, of DROID; no file says it
MASK = re.compile(
    r"transformer\.layers\.\d+\.0\.bias"
)  # a mask stored as a buffer: recomputed, never required
KEYS: Mapping[
    str, tuple[tuple[str, ...], ...]
] = {  # what a config may call it; the short ones are the goldens'
    "heads": (("heads",), ("model", "predictor", "pred_num_heads")),
    "depth": (("depth",), ("model", "predictor", "pred_depth")),
    "side": (("g",), ("model", "grid_size")),
    "frames": (("nf",), ("model", "num_frames_pred")),
    "window": (("ctxt",),),
    "visual": (("E",), ("model", "visual_encoder", "embed_dim")),
    "action": (("act",),),
    "body": (("prop",),),
    "proprio": (
        ("P",),
        ("model", "proprio_encoder", "proprio_emb_dim"),
    ),  # channels, of an appending predictor
    "appended": (("model", "action_encoder", "action_emb_dim"),),
    "alpha": (("alpha",), ("evals", "alpha")),
    "normalises": (("model", "wm_encoding", "normalize_reps"),),
}

Tensors = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is known of one file."""

    kind: str  # MODULATED | APPENDING
    predictor: PatchPredictorSpec
    action: int  # numbers in one action block
    body: int  # numbers of proprioception, 0 = none
    window: int  # frames of an unroll's window
    alpha: float  # weight of proprio in the energy
    normalises: bool  # predicted patch latents get a layer norm without weights
    fps: float
    assumed: Mapping[str, str]


def kind_of(names: frozenset[str]) -> str:
    """Which predictor these tensor names are of; empty for neither. One lost tensor does not change the answer."""
    if any(re.match(r"predictor_blocks\.\d+\.adaLN_modulation\.", name) for name in names):
        return MODULATED
    has_layers = any(re.match(r"transformer\.layers\.\d+\.0\.(to_qkv|to_out|norm)\.", name) for name in names)
    return APPENDING if has_layers and not any("adaLN_modulation" in name for name in names) else ""


def read(file: WeightFile, choices: Choices) -> Reading:
    """Raises ConfigDiffers or KeysDiffer where config and tensors contradict each other or too little is there."""
    facts = Sources(file, choices)
    tensors = file.parts["predictor"]
    kind = kind_of(frozenset(tensors))
    encoder = file.parts.get("proprio_encoder", {})
    body = (_given(facts, "body") or vote(encoder, ("patch_embed.weight", 1), default=1)) if encoder else 0
    if kind == MODULATED:
        spec, action = _modulated(facts, tensors)
    else:
        spec, action = _appending(facts, tensors)
    facts.check("visual width", facts.configured(*KEYS["visual"]), spec.visual)
    facts.check("predictor depth", facts.configured(*KEYS["depth"]), spec.depth)
    normalises = bool(facts.configured(*KEYS["normalises"]))
    facts.assumed["statistics of actions and proprioception"] = (
        "unknown: they are constants of its project's code. Values are in standard deviations from the mean"
    )
    return Reading(
        kind=kind,
        predictor=spec,
        action=action,
        body=body,
        window=_window(facts, spec),
        alpha=_alpha(facts, body),
        normalises=normalises,
        fps=facts.frame_rate(RATE, "as in DROID; no file says it"),
        assumed=facts.assumed,
    )


def _modulated(facts: Sources, tensors: Tensors) -> tuple[PatchPredictorSpec, int]:
    block = "predictor_blocks.#."
    width = vote(
        tensors,
        ("predictor_norm.weight", 0),
        ("predictor_norm.bias", 0),
        ("action_encoder.bias", 0),
        (f"{block}norm1.weight", 0),
        (f"{block}norm2.weight", 0),
        (f"{block}attn.proj.bias", 0),
        default=1,
    )
    embed = vote(
        tensors, ("predictor_embed.bias", 0), ("predictor_embed.weight", 0), ("predictor_proj.weight", 1)
    )
    if not 0 < embed <= width or (embed < width and "proprio_encoder" not in facts.file.parts):
        raise _lacking(facts, "proprio_encoder" if embed else "predictor_embed")
    spec = PatchPredictorSpec(
        visual=vote(
            tensors, ("predictor_proj.bias", 0), ("predictor_proj.weight", 0), ("predictor_embed.weight", 1)
        )
        or embed,
        proprio=width - embed,
        action=_given(facts, "action") or vote(tensors, ("action_encoder.weight", 1), default=1),
        side=_side(facts, 0),
        depth=count_blocks(tensors, "predictor_blocks"),
        heads=_heads(facts, width),
        hidden=vote(
            tensors,
            (f"{block}mlp.fc1.bias", 0),
            (f"{block}mlp.fc1.weight", 0),
            (f"{block}mlp.fc2.weight", 1),
            default=1,
        ),
        embed=embed,
    )
    return spec, spec.action


def _appending(facts: Sources, tensors: Tensors) -> tuple[PatchPredictorSpec, int]:
    encoder, body = (facts.file.parts.get(part, {}) for part in ("action_encoder", "proprio_encoder"))
    places = ("patch_embed.bias", 0), ("patch_embed.weight", 0)
    appended = _given(facts, "appended") or vote(encoder, *places)
    proprio = (_given(facts, "proprio") or vote(body, *places)) if body else 0
    if not encoder or not appended:
        raise _lacking(facts, "action_encoder")
    layer = "transformer.layers.#."
    width = vote(
        tensors,
        ("pos_embedding", 2),
        ("transformer.norm.weight", 0),
        ("transformer.norm.bias", 0),
        (f"{layer}0.norm.weight", 0),
        (f"{layer}1.net.0.weight", 0),
        (f"{layer}1.net.4.bias", 0),
        default=1,
    )
    if width <= proprio + appended:
        raise ConfigDiffers(
            f"{facts.file.name}: {proprio} proprio and {appended} action channels leave no patch latent of {width}.",
            "Its parts do not belong together.",
        )
    rows = vote(tensors, ("pos_embedding", 1))
    side = _side(facts, rows)
    if rows % side**2:
        raise facts.contradiction("grid of patches", f"{side} x {side}", f"{rows} places")
    thirds = vote(tensors, (f"{layer}0.to_qkv.weight", 0)) // 3
    inside = vote(tensors, (f"{layer}0.to_out.0.weight", 1)) or thirds or width
    heads = _heads(facts, inside)
    spec = PatchPredictorSpec(
        visual=width - proprio - appended,
        proprio=proprio,
        action=appended,
        side=side,
        depth=count_blocks(tensors, "transformer.layers"),
        heads=heads,
        hidden=vote(
            tensors,
            (f"{layer}1.net.1.bias", 0),
            (f"{layer}1.net.1.weight", 0),
            (f"{layer}1.net.4.weight", 1),
            default=1,
        ),
        head_dim=inside // heads,
        frames=rows // side**2 or facts.configured(*KEYS["frames"]) or 1,
    )
    facts.check("frames", facts.configured(*KEYS["frames"]), spec.frames)
    return spec, _given(facts, "action") or vote(encoder, ("patch_embed.weight", 1), default=1)


def _given(facts: Sources, what: str) -> int:
    """Numbers given, by the config: one tensor alone carries each, so a damaged one must not decide. 0 = not said."""
    found = facts.find(*KEYS[what])
    return facts.whole(found[0], "number of values", found[1], least=0) if found else 0


def _lacking(facts: Sources, part: str) -> KeysDiffer:
    return KeysDiffer(
        f"{facts.file.name} lacks the {part.replace('_', ' ')} that its predictor was trained with.",
        "The file is incomplete. Copy or download it again.",
    )


def _side(facts: Sources, rows: int) -> int:
    """Patches of a frame, each way: no tensor of a rotary predictor has it, and a table only its multiple."""
    found = facts.find(*KEYS["side"])
    if found is None:
        known = next((side for side in SIDES if rows % side**2 == 0), None)
        if known is None:
            raise facts.unknown("grid of patches", "model.grid_size")
        found = (
            known,
            "published; the file does not say" if not rows else "the published grid that fits its table",
        )
    facts.assumed["grid of patches"] = f"{found[0]} x {found[0]} ({found[1]})"
    return facts.whole(found[0], "number of patches", found[1])


def _heads(facts: Sources, width: int) -> int:
    if facts.choices.predictor_heads is not None:
        return facts.dividing((facts.choices.predictor_heads, "chosen explicitly"), width, "predictor heads")
    found = facts.find(*KEYS["heads"])
    if found is None and width >= 16 * HEADS and width % HEADS == 0:
        found = HEADS, "published; the file does not say"
    if found is None:
        raise facts.unknown("number of predictor heads", "model.predictor.pred_num_heads")
    return facts.dividing(found, width, "predictor heads")


def _window(facts: Sources, spec: PatchPredictorSpec) -> int:
    found = facts.find(*KEYS["window"]) or (WINDOW, "published")
    window = facts.whole(found[0], "number of frames", found[1])
    if spec.frames and window > spec.frames:
        raise facts.contradiction("window", window, f"places for {spec.frames} frames")
    facts.assumed["unroll window"] = f"{window} frames ({found[1]})"
    return window


def _alpha(facts: Sources, body: int) -> float:
    if not body:
        return 0.0
    found = facts.find(*KEYS["alpha"]) or (ALPHA, "published for simulated environments")
    if isinstance(found[0], bool) or not isinstance(found[0], int | float) or found[0] < 0:
        raise ConfigDiffers(f"{found[1]} is {found[0]!r}, not a weight.", "Mend the config.")
    facts.assumed["weight of proprioception in the energy"] = f"{found[0]:g} ({found[1]})"
    return float(found[0])

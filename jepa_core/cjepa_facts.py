"""What a C-JEPA file and the config beside it say: sizes by shapes, the rest by config or by the released ones.

No released file comes with a config; what its tensors leave open (slots, heads, the split of the time table) is known
for the released sizes and asked for otherwise. Follows specs/lewm-cjepa.md, sections 2 and 5. Reads no weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jepa_core.action_stats import Statistics, read_statistics
from jepa_core.asking import Sources
from jepa_core.design import Choices, Stored, WeightFile
from jepa_core.errors import ConfigDiffers, KeysDiffer
from jepa_core.nn.cls_vit import ClsVitSpec
from jepa_core.nn.slot_decoder import DecoderSpec
from jepa_core.nn.slot_predictor import SlotPredictorSpec
from jepa_core.nn.slots import SlotSpec
from jepa_core.preprocess import FITS
from jepa_core.votes import count_blocks, vote

DINO_EPS = 1e-6  # of every layer norm in DINOv2
DINO_HEAD = 64  # width of a head in every DINOv2
DINO_WIDTHS = (384, 768, 1024, 1536)
SLOT_HEADS = 4  # of VideoSAUR's temporal predictor and decoder
WIDTH, HEADS = 128, 16  # of a slot, and heads of the predictor, in every released file
SIZE = 196  # pixels: 14 x 14 patches
FIT = "square_antialiased"  # of its planner; its slot extraction squeezes the whole frame instead
SPLITS = {16: (6, 10), 4: (3, 1)}  # rows of the time table → history and future of CLEVRER and Push-T
SLOTS = {"clevrer": 7, "pusht": 4}
FIRST_ITERATIONS, LATER_ITERATIONS = 3, 2
MASK_SEED = 42  # drawn anew with this seed at every call: always the same slots
FRAMESKIP = {"clevrer": 2, "pusht": 5}

KEYS: Mapping[
    str, tuple[tuple[str, ...], ...]
] = {  # what a config may call it; the short ones are the goldens'
    "slots": (("num_slots",), ("N",)),
    "history": (("history_frames",), ("h",)),
    "future": (("pred_frames",), ("p",)),
    "masked": (("num_masked_slots",), ("m",)),
    "heads": (("heads",),),
    "vit_heads": (("num_attention_heads",), ("dh",)),
    "size": (("image_size",), ("img",)),
    "frameskip": (("frameskip",),),
    "first": (("first_step_iters",),),
    "later": (("grouper_iters",),),
    "dynamics_heads": (("temporal_predictor", "n_heads"),),
    "decoder_heads": (("decoder", "allocator_heads"),),
}
SLOT_PARTS = ("backbone", "features", "slots", "start")

Tensors = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is known of one file. What a file does not hold is None or 0."""

    width: int  # of a slot
    n_slots: int
    predictor: SlotPredictorSpec | None
    vit: ClsVitSpec | None
    slots: SlotSpec | None
    decoder: DecoderSpec | None
    action: int  # numbers in one action block
    proprio: int  # numbers per frame
    size: int  # pixels
    masked: int  # slots hidden in training
    mask_seed: int
    frameskip: int
    first_iterations: int
    later_iterations: int
    assumed: Mapping[str, str]
    action_statistics: Statistics | None = None
    proprio_statistics: Statistics | None = None


class _Facts(Sources):
    """Sources, and what this family asks them by its own words."""

    def asked(self, what: str, known: tuple[Any, str] | None, label: str, *, least: int = 1) -> int:
        """A whole number from the config, else the `known` one; written down under `label` with its origin."""
        found = self.find(*KEYS[what]) or known
        if found is None:
            names = " or ".join(".".join(path) for path in KEYS[what])
            raise ConfigDiffers(
                f"{self.file.name} does not say its {label}, and a wrong one would give wrong results without an error.",
                f"Put a config.json beside it that states {names}, or give it with --config.",
            )
        self.assumed[label] = f"{found[0]} ({found[1]})"
        return self.whole(found[0], "whole number", found[1], least)

    def released(self, table: Mapping[str, int]) -> tuple[int, str] | None:
        """A number that follows from the data set in the file's name."""
        data = next((data for data in table if data in self.file.name.lower()), None)
        return (table[data], f"released for {data}, by the file's name") if data else None


def read(file: WeightFile, choices: Choices) -> Reading:
    """Raises ConfigDiffers where config and tensors contradict each other or nothing says what must be known."""
    facts = _Facts(file, choices)
    has_encoder = any(part in file.parts for part in SLOT_PARTS)
    if has_encoder:
        lacking = [part for part in SLOT_PARTS if part not in file.parts]
        if lacking:
            raise KeysDiffer(
                f"{file.name} lacks the {lacking[0]} of its slot encoder.",
                "The file is incomplete. Copy or download it again.",
            )
    predictor = _predictor(facts)
    width = _slot_width(facts) if has_encoder else (predictor.width if predictor else WIDTH)
    if has_encoder and predictor is not None and predictor.width != width:
        raise ConfigDiffers(
            f"{file.name}: its predictor's tokens are {predictor.width} wide and its slots {width}: an older variant"
            " that adds actions to every slot.",
            "Only the variant with nodes of its own for action and proprioception is known here.",
        )
    decoder, vit, slots = None, None, None
    size = SIZE
    if has_encoder:
        decoder = _decoder(facts, width)
        vit, slots = _backbone(facts), _slots(facts, width)
        size = _size(facts, decoder, vit.patch)
        facts.assumed["picture"] = FITS[FIT]
    frameskip = facts.find(*KEYS["frameskip"]) or facts.released(FRAMESKIP)
    if frameskip is not None:
        facts.assumed["frameskip"] = f"{frameskip[0]} ({frameskip[1]})"
    action, proprio = (_numbers(facts, f"{what}_encoder", what) for what in ("action", "proprio"))
    return Reading(
        width=width,
        n_slots=_n_slots(facts),
        predictor=predictor,
        vit=vit,
        slots=slots,
        decoder=decoder,
        action=action,
        proprio=proprio,
        size=size,
        masked=_masked(facts) if predictor else 0,
        mask_seed=_mask_seed(facts),
        frameskip=facts.whole(frameskip[0], "whole number", frameskip[1]) if frameskip else 1,
        first_iterations=_iterations(facts, "first", FIRST_ITERATIONS) if has_encoder else 0,
        later_iterations=_iterations(facts, "later", LATER_ITERATIONS) if has_encoder else 0,
        action_statistics=read_statistics(facts, "action", action) if action else None,
        proprio_statistics=read_statistics(facts, "proprio", proprio) if proprio else None,
        assumed=facts.assumed,
    )


def _predictor(facts: _Facts) -> SlotPredictorSpec | None:
    tensors = facts.file.parts.get("predictor")
    if not tensors:
        return None
    layer = "transformer.layers.#."
    width = vote(
        tensors,
        ("mask_token", 2),
        ("time_pos_embed", 3),
        ("id_projector.bias", 0),
        ("to_out.bias", 0),
        ("transformer.norm.weight", 0),
        (f"{layer}0.out_proj.bias", 0),
        (f"{layer}1.0.weight", 0),
        default=1,
    )
    hidden = vote(
        tensors, (f"{layer}1.1.bias", 0), (f"{layer}1.1.weight", 0), (f"{layer}1.4.weight", 1), default=1
    )
    configured = facts.configured(*KEYS["history"]), facts.configured(*KEYS["future"])
    stated = sum(value for value in configured if isinstance(value, int))
    rows = vote(tensors, ("time_pos_embed", 1)) or stated or max(SPLITS)
    split = SPLITS.get(rows)
    history = facts.asked(
        "history", (split[0], "released, by the time table's rows") if split else None, "history"
    )
    future = facts.asked(
        "future", (rows - history, "the rest of the time table"), "frames predicted per call"
    )
    facts.check("frames in the time table", history + future, rows)
    depth = count_blocks(tensors, "transformer.layers")
    facts.check("predictor depth", facts.configured(("depth",)), depth, "depth")
    facts.check("predictor width", facts.configured(("slot_dim",), ("D",)), width)
    facts.check("predictor MLP", facts.configured(("mlp_dim",), ("mlp",)), hidden)
    return SlotPredictorSpec(width, history, future, depth, _heads(facts, width), hidden)


def _heads(facts: _Facts, width: int) -> int:
    if facts.choices.predictor_heads is not None:
        return facts.dividing((facts.choices.predictor_heads, "chosen explicitly"), width, "predictor heads")
    stated = _stated(facts, r"(.*\.)?transformer\.layers\.\d+\.0\.num_heads", "predictor heads")
    found = facts.find(*KEYS["heads"]) or stated
    if found and stated and found[0] != stated[0]:
        raise facts.contradiction("predictor heads", found[0], stated[0], "heads")
    if found is None and width == WIDTH:
        found = HEADS, "released for this width; the file does not say"
    if found is None:
        raise facts.unknown("number of predictor heads", "heads")
    return facts.dividing(found, width, "predictor heads")


def _backbone(facts: _Facts) -> ClsVitSpec:
    tensors = facts.file.parts["backbone"]
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
    rows = vote(tensors, ("position_embeddings", 1), default=1370)  # 37 x 37 patches of 518 px, and CLS
    if round((rows - 1) ** 0.5) ** 2 != rows - 1 or rows < 2:
        raise ConfigDiffers(
            f"{facts.file.name}: its position table has {rows} rows, which is no square of patches and one CLS.",
            "The file is damaged, or no C-JEPA.",
        )
    if facts.choices.encoder_heads is not None:
        found: tuple[Any, str] | None = facts.choices.encoder_heads, "chosen explicitly"
    else:
        found = facts.find(*KEYS["vit_heads"]) or _stated(
            facts, r".*backbone\..*\.num_attention_heads", "DINOv2 heads"
        )
    if found is None and width in DINO_WIDTHS:
        found = width // DINO_HEAD, "every DINOv2 has heads of 64; the file does not say"
    if found is None:
        raise facts.unknown("number of DINOv2 heads", "num_attention_heads")
    return ClsVitSpec(
        width=width,
        depth=count_blocks(tensors, "blocks"),
        heads=facts.dividing(found, width, "DINOv2 heads"),
        hidden=hidden,
        patch=vote(tensors, ("patches.weight", 2), default=14),
        table_rows=rows,
        eps=DINO_EPS,
        has_layer_scale=True,
    )


def _slot_width(facts: _Facts) -> int:
    parts = facts.file.parts
    return vote(
        {f"{part}/{name}": t for part in ("features", "slots", "start") for name, t in parts[part].items()},
        ("start/mean", 2),
        ("start/log_std", 2),
        ("features/layers.3.bias", 0),
        ("slots/corrector.norm_slots.weight", 0),
        ("slots/corrector.norm_features.weight", 0),
        ("slots/predictor.blocks.#.norm1.weight", 0),
        default=1,
    )


def _slots(facts: _Facts, width: int) -> SlotSpec:
    features, slots = facts.file.parts["features"], facts.file.parts["slots"]
    both = {
        **{f"f/{n}": t for n, t in features.items()},
        **{f"b/{n}": t for n, t in facts.file.parts["backbone"].items()},
    }
    block = "predictor.blocks.#."
    heads = facts.asked("dynamics_heads", (SLOT_HEADS, "released"), "temporal predictor heads")
    return SlotSpec(
        features=vote(
            both, ("f/layers.0.weight", 0), ("f/layers.0.bias", 0), ("b/norm.weight", 0), default=1
        ),
        feature_hidden=vote(
            features, ("layers.1.bias", 0), ("layers.1.weight", 0), ("layers.3.weight", 1), default=1
        ),
        width=width,
        blocks=count_blocks(slots, "predictor.blocks"),
        heads=facts.dividing((heads, "VideoSAUR"), width, "temporal predictor heads"),
        hidden=vote(
            slots,
            (f"{block}linear1.bias", 0),
            (f"{block}linear1.weight", 0),
            (f"{block}linear2.weight", 1),
            default=1,
        ),
    )


def _decoder(facts: _Facts, width: int) -> DecoderSpec | None:
    tensors = facts.file.parts.get("decoder")
    if not tensors:
        return None
    block = "allocator.blocks.#."
    numbers = sorted(
        {int(m[1]) for name in tensors if (m := re.match(r"renderer\.layers\.(\d{1,3})\.", name))}
    )
    rendered = tuple(
        vote(tensors, (f"renderer.layers.{i}.bias", 0), (f"renderer.layers.{i}.weight", 0), default=1)
        for i in range(0, (max(numbers) if numbers else 0) + 1, 2)
    )
    heads = facts.asked("decoder_heads", (SLOT_HEADS, "released"), "decoder heads")
    return DecoderSpec(
        width=width,
        patches=vote(tensors, ("pos_emb", 1), default=(SIZE // 14) ** 2),
        blocks=count_blocks(tensors, "allocator.blocks"),
        heads=facts.dividing((heads, "VideoSAUR"), width, "decoder heads"),
        hidden=vote(
            tensors,
            (f"{block}linear1.bias", 0),
            (f"{block}linear1.weight", 0),
            (f"{block}linear2.weight", 1),
            default=1,
        ),
        rendered=rendered,
        out=vote(tensors, ("output_transform.bias", 0), ("output_transform.weight", 0), default=1),
    )


def _size(facts: _Facts, decoder: DecoderSpec | None, patch: int) -> int:
    known: tuple[int, str] = SIZE, "published; the file does not say"
    if decoder is not None:
        side = round(decoder.patches**0.5)
        if side * side != decoder.patches:
            raise ConfigDiffers(
                f"{facts.file.name}: its decoder has {decoder.patches} patches, which is no square.",
                "The file is damaged, or no C-JEPA.",
            )
        known = side * patch, "the decoder's patches"
        facts.check("image size", facts.configured(*KEYS["size"]), known[0])
    size = facts.asked("size", known, "input size in pixels")
    if size % patch and "patches.weight" in facts.file.parts["backbone"]:
        raise ConfigDiffers(f"{size} px are no whole number of {patch} px patches.", "Mend the config.")
    return size


def _n_slots(facts: _Facts) -> int:
    known = facts.released(SLOTS)
    if known is None and "proprio_encoder" in facts.file.parts:
        known = SLOTS["pusht"], "released with action and proprio nodes"
    rows = vote(facts.file.parts.get("predictor", {}), ("time_pos_embed", 1))
    if known is None and rows == sum(SPLITS[16]):
        known = SLOTS["clevrer"], "released with this time table"
    return facts.asked("slots", known, "slots")


def _masked(facts: _Facts) -> int:
    """How many slots training hid; only the masked mode asks."""
    by_name = re.search(r"(?:videosaur|savi)_(\d)_epoch", facts.file.name)
    known = (int(by_name[1]), "by the file's name") if by_name else (0, "the file does not say")
    return facts.asked("masked", known, "slots hidden in training", least=0)


def _mask_seed(facts: _Facts) -> int:
    """A config's `seed` is the masks' only where it stands beside their number."""
    paths = [("seed_mask",)] + ([("seed",)] if facts.config.get("num_masked_slots") is not None else [])
    found = facts.find(*paths)
    return facts.whole(found[0], "seed", found[1], 0) if found else MASK_SEED


def _iterations(facts: _Facts, what: str, released: int) -> int:
    label = "slot iterations on the first frame" if what == "first" else "slot iterations on later frames"
    return facts.asked(what, (released, "released"), label)


def _numbers(facts: _Facts, part: str, key: str) -> int:
    tensors = facts.file.parts.get(part)
    if not tensors:
        return 0
    short = {"action": "act", "proprio": "prop"}[key]
    found = vote(tensors, ("patch_embed.weight", 1))
    configured = facts.configured((f"{key}_dim",), (short,))
    facts.check(f"{key} width", configured, found or configured)
    return found or configured or 1


def _stated(facts: _Facts, pattern: str, what: str) -> tuple[Any, str] | None:
    said = {value for name, value in facts.file.stated.items() if re.fullmatch(pattern, name)}
    if len(said) > 1:
        raise ConfigDiffers(
            f"{facts.file.name}: its own objects disagree about its {what}: {sorted(said)}.",
            "The file is damaged. Copy or download it again.",
        )
    return (said.pop(), "the pickled object itself") if said else None

"""What an EB-JEPA file and the config beside it say: sizes by shapes, the picture's side by config or as published.

Follows specs/lewm-cjepa.md, section 4. Reads no weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jepa_core.asking import Sources
from jepa_core.design import Choices, Stored, WeightFile
from jepa_core.ebjepa_file import ACTION
from jepa_core.errors import ConfigDiffers
from jepa_core.nn.impala import ImpalaSpec, halved
from jepa_core.votes import count_blocks, vote

ARCHITECTURE = "impala"  # the one encoder that is known here
SIZE = 65  # pixels of its Two Rooms
FRAMES = 8  # of a clip shown to it; training takes other lengths and nothing depends on it
RATE = 5.0  # steps per second: its environment has no clock of its own
CHANNELS = ("agent", "walls")  # of Two Rooms; not colours

Tensors = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is known of one file."""

    encoder: ImpalaSpec
    action: int  # numbers per action
    fps: float
    assumed: Mapping[str, str]


def read(file: WeightFile, choices: Choices) -> Reading:
    """Raises ConfigDiffers where config and tensors contradict each other."""
    facts = Sources(file, choices)
    named = facts.configured(("model", "encoder_architecture"))
    if named not in (None, ARCHITECTURE):
        raise facts.contradiction("encoder", named, ARCHITECTURE, "model.encoder_architecture")
    predictor = file.parts["predictor"]
    encoder = _encoder(facts, file.parts["encoder"], predictor)
    action = file.stated.get(ACTION) or vote(predictor, ("rnn.weight_ih_l0", 1), default=2)
    facts.assumed["action units"] = "raw displacements per step, as trained: nothing is normalised"
    return Reading(
        encoder=encoder,
        action=int(action),
        fps=facts.frame_rate(RATE, "its environment counts steps, not seconds; this console's choice"),
        assumed=facts.assumed,
    )


def _encoder(facts: Sources, tensors: Tensors, predictor: Tensors) -> ImpalaSpec:
    depth = max(count_blocks(tensors, "stack_blocks"), 1)
    stacks = tuple(_stack_width(tensors, number) for number in range(depth))
    both = {f"e/{n}": t for n, t in tensors.items()} | {f"p/{n}": t for n, t in predictor.items()}
    width = vote(
        both,
        ("e/mlp.bias", 0),
        ("e/mlp.weight", 0),
        ("e/final_ln.weight", 0),
        ("e/final_ln.bias", 0),
        ("p/final_ln.weight", 0),
        ("p/final_ln.bias", 0),
        ("p/rnn.weight_hh_l0", 1),
        default=1,
    )
    channels = vote(tensors, ("stack_blocks.0.initial_conv.weight", 1), default=len(CHANNELS))
    facts.check("channels of the picture", facts.configured(("model", "dobs")), channels, "model.dobs")
    facts.check("latent width", facts.configured(("model", "mlp_output_dim")), width, "model.mlp_output_dim")
    return ImpalaSpec(
        channels=channels,
        stacks=stacks,
        blocks=max(count_blocks(tensors, f"stack_blocks.{number}.blocks") for number in range(depth)),
        side=_side(facts, tensors, stacks),
        width=width,
    )


def _stack_width(tensors: Tensors, number: int) -> int:
    stem = f"stack_blocks.{number}."
    return vote(
        tensors,
        (f"{stem}initial_conv.bias", 0),
        (f"{stem}initial_conv.weight", 0),
        (f"{stem}blocks.#.conv1.bias", 0),
        (f"{stem}blocks.#.conv2.bias", 0),
        default=1,
    )


def _side(facts: Sources, tensors: Tensors, stacks: tuple[int, ...]) -> int:
    """Pixels of the picture: the tensors tell only what three halvings leave of it."""
    found = facts.find(("data", "img_size")) or (SIZE, "published; the file does not say")
    side = facts.whole(found[0], "side in pixels", found[1])
    facts.assumed["input size"] = f"{side} px ({found[1]})"
    places, rest = divmod(vote(tensors, ("mlp.weight", 1)), stacks[-1])
    if places and rest == 0 and halved(side, len(stacks)) ** 2 != places:
        raise ConfigDiffers(
            f"{facts.file.name}: {side} px ({found[1]}) leave {halved(side, len(stacks)) ** 2} places of its last"
            f" feature map, the tensors have {places}.",
            "State the size it was trained with in a config.yaml beside it (data.img_size), or give it with --config.",
        )
    return side

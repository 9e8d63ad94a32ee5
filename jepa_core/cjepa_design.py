"""From what is known of a C-JEPA file to empty modules, and what to say of it on screen.

Reads no weight. The family's own file holds what the model does.
"""

from __future__ import annotations

import torch
from torch import nn

from jepa_core import action_stats
from jepa_core import cjepa_facts as facts
from jepa_core.design import LookSize
from jepa_core.nn.cls_vit import ClsVit
from jepa_core.nn.pointwise import PointwiseEncoder
from jepa_core.nn.slot_decoder import SlotMixer
from jepa_core.nn.slot_predictor import SlotPredictor
from jepa_core.nn.slots import FeatureMlp, SlotProcessor, SlotStart
from jepa_core.types import ActionSpec

STEPS_PER_BLOCK = 5  # environment steps in one action block of Push-T
START_SEED = 0
BLIND = "No encoder is in this file: C-JEPA's predictor alone takes slots, not pictures, so there is nothing to see."
STARTS = "slots start from the same seeded noise at every look; other noise would give other slots in another order"


def action_spec(count: int, proprio: int) -> ActionSpec:
    """One block: the actions of five environment steps, one after another, each in standard deviations."""
    per_step, rest = divmod(count, STEPS_PER_BLOCK)
    names = tuple(
        f"number {i + 1}" if rest else f"step {i // per_step + 1}, action {i % per_step + 1}"
        for i in range(count)
    )
    body = tuple(f"proprioception {i + 1}" for i in range(proprio))
    return ActionSpec(
        names,
        ("standard deviations",) * count,
        (-action_stats.FARTHEST,) * count,
        (action_stats.FARTHEST,) * count,
        body,
    )


def empty_modules(reading: facts.Reading) -> dict[str, nn.Module]:
    """The parts that the file has, on the meta device."""
    modules: dict[str, nn.Module] = {}
    with torch.device("meta"):
        if reading.vit is not None and reading.slots is not None:
            modules["backbone"] = ClsVit(reading.vit)
            modules["features"] = FeatureMlp(reading.slots)
            modules["slots"] = SlotProcessor(reading.slots)
            modules["start"] = SlotStart(reading.width)
        if reading.decoder is not None:
            modules["decoder"] = SlotMixer(reading.decoder)
        if reading.predictor is not None:
            modules["predictor"] = SlotPredictor(reading.predictor)
        if reading.action:
            modules["action_encoder"] = PointwiseEncoder(reading.action, reading.width)
            modules["proprio_encoder"] = PointwiseEncoder(reading.proprio, reading.width)
    return modules


def variant(reading: facts.Reading) -> str:
    """ "Push-T kind, 4 slots of 128" """
    slots = f"{reading.n_slots} slots of {reading.width}"
    if reading.vit is None:
        return f"predictor alone, {slots}"
    if reading.predictor is None:
        return f"slot encoder alone (VideoSAUR), {slots}, {reading.size} px"
    return f"with encoder{' and actions' if reading.action else ''}, {slots}, {reading.size} px"


def abilities(reading: facts.Reading) -> frozenset[str]:
    """A file with encoder and predictor predicts: under actions where it has nodes for them, else from slots alone."""
    found = {"temporal", "slots"}
    if reading.vit is not None and reading.predictor is not None:
        found.add("actions" if reading.action else "masked")
    return frozenset(found)


def seeds(reading: facts.Reading) -> dict[str, str]:
    if reading.vit is None:
        return {}
    return {
        "slot start": f"noise of this console's own seed {START_SEED}; the published code draws new noise at every call"
    }


def notes(reading: facts.Reading) -> tuple[str, ...]:
    notes = ["object slots: an error per object, and no error per place of the picture"]
    if reading.vit is None:
        notes.append(
            "no encoder in this file: it takes slots, not pictures; to watch it, name the slot encoder beside it in"
            ' <name>.card.json: {"slot_encoder": "FILE"}'
        )
    else:
        notes.append(STARTS)
    if reading.predictor is None:
        notes.append("no predictor in this file: nothing can be predicted")
    elif reading.vit is not None and reading.action:
        notes += action_stats.notes_on("action", reading.action_statistics)
        notes += action_stats.notes_on("proprio", reading.proprio_statistics)
    return tuple(notes)


def look_size(reading: facts.Reading, frames: int) -> LookSize:
    if reading.vit is None:
        hidden = reading.predictor.hidden if reading.predictor else reading.width
        return LookSize(frames * reading.n_slots, reading.width, hidden, 0)
    side = reading.size // reading.vit.patch
    return LookSize(
        frames * (side * side + 1),
        reading.vit.width,
        reading.vit.hidden,
        3 * frames * reading.size**2,
        steps=frames,
        latents=frames * reading.n_slots,
        latent_width=reading.width,
    )

"""Looks of the systems whose latents are no grid of patches, and of files that predict or see nothing: for the screens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, Inspection, MaskSet, frozen
from tests.widgets.builders import make_checkpoint, make_inspection, make_slots

ACTS = ActionSpec(("x", "y"), ("m", "m"), (-1.0,) * 2, (1.0,) * 2)
OBJECTS = make_checkpoint(
    family="C-JEPA", variant="4 slots of 128", layout="slots", slots=4, metric="l2", action=ACTS,
    abilities=frozenset({"temporal", "actions", "slots"}), input=InputSpec(196, 4, 2.0, 1, 14, fit="square_antialiased"),
)  # fmt: skip
ONE_LATENT = replace(OBJECTS, family="LeWorldModel", variant="ViT-tiny/14", layout="global", slots=0)
ARM = replace(OBJECTS, family="V-JEPA 2-AC", variant="ViT-g/16", layout="grid", slots=0, metric="l1")
BLIND = replace(OBJECTS, cannot_see="No encoder is in this file: it takes slots, not pictures.")
SYSTEMS: dict[str, tuple[CheckpointInfo, Callable[[], Inspection | None]]] = {
    "slots": (OBJECTS, make_slots),
    "slots exchanged": (OBJECTS, lambda: make_slots(assignment=(0, 2, 1, 3))),
    "slots without places": (OBJECTS, lambda: make_slots(regions=None)),
    "slots alone": (OBJECTS, lambda: _unpredicted(make_slots())),
    "global": (ONE_LATENT, lambda: make_inspection(kind="global", rule="future", shape=(8, 1, 1))),
    "global alone": (
        ONE_LATENT,
        lambda: _unpredicted(make_inspection(kind="global", rule="future", shape=(8, 1, 1))),
    ),
    "arm": (ARM, lambda: make_inspection(rule="future")),
    "blind": (BLIND, lambda: None),
}


def _unpredicted(look: Inspection) -> Inspection:
    """The same look where nothing could be predicted."""
    everything = MaskSet(frozen(np.arange(look.layout.n_tokens, dtype=np.int32)), (), 0)
    return replace(
        look, error=frozen(np.full_like(look.error, np.nan)), masks=everything, assignment=(),
        note="This source tells no actions; this system predicts only under actions.",
    )  # fmt: skip


CARDS: dict[str, CheckpointInfo] = {
    "objects": OBJECTS,
    "one latent": ONE_LATENT,
    "arm": ARM,
    "blind": BLIND,
    "encoder alone": make_checkpoint(abilities=frozenset({"temporal"})),
    "picture": make_checkpoint(abilities=frozenset({"masked"}), multiblock="pictures"),
}

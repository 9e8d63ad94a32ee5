"""What a checkpoint's kind leaves to choose on the screen: which layers can be drawn, which masks it can answer.

Pure functions of what is known of it; None, nothing loaded, leaves every choice open.
"""

from __future__ import annotations

from jepa_core.types import CheckpointInfo

RULES = ("future", "multiblock", "region")


def layers_of(info: CheckpointInfo | None) -> frozenset[str]:
    """Boxes of the layers card that would draw something."""
    if info is not None and info.cannot_see:
        return frozenset()
    if info is None or info.layout == "grid":
        return frozenset({"error", "masks"})
    return frozenset({"error", "slots"}) if info.layout == "slots" else frozenset()


def rules_of(info: CheckpointInfo | None) -> tuple[str, ...]:
    """Mask rules it can answer, in the order of RULES; () where it predicts nothing."""
    if info is None:
        return RULES
    if info.cannot_see or not info.abilities & {"masked", "actions"}:
        return ()
    if info.layout != "grid" or "masked" not in info.abilities:
        return ("future",)
    return RULES if "temporal" in info.abilities else RULES[1:]

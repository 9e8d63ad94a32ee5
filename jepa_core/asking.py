"""Asks a checkpoint's companions for what its tensors do not say: the config beside it, its name, a person's choice.

What each answer rests on is written down in `assumed`, for the load report; a config that contradicts the tensors is
refused. The families' own facts are built on this. Reads no weight.
"""

from __future__ import annotations

import math
from typing import Any

from jepa_core.design import Choices, Config, WeightFile
from jepa_core.errors import CheckpointError, ConfigDiffers

LARGEST = 1_000_000  # of any number a config may state: pixels, frames, blocks, heads
LONGEST = 80  # characters of a stranger's value in a sentence


def said(value: Any) -> str:
    """A config's value as a sentence can hold it: short, and without signs that move a terminal's cursor."""
    text = str(value) if isinstance(value, int | float) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def another_depth(wanted: int, found: int) -> str:
    """What to do where a config promises more or fewer blocks than there are."""
    if wanted > found:
        return (
            f"{wanted - found} blocks are missing, and nothing is ever filled with random numbers. Ask for the complete "
            "file, or for the config it was made with."
        )
    return "This config belongs to another checkpoint. Choose the right one with --config."


class Sources:
    """Where the facts of one file may come from, and what has been taken from where."""

    def __init__(self, file: WeightFile, choices: Choices) -> None:
        self.file = file
        self.config: Config = file.config
        self.choices = choices
        self.assumed: dict[str, str] = {}
        self.refusal: CheckpointError | None = None  # why the file is refused once the whole report is there

    def configured(self, *paths: tuple[str, ...]) -> Any:
        """The first of these config keys that has a value."""
        found = self.find(*paths)
        return found[0] if found else None

    def find(self, *paths: tuple[str, ...]) -> tuple[Any, str] | None:
        """The first of these config keys that has a value, and how to name its origin."""
        for path in paths:
            value = self.config.get(*path)
            if value is not None:
                return value, self.config.says(*path)
        return None

    def check(self, what: str, configured: Any, found: Any, key: str = "") -> None:
        """Raise ConfigDiffers where the config says a value and the tensors say another."""
        if configured is not None and configured != found:
            raise self.contradiction(what, configured, found, key)

    def contradiction(self, what: str, configured: Any, found: Any, key: str = "") -> ConfigDiffers:
        where = f"{self.config.source}{', ' + key if key else ''}"
        return ConfigDiffers(
            f"{self.file.name}: {where} says {what} {said(configured)}, the tensors say {found}.",
            "This config belongs to another checkpoint. Choose the right one with --config.",
        )

    def unknown(self, what: str, key: str) -> ConfigDiffers:
        return ConfigDiffers(
            f"{self.file.name} does not say its {what}, and a wrong one would give wrong results without an error.",
            f"Put the params.yaml of its training beside it ({key}), or give it with --config.",
        )

    def whole(self, value: Any, what: str, where: str, least: int = 1, most: int = LARGEST) -> int:
        """A whole number of a size that a model can have, or ConfigDiffers."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigDiffers(f"{where} is {said(value)}, not a {what}.", "Mend the config.")
        return value

    def positive(self, value: Any, what: str, where: str) -> float:
        """A number above zero, or ConfigDiffers."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST:
            raise ConfigDiffers(f"{where} is {said(value)}, not a {what}.", "Mend the config.")
        return float(value)

    def dividing(self, found: tuple[Any, str], width: int, what: str) -> int:
        """A number of heads that divides the width, or ConfigDiffers; written down with its origin."""
        heads = self.whole(found[0], "number of heads", found[1])
        if width % heads:
            raise ConfigDiffers(
                f"{self.file.name}: {heads} {what} ({found[1]}) do not divide its width {width}.",
                "This config belongs to another checkpoint. Choose the right one with --config.",
            )
        self.assumed[what] = f"{heads} ({found[1]})"
        return heads

    def frame_rate(self, default: float, why: str) -> float:
        """data.fps of the config, else the default; written down with its origin."""
        found = self.find(("data", "fps"))
        if found is None:
            self.assumed["frame rate"] = f"{default:g} per second ({why})"
            return default
        rate = self.positive(found[0], "frame rate", found[1])
        self.assumed["frame rate"] = f"{rate:g} per second ({found[1]})"
        return rate

    def check_hidden(self, what: str, width: int, ratio: Any, hidden: int, *, is_gated: bool) -> None:
        """A configured MLP ratio against the hidden width: int(), not round(); a gated MLP may be two thirds as wide."""
        if not isinstance(ratio, int | float) or isinstance(ratio, bool):
            return
        ratio = self.positive(ratio, "MLP ratio", f"{self.config.source}, mlp_ratio")
        whole = int(width * ratio + 1e-6)  # a ratio printed with too few digits must not lose one
        wide = math.ceil(int(2 * whole / 3) / 8) * 8
        if hidden not in ({whole, wide} if is_gated else {whole}):
            raise self.contradiction(what, whole, hidden)

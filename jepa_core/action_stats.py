"""Mean and deviation of the numbers a body or its commands were trained in, where somebody wrote them down.

No file of LeWorldModel or C-JEPA holds them. A config or a card beside the checkpoint may: `action_mean`, `action_std`,
`proprio_mean`, `proprio_std`, per number of one environment step or of the whole block. Without them recorded numbers
are taken as they come, and the load report says so. Reads no weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jepa_core.asking import Sources
from jepa_core.errors import ActionOutOfRange, ConfigDiffers, NotAble
from jepa_core.families.base import Motion

FARTHEST = 10.0  # standard deviations. No number of a data set lies further out; what does is in other units
AS_THEY_COME = "recorded {0} are used as they come: the file does not hold the statistics of its training set"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of one row of numbers, as wide as the model takes it."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, values: Tensor) -> Tensor:
        """(..., n) as recorded → (..., n) in standard deviations. What is not known (NaN) becomes the mean, as in training."""
        mean, std = (
            torch.tensor(row, dtype=values.dtype, device=values.device) for row in (self.mean, self.std)
        )
        return ((values - mean) / std).nan_to_num(nan=0.0)


def read_statistics(facts: Sources, what: str, width: int) -> Statistics | None:
    """Statistics of `what` ("action", "proprio") for rows of `width` numbers, by config or card; None where neither says.

    What was found, or that nothing was, is written down in `facts.assumed`. Raises ConfigDiffers where it does not fit.
    """
    mean, std = (_said(facts, f"{what}_{kind}") for kind in ("mean", "std"))
    label = f"{what} statistics"
    if mean is None and std is None:
        facts.assumed[label] = (
            f"unknown: the file does not hold them. Recorded {_plural(what)} are used as they come, as if they were "
            "standard deviations from the training set's mean"
        )
        return None
    if mean is None or std is None:
        raise ConfigDiffers(
            f"{facts.file.name}: {(mean or std or ((), ''))[1]} is given without its other half.",
            f"State {what}_mean and {what}_std, or neither.",
        )
    read = Statistics(_fitted(*mean, width), _fitted(*std, width))
    if min(read.std) <= 0:
        raise ConfigDiffers(
            f"{std[1]} holds a deviation that is not above 0.", "Mend the config or the card."
        )
    facts.assumed[label] = f"mean and deviation per number ({mean[1]})"
    return read


def notes_on(what: str, statistics: Statistics | None) -> tuple[str, ...]:
    """To be said on screen."""
    return () if statistics else (AS_THEY_COME.format(_plural(what)),)


def blocks_of(
    motion: Motion | None, frames: int, width: int, statistics: Statistics | None, name: str
) -> Tensor:
    """The recorded action blocks of a clip as its model takes them: (1, frames - 1, width), in standard deviations.

    Raises NotAble, in words, where the source does not tell them or tells others.
    """
    blocks = motion.actions if motion is not None else None
    if blocks is None:
        raise NotAble(
            f"This source tells no actions; {name} predicts only under actions.",
            f"Use a trajectory that records what was done, {width} numbers in a block.",
        )
    if blocks.shape[1:] != (frames - 1, width):
        raise NotAble(
            f"This source tells {blocks.shape[-1]} numbers of action between two frames; this {name} takes {width}.",
            "Its actions are of another body, or another number of steps lies between its frames.",
        )
    return within_range(blocks if statistics is None else statistics.apply(blocks), "actions", statistics)


def within_range(values: Tensor, what: str, statistics: Statistics | None) -> Tensor:
    """The same values. Raises NotAble where they cannot be standard deviations."""
    if bool((values.abs() <= FARTHEST).all()):  # a NaN is not
        return values
    largest = f"{float(values.abs().max()):.4g}"
    if statistics is None:
        raise NotAble(
            f"This source's {what} reach {largest}; the checkpoint takes standard deviations, and nothing says how to"
            " convert them.",
            "State the mean and deviation of its training set in <name>.card.json beside it.",
        )
    raise NotAble(
        f"This source's {what} lie up to {largest} standard deviations from the mean of the training set.",
        "They are in other units, or the stated mean and deviation are of another data set.",
    )


def check_range(action: Tensor) -> None:
    """Raise ActionOutOfRange where a candidate's action cannot be in standard deviations."""
    if not bool((action.abs() <= FARTHEST).all()):  # a NaN is outside too
        raise ActionOutOfRange(
            f"An action lies {float(action.abs().max()):.4g} standard deviations from the mean, outside ±{FARTHEST:g}.",
            "Actions are z-scores of the training set's actions, not raw commands.",
        )


def _said(facts: Sources, key: str) -> tuple[Any, str] | None:
    for name in (key, key.replace("proprio_", "state_")):
        if name in facts.file.card:
            return facts.file.card[name], f"the card beside it, {name}"
        if found := facts.find((name,)):
            return found
    return None


def _fitted(values: Any, where: str, width: int) -> tuple[float, ...]:
    """A list per number of a step, repeated over the steps of a block, or per number of the block."""
    if not isinstance(values, list) or not values or not all(_is_number(value) for value in values):
        raise ConfigDiffers(f"{where} is not a list of numbers.", "Mend the config or the card.")
    if width % len(values):
        raise ConfigDiffers(
            f"{where} has {len(values)} numbers, which do not make up the {width} that this checkpoint takes.",
            "Give one per number of a step, or one per number of the whole block.",
        )
    return tuple(float(value) for value in values) * (width // len(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plural(what: str) -> str:
    return {"action": "actions", "proprio": "body readings"}[what]

"""What every checkpoint family must answer. One family, one file, one line in `registry.FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jepa_core.types import CheckpointInfo, LoadReport, MaskSet

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[float, str], None]
"""fraction 0..1 of the work, and what is being done, in words."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What was done, and how the body stood, at the frames of one clip. Float32, on the model's device."""

    actions: (
        Tensor | None
    )  # (1, T - 1, A): all actions that left a frame until the next one of the clip, in a row
    states: Tensor | None  # (1, T, P)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one prediction gave. All float32 or the model's own dtype, on its device."""

    predicted: Tensor  # (B, Nt, D), order of the target indices
    target: Tensor  # (B, Nt, D), target encoder, already layer-normed as the family prescribes
    context: Tensor  # (B, Nc, D), context encoder output of the context tokens only
    latents: Tensor | None = (
        None  # (B, N, levels·D): the target latents of the whole clip, where they were made anyway
    )
    regions: Tensor | None = None  # (B, S, h, w): slots only, share of each patch of the newest frame
    attention: Tensor | None = None  # (B, S, S): slots only, what each predicted slot looked at
    assignment: Tensor | None = (
        None  # (B, k, S) int64: slots only, the predicted slot that fits each real one
    )
    note: str = ""  # why nothing was predicted, where there is something to see all the same


@dataclass(frozen=True, slots=True)
class Memory:
    """A rollout in progress; families subclass it with their own history."""

    latent: Tensor  # (K, N, D)


class JepaModel(Protocol):
    """One loaded checkpoint. Lives in the engine process only; never crosses a pipe."""

    info: CheckpointInfo
    report: LoadReport

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """Do these tensor names (prefixes stripped, 'encoder/…', 'predictor/…') and this config belong here?"""
        ...

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What in a file that `recognises` took shows that it is of this system, in words for the load report."""
        ...

    def grid(self, n_frames: int) -> tuple[int, int, int]:
        """(T', H', W') of the tokens of a clip of `n_frames` frames at the input size."""
        ...

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, N, D) target latents, layer-normed as the family prescribes."""
        ...

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """Masked prediction. The context encoder runs on the context tokens only.

        clip (B, C, T, H, W) normalised. Several target masks are predicted one by one and concatenated. A family that
        predicts from actions rolls out from the context frames with the actions of `motion`.
        Raises NotAble, whose sentence is shown, where this file or this source cannot give a prediction.
        """
        ...

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> Memory:
        """Start an action rollout. Raises NotAble where the family takes no actions."""
        ...

    def step(self, memory: Memory, action: Tensor) -> Memory:
        """One step of a rollout: action (K, A) → memory with .latent (K, N, D). Raises NotAble likewise."""
        ...


@runtime_checkable
class LeveledModel(Protocol):
    """A checkpoint whose latents can be looked at on several levels: info.levels > 1."""

    def every_level(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, N, levels·D), each level layer-normed alone, low first.

        The last D values are those of `encode`, or all of them are.
        """
        ...

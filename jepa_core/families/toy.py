"""A tiny model with known answers, for tests and drills. Never offered to a user; `registry` keeps it apart.

Its latent of a token is the mean colour of that token's pixels, and it predicts that nothing changes: a hidden token
looks like the newest context token at the same place, or like the mean of the context where there is none. So a still
scene has error 0 and a changed patch has the change as its error, computable by hand. An action adds its components to
the latent's channels, so a rollout ends at start + sum of actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jepa_core.errors import ActionOutOfRange, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport, MaskSet

WIDTH = 3  # channels of a latent: red, green, blue, normalised


@dataclass(frozen=True, slots=True)
class ToyMemory(Memory):
    steps: int = 0


class ToyModel:
    """Mean colours in, persistence out. Exact on every device and in every precision that holds a mean."""

    def __init__(
        self,
        *,
        size: int = 32,
        patch: int = 8,
        frames: int = 8,
        tubelet: int = 2,
        fps: float = 10.0,
        device: str = "cpu",
        has_actions: bool = False,
    ) -> None:
        spec = InputSpec(size=size, frames=frames, fps=fps, tubelet=tubelet, patch=patch)
        action = ActionSpec(("red", "green"), ("", ""), (-1.0, -1.0), (1.0, 1.0)) if has_actions else None
        abilities = {"masked", "temporal"} | ({"actions"} if has_actions else set())
        self.info = CheckpointInfo(
            id="0000000000000000:float32",
            family="Toy",
            variant=f"{size} px, patch {patch}, {frames} frames",
            path="toy",
            sha256="0" * 64,
            input=spec,
            action=action,
            abilities=frozenset(abilities),
            device=device,
            dtype="float32",
            parameters=0,
            embed_dim=WIDTH,
            notes=("toy model with known answers, not a world model",),
        )
        self.report = LoadReport(
            path="toy", family="Toy", variant=self.info.variant, matched=0, sha256="0" * 64
        )

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        return False

    def grid(self, n_frames: int) -> tuple[int, int, int]:
        spec = self.info.input
        side = spec.size // spec.patch
        return n_frames // spec.tubelet, side, side

    def encode(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) → (B, N, 3): mean colour of each token's pixels."""
        spec = self.info.input
        B, C, T, H, W = clip.shape
        t, h, w = T // spec.tubelet, H // spec.patch, W // spec.patch
        clip = clip[:, :, : t * spec.tubelet, : h * spec.patch, : w * spec.patch]
        tiles = clip.reshape(B, C, t, spec.tubelet, h, spec.patch, w, spec.patch)
        return tiles.float().mean(dim=(3, 5, 7)).flatten(2).transpose(1, 2)  # (B, N, 3)

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """Persistence: every target token repeats the newest context token at its place."""
        latents = self.encode(clip)
        side = self.grid(clip.shape[2])[1]
        per_step = side * side
        context = torch.from_numpy(masks.context.astype(np.int64)).to(latents.device)
        newest = {
            int(n) % per_step: int(n) for n in sorted(context.tolist())
        }  # the last one of a place stays
        mean = latents[:, context].mean(dim=1)  # (B, 3)
        predicted, target = [], []
        for indices in masks.targets:
            for n in indices.tolist():
                source = newest.get(n % per_step)
                predicted.append(mean if source is None else latents[:, source])
                target.append(latents[:, n])
        return Prediction(torch.stack(predicted, 1), torch.stack(target, 1), latents[:, context])

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> ToyMemory:
        if self.info.action is None:
            raise NotAble("This toy model takes no actions.", "Build it with has_actions=True.")
        return ToyMemory(latent=self.encode(clip).repeat_interleave(candidates, 0))

    def step(self, memory: Memory, action: Tensor) -> ToyMemory:
        """Add each candidate's action to the first channels of every latent."""
        if action.abs().max() > 1:
            raise ActionOutOfRange(
                "A toy action lies outside -1 … 1.", "Keep every component within its range."
            )
        latent = memory.latent.clone()
        latent[..., : action.shape[1]] += action[:, None]
        steps = memory.steps if isinstance(memory, ToyMemory) else 0
        return ToyMemory(latent=latent, steps=steps + 1)

"""The masked look that I-JEPA, V-JEPA and V-JEPA 2 share: a context encoder, its EMA twin, and a predictor between.

`MaskedModel` answers JepaModel for a family that has nothing but these three; the families say what their files mean
and where they differ. Sections mean `specs/ijepa-vjepa-vjepa2.md`. Lives in the engine's process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from jepa_core.errors import NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.latents import normalise_target, token_numbers
from jepa_core.nn.attention import gather_tokens
from jepa_core.nn.positions import Grid
from jepa_core.nn.predictor import Predictor
from jepa_core.nn.vit import TableRule, VisionTransformer
from jepa_core.types import CheckpointInfo, LoadReport, MaskSet


@dataclass(frozen=True, slots=True)
class Settings:
    """What the modules themselves do not hold."""

    native: Grid  # tokens of the clip the checkpoint was built for
    frames_per_step: int  # tubelet; 1 for a picture model
    mask_token: int = 0
    token_of_generator: Mapping[str, int] = field(default_factory=dict)  # where each has its own, section 5
    square_split: bool = False
    look_tables: TableRule | None = None  # of encoders in `encode` and `predict`, where not as in `features`


class MaskedModel:
    """One loaded checkpoint with a context encoder, a target encoder, a predictor, or fewer of them."""

    SYSTEM = ""  # exact system name

    def __init__(
        self, settings: Settings, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> None:
        self.info = info
        self.report = report
        self.settings = settings
        context = modules.get("encoder", modules.get("target_encoder"))
        target = modules.get("target_encoder", context)
        predictor = modules.get("predictor")
        assert isinstance(context, VisionTransformer)
        assert isinstance(target, VisionTransformer)
        self.context_encoder: VisionTransformer = context
        self.target_encoder: VisionTransformer = target
        self.predictor: Predictor | None = predictor if isinstance(predictor, Predictor) else None

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T', H', W') of a clip of `n_frames` frames at the input size; frames that fill no tubelet do not count."""
        side = self.info.input.size // self.info.input.patch
        steps = max(n_frames // self.settings.frames_per_step, 1) if self.context_encoder.spec.tubelet else 1
        return steps, side, side

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, N, D) float32 target latents: target encoder, then layer norm (section 6)."""
        patches, grid = self.context_encoder.patch_embed.patches(self._fitting(clip))
        return self._targets(patches, grid)

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """Masked prediction of each target mask from the context tokens only.

        clip (B, C, T, H, W) normalised; masks shared by the batch. Raises NotAble where the file has no predictor.
        """
        if self.predictor is None:
            raise self._without_predictor()  # before any encoder runs
        clip = self._fitting(clip)
        patches, grid = self.context_encoder.patch_embed.patches(clip)
        keep = token_numbers(masks.context, clip.device)
        mask_token = self.settings.token_of_generator.get(masks.generator, self.settings.mask_token)
        context = self.context_encoder.encode_patches(patches, grid, keep, tables=self.settings.look_tables)
        target = self._targets(patches, grid)
        predicted, wanted = [], []
        for mask in masks.targets:
            indices = token_numbers(mask, clip.device)
            predicted.append(self.predict_tokens(context, keep, indices, grid, mask_token=mask_token))
            wanted.append(gather_tokens(target, indices))
        return Prediction(torch.cat(predicted, dim=1), torch.cat(wanted, dim=1), context, latents=target)

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> Memory:
        raise NotAble(f"{self.SYSTEM} takes no actions.", "Rollouts need an action-conditioned checkpoint.")

    def step(self, memory: Memory, action: Tensor) -> Memory:
        raise NotAble(f"{self.SYSTEM} takes no actions.", "Rollouts need an action-conditioned checkpoint.")

    # --- the pieces, for parity, training and anticipation -----------------------------------------------------------

    def features(
        self,
        clip: Tensor,
        keep: Tensor | None = None,
        *,
        encoder: str = "context",
        split: tuple[int, int] | None = None,
    ) -> Tensor:
        """Encoder output before any target norm: all tokens, or only `keep` (K,) or (B, K) → (B, N or K, D).

        encoder  "context" | "target"
        split    see VisionTransformer.forward
        """
        module = self.context_encoder if encoder == "context" else self.target_encoder
        return module(self._fitting(clip), keep, split=split)

    def predict_tokens(
        self,
        context: Tensor,
        context_indices: Tensor,
        target_indices: Tensor,
        grid: Grid | None = None,
        *,
        mask_token: int | None = None,
    ) -> Tensor:
        """The predictor alone: context latents (B, Kc, D) → predictions (B, Kt, D), order of the target indices.

        grid        of the clip the indices count; None = the one the checkpoint was built for
        mask_token  None = the loaded choice
        """
        if self.predictor is None:
            raise self._without_predictor()
        grid = grid or self.settings.native
        if self.settings.square_split:
            grid = (grid[0], *self.settings.native[1:])
        number = self.settings.mask_token if mask_token is None else mask_token
        return self.predictor(context, context_indices, target_indices, grid=grid, mask_token=number)

    def _without_predictor(self) -> NotAble:
        return NotAble(
            "This file has no predictor: features can be looked at, predictions cannot.",
            "Load a checkpoint that holds `predictor`.",
        )

    def _targets(self, patches: Tensor, grid: Grid) -> Tensor:
        return normalise_target(
            self.target_encoder.encode_patches(patches, grid, tables=self.settings.look_tables)
        )

    def _fitting(self, clip: Tensor) -> Tensor:
        """The clip in the model's dtype; a single frame is repeated to fill one tubelet, as Hugging Face does.

        A picture model takes the newest frame of a clip.
        """
        clip = clip.to(self.context_encoder.norm.weight.dtype)
        tubelet = self.context_encoder.spec.tubelet
        if not tubelet:
            return clip if clip.ndim == 4 else clip[:, :, -1]
        if clip.ndim == 4:
            raise NotAble("A picture was given to a clip model.", "Repeat the picture in time.")
        if clip.shape[2] < tubelet:
            clip = clip.repeat(1, 1, tubelet, 1, 1)
        return clip

"""V-JEPA 2.1: masked prediction of four levels of latents, for clips and for pictures.

Reads what a file says, builds its encoders and predictor, and answers JepaModel. Follows part B of
`specs/vjepa2-ac-vjepa2.1.md`; numbers of sections below mean that document. ViT-B and ViT-L were distilled from ViT-G:
their files hold no target to hold a prediction against, and nothing here makes one up.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jepa_core import marks
from jepa_core import vjepa21_design as building
from jepa_core import vjepa21_facts as facts
from jepa_core.design import Choices, Design, WeightFile
from jepa_core.errors import KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.ladder import sizes_below
from jepa_core.latents import choose_mask_token, normalise_target, token_numbers
from jepa_core.nn.attention import gather_tokens
from jepa_core.nn.leveled import (
    N_LEVELS,
    LeveledPredictor,
    LeveledTransformer,
)
from jepa_core.nn.positions import Grid, split_indices
from jepa_core.shapes import read_encoder, read_predictor
from jepa_core.types import CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "V-JEPA 2.1"


class VJepa21:
    """One loaded V-JEPA 2.1 checkpoint."""

    def __init__(
        self,
        settings: building.Settings,
        modules: Mapping[str, nn.Module],
        info: CheckpointInfo,
        report: LoadReport,
    ) -> None:
        self.info = info
        self.report = report
        self.settings = settings
        context, target = (
            modules[next(part for part in order if part in modules)]
            for order in (building.CONTEXTS, building.TARGETS)
        )
        predictor = modules.get("predictor")
        assert isinstance(context, LeveledTransformer)
        assert isinstance(target, LeveledTransformer)
        self.context_encoder: LeveledTransformer = context
        self.target_encoder: LeveledTransformer = target
        self.predictor: LeveledPredictor | None = (
            predictor if isinstance(predictor, LeveledPredictor) else None
        )

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """An encoder whose levels have norms of their own: no other system has those."""
        return any(key.partition("/")[0] in building.TARGETS and "/norms_block." in key for key in keys)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return (
            *(mark for part in building.CONTEXTS for mark in marks.numbered(keys, f"{part}/norms_block")),
            *(
                ()
                if any(key.endswith("encoder/norm.weight") for key in keys)
                else ("no norm after the last block",)
            ),
            *marks.present(keys, "predictor/predictor_embed.0", "predictor/predictor_proj_context"),
        )

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        encoders = {part: file.parts[part] for part in building.CONTEXTS if file.parts.get(part)}
        shapes = read_encoder(building.with_kernel(list(encoders.values())))
        predictor = file.parts.get("predictor", {})
        shapes_p = read_predictor(predictor) if predictor else None
        if shapes is None or (predictor and shapes_p is None):
            raise KeysDiffer(
                f"{file.name} lacks too many tensors of its {'predictor' if shapes else 'encoder'} to say what it is.",
                "The file is incomplete. Copy or download it again.",
            )
        reading = facts.read(file, shapes, shapes_p, encoders, choices)
        mask_token, mask_rule = choose_mask_token(predictor, reading.mask_tokens, choices)
        side = reading.size // shapes.patch
        has_target = shapes_p is not None and reading.output_width == shapes.width
        settings = building.Settings(
            native=(max(reading.frames // shapes.tubelet, 1), side, side),
            mask_token=mask_token,
            square_split=choices.square_split,
            levels=reading.levels if shapes_p is not None else 1,
            has_target=has_target,
        )
        spec = InputSpec(
            size=reading.size,
            frames=reading.frames,
            fps=reading.fps,
            tubelet=shapes.tubelet,
            patch=shapes.patch,
        )
        width = shapes.width * (settings.levels if has_target else 1)
        return Design(
            family=NAME,
            variant=building.variant(shapes, reading),
            modules=building.empty_modules(shapes, shapes_p, reading, list(encoders)),
            sources={**encoders, **({"predictor": predictor} if predictor else {})},
            input=spec,
            abilities=frozenset({"temporal", "masked"} if has_target else {"temporal"}),
            embed_dim=width,
            look=building.look_size(shapes, shapes_p, settings),
            sizes=sizes_below(reading.size, shapes.patch),
            settings=settings,
            ignored=file.ignored,
            absent_parts=building.absent(file, has_target),
            assumed={**reading.assumed, **mask_rule, **building.encoder_rule(encoders)},
            notes=building.notes(file, reading, has_target),
            refusal=reading.refusal,
            levels=N_LEVELS,
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> VJepa21:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T', H', W') of a clip of `n_frames` frames at the input size; an odd last frame does not count."""
        side = self.info.input.size // self.info.input.patch
        return max(n_frames // self.info.input.tubelet, 1), side, side

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, N, levels·D) float32: the targets of its training (B4).

        Each level layer-normed alone, then concatenated, low first. Of a distilled checkpoint, or one without a
        predictor: its own last level, layer-normed.
        """
        return self.every_level(clip)[..., -self.info.embed_dim :]

    def every_level(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, N, 4·D) float32: each level layer-normed alone, then in a row, low first.

        For looking at any file's features; what is predicted are those of `encode`.
        """
        return concatenated(normalise_target(self.levels(clip)))

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """Masked prediction of each target mask from the context tokens only.

        clip (B, C, T, H, W) normalised; masks shared by the batch. Raises NotAble where the file has no predictor or
        no target of its own.
        """
        self._check_target()
        keep = token_numbers(masks.context, clip.device)
        context = self.context(clip, keep)
        every_level = self.every_level(clip)
        target = every_level[..., -self.info.embed_dim :]
        grid = self.grid_of(clip)
        predicted, wanted = [], []
        for mask in masks.targets:
            indices = token_numbers(mask, clip.device)
            is_picture = clip.shape[2] == 1
            predicted.append(self.predict_tokens(context, keep, indices, grid, is_picture=is_picture)[0])
            wanted.append(gather_tokens(target, indices))
        return Prediction(torch.cat(predicted, dim=1), torch.cat(wanted, dim=1), context, latents=every_level)

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> Memory:
        raise NotAble(f"{NAME} takes no actions.", "Rollouts need an action-conditioned checkpoint.")

    def step(self, memory: Memory, action: Tensor) -> Memory:
        raise NotAble(f"{NAME} takes no actions.", "Rollouts need an action-conditioned checkpoint.")

    # --- the pieces, for parity, latent views and training -----------------------------------------------------------

    def levels(self, clip: Tensor, keep: Tensor | None = None, *, encoder: str = "target") -> Tensor:
        """All four levels, each through its own norm, low first: (4, B, N or K, D). encoder: "target" | "context"

        The last is the dense feature (B5). Raises NotAble for a clip that the encoder cannot be shown.
        """
        module = self.context_encoder if encoder == "context" else self.target_encoder
        return module(self._fitting(clip), keep)

    def context(self, clip: Tensor, keep: Tensor) -> Tensor:
        """What the predictor is given: context encoder, visible tokens only → (B, K, levels·D)."""
        levels = self.levels(clip, keep, encoder="context")
        return concatenated(levels) if self.settings.levels > 1 else levels[-1]

    def predict_tokens(
        self,
        context: Tensor,
        context_indices: Tensor,
        target_indices: Tensor,
        grid: Grid | None = None,
        *,
        mask_token: int | None = None,
        is_picture: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The predictor alone: predictions at the targets and, where there is that head, at the context.

        grid        of the clip the indices count; None = the one the checkpoint was built for
        mask_token  None = the loaded choice
        """
        if self.predictor is None:
            raise NotAble(
                "This file has no predictor: features can be looked at, predictions cannot.",
                "Load a checkpoint that holds `predictor`.",
            )
        grid = grid or self.settings.native
        if self.settings.square_split:
            grid = (grid[0], *self.settings.native[1:])
        number = self.settings.mask_token if mask_token is None else mask_token
        return self.predictor(
            context, context_indices, target_indices, grid=grid, mask_token=number, is_picture=is_picture
        )

    def grid_of(self, clip: Tensor) -> Grid:
        """(T', H', W') of this very clip, whatever its size."""
        spec = self.target_encoder.spec
        steps = max(clip.shape[2] // spec.tubelet, 1)
        return steps, clip.shape[3] // spec.patch, clip.shape[4] // spec.patch

    def _fitting(self, clip: Tensor) -> Tensor:
        """The clip in the model's dtype, or NotAble: what the official code crashes on or silently hides."""
        spec = self.target_encoder.spec
        if clip.ndim == 4:
            raise NotAble("A picture came without a time axis.", "Give (B, 3, 1, H, W).")
        if clip.shape[2] < spec.tubelet and not spec.has_pictures:
            raise NotAble(
                "This checkpoint has no tokenizer for pictures.", f"Show it {spec.tubelet} frames or more."
            )
        rows, columns = clip.shape[3] // spec.patch, clip.shape[4] // spec.patch
        if spec.scales_positions and min(rows, columns) < 2:
            raise NotAble(
                f"{clip.shape[3]} x {clip.shape[4]} pixels are {rows} x {columns} tokens, whose positions cannot be scaled.",
                f"Show it {2 * spec.patch} pixels or more each way.",
            )
        return clip.to(next(self.target_encoder.parameters()).dtype)

    def _check_target(self) -> None:
        if self.predictor is not None and not self.settings.has_target:
            raise NotAble(
                f"{self.info.variant}: {building.DISTILLED}.",
                "Load the ViT-g or ViT-G file to see predictions beside what happened.",
            )


def concatenated(levels: Tensor) -> Tensor:
    """(L, B, N, D) → (B, N, L·D), low level first."""
    return levels.permute(1, 2, 0, 3).flatten(2)


def context_weights(context_indices: Tensor, target_indices: Tensor, grid: Grid) -> Tensor:
    """The square root of each context token's distance to the nearest target, by which its loss is divided (B4).

    *_indices (B, K) on `grid`; distance Euclidean in time steps, rows and columns → (B, Kc) float32
    """
    here, there = (
        torch.stack(split_indices(indices, grid[1], grid[2]), dim=-1).float()
        for indices in (context_indices, target_indices)
    )
    apart = (here[:, :, None] - there[:, None]).norm(dim=-1)  # (B, Kc, Kt)
    return apart.min(dim=-1).values.sqrt()

"""V-JEPA 2.1: masked prediction of four levels of latents, for clips and for pictures.

Reads what a file says, builds its encoders and predictor, and answers JepaModel. Follows part B of
`specs/vjepa2-ac-vjepa2.1.md`; numbers of sections below mean that document. ViT-B and ViT-L were distilled from ViT-G:
their files hold no target to hold a prediction against, and nothing here makes one up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from jepa_core import vjepa21_facts as facts
from jepa_core.design import Choices, Design, LookSize, Stored, WeightFile
from jepa_core.errors import KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.ladder import sizes_below
from jepa_core.latents import choose_mask_token, normalise_target, token_numbers
from jepa_core.nn.attention import gather_tokens
from jepa_core.nn.leveled import (
    N_LEVELS,
    LeveledPredictor,
    LeveledPredictorSpec,
    LeveledTransformer,
    LeveledVitSpec,
)
from jepa_core.nn.positions import Grid, split_indices
from jepa_core.shapes import EncoderShapes, PredictorShapes, read_encoder, read_predictor
from jepa_core.types import CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "V-JEPA 2.1"
TARGETS = (
    "ema_encoder",
    "target_encoder",
    "encoder",
)  # whose features and targets: the first that is there (C)
CONTEXTS = ("encoder", "ema_encoder", "target_encoder")
DISTILLED = (
    "no target in this file: it was distilled from a larger teacher, whose latents its predictor speaks of"
)
TUBELET = 2  # of every published 2.1 encoder, where a damaged file cannot say


@dataclass(frozen=True, slots=True)
class Settings:
    """What the modules themselves do not hold."""

    native: Grid  # tokens of the clip the checkpoint was built for
    mask_token: int
    square_split: bool
    levels: int  # that its predictor reads and writes; 1 = the last alone
    has_target: bool  # does the predictor speak of latents this file can make


class VJepa21:
    """One loaded V-JEPA 2.1 checkpoint."""

    def __init__(
        self, settings: Settings, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> None:
        self.info = info
        self.report = report
        self.settings = settings
        context, target = (
            modules[next(part for part in order if part in modules)] for order in (CONTEXTS, TARGETS)
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
        return any(key.partition("/")[0] in TARGETS and "/norms_block." in key for key in keys)

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        encoders = {part: file.parts[part] for part in CONTEXTS if file.parts.get(part)}
        shapes = read_encoder(_with_kernel(list(encoders.values())))
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
        settings = Settings(
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
            variant=_variant(shapes, reading),
            modules=_empty_modules(shapes, shapes_p, reading, list(encoders)),
            sources={**encoders, **({"predictor": predictor} if predictor else {})},
            input=spec,
            abilities=frozenset({"temporal", "masked"} if has_target else {"temporal"}),
            embed_dim=width,
            look=_look_size(shapes, shapes_p, settings),
            sizes=sizes_below(reading.size, shapes.patch),
            settings=settings,
            ignored=file.ignored,
            absent_parts=_absent(file, has_target),
            assumed={**reading.assumed, **mask_rule, **_encoder_rule(encoders)},
            notes=_notes(file, reading, has_target),
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
                f"{self.info.variant}: this file has no predictor, so nothing can be predicted.",
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
                f"{self.info.variant}: {DISTILLED}.",
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


# --- building ----------------------------------------------------------------------------------------------------


def _with_kernel(parts: list[Mapping[str, Stored]]) -> list[Mapping[str, Stored]]:
    """Where no part has a whole clip kernel, the picture tokenizer's tells the patch, so that the lost one is named."""
    name, other = "patch_embed.proj.weight", "patch_embed_img.proj.weight"
    if any(name in part and _is_kernel(part[name].shape) for part in parts):
        return parts
    for part in parts:
        if other in part and _is_kernel(part[other].shape):
            D, C, _, p, _ = part[other].shape
            return [*parts, {name: replace(part[other], shape=(D, C, TUBELET, p, p))}]
    return parts


def _is_kernel(shape: tuple[int, ...]) -> bool:
    return len(shape) == 5 and shape[-1] == shape[-2] and shape[1] == 3


def _empty_modules(
    shapes: EncoderShapes, shapes_p: PredictorShapes | None, reading: facts.Reading, encoders: list[str]
) -> dict[str, nn.Module]:
    """Every part that the file has, on the meta device."""
    vit = LeveledVitSpec(
        width=shapes.width,
        depth=reading.depth,
        heads=reading.heads,
        hidden=shapes.hidden,
        patch=shapes.patch,
        tubelet=shapes.tubelet,
        is_gated=shapes.is_gated,
        has_modality=reading.has_modality,
        has_pictures=reading.has_pictures,
        scales_positions=reading.scales_positions,
    )
    modules: dict[str, nn.Module] = {}
    with torch.device("meta"):
        for part in encoders:
            modules[part] = LeveledTransformer(vit)
        if shapes_p is not None:
            predictor = LeveledPredictorSpec(
                encoder_width=shapes.width,
                width=shapes_p.width,
                depth=reading.predictor_depth,
                heads=reading.predictor_heads,
                hidden=shapes_p.hidden,
                mask_tokens=reading.mask_tokens,
                levels=reading.levels,
                output_width=reading.output_width,
                is_gated=shapes_p.is_gated,
                has_modality=reading.has_modality,
                has_context_head=reading.has_context_head,
                scales_positions=reading.predictor_scales,
            )
            modules["predictor"] = LeveledPredictor(predictor)
    return modules


def _variant(shapes: EncoderShapes, reading: facts.Reading) -> str:
    """ "ViT-g/16, 384 px, 64 frames" """
    name = f"ViT-{reading.released.letter}" if reading.released else f"ViT {shapes.width}x{reading.depth}"
    return f"{name}/{shapes.patch}, {reading.size} px, {reading.frames} frames"


def _absent(file: WeightFile, has_target: bool) -> tuple[str, ...]:
    """Whole parts that are absent by design. A distilled file holds neither a student nor its teacher."""
    has_predictor = bool(file.parts.get("predictor"))
    absent = [] if file.parts.get("encoder") else ["encoder"]
    if not (file.parts.get("target_encoder") or file.parts.get("ema_encoder")):
        absent.append("target_encoder")
    if not has_predictor:
        absent.append("predictor")
    elif not has_target:
        absent.append("teacher")
    return tuple(absent)


def _encoder_rule(encoders: Mapping[str, object]) -> dict[str, str]:
    target = next(part for part in TARGETS if part in encoders)
    context = next(part for part in CONTEXTS if part in encoders)
    return {"features and targets": f"the part {target}", "context": f"the part {context}"}


def _notes(file: WeightFile, reading: facts.Reading, has_target: bool) -> tuple[str, ...]:
    if not file.parts.get("predictor"):
        return ("no predictor in this file: nothing can be predicted",)
    notes = [] if has_target else [DISTILLED]
    if has_target and not file.parts.get("encoder"):
        notes.append("no context encoder in this file: its EMA target encoder gives the context")
    if has_target and not (file.parts.get("target_encoder") or file.parts.get("ema_encoder")):
        notes.append("no EMA target in this file: its context encoder gives the targets")
    if has_target and reading.levels == N_LEVELS:
        notes.append("error is the mean over its four levels of features")
    return tuple(notes)


def _look_size(
    shapes: EncoderShapes, shapes_p: PredictorShapes | None, settings: Settings
) -> Callable[[int, int], LookSize]:
    def of(frames: int, size: int) -> LookSize:
        side = size // shapes.patch
        steps = max(frames // shapes.tubelet, 1)
        return LookSize(
            tokens=steps * side * side,
            width=shapes.width,
            hidden=shapes.hidden,
            input_values=3 * max(frames, 1) * size * size,
            steps=steps,
            latent_width=shapes.width * (settings.levels if settings.has_target else N_LEVELS),
            levels=N_LEVELS,
            predictor_width=shapes_p.width if shapes_p and settings.has_target else 0,
        )

    return of

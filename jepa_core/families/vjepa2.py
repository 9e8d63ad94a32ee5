"""V-JEPA 2: masked prediction in latent space, 3-D rotary (or sin-cos) positions, clips or pictures.

Reads what a file says, builds encoder, target encoder and predictor, and answers JepaModel. Everything here follows
`specs/ijepa-vjepa-vjepa2.md`; numbers of sections below mean that document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core import vjepa2_facts as facts
from jepa_core.design import Choices, Design, LookSize, Stored, WeightFile
from jepa_core.errors import KeysDiffer, NotAble
from jepa_core.families.base import Memory, Prediction
from jepa_core.latents import choose_mask_token, normalise_target, token_numbers
from jepa_core.nn.attention import gather_tokens
from jepa_core.nn.positions import Grid, resample_2d, resample_3d, sincos_2d, sincos_3d
from jepa_core.nn.predictor import Predictor, PredictorSpec
from jepa_core.nn.vit import TableRule, VisionTransformer, VitSpec
from jepa_core.shapes import EncoderShapes, PredictorShapes, read_encoder, read_predictor
from jepa_core.types import CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "V-JEPA 2"
ENCODERS = ("encoder", "target_encoder")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the modules themselves do not hold."""

    native: Grid  # tokens of the clip the checkpoint was built for
    mask_token: int
    square_split: bool
    frames_per_step: int  # tubelet; 1 for a picture model


class VJepa2:
    """One loaded V-JEPA 2 checkpoint."""

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

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """A V-JEPA 2 encoder, alone or with its masked predictor. Section 3, family detection."""
        own = {key for key in keys if key.startswith(("encoder/", "target_encoder/", "predictor/"))}
        has_blocks = any(key.partition("/")[2].startswith("blocks.0.attn.qkv") for key in own)
        has_patches = any(key.partition("/")[2].startswith("patch_embed.proj") for key in own)
        if not (has_blocks and has_patches):
            return False
        foreign = (
            "mask_token",
            "action_encoder",
            "state_encoder",
            "img_mod_embed",
            "video_mod_embed",
            "norms_block",
        )
        names = {key.partition("/")[2] for key in own}
        if any(name.split(".")[0] in foreign for name in names):
            return False
        if facts.is_vjepa2_config(config):
            return True
        if "pos_embed" not in names:
            return True  # only RoPE models keep no table
        mask_tokens = sum(name.startswith("mask_tokens.") for name in names)
        return mask_tokens in (6, 10) or facts.released(str(config.get("checkpoint_file", ""))) is not None

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        encoders = {part: file.parts[part] for part in ENCODERS if file.parts.get(part)}
        shapes = read_encoder(encoders.values())
        if shapes is None:
            raise KeysDiffer(
                f"{file.name} lacks too many of the encoder's tensors to say what it is.",
                "The file is incomplete. Copy or download it again.",
            )
        predictor = file.parts.get("predictor", {})
        shapes_p = read_predictor(predictor) if predictor else None
        if predictor and shapes_p is None:
            raise KeysDiffer(
                f"{file.name} lacks too many of the predictor's tensors to say what it is.",
                "The file is incomplete. Copy or download it again.",
            )
        reading = facts.read(file, shapes, shapes_p, choices)
        sources, ignored = _sort_tables(
            {**encoders, **({"predictor": predictor} if predictor else {})}, reading
        )
        modules = _empty_modules(shapes, shapes_p, reading, list(encoders))
        mask_token, assumed = choose_mask_token(predictor, shapes_p.mask_tokens if shapes_p else 0, choices)
        absent = tuple(part for part in (*ENCODERS, "predictor") if part not in sources)
        spec = InputSpec(
            size=reading.size,
            frames=reading.frames,
            fps=reading.fps,
            tubelet=max(shapes.tubelet, 1),
            patch=shapes.patch,
        )
        abilities = {"temporal"} if shapes.tubelet else set()
        if shapes_p is not None:
            abilities.add("masked")
        settings = Settings(
            native=reading.native,
            mask_token=mask_token,
            square_split=choices.square_split,
            frames_per_step=max(shapes.tubelet, 1),
        )
        return Design(
            family=NAME,
            variant=facts.variant(shapes, reading),
            modules=modules,
            sources=sources,
            input=spec,
            abilities=frozenset(abilities),
            embed_dim=shapes.width,
            look=lambda frames: _look_size(shapes, spec, frames),
            settings=settings,
            ignored=(*file.ignored, *ignored),
            absent_parts=absent,
            assumed={**reading.assumed, **assumed, **_target_rule(absent)},
            notes=_notes(absent),
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> VJepa2:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T', H', W') of a clip of `n_frames` frames at the input size; frames that fill no tubelet do not count."""
        side = self.info.input.size // self.info.input.patch
        steps = max(n_frames // self.settings.frames_per_step, 1) if self.context_encoder.spec.tubelet else 1
        return steps, side, side

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, N, D) float32 target latents: target encoder, then layer norm (section 6)."""
        return normalise_target(self.features(clip, encoder="target"))

    def predict(self, clip: Tensor, masks: MaskSet) -> Prediction:
        """Masked prediction of each target mask from the context tokens only.

        clip (B, C, T, H, W) normalised; masks shared by the batch. Raises NotAble where the file has no predictor.
        """
        clip = self._fitting(clip)
        patches, grid = self.context_encoder.patch_embed.patches(clip)
        keep = token_numbers(masks.context, clip.device)
        context = self.context_encoder.encode_patches(patches, grid, keep)
        target = normalise_target(self.target_encoder.encode_patches(patches, grid))
        predicted, wanted = [], []
        for mask in masks.targets:
            indices = token_numbers(mask, clip.device)
            predicted.append(self.predict_tokens(context, keep, indices, grid))
            wanted.append(gather_tokens(target, indices))
        return Prediction(torch.cat(predicted, dim=1), torch.cat(wanted, dim=1), context)

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> Memory:
        raise NotAble(f"{NAME} takes no actions.", "Rollouts need an action-conditioned checkpoint.")

    def step(self, memory: Memory, action: Tensor) -> Memory:
        raise NotAble(f"{NAME} takes no actions.", "Rollouts need an action-conditioned checkpoint.")

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
            raise NotAble(
                f"{self.info.variant}: this file has no predictor, so nothing can be predicted.",
                "Load a checkpoint that holds `predictor`.",
            )
        grid = grid or self.settings.native
        if self.settings.square_split:
            grid = (grid[0], *self.settings.native[1:])
        number = self.settings.mask_token if mask_token is None else mask_token
        return self.predictor(context, context_indices, target_indices, grid=grid, mask_token=number)

    def _fitting(self, clip: Tensor) -> Tensor:
        """The clip in the model's dtype; a single frame is repeated to fill one tubelet, as Hugging Face does."""
        clip = clip.to(self.context_encoder.norm.weight.dtype)
        tubelet = self.context_encoder.spec.tubelet
        if not tubelet:
            return clip if clip.ndim == 4 else clip[:, :, -1]
        if clip.ndim == 4:
            raise NotAble("A picture was given to a clip model.", "Repeat the picture in time.")
        if clip.shape[2] < tubelet:
            clip = clip.repeat_interleave(tubelet, dim=2)
        return clip


# --- building ----------------------------------------------------------------------------------------------------


def _empty_modules(
    shapes: EncoderShapes, shapes_p: PredictorShapes | None, reading: facts.Reading, encoders: list[str]
) -> dict[str, nn.Module]:
    """Every part that the file has, on the meta device."""
    vit = VitSpec(
        width=shapes.width,
        depth=reading.depth,
        heads=reading.heads,
        hidden=shapes.hidden,
        patch=shapes.patch,
        tubelet=shapes.tubelet,
        is_gated=shapes.is_gated,
        has_rope=reading.has_rope,
        table_tokens=0 if reading.has_rope else _count(reading.native),
    )
    modules: dict[str, nn.Module] = {}
    with torch.device("meta"):
        for part in encoders:
            modules[part] = VisionTransformer(vit, encoder_tables(reading.native))
        if shapes_p is not None:
            predictor = PredictorSpec(
                encoder_width=shapes.width,
                width=shapes_p.width,
                depth=reading.predictor_depth,
                heads=reading.predictor_heads,
                hidden=shapes_p.hidden,
                mask_tokens=reading.mask_tokens,
                is_gated=shapes_p.is_gated,
                has_rope=reading.has_rope,
                table_tokens=0 if reading.has_rope else _count(reading.predictor_native),
            )
            rule = _predictor_tables(reading.predictor_native, predictor.width, reading.uniform_power)
            modules["predictor"] = Predictor(predictor, rule)
    return modules


def encoder_tables(native: Grid) -> TableRule:
    """Stored table at the built size; its first steps for a shorter clip of that size; else interpolated (4.3)."""

    def fit(table: Tensor, grid: Grid) -> Tensor:
        if grid == native:
            return table
        if grid[1:] == native[1:] and grid[0] < native[0]:
            return table[:, : _count(grid)]
        if native[0] == 1:
            return resample_2d(table, native[1:], grid[1:])
        return resample_3d(table, native, grid)

    return fit


def _predictor_tables(native: Grid, width: int, uniform_power: bool) -> TableRule:
    """As the encoder's, but never interpolated: at another size the table is computed anew, as rebuilding does (4.3)."""

    def fit(table: Tensor, grid: Grid) -> Tensor:
        if grid == native:
            return table
        if grid[1:] == native[1:] and grid[0] < native[0]:
            return table[:, : _count(grid)]
        if native[0] == 1:
            fresh = sincos_2d(grid[1], grid[2], width)
        else:
            fresh = sincos_3d(grid, width, uniform_power=uniform_power)
        return fresh.to(device=table.device, dtype=table.dtype)

    return fit


def _count(grid: Grid) -> int:
    return grid[0] * grid[1] * grid[2]


def _sort_tables(
    parts: Mapping[str, Mapping[str, Stored]], reading: facts.Reading
) -> tuple[dict[str, dict[str, Stored]], list[str]]:
    """Leave out position tables that a rotary model does not use; they are listed as ignored (section 2)."""
    stray = {"pos_embed", "predictor_pos_embed"} if reading.has_rope else set()
    sources = {part: {n: t for n, t in tensors.items() if n not in stray} for part, tensors in parts.items()}
    ignored = [f"{part}/{name}" for part, tensors in parts.items() for name in tensors if name in stray]
    return sources, ignored


def _target_rule(absent: tuple[str, ...]) -> dict[str, str]:
    if "target_encoder" in absent:
        return {
            "target encoder": "the context encoder with the target layer norm (no EMA target in this file)"
        }
    if "encoder" in absent:
        return {"context encoder": "the EMA target encoder (no context encoder in this file)"}
    return {}


def _notes(absent: tuple[str, ...]) -> tuple[str, ...]:
    notes = {
        "target_encoder": "no EMA target in this file: its context encoder gives the targets",
        "encoder": "no context encoder in this file: its EMA target encoder gives the context",
        "predictor": "no predictor in this file: nothing can be predicted",
    }
    return tuple(notes[part] for part in absent)


def _look_size(shapes: EncoderShapes, spec: InputSpec, frames: int) -> LookSize:
    side = spec.size // spec.patch
    steps = max(frames // max(shapes.tubelet, 1), 1)
    values = 3 * max(frames, 1) * spec.size * spec.size
    gates = 2 if shapes.is_gated else 1
    return LookSize(steps * side * side, shapes.width, shapes.hidden * gates, values)

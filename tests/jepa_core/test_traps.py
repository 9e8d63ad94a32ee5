"""Every trap the specs list, the test that holds it, and the proof: the code is made to fall into it, and the test fails.

One table. A trap is held by a golden case or by a named test. Where the trap can be written as a change of the code
(`Mutant`), the case or the test is run with that change and must fail; without it, the golden and the ordinary run show
that it passes. Sections: I = specs/ijepa-vjepa-vjepa2.md, A = specs/vjepa2-ac-vjepa2.1.md, L = specs/lewm-cjepa.md.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from jepa_core import checkpoint, released
from jepa_core.design import Choices
from jepa_core.errors import CheckpointError
from jepa_core.nn.positions import resample_3d, rotary_from_positions
from tests.golden.runner import CASES, run_case
from tests.helpers import ac_checkpoints, checkpoints, leveled_checkpoints, table_checkpoints
from tests.helpers.mutants import Constant, Mutant, fallen

ROOT = Path(__file__).resolve().parents[2]
N = "jepa_core.nn."
F = "jepa_core.families."


@dataclass(frozen=True)
class Trap:
    section: str
    words: str
    held: str  # a golden case, or "file::test" below tests/jepa_core
    mutant: Mutant | Constant | None = None
    breaks: bool = False  # the case ends in an error, not in other numbers: the loader itself notices

    @property
    def name(self) -> str:
        return f"{self.section}: {self.words}"

    @property
    def is_golden(self) -> bool:
        return "::" not in self.held


def M(target: str, old: str, new: str) -> Mutant:
    return Mutant(target, old, new)


LATE = (
    "    if keep is not None:\n        patches = gather_tokens(patches, keep)",
    "    if keep is not None:\n        return gather_tokens(self.encode_patches(patches, grid, tables=tables), keep)",
)
TRAPS = (
    # --- I 11, the numbered list -------------------------------------------------------------------------------------
    Trap("I 11.1", "row or column first in the 2-D table", "test_vjepa2.py::test_picture_table_puts_the_row_first_and_i_jepas_the_column",
         M(N + "positions:sincos_2d", "(column, row) if column_first else (row, column)", "(row, column)")),
    Trap("I 11.1", "I-JEPA's official tables have the column first", "test_ijepa.py::test_published_tables_put_the_column_first"),
    Trap("I 11.2", "2.0's rotary channels are tiled, not paired", "vjepa2-rope-gelu",
         M(N + "positions:rotary_from_positions", "frequencies.repeat_interleave(2) if paired else frequencies.repeat(2)", "frequencies.repeat_interleave(2)")),
    Trap("I 11.2", "a channel's partner is its neighbour, not half a head away", "vjepa2-rope-gelu",
         M(N + "positions:_partner", "return x.unflatten(-1, (head_dim // 2, 2)).flip(-1).flatten(-2)", "return x.roll(head_dim // 2, -1)")),
    Trap("I 11.2", "leftover channels stay unrotated", "test_vjepa2.py::test_axis_widths_are_the_specs",
         M(N + "positions:rotary_axis_width", "2 * ((head_dim // 3) // 2)", "2 * -(-(head_dim // 3) // 2)")),
    Trap("I 11.2", "positions are integers, not scaled to a grid", "vjepa2-rope-gelu",
         M(N + "positions:rotary_table", "rotary_from_positions(split_indices(batch, rows, columns), head_dim, dtype)",
           "rotary_from_positions(tuple(p * 15 / max(rows - 1, 1) for p in split_indices(batch, rows, columns)), head_dim, dtype)")),
    Trap("I 11.3", "V-JEPA 2's giant has 22 heads", "test_released.py::test_head_counts_that_no_shape_tells_are_the_published_ones",
         Constant("jepa_core.transformer_facts:MODELS", (1408, 40, 16, 48 / 11), "vit_giant_xformers")),
    Trap("I 11.3", "a giant without name or config: 22 heads in V-JEPA 2", "test_traps.py::test_giant_of_an_unknown_name_has_the_heads_of_its_system",
         Constant("jepa_core.vjepa2_facts:HEADS_BY_SIZE", 16, (1408, 40))),
    Trap("I 11.3", "a giant without name or config: 16 heads in I-JEPA and V-JEPA", "test_traps.py::test_giant_of_an_unknown_name_has_the_heads_of_its_system",
         Constant("jepa_core.transformer_facts:HEADS_BY_SIZE", 22, (1408, 40))),
    Trap("I 11.4", "V-JEPA 2's predictor has 12 heads", "test_traps.py::test_giant_of_an_unknown_name_has_the_heads_of_its_system",
         M("jepa_core.vjepa2_facts:_predictor_heads", 'found = 12, "table', 'found = 16, "table')),
    Trap("I 11.4", "I-JEPA's and V-JEPA's predictors have the encoder's", "test_released.py::test_head_counts_that_no_shape_tells_are_the_published_ones",
         M("jepa_core.transformer_facts:TransformerFacts.predictor_heads_as_encoder", "found = (encoder_heads,", "found = (12,")),
    Trap("I 11.5", "V-JEPA: one mask token per generator", "test_vjepa.py::test_each_generator_is_predicted_with_its_own_mask_token",
         M("jepa_core.masked:MaskedModel.predict", "self.settings.token_of_generator.get(masks.generator, self.settings.mask_token)", "self.settings.mask_token")),
    Trap("I 11.5", "V-JEPA 2: the only trained mask token, not number 1", "test_checkpoint.py::test_first_mask_token_is_chosen_where_several_are_trained",
         M("jepa_core.latents:choose_mask_token", 'number, why = 0, "the rule', 'number, why = 1, "the rule')),
    Trap("I 11.5", "V-JEPA 2: zeros are untrained", "test_checkpoint.py::test_only_trained_mask_token_is_chosen_and_all_norms_are_said",
         M("jepa_core.latents:choose_mask_token", "if norm > 0]", "]")),
    Trap("I 11.5", "the group's mask token, wrapped round", "vjepa2-multiseq",
         M(N + "predictor:Predictor._placeholder", "self.mask_tokens[number % len(self.mask_tokens)]", "self.mask_tokens[0]")),
    Trap("I 11.6", "eps 1e-6 inside the networks", "vjepa21-multilevel",
         M(N + "attention:Block.__init__", "self.norm2 = nn.LayerNorm(width, eps=eps)", "self.norm2 = nn.LayerNorm(width)")),
    Trap("I 11.6", "eps 1e-5 for the targets", "test_vjepa2.py::test_two_norm_epsilons_are_kept_apart",
         M("jepa_core.latents:normalise_target", "F.layer_norm(exact, exact.shape[-1:])", "F.layer_norm(exact, exact.shape[-1:], eps=1e-6)")),
    Trap("I 11.7", "targets are layer-normed", "vjepa2-rope-gelu",
         M("jepa_core.latents:normalise_target", "return F.layer_norm(exact, exact.shape[-1:])", "return exact")),
    Trap("I 11.7", "targets of a Hugging Face file are layer-normed too", "test_vjepa2.py::test_targets_are_layer_normed",
         M("jepa_core.masked:MaskedModel._targets", "return normalise_target(", "return (")),
    Trap("I 11.8", "context from context tokens only (V-JEPA 2)", "vjepa2-rope-gelu", M(N + "vit:VisionTransformer.encode_patches", *LATE)),
    Trap("I 11.8", "context from context tokens only (I-JEPA)", "ijepa-base", M(N + "vit:VisionTransformer.encode_patches", *LATE)),
    Trap("I 11.8", "context from context tokens only (V-JEPA)", "vjepa-video-uniform", M(N + "vit:VisionTransformer.encode_patches", *LATE)),
    Trap("I 11.8", "hidden pixels never reach the context", "test_vjepa2.py::test_hidden_pixels_never_reach_the_context", M(N + "vit:VisionTransformer.encode_patches", *LATE)),
    Trap("I 11.9", "rows of I-JEPA's multi-mask output are (p, e, b)", "test_ijepa.py::test_rows_are_ordered_by_block_then_context_then_picture",
         M(F + "ijepa:IJepa.predict_blocks", "self.predict_tokens(context.repeat(n_pred, 1, 1), keep.repeat(n_pred, 1), ask, grid)",
           "self.predict_tokens(context.repeat_interleave(n_pred, 0), keep.repeat_interleave(n_pred, 0), ask, grid)")),
    Trap("I 11.10", "stray tables of a rotary file are left out", "vjepa2-rope-gelu",
         M(F + "vjepa2:_sort_tables", '{"pos_embed", "predictor_pos_embed"} if reading.has_rope else set()', "set()"), breaks=True),
    Trap("I 11.10", "a rotary file with tables is rotary", "test_checkpoint.py::test_stray_position_tables_of_a_rotary_file_are_ignored_by_name",
         M("jepa_core.vjepa2_facts:_rope", "return bool(configured)", "return not has_table")),
    Trap("I 11.10", "stored tables win over the formula", "ijepa-storedpos",
         M(F + "ijepa:_encoder_tables", "return table if grid == native else resample_2d(table, native[1:], grid[1:])",
           "from jepa_core.nn.positions import sincos_2d\n        return sincos_2d(*grid[1:], table.shape[-1], column_first=True)")),
    Trap("I 11.11", "SwiGLU's fc2 is the gate's partner", "vjepa2-rope-swiglu-narrow",
         M(N + "attention:SwiGlu.forward", "F.silu(self.fc1(x)).mul_(self.fc2(x))", "F.silu(self.fc2(x)).mul_(self.fc1(x))")),
    Trap("I 11.12", "remainder pixels and frames are dropped at the end", "test_vjepa2.py::test_remainder_pixels_and_frames_are_dropped",
         M(N + "vit:PatchEmbed.patches", "clip[:, :, : t * u, : h * p, : w * p]", "clip[:, :, T - t * u :, H - h * p :, W - w * p :]")),
    Trap("I 11.13", "I-JEPA predicts at its built size only", "test_ijepa.py::test_prediction_off_the_built_size_is_refused_in_words",
         M(F + "ijepa:_predictor_tables", "if grid != reading.native:", "if False:")),
    Trap("I 11.13", "V-JEPA's predictor table is never interpolated", "test_vjepa.py::test_predictors_table_is_rebuilt_never_interpolated",
         M("jepa_core.masked_design:rebuilt_tables", "fresh = sincos_3d(grid, width, uniform_power=uniform_power)",
           "from jepa_core.nn.positions import resample_3d\n            fresh = resample_3d(table, native, grid)")),
    Trap("I 11.13", "V-JEPA 2's predictor splits by the configured square", "test_vjepa2.py::test_square_split_is_a_switch_that_matters_only_off_the_square",
         M("jepa_core.masked:MaskedModel.predict_tokens", "if self.settings.square_split:", "if False:")),
    Trap("I 11.14", "2.0's gigantic models have ratio 4", "test_released.py::test_giant_mlp_is_cut_from_48_elevenths_and_gigantic_is_4",
         Constant("jepa_core.transformer_facts:MODELS", (1664, 48, 16, 64 / 13), "vit_gigantic")),
    Trap("I 11.15", "int(D * ratio), not round", "test_traps.py::test_hidden_width_is_cut_and_not_rounded",
         M("jepa_core.transformer_facts:TransformerFacts.check_mlp", "hidden = int(", "hidden = round(")),
    Trap("I 11.15", "int(D * ratio), not round, in the other families", "test_traps.py::test_hidden_width_is_cut_and_not_rounded",
         M("jepa_core.asking:Sources.check_hidden", "int(width * ratio + 1e-6)", "round(width * ratio + 1e-6)")),
    Trap("I 11.16", "targets come from the target encoder", "vjepa2-rope-gelu",
         M("jepa_core.masked:MaskedModel._targets", "self.target_encoder.encode_patches", "self.context_encoder.encode_patches")),
    Trap("I 11.16", "context comes from the context encoder", "vjepa2-rope-gelu",
         M("jepa_core.masked:MaskedModel.features", 'self.context_encoder if encoder == "context" else self.target_encoder', "self.target_encoder")),
    Trap("I 11.17", "I-JEPA's pictures are normalised by ImageNet", "test_ijepa.py::test_pictures_are_normalised_by_imagenet_not_by_the_folders_processor",
         M("jepa_core.masked_design:make_design", "spec = InputSpec(", "spec = InputSpec(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), ")),
    Trap("I 11.18", "the optimizer is never read", "test_loading_memory.py::test_optimizer_state_is_never_read_into_memory"),
    Trap("I 11.19", "fused and plain attention differ in the last bits only: the goldens' tolerance", "vjepa2-rope-gelu"),
    Trap("I 11.20", "a call changes nothing of what it was given", "test_traps.py::test_no_call_changes_what_it_was_given",
         M(N + "predictor:Predictor.forward", "x = self.predictor_embed(context)", "x = self.predictor_embed(context.mul_(2))")),
    # --- I, inside the text ------------------------------------------------------------------------------------------
    Trap("I 1", "rows of qkv are q, k, v; heads inside", "vjepa2-rope-gelu",
         M(N + "attention:Attention.forward", "view(B, N, 3, self.heads, self.head_dim)", "view(B, N, self.heads, 3, self.head_dim).transpose(2, 3)")),
    Trap("I 1", "values are never rotated", "vjepa2-rope-gelu", M(N + "attention:Attention.forward", "rotary.apply_(qkv[:, :, :2])", "rotary.apply_(qkv)")),
    Trap("I 1", "GELU is the exact one", "ijepa-base", M(N + "attention:Mlp.forward", "F.gelu(self.fc1(x))", "F.gelu(self.fc1(x), approximate='tanh')")),
    Trap("I 1", "the encoder ends in a norm", "ijepa-base", M(N + "vit:VisionTransformer.encode_patches", "return self.norm(x)", "return x")),
    Trap("I 1", "time is the slowest axis of a token's number", "vjepa-video-uniform",
         M(N + "vit:PatchEmbed.patches", "clip.permute(0, 2, 4, 6, 1, 3, 5, 7)", "clip.permute(0, 4, 6, 2, 1, 3, 5, 7)")),
    Trap("I 1", "masked tokens are left out, not replaced", "test_vjepa2.py::test_masked_tokens_are_not_computed", M(N + "vit:VisionTransformer.encode_patches", *LATE)),
    Trap("I 2", "wrappers are taken off the names, and nothing else", "test_traps.py::test_wrappers_are_taken_off_wherever_they_stand",
         M("jepa_core.weight_files:strip_prefixes", "if name.startswith(prefix):", 'if prefix == "module." and name.startswith(prefix):')),
    Trap("I 3", "a wrong head count does not fail: it is asked for", "test_ijepa.py::test_head_count_nobody_states_is_refused_rather_than_guessed",
         M("jepa_core.transformer_facts:TransformerFacts.heads", "if found is None:\n        raise", "if found is None:\n        found = 1, 'a guess'\n    if found is None:\n        raise")),
    Trap("I 3", "1568 tokens are 8 x 14 x 14, told by the formula", "test_vjepa.py::test_clip_shape_nobody_states_is_the_one_whose_formula_gives_the_table",
         M(F + "vjepa:_table_split", "if fresh.shape == stored.shape and (fresh - stored).abs().max() < TABLE_ROUNDING:", "if fresh.shape == stored.shape:")),
    Trap("I 3", "family without config: 6 or 10 mask tokens are V-JEPA 2", "test_vjepa.py::test_file_without_config_is_told_from_v_jepa_2_by_its_mask_tokens",
         M(F + "vjepa:VJepa.recognises", "n_mask_tokens in (6, 10) or", "False or")),
    Trap("I 4.1", "all sines first", "test_vjepa2.py::test_clip_table_is_time_row_column",
         M(N + "positions:sincos_1d", "(angles.sin(), angles.cos())", "(angles.cos(), angles.sin())")),
    Trap("I 4.2", "uniform_power is cut at the columns", "test_vjepa2.py::test_clip_table_is_time_row_column",
         M(N + "positions:sincos_3d", "torch.cat(parts, dim=1)[:, :width]", "torch.cat(parts, dim=1)[:, -width:]")),
    Trap("I 4.3", "I-JEPA: as many tokens in another shape is another size", "test_ijepa.py::test_other_sizes_interpolate_the_table_to_true_rows_and_columns",
         M(F + "ijepa:_encoder_tables", "table if grid == native else", "table if grid[1] * grid[2] == native[1] * native[2] else")),
    Trap("I 4.3", "V-JEPA interpolates shorter clips too", "vjepa-resolution",
         M(F + "vjepa:_encoder_tables", "return resample_3d(table, native, grid)", "return table[:, : grid[0] * grid[1] * grid[2]] if grid[1:] == native[1:] and grid[0] < native[0] else resample_3d(table, native, grid)")),
    Trap("I 4.3", "V-JEPA 2 takes the first rows for a shorter clip", "test_vjepa2.py::test_shorter_clip_takes_the_first_rows_of_the_table",
         M(F + "vjepa2:encoder_tables", "return table[:, : count(grid)]", "return resample_3d(table, native, grid)")),
    Trap("I 4.3", "trilinear and corners not aligned", "vjepa-resolution",
         M(N + "positions:resample_3d", 'mode="trilinear", align_corners=False', 'mode="trilinear", align_corners=True')),
    Trap("I 4.3", "scale factors lose a row: explicit sizes", "test_traps.py::test_interpolated_table_has_every_row_that_was_asked_for",
         M(N + "positions:resample_3d", "size=wanted,", "scale_factor=tuple(w / s for w, s in zip(wanted, stored)),")),
    Trap("I 4.4", "other sizes use the clip's own rows and columns", "test_vjepa2.py::test_non_square_clip_uses_its_own_rows_and_columns",
         M(N + "vit:VisionTransformer._rotary", "steps, rows, columns = grid", "steps, rows, columns = grid[0], round((grid[1] * grid[2]) ** 0.5), round((grid[1] * grid[2]) ** 0.5)")),
    Trap("I 4.4", "targets may lie beyond the clip", "vjepa2-anticipate",
         M(N + "predictor:Predictor.forward", "places = torch.cat(_same_rank(context_indices, target_indices, B), dim=-1)",
           "places = torch.cat(_same_rank(context_indices, target_indices, B), dim=-1).clamp(max=grid[0] * grid[1] * grid[2] - 1)")),
    Trap("I 5.2", "the predictor adds its own table to the context", "ijepa-base",
         M(N + "predictor:Predictor.forward", "x = x + gather_tokens(table, context_indices)", "pass")),
    Trap("I 5.3", "and to the placeholders, at the targets' places", "vjepa-video-uniform",
         M(N + "predictor:Predictor.forward", "asked + gather_tokens(table, target_indices)", "asked")),
    Trap("I 5.3", "rotary predictors add nothing", "vjepa2-rope-gelu",
         M(N + "predictor:Predictor.forward", "asked = self._placeholder(mask_token).expand(B, n_targets, -1)", "asked = self._placeholder(mask_token).expand(B, n_targets, -1) + target_indices.float()[..., None] * torch.arange(self.spec.width) / 1000")),
    Trap("I 5.5", "leaving out the official sorting changes nothing", "test_vjepa2.py::test_leaving_out_the_official_sorting_changes_nothing"),
    Trap("I 5.6", "only the targets are kept", "vjepa2-rope-gelu",
         M(N + "predictor:Predictor.forward", "self.predictor_norm(x[:, n_context:])", "self.predictor_norm(x[:, : n_targets])")),
    Trap("I 5", "predictions are not normed again", "test_vjepa2.py::test_prediction_is_not_normed_again",
         M("jepa_core.masked:MaskedModel.predict_tokens", "return self.predictor(context, context_indices, target_indices, grid=grid, mask_token=number)",
           "return normalise_target(self.predictor(context, context_indices, target_indices, grid=grid, mask_token=number))")),
    Trap("I 5", "several target masks are predicted one by one", "test_vjepa2.py::test_several_target_masks_are_predicted_one_by_one",
         M("jepa_core.masked:MaskedModel.predict", "for mask in masks.targets:", "for mask in [__import__('numpy').concatenate(masks.targets)]:")),
    Trap("I 6", "smooth L1 has beta 1", "ijepa-base", M("jepa_core.metrics:token_error", 'reduction="none")', 'reduction="none", beta=0.5)')),
    Trap("I 6", "two norms in a row: the encoder's own and the target's", "vjepa-video-uniform", M(N + "vit:VisionTransformer.encode_patches", "return self.norm(x)", "return x")),
    Trap("I 7", "crop offsets are rounded, the long side is cut", "test_preprocess.py::test_long_side_is_truncated",
         M("jepa_core.preprocess:resized", "return short, int(short * width / height)", "return short, round(short * width / height)")),
    Trap("I 7", "frames by OpenCV without antialias, tensors with", "preprocess-a",
         M("jepa_core.preprocess:video_numpy", "fit_frame(frame, size)[0] for frame in frames", "_fit_antialiased(frame[None], size)[0].permute(1, 2, 0).numpy() for frame in frames")),
    Trap("I 7", "short side is int(R * 256 / 224)", "test_preprocess.py::test_short_side_is_the_official_one",
         M("jepa_core.preprocess:short_side", "int(size * 256 / 224)", "int(size * 256 / 224 + 1)")),
    Trap("I 7", "Hugging Face's I-JEPA processor squashes and halves", "preprocess-a",
         M("jepa_core.preprocess:hugging_face_ijepa_image", "HALF, HALF", "MEAN, STD")),
    Trap("I 8.1", "one number draws size and aspect alike", "test_masks.py::test_picture_masks_have_the_published_statistics",
         M("jepa_core.masks:picture_block_size", "aspect[0] + drawn * (aspect[1] - aspect[0])", "aspect[0] + random.random() * (aspect[1] - aspect[0])")),
    Trap("I 8.1", "the last row and column are never drawn", "test_masks.py::test_picture_masks_never_use_the_last_place",
         M("jepa_core.masks:_placed", "random.integers(0, n - k)", "random.integers(0, n - k + 1)")),
    Trap("I 8.1", "the context shows none of the blocks", "test_traps.py::test_context_of_a_picture_shows_none_of_its_blocks",
         M("jepa_core.masks:_picture_blocks", "is_context &= ~is_target", "pass")),
    Trap("I 8.2", "blocks are the targets, what they leave is the context", "test_masks.py::test_multiblock_contexts_are_as_large_as_the_official_samplers",
         M("jepa_core.masks:_multiblock", "return _mask_set(~is_target, is_target,", "return _mask_set(is_target, ~is_target,")),
    Trap("I 8.2", "blocks are tubes through all steps", "test_masks.py::test_multiblock_masks_are_tubes_and_change_with_the_look",
         M("jepa_core.masks:_multiblock", "is_target[t : t + size[0],", "is_target[t : t + 1,")),
    Trap("I 8.2", "places include the last one", "test_traps.py::test_clip_blocks_reach_the_last_row_and_column",
         M("jepa_core.masks:_multiblock", "random.integers(0, n - k + 1)", "random.integers(0, max(n - k, 1))")),
    Trap("I 8.5", "surprise: the whole clip is the target's, the start the context's", "vjepa-surprise",
         M("jepa_core.surprise:_first_frames", "context // tubelet * rows * columns", "(context // tubelet + 1) * rows * columns")),
    Trap("I 8.5", "surprise: mask token 0", "test_surprise.py::test_mask_token_0_predicts_whatever_follows_the_context",
         M("jepa_core.surprise:_first_frames", "(frozen(whole[split:].copy()),), 0)", "(frozen(whole[split:].copy()),), 0, 'long')")),
    Trap("I 8.5", "surprise: windows start every two frames while they fit", "test_surprise.py::test_windows_start_every_two_frames_while_they_fit",
         M("jepa_core.surprise:sweep", "video.shape[2] - frames + 1, stride", "video.shape[2] - frames, stride")),
    Trap("I 8.5", "surprise: a score is drawn where its first predicted frame is", "test_surprise.py::test_sudden_change_surprises_only_windows_that_must_predict_it",
         M("jepa_core.surprise:SurpriseSweep.first_predicted", "start + context", "start")),
    Trap("I 8.5", "surprise: L1, whatever the size of the pictures", "vjepa-surprise", M("jepa_core.surprise:sweep", '"l1"', '"l2"')),
    Trap("I 9.1", "Hugging Face's thirds are query, key, value", "hf-vjepa2-a", Constant("jepa_core.hugging_face:THIRDS", ("key", "query", "value"))),
    Trap("I 9.1", "Hugging Face's context is never taken: ours is masked", "test_vjepa2.py::test_gathering_from_the_full_encoding_would_be_something_else",
         M(N + "vit:VisionTransformer.encode_patches", *LATE)),
    Trap("I 9.1", "no EMA target in a Hugging Face file, and it is said", "test_checkpoint.py::test_hugging_face_folder_and_its_file_load_alike",
         M("jepa_core.masked_design:_notes", '"target_encoder": "no EMA target in this file:', '"target_encoder": "targets:')),
    Trap("I 9.1", "one frame is repeated to a tubelet", "test_vjepa2.py::test_single_frame_is_repeated_to_one_tubelet",
         M("jepa_core.masked:MaskedModel._fitting", "clip = clip.repeat(1, 1, tubelet, 1, 1)", "clip = torch.cat((clip, torch.zeros_like(clip)), dim=2)")),
    Trap("I 9.2", "layernorm_before is norm1", "hf-ijepa-a", Constant("jepa_core.hugging_face_ijepa:_WRITTEN", ("layernorm_after",), "norm1"), breaks=True),
    Trap("I 9.2", "a folder without predictor predicts nothing", "test_ijepa.py::test_folder_is_an_encoder_without_predictor_and_target",
         M("jepa_core.masked_design:make_design", "if parts.shapes_p is not None:", "if True:")),
    # --- A, part A: V-JEPA 2-AC --------------------------------------------------------------------------------------
    Trap("A A1", "the predictor needs the encoder of its own file", "test_vjepa2_ac.py::test_predictor_without_its_encoder_is_refused_with_a_report"),
    Trap("A A1", "a wrong prefix leaves no random encoder", "test_traps.py::test_encoder_under_another_prefix_is_refused_not_drawn"),
    Trap("A A2", "each frame is encoded alone, repeated to a tubelet", "vjepa2ac-rope-base",
         M(F + "vjepa2_ac:VJepa2Ac.features", "[:, :, None].expand(-1, -1, tubelet, -1, -1)", "[:, :, None].expand(-1, -1, tubelet, -1, -1) * torch.tensor([1.0, 0.0])[:, None, None]")),
    Trap("A A2", "latents are layer-normed where training did", "vjepa2ac-rope-base", M(F + "vjepa2_ac:VJepa2Ac.normed", "if self.reading.normalises", "if False")),
    Trap("A A3", "the camera's layer is there even when unused", "test_vjepa2_ac.py::test_camera_layer_is_there_even_when_unused_and_is_asked_for_when_used"),
    Trap("A A4", "actions and states go through their own layers", "vjepa2ac-rope-base",
         M(N + "ac_predictor:AcPredictor.forward", "[self.action_encoder(actions), self.state_encoder(states)]", "[self.action_encoder(states), self.state_encoder(actions)]")),
    Trap("A A4", "a frame never sees a later one", "vjepa2ac-rope-base",
         M(N + "ac_predictor:causal_mask", "frame[:, None] >= frame[None, :]", "frame[:, None] >= 0 * frame[None, :]")),
    Trap("A A4", "a frame sees all of itself", "vjepa2ac-rope-base",
         M(N + "ac_predictor:causal_mask", "frame[:, None] >= frame[None, :]", "torch.ones(len(frame), len(frame), dtype=torch.bool, device=device).tril()")),
    Trap("A A4", "condition tokens turn with time alone", "test_vjepa2_ac.py::test_positions_are_frame_row_and_scaled_column_and_conditions_turn_with_time_alone",
         M(N + "ac_predictor:AcPredictor._rotary", "nowhere = torch.zeros(self.conditions, device=x.device)", "nowhere = torch.ones(self.conditions, device=x.device)")),
    Trap("A A4", "columns of a wide frame are scaled to the rows' span", "test_vjepa2_ac.py::test_positions_are_frame_row_and_scaled_column_and_conditions_turn_with_time_alone",
         M(N + "ac_predictor:AcPredictor._rotary", "* (rows / columns)", "")),
    Trap("A A4", "AC's rotation is 2.0's", "vjepa2ac-rope-base",
         M(N + "ac_predictor:AcPredictor._rotary", "head_dim, x.dtype)", "head_dim, x.dtype, paired=True)")),
    Trap("A A4", "without rotary the encoder's table must be used, its first rows", "test_vjepa2_ac.py::test_encoder_with_a_table_takes_its_first_rows_for_a_frame",
         M(F + "vjepa2:encoder_tables", "return table[:, : count(grid)]", "return table[:, -count(grid) :]")),
    Trap("A A4", "no more frames than the predictor was built for", "test_vjepa2_ac.py::test_rollout_stops_where_the_predictor_was_built_to",
         M(F + "vjepa2_ac:VJepa2Ac._check_length", "if frames > self.reading.limit:", "if False:")),
    Trap("A A5", "R = Rz Ry Rx", "vjepa2ac-rope-base", M("jepa_core.poses:rotation", "return z @ y @ x", "return x @ y @ z")),
    Trap("A A5", "the action's rotation is applied on the left", "test_poses.py::test_action_turns_on_the_left_and_moves_by_sums",
         M("jepa_core.poses:integrate", "rotation(action[..., 3:6]) @ rotation(pose[..., 3:6])", "rotation(pose[..., 3:6]) @ rotation(action[..., 3:6])")),
    Trap("A A5", "the difference is R_end R_start^T", "vjepa2ac-rope-base",
         M("jepa_core.poses:difference", "rotation(end[..., 3:6]) @ rotation(start[..., 3:6]).transpose(-1, -2)", "rotation(start[..., 3:6]).transpose(-1, -2) @ rotation(end[..., 3:6])")),
    Trap("A A5", "sums are made in the poses' dtype, rotations in float64", "test_poses.py::test_sums_are_made_in_the_poses_dtype_and_rotations_in_float64",
         M("jepa_core.poses:difference", "end[..., :3] - start[..., :3]", "end[..., :3].double() - start[..., :3].double()")),
    Trap("A A5", "the gripper stays in 0..1", "test_poses.py::test_gripper_stays_between_open_and_closed",
         M("jepa_core.poses:integrate", ".clamp(0.0, 1.0)", "")),
    Trap("A A6", "a step keeps the last frame, normed", "vjepa2ac-rope-base",
         M(F + "vjepa2_ac:VJepa2Ac.step", "self.normed(predicted[:, -n:])", "predicted[:, -n:].float()")),
    Trap("A A6", "later poses are integrated", "vjepa2ac-rope-base",
         M(F + "vjepa2_ac:VJepa2Ac.step", "poses.integrate(memory.poses[:, -1], action)", "memory.poses[:, -1]")),
    Trap("A A7", "positions are clipped to a box", "vjepa2ac-rope-base", M("jepa_core.cem:_action", ".clamp(-settings.limit_m, settings.limit_m)", "")),
    Trap("A A7", "the first spread of the gripper is 1", "vjepa2ac-rope-base", M("jepa_core.cem:first_distribution", "std[:, GRIPPER] = 1.0", "pass")),
    Trap("A A7", "the spread is unbiased", "vjepa2ac-rope-base", M("jepa_core.cem:_refit", ".std(0)", ".std(0, correction=0)")),
    Trap("A A7", "the plan is the mean, and a quiet gripper is left alone", "test_cem.py::test_plan_is_the_mean_with_a_quiet_gripper_left_alone",
         M("jepa_core.cem:plan_of", "gripper.abs() < GRIPPER_DEADBAND", "gripper.abs() < 0")),
    Trap("A A7", "energy is a mean over tokens and channels", "vjepa2ac-rope-base", M("jepa_core.metrics:energy", ".mean(dim=(-2, -1))", ".mean(-1).sum(-1)")),
    Trap("A A8", "x slowest, z fastest", "vjepa2ac-rope-base",
         M("jepa_core.landscape:grid_actions", "torch.cartesian_prod(axis, axis, axis)", "torch.cartesian_prod(axis, axis, axis).flip(-1)")),
    Trap("A A8", "the picture sums over the axis that is not drawn", "vjepa2ac-rope-base",
         M("jepa_core.landscape:histogram", "weights=energies.double().cpu().numpy())", "weights=energies.double().cpu().numpy() / bins)")),
    Trap("A A9", "the camera's frame is squeezed or cut as published", "vjepa2ac-rope-base",
         M("jepa_core.preprocess:centre_square_stretch", "return full_stretch(", "return video_tensor(")),
    # --- A, part B: V-JEPA 2.1 ---------------------------------------------------------------------------------------
    Trap("A B1", "vitg and vitG differ in nothing but case: the tensors decide", "test_vjepa21.py::test_tensors_decide_between_vitg_and_vitG_whatever_the_name"),
    Trap("A B1", "SiLU between the embeddings of a gated predictor", "vjepa21-train-interp",
         M(N + "leveled:LeveledPredictor.__init__", "nn.SiLU() if spec.is_gated else nn.GELU()", "nn.GELU()")),
    Trap("A B1", "2.1's gigantic MLP is 8192", "test_released.py::test_giant_mlp_is_cut_from_48_elevenths_and_gigantic_is_4"),
    Trap("A B2.1", "2.1's rotation is a true one", "vjepa21-multilevel", M(N + "leveled:leveled_rotary", "paired=True", "paired=False")),
    Trap("A B2.2", "rows and columns span 0..15", "vjepa21-train-interp", M(N + "leveled:leveled_rotary", "if scaled:", "if False:")),
    Trap("A B2.2", "time is never scaled", "vjepa21-train-interp",
         M(N + "leveled:leveled_rotary", "row = row.double()", "time = time.double() * (REFERENCE_SPAN / max(grid[0] - 1, 1))\n        row = row.double()")),
    Trap("A B2.2", "rows and columns are those of the clip itself", "test_vjepa21.py::test_rotary_turns_pairs_truly_at_scaled_rows_and_columns_and_counted_times",
         M(N + "leveled:leveled_rotary", "_, rows, columns = grid", "_, rows, columns = grid[0], 4, 4")),
    Trap("A B2.2", "a grid of one row is refused", "test_vjepa21.py::test_grid_of_one_row_is_refused_not_hidden",
         M(F + "vjepa21:VJepa21._fitting", "if spec.scales_positions and min(rows, columns) < 2:", "if False:")),
    Trap("A B2.3", "a single frame goes through the picture tokenizer", "vjepa21-multilevel",
         M(N + "leveled:LeveledTransformer.forward", "clip.shape[2] == 1 and self.spec.has_pictures", "False"), breaks=True),
    Trap("A B2.3", "pictures and clips have a mark each", "vjepa21-multilevel",
         M(N + "leveled:LeveledTransformer.forward", "self.img_mod_embed if is_picture else self.video_mod_embed", "self.video_mod_embed")),
    Trap("A B2.3", "a picture without a time axis is refused", "test_vjepa21.py::test_picture_without_a_time_axis_is_refused"),
    Trap("A B2.3", "an odd last frame is dropped", "test_vjepa21.py::test_odd_last_frame_is_dropped",
         M(N + "vit:PatchEmbed.patches", "clip[:, :, : t * u,", "clip[:, :, T - t * u :,")),
    Trap("A B2.4", "levels are taken after stated blocks", "vjepa21-multilevel", Constant("jepa_core.nn.leveled:LEVELS", (3, 6, 9, 11), 12)),
    Trap("A B2.4", "each level has a norm of its own", "vjepa21-multilevel",
         M(N + "leveled:LeveledTransformer.forward", "self.norms_block[len(levels)](x)", "self.norms_block[3](x)")),
    Trap("A B2.4", "low level first", "vjepa21-multilevel", M(F + "vjepa21:concatenated", "levels.permute(1, 2, 0, 3)", "levels.flip(0).permute(1, 2, 0, 3)")),
    Trap("A B2.5", "the predictor has marks of its own", "vjepa21-multilevel",
         M(N + "leveled:LeveledPredictor.forward", "if self.spec.has_modality:", "if False:")),
    Trap("A B2.6", "no norm after the last block", "test_vjepa21.py::test_levels_go_through_their_own_norms"),
    Trap("A B3", "positions by the configured square", "test_vjepa21.py::test_square_split_is_a_switch_that_matters_only_off_the_square",
         M(F + "vjepa21:VJepa21.predict_tokens", "if self.settings.square_split:", "if False:")),
    Trap("A B3", "the predictor's positions: training scales them", "test_vjepa21.py::test_predictor_scales_as_in_training_where_nothing_says_and_the_report_says_so",
         M("jepa_core.vjepa21_facts:_Facts.predictor_scaling", "bool(found[0]) if found else True", "bool(found[0]) if found else False")),
    Trap("A B3", "the predictor's positions follow its own setting", "vjepa21-train-interp",
         M("jepa_core.vjepa21_facts:_Facts.predictor_scaling", "bool(found[0]) if found else True", "not bool(found[0])")),
    Trap("A B3", "the only trained mask token", "test_vjepa21.py::test_only_trained_mask_token_is_chosen_and_others_on_demand",
         M("jepa_core.latents:choose_mask_token", "if norm > 0]", "]")),
    Trap("A B3", "a mask token's number wraps round", "test_vjepa2.py::test_mask_token_number_wraps_round",
         M(N + "predictor:Predictor._placeholder", "self.mask_tokens[number % len(self.mask_tokens)]", "self.mask_tokens[min(number, len(self.mask_tokens) - 1)]")),
    Trap("A B3", "unsorted targets keep their order", "test_vjepa21.py::test_order_of_the_targets_is_the_order_of_the_predictions",
         M(N + "leveled:LeveledPredictor.forward", "self.predictor_proj(x[:, n_context:])", "self.predictor_proj(x[:, n_context:][:, target_indices.argsort()] if target_indices.ndim == 1 else x[:, n_context:])")),
    Trap("A B4", "each level of the target is normed alone", "test_vjepa21.py::test_each_level_of_the_target_is_normed_alone",
         M(F + "vjepa21:VJepa21.every_level", "concatenated(normalise_target(self.levels(clip)))", "normalise_target(concatenated(self.levels(clip)))")),
    Trap("A B4", "context weights are roots of distances", "vjepa21-multilevel",
         M(F + "vjepa21:context_weights", "apart.min(dim=-1).values.sqrt()", "apart.min(dim=-1).values")),
    Trap("A B4", "a distilled file holds no target", "test_vjepa21.py::test_distilled_file_says_that_it_holds_no_target_and_compares_nothing",
         M(F + "vjepa21:VJepa21.design", "has_target = shapes_p is not None and reading.output_width == shapes.width", "has_target = shapes_p is not None")),
    Trap("A B4", "the context head is another than the target head", "vjepa21-multilevel",
         M(N + "leveled:LeveledPredictor.forward", "self.predictor_proj_context(x[:, :n_context])", "self.predictor_proj(x[:, :n_context])")),
    Trap("A B4", "visible tokens only", "vjepa21-multilevel",
         M(N + "leveled:LeveledTransformer.forward", "    if keep is not None:\n        patches = gather_tokens(patches, keep)",
           "    if keep is not None:\n        return torch.stack([gather_tokens(level, keep) for level in self.forward(clip)])")),
    Trap("A B6", "the ViT-L config that says 24 blocks is refused with the reason", "test_vjepa21.py::test_official_config_of_the_large_model_that_says_24_blocks_is_refused_with_the_reason"),
    Trap("A C", "features and targets: ema, else target, else encoder", "test_vjepa21.py::test_features_are_those_of_the_ema_encoder_where_there_are_several",
         Constant("jepa_core.vjepa21_design:TARGETS", ("target_encoder", "ema_encoder", "encoder"))),
    Trap("A C", "context: the student where it is there", "vjepa21-multilevel", Constant("jepa_core.vjepa21_design:CONTEXTS", ("target_encoder", "ema_encoder", "encoder"))),
    Trap("A C", "a stray table is no proof of a table model", "test_vjepa2_ac.py::test_rotary_encoders_stray_table_is_ignored_by_name",
         M("jepa_core.vjepa2_ac_facts:_Facts.encoder_rope", "bool(found[0]) if found else True", "not self.shapes.table_tokens")),
    Trap("A C", "angles in float32 whatever the model's precision", "test_traps.py::test_angles_are_computed_in_float32_for_a_coarse_model",
         M(N + "positions:rotary_from_positions", "torch.float64 if dtype == torch.float64 else torch.float32", "dtype")),
    Trap("A C", "half a predictor is refused, not filled at random", "test_vjepa21.py::test_predictor_that_lost_half_of_its_blocks_is_refused_without_any_config",
         M("jepa_core.vjepa21_facts:_Facts.predictor_depth", "published is None or published == depth or not is_published_width", "True")),
    # --- L 1: LeWorldModel -------------------------------------------------------------------------------------------
    Trap("L 1.2", "eps 1e-12 in the ViT", "test_lewm.py::test_norms_have_the_eps_of_each_place", Constant("jepa_core.lewm_facts:VIT_EPS", 1e-6)),
    Trap("L 1.2", "tables resized bicubically, corners not aligned", "test_traps.py::test_dinov2_table_of_37_is_resized_to_the_pictures_grid",
         M(N + "cls_vit:ClsVit.table", 'mode="bicubic", align_corners=False', 'mode="bicubic", align_corners=True')),
    Trap("L 1.2", "batch norms use the file's statistics", "lewm-hub", M("jepa_core.checkpoint:load", "module.requires_grad_(False).eval()", "module.requires_grad_(False).train()"), breaks=True),
    Trap("L 1.2", "positions count from the window's start", "lewm-hub",
         M(N + "adaln:AdaLnPredictor.forward", "self.pos_embedding[:, :T]", "self.pos_embedding[:, -T:]")),
    Trap("L 1.2", "shift, scale, gate for attention, then for the MLP", "lewm-hub",
         M(N + "adaln:AdaLnBlock.forward", "shift_a, scale_a, gate_a, shift_m, scale_m, gate_m =", "scale_a, shift_a, gate_a, shift_m, scale_m, gate_m =")),
    Trap("L 1.2", "attention begins with a norm of its own", "lewm-hub", M(N + "adaln:NormedAttention.forward", "self.to_qkv(self.norm(x))", "self.to_qkv(x)")),
    Trap("L 1.2", "the plain norm has eps 1e-6", "test_traps.py::test_modulated_norm_has_its_own_eps",
         M(N + "adaln:_plain_norm", "eps=OUTER_EPS", "eps=INNER_EPS")),
    Trap("L 1.2", "strictly causal over time", "lewm-hub", M(N + "adaln:NormedAttention.forward", "is_causal=mask is None", "is_causal=False")),
    Trap("L 1.2", "the window is no longer than its table", "test_lewm.py::test_more_frames_than_the_table_has_rows_are_refused",
         M(F + "lewm:LeWorldModel.predict_next", "if latents.shape[1] > self.predictor.spec.history:", "if False:")),
    Trap("L 1.3", "attention.output.dense is not output.dense", "lewm-hub",
         Constant("jepa_core.hugging_face_vit:_TO_OURS", "mlp.fc2", "attention.output.dense"), breaks=True),
    Trap("L 1.3", "both spellings hold the same model", "test_lewm.py::test_both_spellings_of_the_vit_hold_the_same_model",
         Constant("jepa_core.hugging_face_vit:_TO_OURS", "attn.key", "attention.q_proj")),
    Trap("L 1.4", "_target_ names code: read as a word, never imported", "test_lewm.py::test_config_that_names_foreign_code_is_refused_and_nothing_is_imported",
         M("jepa_core.lewm_facts:read", "_check_classes(facts)", "pass")),
    Trap("L 1.5", "the block of step t leaves frame t", "lewm-hub",
         M(F + "lewm:LeWorldModel.step", "actions = torch.cat((memory.actions, embedded), dim=1)", "actions = torch.cat((embedded, memory.actions), dim=1)")),
    Trap("L 1.6", "SIGReg's knots and weights", "lewm-hub", M("jepa_core.sigreg:sigreg", "weights[0] = weights[-1] = gap", "pass")),
    Trap("L 1.6", "SIGReg grows with the batch", "lewm-hub", M("jepa_core.sigreg:sigreg", "* latents.shape[1]).mean()", ").mean()")),
    Trap("L 1.7", "the context grows 1, 2, 3, 3", "lewm-hub",
         M(F + "lewm:LeWorldModel.step", "memory.latents[:, -window:], actions[:, -window:]", "memory.latents[:, -1:], actions[:, -1:]")),
    Trap("L 1.7", "executed blocks pair with the context frames", "lewm-object",
         M(F + "lewm:LeWorldModel._started", "actions = self.embed_actions(history)", "actions = self.embed_actions(history.flip(1))")),
    Trap("L 1.8", "cost is a sum, not a mean", "lewm-hub", M(F + "lewm:LeWorldModel.energy", ".square().sum(-1)", ".square().mean(-1)")),
    Trap("L 1.8", "one goal for all candidates, never matched by position", "test_lewm.py::test_energy_is_a_sum_and_one_goal_serves_every_candidate"),
    Trap("L 1.8", "candidate 0 is the mean itself", "lewm-hub", M("jepa_core.solvers:candidates", "actions[0] = mean", "pass")),
    Trap("L 1.8", "CEM's deviation is unbiased", "lewm-hub", M("jepa_core.solvers:cem", "elites.std(0)", "elites.std(0, correction=0)")),
    Trap("L 1.8", "MPPI moves the mean and keeps the spread", "lewm-hub",
         M("jepa_core.solvers:mppi", ".sum(0), std", ".sum(0), actions[places].std(0)")),
    Trap("L 1.8", "no latent is kept from call to call", "test_traps.py::test_latents_are_never_those_of_an_earlier_clip"),
    Trap("L 6", "both sides of an error pass their own projector", "lewm-hub",
         M(F + "lewm:LeWorldModel.predict_next", "self.pred_proj(", "self.projector(")),
    # --- L 2: C-JEPA -------------------------------------------------------------------------------------------------
    Trap("L 2.2", "no norm before attention", "cjepa-predictor", M(N + "slot_predictor:FullLayer.forward", "x = x + self[0](x)", "x = x + self[0](self[1][0](x))")),
    Trap("L 2.2", "a configured dim_head is ignored", "test_cjepa.py::test_configured_head_width_is_ignored"),
    Trap("L 2.2", "always the same slots are hidden", "cjepa-predictor",
         M(F + "cjepa:CJepa.hidden_slots", "np.random.RandomState(self.reading.mask_seed)", "np.random.RandomState(self.reading.mask_seed + 1)")),
    Trap("L 2.2", "frame 0 is given for all slots", "cjepa-predictor", M(N + "slot_predictor:SlotPredictor.masked_tokens", "tokens[:, 0] = given[:, 0]", "tokens[:, 0, is_seen] = given[:, 0, is_seen]")),
    Trap("L 2.2", "a short history takes the table's last rows", "cjepa-predictor",
         M(N + "slot_predictor:SlotPredictor.inference_tokens", "self.time_pos_embed[:, -(given + future) :]", "self.time_pos_embed[:, : given + future]")),
    Trap("L 2.2", "the anchor is the first frame of the window", "cjepa-predictor",
         M(N + "slot_predictor:SlotPredictor.inference_tokens", "self.queries(slots[:, 0],", "self.queries(slots[:, -1],")),
    Trap("L 2.3", "attention is shared out among the slots", "cjepa-videosaur", M(N + "slots:SlotCorrector.forward", "logits.softmax(dim=1)", "logits.softmax(dim=-1)")),
    Trap("L 2.3", "the cell's state is the normed slots", "cjepa-videosaur",
         M(N + "slots:SlotCorrector.forward", "slots = self.norm_slots(slots)\n        queries = self.to_q(slots)", "queries = self.to_q(self.norm_slots(slots))")),
    Trap("L 2.3", "three iterations, then two", "cjepa-videosaur",
         M(F + "cjepa:CJepa.slots_of", "self.reading.first_iterations if t == 0 else self.reading.later_iterations", "self.reading.first_iterations")),
    Trap("L 2.3", "the temporal predictor multiplies by the root", "cjepa-videosaur",
         M(N + "slots:SteepAttention.forward", "q * self.head_dim**0.5", "q * self.head_dim**-0.5")),
    Trap("L 2.3", "later calls begin from corrected slots", "cjepa-pusht",
         M(F + "cjepa:CJepa.started", "last_slots=slots[:, -1]", "last_slots=self._part('slots', SlotProcessor).predictor(slots[:, -1])")),
    Trap("L 2.3", "start noise is spread by exp(log_std)", "cjepa-videosaur", M(N + "slots:SlotStart.forward", "self.log_std.exp()", "self.log_std")),
    Trap("L 2.3", "the CLS token is dropped", "cjepa-videosaur", M(F + "cjepa:CJepa.patch_tokens", "tokens[:, 1:].unflatten", "tokens[:, :-1].unflatten")),
    Trap("L 2.3", "the decoder's own norm touches only the queries", "cjepa-videosaur",
         M(N + "slot_decoder:SlotMixer.forward", "self.norm_memory(slots)", "slots")),
    Trap("L 2.3", "the position table is resized bicubically", "test_traps.py::test_dinov2_table_of_37_is_resized_to_the_pictures_grid",
         M(N + "cls_vit:ClsVit.table", 'mode="bicubic", align_corners=False', 'mode="bilinear", align_corners=False')),
    Trap("L 2.4", "the action node comes last", "cjepa-pusht",
         M(F + "cjepa:CJepa.tokens", "(slots.expand(n, -1, -1, -1), body.expand(n, -1, -1, -1), act)", "(slots.expand(n, -1, -1, -1), act, body.expand(n, -1, -1, -1))")),
    Trap("L 2.4", "predicted slots are put in the order of the frame before", "cjepa-pusht",
         M(F + "cjepa:CJepa.reordered", "order = match(tokens[:, 0, :S], reference)", "order = torch.arange(S).expand(len(tokens), -1)")),
    Trap("L 2.4", "a kept frame's action node is the given block", "cjepa-pusht",
         M(F + "cjepa:CJepa.step", "tokens = self._with_action(memory.tokens, action)", "tokens = memory.tokens")),
    Trap("L 2.4", "slots and body weigh alike in the cost", "cjepa-pusht",
         M(F + "cjepa:CJepa.energy", "matched_error(last[:, :S], wanted[:, :S]) + body", "matched_error(last[:, :S], wanted[:, :S]) * S / (S + 1) + body / (S + 1)")),
    Trap("L 2.4", "the cost matches slots first", "cjepa-pusht", M("jepa_core.assignment:matched_error", "reorder(predicted.float(), match(predicted, wanted))", "predicted.float()")),
    Trap("L 2.4", "the goal is encoded from the last frame's slots", "cjepa-pusht", M(F + "cjepa:CJepa.goal", "self.slot_video(clip, start)", "self.slot_video(clip, self.seeded_start(1))")),
    Trap("L 2.4", "CLEVRER: one sequence per offset, interleaved", "cjepa-predictor", M(F + "cjepa:CJepa.roll_slots", "observed[(len(observed) + offset) % skip :: skip][-h:]", "observed[-h:]")),
    Trap("L 2.4", "the older variant with actions in every slot is refused", "test_cjepa.py::test_older_variant_with_actions_inside_every_slot_is_refused_by_name"),
    Trap("L 2.5", "an object by name may be a state dict: the content decides", "test_cjepa.py::test_released_file_needs_no_config"),
    Trap("L 2.7", "errors are compared within one slot start", "test_cjepa.py::test_other_start_gives_other_slots_and_the_seeded_one_always_the_same",
         M(F + "cjepa:CJepa.seeded_start", "torch.Generator().manual_seed(building.START_SEED)", "None")),
    Trap("L 5", "nothing of a pickled object runs", "test_pickled_objects.py::test_code_under_an_innocent_name_does_not_run_either"),
    Trap("L 5", "what a pickled object leaves out of its state dict is dropped", "test_pickled_objects.py::test_bound_methods_passing_buffers_and_shared_modules_are_understood",
         M("jepa_core.pickled_objects:_Walk._of_module", "set(_texts(passing))", "set()")),
    Trap("L 5", "offsets and strides are held against the storage", "test_pickled_objects.py::test_tensor_that_claims_what_is_not_there_is_refused_in_words",
         M("jepa_core.pickled_objects:_Walk._stored", "if (claim.offset + span) * item > held:", "if False:")),
    Trap("L 5", "the paths of an author's machine are not shown", "test_pickled_objects.py::test_bound_methods_passing_buffers_and_shared_modules_are_understood",
         M("jepa_core.pickled_objects:_Walk._state", "if isinstance(value, int | float)", "if isinstance(value, int | float | str)")),
)  # fmt: skip
SLIP = re.compile(r"(Name|Attribute|Type|UnboundLocal)Error")
GOLDEN = {trap.name: trap for trap in TRAPS if trap.is_golden and trap.mutant}
TESTED = {trap.name: trap for trap in TRAPS if not trap.is_golden and trap.mutant}


# --- the table -----------------------------------------------------------------------------------------------------


def test_every_numbered_trap_of_the_first_spec_is_in_the_table():
    numbers = {int(trap.section.removeprefix("I 11.")) for trap in TRAPS if trap.section.startswith("I 11.")}

    assert numbers == set(range(1, 21))


def test_no_trap_is_named_twice():
    names = [trap.name for trap in TRAPS]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_what_holds_a_trap_exists(trap):
    if trap.is_golden:
        assert (CASES / trap.held / "io.npz").is_file()
        return
    file, _, name = trap.held.partition("::")
    tree = ast.parse((ROOT / "tests" / "jepa_core" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_nearly_every_trap_is_proved_by_falling_into_it():
    without = [trap.name for trap in TRAPS if trap.mutant is None]

    assert len(without) <= 25, without
    assert len(TRAPS) - len(without) >= 130


# --- the proof -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_code_that_falls_into_a_trap_fails_its_golden_case(name):
    trap = GOLDEN[name]

    with fallen(trap.mutant):
        outcome = run_case(CASES / trap.held)

    assert outcome.status == "failed", f"{trap.held} does not notice"
    broke = any(problem.startswith("broke off") for problem in outcome.problems)
    assert broke == trap.breaks, outcome.problems
    assert not SLIP.search(" ".join(outcome.problems)), "the changed code is no code"


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, object]]:
    """Every named test run in one other process, once with its trap fallen into."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.trap_child"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TESTED)
def test_code_that_falls_into_a_trap_fails_its_named_test(name, verdicts):
    said = str(verdicts[name]["said"])
    assert verdicts[name]["code"] == 1, said
    assert not SLIP.search(said), f"the changed code is no code: {said}"


# --- tests that had no other home ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("published", "heads"),
    [("vjepa2-vitg", (22, 12)), ("ijepa-vitg16-in22k", (16, 16)), ("vjepa-vitl16", (16, 16))],
)
def test_giant_of_an_unknown_name_has_the_heads_of_its_system(published, heads, monkeypatch):
    found = released.find(published)
    monkeypatch.setitem(
        released.TABLE, "unnamed", type(found)(found.system, "mine.pt", found.parts, found.prefix)
    )
    if published == "vjepa-vitl16":
        with pytest.raises(
            CheckpointError, match="clip length and input size"
        ):  # its table is all zeros here
            released.build("unnamed")
        return

    modules = released.build("unnamed").modules

    assert modules["encoder"].blocks[0].attn.heads == heads[0]
    assert modules["predictor"].predictor_blocks[0].attn.heads == heads[1]


@pytest.mark.parametrize(("width", "cut"), [(40, 174), (48, 209)])
@pytest.mark.parametrize("kind", ["V-JEPA 2", "V-JEPA 2-AC"])
def test_hidden_width_is_cut_and_not_rounded(kind, width, cut, tmp_path):
    """48/11 of 40 is 174.5 and of 48 is 209.45: a file is taken with the cut width and refused with the next one."""
    from dataclasses import replace

    for hidden, is_right in ((cut, True), (cut + 1, False)):
        folder = tmp_path / str(hidden)
        if kind == "V-JEPA 2":
            encoder = replace(checkpoints.ENCODER, width=width, hidden=hidden)
            predictor = replace(checkpoints.PREDICTOR, encoder_width=width)
            settings = checkpoints.params(encoder, predictor)
            settings["architecture"]["mlp_ratio"] = 48 / 11
            path = checkpoints.write(folder, checkpoints.content(encoder, predictor), settings)
        else:
            encoder = replace(ac_checkpoints.ENCODER, width=width, hidden=hidden)
            predictor = replace(ac_checkpoints.PREDICTOR, encoder_width=width)
            settings = ac_checkpoints.params(encoder, predictor)
            settings["architecture"]["encoder"]["mlp_ratio"] = 48 / 11
            path = ac_checkpoints.write(folder, ac_checkpoints.content(encoder, predictor), settings)
        if is_right:
            assert checkpoint.examine(path)[1].is_exact
        else:
            with pytest.raises(CheckpointError, match=f"hidden width {cut}, the tensors say {cut + 1}"):
                checkpoint.examine(path)


def test_no_call_changes_what_it_was_given(tmp_path):
    model = checkpoint.load(checkpoints.write(tmp_path))
    clip = torch.randn(1, 3, 8, 32, 32)
    keep, ask = torch.arange(20), torch.arange(20, 30)
    with torch.no_grad():
        context = model.features(clip, keep)
        given = [clip, context, keep, ask]
        before = [tensor.clone() for tensor in given]
        model.predict_tokens(context, keep, ask)
        model.encode(clip)

    assert all(torch.equal(one, other) for one, other in zip(given, before))


def test_wrappers_are_taken_off_wherever_they_stand(tmp_path):
    plain = {
        part: {name.removeprefix(checkpoints.PREFIX): tensor for name, tensor in own.items()}
        for part, own in checkpoints.content().items()
        if part in ("encoder", "target_encoder", "predictor")
    }
    for wrapper in ("", "module.", "module.backbone.", "_orig_mod.module.", "module._orig_mod.backbone."):
        saved = {
            part: {wrapper + name: tensor for name, tensor in own.items()} for part, own in plain.items()
        }
        assert checkpoint.examine(checkpoints.write(tmp_path, saved))[1].is_exact, wrapper


def test_encoder_under_another_prefix_is_refused_not_drawn(tmp_path):
    """The official lenient loader leaves such an encoder at its random numbers, without an error (A, part C)."""

    def wrap(saved: checkpoints.Content) -> None:
        for part in ("encoder", "target_encoder"):
            saved[part] = {f"wrapped.{name}": tensor for name, tensor in saved[part].items()}

    with pytest.raises(CheckpointError):
        checkpoint.load(ac_checkpoints.write(tmp_path, change=wrap))


@pytest.mark.parametrize(("stored", "wanted"), [(14, 61), (14, 15), (16, 31), (24, 25), (14, 29)])
def test_interpolated_table_has_every_row_that_was_asked_for(stored, wanted):
    table = torch.randn(1, stored * stored, 4)

    assert resample_3d(table, (1, stored, stored), (1, wanted, wanted)).shape == (1, wanted * wanted, 4)


def test_clip_blocks_reach_the_last_row_and_column():
    from jepa_core.masks import make_masks
    from jepa_core.types import MaskRule, TokenLayout

    layout = TokenLayout("grid", (2, 14, 14), 2, (0.0, 0.0, 1.0, 1.0))
    hidden = torch.zeros(14, 14, dtype=torch.bool)
    for look in range(60):
        (target,) = make_masks(MaskRule("multiblock", generator="short"), layout, look).targets
        hidden.view(-1)[torch.from_numpy(target.copy()).long() % 196] = True

    assert hidden[-1].any()
    assert hidden[:, -1].any()


def test_context_of_a_picture_shows_none_of_its_blocks():
    from jepa_core.masks import make_masks
    from jepa_core.types import MaskRule, TokenLayout

    layout = TokenLayout("grid", (1, 16, 16), 1, (0.0, 0.0, 1.0, 1.0))
    for look in range(60):
        masks = make_masks(MaskRule("multiblock", generator="picture"), layout, look)
        assert not set(masks.context) & set(
            torch.cat([torch.from_numpy(t.copy()) for t in masks.targets]).tolist()
        )


def test_angles_are_computed_in_float32_for_a_coarse_model():
    """In bfloat16 the angle of position 32 would be off by up to 0.06 (A, part C)."""
    place = (torch.tensor([[31]]), torch.tensor([[17]]), torch.tensor([[29]]))
    for paired in (False, True):
        exact = rotary_from_positions(place, 64, torch.float32, paired=paired)
        coarse = rotary_from_positions(place, 64, torch.bfloat16, paired=paired)
        assert torch.equal(coarse.cos, exact.cos.bfloat16())
        assert torch.equal(coarse.sin, exact.sin.bfloat16())


def test_modulated_norm_has_its_own_eps():
    from jepa_core.nn.adaln import _plain_norm

    small = torch.randn(1, 2, 24) * 1e-3
    wanted = (small - small.mean(-1, keepdim=True)) / (
        small.var(-1, keepdim=True, unbiased=False) + 1e-6
    ).sqrt()

    assert torch.allclose(_plain_norm(small), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("write", "shape"),
    [
        (checkpoints.write, (1, 3, 8, 32, 32)),
        (table_checkpoints.write_ijepa, (1, 3, 1, 48, 48)),
        (table_checkpoints.write_vjepa, (1, 3, 8, 32, 32)),
        (ac_checkpoints.write, (1, 3, 2, 32, 32)),
        (leveled_checkpoints.write, (1, 3, 8, 32, 32)),
    ],
    ids=["V-JEPA 2", "I-JEPA", "V-JEPA", "V-JEPA 2-AC", "V-JEPA 2.1"],
)
def test_latents_are_never_those_of_an_earlier_clip(write, shape, tmp_path):
    model = checkpoint.load(write(tmp_path), choices=Choices())
    one, other = torch.randn(shape), torch.randn(shape)

    with torch.no_grad():
        first, second, again = (model.encode(clip) for clip in (one, other, one))

    assert torch.equal(first, again)
    assert not torch.allclose(first, second, atol=1e-2)


def test_dinov2_table_of_37_is_resized_to_the_pictures_grid():
    """The released backbone was built for 518 px and sees 196 (L 2.3, item 1)."""
    from jepa_core.nn.cls_vit import ClsVit, ClsVitSpec

    vit = ClsVit(ClsVitSpec(8, 1, 1, 8, 14, 1 + 37 * 37, 1e-6, has_layer_scale=True))
    table = torch.randn(1, 1 + 37 * 37, 8)
    vit.position_embeddings.data.copy_(table)
    grid = table[:, 1:].reshape(1, 37, 37, 8).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.interpolate(grid, size=(14, 14), mode="bicubic", align_corners=False)

    found = vit.table(14, 14)

    assert torch.equal(found[:, 0], table[:, 0])
    assert torch.allclose(found[0, 1:].T.reshape(8, 14, 14), wanted[0], atol=1e-6)

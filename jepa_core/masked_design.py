"""From a file's tensors to the empty modules of a masked model: encoder, target encoder, predictor, and what to say.

Shared by I-JEPA, V-JEPA and V-JEPA 2. Which facts hold is the family's reading; here they become modules on the meta
device and a Design. Reads no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from jepa_core.design import Design, LookSize, Stored, WeightFile
from jepa_core.errors import KeysDiffer
from jepa_core.ladder import sizes_below
from jepa_core.masked import Settings
from jepa_core.nn.positions import Grid, sincos_2d, sincos_3d
from jepa_core.nn.predictor import Predictor, PredictorSpec
from jepa_core.nn.vit import TableRule, VisionTransformer, VitSpec
from jepa_core.shapes import EncoderShapes, PredictorShapes, read_encoder, read_predictor
from jepa_core.transformer_facts import Reading, variant
from jepa_core.types import InputSpec, LoadReport

ENCODERS = ("encoder", "target_encoder")
ALL_PARTS = (*ENCODERS, "predictor")
ESSENTIAL = {  # without these no size is known
    "encoder": ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "norm.weight"),
    "predictor": ("predictor_embed.weight", "predictor_blocks.0.attn.qkv.weight", "predictor_norm.weight"),
}

Tensors = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts a file holds, and what their shapes say."""

    tensors: Mapping[str, Tensors]  # those of ALL_PARTS that are there
    shapes: EncoderShapes
    shapes_p: PredictorShapes | None

    @property
    def predictor(self) -> Tensors:
        return self.tensors.get("predictor", {})

    @property
    def absent(self) -> tuple[str, ...]:
        return tuple(part for part in ALL_PARTS if part not in self.tensors)


def read_parts(file: WeightFile) -> Parts:
    """Raises KeysDiffer where too little is there to say what it is."""
    tensors = {part: file.parts[part] for part in ALL_PARTS if file.parts.get(part)}
    shapes = read_encoder([tensors[part] for part in ENCODERS if part in tensors])
    if shapes is None:
        raise _lacking(file, "encoder")
    shapes_p = None
    if "predictor" in tensors:
        shapes_p = read_predictor(tensors["predictor"])
        if shapes_p is None:
            raise _lacking(file, "predictor")
    return Parts(tensors, shapes, shapes_p)


def empty_modules(
    parts: Parts,
    reading: Reading,
    *,
    encoder_tables: TableRule,
    predictor_tables: TableRule,
    has_single_mask_token: bool = False,
) -> dict[str, nn.Module]:
    """Every part that the file has, on the meta device. The rules say how stored tables fit other input sizes."""
    shapes, shapes_p = parts.shapes, parts.shapes_p
    vit = VitSpec(
        width=shapes.width,
        depth=reading.depth,
        heads=reading.heads,
        hidden=shapes.hidden,
        patch=shapes.patch,
        tubelet=shapes.tubelet,
        is_gated=shapes.is_gated,
        has_rope=reading.has_rope,
        table_tokens=0 if reading.has_rope else count(reading.native),
        eps=reading.eps,
    )
    modules: dict[str, nn.Module] = {}
    with torch.device("meta"):
        for part in ENCODERS:
            if part in parts.tensors:
                modules[part] = VisionTransformer(vit, encoder_tables)
        if shapes_p is not None:
            spec = PredictorSpec(
                encoder_width=shapes.width,
                width=shapes_p.width,
                depth=reading.predictor_depth,
                heads=reading.predictor_heads,
                hidden=shapes_p.hidden,
                mask_tokens=reading.mask_tokens,
                is_gated=shapes_p.is_gated,
                has_rope=reading.has_rope,
                table_tokens=0 if reading.has_rope else count(reading.predictor_native),
                eps=reading.eps,
                has_single_mask_token=has_single_mask_token,
            )
            modules["predictor"] = Predictor(spec, predictor_tables)
    return modules


def make_design(
    family: str,
    file: WeightFile,
    parts: Parts,
    reading: Reading,
    modules: Mapping[str, nn.Module],
    settings: Settings,
    *,
    sources: Mapping[str, Tensors],
    ignored: tuple[str, ...] = (),
    assumed: Mapping[str, str],
    notes: tuple[str, ...] = (),
    multiblock: str = "clips",
) -> Design:
    """What `checkpoint` compares and loads. `sources` are the parts without what the family leaves out by design."""
    shapes = parts.shapes
    spec = InputSpec(
        size=reading.size,
        frames=reading.frames,
        fps=reading.fps,
        tubelet=max(shapes.tubelet, 1),
        patch=shapes.patch,
    )
    abilities = {"temporal"} if shapes.tubelet else set()
    if parts.shapes_p is not None:
        abilities.add("masked")
    return Design(
        family=family,
        variant=variant(shapes, reading),
        modules=modules,
        sources=sources,
        input=spec,
        abilities=frozenset(abilities),
        embed_dim=shapes.width,
        look=look_size(shapes, parts.shapes_p),
        sizes=sizes_below(reading.size, shapes.patch) if reading.has_rope else (),
        settings=settings,
        ignored=(*file.ignored, *ignored),
        absent_parts=parts.absent,
        assumed={**reading.assumed, **assumed, **_target_rule(parts.absent)},
        notes=(*_notes(parts.absent), *notes),
        refusal=reading.refusal,
        multiblock=multiblock,
    )


def rebuilt_tables(
    native: Grid, width: int, *, uniform_power: bool = False, column_first: bool = False
) -> TableRule:
    """As if the model were built anew for another size (4.3): sin-cos computed, never interpolated.

    The stored table stays at the built size, and its first steps serve a shorter clip of that size.
    """

    def fit(table: torch.Tensor, grid: Grid) -> torch.Tensor:
        if grid == native:
            return table
        if grid[1:] == native[1:] and grid[0] < native[0]:
            return table[:, : count(grid)]
        if native[0] == 1:
            fresh = sincos_2d(grid[1], grid[2], width, column_first=column_first)
        else:
            fresh = sincos_3d(grid, width, uniform_power=uniform_power)
        return fresh.to(device=table.device, dtype=table.dtype)

    return fit


def count(grid: Grid) -> int:
    return grid[0] * grid[1] * grid[2]


def look_size(shapes: EncoderShapes, shapes_p: PredictorShapes | None) -> Callable[[int, int], LookSize]:
    """What the memory of one look at a clip of n frames, s pixels each way, depends on."""

    def of(frames: int, size: int) -> LookSize:
        side = size // shapes.patch
        steps = max(frames // max(shapes.tubelet, 1), 1)
        return LookSize(
            tokens=steps * side * side,
            width=shapes.width,
            hidden=shapes.hidden,
            input_values=3 * (max(frames, 1) if shapes.tubelet else 1) * size * size,
            steps=steps,
            predictor_width=shapes_p.width if shapes_p else 0,
        )

    return of


def _lacking(file: WeightFile, part: str) -> KeysDiffer:
    """Too little of a part is there to know its sizes; what every such part has is named where it is absent."""
    missing = []
    for name in ESSENTIAL[part]:
        if name not in file.parts.get(part, {}):
            own = file.spelling(part, name) if file.spelling is not None else ()
            missing.append(f"{part}/{name} ({', '.join(own)})" if own else f"{part}/{name}")
    return KeysDiffer(
        f"{file.name} lacks too many of the {part}'s tensors to say what it is.",
        "The file is incomplete. Copy or download it again.",
        report=LoadReport(file.name, "", "", 0, missing=tuple(missing), unexpected=file.leftover),
    )


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

"""What the stream table says of each stream: how frames and looks are recorded, column by column.

Frozen descriptions, made before the first record. From a stream's descriptor a reader rebuilds every payload; when
something here changes, the recording goes on in a new part.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, CheckpointInfo, InputSpec, Inspection, LoadReport, SourceInfo
from sessions import canonical, machine
from sessions.schema import (
    ACTION_STREAM,
    CAMERA_STREAM,
    FRAME_COLUMNS,
    MODEL_STREAM,
    NUMERIC_COLUMNS,
    SLOT_COLUMNS,
    STATE_STREAM,
    STEP_COLUMNS,
    RecordType,
    descriptor_columns,
)

TOLERANCE_SAME = 1e-5
"""Token error that still counts as reproduced on the same device and dtype: sums may be ordered differently."""
TOLERANCE_OTHER = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 5e-2}
"""The same across devices or dtypes, by the dtype that was recorded."""

DEFAULT_SIGNALS = ("surprise", "surprise_top", "frame_difference")


@dataclass(frozen=True, slots=True)
class CameraStream:
    """The frames of one source, as they are recorded."""

    width: int
    height: int
    source: SourceInfo | None = None
    name: str = "camera"
    encoding: str = "jpeg"  # "jpeg" | "png" | "none"
    quality: int = 95
    device: str = ""
    device_settings: Mapping[str, JSON] = field(default_factory=dict)
    calibration: Mapping[str, JSON] = field(default_factory=dict)
    model_input: str = "decoded_recorded_frame"  # or "captured_frame"

    @classmethod
    def of(cls, source: SourceInfo, **fields: Any) -> CameraStream:
        return cls(width=source.width, height=source.height, source=source, **fields)

    @property
    def fps(self) -> float:
        return self.source.fps if self.source is not None else 0.0

    def descriptor(self) -> dict[str, JSON]:
        """Its line of the stream table: attributes as they stand in the file, columns as they stand in a payload."""
        calibration = canonical.encode(canonical.plain(self.calibration))
        source = canonical.plain(dataclasses.asdict(self.source)) if self.source is not None else {}
        attributes: dict[str, JSON] = {
            "kind": "frames",
            "encoding": self.encoding,
            "quality": self.quality,
            "width": self.width,
            "height": self.height,
            "pixel_order": "rgb",
            "nominal_fps": float(self.fps),
            "device": self.device or (self.source.name if self.source is not None else ""),
            "device_settings_json": _text(self.device_settings),
            "calibration_json": calibration.decode(),
            "calibration_sha256": hashlib.sha256(calibration).hexdigest() if self.calibration else "",
            "source_file_sha256": str(source.get("detail", {}).get("sha256", "")),
            "encoder_version": _codec_version(),
            "model_input": self.model_input,
            "source_json": canonical.encode(source).decode(),
        }
        return {
            "number": CAMERA_STREAM,
            "name": self.name,
            "kind": "frames",
            "record_type": int(RecordType.FRAME),
            "columns": descriptor_columns(FRAME_COLUMNS, {}),
            "data": "data",
            "attributes": attributes,
        }


@dataclass(frozen=True, slots=True)
class NumericStream:
    """What a source tells of a body beside its pictures, a row per recorded frame."""

    number: int
    name: str  # "action" | "state"
    quantity: str
    names: tuple[str, ...]  # one per number of a row
    units: tuple[str, ...]  # "" where not known

    @classmethod
    def of(cls, source: SourceInfo | None) -> tuple[NumericStream, ...]:
        """Those of a source; none where it tells nothing."""
        motion = source.motion if source is not None else None
        if motion is None:
            return ()
        both = (
            cls(ACTION_STREAM, "action", "what was done from this frame to the next", motion.action_names, motion.action_units),
            cls(STATE_STREAM, "state", "how the body stood at this frame", motion.state_names, motion.state_units),
        )  # fmt: skip
        return tuple(stream for stream in both if stream.names)

    def descriptor(self, camera: str) -> dict[str, JSON]:
        attributes: dict[str, JSON] = {
            "kind": "numeric",
            "quantity": self.quantity,
            "frame_of_reference": "as its source tells it",
            "camera": camera,
            "names": list(self.names),
            "units": list(self.units),
        }
        return {
            "number": self.number,
            "name": self.name,
            "kind": "numeric",
            "record_type": int(RecordType.SAMPLE),
            "columns": descriptor_columns(NUMERIC_COLUMNS, {"n_numbers": len(self.names)}),
            "attributes": attributes,
        }


@dataclass(frozen=True, slots=True)
class ModelStream:
    """The looks of one checkpoint, as they are recorded: every array has this fixed shape for a whole file."""

    checkpoint: CheckpointInfo
    grid: tuple[int, int, int]  # (T', H', W') of a full clip
    frames_per_clip: int
    tubelet: int
    embed_dim: int
    name: str = "model"
    layout: str = "grid"  # "grid" | "slots" | "global"
    metric: str = "l1"
    signal_names: tuple[str, ...] = DEFAULT_SIGNALS
    report: LoadReport | None = None
    options: EngineOptions | None = None
    tolerance: tuple[float, float] = (TOLERANCE_SAME, TOLERANCE_OTHER["float32"])
    regions: tuple[int, int] = (0, 0)  # rows, columns of a slot's share of a frame; (0, 0) without slots

    @classmethod
    def of(
        cls,
        checkpoint: CheckpointInfo,
        options: EngineOptions | None = None,
        report: LoadReport | None = None,
        signal_names: Sequence[str] = (),
    ) -> ModelStream:
        """Of any layout, from what the checkpoint wants and the options allow."""
        options = options or EngineOptions()
        spec = checkpoint.input
        frames = max(spec.tubelet, min(options.clip_frames, spec.frames))
        frames -= frames % spec.tubelet
        names = tuple(signal_names) or _known_signals()
        if options.reads_barcode and "barcode" not in names:
            names = (*names, "barcode")
        return cls(
            checkpoint=checkpoint,
            grid=(frames // spec.tubelet, *_per_step(checkpoint)),
            frames_per_clip=frames,
            tubelet=spec.tubelet,
            embed_dim=checkpoint.embed_dim,
            layout=checkpoint.layout,
            metric=checkpoint.metric if options.metric == "auto" else options.metric,
            signal_names=names,
            report=report,
            options=options,
            tolerance=(TOLERANCE_SAME, TOLERANCE_OTHER.get(checkpoint.dtype, 1e-3)),
            regions=(spec.size // spec.patch,) * 2 if checkpoint.layout == "slots" else (0, 0),
        )

    def holds(self, inspection: Inspection) -> bool:
        """Can this look be recorded in this shape? If not, the recording goes on in a new file that can."""
        (steps, rows, columns), shape = inspection.layout.shape, self.grid
        return (
            steps <= shape[0]
            and (rows, columns) == shape[1:]
            and len(inspection.clip) <= self.frames_per_clip
            and inspection.pooled.shape[-1] == self.embed_dim
            and inspection.layout.kind == self.layout
            and inspection.layout.tubelet == self.tubelet
            and inspection.metric == self.metric
            and inspection.checkpoint == self.checkpoint.id
            and set(inspection.signals) <= set(self.signal_names)
            and (inspection.regions is None or inspection.regions.shape[1:] == self.regions)
        )

    def widened(self, inspection: Inspection) -> ModelStream:
        """The same stream, in a shape that holds this look (and, where only the clip is shorter, full clips too)."""
        steps, rows, columns = inspection.layout.shape
        is_same_grid = (rows, columns) == self.grid[1:] and inspection.layout.tubelet == self.tubelet
        checkpoint = self.checkpoint
        if inspection.checkpoint != checkpoint.id:
            checkpoint = dataclasses.replace(
                checkpoint, id=inspection.checkpoint, family="other", variant="", path="", sha256=""
            )
        names = self.signal_names + tuple(sorted(set(inspection.signals) - set(self.signal_names)))
        return dataclasses.replace(
            self,
            checkpoint=checkpoint,
            grid=(max(steps, self.grid[0]) if is_same_grid else steps, rows, columns),
            frames_per_clip=max(len(inspection.clip), self.frames_per_clip if is_same_grid else 0),
            tubelet=inspection.layout.tubelet,
            embed_dim=inspection.pooled.shape[-1],
            layout=inspection.layout.kind,
            metric=inspection.metric,
            signal_names=names,
            regions=_regions_of(inspection) if inspection.regions is not None else self.regions,
        )

    def descriptor(self, camera: str) -> dict[str, JSON]:
        spec, options = self.checkpoint.input, self.options or EngineOptions()
        steps, rows, columns = self.grid
        sizes = {
            "grid_t": steps, "grid_h": rows, "grid_w": columns, "embed_dim": self.embed_dim,
            "frames_per_clip": self.frames_per_clip, "n_signals": len(self.signal_names),
            "region_h": self.regions[0], "region_w": self.regions[1],
        }  # fmt: skip
        described = STEP_COLUMNS + (SLOT_COLUMNS if self.layout == "slots" else ())
        attributes: dict[str, JSON] = {
            "kind": "model",
            "layout": self.layout,
            "record_model_identity_seq": 0,
            "camera": camera,
            "frames_per_clip": self.frames_per_clip,
            "frame_step": options.stride or self.tubelet,
            "patch_height": spec.patch,
            "patch_width": spec.patch,
            "tubelet": self.tubelet,
            "grid_t": steps,
            "grid_h": rows,
            "grid_w": columns,
            "embed_dim": self.embed_dim,
            **_prediction(self.checkpoint),
            "mask_rule_json": _text(dataclasses.asdict(options.mask)),
            "mask_seed": options.mask.seed,
            "target_normalisation": "layer_norm without affine, as the family prescribes",
            "distance": self.metric,
            "source_dtype": self.checkpoint.dtype,
            "surprise_formula": "mean over the predicted tokens of the mean absolute difference per feature; a token in several targets counts once",
            "reproduce_tolerance": [float(bound) for bound in self.tolerance],
            "window_steps": 0,
            "signal_names": list(self.signal_names),
            "checkpoint_json": _text(dataclasses.asdict(self.checkpoint)),
            "options_json": _text(dataclasses.asdict(options)),
        }
        return {
            "number": MODEL_STREAM,
            "name": self.name,
            "kind": "model",
            "record_type": int(RecordType.STEP),
            "columns": descriptor_columns(described, sizes),
            "attributes": attributes,
        }


def _regions_of(inspection: Inspection) -> tuple[int, int]:
    return inspection.regions.shape[1:] if inspection.regions is not None else (0, 0)


def _per_step(checkpoint: CheckpointInfo) -> tuple[int, int]:
    """(rows, columns) of the tokens of one time step."""
    if checkpoint.layout == "grid":
        side = checkpoint.input.size // checkpoint.input.patch
        return side, side
    return (checkpoint.slots, 1) if checkpoint.layout == "slots" else (1, 1)


def _prediction(checkpoint: CheckpointInfo) -> dict[str, JSON]:
    """What is predicted from what, for the record."""
    if checkpoint.action is not None:
        kind, rule = (
            "action_conditioned",
            "the newest time steps, rolled out from those before under what was done",
        )
    elif checkpoint.layout != "grid":
        kind, rule = "future_state", "the newest time steps, rolled out from those before"
    else:
        kind, rule = "masked", "context tokens of the mask rule; the predictor sees no others"
    return {"prediction_kind": kind, "context_rule_json": _text({"rule": rule})}


def _known_signals() -> tuple[str, ...]:
    from jepa_core.signals import SIGNALS  # a registry of names; needs numpy only

    return tuple(SIGNALS)


def _text(value: Any) -> str:
    return canonical.encode(canonical.plain(value)).decode()


def _codec_version() -> str:
    return f"opencv {machine.package_version('opencv-python-headless', 'opencv-python')}"


def stream_of_inspection(inspection: Inspection) -> ModelStream:
    """A stream that holds this look, when nobody said which checkpoint made it."""
    spec = InputSpec(size=0, frames=len(inspection.clip), fps=0.0, tubelet=inspection.layout.tubelet, patch=0)
    width = inspection.pooled.shape[-1]
    checkpoint = CheckpointInfo(
        inspection.checkpoint, "other", "", "", "", spec, None, frozenset(), dtype="", embed_dim=width
    )
    return ModelStream(
        checkpoint=checkpoint,
        grid=inspection.layout.shape,
        frames_per_clip=len(inspection.clip),
        tubelet=inspection.layout.tubelet,
        embed_dim=width,
        layout=inspection.layout.kind,
        metric=inspection.metric,
        signal_names=tuple(sorted(inspection.signals)),
        regions=_regions_of(inspection),
    )

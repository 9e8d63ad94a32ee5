"""What a session says of itself before the first record: who, where, with what, on which machine.

A SessionHeader is frozen; a new part of a recording gets a new one (`continued`). Its JSON is the journal's header,
byte for byte, and the root of the hash chain.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jepa_core.clock import Clock, SystemClock
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, CheckpointInfo, InputSpec, Inspection, LoadReport, SourceInfo
from sessions import canonical, machine
from sessions.events import uuid7
from sessions.schema import (
    CAMERA_STREAM,
    FORMAT,
    FRAME_COLUMNS,
    MODEL_STREAM,
    NOTICE,
    SCHEMA_VERSION,
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

    @classmethod
    def of(
        cls,
        checkpoint: CheckpointInfo,
        options: EngineOptions | None = None,
        report: LoadReport | None = None,
        signal_names: Sequence[str] = (),
    ) -> ModelStream:
        """The stream of a patch-grid family, from what the checkpoint wants and the options allow."""
        options = options or EngineOptions()
        spec = checkpoint.input
        frames = max(spec.tubelet, min(options.clip_frames, spec.frames))
        frames -= frames % spec.tubelet
        names = tuple(signal_names) or _known_signals()
        if options.reads_barcode and "barcode" not in names:
            names = (*names, "barcode")
        return cls(
            checkpoint=checkpoint,
            grid=(frames // spec.tubelet, spec.size // spec.patch, spec.size // spec.patch),
            frames_per_clip=frames,
            tubelet=spec.tubelet,
            embed_dim=checkpoint.embed_dim,
            metric=options.metric,
            signal_names=names,
            report=report,
            options=options,
            tolerance=(TOLERANCE_SAME, TOLERANCE_OTHER.get(checkpoint.dtype, 1e-3)),
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
        )

    def descriptor(self, camera: str) -> dict[str, JSON]:
        spec, options = self.checkpoint.input, self.options or EngineOptions()
        steps, rows, columns = self.grid
        sizes = {
            "grid_t": steps, "grid_h": rows, "grid_w": columns, "embed_dim": self.embed_dim,
            "frames_per_clip": self.frames_per_clip, "n_signals": len(self.signal_names),
        }  # fmt: skip
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
            "prediction_kind": "masked",
            "context_rule_json": _text(
                {"rule": "context tokens of the mask rule; the predictor sees no others"}
            ),
            "mask_rule_json": _text(dataclasses.asdict(options.mask)),
            "mask_seed": options.mask.seed,
            "target_normalisation": "layer_norm without affine, as the family prescribes",
            "distance": self.metric,
            "source_dtype": self.checkpoint.dtype,
            "surprise_formula": "mean over the predicted tokens of the mean absolute difference per feature; a token in several targets counts once",
            "reproduce_tolerance_same": float(self.tolerance[0]),
            "reproduce_tolerance_other": float(self.tolerance[1]),
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
            "columns": descriptor_columns(STEP_COLUMNS, sizes),
            "attributes": attributes,
        }


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """Everything of session format 4.1 that is known before the first record."""

    session_id: str
    start_mono_ns: int
    start_wall_ns: int
    camera: CameraStream
    model: ModelStream | None = None
    title: str = ""
    purpose: str = ""
    session_kind: str = "experiment"
    site: str = ""
    cell: str = ""
    platform: str = ""
    robot_body: str = "none"
    operator_id: str = ""
    operator_role: str = "operator"
    supervisors: tuple[JSON, ...] = ()
    clock_wall_error_ns: int = -1
    utc_offset_minutes: int = 0
    authority_level: str = "display_only"
    stop_integration: str = "none"
    config: Mapping[str, JSON] = field(default_factory=dict)
    environment: Mapping[str, JSON] = field(default_factory=dict)
    privacy: Mapping[str, JSON] = field(default_factory=dict)
    producer: str = ""
    previous_journal: str = ""
    previous_chain_head: str = ""

    @property
    def file_id(self) -> str:
        """`YYYYMMDDTHHMMSSZ-<8 hex>`: the stem of every file of this session."""
        started = datetime.datetime.fromtimestamp(self.start_wall_ns // 10**9, datetime.UTC)
        return f"{started:%Y%m%dT%H%M%SZ}-{self.session_id.replace('-', '')[-8:]}"

    def continued(
        self, previous: Path, chain_head: bytes, clock_now: tuple[int, int], **changes: Any
    ) -> SessionHeader:
        """The header of the next part: tied to the one before by its file name and its chain's head."""
        mono_ns, wall_ns = clock_now
        return dataclasses.replace(
            self,
            previous_journal=previous.name,
            previous_chain_head=chain_head.hex(),
            **{"start_mono_ns": mono_ns, "start_wall_ns": wall_ns, **changes},
        )

    def to_json(self) -> dict[str, JSON]:
        config = canonical.plain(self.config)
        clock_mono, clock_wall = machine.clock_sources()
        streams: list[JSON] = [self.camera.descriptor()]
        if self.model is not None:
            streams.append(self.model.descriptor(self.camera.name))
        created = datetime.datetime.fromtimestamp(self.start_wall_ns / 1e9, datetime.UTC)
        document = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "session_id": self.session_id,
            "file_id": self.file_id,
            "created_utc": f"{created:%Y-%m-%dT%H:%M:%S.%f}Z",
            "producer": self.producer or machine.producer(),
            "notice": NOTICE,
            "supervisors": list(self.supervisors),
            "clock_mono_source": clock_mono,
            "clock_wall_source": clock_wall,
            "streams": streams,
            "config": config,
            "config_sha256": hashlib.sha256(canonical.encode(config)).hexdigest(),
            "environment": dict(self.environment),
            "privacy": {**PRIVACY_DEFAULTS, **self.privacy},
        }
        document.update({name: getattr(self, name) for name in _PLAIN_FIELDS})
        result: dict[str, JSON] = canonical.plain(document)
        return result

    def to_bytes(self) -> bytes:
        """The journal's header_json."""
        return canonical.encode(self.to_json())


_PLAIN_FIELDS = (
    "start_mono_ns", "start_wall_ns", "title", "purpose", "session_kind", "site", "cell", "platform", "robot_body",
    "operator_id", "operator_role", "clock_wall_error_ns", "utc_offset_minutes", "authority_level",
    "stop_integration", "previous_journal", "previous_chain_head",
)  # fmt: skip

PRIVACY_DEFAULTS: dict[str, JSON] = {
    "profile": "full",
    "people_expected": "unknown",
    "legal_basis": "",
    "notice_given": "unknown",
    "controller_contact": "",
    "retain_pixels_until": "",
    "retain_file_until": "",
    "legal_hold": "no",
}


def build_header(
    *,
    source: SourceInfo,
    checkpoint: CheckpointInfo | None = None,
    report: LoadReport | None = None,
    options: EngineOptions | None = None,
    title: str = "",
    purpose: str = "",
    operator: str = "",
    config: Mapping[str, Any] | None = None,
    camera: CameraStream | None = None,
    model: ModelStream | None = None,
    environment: Mapping[str, JSON] | None = None,
    clock: Clock | None = None,
    **fields: Any,
) -> SessionHeader:
    """A complete header of a session that begins now. `fields` are others of SessionHeader."""
    clock = clock or SystemClock()
    wall_ns = clock.wall_ns()
    if model is None and checkpoint is not None:
        model = ModelStream.of(checkpoint, options, report)
    extra: dict[str, JSON] = {}
    if checkpoint is not None:
        extra = {
            "device": checkpoint.device,
            "dtype": checkpoint.dtype,
            "torch_threads": (options or EngineOptions()).threads,
        }
    return SessionHeader(
        session_id=fields.pop("session_id", "") or uuid7(wall_ns),
        start_mono_ns=clock.now_ns(),
        start_wall_ns=wall_ns,
        camera=camera or CameraStream.of(source),
        model=model,
        title=title,
        purpose=purpose,
        operator_id=operator,
        utc_offset_minutes=fields.pop("utc_offset_minutes", _utc_offset_minutes()),
        config=config or {},
        environment=machine.environment({**extra, **(environment or {})}),
        **fields,
    )


def _utc_offset_minutes() -> int:
    offset = datetime.datetime.now().astimezone().utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


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
    )

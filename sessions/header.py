"""What a session says of itself before the first record: who, where, with what, on which machine.

A SessionHeader is frozen; a new part of a recording gets a new one (`continued`). Its JSON is the journal's header,
byte for byte, and the root of the hash chain.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jepa_core.clock import Clock, SystemClock
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, CheckpointInfo, LoadReport, SourceInfo
from sessions import canonical, machine
from sessions.events import uuid7
from sessions.schema import FORMAT, NOTICE, SCHEMA_VERSION
from sessions.streams import CameraStream, ModelStream, NumericStream, stream_of_inspection

__all__ = ["CameraStream", "ModelStream", "SessionHeader", "build_header", "stream_of_inspection"]


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
        streams += [stream.descriptor(self.camera.name) for stream in NumericStream.of(self.camera.source)]
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

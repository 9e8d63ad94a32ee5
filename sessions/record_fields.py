"""The minimum system record (session format 4.2): all nine sections, every field, with what is known of each.

Builds the document that opens every journal. A field nobody stated says `unknown`; nothing is guessed. What is published
about the checkpoint comes from `record_claims`, as far as it applies to this file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jepa_core.types import JSON, CheckpointInfo, LoadReport
from sessions import canonical
from sessions.header import ModelStream, SessionHeader
from sessions.record_claims import Stated, published_fields
from sessions.schema import RECORD_SECTIONS, SYSTEM_NAMES

MOST_NAMES = 200  # tensor names listed per kind; a refused file may have thousands


def record_document(header: SessionHeader, t_wall_ns: int) -> dict[str, JSON]:
    """The document with every section and field; those the header knows are stated."""
    known = known_fields(header)
    rows: list[JSON] = []
    for section, fields in RECORD_SECTIONS.items():
        for name in fields:
            stated = known.get((section, name))
            row = {
                "section": section,
                "field": name,
                "value": stated.value if stated else None,
                "status": stated.status if stated else "unknown",
                "source_kind": stated.source_kind if stated else "unknown",
                "source_ref": stated.source_ref if stated else "",
                "asserted_by": stated.asserted_by if stated else "",
                "t_wall_ns": t_wall_ns,
            }
            rows.append(canonical.plain(row))
    return {"document": "record", "fields": rows}


def known_fields(header: SessionHeader) -> dict[tuple[str, str], Stated]:
    known: dict[tuple[str, str], Stated] = {}
    if header.model is not None:
        known |= published_fields(
            header.model.checkpoint
        )  # first, so that what is known of this session wins
    known["audit_evidence", "configuration_hashes"] = Stated(
        {"config_sha256": header.to_json()["config_sha256"]}
    )
    if (source := header.camera.source) is not None:
        known["evaluation_boundary", "sensors"] = Stated(
            {"source": source.name, "width": source.width, "height": source.height, "fps": source.fps}
        )
    if header.model is not None:
        for name, stated in _identity(header.model).items():
            known["model_identity", name] = stated
        known["uncertainty_and_failure", "signals"] = Stated(list(header.model.signal_names))
        if header.model.options is not None:
            known["objective", "mask_strategy"] = Stated(
                canonical.plain(dataclasses.asdict(header.model.options.mask)), "operator_statement"
            )
    return known


def _identity(model: ModelStream) -> dict[str, Stated]:
    info = model.checkpoint
    file_ref = f"sha256:{info.sha256}" if info.sha256 else ""
    is_known = info.family in SYSTEM_NAMES
    values: dict[str, JSON] = {
        "system_name": info.family if is_known else "other",
        "system_name_other": "" if is_known else info.family,
        "checkpoint_name": Path(info.path).name,
        "checkpoint_uri": info.path,
        "encoder_variant": info.variant,
        "tokenizer_or_patching": {
            "patch": info.input.patch,
            "tubelet": info.input.tubelet,
            "crop": info.input.size,
        },
        "input_normalisation": {"mean": list(info.input.mean), "std": list(info.input.std)},
        "inference_dtype": info.dtype,
    }
    if info.sha256:
        values["checkpoint_sha256"] = info.sha256
    if info.parameters:
        values["model_size_parameters"] = info.parameters
    if model.report is not None:
        values["loaded_tensors_report"] = _report(model.report, info)
        if model.report.file_bytes:
            values["checkpoint_bytes"] = model.report.file_bytes
    return {name: Stated(value, source_ref=file_ref) for name, value in values.items()}


def _report(report: LoadReport, info: CheckpointInfo) -> JSON:
    result: dict[str, Any] = {
        "matched": report.matched,
        "is_exact": report.is_exact,
        "absent_parts": list(report.absent_parts),
        "assumed": dict(report.assumed),
        "notes": list(info.notes),
    }
    for name in ("missing", "unexpected", "reshaped", "ignored"):
        names: Sequence[str] = getattr(report, name)
        result[name] = {"count": len(names), "names": list(names[:MOST_NAMES])}
    plain: JSON = canonical.plain(result)
    return plain

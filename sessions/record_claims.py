"""What is published about a checkpoint, as fields of the minimum system record (session format 4.2).

How much is stated depends on how well the file is known. A released file gets the published data, limits and
benchmarks of its own version. A file that is only built like one gets the published objective, marked as not established
for this file. Any other gets what its architecture alone says. Pure, apart from `published_fields` reading the claims.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from jepa_core import claims_file
from jepa_core.claims import Fact, Figure, Reference, SystemClaims
from jepa_core.claims_match import Belonging, belonging, proved_id
from jepa_core.errors import ConfigError
from jepa_core.types import JSON, CheckpointInfo

log = logging.getLogger(__name__)

Key = tuple[str, str]

OF_THE_ARCHITECTURE = frozenset({("objective", "prediction_kind"), ("action_stack", "component_boundaries")})
OF_THE_TRAINING = ("objective",)  # sections true of every file that was trained as published
TARGET_MODE = ("model_identity", "target_encoder_mode")
TRAINED_AS_PUBLISHED = ("released", "conversion", "like")  # of these at least the recipe may be told


@dataclass(frozen=True, slots=True)
class Stated:
    """One field somebody stands for."""

    value: JSON
    source_kind: str = "own_measurement"
    source_ref: str = ""
    asserted_by: str = "console"
    status: str = "stated"  # or "not_applicable"


def published_fields(info: CheckpointInfo) -> dict[Key, Stated]:
    """`record_fields` from the claims that came with the console; nothing where they cannot be read."""
    try:
        claims = claims_file.claims_for(info.family)
        proved = proved_id(info)
    except ConfigError as error:  # a recording must begin all the same; its record then says unknown
        log.warning("the claims are not part of the record: %s", error)
        return {}
    return record_fields(claims, info, proved) if claims is not None else {}


def record_fields(claims: SystemClaims, info: CheckpointInfo, proved: str = "") -> dict[Key, Stated]:
    """(section, field) → what is published and applies to this file. Unknown facts are left out.

    proved   as `claims_match.belonging`
    """
    place = belonging(info, claims, proved)
    fields = {
        (fact.section, fact.name): _stated(fact, claims, place)
        for fact in claims.facts
        if fact.status != "unknown" and _applies(fact, place)
    }
    if place.is_released:
        version = place.versions[0]
        fields["model_identity", "release_tag"] = Stated(version.id, "model_card", place.how)
    if place.figures:
        fields["evaluation_boundary", "benchmarks"] = Stated(
            [_benchmark(figure) for figure in place.figures],
            place.figures[0].source.kind,
            _cited(place.figures),
        )
    faults = [(fault.text, fault.source, fault.where) for fault in claims.faults if fault.source is not None]
    if faults and place.kind in TRAINED_AS_PUBLISHED:
        texts: list[JSON] = [f"{text} ({_ref(source, where)})" for text, source, where in faults]
        fields["uncertainty_and_failure", "edge_cases"] = Stated(
            texts, faults[0][1].kind, _qualified(claims, place)
        )
    return fields


def _applies(fact: Fact, place: Belonging) -> bool:
    key = (fact.section, fact.name)
    if place.is_released or key in OF_THE_ARCHITECTURE:
        return True
    return place.kind in TRAINED_AS_PUBLISHED and (fact.section in OF_THE_TRAINING or key == TARGET_MODE)


def _stated(fact: Fact, claims: SystemClaims, place: Belonging) -> Stated:
    if fact.status == "not_applicable":
        return Stated(fact.text, "own_measurement", _qualified(claims, place), status="not_applicable")
    assert fact.source is not None
    ref = _ref(fact.source, fact.where)
    return Stated(fact.value or fact.text, fact.source.kind, f"{ref}; {_qualified(claims, place)}")


def _qualified(claims: SystemClaims, place: Belonging) -> str:
    if place.is_released:
        return f"published for {claims.system} {place.versions[0].id}"
    return f"published for {claims.system}, not established for this file"


def _benchmark(figure: Figure) -> JSON:
    return {
        "name": figure.benchmark,
        "split": figure.setting,
        "metric": figure.metric,
        "value": figure.value,
        "unit": figure.unit,
        "model_version": figure.version.id,
        "paper_or_repository": figure.cited,
        "reported_by": figure.reported_by,
    }


def _cited(figures: tuple[Figure, ...]) -> str:
    return "; ".join(dict.fromkeys(figure.source.ref for figure in figures))


def _ref(source: Reference, where: str) -> str:
    return f"{source.ref}, {where}" if where else source.ref

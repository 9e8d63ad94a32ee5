"""What is published about a checkpoint goes into the record as far as it applies to this file, and no further."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jepa_core import claims_file
from jepa_core.clock import FakeClock
from jepa_core.errors import ConfigError
from jepa_core.types import CheckpointInfo, InputSpec
from sessions import canonical, record_claims
from sessions.record_claims import published_fields, record_fields
from sessions.record_fields import record_document
from sessions.schema import FIELD_STATES, RECORD_SECTIONS, SOURCE_KINDS
from tests.helpers.recordings import make_header

CLAIMS = claims_file.load()
PUSHT = "48938400ae3464c9680731287f583a9cb516f55a8ec64ea13a91be47fb15b607"


def make_info(**changes) -> CheckpointInfo:
    values = {
        "id": "x",
        "family": "V-JEPA 2",
        "variant": "ViT-L/16, 256 px, 64 frames",
        "path": "/models/vitl.pt",
        "sha256": "0" * 64,
        "input": InputSpec(256, 64, 4.0, 2, 16),
        "action": None,
        "abilities": frozenset(),
    }
    return CheckpointInfo(**{**values, **changes})


def make_released() -> CheckpointInfo:
    variant = "ViT-tiny/14, 224 px, 10 numbers per action block"
    return make_info(family="LeWorldModel", variant=variant, sha256=PUSHT)


def test_a_released_file_gets_its_data_its_limits_and_its_own_benchmarks():
    fields = published_fields(make_released())

    assert fields["model_identity", "release_tag"].value == "Push-T"
    assert "20,000 expert episodes" in fields["data", "episode_count"].value
    assert fields["objective", "prediction_kind"].value == "action_conditioned"
    benchmarks = fields["evaluation_boundary", "benchmarks"].value
    assert {row["model_version"] for row in benchmarks} == {"Push-T"}
    assert all(row["name"] and row["paper_or_repository"] for row in benchmarks)
    assert "arXiv 2603.19312" in fields["evaluation_boundary", "benchmarks"].source_ref


def test_a_file_that_is_only_built_like_one_gets_the_recipe_and_no_data_and_no_figure():
    fields = record_fields(CLAIMS["V-JEPA 2"], make_info())

    assert fields["objective", "loss_terms"].source_kind == "official_repository"
    assert fields["objective", "loss_terms"].source_ref.endswith("not established for this file")
    assert fields["model_identity", "target_encoder_mode"].value == "teacher_updated"
    assert {section for section, _ in fields} & {"data", "evaluation_boundary"} == set()
    assert ("model_identity", "release_tag") not in fields


def test_a_demo_checkpoint_gets_what_its_architecture_says_and_nothing_of_a_training():
    info = make_info(variant="ViT 96x4/8, 64 px, 12 frames", input=InputSpec(64, 12, 4.0, 2, 8))

    assert set(record_fields(CLAIMS["V-JEPA 2"], info)) == {
        ("objective", "prediction_kind"),
        ("action_stack", "component_boundaries"),
    }


@pytest.mark.parametrize("system", CLAIMS)
@pytest.mark.parametrize("kind", ["released", "like", "other"])
def test_whatever_is_stated_fits_the_record(system, kind):
    claims = CLAIMS[system]
    version = next((v for v in claims.versions if v.is_released), None)
    variant = ", ".join(version.architecture) if version and kind != "other" else "ViT 1x1/1"
    info = make_info(family=system, variant=variant)
    fields = record_fields(claims, info, version.catalogue[0] if version and kind == "released" else "")

    for (section, name), stated in fields.items():
        assert name in RECORD_SECTIONS[section]
        assert stated.status in FIELD_STATES
        assert stated.source_kind in SOURCE_KINDS
        assert stated.source_ref
        canonical.encode(canonical.plain(stated.value))


def test_the_journal_opens_with_what_is_published_and_with_what_this_session_knows_better():
    header = make_header(FakeClock())
    header = replace(header, model=replace(header.model, checkpoint=make_released()))
    rows = {(row["section"], row["field"]): row for row in record_document(header, 7)["fields"]}

    assert rows["data", "training_sources"]["status"] == "stated"
    assert rows["data", "video_hours"]["status"] == "not_applicable"
    assert rows["data", "known_bias"]["status"] == "unknown"
    assert rows["model_identity", "checkpoint_name"]["value"] == "vitl.pt"
    assert rows["evaluation_boundary", "sensors"]["source_kind"] == "own_measurement"
    assert rows["data", "training_sources"]["source_kind"] == "primary_paper"


def test_damaged_claims_leave_the_record_unknown_and_the_recording_going(monkeypatch, caplog):
    def damaged(_system: str) -> None:
        raise ConfigError("V-JEPA 2.toml is not valid TOML.", "Mend it.")

    monkeypatch.setattr(record_claims.claims_file, "claims_for", damaged)
    document = record_document(make_header(FakeClock()), 7)

    rows = {(row["section"], row["field"]): row for row in document["fields"]}
    assert rows["objective", "loss_terms"]["status"] == "unknown"
    assert "claims are not part of the record" in caplog.text


def test_a_system_without_claims_gets_nothing():
    assert published_fields(make_info(family="Toy")) == {}

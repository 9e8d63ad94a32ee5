"""What may be claimed: every shipped fact is complete, and a figure never stands on another checkpoint."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jepa_core import catalogue, claims_file, released
from jepa_core.claims import BOUNDARY_TESTS, FIELDS, LADDER, SOURCE_KINDS, VOCABULARY, figures_for
from jepa_core.claims_match import belonging, is_built_like, proved_id
from jepa_core.errors import ConfigError
from jepa_core.registry import systems
from jepa_core.types import CheckpointInfo, InputSpec
from tests.helpers.toml_text import written

CLAIMS = claims_file.load()
FIGURES = [figure for claims in CLAIMS.values() for figure in claims.figures]
VERSIONS = [(claims, version) for claims in CLAIMS.values() for version in claims.versions]
PUSHT = "48938400ae3464c9680731287f583a9cb516f55a8ec64ea13a91be47fb15b607"
NAME = "V-JEPA 2"


def make_info(family: str = NAME, variant: str = "ViT-L/16, 256 px, 64 frames", **changes) -> CheckpointInfo:
    values = {
        "id": "x",
        "family": family,
        "variant": variant,
        "path": "/models/vitl.pt",
        "sha256": "0" * 64,
        "input": InputSpec(256, 64, 4.0, 2, 16),
        "action": None,
        "abilities": frozenset(),
    }
    return CheckpointInfo(**{**values, **changes})


# --- what is shipped ---------------------------------------------------------------------------------------------------


def test_every_system_that_loads_has_a_claims_file_under_its_exact_name():
    assert set(systems()) <= set(CLAIMS)
    assert {path.stem for path in claims_file.DIRECTORY.iterdir()} == set(CLAIMS)
    assert list(CLAIMS) == list(claims_file.SYSTEMS)


@pytest.mark.parametrize(
    "figure", FIGURES, ids=lambda f: f"{f.benchmark}-{f.metric}-{f.version.id}-{f.where}"
)
def test_every_shipped_figure_has_all_that_it_must_be_shown_with(figure):
    assert figure.benchmark
    assert figure.metric
    assert figure.unit
    assert figure.version.id
    assert figure.where
    assert figure.reported_by
    assert figure.source.ref.split()[0] in figure.cited
    assert figure.number >= 0


def test_every_source_says_how_it_was_read_and_every_fact_has_one():
    for claims in CLAIMS.values():
        assert all(source.via and source.ref for source in claims.sources)
        lacking = [f.name for f in claims.facts if f.status == "stated" and f.source is None]
        assert lacking == []
        unused = {s.id for s in claims.sources} - {
            item.source.id
            for item in (*claims.facts, *claims.figures, *claims.faults, *claims.not_tested)
            if item.source is not None
        }
        assert unused == set(), f"{claims.system} lists sources nothing is from"


@pytest.mark.parametrize("system", CLAIMS)
def test_every_system_has_its_step_its_seven_answers_and_what_was_not_tested(system):
    claims = CLAIMS[system]
    assert claims.level in LADDER
    assert claims.level_reason
    assert [answer.test for answer in claims.boundary] == list(BOUNDARY_TESTS)
    assert all(answer.answer and answer.reason for answer in claims.boundary)
    assert claims.not_tested
    assert claims.may_be_said
    assert claims.may_not_be_said
    assert [(fact.section, fact.name) for fact in claims.facts] == [
        (section, name) for section, names in FIELDS.items() for name in names
    ]


def test_the_steps_are_those_of_the_evidence():
    steps = {system: claims.rung for system, claims in CLAIMS.items()}

    assert steps == {
        "LeCun 2022 proposal": 1,
        "I-JEPA": 2,
        "V-JEPA": 2,
        "V-JEPA 2": 3,
        "V-JEPA 2-AC": 4,
        "V-JEPA 2.1": 3,
        "C-JEPA": 4,
        "LeWorldModel": 4,
    }


def test_the_fixed_lists_are_those_of_the_session_format():
    from sessions import schema

    assert SOURCE_KINDS == schema.SOURCE_KINDS
    assert set(claims_file.SYSTEMS) | {"other"} == set(schema.SYSTEM_NAMES)
    for section, names in FIELDS.items():
        assert set(names) <= set(schema.RECORD_SECTIONS[section])


@pytest.mark.parametrize(("claims", "version"), VERSIONS, ids=[f"{c.system}: {v.id}" for c, v in VERSIONS])
def test_every_version_is_in_the_catalogue_under_the_same_system(claims, version):
    known = catalogue.released().by_id

    assert {known[name].system for name in (*version.catalogue, *version.conversions)} <= {claims.system}
    assert bool(version.catalogue) == version.is_released


def test_every_released_file_that_loads_belongs_to_one_version():
    claimed = [name for _, version in VERSIONS for name in (*version.catalogue, *version.conversions)]
    own = {"cjepa-clevrer-videosaur", "cjepa-pusht-videosaur", "cjepa-clevrer-savi"}  # encoders: no figures

    assert sorted(claimed) == sorted(set(claimed))
    assert {entry.id for entry in catalogue.released().entries} - set(claimed) == own


def test_figures_the_specification_lists_are_there_digit_by_digit():
    """A sample of part D of specs/vjepa2-ac-vjepa2.1.md and section 1.9 of specs/lewm-cjepa.md."""
    wanted = {
        ("V-JEPA 2", "Something-Something v2", "ViT-g/16, 384 px"): "77.3 %",
        ("V-JEPA 2", "EPIC-Kitchens-100, action anticipation", "ViT-L/16, 256 px"): "32.7 %",
        ("V-JEPA 2.1", "NYUv2 depth", "ViT-g/16, 384 px"): "0.350",
        ("V-JEPA 2.1", "Ego4D short-term anticipation", "ViT-G/16, 384 px"): "7.71 %",
        ("V-JEPA 2-AC", "Franka, grasp a box", "ViT-g/16, 256 px, released file"): "25 %",
        ("C-JEPA", "CLEVRER question answering", "CLEVRER, VideoSAUR slots, 0 masked"): "47.68 %",
        ("LeWorldModel", "Reacher, planning", "Reacher"): "86 %",
    }
    found = {
        (claims.system, figure.benchmark, figure.version.id): figure.words
        for claims in CLAIMS.values()
        for figure in claims.figures
    }

    assert {key: found.get(key) for key in wanted} == wanted


# --- where a figure belongs ----------------------------------------------------------------------------------------------


def test_figures_of_a_version_are_its_own_and_no_other_version_s():
    claims = CLAIMS[NAME]
    shown = {version.id: figures_for(claims, version) for version in claims.versions}

    assert {f.version.id for figures in shown.values() for f in figures} == {
        f.version.id for f in claims.figures
    }
    assert all(f.version.id == name for name, figures in shown.items() for f in figures)
    assert figures_for(claims, "ViT-L/16, 384 px") == ()


def test_only_a_known_sha256_makes_a_file_the_released_one():
    info = make_info("LeWorldModel", "ViT-tiny/14, 224 px, 10 numbers per action block", sha256=PUSHT)

    place = belonging(info, CLAIMS["LeWorldModel"], proved_id(info))

    assert place.is_released
    assert {figure.version.id for figure in place.figures} == {"Push-T"}
    assert place.published == ()


@pytest.mark.parametrize("name", ["vitl.pt", "cell.pt"])
def test_a_self_trained_checkpoint_of_the_same_architecture_gets_no_figure_of_its_own(name):
    """Neither by its architecture nor by the name somebody gave it."""
    info = make_info(path=f"/models/{name}", sha256="ab" * 32)

    place = belonging(info, CLAIMS[NAME], proved_id(info))

    assert proved_id(info) == ""
    assert place.kind == "like"
    assert place.figures == ()
    assert {figure.version.id for figure in place.published} == {"ViT-L/16, 256 px"}
    assert "not known to be" in place.words


def test_a_demo_checkpoint_gets_nothing():
    place = belonging(
        make_info(variant="ViT 96x4/8, 64 px, 12 frames", input=InputSpec(64, 12, 4.0, 2, 8)), CLAIMS[NAME]
    )

    assert (place.kind, place.figures, place.published) == ("none", (), ())
    assert place.words == "No published figure belongs to this file."


def test_another_resolution_or_letter_case_is_another_version():
    claims = CLAIMS["V-JEPA 2.1"]
    small, big = (
        belonging(make_info("V-JEPA 2.1", f"ViT-{letter}/16, 384 px, 64 frames"), claims) for letter in "gG"
    )

    assert [v.id for v in small.versions] == ["ViT-g/16, 384 px"]
    assert [v.id for v in big.versions] == ["ViT-G/16, 384 px"]
    wide = make_info("V-JEPA 2.1", "ViT-G/16, 512 px, 64 frames", input=InputSpec(512, 64, 4.0, 2, 16))
    assert belonging(wide, claims).kind == "none"


def test_a_conversion_is_named_and_its_figures_are_not_called_measured_with_it():
    place = belonging(make_info(), CLAIMS[NAME], "vjepa2-hf-vitl")

    assert place.kind == "conversion"
    assert place.figures == ()
    assert {figure.version.id for figure in place.published} == {"ViT-L/16, 256 px"}


def test_a_file_that_could_be_two_versions_is_given_to_neither():
    place = belonging(make_info("I-JEPA", "ViT-H/14, 224 px, pictures"), CLAIMS["I-JEPA"])

    assert place.kind == "like"
    assert len(place.versions) == 2
    assert {figure.version.id for figure in place.published} == {version.id for version in place.versions}


def test_another_system_gets_nothing():
    place = belonging(make_info("V-JEPA"), CLAIMS[NAME], "vjepa2-vitl")

    assert (place.kind, place.figures, place.published) == ("other system", (), ())


@given(
    st.sampled_from(list(CLAIMS)),
    st.sampled_from([entry.id for entry in catalogue.released().entries] + ["", "vitl.pt"]),
    st.text("ViT-LHgG/16, 384256px", max_size=30) | st.sampled_from([v.id for _, v in VERSIONS]),
)
def test_whatever_is_loaded_a_figure_called_its_own_is_of_the_version_that_was_proved(
    system, proved, variant
):
    claims = CLAIMS[system]
    place = belonging(make_info(system, variant), claims, proved)

    for figure in place.figures:
        assert proved in figure.version.catalogue
    for figure in place.published:
        assert figure.version in place.versions
    assert place.figures == () or place.published == ()


def test_the_loader_names_every_released_configuration_so_that_its_version_is_found():
    """The architecture words of the claims files are those that the families write."""
    known = catalogue.released()
    files = {f.name: e for e in known.entries for f in e.files if f.name not in catalogue.COMMON_NAMES}
    seen = set()
    for name in released.names():
        entry = known.by_id.get(name) or files.get(released.find(name).file)
        if entry is None:
            continue
        design = released.build(name)
        info = make_info(design.family, design.variant, input=design.input)
        for claims, version in VERSIONS:
            if entry.id in (*version.catalogue, *version.conversions) and claims.system == design.family:
                assert is_built_like(info, version), (name, design.variant, version.architecture)
                seen.add(version.id)
    assert len(seen) >= 15


# --- the reader --------------------------------------------------------------------------------------------------------


def write(folder: Path, values: dict, name: str = NAME) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(written(values), encoding="utf-8")
    return path


def values_of(name: str = NAME) -> dict:
    return tomllib.loads((claims_file.DIRECTORY / f"{name}.toml").read_text("utf-8"))


@pytest.mark.parametrize("system", CLAIMS)
def test_a_file_that_is_written_again_says_the_same(tmp_path, system):
    assert claims_file.read(write(tmp_path, values_of(system), system)) == CLAIMS[system]


@pytest.mark.parametrize("key", ["benchmark", "metric", "unit", "source", "where", "reported_by", "values"])
def test_a_figure_that_lacks_anything_is_refused(tmp_path, key):
    values = values_of()
    del values["figures"][3][key]

    with pytest.raises(ConfigError) as caught:
        claims_file.read(write(tmp_path, values))

    assert f"{NAME}.toml, figures 4" in caught.value.what
    assert key in caught.value.what


def break_version(values):
    values["figures"][0]["values"] = {"ViT-X": "1"}


def break_no_value(values):
    values["figures"][0]["values"] = {}


def break_number(values):
    values["figures"][0]["values"] = {"ViT-L/16, 256 px": "about 70"}


def break_source(values):
    values["figures"][0]["source"] = "somebody"


def break_unknown_key(values):
    values["figures"][0]["bench"] = "x"


def break_unknown_top(values):
    values["ladders"] = {}


def break_level(values):
    values["ladder"]["level"] = "certified"


def break_boundary(values):
    del values["boundary"]["simulator"]


def break_boundary_name(values):
    values["boundary"]["robot"] = values["boundary"]["simulator"]


def break_verdict(values):
    values["boundary"]["simulator"]["verdict"] = "maybe"


def break_fact_source(values):
    del values["objective"]["loss_terms"]["source"]


def break_fact_value(values):
    values["objective"]["prediction_kind"]["value"] = "pixels"


def break_fault_source(values):
    del values["faults"][0]["source"]


def break_kind(values):
    values["sources"][0]["kind"] = "hearsay"


def break_released(values):
    del values["versions"][0]["catalogue"]


def break_unreleased(values):
    values["versions"][-1]["catalogue"] = ["vjepa2-vitl"]


def break_twice(values):
    values["versions"].append(copy.deepcopy(values["versions"][0]))


def break_system(values):
    values["system"] = "V-JEPA"


def break_empty(values):
    values["summary"] = "  "


def break_list(values):
    values["may_be_said"] = "one"


def break_shape(values):
    values["figures"] = {"a": 1}


BREAKS = [value for name, value in sorted(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("change", BREAKS, ids=lambda f: f.__name__)
def test_a_file_that_is_not_right_is_refused_and_says_where(tmp_path, change):
    values = values_of()
    change(values)

    with pytest.raises(ConfigError) as caught:
        claims_file.read(write(tmp_path, values))

    assert caught.value.what.startswith(f"{NAME}.toml")
    assert caught.value.hint


def test_a_key_that_is_nearly_right_is_named(tmp_path):
    values = values_of()
    values["figures"][0]["settings"] = "x"

    with pytest.raises(ConfigError, match="'setting' is meant"):
        claims_file.read(write(tmp_path, values))


@pytest.mark.parametrize("text", [b"system = ", b"\xff\xfe", b"a = [" * 2000, b"#" * 2_000_000])
def test_what_is_no_claims_file_is_a_config_error(tmp_path, text):
    path = tmp_path / f"{NAME}.toml"
    path.write_bytes(text)

    with pytest.raises(ConfigError):
        claims_file.read(path)


def test_a_folder_that_is_not_there_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError):
        claims_file.load(tmp_path / "nothing")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab \n", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_one_change_is_read_as_complete_claims_or_refused(tmp_path, data):
    """Whatever becomes of one place of the file: either every figure still has all of its parts, or a ConfigError."""
    values = values_of(data.draw(st.sampled_from(["V-JEPA", "C-JEPA"])))
    place, key = data.draw(st.sampled_from(list(places(values))))
    if data.draw(st.booleans()):
        place[key] = data.draw(VALUES)
    else:
        del place[key]
    path = write(tmp_path, without_none(values), str(values.get("system", NAME)).strip() or NAME)

    try:
        claims = claims_file.read(path)
    except ConfigError:
        return

    assert all(f.benchmark and f.metric and f.unit and f.where and f.source.ref for f in claims.figures)
    assert all(f.version in claims.versions for f in claims.figures)
    assert len(claims.boundary) == 7
    assert claims.level in LADDER
    assert all(f.value in VOCABULARY[f.name] for f in claims.facts if f.name in VOCABULARY and f.value)


def places(node):
    """Every (container, key) of the file."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield node, key
        yield from places(value)


def without_none(node):
    if isinstance(node, dict):
        return {key: without_none(value) for key, value in node.items() if value is not None}
    if isinstance(node, list):
        return [without_none(value) for value in node if value is not None]
    return node


def test_the_claims_are_read_without_torch():
    code = "import sys; from jepa_core import claims_file, claims_match; claims_file.load(); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_claims_for_knows_every_system_and_nothing_else():
    assert claims_file.claims_for("I-JEPA") == CLAIMS["I-JEPA"]
    assert claims_file.claims_for("Toy") is None


def test_words_of_a_figure_carry_its_spread_and_unit():
    figure = next(f for f in CLAIMS["LeWorldModel"].figures if f.spread)

    assert figure.words == "96.0 ± 2.83 %"
    assert replace(figure, spread="", unit="none").words == "96.0"

"""The catalogue of released checkpoints: complete, true to the specifications, and never claiming what nobody counted."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import catalogue, registry
from jepa_core.catalogue import CATALOGUE, Catalogue, CatalogueEntry, parse, released
from jepa_core.errors import ConfigError
from jepa_core.released import examined, shapes
from jepa_core.released_table import TABLE
from jepa_core.transformer_facts import RELEASED

TEXT = CATALOGUE.read_text("utf-8")
PUSHT = "48938400ae3464c9680731287f583a9cb516f55a8ec64ea13a91be47fb15b607"


def names_of(system: str) -> set[str]:
    return {entry.main_file.name for entry in released().entries if entry.system == system}


def test_every_file_that_the_loader_knows_by_name_is_in_it():
    for system, files in RELEASED.items():
        assert set(files) <= names_of(system)


def test_every_system_of_the_console_has_entries_under_its_exact_name():
    wanted = {
        "I-JEPA": 8,
        "V-JEPA": 3,
        "V-JEPA 2": 8,
        "V-JEPA 2-AC": 1,
        "V-JEPA 2.1": 4,
        "LeWorldModel": 4,
        "C-JEPA": 16,
    }
    counted = {
        system: sum(entry.system == system for entry in released().entries)
        for system in {entry.system for entry in released().entries}
    }

    assert counted == wanted
    assert set(wanted) <= set(registry.systems())


def test_non_commercial_terms_are_said_for_every_i_jepa_and_v_jepa_file():
    for entry in released().entries:
        assert entry.licence.name
        assert entry.licence.where
        assert entry.licence.non_commercial == (entry.system in ("I-JEPA", "V-JEPA"))
        if entry.licence.non_commercial:
            assert entry.licence.name == "CC BY-NC 4.0"


def test_small_g_and_capital_g_never_meet_in_one_folder():
    """vjepa2_1_vitg_384.pt and vjepa2_1_vitG_384.pt are two models; a disk may not tell the names apart."""
    small, capital = (released().entry_for(f"vjepa2_1_vit{g}_384.pt").entry for g in "gG")

    assert (small.encoder_parameters, capital.encoder_parameters) == (1_013_267_968, 1_845_216_768)
    folders = [entry.id.casefold() for entry in released().entries]
    assert len(set(folders)) == len(folders)


def test_distilled_files_say_that_they_hold_no_target():
    distilled = [entry for entry in released().entries if "_dist_" in entry.main_file.name]

    assert len(distilled) == 2
    for entry in distilled:
        assert "masked" not in entry.abilities
        assert any("no target" in note for note in entry.notes)


def built_name(entry: CatalogueEntry) -> str:
    """The name under which the loader can build this very configuration; empty where it knows none."""
    for name, found in TABLE.items():
        if found.file == entry.main_file.name and found.config == {}:
            return name
    main = entry.main_file
    return next((name for name in (main.hub, entry.id) if name in TABLE), "")


BUILT = {entry.id: built_name(entry) for entry in released().entries if built_name(entry)}


def test_almost_every_entry_is_one_that_the_loader_can_build():
    rest = {entry.id for entry in released().entries} - set(BUILT)

    assert rest == {"lewm-tworooms", "lewm-reacher", "cjepa-clevrer-savi"}


@pytest.mark.parametrize("entry_id", BUILT)
def test_an_entry_says_what_the_loader_says_of_such_a_file(entry_id: str):
    """System, variant, abilities, parts, sizes and counts: known before the download as they are after it."""
    entry = released().entry(entry_id)
    design, report = examined(BUILT[entry_id])
    counts = {
        part: sum(p.numel() for p in module.parameters() if p.requires_grad)
        for part, module in design.modules.items()
    }
    encoder = next((counts[part] for part in ("encoder", "ema_encoder") if part in counts), 0) or sum(
        counts.get(part, 0) for part in ("backbone", "features", "slots", "start")
    )

    assert (entry.system, entry.variant) == (design.family, design.variant)
    assert entry.abilities == design.abilities
    assert (entry.encoder_parameters, entry.predictor_parameters) == (encoder, counts.get("predictor", 0))
    if entry.layout in (
        "official",
        "hugging_face",
    ):  # of the others it is the loader's to say how long a clip is
        assert entry.frames == design.input.frames
    assert entry.size_px in (0, design.input.size)
    assert report.matched > 0
    assert not entry.refused


@pytest.mark.parametrize("entry_id", [entry.id for entry in released().entries if entry.layout == "official"])
def test_an_estimated_size_is_that_of_the_tensors_with_their_two_moments(entry_id: str):
    """Sum over the parts a training loop writes, 4 bytes a value; position tables have no moments: within 1 in 100."""
    entry = released().entry(entry_id)
    parts = shapes(BUILT[entry_id])
    values = {part: sum(math.prod(shape) for shape in own.values()) for part, own in parts.items()}
    trained = [part for part in values if part in ("encoder", "ema_encoder", "predictor")]
    if entry.system == "V-JEPA 2-AC":
        trained = ["predictor"]  # its encoder is frozen
    twin = values.get("ema_encoder", 0) if "encoder" not in values else 0
    estimate = 4 * (sum(values.values()) + twin + 2 * sum(values[part] for part in trained))

    assert entry.expected_bytes == pytest.approx(estimate, rel=0.01)


def test_a_sha256_is_never_there_without_the_one_who_reported_it():
    hashed = [file for entry in released().entries for file in entry.files if file.sha256]

    assert len(hashed) == 4
    assert all("third party" in file.sha256_source for file in hashed)


def test_a_size_says_who_counted_or_estimated_it():
    for entry in released().entries:
        for file in entry.files:
            assert bool(file.expected_bytes) == bool(file.bytes_source), entry.id


def test_addresses_are_those_of_the_specifications():
    addresses = {file.url for entry in released().entries for file in entry.files if file.url}
    hubs = {file.hub for entry in released().entries for file in entry.files if file.hub}

    assert all(address.startswith("https://dl.fbaipublicfiles.com/") for address in addresses)
    assert len(addresses) == 16
    assert "https://dl.fbaipublicfiles.com/vjepa2/vjepa2_1_vitG_384.pt" in addresses
    assert hubs >= {
        "facebook/ijepa_vith14_1k",
        "facebook/vjepa2-vitg-fpc64-384",
        "quentinll/lewm-cube",
        "HazelNam/CJEPA",
    }


# --- whether a file is the released one ------------------------------------------------------------------------------


def test_only_a_sha256_proves_what_a_file_is():
    found = released().entry_for("anything.bin", sha256=PUSHT.upper())

    assert found.is_proved
    assert found.entry.id == "lewm-pusht"
    assert "third party" in found.text


def test_a_name_only_suggests():
    found = released().entry_for("vitl.pt", n_bytes=5)

    assert (found.entry.id, found.proof, found.is_proved) == ("vjepa2-vitl", "name", False)
    assert "nothing proves it" in found.text


def test_a_name_with_the_reported_size_is_still_no_proof():
    found = released().entry_for("vjepa2_1_vitb_dist_vitG_384.pt", n_bytes=1_664_223_428)

    assert (found.proof, found.is_proved) == ("size", False)


def test_a_name_with_another_size_or_sha256_is_another_file():
    short = released().entry_for("vjepa2_1_vitb_dist_vitG_384.pt", n_bytes=1_000)
    other = released().entry_for("weights.pt", sha256="0" * 64, folder="lewm-pusht")

    assert (short.proof, other.proof) == ("differs", "differs")
    assert "1,000 bytes" in short.text


def test_upper_and_lower_case_of_a_name_matter():
    assert released().entry_for("VITL.PT").entry is None


@pytest.mark.parametrize("folder", ["lewm-cube", "models--quentinll--lewm-cube"])
def test_a_name_that_many_share_needs_its_folder(folder: str):
    assert released().entry_for("weights.pt").entry is None
    assert released().entry_for("weights.pt", folder="downloads").entry is None
    assert released().entry_for("weights.pt", folder=folder).entry.id == "lewm-cube"


def test_an_unknown_id_names_the_near_ones():
    with pytest.raises(ConfigError) as caught:
        released().entry("vjepa2-vit")

    assert "vjepa2-vitl" in caught.value.hint


# --- the reader --------------------------------------------------------------------------------------------------------


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


BROKEN = {
    "schema": ("schema = 1", "schema = 2"),
    "an unknown key": ('layout = "official"', 'layout = "official"\ncolour = "red"'),
    "a licence that is not described": ('licence = "vjepa"', 'licence = "mine"'),
    "a layout": ('layout = "lewm"', 'layout = "zip"'),
    "an ability": ('["masked"]', '["flies"]'),
    "a text for a number": ("size_px = 224", 'size_px = "224"'),
    "a number below zero": ("frames = 1\n", "frames = -1\n"),
    "an address without https": ("https://dl", "http://dl"),
    "a file of the machine": ("https://dl.fbaipublicfiles.com/", "file:///etc/"),
    "a climbing name": ('name = "vitl16.pth.tar"', 'name = "../vitl16.pth.tar"'),
    "a climbing path": ('path = "weights.pt"', 'path = "../../weights.pt"'),
    "a hub that is an address": ('hub = "quentinll/lewm-pusht"', 'hub = "https://evil/x"'),
    "a short sha256": (PUSHT, PUSHT[:-1]),
    "a sha256 from nobody": ("sha256_source = ", "# "),
    "an id twice": ('id = "vjepa2-vith"', 'id = "vjepa2-vitl"'),
    "an id that is a path": ('id = "vjepa2-vith"', 'id = "../vith"'),
    "a missing name": ('name = "I-JEPA ViT-H/14, ImageNet-1k"\n', ""),
    "no TOML": ("[[entries]]", "[[entries"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_catalogue_is_refused_with_the_place(what: str):
    with pytest.raises(ConfigError, match="the catalogue"):
        parse(changed(*BROKEN[what]))


@given(st.data())
def test_no_text_makes_the_reader_fail_otherwise(data: st.DataObject):
    """A catalogue cut or overwritten anywhere is refused in words, or still a catalogue."""
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 60))
        text = text[:start] + data.draw(st.text(max_size=20)) + text[start + cut :]
    try:
        assert isinstance(parse(text), Catalogue)
    except ConfigError:
        pass


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
    )
)
def test_a_value_of_any_kind_is_taken_or_refused(value):
    """The reader's own checks, below what TOML can say."""
    for kind in ("str", "int", "bool", "tuple[str, ...]", "frozenset[str]"):
        try:
            catalogue._typed(value, kind, "here")
        except ConfigError:
            pass


def test_reading_it_needs_neither_torch_nor_qt():
    code = (
        "import sys\nfrom jepa_core.catalogue import released\nreleased()\n"
        "print(*sorted({'torch', 'safetensors', 'PySide6', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CATALOGUE.parent.parent
    )
    assert done.stdout.split() == []


def test_a_catalogue_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        catalogue.load(tmp_path / "none.toml")


def test_an_entry_says_its_address_and_its_size_as_far_as_known():
    lewm = released().entry("lewm-pusht")
    file = released().entry("vjepa2-vitl")
    savi = released().entry("cjepa-clevrer-savi")

    assert lewm.address == "hub: quentinll/lewm-pusht"
    assert file.address == "https://dl.fbaipublicfiles.com/vjepa2/vitl.pt"
    assert (file.is_size_exact, savi.expected_bytes) == (False, 0)
    assert savi.refused
    assert not replace(savi, refused="").refused
    assert re.fullmatch(r"[a-z0-9-]+", savi.id)

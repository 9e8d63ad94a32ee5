"""Settings: three layers, origins, and errors that name the file, the line and the key."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import config
from jepa_core.errors import ConfigError
from jepa_core.types import MaskRule


def load(tmp_path, text="", **line):
    file = tmp_path / "config.toml"
    file.write_text(text, "utf-8")
    return config.load({key.replace("__", "."): value for key, value in line.items()}, user_file=file)


def test_the_defaults_alone_are_whole(tmp_path):
    found = config.load(user_file=tmp_path / "none.toml")

    assert found.recording.jpeg_quality == 95
    assert found.origin("recording.jpeg_quality") == "defaults"
    assert found.mask.rule == MaskRule(kind="future", predict_steps=2)


def test_a_users_value_beats_the_default_and_the_command_line_beats_both(tmp_path):
    found = load(tmp_path, '[look]\ntheme = "light"\nzoom = 1.5\n', look__zoom=2.0)

    assert (found.look.theme, found.look.zoom) == ("light", 2.0)
    assert found.origin("look.theme").endswith("config.toml, line 2")
    assert found.origin("look.zoom") == "command line"


def test_a_misspelt_key_names_file_line_and_the_likely_key(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "# mine\n[recording]\n\njpeg_qualty = 90\n")

    assert "config.toml, line 4" in caught.value.what
    assert "recording.jpeg_qualty" in caught.value.what
    assert "recording.jpeg_quality" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[recording]\njpeg_quality = "high"\n', "a whole number"),
        ("[look]\nsingle_letter_keys = 1\n", "true or false"),
        ('[look]\nlayers = "error"\n', "a list of texts"),
        ("[recording]\njpeg_quality = 101\n", "out of range"),
        ('[look]\ntheme = "blue"\n', "cannot be"),
        ("[look\n", "not valid TOML"),
        ("zoom = 1\n", "outside a section"),
    ],
)
def test_a_wrong_value_is_refused_in_words(tmp_path, text, word):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)

    assert word in caught.value.what


def test_the_variable_names_another_file_and_a_missing_one_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, str(tmp_path / "gone.toml"))

    with pytest.raises(ConfigError) as caught:
        config.load()

    assert "gone.toml" in caught.value.what


def test_print_config_reads_back_as_the_same_config(tmp_path):
    first = load(tmp_path, '[person]\noperator = "Ada \\"A\\" L"\n')
    again = tmp_path / "again.toml"
    again.write_text(config.print_config(first), "utf-8")

    assert config.load(user_file=again) == first


def test_saving_keeps_the_other_lines_and_comments(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('# mine\n[look]\ntheme = "dark"  \n# kept\n[log]\nfiles = 3\n', "utf-8")

    config.save_user({"look.theme": "light", "look.zoom": 1.25, "person.operator": "ada"}, file)

    text = file.read_text("utf-8")
    assert text.startswith("# mine\n")
    assert "# kept" in text
    found = config.load(user_file=file)
    assert (found.look.theme, found.look.zoom, found.person.operator, found.log.files) == (
        "light",
        1.25,
        "ada",
        3,
    )


@given(st.text(max_size=30))
def test_any_text_survives_being_saved(tmp_path_factory, name):
    file = tmp_path_factory.mktemp("config") / "config.toml"

    config.save_user({"person.operator": name}, file)

    assert tomllib.loads(file.read_text("utf-8"))["person"]["operator"] == name


@given(st.integers(1, 100), st.integers(1, 100))
def test_the_last_layer_that_speaks_wins(tmp_path_factory, mine, line):
    file = tmp_path_factory.mktemp("config") / "config.toml"
    file.write_text(f"[recording]\njpeg_quality = {mine}\n", "utf-8")

    assert config.load(user_file=file).recording.jpeg_quality == mine
    assert config.load({"recording.jpeg_quality": line}, user_file=file).recording.jpeg_quality == line
    assert config.load({"recording.jpeg_quality": None}, user_file=file).recording.jpeg_quality == mine


def test_a_changed_value_is_checked_like_any_other(tmp_path):
    found = load(tmp_path)

    assert config.changed(found, {"look.theme": "light"}).look.theme == "light"
    with pytest.raises(ConfigError):
        config.changed(found, {"look.zoom": 9.0})

"""Settings written by strangers: read as data, counted before they are built, refused in one sentence."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import checkpoint, sidecar
from jepa_core.errors import CheckpointError, ConfigDiffers
from jepa_core.plain_text import MAX_JSON_BYTES, MAX_YAML_BYTES, BadText, read_json, read_yaml
from tests.helpers import checkpoints as made

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_what_the_usual_writers_write_is_read_as_they_meant_it(value):
    assert read_json(json.dumps(value)) == value
    assert read_yaml(yaml.safe_dump(value)) == value


def test_aliases_of_an_ordinary_config_are_followed():
    assert read_yaml("a: &x [1, 2]\nb: *x\nc:\n  <<: {d: 1}\n  e: 2\n") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "e": 2},
    }


def laughs(depth: int = 30) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, depth)]
    return "\n".join(lines)


def merging_laughs(depth: int = 30) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [
        f"a{i}: &a{i} {{<<: [" + ", ".join([f"*a{i - 1}"] * 9) + f"], k{i}: 1}}" for i in range(1, depth)
    ]
    return "\n".join(lines)


HOSTILE_YAML = {
    "a billion laughs": (laughs(), "more values"),
    "a billion laughs by merging": (merging_laughs(), "more values"),
    "a value that holds itself": ("a: &a [*a]", "contains itself"),
    "a mapping that holds itself": ("&a {b: *a}", "contains itself"),
    "one value of 200,000 characters": ("a: " + "x" * 200_000, "longer than a setting"),
    "a number of 10,000 digits": ("a: " + "9" * 10_000, "longer than a setting"),
    "a number in base sixty": ("a: 1" + ":59" * 50_000, "longer than a setting"),
    "brackets without end": ("[" * 200_000, "nested deeper"),
    "mappings without end": ("{a: " * 50_000, "nested deeper"),
    "dashes without end": ("- " * 100_000, "nested deeper"),
    "65 levels": ("[" * 66 + "]" * 66, "more values"),
    "a key twice": ("model:\n  pred_depth: 2\n  pred_depth: 12\n", "two different things of 'pred_depth'"),
    "a key that is a list": ("? [1, 2]\n: 3", "key that is no text"),
    "code": ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    "code under another tag": ("a: !!python/name:os.system ''", "not valid YAML"),
    "two documents": ("a: 1\n---\na: 2\n", "not valid YAML"),
    "signs that are no text": ("a: \x00", "not valid YAML"),
    "too much": ("a: 1\n" * 60_000, "larger than settings"),
    "a date that is none": ("a: 2020-13-45", "cannot be read"),
}
HOSTILE_JSON = {
    "brackets without end": ("[" * 500_000, "nested deeper"),
    "objects without end": ('{"a":' * 100_000, "nested deeper"),
    "65 levels": ("[" * 66 + "]" * 66, "nested deeper"),
    "a key twice": ('{"heads": 2, "heads": 16}', "two different things of 'heads'"),
    "a number of 100,000 digits": ('{"heads": ' + "9" * 100_000 + "}", "100000 digits"),
    "too much": ('"' + "x" * MAX_JSON_BYTES + '"', "larger than settings"),
    "half of it": ('{"heads": 2', "not valid JSON"),
    "nothing": ("", "not valid JSON"),
    "two values": ("{} {}", "not valid JSON"),
}


@pytest.mark.parametrize(("text", "says"), HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_hostile_yaml_ends_in_a_sentence_and_stays_small(text, says):
    _refused_small(read_yaml, text, says)


@pytest.mark.parametrize(("text", "says"), HOSTILE_JSON.values(), ids=HOSTILE_JSON)
def test_hostile_json_ends_in_a_sentence_and_stays_small(text, says):
    _refused_small(read_json, text, says)


def _refused_small(read, text: str, says: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadText) as refused:
            read(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert says in refused.value.what
    assert len(refused.value.what) < 200
    assert peak < 100_000_000


def test_same_key_twice_with_the_same_value_is_no_contradiction():
    assert read_yaml("a: 1\na: 1\n") == {"a": 1}
    assert read_json('{"a": [1], "a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("name", ["params.yaml", "config.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_config_that_is_no_file_is_refused_at_once(name, kind, tmp_path):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)

    with pytest.raises(ConfigDiffers, match=name):
        sidecar.find_config(tmp_path / "x.pt", path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x80", b"x" * (MAX_YAML_BYTES + 1)])
def test_config_of_bytes_that_are_no_text_is_refused_by_its_name(content, tmp_path):
    path = made.write(tmp_path)
    (tmp_path / "params.yaml").write_bytes(content)

    with pytest.raises(ConfigDiffers, match=r"params\.yaml"):
        checkpoint.load(path)


def test_byte_order_mark_of_windows_is_no_fault(tmp_path):
    (tmp_path / "params.yaml").write_bytes("\ufeffdata:\n  fps: 4\n".encode())

    assert sidecar.find_config(tmp_path / "x.pt").get("data", "fps") == 4


@pytest.mark.parametrize("name", ["latest.card.json"])
def test_hostile_card_is_refused_by_its_name(name, tmp_path):
    path = made.write(tmp_path)
    for text, _ in HOSTILE_JSON.values():
        (tmp_path / name).write_text(text)
        with pytest.raises(CheckpointError) as refused:
            checkpoint.examine(path)
        assert name in refused.value.what


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {"a": 1},
        "x",
        "",
        -1,
        0,
        True,
        10**9,
        10**30,
        1.5,
        float("nan"),
        float("inf"),
        "\x1b[2J",
        "9" * 5000,
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "place",
    [
        ("architecture", "embed_dim"),
        ("architecture", "depth"),
        ("architecture", "num_heads"),
        ("architecture", "mlp_ratio"),
        ("architecture", "num_mask_tokens"),
        ("data", "crop_size"),
        ("data", "dataset_fpcs"),
        ("data", "fps"),
        ("data", "patch_size"),
        ("data", "tubelet_size"),
        ("mask",),
        ("model", "model_name"),
        ("model", "pred_depth"),
        ("model", "pred_embed_dim"),
        ("model", "pred_num_heads"),
        ("model", "uniform_power"),
        ("model", "use_rope"),
        ("model", "use_silu"),
    ],
    ids="/".join,
)
def test_a_setting_of_any_kind_is_taken_or_refused_in_one_short_sentence(place, value, weights: Path):
    settings = made.params()
    *path, last = place
    target = settings
    for key in path:
        target = target[key]
    target[last] = value
    config = weights.with_name("other.yaml")
    config.write_text(yaml.safe_dump(settings))

    what = _refusal(weights, config)

    assert len(what) < 400
    assert what.isprintable()


def _refusal(weights: Path, config: Path) -> str:
    """The sentence of the refusal, empty where the file is taken; any other error fails the test."""
    try:
        checkpoint.examine(weights, config=config)
    except CheckpointError as refused:
        return refused.what
    return ""


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return made.write(tmp_path_factory.mktemp("plain"))

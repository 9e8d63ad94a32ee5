"""What the load sheet shows, said on a terminal and as one JSON object: the same words."""

from __future__ import annotations

import json

from console.checkpoint_facts import facts, lines
from tests.helpers.cli import CELL, main_py
from tests.helpers.pipeline import make_checkpoint, make_report
from widgets import checkpoint_words


def test_the_lines_say_what_the_sheet_says():
    report = make_report(
        marks=("a 3-D patch embedding",), device_free_bytes=8 << 30, assumed={"fps": "4 (published)"},
        forecasts={"256 px, 64 frames, float32": 10 << 30}, absent_parts=("target_encoder",),
    )  # fmt: skip
    info = make_checkpoint(notes=("untrained",))

    text = "\n".join(lines(info, report))

    for able in checkpoint_words.abilities(info):
        assert f"{able.name}: {able.text}" in text
    for words in (
        checkpoint_words.match(report), checkpoint_words.memory(report, info.device), checkpoint_words.absent(report),
        checkpoint_words.input_words(info), "a 3-D patch embedding", "fps: 4 (published)", "untrained",
        "256 px, 64 frames, float32 needs about 10.7 GB: it does not fit",
    ):  # fmt: skip
        assert words in text


def test_a_refused_file_names_every_tensor_and_promises_no_ability():
    report = make_report(matched=300, missing=("a.b", "a.c"), unexpected=("d",))

    said = lines(None, report)

    assert [line.split()[-1] for line in said if line.startswith(("missing", " "))] == ["a.b", "a.c"]
    assert not [line for line in said if line.startswith(("can", "memory"))]


def test_the_object_is_plain_json():
    found = facts(make_checkpoint(), make_report(assumed={"fps": "4 (published)"}))

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["words"]["taken"] == [{"what": "fps", "value": "4", "source": "published"}]


def test_a_folder_and_a_stray_config_are_read_as_the_checkpoint_they_stand_for(tmp_path):
    for name in ("cell.pt", "cell.params.yaml"):
        (tmp_path / name).symlink_to(CELL.with_name(name))

    for path in (tmp_path, tmp_path / "cell.params.yaml"):
        done = main_py("checkpoint", path, "--json")
        assert done.code == 0, done.err
        said = json.loads(done.out)
        assert said["checkpoint"]["family"] == "V-JEPA 2"
        assert said["words"]["match"] == "147 of 147 tensors matched"

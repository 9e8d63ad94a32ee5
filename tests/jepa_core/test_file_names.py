"""Names from elsewhere: plain ones are taken as they are, every trick is refused and none is repaired."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.errors import UnsafeName
from jepa_core.file_names import below, safe_path

PLAIN = [
    "model.safetensors",
    "IN1K-vit.h.14-300e.pth.tar",
    "cjepa-ckpts/pusht_videosaur_1_epoch_30_object.ckpt",
    "été.pt",
]
TRICKS = {
    "climbs": ["..", "../x.pt", "a/../../x.pt", "a/..", "a/./b"],
    "absolute": ["/etc/passwd", "//server/share/x.pt", ""],
    "windows": ["C:x.pt", "C:\\x.pt", "a\\b.pt", "\\\\server\\x", "x.pt ", "x.", "x?.pt", "x*.pt", "file:stream"],
    "devices": ["CON", "nul.pt", "com1.safetensors", "LPT9", "aux.tar.gz", "COM¹", "CONIN$"],
    "hidden": [".bashrc", "a/.ssh/x.pt"],
    "ours": ["x.pt.part", "X.PT.LOCK", "x.damaged", "library.json.new"],
    "unseen": ["x\u202etp.exe", "a\u200bb.pt", "x\n.pt", "\ud800.pt", "e\u0301.pt", "x\u2028.pt", "a\x7fb"],
    "long": ["x" * 300, "é" * 150, "/".join("abcdefghi")],
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_stays_as_it_is(name: str):
    assert str(safe_path(name)) == name


@pytest.mark.parametrize("name", [name for names in TRICKS.values() for name in names])
def test_a_trick_is_refused_in_a_sentence_that_can_be_printed(name: str):
    with pytest.raises(UnsafeName) as caught:
        safe_path(name)

    assert caught.value.what.isascii()
    assert "\n" not in caught.value.what


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path):
    folder, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "models").symlink_to(elsewhere, target_is_directory=True)

    assert below(folder, "a/b.pt") == folder / "a" / "b.pt"
    with pytest.raises(UnsafeName, match="elsewhere"):
        below(folder, "models/b.pt")


@given(st.text(max_size=40))
def test_no_name_ever_leads_out_of_its_folder(name: str):
    folder = Path("/srv/models")
    try:
        path = safe_path(name)
    except UnsafeName:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert PurePosixPath(name) == path
    assert (folder / path).resolve().is_relative_to(folder)

"""Addresses of sources: what opens what, and what a person is told when nothing does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.errors import SourceNotFound
from sessions.sources.image_folder import ImageFolder
from sessions.sources.registry import SCHEMES, open_source, parse
from sessions.sources.session_file import SessionFile
from sessions.sources.video_file import VideoFile
from sessions.sources.world import World
from tests.helpers.media import write_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of everything a person may drop on the window."""
    for name, data in {
        "clip.mp4": b"video",
        "what is this?.mp4": b"video",
        "session.h5": b"\x89HDF\r\n\x1a\n",
        "unnamed": b"\x89HDF\r\n\x1a\n",
        "journal.wmj": b"wmj",
        "vitl.pt": b"PK\x03\x04",
        "model.safetensors": b"\0",
        "one.png": b"\x89PNG",
    }.items():
        (tmp_path / name).write_bytes(data)
    write_pictures(tmp_path / "pictures", frames=2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text("{}")
    (tmp_path / "hf" / "model.safetensors").write_bytes(b"\0")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("clip.mp4", VideoFile),
        ("what is this?.mp4", VideoFile),
        ("session.h5", SessionFile),
        ("unnamed", SessionFile),
        ("journal.wmj", SessionFile),
        ("pictures", ImageFolder),
        ("pictures?fps=5", ImageFolder),
    ],
)
def test_a_path_opens_what_lies_there(name: str, kind: type, folder: Path):
    assert isinstance(open_source(str(folder / name)), kind)
    assert isinstance(open_source(str(folder / name).replace(os.sep, "/")), kind)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("video:{}/clip.mp4", VideoFile),
        ("video:{}/what is this?.mp4", VideoFile),
        ("VIDEO:{}/clip.mp4", VideoFile),
        ("images:{}/pictures?fps=12.5", ImageFolder),
        ("session:{}/session.h5", SessionFile),
        ("world:cell?seed=4&barcode=1&fps=15&frames=300&width=640&height=480", World),
        ("world:cell", World),
    ],
)
def test_a_scheme_opens_its_source(uri: str, kind: type, folder: Path):
    assert isinstance(open_source(uri.format(folder)), kind)


def test_a_dropped_file_url_is_a_path(folder: Path):
    assert isinstance(open_source((folder / "what is this?.mp4").as_uri()), VideoFile)


def test_a_path_object_is_an_address(folder: Path):
    assert isinstance(open_source(folder / "clip.mp4"), VideoFile)


@pytest.mark.parametrize(
    ("uri", "what", "hint"),
    [
        ("{}/missing/clip.mp4", "There is no", "The folder {} exists"),
        ("{}/vitl.pt", "vitl.pt looks like a checkpoint", "Ctrl+M"),
        ("{}/model.safetensors", "looks like a checkpoint", "--checkpoint"),
        ("{}/hf", "hf looks like a checkpoint", "--checkpoint"),
        ("{}/one.png", "single picture", "Open the folder"),
        ("vidoe:{}/clip.mp4", "no source of the kind 'vidoe:'", "'video:'"),
        ("camera:0", "no source of the kind 'camera:'", "This version opens"),
        ("rtsp://10.0.0.1/stream", "no source of the kind 'rtsp:'", "This version opens"),
        ("world:moon", "no embedded world 'moon'", "cell"),
        ("world:cell?sede=1", "no option 'sede'", "'seed'"),
        ("world:cell?seed=many", "not a number", "Give a number"),
        ("world:cell?seed=1.5", "not a whole number", "Give one from"),
        ("world:cell?fps=0", "out of range", "from 1 to 240"),
        ("world:cell?barcode=perhaps", "neither on nor off", "barcode=1"),
        ("images:{}/pictures?fsp=5", "no option 'fsp'", "'fps'"),
        ("images:{}/clip.mp4", "is not a folder", "Choose the folder"),
        ("video:{}/pictures", "is a folder", "Choose the file"),
        ("video:", "No video file or folder was named", "video:"),
        ("", "No source was named", "world:cell"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_sentence_and_a_hint(
    uri: str, what: str, hint: str, folder: Path
):
    with pytest.raises(SourceNotFound) as caught:
        open_source(uri.format(folder))
    assert what in caught.value.what
    assert hint.format(folder) in caught.value.hint
    assert caught.value.what.endswith(".")


def test_an_empty_folder_says_what_pictures_are(folder: Path):
    with pytest.raises(SourceNotFound, match="holds no pictures") as caught:
        open_source(str(folder / "empty")).open()
    assert ".png" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights work another way on this system")
@pytest.mark.parametrize("name", ["clip.mp4", "pictures"])
def test_without_rights_the_path_and_the_reason_are_named(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    path = folder / name
    path.chmod(0)
    if os.geteuid() == 0:  # root may do anything: answer as the system answers everybody else
        monkeypatch.setattr(os, "access", lambda asked, mode: os.stat(asked).st_mode >> 6 & mode == mode)
    try:
        with pytest.raises(SourceNotFound, match="may not be") as caught:
            open_source(str(path)).open()
    finally:
        path.chmod(0o755)
    assert str(path) in caught.value.what
    assert caught.value.hint


def test_a_windows_drive_is_not_a_scheme():
    with pytest.raises(SourceNotFound, match="There is no"):
        parse("C:\\clips\\clip.mp4")


def test_importing_the_registry_imports_nothing_heavy():
    code = (
        "import sys; import sessions.sources.registry;"
        "heavy = {'cv2', 'av', 'h5py', 'torch', 'PySide6'} & set(sys.modules); print(sorted(heavy)); sys.exit(bool(heavy))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], timeout=60, check=False
    )
    assert child.returncode == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_names_a_class_that_takes_an_address(scheme: str):
    import importlib

    module, _, name = SCHEMES[scheme].partition(":")
    assert callable(getattr(importlib.import_module(module), name).from_uri)

"""The failures of the brief, from outside: exit 3, one sentence, one hint, no traceback, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cli import CELL, OFFSCREEN, WORLD, Said, main_py, running
from tests.helpers.media import write_video

Damage = Callable[[dict[str, Any]], object]


def score(source: object, out: object, *more: object) -> Any:
    return main_py("score", source, "--checkpoint", CELL, "--out", out, "--threads", "1", *more)


# --- sources ----------------------------------------------------------------------------------------------------------


def test_what_is_not_a_video_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    fake = tmp_path / "clip.mp4"
    fake.write_text("hello, I am not a video", encoding="utf-8")

    done = score(fake, tmp_path / "out", "--json")

    assert "clip.mp4" in done.refused()
    assert done.json["error"] == "source_not_found"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_truncated_video_plays_what_is_there_and_the_session_is_kept(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", frames=60, container_options={"movflags": "faststart"})
    content = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) * 6 // 10])

    done = score(cut, tmp_path / "out", "--json")

    assert "ends early" in done.refused()
    assert done.json["is_complete"] is False
    assert 0 < done.json["frames"] < 60
    assert done.json["steps"] > 0
    assert main_py("verify", done.json["session"]).code == 0


@pytest.mark.slow
def test_a_damaged_stretch_is_left_out_and_the_rest_follows(tmp_path: Path) -> None:
    import av

    video = write_video(tmp_path / "clip.mov", frames=40, codec="mjpeg")
    with av.open(str(video)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(video.read_bytes())
    for begin, size in packets[20:23]:
        content[begin : begin + size] = bytes(size)
    video.write_bytes(content)

    done = score(video, tmp_path / "out", "--json")

    assert done.refused() == "Frame 20 of clip.mov is damaged and cannot be decoded."
    assert "3 times" in done.err
    assert done.json["frames"] == 37
    assert main_py("verify", done.json["session"]).code == 0


@pytest.mark.slow
def test_a_recorded_session_is_not_recorded_again(tmp_path: Path) -> None:
    first = score(WORLD, tmp_path / "first", "--json").json["session"]

    done = score(first, tmp_path / "second")

    assert "not recorded again" in done.refused()
    assert "--recompute" in done.err
    assert not (tmp_path / "second").exists()


@pytest.mark.slow
def test_a_run_without_a_look_says_why_it_has_none(tmp_path: Path) -> None:
    done = score(WORLD, tmp_path, "--clip-frames", "2", "--json")

    assert "no look" in done.refused()
    assert Path(done.json["session"]).is_file()


def test_a_file_name_that_is_no_text_is_no_traceback(tmp_path: Path) -> None:
    done = main_py("verify", os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.h5"))

    assert done.code == 3


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Damage], Path]:
    """The demo checkpoint, changed in one way, with its params.yaml beside it."""
    import torch

    whole = torch.load(CELL, map_location="cpu", weights_only=True)

    def make(damage: Damage) -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        content = {name: dict(part) if isinstance(part, dict) else part for name, part in whole.items()}
        damage(content)
        torch.save(content, folder / "cell.pt")
        shutil.copy(CELL.with_suffix(".params.yaml"), folder)
        return folder / "cell.pt"

    return make


NAME = "module.backbone.blocks.0.attn.qkv.bias"


def missing(content: dict[str, Any]) -> None:
    del content["encoder"][NAME]


def renamed(content: dict[str, Any]) -> None:
    content["encoder"]["module.backbone.blocks.0.attn.qkv.bios"] = content["encoder"].pop(NAME)


def reshaped(content: dict[str, Any]) -> None:
    content["encoder"][NAME] = content["encoder"][NAME].reshape(-1, 1)


@pytest.mark.parametrize(
    ("damage", "list_name", "tensor"),
    [
        (missing, "missing", "encoder/blocks.0.attn.qkv.bias"),
        (renamed, "unexpected", "encoder/blocks.0.attn.qkv.bios"),
        (reshaped, "reshaped", "encoder/blocks.0.attn.qkv.bias"),
    ],
)
def test_a_checkpoint_with_one_wrong_tensor_is_refused_and_the_report_names_it(
    make_checkpoint: Callable[[Damage], Path], damage: Damage, list_name: str, tensor: str
) -> None:
    done = main_py("checkpoint", make_checkpoint(damage), "--json")

    assert tensor in done.refused()
    assert any(tensor in entry for entry in done.json["report"][list_name])


@pytest.mark.slow
def test_a_wrong_checkpoint_is_refused_the_same_way_before_anything_is_recorded(
    make_checkpoint: Callable[[Damage], Path], tmp_path: Path
) -> None:
    path = make_checkpoint(missing)

    report = main_py("checkpoint", path)
    scored = main_py("score", WORLD, "--checkpoint", path, "--out", tmp_path / "out", "--threads", "1")

    assert report.refused() == scored.refused()
    assert "encoder/blocks.0.attn.qkv.bias" in report.out
    assert not (tmp_path / "out").exists()


class Trap:
    """Pickled, it is code that runs when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self._mark}",)


@pytest.mark.parametrize("kind", ["in a torch file", "a bare pickle"])
def test_code_in_a_checkpoint_is_not_run(
    kind: str, make_checkpoint: Callable[[Damage], Path], tmp_path: Path
) -> None:
    mark = tmp_path / "it-ran"
    if kind == "a bare pickle":
        path = tmp_path / "trap.pt"
        path.write_bytes(pickle.dumps(Trap(mark)))
    else:
        path = make_checkpoint(lambda content: content.update(epoch=Trap(mark)))
        with zipfile.ZipFile(path) as archive:
            assert any(
                b"touch" in archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")
            )

    done = main_py("checkpoint", path, "--json")

    assert "run" in done.refused()
    assert done.json["error"] == "unsafe_file"
    assert not mark.exists()


# --- where to write -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_file_where_a_folder_is_needed_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert str(out) in score(WORLD, out).refused()


def test_a_log_folder_that_cannot_be_does_not_stop_a_verb(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(f'[log]\ndirectory = "{tmp_path / "file"}"\n', encoding="utf-8")

    done = main_py("checkpoint", CELL, "--settings", own)

    assert (done.code, done.err) == (0, "")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Small file systems of one's own: a full disk and a folder without rights, also for root."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip("a small disk can only be mounted by root")
        made.append(folder)
        return folder

    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    yield mount
    for folder in made:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_without_rights_is_said(mounted: Callable[[str], Path]) -> None:
    done = score(WORLD, mounted("size=1m,ro") / "out")

    assert "cannot be written" in done.refused()


def test_a_disk_too_small_to_begin_is_said_and_nothing_stays(mounted: Callable[[str], Path]) -> None:
    disk = mounted("size=8m")

    done = score(WORLD, disk / "out", "--json")

    assert "free" in done.refused()
    assert done.json["error"] == "disk_full"
    assert not any(path.is_file() for path in disk.rglob("*"))


@pytest.mark.slow
def test_a_disk_that_fills_up_keeps_what_was_confirmed(
    mounted: Callable[[str], Path], tmp_path: Path
) -> None:
    """Enough to begin, then somebody fills it: the run ends by itself, and what it wrote is read elsewhere."""
    disk = mounted("size=96m")
    own = tmp_path / "own.toml"
    own.write_text("[recording]\nreserve_bytes = 1048576\n", encoding="utf-8")

    with running(
        "score",
        "world:cell?width=320&height=240&frames=1500",
        "--checkpoint",
        CELL,
        "--out",
        disk / "out",
        "--threads",
        "1",
        "--settings",
        own,
        "--json",
    ) as run:
        run.wait_until(lambda: any(path.stat().st_size > 300_000 for path in disk.rglob("*.wmj")))
        with open(disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1 << 16))
        out, err = run.process.communicate(timeout=60)

    done = Said(run.process.returncode, out, err)
    assert done.refused()
    assert done.json["error"] == "disk_full"
    assert run.left_alive() == []
    journal = next((disk / "out").glob("*.wmj"))
    safe = tmp_path / "safe.wmj"
    shutil.copy(journal, safe)
    assert main_py("recover", safe).code == 0
    assert main_py("verify", safe.with_suffix(".h5")).code == 0


@pytest.mark.slow
def test_a_screenshot_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    done = main_py("--screenshot", tmp_path / "file" / "w.png", "--after", "0.2", environ=OFFSCREEN)

    assert str(tmp_path / "file") in done.refused()

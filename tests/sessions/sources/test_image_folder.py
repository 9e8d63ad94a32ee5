"""Folders of pictures: the order a person would count in, no stretching in silence, bad pictures by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import barcode
from jepa_core.clock import CancelToken
from jepa_core.cv import cv2
from jepa_core.errors import SourceError, SourceLost
from sessions.sources.image_folder import ImageFolder, natural_key
from tests.helpers.media import numbered_picture, write_pictures


def opened(path: Path, fps: float | None = None) -> ImageFolder:
    folder = ImageFolder(path, fps)
    folder.open()
    return folder


def numbers(folder: ImageFolder) -> list[int | None]:
    found = []
    while (grab := folder.read(CancelToken())) is not None:
        found.append(barcode.read(grab.rgb))
    return found


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm"])
def test_pictures_come_in_natural_order(suffix: str, tmp_path: Path):
    folder = opened(write_pictures(tmp_path, frames=12, suffix=suffix))
    assert numbers(folder) == list(range(12))


def test_time_is_number_over_rate(tmp_path: Path):
    folder = opened(write_pictures(tmp_path, frames=5), fps=30.0)
    grabs = [folder.read(CancelToken()) for _ in range(5)]
    assert [grab.pts_ns for grab in grabs if grab] == [0, 33_333_333, 66_666_667, 100_000_000, 133_333_333]
    assert [folder.index_at(folder.pts_ns_of(n)) for n in range(5)] == list(range(5))
    assert [folder.index_at(folder.pts_ns_of(n) - 1) for n in range(1, 5)] == list(range(4))


def test_an_assumed_rate_is_called_assumed(tmp_path: Path):
    write_pictures(tmp_path, frames=1)
    assert opened(tmp_path).info.detail["is_fps_assumed"] is True
    assert opened(tmp_path, fps=15.0).info.detail["is_fps_assumed"] is False


def test_a_bad_picture_is_named_and_left_out_while_the_others_keep_their_numbers(tmp_path: Path):
    write_pictures(tmp_path, frames=5)
    (tmp_path / "frame2.png").write_bytes(b"not a picture")
    (tmp_path / "frame3.png").write_bytes(b"")
    folder = opened(tmp_path)
    assert [folder.read(CancelToken()).index for _ in range(2)] == [0, 1]
    for name in ("frame2.png", "frame3.png"):
        with pytest.raises(SourceError, match=name):
            folder.read(CancelToken())
    last = folder.read(CancelToken())
    assert last is not None
    assert (last.index, barcode.read(last.rgb)) == (4, 4)


def test_a_bad_first_picture_does_not_keep_the_folder_shut(tmp_path: Path):
    write_pictures(tmp_path, frames=3)
    (tmp_path / "frame0.png").write_bytes(b"broken")
    folder = opened(tmp_path)
    assert (folder.info.width, folder.info.height) == (192, 144)
    with pytest.raises(SourceError, match=r"frame0\.png"):
        folder.read(CancelToken())


def test_another_size_is_refused_with_both_sizes_and_never_stretched(tmp_path: Path):
    write_pictures(tmp_path, frames=3)
    small = np.ascontiguousarray(numbered_picture(1, 128, 96)[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "frame1.png"), small)
    folder = opened(tmp_path)
    folder.read(CancelToken())
    with pytest.raises(SourceError, match=r"frame1\.png is 128×96.*192×144"):
        folder.read(CancelToken())
    assert folder.read(CancelToken()).index == 2


def test_a_picture_that_went_away_is_named_and_a_folder_that_went_away_is_lost(tmp_path: Path):
    path = write_pictures(tmp_path / "pictures", frames=3)
    folder = opened(path)
    (path / "frame0.png").unlink()
    with pytest.raises(SourceError, match=r"frame0\.png is gone"):
        folder.read(CancelToken())
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    with pytest.raises(SourceLost, match="is gone"):
        folder.read(CancelToken())


def test_grey_deep_and_transparent_pictures_become_rgb(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((96, 128), 200, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((96, 128, 3), 200 * 257, np.uint16))
    cv2.imwrite(str(tmp_path / "c.png"), np.full((96, 128, 4), 200, np.uint8))
    folder = opened(tmp_path)
    for _ in range(3):
        grab = folder.read(CancelToken())
        assert grab is not None
        assert grab.rgb.shape == (96, 128, 3)
        assert np.all(grab.rgb == 200)


def test_other_files_and_hidden_ones_are_passed_over(tmp_path: Path):
    write_pictures(tmp_path, frames=2)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "._frame0.png").write_bytes(b"left by a Mac")
    (tmp_path / "deeper.png").mkdir()
    assert opened(tmp_path).info.frames == 2


def test_the_listing_hash_changes_with_the_pictures(tmp_path: Path):
    write_pictures(tmp_path, frames=3)
    before = opened(tmp_path).info.detail["listing_sha256"]
    assert opened(tmp_path).info.detail["listing_sha256"] == before
    (tmp_path / "frame1.png").rename(tmp_path / "frame9.png")
    assert opened(tmp_path).info.detail["listing_sha256"] != before


@given(st.lists(st.text("aB01239_.é", min_size=1, max_size=8), unique=True, max_size=12))
def test_natural_order_is_one_order_whatever_the_names(names: list[str]):
    first = sorted(names, key=natural_key)
    assert sorted(reversed(names), key=natural_key) == first


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=2, max_size=10))
def test_natural_order_counts_like_a_person(values: list[int]):
    names = [f"img_{value}.png" for value in values]
    assert sorted(names, key=natural_key) == [f"img_{value}.png" for value in sorted(values)]

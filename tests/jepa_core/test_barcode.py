"""The painted frame number survives what pictures go through, and is never read where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import barcode
from jepa_core.cv import cv2

numbers = st.integers(0, (1 << 32) - 1)
sizes = st.sampled_from([(128, 128), (256, 256), (240, 320), (360, 640), (720, 1280), (481, 853)])
larger = sizes.filter(lambda size: size[1] >= 2 * barcode.MIN_WIDTH)


def noisy_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(number=numbers, size=sizes)
def test_what_was_painted_is_read(number: int, size: tuple[int, int]):
    picture = noisy_picture(*size)
    barcode.paint(picture, number)
    assert barcode.read(picture) == number


@given(number=numbers, size=sizes)
def test_number_survives_jpeg_of_quality_80(number: int, size: tuple[int, int]):
    picture = noisy_picture(*size)
    barcode.paint(picture, number)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert barcode.read(cv2.imdecode(encoded, cv2.IMREAD_COLOR)) == number


@given(number=numbers, size=larger, up=st.booleans())
def test_number_survives_halving_and_doubling_the_picture(number: int, size: tuple[int, int], up: bool):
    picture = noisy_picture(*size)
    barcode.paint(picture, number)
    factor, how = (2.0, cv2.INTER_LINEAR) if up else (0.5, cv2.INTER_AREA)
    scaled = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)
    assert barcode.read(scaled) == number


@given(seed=st.integers(0, 10_000))
def test_picture_without_barcode_reads_as_none(seed: int):
    assert barcode.read(noisy_picture(120, 160, seed)) is None


@pytest.mark.parametrize("level", [0, 127, 255])
def test_flat_picture_reads_as_none(level: int):
    assert barcode.read(np.full((256, 256, 3), level, np.uint8)) is None


@given(number=numbers, cell=st.integers(0, barcode.ROWS * barcode.COLUMNS - 1))
def test_one_flipped_cell_is_noticed(number: int, cell: int):
    picture = np.zeros((256, 256, 3), np.uint8)
    barcode.paint(picture, number)
    row, column = divmod(cell, barcode.COLUMNS)
    side = 256 / (2 * barcode.COLUMNS)
    top, left = round(row * side), round(column * side)
    picture[top : round((row + 1) * side), left : round((column + 1) * side)] ^= 255
    assert barcode.read(picture) is None


def test_paints_the_top_left_corner_and_nothing_else():
    picture = noisy_picture(256, 256)
    before = picture.copy()
    barcode.paint(picture, 42)
    np.testing.assert_array_equal(picture[12:], before[12:])
    np.testing.assert_array_equal(picture[:, 128:], before[:, 128:])


@pytest.mark.parametrize("number", [-1, 1 << 32])
def test_number_that_does_not_fit_is_refused(number: int):
    with pytest.raises(ValueError, match="holds"):
        barcode.paint(np.zeros((256, 256, 3), np.uint8), number)


def test_picture_that_is_too_small_is_refused_and_reads_as_none():
    tiny = np.zeros((32, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="too small"):
        barcode.paint(tiny, 1)
    assert barcode.read(tiny) is None

"""A frame number painted into the picture itself, so that a mix-up of frames can be proved or ruled out.

Two rows of 22 black or white cells in the top-left corner, as wide as half the picture: 4 marker cells, 32 bits of
the number (most significant first), 8 bits of CRC. The cells scale with the picture, so a resized picture still
reads. Used by the embedded world and by drills only; never painted into what a camera or a file gave. numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS = 2
COLUMNS = 22
MIN_WIDTH = 96  # below this a cell has hardly two pixels; from twice this on it survives being halved

_MARKER = 0b1001  # starts and ends white, so that a black or white corner never passes for a number
_DARK, _BRIGHT = 80.0, 175.0  # a cell between the two was not painted by us
_CRC_POLYNOMIAL = 0x07  # CRC-8/SMBUS


def paint(rgb: NDArray[np.uint8], number: int) -> None:
    """Write `number` into the top-left corner, in place.

    rgb      (H, W, 3) uint8, writeable; W >= MIN_WIDTH
    number   0 <= number < 2**32; ValueError otherwise
    """
    if not 0 <= number < 1 << 32:
        raise ValueError(f"a barcode holds 0 to {(1 << 32) - 1}, not {number}")
    height, width = rgb.shape[:2]
    if width < MIN_WIDTH or height < _strip_height(width):
        raise ValueError(f"a picture of {width}x{height} is too small for a barcode")
    cells = _cells_of(number)
    edges = _edges(width)
    for row in range(ROWS):
        top, bottom = edges[row], edges[row + 1]
        line = np.repeat(cells[row], np.diff(edges))  # (half the width,)
        rgb[top:bottom, : edges[-1]] = line[None, :, None]


def read(rgb: NDArray[np.uint8]) -> int | None:
    """The number painted into a (H, W, 3) uint8 picture, or None where there is none or it is damaged."""
    height, width = rgb.shape[:2]
    side = width / (2 * COLUMNS)  # of a cell, pixels, not whole
    if side < 1.0 or height < ROWS * side:
        return None
    # Nine samples around each cell's centre: far from the edges, where scaling and JPEG smear.
    offsets = np.array([-0.2, 0.0, 0.2])
    ys = np.clip(((np.arange(ROWS)[:, None] + 0.5 + offsets) * side).astype(int), 0, height - 1)  # (ROWS, 3)
    xs = np.clip(
        ((np.arange(COLUMNS)[:, None] + 0.5 + offsets) * side).astype(int), 0, width - 1
    )  # (COLUMNS, 3)
    samples = rgb[ys[:, None, :, None], xs[None, :, None, :]]  # (ROWS, COLUMNS, 3, 3, rgb)
    level = samples.reshape(ROWS * COLUMNS, -1).mean(axis=1)
    if bool(np.any((level > _DARK) & (level < _BRIGHT))):
        return None
    word = 0
    for is_white in level > 127.5:
        word = word << 1 | int(is_white)
    marker, number, check = word >> 40, word >> 8 & 0xFFFFFFFF, word & 0xFF
    return number if marker == _MARKER and check == _crc(number) else None


def _cells_of(number: int) -> NDArray[np.uint8]:
    """(ROWS, COLUMNS) uint8, 0 or 255."""
    word = _MARKER << 40 | number << 8 | _crc(number)
    bits = [word >> shift & 1 for shift in range(ROWS * COLUMNS - 1, -1, -1)]
    return (np.array(bits, np.uint8) * 255).reshape(ROWS, COLUMNS)


def _edges(width: int) -> NDArray[np.int64]:
    """Pixel edges of the columns; the first ROWS + 1 are the edges of the rows too."""
    return np.round(np.arange(COLUMNS + 1) * width / (2 * COLUMNS)).astype(np.int64)


def _strip_height(width: int) -> int:
    return int(_edges(width)[ROWS])


def _crc(number: int) -> int:
    crc = 0
    for byte in number.to_bytes(4, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ _CRC_POLYNOMIAL) & 0xFF if crc & 0x80 else crc << 1
    return crc ^ 0x55  # so that number 0 is not all black

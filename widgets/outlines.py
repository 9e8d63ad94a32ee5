"""Outlines of regions given as flags on a grid of cells, and the black and white pen that is seen on any ground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen

from widgets.theme import Theme


def cells(flags: NDArray[np.bool_]) -> QPainterPath:
    """(H', W') flags as one path in columns and rows, a rectangle per unbroken run of a row."""
    path = QPainterPath()
    rows, starts, ends = _runs(flags)
    for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        path.addRect(QRectF(start, row, end - start, 1))
    return path


def outline(flags: NDArray[np.bool_]) -> list[QLineF]:
    """Every edge between flagged and other cells, in columns and rows, joined into the longest straight lines."""
    padded = np.pad(flags, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]  # (H'+1, W'): edge above row r
    along = (padded[1:-1, 1:] != padded[1:-1, :-1]).T  # (W'+1, H'): edge left of column c
    lines = [QLineF(a, r, b, r) for r, a, b in zip(*(part.tolist() for part in _runs(across)), strict=True)]
    lines += [QLineF(c, a, c, b) for c, a, b in zip(*(part.tolist() for part in _runs(along)), strict=True)]
    return lines


def draw_double(painter: QPainter, theme: Theme, lines: Sequence[QLineF], width: float = 2.0) -> None:
    """White lines on black ones of twice the width."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for times, role in ((2.0, "ink_dark"), (1.0, "ink_light")):
        pen = QPen(theme.color(role), times * width * theme.zoom)
        pen.setCapStyle(Qt.PenCapStyle.SquareCap)
        painter.setPen(pen)
        painter.drawLines(list(lines))


def _runs(flags: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, start and end of every unbroken run of True in each row."""
    edges = np.diff(np.pad(flags.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return rows, starts, ends

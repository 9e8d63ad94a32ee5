"""Progress of long work on the command line: a bar on a terminal, JSON lines for another program, else nothing."""

from __future__ import annotations

import json
import sys
import time
from typing import TextIO


class Progress:
    """Writes to stderr only, so that stdout stays one object. Redraws at most ten times a second."""

    def __init__(self, *, as_lines: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._as_lines = as_lines
        self._is_bar = not as_lines and self._stream.isatty()
        self._last = 0.0
        self._width = 0

    def show(self, fraction: float, text: str) -> None:
        """fraction 0..1, or negative where the end is not known."""
        now = time.monotonic()
        if now - self._last < 0.1 and fraction < 1.0:
            return
        self._last = now
        if self._as_lines:
            self._stream.write(json.dumps({"progress": round(fraction, 4), "text": text}) + "\n")
            self._stream.flush()
        elif self._is_bar:
            self._draw(fraction, text)

    def end(self) -> None:
        """Take the bar away, so that what is printed next stands on a clean line."""
        if self._is_bar and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def _draw(self, fraction: float, text: str) -> None:
        if fraction < 0:
            line = text
        else:
            done = round(30 * min(fraction, 1.0))
            line = f"{'█' * done}{'░' * (30 - done)} {fraction:4.0%}  {text}"
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

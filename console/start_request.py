"""What the command line asked the window to begin with. Plain data; imports no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jepa_core.messages import EngineOptions


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What the command line asked the window to begin with."""

    source: str | None = None  # a path or "world:…"
    path: str | None = (
        None  # anything that could be dropped on the window; a checkpoint is examined, not loaded
    )
    checkpoint: str | None = None
    checkpoint_config: str | None = None
    options: EngineOptions | None = None  # None: from the config
    record_directory: str | None = None  # record from the first frame on
    every_frame: bool = False
    screen: str = (
        "start"  # "start" | "live" | "replay" | "models" | "released" | "claims", when no source decides
    )
    screenshot: Path | None = None  # save a picture of the window, then exit
    after_s: float = 3.0  # … this long after it opened
    size: tuple[int, int] | None = None  # of the window, logical pixels
    theme: str | None = None
    zoom: float | None = None
    seconds: float | None = None  # close by itself after this long

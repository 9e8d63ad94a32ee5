"""What the verbs share: settings from the command line, the demo's files, output."""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from console import config as settings
from console.config import Config
from jepa_core.clock import CancelToken

ASSETS = Path(__file__).resolve().parent.parent / "assets"
DEMO_WORLD = "world:cell?seed=7"
DEMO_CHECKPOINT = ASSETS / "demo" / "cell.pt"

# command line name → setting
_SETTINGS = {
    "device": "model.device",
    "dtype": "model.dtype",
    "clip_frames": "model.clip_frames",
    "stride": "model.stride",
    "threads": "model.threads",
    "mask": "mask.kind",
    "predict_steps": "mask.predict_steps",
    "seed": "mask.seed",
    "theme": "look.theme",
    "zoom": "look.zoom",
}


def load_config(arguments: Namespace) -> Config:
    """The three layers, with this command line on top. Raises ConfigError."""
    given = {key: getattr(arguments, name, None) for name, key in _SETTINGS.items()}
    return settings.load(given, user_file=getattr(arguments, "settings", None))


def wants_config_printed(arguments: Namespace, config: Config) -> bool:
    """Print it if asked; the verb then ends."""
    if not getattr(arguments, "print_config", False):
        return False
    say(settings.print_config(config))
    return True


def say(text: str) -> None:
    """A line for a person, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(data: dict[str, Any]) -> None:
    """The one machine-readable object of a verb."""
    sys.stdout.write(json.dumps(data, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


def cancel_on_signals() -> CancelToken:
    """Ctrl+C and SIGTERM ask the work to end in good order; a second Ctrl+C ends it at once."""
    cancel = CancelToken()

    def ask(number: int, _: object) -> None:
        if cancel.is_cancelled:
            signal.signal(number, signal.SIG_DFL)
        cancel.cancel()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return cancel


def size_words(n_bytes: int) -> str:
    """1234567 → "1.2 MB"."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
